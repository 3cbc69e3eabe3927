/* branch: see branch.h. */
#include "director/branch.h"

#include "common/alloc.h"
#include "common/log.h"
#include "director/director.h"
#include "director/push_role.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 1000
#define LOOK_TIMEOUT_MS 30000

/* Is there no such branch in the repository, nor one below or behind it that ours would meet? 1, 0, -errno.
 */
static int
is_free_here(struct role *r, const char *name, struct err *e)
{
	char *own = xasprintf("refs/heads/%s", name), *ems = xasprintf("refs/heads/%s-em*", name);
	struct git_out out = {0};
	int rc =
	    git_run(&r->git, 0, &out, e, "for-each-ref", "--count=1", "--format=%(refname)", own, ems, NULL);

	if (rc == 0)
		rc = out.out[0] == '\0';
	git_out_clear(&out);
	free(own);
	free(ems);
	return rc;
}

/* Is it one of those that ours would meet? */
static bool
is_in_the_way(const char *branch, const char *name)
{
	size_t n = strlen(name);

	return strncmp(branch, name, n) == 0 &&
	       (branch[n] == '\0' || branch[n] == '/' || strncmp(branch + n, "-em", 3) == 0);
}

/* Pushing to a branch whose commits are all in our base takes nothing from anybody. */
static bool
holds_nothing_of_its_own(struct role *r, const char *oid)
{
	char known[GIT_OID_HEX], *rev = xasprintf("%s^{commit}", oid);
	int rc = git_resolve(&r->git, rev, known, NULL);

	free(rev);
	return rc == 0 && git_is_ancestor(&r->git, oid, r->assign->base, NULL) == 1;
}

static bool
is_free_there(struct role *r, const struct push_refs *there, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < there->count; i++) {
		const struct push_ref *ref = &there->list[i];

		if (!is_in_the_way(ref->branch, name))
			continue;
		if (ref->branch[n] != '/' && holds_nothing_of_its_own(r, ref->oid))
			continue;
		link_event(r->link, "github",
		    "the branch %s on GitHub (%.7s) is not of this run: it stays as it is, and another name "
		    "is "
		    "taken",
		    ref->branch, ref->oid);
		return false;
	}
	return true;
}

/* Everything there whose name begins like ours. -ECANCELED, or 0 whatever could be seen. */
static int
look_there(struct role *r, const char *first, struct push_refs *there)
{
	char *like = xasprintf("%s*", first);
	struct push p = {0};
	struct err e = {""};
	enum push_outcome o = PUSH_BROKEN;

	memset(there, 0, sizeof(*there));
	if (push_open_role(&p, r, PUSH_NAMES, &e) == 0) {
		p.timeout_ms = LOOK_TIMEOUT_MS;
		o = push_list(&p, like, NULL, there, &e);
	}
	push_close(&p);
	free(like);
	if (o == PUSH_STOPPED || r->loop.stop)
		return -ECANCELED;
	if (o != PUSH_DONE) {
		log_warn("%s", e.msg);
		link_event(r->link, "github", "whether the work branch's name is free there is not known: %s",
		    e.msg);
	}
	return 0;
}

int
branch_choose(struct role *r, bool remote, char **branch, struct err *e)
{
	const struct msg_assign *a = r->assign;
	struct push_refs there = {0};
	int rc = 0;

	for (unsigned i = 1; rc == 0 && i <= TRIES; i++) {
		char *name = director_branch_name(r->conf.branch_prefix, a->run, a->title, i);

		if (i == 1 && remote)
			rc = look_there(r, name, &there);
		if (rc == 0)
			rc = is_free_here(r, name, e);
		if (rc == 1)
			rc = is_free_there(r, &there, name);
		if (rc == 1) {
			*branch = name;
			name = NULL;
		}
		free(name);
	}
	push_refs_clear(&there);
	if (rc == 0)
		return err_set(e, -EEXIST,
		    "there are %d work branches of this name already: delete old %s branches", TRIES,
		    r->conf.branch_prefix);
	return rc == 1 ? 0 : rc;
}
