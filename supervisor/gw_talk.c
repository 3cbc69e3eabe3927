/*
 * gw_talk: what orchd and the gateway say to each other (see gw.h). What comes is data: it can be counted,
 * shown and kept, and decides nothing about tasks that the tasks' own roles do not decide.
 */
#include "supervisor/daemon.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/token.h"
#include "proto/msg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Saying. */

static void
say(struct daemon *d, const struct msg *m)
{
	struct err e = {""};

	if (d->gw.peer == NULL || d->gw.unit.state != UNIT_READY)
		return;
	if (peer_send(d->gw.peer, m, &e) == -EINVAL)
		log_error("BUG: cannot tell the gateway: %s", e.msg);
}

void
gw_tell_keys(struct daemon *d, const struct run *r)
{
	char *text = r->keys.count > 0 ? configs_text(&r->keys) : NULL;
	char *prices = r->conf.prices == NULL ? NULL : json_text(r->conf.prices);
	const struct msg m = {.id = MSG_GW_KEYS,
	    .gw_keys = {.run = r->id,
		.configs_json = text,
		.current = d->gw.current != NULL && strcmp(d->gw.current, r->id) == 0,
		.prices_json = prices}};

	say(d, &m);
	configs_wipe_free(text);
	free(prices);
}

static void
tell_budget(struct daemon *d, const struct msg_gw_budget *b)
{
	const struct msg m = {.id = MSG_GW_BUDGET, .gw_budget = *b};

	if (b->max_uusd > 0 || b->max_tokens > 0)
		say(d, &m);
}

static void
tell_run_budget(struct daemon *d, const struct run *r)
{
	struct run_counts c;

	run_count(r, &c);
	tell_budget(d, &(struct msg_gw_budget){.target = r->id,
			   .max_uusd = r->conf.max_run_musd * 1000,
			   .max_tokens = r->conf.max_run_tokens,
			   .used_uusd = c.cost_uusd,
			   .used_tokens = c.tokens_in + c.tokens_out});
}

/* Of the task in all its attempts, and of the present one, whichever ends first. */
static void
tell_task_budget(struct daemon *d, const struct task *t)
{
	tell_budget(d, &(struct msg_gw_budget){.target = t->id,
			   .own = true,
			   .max_uusd = task_max_uusd(t),
			   .max_tokens = t->run->conf.max_task_tokens,
			   .used_uusd = (uint64_t)t->gw_cost_uusd,
			   .used_tokens = (uint64_t)(t->gw_tokens_in + t->gw_tokens_out)});
}

void
gw_tell_token(struct daemon *d, const struct task *t)
{
	const struct msg m = {.id = MSG_GW_TOKEN_ADD,
	    .gw_token_add = {.task = t->id, .attempt = (uint64_t)t->attempt, .token = t->token}};

	tell_task_budget(d, t); /* first: no request is to be before it */
	say(d, &m);
}

void
gw_end_token(struct daemon *d, struct task *t)
{
	const struct msg m = {.id = MSG_GW_TOKEN_DEL, .gw_token_del = {.task = t->id}};

	if (t->token == NULL)
		return;
	configs_wipe_free(t->token);
	t->token = NULL;
	say(d, &m);
}

/* What is known of one key, from an earlier gateway or an earlier orchd. */
struct known {
	struct daemon *d;
	const char *run;
};

static void
tell_known(void *arg, const struct store_key *k)
{
	struct known *to = arg;
	const struct msg m = {.id = MSG_GW_KEY_KNOWN,
	    .gw_key_known = {.run = to->run,
		.name = k->name,
		.state = k->state,
		.family = k->family,
		.until = (uint64_t)k->until,
		.why = k->why}};

	/* Keys that orchd was given again are as good as loaded again. */
	if (strcmp(k->state, "benched") == 0 || strcmp(k->state, "unreachable") == 0)
		say(to->d, &m);
}

static void
tell_all_known(struct daemon *d)
{
	struct gw *g = &d->gw;
	struct known to = {.d = d, .run = g->current};
	struct err e = {""};

	if (g->current == NULL)
		return;
	for (size_t i = 0; i < g->rows.count; i++) {
		const struct msg_gw_key_state *k = &g->rows.v[i]->gw_key_state;
		const struct msg m = {.id = MSG_GW_KEY_KNOWN,
		    .gw_key_known = {.run = k->run,
			.name = k->name,
			.state = k->state,
			.family = k->family,
			.until = k->until,
			.why = k->why}};

		if (strcmp(k->run, g->current) == 0)
			say(d, &m);
	}
	if (g->rows.count == 0 && store_each_key(d->store, g->current, tell_known, &to, &e) < 0)
		log_warn("%s", e.msg);
}

