/* github_comment: issues, their comments and labels (see github_api.h). */
#include "director/github_api.h"

#include "common/alloc.h"
#include "director/github_impl.h"
#include "director/github_read.h"
#include "director/github_words.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DUPLICATES_MAX 32
#define PUT_TRIES 3

int
github_issue_get(struct github *gh, uint64_t number, struct github_issue *i, struct err *e)
{
	char *path = github_path(gh, "/issues/%" PRIu64, number),
	     *what = xasprintf("read issue %" PRIu64, number);
	json_t *j = NULL;
	int rc = github_get(gh, what, path, &j, e);

	if (rc == 0 && !github_read_issue(j, i))
		rc = github_strange(gh, what, e);
	if (rc < 0)
		json_decref(j);
	else
		i->json = j;
	free(path);
	free(what);
	return rc;
}

void
github_issue_clear(struct github_issue *i)
{
	json_decref(i->json);
	memset(i, 0, sizeof(*i));
}

int
github_issue_set_state(struct github *gh, uint64_t number, const char *state, struct err *e)
{
	char *path = github_path(gh, "/issues/%" PRIu64, number);
	char *what = xasprintf("set issue %" PRIu64 " %s", number, state);
	int rc = github_send(gh, what, "PATCH", path, json_pack("{s:s}", "state", state), NULL, e);

	free(path);
	free(what);
	return rc;
}

GITHUB_LIST(comment, struct github_comment)

int
github_comments_each(struct github *gh, uint64_t issue, github_comment_fn *fn, void *arg, struct err *e)
{
	struct github_comment_list all = {fn, arg};
	char *path = github_path(gh, "/issues/%" PRIu64 "/comments?per_page=100", issue);
	char *what = xasprintf("read the comments of issue %" PRIu64, issue);
	int rc = github_each(gh, what, path, NULL, github_comment_item, &all, e);

	free(path);
	free(what);
	return rc;
}

int
github_comment_create(struct github *gh, uint64_t issue, const char *body, uint64_t *id, struct err *e)
{
	char *path = github_path(gh, "/issues/%" PRIu64 "/comments", issue);
	char *what = xasprintf("comment on issue %" PRIu64, issue);
	struct github_comment c;
	json_t *j = NULL;
	int rc = github_send(gh, what, "POST", path, json_pack("{s:s}", "body", body), &j, e);

	if (rc == 0 && !github_read_comment(j, &c))
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

int
github_comment_update(struct github *gh, uint64_t id, const char *body, struct err *e)
{
	char *path = github_path(gh, "/issues/comments/%" PRIu64, id);
	int rc =
	    github_send(gh, "edit our comment", "PATCH", path, json_pack("{s:s}", "body", body), NULL, e);

	if (rc == 0)
		github_count_comment(gh);
	free(path);
	return rc;
}

int
github_comment_delete(struct github *gh, uint64_t id, struct err *e)
{
	char *path = github_path(gh, "/issues/comments/%" PRIu64, id);
	int rc = github_send(gh, "delete our second comment", "DELETE", path, NULL, NULL, e);

	free(path);
	return rc == -ENOENT ? 0 : rc;
}

/* Looking for the comment with a marker. */
struct search {
	const char *marker, *body;
	struct github_user me;
	uint64_t id; /* the lowest; 0: none */
	bool same;   /* it says what it should already */
	uint64_t later[DUPLICATES_MAX];
	size_t count;
};

/* GitHub may give line ends back as CRLF, and cuts blanks at the end. */
static bool
is_same_text(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (*a == '\r')
			a++;
		while (*b == '\r')
			b++;
		if (*a != *b || *a == '\0')
			break;
	}
	return a[strspn(a, " \t\r\n")] == '\0' && b[strspn(b, " \t\r\n")] == '\0';
}

static int
on_candidate(void *arg, const struct github_comment *c, struct err *e)
{
	struct search *s = arg;

	(void)e;
	if (strstr(c->body, s->marker) == NULL || !github_is_me(&s->me, &c->author))
		return 0;
	if (s->id == 0 || c->id < s->id) {
		if (s->id != 0 && s->count < DUPLICATES_MAX)
			s->later[s->count++] = s->id;
		s->id = c->id;
		s->same = is_same_text(c->body, s->body);
	} else if (s->count < DUPLICATES_MAX) {
		s->later[s->count++] = c->id;
	}
	return 0;
}

