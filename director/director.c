/* director: from ASSIGN to FINISH, by the steps of proto/lead (see director.h). */
#include "director/director.h"

#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"
#include "director/branch.h"
#include "director/publish.h"
#include "director/rounds.h"
#include "director/save.h"
#include "director/upstream.h"
#include "proto/lead.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GO_ON ROUNDS_MORE

static int
tell_state(struct lead *ld, const char *state, struct err *e)
{
	const struct msg m = {.id = MSG_RUN_STATE, .run_state = {.state = state, .branch = ld->branch}};

	return link_call(ld->role->link, &m, NULL, e);
}

/* The name is stored, with the plan, before the branch is made: a branch of the stored name is ours. */
static int
open_branch(struct lead *ld, bool remote, char **name, struct err *e)
{
	struct role *r = ld->role;
	char tip[GIT_OID_HEX];
	int rc = 0;

	if (*name == NULL) {
		rc = branch_choose(r, remote, name, e);
		if (rc == 0)
			rc = lead_store_plan(ld, *name, e);
	}
	if (rc < 0)
		return rc;
	ld->branch = *name;
	rc = role_branch_tip(r, *name, tip, e);
	return rc == -ENOENT ? git_update_branch(&r->git, *name, ld->base, "", e) : rc;
}

/* The tip of the work branch; the base when there is none (yet, or any more). */
static int
find_head(struct lead *ld, char head[GIT_OID_HEX], struct err *e)
{
	int rc = ld->branch == NULL ? -ENOENT : role_branch_tip(ld->role, ld->branch, head, e);

	if (rc != -ENOENT)
		return rc;
	snprintf(head, GIT_OID_HEX, "%s", ld->base);
	ld->branch = NULL;
	return 0;
}

/* 0, or GO_ON: the run is not over, and the reviews are to be looked at. */
static int
tell_end(struct lead *ld, const char *head, const char *pull_url, const struct director_end *end,
    const struct upstream *up, const char *question, struct err *e)
{
	struct role *r = ld->role;
	struct git_stat st = {0};
	struct msg m = {.id = MSG_FINISH};
	char *instead = NULL;
	int rc = git_diff_stat(&r->git, up->base[0] == '\0' ? ld->base : up->base, head, &st, e);

	if (rc < 0)
		return rc;
	m.finish.head = end->keep ? head : NULL;
	m.finish.files = st.files;
	m.finish.insertions = st.insertions;
	m.finish.deletions = st.deletions;
	m.finish.reason = end->reason;
	m.finish.failed = end->failed;
	m.finish.pull_url = pull_url;
	m.finish.base = up->base[0] == '\0' ? NULL : up->base;
	m.finish.question = question;
	rc = link_call(r->link, &m, &instead, e);
	if (rc == 0 && instead != NULL)
		rc = GO_ON;
	free(instead);
	return rc;
}

/* What came to the base branch meanwhile, when a pull request is to be made into it. */
static int
catch_up(struct lead *ld, struct publish *p, struct director_end *end, struct upstream *up,
    char head[GIT_OID_HEX], struct err *e)
{
	const char *name;
	int rc;

	if (p == NULL || !end->keep || ld->cancelled || ld->branch == NULL ||
	    strcmp(ld->role->conf.prs, "none") == 0)
		return 0;
	name = publish_base(p);
	if (name == NULL)
		return 0;
	rc = upstream_take_in(ld, name, up, e);
	if (rc == 0 && up->trouble != NULL)
		director_add_words(end, up->trouble);
	return rc == 0 ? find_head(ld, head, e) : rc;
}

/* People are told before orchd is: who is killed in between tells them again. 0 or GO_ON. */
static int
tell(struct lead *ld, struct publish *p, struct rounds *v, struct publish_end *last,
    const struct director_end *end, const struct upstream *up, const char *head, struct err *e)
{
	int rc = v == NULL ? 0 : rounds_turn(v, p, last, e);

	last->question = v == NULL ? NULL : v->question;
	if (rc == 0) {
		const char *pull_url = publish_last(p, last);
		bool kept =
		    pull_url != NULL && !end->failed && !last->cancelled && save_ended(ld->role, ld->branch);

		if (!kept && last->question == NULL)
			save_drop(ld->role);
		rc = tell_end(ld, head, pull_url, end, up, last->question, e);
	}
	if (rc == GO_ON && v != NULL)
		v->look = true;
	return rc;
}