static void
tell_attempts(struct daemon *d)
{
	struct run *r;
	struct task *t;

	TAILQ_FOREACH (r, &d->runs, entry) {
		if (r->keys.count == 0)
			continue;
		tell_run_budget(d, r);
		TAILQ_FOREACH (t, &r->tasks, entry)
			if (t->token != NULL)
				gw_tell_token(d, t);
	}
}

void
gw_tell_all(struct daemon *d)
{
	const struct msg end = {.id = MSG_END};
	struct run *r = gw_current_run(d);

	xreplace(&d->gw.current, r == NULL ? NULL : r->id);
	TAILQ_FOREACH (r, &d->runs, entry)
		if (r->keys.count > 0)
			gw_tell_keys(d, r);
	tell_all_known(d);
	tell_attempts(d);
	say(d, &end);
}

void
gw_use(struct daemon *d, const struct run *r)
{
	const struct msg m = {.id = MSG_GW_KEYS, .gw_keys = {.run = r->id, .current = true}};

	xreplace(&d->gw.current, r->id);
	gw_rows_clear(&d->gw.rows);
	say(d, &m);
	tell_all_known(d);
	tell_run_budget(d, r);
}

/* Hearing. */

static struct task *
find_task(struct daemon *d, const char *id)
{
	return id == NULL || !taskid_valid(id) ? NULL : runs_find_task(&d->runs, id);
}

/* From a gateway that we adopted: the keys that our predecessor gave it. */
static void
on_has_keys(struct daemon *d, const struct msg_gw_has_keys *m)
{
	struct run *r = runs_find(&d->runs, m->run);
	struct configs keys;
	struct err e = {""};

	if (r == NULL) {
		const struct msg none = {.id = MSG_GW_KEYS, .gw_keys = {.run = m->run}};

		say(d, &none);
		return;
	}
	if (m->current)
		xreplace(&d->gw.current, r->id);
	if (!run_lacks_keys(r) || m->configs_json == NULL)
		return; /* a person was faster */
	if (secrets_parse(&keys, m->configs_json, &e) < 0)
		log_error("run %s: the gateway's keys cannot be read: %s", r->id, e.msg);
	else
		secrets_give(d, r, &keys);
}

static void
on_has_token(struct daemon *d, const struct msg_gw_has_token *m)
{
	struct task *t = find_task(d, m->task);

	if (t != NULL && t->token == NULL && unit_has_process(&t->unit) && token_valid(m->token)) {
		t->token = xstrdup(m->token);
	} else if (t == NULL || t->token == NULL) {
		const struct msg gone = {.id = MSG_GW_TOKEN_DEL, .gw_token_del = {.task = m->task}};

		say(d, &gone);
	}
}

static void
on_ready(struct daemon *d, const struct msg_gw_ready *m)
{
	struct gw *g = &d->gw;
	struct run *r;
	bool was_adopted = g->adopted;

	g->ready = true;
	if (!was_adopted)
		return;
	g->adopted = false;
	if (m->port <= UINT16_MAX)
		g->port = (unsigned)m->port;
	TAILQ_FOREACH (r, &d->runs, entry)
		if (r->keys.count > 0)
			gw_tell_keys(d, r);
	tell_attempts(d);
	secrets_resend(d, false);
	secrets_lost(d);
	log_info("the gateway is back, on port %u", g->port);
}

static void
tell_role(struct task *t, const struct msg_gw_note *m)
{
	const struct msg seen = {
	    .id = MSG_SEEN, .seen = {.kind = m->kind, .text = m->text, .until = m->until}};

	if (t->peer != NULL && t->unit.state == UNIT_READY)
		peer_send(t->peer, &seen, NULL);
}

/* "retry" is what agents do. */
static void
on_note(struct daemon *d, const struct msg_gw_note *m)
{
	struct task *t = find_task(d, m->task);
	const char *kind = strcmp(m->kind, "retry") == 0 ? "again" : m->kind;
	const char *run = t != NULL ? t->run->id : d->gw.current;

	store_add_event(d->store, run, t != NULL ? t->id : NULL, kind, NULL, m->text);
	if (t == NULL)
		return;
	tell_role(t, m);
}

