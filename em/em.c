/* em: from ASSIGN to SUBMIT, by the steps of proto/lead (see em.h). */
#include "em/em.h"

#include "common/alloc.h"
#include "common/text.h"
#include "proto/lead.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REWORK_TITLE_MAX 160

/* The area was sent back: one more task, with the evidence as its goal and all of the area as its own. */
static int
add_rework(struct lead *ld, struct err *e)
{
	const struct msg_assign *a = ld->role->assign;
	uint64_t ordinal = team_next_ordinal(&ld->role->team);
	char *area = text_line(a->title, REWORK_TITLE_MAX);
	char *title = xasprintf("Rework: %s", area);
	char *goal = xasprintf(
	    "The area \"%s\" is done, but could not be taken into the whole. Put right what is said "
	    "below, and change nothing else.\n\n%s",
	    area, a->evidence == NULL ? "" : a->evidence);
	char *branch = xasprintf("%s%s%llu", ld->branch, ld->tag, (unsigned long long)ordinal);
	char key[32];
	const struct msg_task_add task = {
	    .ordinal = ordinal,
	    .key = key,
	    .title = title,
	    .goal = goal,
	    .owns_json = a->owns_json == NULL ? "[]" : a->owns_json,
	    .merge_from = a->merge_from,
	    .branch = branch,
	};
	int rc;

	em_rework_key(key, a->attempt);
	rc = lead_add(ld, &task, e);
	free(area);
	free(title);
	free(goal);
	free(branch);
	return rc;
}

/* Sees to it that all children exist. */
static int
staff(struct lead *ld, struct err *e)
{
	struct role *r = ld->role;
	char key[32];
	int rc;

	if (r->assign->rework > 0 && r->team.count > 0) {
		em_rework_key(key, r->assign->attempt);
		return team_find(&r->team, key) != NULL ? 0 : add_rework(ld, e);
	}
	rc = lead_plan(ld, ld->base, e);
	if (rc == 0 && r->team.count == 0)
		rc = lead_store_plan(ld, NULL, e);
	return rc == 0 ? lead_staff(ld, e) : rc;
}

/*
 * After a rework the branch holds the parent's tip of then; what it adds is counted from there, or the
 * others' work would be shown as this area's.
 */
static int
move_base(struct lead *ld, const char *head, struct err *e)
{
	struct role *r = ld->role;
	const char *from = r->assign->merge_from;
	const struct msg_note note = {.base = from, .merged = true};
	int rc;

	if (from == NULL || *from == '\0')
		return 0;
	rc = git_is_ancestor(&r->git, from, head, e);
	if (rc <= 0)
		return rc;
	snprintf(ld->base, sizeof(ld->base), "%s", from);
	return role_note(r, &note, e);
}

static int
submit(struct lead *ld, const char *head, const struct git_stat *st, struct err *e)
{
	struct role *r = ld->role;
	struct team_tally n = team_count(&r->team);
	char *losses = team_losses(&r->team);
	char *summary = losses == NULL
			    ? xasprintf("%zu task%s", n.integrated, n.integrated == 1 ? "" : "s")
			    : xasprintf("%zu of %zu tasks; missing: %s", n.integrated, r->team.count, losses);
	const struct msg m = {.id = MSG_SUBMIT,
	    .submit = {.base = ld->base,
		.head = head,
		.files = st->files,
		.insertions = st->insertions,
		.deletions = st->deletions,
		.summary = summary}};
	int rc = link_call(r->link, &m, NULL, e);

	free(losses);
	free(summary);
	return rc;
}

static int
finish(struct lead *ld, struct err *e)
{
	struct role *r = ld->role;
	struct git_stat st = {0};
	char head[GIT_OID_HEX], key[32], *failure;
	int rc = role_branch_tip(r, ld->branch, head, e);

	if (rc == -ENOENT)
		return err_set(e, rc, "the branch %s is gone", ld->branch);
	if (rc == 0)
		rc = move_base(ld, head, e);
	if (rc == 0)
		rc = git_diff_stat(&r->git, ld->base, head, &st, e);
	if (rc < 0)
		return rc;
	em_rework_key(key, r->assign->attempt);
	failure = em_failure(&r->team, r->assign->rework > 0 ? key : NULL);
	if (failure == NULL && r->assign->reviewed && strcmp(head, ld->base) == 0)
		failure = xstrdup("nothing came of the review");
	if (failure == NULL)
		rc = submit(ld, head, &st, e);
	else
		rc = role_fail(r, r->assign->task, failure, e);
	free(failure);
	return rc;
}

int
em_run(struct role *r, struct err *e)
{
	struct lead ld = {.role = r, .level = PLAN_TASKS, .tag = "-w", .branch = r->assign->branch};
	int rc = role_await_team(r, e);

	if (rc == 0)
		rc = role_open_branch(r, ld.base, e);
	if (rc == 0)
		rc = lead_try_base(&ld, ld.base, e);
	if (rc == 0)
		rc = staff(&ld, e);
	if (rc == 0)
		rc = lead_serve(&ld, e);
	if (rc == 0)
		rc = finish(&ld, e);
	lead_clear(&ld);
	return rc;
}
