/*
 * cmd_keys: orchctl keys: what the gateway knows of each key, and new keys for a run. No key is ever shown.
 */
#include "supervisor/ctl/cmds.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/json.h"
#include "proto/msg.h"
#include "supervisor/ctl/keys.h"
#include "supervisor/ctl/line.h"
#include "supervisor/ctl/term.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* KEY_INFO messages. */
struct rows {
	struct msg **v;
	size_t count;
};

static void
on_row(void *arg, const struct msg *m)
{
	struct rows *r = arg;

	if (m->id != MSG_KEY_INFO)
		return;
	r->v = xrealloc(r->v, (r->count + 1) * sizeof(*r->v));
	r->v[r->count++] = msg_dup(m);
}

static void
add_text(json_t *o, const char *name, const char *value)
{
	bool none = value == NULL || value[0] == '\0';

	json_object_set_new(o, name, none ? json_null() : json_string(value));
}

static void
add_time(json_t *o, const char *name, uint64_t value)
{
	json_object_set_new(o, name, value == 0 ? json_null() : json_integer((json_int_t)value));
}

static json_t *
row_object(const struct msg_key_info *k)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "run", k->run, "name",
	    k->name, "state", k->state, "in_flight", (json_int_t)k->in_flight, "limit", (json_int_t)k->limit,
	    "requests", (json_int_t)k->requests, "tokens_in", (json_int_t)k->tokens_in, "tokens_out",
	    (json_int_t)k->tokens_out, "cost_uusd", (json_int_t)k->cost_uusd, "shared", (int)k->shared);

	add_text(o, "endpoint", k->endpoint);
	add_text(o, "organisation", k->organisation);
	add_text(o, "family", k->family);
	add_text(o, "why", k->why);
	add_text(o, "prices", k->prices);
	add_time(o, "until", k->until);
	add_time(o, "since", k->since);
	return o;
}

static void
show_json(const struct rows *r)
{
	json_t *list = json_array();
	char *text;

	for (size_t i = 0; i < r->count; i++)
		json_array_append_new(list, row_object(&r->v[i]->key_info));
	text = json_text(list);
	puts(text);
	free(text);
	json_decref(list);
}

/* One that is benched until a time that has passed serves again, though nobody has asked it yet. */
static const char *
state_of(const struct msg_key_info *k)
{
	bool over = strcmp(k->state, "benched") == 0 && (int64_t)k->until <= clock_wall_ms();

	return over ? "ok" : k->state;
}

static void
show_row(struct lines *l, const struct msg_key_info *k, bool again)
{
	const char *state = state_of(k);
	bool ok = strcmp(state, "ok") == 0;
	char *numbers = xasprintf("%llu under way, %llu requests, %llu + %llu tokens, %.2f USD",
	    (unsigned long long)k->in_flight, (unsigned long long)k->requests,
	    (unsigned long long)k->tokens_in, (unsigned long long)k->tokens_out, (double)k->cost_uusd / 1e6);

	line_add(l, LINE_PLAIN, again ? "" : k->name);
	line_to(l, 14);
	line_add(l, ok ? LINE_PLAIN : LINE_BAD, state);
	line_to(l, 27);
	line_wrap(l, LINE_PLAIN, ok || k->why == NULL || k->why[0] == '\0' ? numbers : k->why, 27);
	line_end(l);
	if (!again && !ok) {
		line_to(l, 14);
		line_add(l, LINE_DIM, numbers);
		line_end(l);
	}
	if (!again && k->endpoint != NULL) {
		line_to(l, 14);
		line_add(l, LINE_DIM, k->endpoint);
		if (k->organisation != NULL && k->organisation[0] != '\0') {
			line_add(l, LINE_DIM, ", organisation ");
			line_add(l, LINE_DIM, k->organisation);
		}
		line_end(l);
	}
	free(numbers);
}

static void
show_text(const struct rows *r)
{
	struct lines l;
	const char *before = "";
	bool shared = false;

	lines_init(&l, term_text_width(stdout), term_colour(stdout));
	for (size_t i = 0; i < r->count; i++) {
		const struct msg_key_info *k = &r->v[i]->key_info;

		show_row(&l, k, strcmp(before, k->name) == 0);
		before = k->name;
		shared |= k->shared;
	}
	if (shared)
		line_add(
		    &l, LINE_BAD, "Keys of one organisation share its limits: a second one gains nothing.");
	if (shared)
		line_end(&l);
	if (r->count > 0 && r->v[0]->key_info.prices != NULL) {
		line_addf(&l, LINE_DIM, "USD by the prices of %s", r->v[0]->key_info.prices);
		line_end(&l);
	}
	if (r->count == 0) {
		line_add(&l, LINE_PLAIN, "no keys: agents use your own login");
		line_end(&l);
	}
	for (size_t i = 0; i < l.count; i++)
		puts(l.line[i]);
	lines_clear(&l);
}

/* In place of those that the run has: whoever waited for a key is woken. */
static int
reload(struct ctl *c, const char *run)
{
	struct err e = {""};
	int rc;

	c->args.keys_file = c->args.reload;
	rc = keys_read(c, &e);
	if (rc < 0) {
		ctl_say("%s; the keys stay as they were", e.msg);
		return CTL_USAGE;
	}
	rc = ctl_connect_ran(c);
	if (rc != CTL_OK)
		return rc;
	rc = keys_give(c, KEYS_FOR_RUN, run, NULL, &e);
	if (rc < 0)
		return ctl_fail(rc, &e);
	puts("the keys were loaded; orchctl keys shows them");
	return CTL_OK;
}

int
cmd_keys(struct ctl *c)
{
	struct msg m = {.id = MSG_KEY_LIST};
	struct rows r = {0};
	int rc;

	m.key_list.run = c->args.word_count > 0 ? c->args.words[0] : NULL;
	if (c->args.reload != NULL)
		return reload(c, m.key_list.run);
	rc = ctl_connect_ran(c);
	if (rc == CTL_OK)
		rc = ctl_ask(c, &m, on_row, &r);
	if (rc == CTL_OK && c->args.json)
		show_json(&r);
	else if (rc == CTL_OK)
		show_text(&r);
	for (size_t i = 0; i < r.count; i++)
		free(r.v[i]);
	free(r.v);
	return rc;
}
