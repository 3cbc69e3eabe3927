/* role_git: what all roles ask of the repository (see role.h). */
#include "proto/role.h"

#include "common/alloc.h"
#include "common/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARENT_MS 10000
#define PARENT_LOOK_MS 50

int
role_branch_tip(struct role *r, const char *branch, char oid[GIT_OID_HEX], struct err *e)
{
	char *ref = xasprintf("refs/heads/%s", branch);
	struct err why = {{0}};
	int rc = git_resolve(&r->git, ref, oid, &why);

	free(ref);
	if (rc < 0 && rc != -ENOENT)
		*e = why;
	return rc;
}

static int
refuse_branch(struct role *r, struct err *e)
{
	const struct msg_assign *a = r->assign;
	char *why =
	    xasprintf("branch %s exists and is not of this run: rename or delete it (git branch -m %s NEW), "
		      "then orchctl retry %s",
		a->branch, a->branch, a->task);
	int rc = role_fail(r, a->task, why, e);

	free(why);
	return rc < 0 ? rc : ROLE_OVER;
}

/* Where a task and those above it are taken up again, its parent may be just about to make its own branch. */
static int
await_parent(struct role *r, char oid[GIT_OID_HEX], struct err *e)
{
	int64_t deadline = clock_now_ms() + PARENT_MS;
	bool never = false;
	int rc;

	while ((rc = role_branch_tip(r, r->assign->parent_branch, oid, e)) == -ENOENT) {
		if (clock_now_ms() > deadline)
			return err_set(
			    e, rc, "the branch of its parent, %s, is gone", r->assign->parent_branch);
		rc = loop_wait(&r->loop, &never, clock_now_ms() + PARENT_LOOK_MS);
		if (rc < 0 && rc != -ETIMEDOUT)
			return rc;
	}
	return rc;
}

/*
 * The base is noted before the branch exists: whoever finds a branch and a base continues, and one that finds
 * a base alone (the branch was not made, or went when the task had ended) starts from the parent's tip of
 * today.
 */
static int
make_branch(struct role *r, char base[GIT_OID_HEX], struct err *e)
{
	const struct msg_assign *a = r->assign;
	struct msg_note note = {.base = base};
	int rc = await_parent(r, base, e);

	if (rc == 0)
		rc = role_note(r, &note, e);
	if (rc == 0)
		rc = git_update_branch(&r->git, a->branch, base, "", e);
	return rc;
}

int
role_open_branch(struct role *r, char base[GIT_OID_HEX], struct err *e)
{
	const struct msg_assign *a = r->assign;
	char tip[GIT_OID_HEX];
	int rc;

	if (a->branch == NULL || a->parent_branch == NULL)
		return err_set(e, -EINVAL, "orchd assigned %s without a branch", a->task);
	rc = role_branch_tip(r, a->branch, tip, e);
	if (rc == -ENOENT)
		return make_branch(r, base, e);
	if (rc < 0)
		return rc;
	if (a->base == NULL || *a->base == '\0')
		return refuse_branch(r, e);
	snprintf(base, GIT_OID_HEX, "%s", a->base);
	return 0;
}
