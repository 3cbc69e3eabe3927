/* lead_gate: how the gate stands on the commit that a run starts from, before anybody is judged by it. */
#include "proto/lead.h"

#include "common/alloc.h"
#include "common/gate.h"
#include "common/log.h"
#include "common/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TAIL_MAX 2000

struct base {
	struct role *role;
	const char *commit;
	bool cannot_copy;
};

static int
fresh(void *arg, struct err *e)
{
	struct base *b = arg;
	struct role *r = b->role;
	struct git wt = {0};
	int rc = git_worktree_add(&r->git, r->worktree, NULL, b->commit, e);

	if (rc == 0)
		rc = git_init_worktree(&wt, &r->git, r->worktree, e);
	if (rc == 0)
		rc = git_worktree_exact(&wt, b->commit, e);
	git_clear(&wt);
	if (rc < 0)
		return rc;
	rc = role_furnish_lead(r, e);
	b->cannot_copy = rc < 0 && rc != -ECANCELED;
	return rc;
}

/* Nobody could work on a tree that cannot be set up: the run ends before it has cost anything. */
static int
refuse(struct lead *ld, const char *why, struct err *e)
{
	char *reason = xasprintf("the base cannot be set up: %s", why);
	int rc = lead_remove_worktree(ld, e);

	if (rc == 0)
		rc = role_fail(ld->role, ld->role->assign->task, reason, e);
	free(reason);
	return rc < 0 ? rc : ROLE_OVER;
}

static int
refuse_setup(struct lead *ld, const struct gate_result *g, struct err *e)
{
	char *what = gate_summary(ld->role->conf.verify, g);
	char *tail = text_tail(g->output, strlen(g->output), TAIL_MAX);
	char *why = xasprintf("%s. The end of what it said:\n%s", what, tail);
	int rc = refuse(ld, why, e);

	free(what);
	free(tail);
	free(why);
	return rc;
}

static void
tell(struct role *r, const char *commit, const struct gate_result *g, const char *note)
{
	char *what = gate_summary(r->conf.verify, g);

	if (g->passed) {
		link_event(r->link, "gate", "on the base %.12s %s", commit, note != NULL ? note : what);
	} else {
		log_warn("on the base %.12s %s", commit, what);
		link_event(r->link, "gate",
		    "on the base %.12s, before any work, %s: until a merge makes it pass, the same failure "
		    "is "
		    "nobody's fault, and the gate cannot tell whether work is good",
		    commit, what);
	}
	free(what);
}

static int
try(struct lead *ld, const char *commit, struct err *e)
{
	struct role *r = ld->role;
	struct base base = {.role = r, .commit = commit};
	const struct gate_trial trial = {.verify = r->conf.verify,
	    .areas = r->areas,
	    .setup = r->conf.setup,
	    .setup_timeout_ms = (int64_t)r->conf.setup_timeout_ms,
	    .dir = r->worktree,
	    .env = (const char *const *)r->gate_env,
	    .timeout_ms = (int64_t)r->conf.gate_timeout_ms,
	    .fresh = fresh,
	    .arg = &base};
	struct known_gate k = {0};
	struct gate_result g = {0};
	enum gate_verdict v;
	char *note = NULL;
	int rc;

	link_doing(r->link, "running the gate on the base");
	rc = gate_judge(&r->loop, &trial, &v, &g, &note, e);
	if (rc < 0 && base.cannot_copy) {
		char *why = xasprintf("files could not be copied: %s", e->msg);

		rc = refuse(ld, why, e);
		free(why);
	}
	if (rc == 0 && g.setup != NULL)
		rc = refuse_setup(ld, &g, e);
	if (rc == 0)
		rc = fresh(&base, e);
	if (rc == 0) {
		k.base = k.now = gate_code(&g);
		rc = known_gate_note(r, &k, e);
	}
	if (rc == 0 && role_has_gate(r))
		tell(r, commit, &g, note);
	gate_result_clear(&g);
	free(note);
	return rc;
}

int
lead_try_base(struct lead *ld, const char *commit, struct err *e)
{
	struct role *r = ld->role;
	bool wanted = ld->level == PLAN_AREAS ? r->conf.setup != NULL || role_has_gate(r) : r->areas != NULL;

	return wanted && !r->known.own ? try(ld, commit, e) : 0;
}
