/* github_pull: branches, pull requests and their reviews (see github_api.h). */
#include "director/github_api.h"

#include "common/alloc.h"
#include "director/github_impl.h"
#include "director/github_read.h"
#include "director/github_words.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define OPEN_TRIES 3
#define MERGE_TRIES 4
#define MERGEABLE_TRIES 6 /* after 1, 2, 4, 8, 16 and 29 s */

int
github_branch_get(struct github *gh, const char *branch, char oid[65], struct err *e)
{
	char *word = github_escape(branch), *path = github_path(gh, "/git/ref/heads%%2F%s", word);
	char *what = xasprintf("read the branch %s", branch);
	struct github_ref_info r;
	json_t *j = NULL;
	int rc = github_get(gh, what, path, &j, e);

	if (rc == 0 && (!github_read_ref(j, &r) || strlen(r.oid) > 64))
		rc = github_strange(gh, what, e);
	if (rc == 0)
		snprintf(oid, 65, "%s", r.oid);
	json_decref(j);
	free(word);
	free(path);
	free(what);
	return rc;
}

int
github_branch_delete(struct github *gh, const char *branch, struct err *e)
{
	char *word = github_escape(branch), *path = github_path(gh, "/git/refs/heads%%2F%s", word);
	char *what = xasprintf("delete the branch %s", branch);
	json_t *said = NULL;
	int rc = github_send(gh, what, "DELETE", path, NULL, &said, e);

	if (rc == -ENOENT || (rc == -EINVAL && github_errors_say(said, "does not exist")))
		rc = 0;
	json_decref(said);
	free(word);
	free(path);
	free(what);
	return rc;
}

GITHUB_LIST(ref, struct github_ref_info)

int
github_refs_each(struct github *gh, const char *prefix, github_ref_fn *fn, void *arg, struct err *e)
{
	struct github_ref_list all = {fn, arg};
	char *word = github_escape(prefix), *path = github_path(gh, "/git/matching-refs/%s", word);
	int rc = github_each(gh, "list the branches of the run", path, NULL, github_ref_item, &all, e);

	free(word);
	free(path);
	return rc;
}

struct pulls {
	github_pull_fn *fn;
	void *arg;
	const char *head, *base;
	char *full_name;
};

/* The filter in the request is a wish: a server that ignores it returns all pull requests. */
static int
on_pull(void *arg, const json_t *item, struct err *e)
{
	const struct pulls *all = arg;
	struct github_pull p;

	if (!github_read_pull(item, &p) || strcmp(p.head_ref, all->head) != 0 ||
	    strcasecmp(p.head_repo, all->full_name) != 0 ||
	    (all->base != NULL && strcmp(p.base_ref, all->base) != 0))
		return 0;
	return all->fn(all->arg, &p, e);
}

int
github_pulls_each(struct github *gh, const char *head, const char *base, const char *state,
    github_pull_fn *fn, void *arg, struct err *e)
{
	struct pulls all = {fn, arg, head, base, xasprintf("%s/%s", github_owner(gh), github_repo(gh))};
	char *from = xasprintf("%s:%s", github_owner(gh), head), *h = github_escape(from);
	char *b = base == NULL ? xstrdup("") : github_escape(base);
	char *path = github_path(
	    gh, "/pulls?state=%s&head=%s%s%s&per_page=100", state, h, base == NULL ? "" : "&base=", b);
	int rc = github_each(gh, "list the pull requests", path, NULL, on_pull, &all, e);

	free(all.full_name);
	free(from);
	free(h);
	free(b);
	free(path);
	return rc;
}

static int
take_pull(struct github *gh, const char *what, json_t *j, struct github_pull *p, struct err *e)
{
	if (!github_read_pull(j, p)) {
		json_decref(j);
		return github_strange(gh, what, e);
	}
	p->json = j;
	return 0;
}

int
github_pull_get(struct github *gh, uint64_t number, struct github_pull *p, struct err *e)
{
	char *path = github_path(gh, "/pulls/%" PRIu64, number);
	char *what = xasprintf("read pull request %" PRIu64, number);
	json_t *j = NULL;
	int rc = github_get(gh, what, path, &j, e);

	if (rc == 0)
		rc = take_pull(gh, what, j, p, e);
	free(path);
	free(what);
	return rc;
}

void
github_pull_clear(struct github_pull *p)
{
	json_decref(p->json);
	memset(p, 0, sizeof(*p));
}

static int
on_first(void *arg, const struct github_pull *p, struct err *e)
{
	(void)e;
	*(uint64_t *)arg = p->number;
	return 1;
}

static int
create_pull(struct github *gh, const char *head, const char *base, const char *title, const char *body,
    bool draft, struct github_pull *p, bool *exists, struct err *e)
{
	char *path = github_path(gh, "/pulls"), *what = xasprintf("open a pull request from %s", head);
	json_t *j = NULL;
	int rc = github_send(gh, what, "POST", path,
	    json_pack("{s:s,s:s,s:s,s:s,s:b}", "title", title, "head", head, "base", base, "body", body,
		"draft", draft),
	    &j, e);

	*exists = rc == -EINVAL && github_errors_say(j, "already exists");
	if (rc == 0)
		rc = take_pull(gh, what, j, p, e);
	else
		json_decref(j);
	free(path);
	free(what);
	return rc;
}