static void
on_usage(struct daemon *d, const struct msg_gw_usage *m)
{
	struct task *t = find_task(d, m->task);

	if (m->serial <= d->gw.serial)
		return; /* told again, for our predecessor did not live to say that it had it */
	gw_count(d, m->serial);
	if (t == NULL)
		return;
	t->gw_requests++;
	t->gw_cost_uusd += (int64_t)m->cost_uusd;
	t->gw_tokens_in += (int64_t)(m->input + m->cache_read + m->cache_write);
	t->gw_tokens_out += (int64_t)m->output;
	effect_mark_task(d, t);
}

void
gw_reconcile(struct daemon *d, struct task *t)
{
	int64_t in = t->gw_tokens_in - t->tokens_in, out = t->gw_tokens_out - t->tokens_out;
	char *text;

	if (!t->agent_done || t->gw_requests == 0 || (in == t->gap_in && out == t->gap_out))
		return;
	t->gap_in = in;
	t->gap_out = out;
	text = xasprintf("the gateway counted %lld + %lld tokens, its agent says %lld + %lld",
	    (long long)t->gw_tokens_in, (long long)t->gw_tokens_out, (long long)t->tokens_in,
	    (long long)t->tokens_out);
	store_add_event(d->store, t->run->id, t->id, "usage", NULL, text);
	free(text);
}

void
gw_rows_clear(struct gw_rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		free(rows->v[i]);
	free(rows->v);
	memset(rows, 0, sizeof(*rows));
}

static bool
same_text(const char *a, const char *b)
{
	return strcmp(a == NULL ? "" : a, b == NULL ? "" : b) == 0;
}

/* Is what is worth keeping still the same? Counts of requests are not. */
static bool
same_evidence(const struct gw_rows *a, const struct gw_rows *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct msg_gw_key_state *x = &a->v[i]->gw_key_state, *y = &b->v[i]->gw_key_state;

		if (!same_text(x->run, y->run) || !same_text(x->name, y->name) ||
		    !same_text(x->state, y->state) || !same_text(x->family, y->family) ||
		    !same_text(x->why, y->why) || !same_text(x->organisation, y->organisation))
			return false;
	}
	return true;
}

static void
keep_evidence(struct daemon *d, const struct gw_rows *rows)
{
	struct store_key *keys = xcalloc(rows->count, sizeof(*keys));

	for (size_t i = 0; i < rows->count; i++) {
		const struct msg_gw_key_state *k = &rows->v[i]->gw_key_state;

		keys[i] = (struct store_key){.name = k->name,
		    .family = k->family,
		    .state = k->state,
		    .why = k->why,
		    .organisation = k->organisation,
		    .until = (int64_t)k->until,
		    .since = (int64_t)k->since};
	}
	store_note_keys(d->store, rows->v[0]->gw_key_state.run, keys, rows->count);
	free(keys);
}

static void
on_key_state(struct daemon *d, const struct msg *m)
{
	struct gw *g = &d->gw;

	if (m->gw_key_state.first)
		gw_rows_clear(&g->coming);
	if (g->coming.count >= GW_ROWS_MAX)
		return;
	g->coming.v = xrealloc(g->coming.v, (g->coming.count + 1) * sizeof(*g->coming.v));
	g->coming.v[g->coming.count++] = msg_dup(m);
	if (g->coming.count < m->gw_key_state.rows)
		return;
	if (!same_evidence(&g->rows, &g->coming))
		keep_evidence(d, &g->coming);
	gw_rows_clear(&g->rows);
	g->rows = g->coming;
	memset(&g->coming, 0, sizeof(g->coming));
}

static void
dispatch(struct daemon *d, struct peer *p, const struct msg *m)
{
	switch (m->id) {
	case MSG_GW_HAS_KEYS:
		on_has_keys(d, &m->gw_has_keys);
		break;
	case MSG_GW_HAS_TOKEN:
		on_has_token(d, &m->gw_has_token);
		break;
	case MSG_GW_READY:
		on_ready(d, &m->gw_ready);
		break;
	case MSG_GW_NOTE:
		on_note(d, &m->gw_note);
		break;
	case MSG_GW_USAGE:
		on_usage(d, &m->gw_usage);
		break;
	case MSG_GW_KEY_STATE:
		on_key_state(d, m);
		break;
	case MSG_ERROR:
		log_warn("the gateway answered: %s", m->error.text);
		return;
	default:
		peer_error(p, m->request, ENOSYS, "orchd takes no such message");
		return;
	}
	peer_ack(p, m->request, NULL);
}

/* An endpoint's own words may be in it. */
void
gw_message(struct daemon *d, struct peer *p, const struct msg *m)
{
	struct msg *clean = msg_redact(m, d->redact);

	dispatch(d, p, clean == NULL ? m : clean);
	free(clean);
}
