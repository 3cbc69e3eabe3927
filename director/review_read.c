/* review_read: see review_read.h. */
#include "director/review_read.h"

#include <errno.h>

struct reading {
	struct github_user me;
	struct remarks_source *source;
};

static int
on_review(void *arg, const struct github_review *r, struct err *e)
{
	const struct reading *x = arg;

	(void)e;
	remarks_add_review(x->source, r, github_is_me(&x->me, &r->author));
	return 0;
}

static int
on_comment(void *arg, const struct github_review_comment *c, struct err *e)
{
	const struct reading *x = arg;

	(void)e;
	remarks_add_comment(x->source, c, github_is_me(&x->me, &c->author));
	return 0;
}

static int
on_below(void *arg, const struct github_comment *c, struct err *e)
{
	const struct reading *x = arg;

	(void)e;
	remarks_add_below(x->source, c, github_is_me(&x->me, &c->author));
	return 0;
}

int
review_read(struct github *gh, uint64_t pull, struct remarks_source *s, struct err *e)
{
	struct reading x = {.source = s};
	int rc = github_whoami(gh, &x.me, e);

	if (rc == 0)
		rc = github_reviews_each(gh, pull, on_review, &x, e);
	if (rc == 0)
		rc = github_review_comments_each(gh, pull, on_comment, &x, e);
	if (rc == 0)
		rc = github_comments_each(gh, pull, on_below, &x, e);
	return rc;
}

static int
on_resolved(void *arg, uint64_t comment, struct err *e)
{
	(void)e;
	remarks_add_resolved(arg, comment);
	return 0;
}

int
review_read_resolved(struct github *gh, uint64_t pull, struct remarks_source *s, struct err *e)
{
	struct err ignored = {""};
	int rc = s->comment_count == 0 ? 0 : github_resolved_each(gh, pull, on_resolved, s, &ignored);

	return rc == -ECANCELED ? err_set(e, rc, "%s", ignored.msg) : 0;
}