/* 0, or GO_ON: there is more to do. v NULL: no reviews are looked at. */
static int
finish(struct lead *ld, struct publish *p, struct rounds *v, bool epilogue, struct err *e)
{
	struct director_end end = {0};
	struct upstream up = {0};
	char head[GIT_OID_HEX];
	int rc = find_head(ld, head, e);

	if (rc < 0)
		return rc;
	director_verdict(&ld->role->team, ld->role->assign->cancelled, strcmp(head, ld->base) != 0, &end);
	rc = catch_up(ld, p, &end, &up, head, e);
	director_add_gate(&end, ld->role->known.base, ld->role->known.now);
	if (rc == 0 && !end.keep && ld->branch != NULL)
		rc = git_update_branch(&ld->role->git, ld->branch, NULL, head, e);
	/* A retry of it begins at the base again. */
	if (rc == 0 && !end.keep && ld->role->known.found)
		rc = known_gate_note(ld->role, NULL, e);
	if (rc == 0) {
		struct publish_end last = {.cancelled = ld->role->assign->cancelled,
		    .failed = end.failed,
		    .epilogue = epilogue,
		    .reason = end.reason,
		    .head = end.keep ? head : NULL};

		rc = tell(ld, p, v, &last, &end, &up, head, e);
	}
	upstream_clear(&up);
	free(end.reason);
	return rc;
}

/* This process ends here: another one goes on when a person has answered. */
static int
ask(struct lead *ld, struct publish *p, const char *question, bool approval, struct err *e)
{
	char *line = text_line(question, TEXT_MAX - 1);
	const struct msg m = {.id = MSG_ASK, .ask = {.question = line, .approval = approval}};
	int rc = lead_remove_worktree(ld, e);

	log_info("asking: %s", line);
	if (rc == 0)
		publish_question(p, line);
	if (rc == 0)
		rc = link_call(ld->role->link, &m, NULL, e);
	free(line);
	return rc < 0 ? rc : ROLE_OVER;
}

static int
ask_approval(struct lead *ld, struct publish *p, struct err *e)
{
	char *words = plan_words(&ld->plan, TEXT_MAX - 64);
	char *question = xasprintf("Shall this plan be done? %s", words);
	int rc = lead_store_plan(ld, NULL, e);

	if (rc == 0)
		rc = ask(ld, p, question, true, e);
	free(words);
	free(question);
	return rc;
}

/* A run that was to make a plan has made it. */
static int
end_with_plan(struct lead *ld, struct err *e)
{
	const struct msg m = {
	    .id = MSG_FINISH, .finish = {.reason = "planned, and nothing else was asked for"}};
	int rc = lead_store_plan(ld, NULL, e);

	if (rc == 0)
		rc = lead_remove_worktree(ld, e);
	return rc == 0 ? link_call(ld->role->link, &m, NULL, e) : rc;
}

/* The plan is there: 0 when it is to be done now, ROLE_OVER when this process has nothing more to do. */
static int
heed_plan(struct lead *ld, struct publish *p, struct err *e)
{
	const struct msg_assign *a = ld->role->assign;
	int rc;

	if (ld->role->team.count > 0)
		return 0;
	if (a->plan_only) {
		rc = end_with_plan(ld, e);
		return rc < 0 ? rc : ROLE_OVER;
	}
	if (ld->plan.question != NULL)
		return ask(ld, p, ld->plan.question, false, e);
	return a->approve ? ask_approval(ld, p, e) : 0;
}

/* Until all is merged and told, and again for what people say of it meanwhile. */
static int
serve(struct lead *ld, struct publish *p, struct err *e)
{
	struct rounds v;
	int rc = rounds_open(&v, ld->role, e);

	while (rc == 0) {
		rc = rounds_staff(&v, ld, e);
		if (rc == 0)
			rc = lead_serve(ld, e);
		if (rc == 0)
			rc = tell_state(ld, "landing", e);
		if (rc == 0)
			rc = finish(ld, p, &v, false, e);
		if (rc != GO_ON)
			break;
		publish_resume(p);
		rc = tell_state(ld, "running", e);
	}
	rounds_clear(&v);
	return rc;
}

