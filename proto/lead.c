/* lead: the loop that takes submissions in and cleans up (see lead.h; the plan is in lead_plan.c). */
#include "proto/lead.h"

#include "common/alloc.h"
#include "common/integrate.h"
#include "common/log.h"
#include "common/text.h"
#include "proto/known_gate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MERGE_TITLE_MAX 200

void
lead_clear(struct lead *ld)
{
	plan_clear(&ld->plan);
	free(ld->plan_json);
	memset(ld, 0, sizeof(*ld));
}

static int
tell_integrated(struct lead *ld, const struct team_child *c, const char *head, struct err *e)
{
	const struct msg m = {.id = MSG_INTEGRATED, .integrated = {.task = c->task, .head = head}};

	log_info("%s is integrated", c->task);
	return link_call(ld->role->link, &m, NULL, e);
}

/* The evidence begins with the reason: a gate's output alone does not say what was run. */
static int
send_back(struct lead *ld, const char *task, const struct integrate_result *res, struct err *e)
{
	char *evidence = xasprintf("%s.\n\n%s", res->reason, res->evidence);
	int rc = role_rework(ld->role, task, res->reason, evidence, res->head, e);

	free(evidence);
	return rc;
}

/* What orchd is to know of a merge; a conflict or a red gate sends the child back with our tip to merge
 * first. */
static int
answer(struct lead *ld, const char *task, const struct integrate_result *res, struct err *e)
{
	struct team_child *c = NULL;
	struct team *t = &ld->role->team;

	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->list[i].task, task) == 0)
			c = &t->list[i];
	if (c == NULL)
		return 0;
	switch (res->verdict) {
	case INTEGRATE_MERGED:
		return tell_integrated(ld, c, res->head, e);
	case INTEGRATE_CONFLICT:
	case INTEGRATE_RED:
		return send_back(ld, task, res, e);
	}
	return 0;
}

/* What the gate said of a merge that was kept, where that was not simply yes. */
static int
heed_gate(struct lead *ld, const char *task, const struct integrate_result *res, struct known_gate *k,
    struct err *e)
{
	struct role *r = ld->role;

	if (res->note != NULL)
		link_event(r->link, "gate", "%s merged: %s", task, res->note);
	if (k->now == 0 || !res->green)
		return 0;
	link_event(r->link, "gate", "with %s merged the gate passes on %s: from here on it counts", task,
	    ld->branch);
	k->now = 0;
	return known_gate_write(r, r->assign->task, k, e);
}

/*
 * An answer that orchd refuses is forgiven when the child has changed under us (it was cancelled): its CHILD
 * came before the refusal. Anything else is a fault, and starting again from what orchd knows is the cure.
 */
static int
settle(struct lead *ld, const char *task, uint64_t submitted_at, int rc, struct err *e)
{
	struct team *t = &ld->role->team;

	for (size_t i = 0; i < t->count; i++) {
		struct team_child *c = &t->list[i];

		if (strcmp(c->task, task) != 0)
			continue;
		if (c->state != TEAM_SUBMITTED || c->submitted_at != submitted_at)
			return rc == -ECANCELED ? rc : 0;
		if (rc == 0)
			c->answered = true;
	}
	return rc < 0 && rc != -ECANCELED ? err_prefix(e, rc, "answering for %s", task) : rc;
}

/* The child's row may move while we wait: everything that is needed of it is copied first. */
static int
integrate_child(struct lead *ld, const struct team_child *c, struct err *e)
{
	struct role *r = ld->role;
	uint64_t submitted_at = c->submitted_at;
	char *task = xstrdup(c->task), *head = xstrdup(c->head),
	     *title = text_line(c->title, MERGE_TITLE_MAX);
	char *message = xasprintf("Merge %s: %s\n\nOrch-Task: %s\n", task, title, task);
	struct integrate_spec spec = {
	    .git = &r->git,
	    .branch = ld->branch,
	    .head = head == NULL ? "" : head,
	    .message = message,
	    .worktree = r->worktree,
	    .verify = r->conf.verify,
	    .setup = r->conf.setup,
	    .setup_timeout_ms = (int64_t)r->conf.setup_timeout_ms,
	    .furnish = role_furnish_lead,
	    .arg = r,
	    .gate_env = (const char *const *)r->gate_env,
	    .gate_timeout_ms = (int64_t)r->conf.gate_timeout_ms,
	};
	struct integrate_result res = {0};
	struct known_gate known = {0};
	int rc = 0;

	link_doing(r->link, "merging %s: %s", task, title);
	rc = lead_check(ld, c, &res.reason, &res.evidence, e);
	if (rc == 0) {
		rc = role_rework(r, task, res.reason, res.evidence, NULL, e);
		rc = settle(ld, task, submitted_at, rc, e);
		goto out;
	}
	if (rc > 0)
		rc = spec.verify == NULL ? 0 : known_gate_read(r, r->assign->task, &known, e);
	spec.gate_known = known.now;
	if (rc == 0)
		rc = integrate_run(&spec, &res, e);
	if (rc < 0 && rc != -ECANCELED) {
		err_prefix(e, rc, "merging %s", task);
	} else if (rc == 0) {
		rc = heed_gate(ld, task, &res, &known, e);
		if (rc == 0)
			rc = answer(ld, task, &res, e);
		rc = settle(ld, task, submitted_at, rc, e);
	}
out:
	integrate_result_clear(&res);
	free(task);
	free(head);
	free(title);
	free(message);
	return rc;
}

/* Marks the child whose task it was, if it still is as dead as it was. */
static int
clean_child(struct lead *ld, struct team_child *c, struct err *e)
{
	char *key = xstrdup(c->key);
	int rc;

	/* A CHILD that comes while we sweep unmarks it again when it has come back to life (a retry). */
	c->cleaned = true;
	rc = lead_sweep(ld->role, c, e);
	if (rc < 0 && (c = team_find(&ld->role->team, key)) != NULL)
		c->cleaned = false;
	free(key);
	return rc;
}

int
lead_serve(struct lead *ld, struct err *e)
{
	struct role *r = ld->role;

	for (;;) {
		struct team_child *c;
		int rc = 0;

		r->team.changed = false;
		switch (team_next(&r->team, ld->cancelled, &c)) {
		case TEAM_INTEGRATE:
			rc = integrate_child(ld, c, e);
			break;
		case TEAM_CLEAN:
			rc = clean_child(ld, c, e);
			break;
		case TEAM_WAIT:
			link_doing(r->link, "waiting for %zu of %zu tasks", team_count(&r->team).open,
			    r->team.count);
			rc = loop_wait(&r->loop, &r->team.changed, -1);
			break;
		case TEAM_DONE:
			return lead_remove_worktree(ld, e);
		}
		if (rc < 0)
			return rc;
	}
}

int
lead_remove_worktree(struct lead *ld, struct err *e)
{
	role_remove_tmp(ld->role, ld->role->assign->task);
	return git_worktree_remove(&ld->role->git, ld->role->worktree, e);
}
