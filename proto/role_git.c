/* role_git: what all roles ask of the repository (see role.h). */
#include "proto/role.h"

#include "common/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	int rc = role_branch_tip(r, a->parent_branch, base, e);

	if (rc == -ENOENT)
		return err_set(e, rc, "the branch of its parent, %s, is gone", a->parent_branch);
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