static int
work(struct lead *ld, struct publish *p, char **branch, struct err *e)
{
	struct role *r = ld->role;
	char tip[GIT_OID_HEX];
	int rc;

	ld->branch = *branch;
	rc = find_head(ld, tip, e);
	if (rc == 0 && !r->assign->plan_only)
		rc = lead_try_base(ld, tip, e);
	if (rc == 0)
		rc = lead_plan(ld, ld->base, e);
	if (rc == ROLE_OVER) { /* whatever comes next begins with the gate again */
		int forgotten = r->known.found ? known_gate_note(r, NULL, e) : 0;

		rc = forgotten < 0 ? forgotten : rc;
	}
	if (rc == 0)
		rc = heed_plan(ld, p, e);
	if (rc == 0)
		rc = open_branch(ld, p != NULL, branch, e);
	if (rc == 0 && r->team.count < ld->plan.count) {
		rc = tell_state(ld, "running", e);
		if (rc == 0)
			rc = lead_staff(ld, e);
	}
	return rc == 0 ? serve(ld, p, e) : rc;
}

/* Nothing more is merged; when the last child is dead, what it left is tidied up. */
static int
wind_up(struct lead *ld, struct publish *p, const char *branch, bool epilogue, struct err *e)
{
	int rc;

	log_info("cleaning up");
	ld->cancelled = true;
	ld->branch = branch;
	rc = lead_serve(ld, e);
	return rc == 0 ? finish(ld, p, NULL, epilogue, e) : rc;
}

static int
open_lead(struct lead *ld, struct role *r, char **branch, struct err *e)
{
	const struct msg_assign *a = r->assign;

	*ld = (struct lead){.role = r, .level = PLAN_AREAS, .tag = "-em"};
	*branch = NULL;
	if (a->base == NULL || *a->base == '\0')
		return err_set(e, -EINVAL, "orchd assigned run %s without a base commit", a->run);
	snprintf(ld->base, sizeof(ld->base), "%s", a->base);
	if (a->branch != NULL && *a->branch != '\0')
		*branch = xstrdup(a->branch);
	return role_await_team(r, e);
}

/* Where even git fails there is something to say. */
static int
tell_bare_end(struct lead *ld, const char *fault, struct err *e)
{
	struct team_tally n = team_count(&ld->role->team);
	char *reason = xasprintf("%zu of %zu areas are merged; what is left could not be tidied up: %s",
	    n.integrated, ld->role->team.count, fault);
	const struct msg m = {.id = MSG_FINISH, .finish = {.reason = reason, .failed = n.integrated == 0}};
	int rc = link_call(ld->role->link, &m, NULL, e);

	free(reason);
	return rc;
}

int
director_epilogue(struct role *r, struct err *e)
{
	struct err fault = {""};
	struct lead ld;
	char *branch;
	int rc = open_lead(&ld, r, &branch, e);
	struct publish *p = rc == 0 ? publish_open(r) : NULL;

	if (rc == 0) {
		rc = wind_up(&ld, p, branch, true, &fault);
		if (rc < 0 && rc != -ECANCELED) {
			log_warn("%s", fault.msg);
			rc = tell_bare_end(&ld, fault.msg, e);
			publish_last(p, NULL);
		}
	}
	publish_close(p);
	lead_clear(&ld);
	free(branch);
	return rc;
}

int
director_run(struct role *r, struct err *e)
{
	struct lead ld;
	char *branch;
	int rc = open_lead(&ld, r, &branch, e);
	struct publish *p = rc == 0 ? publish_open(r) : NULL;

	ld.spare = publish_spare;
	ld.spare_arg = p;
	/* A cancellation interrupts whatever is going on; from there on it is cleaning up. */
	r->cancel_interrupts = rc == 0 && !r->assign->cancelled;
	if (rc == 0)
		rc = r->cancel_interrupts ? work(&ld, p, &branch, e) : wind_up(&ld, p, branch, false, e);
	if (rc == -ECANCELED && r->cancel_asked && r->cancel_interrupts) {
		r->cancel_interrupts = false;
		r->loop.stop = false;
		r->loop.stop_signal = 0;
		rc = wind_up(&ld, p, branch, false, e);
	}
	if (rc == ROLE_OVER)
		publish_leave(p);
	if (rc == -ECANCELED && link_connected(r->link)) { /* the run is stopped, and goes on some day */
		r->loop.stop_masked++;
		publish_leave(p);
		r->loop.stop_masked--;
	}
	publish_close(p);
	lead_clear(&ld);
	free(branch);
	return rc;
}