static int
search(struct github *gh, uint64_t issue, struct search *s, struct err *e)
{
	int rc;

	s->id = 0;
	s->count = 0;
	rc = github_comments_each(gh, issue, on_candidate, s, e);
	for (size_t i = 0; rc == 0 && i < s->count; i++)
		rc = github_comment_delete(gh, s->later[i], e);
	return rc;
}

int
github_comment_put(
    struct github *gh, uint64_t issue, const char *marker, const char *body, uint64_t *id, struct err *e)
{
	struct search s = {.marker = marker, .body = body};
	int rc;

	if (*id != 0) {
		rc = github_comment_update(gh, *id, body, e);
		if (rc != -ENOENT)
			return rc;
		*id = 0; /* somebody deleted it */
	}
	rc = github_whoami(gh, &s.me, e);
	for (unsigned i = 0; rc == 0 && i < PUT_TRIES; i++) {
		rc = search(gh, issue, &s, e);
		if (rc < 0)
			break;
		*id = s.id;
		if (s.id != 0)
			return s.same ? 0 : github_comment_update(gh, s.id, body, e);
		rc = github_comment_create(gh, issue, body, id, e);
		if (rc != -EINPROGRESS)
			return rc;
		rc = i + 1 < PUT_TRIES ? 0 : rc;
	}
	return rc;
}

int
github_label_ensure(
    struct github *gh, const char *name, const char *color, const char *description, struct err *e)
{
	char *word = github_escape(name), *one = github_path(gh, "/labels/%s", word);
	char *all = github_path(gh, "/labels"), *what = xasprintf("make the label %s", name);
	json_t *said = NULL;
	int rc = github_get(gh, what, one, NULL, e);

	if (rc == -ENOENT) {
		rc = github_send(gh, what, "POST", all,
		    json_pack("{s:s,s:s,s:s}", "name", name, "color", color, "description", description),
		    &said, e);
		if (rc == -EINVAL && github_errors_say(said, "already_exists"))
			rc = 0;
		if (rc == -EINPROGRESS) /* lost: it is there, or it is not */
			rc = github_get(gh, what, one, NULL, e);
	}
	json_decref(said);
	free(word);
	free(one);
	free(all);
	free(what);
	return rc;
}

struct labels {
	github_label_fn *fn;
	void *arg;
};

static int
on_label(void *arg, const json_t *item, struct err *e)
{
	const struct labels *all = arg;
	const char *name = json_string_value(json_object_get(item, "name"));

	return name == NULL ? 0 : all->fn(all->arg, name, e);
}

int
github_issue_labels_each(struct github *gh, uint64_t issue, github_label_fn *fn, void *arg, struct err *e)
{
	struct labels all = {fn, arg};
	char *path = github_path(gh, "/issues/%" PRIu64 "/labels?per_page=100", issue);
	char *what = xasprintf("read the labels of issue %" PRIu64, issue);
	int rc = github_each(gh, what, path, NULL, on_label, &all, e);

	free(path);
	free(what);
	return rc;
}

/* Adding twice is adding once: a lost answer is no matter. */
int
github_issue_label_add(struct github *gh, uint64_t issue, const char *name, struct err *e)
{
	char *path = github_path(gh, "/issues/%" PRIu64 "/labels", issue);
	char *what = xasprintf("label issue %" PRIu64 " %s", issue, name);
	int rc = -EINPROGRESS;

	for (unsigned i = 0; i < PUT_TRIES && rc == -EINPROGRESS; i++)
		rc = github_send(gh, what, "POST", path, json_pack("{s:[s]}", "labels", name), NULL, e);
	free(path);
	free(what);
	return rc;
}

int
github_issue_label_remove(struct github *gh, uint64_t issue, const char *name, struct err *e)
{
	char *word = github_escape(name),
	     *path = github_path(gh, "/issues/%" PRIu64 "/labels/%s", issue, word);
	char *what = xasprintf("take the label %s off issue %" PRIu64, name, issue);
	int rc = github_send(gh, what, "DELETE", path, NULL, NULL, e);

	free(word);
	free(path);
	free(what);
	return rc == -ENOENT ? 0 : rc;
}
