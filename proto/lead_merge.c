/* lead_merge: takes in what the children have handed in, as many of them together as there are (see lead.h).
 */
#include "proto/lead.h"

#include "common/alloc.h"
#include "common/integrate.h"
#include "common/log.h"
#include "common/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MERGE_TITLE_MAX 200

/* The child's row may move while we wait: everything that is needed of it is copied first. */
struct submission {
	char *task, *base, *head, *owns_json, *message;
	uint64_t at;
};

struct round {
	struct lead *ld;
	struct submission *list; /* oldest first */
	struct integrate_item *items;
	size_t count;
};

static int
by_age(const void *a, const void *b)
{
	const struct submission *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static void
collect(struct round *m)
{
	const struct team *t = &m->ld->role->team;

	m->list = xcalloc(t->count + 1, sizeof(*m->list));
	for (size_t i = 0; i < t->count; i++) {
		const struct team_child *c = &t->list[i];
		struct submission *s = &m->list[m->count];
		char *title;

		if (c->state != TEAM_SUBMITTED || c->answered)
			continue;
		title = text_line(c->title, MERGE_TITLE_MAX);
		*s = (struct submission){.task = xstrdup(c->task),
		    .base = xstrdup(c->base),
		    .head = xstrdup(c->head),
		    .owns_json = xstrdup(c->owns_json),
		    .message = xasprintf("Merge %s: %s\n\nOrch-Task: %s\n", c->task, title, c->task),
		    .at = c->submitted_at};
		m->count++;
		free(title);
	}
	qsort(m->list, m->count, sizeof(*m->list), by_age);
}

static void
submission_clear(struct submission *s)
{
	free(s->task);
	free(s->base);
	free(s->head);
	free(s->owns_json);
	free(s->message);
}

static void
round_clear(struct round *m)
{
	for (size_t i = 0; i < m->count; i++)
		submission_clear(&m->list[i]);
	free(m->list);
	free(m->items);
}

/* The child as it is now, when this is still what it hands in; NULL. */
static struct team_child *
claimant(struct round *m, const struct submission *s)
{
	struct team *t = &m->ld->role->team;

	for (size_t i = 0; i < t->count; i++) {
		struct team_child *c = &t->list[i];

		if (strcmp(c->task, s->task) == 0)
			return c->state == TEAM_SUBMITTED && c->submitted_at == s->at && !c->answered ? c
												      : NULL;
	}
	return NULL;
}

static bool
is_wanted(void *arg, size_t i)
{
	struct round *m = arg;

	return claimant(m, &m->list[i]) != NULL;
}

static int
furnish(void *arg, struct err *e)
{
	struct round *m = arg;

	return role_furnish_lead(m->ld->role, e);
}

/* Is the work of a plan's item part of commit? 1, 0 or -errno. */
static int
is_in(struct round *m, const char *key, const char *commit, struct err *e)
{
	struct team_child *c = team_find(&m->ld->role->team, key);
	char *head;
	int rc;

	if (c == NULL || c->state == TEAM_INTEGRATED || c->head == NULL)
		return c != NULL && c->state == TEAM_INTEGRATED;
	head = xstrdup(c->head);
	rc = git_is_ancestor(&m->ld->role->git, head, commit, e);
	free(head);
	return rc;
}

/* An EM has its area's; a director those of all areas whose work the commit holds: one may break another's.
 */
static int
commands_of_areas(void *arg, const char *commit, json_t **areas, struct err *e)
{
	struct round *m = arg;
	const struct plan *p = &m->ld->plan;
	json_t *list = json_array();
	int rc = 0;

	json_array_extend(list, m->ld->role->areas);
	for (size_t i = 0; rc >= 0 && i < p->count; i++) {
		json_t *own;

		if (p->items[i].verify_json == NULL || (rc = is_in(m, p->items[i].id, commit, e)) <= 0)
			continue;
		own = json_loads(p->items[i].verify_json, 0, NULL);
		json_array_extend(list, own);
		json_decref(own);
	}
	if (rc < 0 || json_array_size(list) == 0) {
		json_decref(list);
		list = NULL;
	}
	*areas = list;
	return rc < 0 ? rc : 0;
}

/*
 * An answer that orchd refuses is forgiven when the child has changed under us (it was cancelled): its CHILD
 * came before the refusal. Anything else is a fault, and starting again from what orchd knows is the cure.
 */
static int
settle(struct round *m, const struct submission *s, int rc, struct err *e)
{
	struct team_child *c = claimant(m, s);

	if (c == NULL)
		return rc == -ECANCELED ? rc : 0;
	if (rc == 0)
		c->answered = true;
	return rc < 0 && rc != -ECANCELED ? err_prefix(e, rc, "answering for %s", s->task) : rc;
}

static int
tell_integrated(struct round *m, const struct submission *s, const char *head, struct err *e)
{
	const struct msg msg = {.id = MSG_INTEGRATED, .integrated = {.task = s->task, .head = head}};

	if (claimant(m, s) == NULL)
		return 0;
	log_info("%s is integrated", s->task);
	return link_call(m->ld->role->link, &msg, NULL, e);
}

/* With our tip, to merge first. The evidence begins with the reason: a gate's output alone does not say what
 * was run. */
static int
send_back(struct round *m, const struct submission *s, const struct integrate_result *res, struct err *e)
{
	char *evidence;
	int rc;

	if (claimant(m, s) == NULL)
		return 0;
	evidence = xasprintf("%s.\n\n%s", res->reason, res->evidence);
	rc = role_rework(m->ld->role, s->task, res->reason, evidence, res->head, e);
	free(evidence);
	return rc;
}

/* What the gate said of a merge that was kept, where that was not simply yes. */
static int
heed_gate(struct round *m, const struct submission *s, const struct integrate_result *res, struct err *e)
{
	struct role *r = m->ld->role;

	if (res->note != NULL)
		link_event(r->link, "gate", "%s merged: %s", s->task, res->note);
	if (r->known.now == 0 || !res->green)
		return 0;
	link_event(r->link, "gate", "with %s merged the gate passes on %s: from here on it counts", s->task,
	    m->ld->branch);
	return known_gate_note(r, &(struct known_gate){.base = r->known.base}, e);
}

static int
answer(struct round *m, const struct integrate_result *res, struct err *e)
{
	const struct submission *s = &m->list[res->item];
	int rc = 0;

	switch (res->verdict) {
	case INTEGRATE_MERGED:
		rc = heed_gate(m, s, res, e);
		if (rc == 0)
			rc = tell_integrated(m, s, res->head, e);
		break;
	case INTEGRATE_RED: /* of a full disk? */
		rc = role_check_room(m->ld->role, e);
		if (rc == 0)
			rc = send_back(m, s, res, e);
		break;
	case INTEGRATE_CONFLICT:
		rc = send_back(m, s, res, e);
		break;
	}
	return settle(m, s, rc, e);
}

/* What trespasses goes back at once, and the others are merged without it. */
static int
check(struct round *m, struct err *e)
{
	size_t kept = 0;
	int rc = 0;

	for (size_t i = 0; i < m->count; i++) {
		struct submission *s = &m->list[i];
		char *reason = NULL, *evidence = NULL;

		if (rc >= 0)
			rc =
			    lead_check(m->ld, s->task, s->base, s->head, s->owns_json, &reason, &evidence, e);
		if (rc == 0 && claimant(m, s) != NULL)
			rc = settle(m, s, role_rework(m->ld->role, s->task, reason, evidence, NULL, e), e);
		if (reason != NULL)
			submission_clear(s);
		else
			m->list[kept++] = *s;
		free(reason);
		free(evidence);
	}
	m->count = kept;
	return rc < 0 ? rc : 0;
}

static void
tell_doing(const struct round *m)
{
	char *names = xstrdup("");

	for (size_t i = 0; i < m->count; i++) {
		char *longer = xasprintf("%s%s%s", names, i == 0 ? "" : ", ", m->list[i].task);

		free(names);
		names = longer;
	}
	if (m->count > 0)
		link_doing(m->ld->role->link, "merging %.400s", names);
	free(names);
}

static struct integrate_spec
spec_of(struct round *m)
{
	struct role *r = m->ld->role;

	return (struct integrate_spec){
	    .git = &r->git,
	    .branch = m->ld->branch,
	    .shared = (const char *const *)m->ld->plan.shared,
	    .worktree = r->worktree,
	    .verify = r->conf.verify,
	    .setup = r->conf.setup,
	    .setup_timeout_ms = (int64_t)r->conf.setup_timeout_ms,
	    .furnish = furnish,
	    .arg = m,
	    .gate_env = (const char *const *)r->gate_env,
	    .gate_timeout_ms = (int64_t)r->conf.gate_timeout_ms,
	    .more = commands_of_areas,
	    .gate_known = r->known.now,
	};
}

static int
merge(struct round *m, struct err *e)
{
	struct integrate_spec spec = spec_of(m);
	struct integrate_result res;
	struct integrate *in;
	int rc;

	spec.wanted = is_wanted;
	m->items = xcalloc(m->count + 1, sizeof(*m->items));
	for (size_t i = 0; i < m->count; i++)
		m->items[i] = (struct integrate_item){m->list[i].head, m->list[i].message};
	in = integrate_new(&spec, m->items, m->count);
	while ((rc = integrate_next(in, &res, e)) == 1) {
		rc = answer(m, &res, e);
		integrate_result_clear(&res);
		if (rc < 0)
			break;
	}
	integrate_free(in);
	return rc;
}

int
lead_merge(struct lead *ld, struct err *e)
{
	struct round m = {.ld = ld};
	int rc;

	collect(&m);
	tell_doing(&m);
	rc = check(&m, e);
	if (rc == 0)
		rc = merge(&m, e);
	if (rc < 0 && rc != -ECANCELED)
		err_prefix(e, rc, "merging into %s", ld->branch);
	round_clear(&m);
	return rc;
}

int
lead_take_in(
    struct lead *ld, const char *commit, const char *message, struct integrate_result *res, struct err *e)
{
	struct round m = {.ld = ld};
	struct integrate_spec spec = spec_of(&m);
	const struct integrate_item item = {commit, message};
	struct integrate *in = integrate_new(&spec, &item, 1);
	int rc = integrate_next(in, res, e);

	integrate_free(in);
	if (rc < 0)
		return rc;
	rc = 0;
	if (res->verdict == INTEGRATE_RED)
		rc = role_check_room(ld->role, e);
	else if (res->verdict == INTEGRATE_MERGED && res->green && ld->role->known.now != 0)
		rc = known_gate_note(ld->role, &(struct known_gate){.base = ld->role->known.base}, e);
	if (rc < 0)
		integrate_result_clear(res);
	return rc;
}
