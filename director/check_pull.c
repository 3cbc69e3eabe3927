/* check_pull: a pull request whose reviews somebody wants done: what is there to do, before anything is begun
 * (see check.h). */
#include "director/check.h"

#include "common/alloc.h"
#include "director/review_read.h"

#include <errno.h>
#include <stdlib.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

static int
check_open(const struct github *gh, const struct github_pull *p, struct err *e)
{
	char *here = xasprintf("%s/%s", github_owner(gh), github_repo(gh));
	int rc = 0;

	if (strcasecmp(p->head_repo, here) != 0)
		rc = err_set(e, -EINVAL, "pull request %" PRIu64 " is from another repository (%.200s)",
		    p->number, p->head_repo[0] == '\0' ? "one that is gone" : p->head_repo);
	else if (p->merged)
		rc = err_set(e, -EINVAL,
		    "pull request %" PRIu64 " is merged: there is nothing to review any more", p->number);
	else if (strcmp(p->state, "open") != 0)
		rc = err_set(e, -EINVAL, "pull request %" PRIu64 " is closed", p->number);
	free(here);
	return rc;
}

static void
note_left_out(struct check *c, size_t count, const char *whose)
{
	if (count > 0)
		check_note(c, "%zu remark%s of %s %s left out: --trust takes %s", count,
		    count == 1 ? "" : "s", whose, count == 1 ? "is" : "are", count == 1 ? "it" : "them");
}

static int
count_remarks(struct check *c, struct github *gh, struct err *e)
{
	struct remarks_source s = {0};
	struct remarks found = {0};
	int rc = review_read(gh, c->pull, &s, e);

	if (rc == 0)
		rc = review_read_resolved(gh, c->pull, &s, e);
	if (rc == 0)
		remarks_pick(&s, c->trust, &found);
	c->remarks = found.count;
	note_left_out(c, found.strangers, "people who do not belong to the repository");
	note_left_out(c, found.own, "the user whose token this is");
	remarks_clear(&found);
	remarks_source_clear(&s);
	return rc;
}

int
check_pull(struct check *c, struct github *gh, struct err *e)
{
	struct github_pull p = {0};
	int rc = github_pull_get(gh, c->pull, &p, e);

	if (rc < 0)
		return rc;
	rc = check_open(gh, &p, e);
	if (rc == 0)
		c->head_branch = xstrdup(p.head_ref);
	github_pull_clear(&p);
	return rc == 0 ? count_remarks(c, gh, e) : rc;
}
