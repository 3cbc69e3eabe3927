/*
 * secrets: the keys of runs. They come by message, live in the memory of this process and of the gateway and
 * nowhere else, and are what our log and store must never hold. Roles get the way to the gateway and a token
 * for each attempt instead. What is kept of keys is that a run had some.
 */
#include "supervisor/daemon.h"

#include "common/alloc.h"
#include "common/json.h"
#include "common/log.h"
#include "common/proc.h"
#include "common/token.h"
#include "proto/msg.h"

#include <stdlib.h>
#include <string.h>

int
secrets_parse(struct configs *c, const char *text, struct err *e)
{
	return configs_parse(c, "the keys", text, strlen(text), e);
}

static void
add(void *arg, const char *name, const char *value)
{
	redact_add(arg, name, value);
}

void
secrets_changed(struct daemon *d)
{
	struct redact *fresh = redact_new();
	const struct run *r;

	TAILQ_FOREACH (r, &d->runs, entry) {
		if (r->token != NULL)
			redact_add(fresh, "GITHUB_TOKEN", r->token);
		for (size_t i = 0; i < r->keys.count; i++)
			configs_each_secret(&r->keys.v[i], add, fresh);
	}
	log_set_redact(fresh);
	redact_free(d->redact);
	d->redact = fresh;
}

/* What the gateway does for the agent, or must not be told it. */
static bool
is_for_gateway(const char *pair)
{
	static const char *const names[] = {"ANTHROPIC_BASE_URL", "API_TIMEOUT_MS", NULL};
	size_t n = strcspn(pair, "=");

	for (size_t i = 0; names[i] != NULL; i++)
		if (strlen(names[i]) == n && strncmp(names[i], pair, n) == 0)
			return true;
	return configs_is_secret(pair, n);
}

static bool
has_name(const json_t *list, const char *pair)
{
	size_t n = strcspn(pair, "=") + 1, i;
	json_t *item;

	json_array_foreach ((json_t *)list, i, item)
		if (strncmp(json_string_value(item), pair, n) == 0)
			return true;
	return false;
}

/* The variables of an agent: what its configurations say besides keys, the first that says it, and the way to
 * the gateway. */
static char *
agent_variables(const struct task *t)
{
	const struct configs *keys = &t->run->keys;
	json_t *list = json_array();
	char *text;

	json_array_append_new(
	    list, json_sprintf("ANTHROPIC_BASE_URL=http://127.0.0.1:%u", t->run->daemon->gw.port));
	json_array_append_new(list, json_sprintf("ANTHROPIC_AUTH_TOKEN=%s", t->token));
	for (size_t i = 0; i < keys->count; i++)
		for (char **p = keys->v[i].env; *p != NULL; p++)
			if (!is_for_gateway(*p) && !has_name(list, *p))
				json_array_append_new(list, json_string(*p));
	text = json_text(list);
	json_decref(list);
	return text;
}

static int
mint(struct task *t)
{
	char token[TOKEN_SIZE];
	int rc = token_make(token);

	if (rc < 0)
		return rc;
	t->token = xstrdup(token);
	explicit_bzero(token, sizeof(token));
	gw_tell_token(t->run->daemon, t);
	return 0;
}

void
secrets_send(struct task *t)
{
	struct daemon *d = t->run->daemon;
	struct msg m = {.id = MSG_SECRETS, .secrets = {.name = "gateway"}};
	struct err e = {""};
	char *json;
	int rc;

	if (d->gw.adopted) /* it will tell which token the role has */
		return;
	rc = gw_bind(d, &e);
	if (rc == 0 && t->token == NULL && (rc = mint(t)) < 0)
		err_sys(&e, rc, "cannot make a token");
	if (rc == 0) {
		json = agent_variables(t);
		m.secrets.env_json = json;
		m.secrets.answer_ms = (uint64_t)configs_answer_ms(&t->run->keys);
		m.secrets.idle_ms = CONFIGS_IDLE_MS;
		rc = peer_send(t->peer, &m, &e);
		configs_wipe_free(json);
	}
	if (rc < 0)
		log_warn("%s: cannot tell its %s the way to the gateway: %s", t->id, task_role(t), e.msg);
}

void
secrets_resend(struct daemon *d, bool moved)
{
	struct run *r;
	struct task *t;

	TAILQ_FOREACH (r, &d->runs, entry)
		TAILQ_FOREACH (t, &r->tasks, entry)
			if (r->keys.count > 0 && t->peer != NULL && t->unit.state == UNIT_READY &&
			    (moved || t->token == NULL) && task_wants_token(t))
				secrets_send(t);
}

void
secrets_lost(struct daemon *d)
{
	struct run *r;

	TAILQ_FOREACH (r, &d->runs, entry) {
		char *why;

		if (!run_lacks_keys(r) || run_state_ended(run_state(r)) || r->lack_told)
			continue;
		r->lack_told = true;
		why = secrets_why(r);
		store_add_event(d->store, r->id, NULL, "keys", NULL, why);
		effect_mark_run(d, r);
		free(why);
	}
}

void
secrets_give(struct daemon *d, struct run *r, struct configs *keys)
{
	bool missing = run_lacks_keys(r);
	struct task *t;

	proc_hide_memory();
	configs_clear(&r->keys);
	r->keys = *keys;
	memset(keys, 0, sizeof(*keys));
	r->keyed = true;
	secrets_changed(d);
	effect_mark_run(d, r);
	if (missing)
		effect_give_way(d, r);
	if (r->lack_told)
		store_add_event(d->store, r->id, NULL, "keys", NULL, "it has its keys again");
	r->lack_told = false;
	gw_tell_keys(d, r);
	TAILQ_FOREACH (t, &r->tasks, entry) {
		t->changed = true;
		if (t->limited && task_state(t) == TASK_WAITING)
			t->wait_until =
			    1; /* what it waited for are other keys now; 0 would be for a person */
	}
	secrets_resend(d, false);
}

void
secrets_reload(struct daemon *d)
{
	struct run *r;

	log_info("SIGHUP: refused keys are tried again; orchctl keys --reload FILE gives other ones");
	TAILQ_FOREACH (r, &d->runs, entry)
		if (r->keys.count > 0)
			gw_tell_keys(d, r);
}

char *
secrets_why(const struct run *r)
{
	return xasprintf(
	    "its keys were in the memory of an orchd that ended: run `orchctl resume %s --keys FILE`", r->id);
}
