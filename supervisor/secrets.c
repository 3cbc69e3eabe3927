/*
 * secrets: the keys of runs. They come by message, live in this process's memory and nowhere else, go to the
 * roles of their run by message, and are what our log and store must never hold. What is kept of them is
 * that a run had some.
 */
#include "supervisor/daemon.h"

#include "common/alloc.h"
#include "common/log.h"
#include "common/proc.h"
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

/* Every configuration that passed the check can be used; which one is best is the gateway's to find out. */
void
secrets_send(struct task *t)
{
	const struct config *c = &t->run->keys.v[0];
	char *json = configs_env_json(c);
	struct msg m = {.id = MSG_SECRETS, .secrets = {.name = c->name, .env_json = json}};
	struct err e = {""};

	if (peer_send(t->peer, &m, &e) < 0)
		log_warn("%s: cannot send its %s the keys: %s", t->id, task_role(t), e.msg);
	configs_wipe_free(json);
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
	if (missing) {
		store_add_event(d->store, r->id, NULL, "keys", NULL, "it has its keys again");
		effect_give_way(d, r);
	}
	TAILQ_FOREACH (t, &r->tasks, entry) {
		t->changed = true;
		if (t->peer != NULL && t->unit.state == UNIT_READY)
			secrets_send(t);
	}
}

char *
secrets_why(const struct run *r)
{
	return xasprintf(
	    "its keys were in the memory of an orchd that ended: run `orchctl resume %s --keys FILE`", r->id);
}