int
github_pull_open(struct github *gh, const char *head, const char *base, const char *title, const char *body,
    bool draft, struct github_pull *p, bool *made, struct err *e)
{
	int rc = 0;

	*made = false;
	for (unsigned i = 0; i < OPEN_TRIES; i++) {
		uint64_t number = 0;
		bool exists;

		rc = github_pulls_each(gh, head, base, "open", on_first, &number, e);
		if (rc < 0)
			return rc;
		if (number != 0)
			return github_pull_get(gh, number, p, e);
		rc = create_pull(gh, head, base, title, body, draft, p, &exists, e);
		*made = rc == 0;
		if (rc == 0 || (rc != -EINPROGRESS && !exists))
			return rc;
		if (i + 1 < OPEN_TRIES && github_sleep(gh, 1000, e) < 0)
			return -ECANCELED;
	}
	return rc;
}

int
github_pull_update(struct github *gh, uint64_t number, const char *title, const char *body, const char *base,
    const char *state, struct err *e)
{
	char *path = github_path(gh, "/pulls/%" PRIu64, number);
	char *what = xasprintf("edit pull request %" PRIu64, number);
	json_t *j =
	    json_pack("{s:s*,s:s*,s:s*,s:s*}", "title", title, "body", body, "base", base, "state", state);
	int rc = github_send(gh, what, "PATCH", path, j, NULL, e);

	free(path);
	free(what);
	return rc;
}

int
github_pull_mergeable(struct github *gh, uint64_t number, int *mergeable, struct err *e)
{
	int64_t ms = 1000;
	int rc = 0;

	*mergeable = -1;
	for (unsigned i = 0; rc == 0 && i <= MERGEABLE_TRIES; i++, ms *= 2) {
		struct github_pull p;

		if (i > 0)
			rc = github_sleep(gh, ms / 2 < 29000 ? ms / 2 : 29000, e);
		if (rc == 0)
			rc = github_pull_get(gh, number, &p, e);
		if (rc < 0)
			return rc;
		*mergeable = p.mergeable;
		github_pull_clear(&p);
		if (*mergeable >= 0)
			break;
	}
	return rc;
}

/* After an answer that was lost, or a 405 that may mean that it is done already. */
static bool
is_merged(struct github *gh, uint64_t number)
{
	struct github_pull p;
	bool merged;

	if (github_pull_get(gh, number, &p, NULL) < 0)
		return false;
	merged = p.merged;
	github_pull_clear(&p);
	return merged;
}

int
github_pull_merge(struct github *gh, uint64_t number, const char *oid, const char *method, struct err *e)
{
	char *path = github_path(gh, "/pulls/%" PRIu64 "/merge", number);
	char *what = xasprintf("merge pull request %" PRIu64, number);
	int rc = 0;

	for (unsigned i = 0; i < MERGE_TRIES; i++) {
		struct err why = {""};
		enum github_kind kind;

		rc = github_send(gh, what, "PUT", path,
		    json_pack("{s:s,s:s}", "sha", oid, "merge_method", method), NULL, &why);
		err_set(e, rc, "%s", why.msg);
		if (rc == 0 || rc == -ECANCELED || rc == -EAGAIN)
			break;
		kind = github_kind(gh);
		if (is_merged(gh, number)) { /* the answer was lost, or another one's was */
			rc = 0;
			break;
		}
		github_set_kind(gh, kind);
		if (rc == -ENOTSUP && strcasestr(why.msg, "merge queue") != NULL)
			err_set(e, rc,
			    "%s: only the merge queue may merge here: add it to the queue on GitHub",
			    why.msg);
		if (rc != -EINPROGRESS &&
		    (rc != -ENOTSUP || strcasestr(why.msg, "base branch was modified") == NULL))
			break;
		if (i + 1 < MERGE_TRIES && github_sleep(gh, 1000 << i, e) < 0) {
			rc = -ECANCELED;
			break;
		}
	}
	free(path);
	free(what);
	return rc;
}

GITHUB_LIST(review, struct github_review)

int
github_reviews_each(struct github *gh, uint64_t pull, github_review_fn *fn, void *arg, struct err *e)
{
	struct github_review_list all = {fn, arg};
	char *path = github_path(gh, "/pulls/%" PRIu64 "/reviews?per_page=100", pull);
	char *what = xasprintf("read the reviews of pull request %" PRIu64, pull);
	int rc = github_each(gh, what, path, NULL, github_review_item, &all, e);

	free(path);
	free(what);
	return rc;
}

GITHUB_LIST(review_comment, struct github_review_comment)

int
github_review_comments_each(
    struct github *gh, uint64_t pull, github_review_comment_fn *fn, void *arg, struct err *e)
{
	struct github_review_comment_list all = {fn, arg};
	char *path = github_path(gh, "/pulls/%" PRIu64 "/comments?per_page=100", pull);
	char *what = xasprintf("read the review comments of pull request %" PRIu64, pull);
	int rc = github_each(gh, what, path, NULL, github_review_comment_item, &all, e);

	free(path);
	free(what);
	return rc;
}

int
github_review_reply(
    struct github *gh, uint64_t pull, uint64_t comment, const char *body, uint64_t *id, struct err *e)
{
	char *path = github_path(gh, "/pulls/%" PRIu64 "/comments/%" PRIu64 "/replies", pull, comment);
	char *what = xasprintf("answer a review comment of pull request %" PRIu64, pull);
	struct github_review_comment c;
	json_t *j = NULL;
	int rc = github_send(gh, what, "POST", path, json_pack("{s:s}", "body", body), &j, e);

	if (rc == 0 && !github_read_review_comment(j, &c))
		rc = github_strange(gh, what, e);
	if (rc == 0) {
		github_count_comment(gh);
		*id = c.id;
	}
	json_decref(j);
	free(path);
	free(what);
	return rc;
}
