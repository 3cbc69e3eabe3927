/* fakegithub_review: the fake GitHub's reviews of pull requests and the comments on their changes. */
#include "tests/helper/lib/fakegithub_impl.h"

#include "common/alloc.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t
number(const json_t *j, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(j, name));
}

static void
answer_of(struct fakegithub_call *c, const json_t *all)
{
	uint64_t pull = strtoull(c->part[0], NULL, 10);
	json_t *list = json_array(), *one;
	size_t i;

	json_array_foreach (all, i, one)
		if (number(one, "pull") == pull)
			json_array_append(list, one);
	fakegithub_answer_list(c, list);
}

void
fakegithub_get_reviews(struct fakegithub_call *c)
{
	answer_of(c, c->g->reviews);
}

void
fakegithub_get_remarks(struct fakegithub_call *c)
{
	answer_of(c, c->g->remarks);
}

uint64_t
fakegithub_review(struct fakegithub *g, uint64_t pull, const char *author, const char *association,
    const char *state, const char *body)
{
	json_t *r = json_pack("{s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "id", (json_int_t)++g->next_id,
	    "pull", (json_int_t)pull, "state", state, "body", body, "author_association", association,
	    "submitted_at", "2026-11-22T00:00:00Z", "commit_id", "", "html_url", "https://github.test/r",
	    "user", fakegithub_user(g, author));

	assert_non_null(r);
	json_array_append_new(g->reviews, r);
	return g->next_id;
}

/* GitHub names the thread's first comment as what is answered, whichever it was. */
uint64_t
fakegithub_remark(struct fakegithub *g, const struct fakegithub_remark *r)
{
	json_t *k = json_pack("{s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "id", (json_int_t)++g->next_id,
	    "pull", (json_int_t)r->pull, "path", r->path, "body", r->body, "author_association",
	    r->association, "created_at", "2026-11-22T00:00:00Z", "commit_id", "", "html_url",
	    "https://github.test/c", "user", fakegithub_user(g, r->author));

	assert_non_null(k);
	json_object_set_new(
	    k, "pull_request_review_id", r->review == 0 ? json_null() : json_integer((json_int_t)r->review));
	json_object_set_new(k, "line", r->line == 0 ? json_null() : json_integer((json_int_t)r->line));
	if (r->reply_to != 0)
		json_object_set_new(k, "in_reply_to_id", json_integer((json_int_t)r->reply_to));
	json_array_append_new(g->remarks, k);
	return g->next_id;
}

static json_t *
find(struct fakegithub *g, uint64_t id)
{
	json_t *k;
	size_t i;

	json_array_foreach (g->remarks, i, k)
		if (number(k, "id") == id)
			return k;
	return NULL;
}

/* Only a thread's first comment can be answered. */
void
fakegithub_post_reply(struct fakegithub_call *c)
{
	const char *body = json_string_value(json_object_get(c->body, "body"));
	json_t *top = find(c->g, strtoull(c->part[1], NULL, 10));
	struct fakegithub_remark r;

	if (top == NULL || number(top, "pull") != strtoull(c->part[0], NULL, 10)) {
		fakegithub_not_found(c);
		return;
	}
	if (body == NULL || json_object_get(top, "in_reply_to_id") != NULL) {
		fakegithub_invalid(c, "invalid", NULL);
		return;
	}
	r = (struct fakegithub_remark){.pull = number(top, "pull"),
	    .reply_to = number(top, "id"),
	    .line = number(top, "line"),
	    .author = FAKEGITHUB_US,
	    .association = "NONE",
	    .path = json_string_value(json_object_get(top, "path")),
	    .body = body};
	fakegithub_remark(c->g, &r);
	fakegithub_answer(c, 201, json_incref(find(c->g, c->g->next_id)));
}

void
fakegithub_answer_threads(struct fakegithub_call *c)
{
	const char *after =
	    json_string_value(json_object_get(json_object_get(c->body, "variables"), "after"));
	size_t at = after == NULL ? 0 : strtoul(after, NULL, 10), all = json_array_size(c->g->resolved);
	char end[32];
	json_t *nodes = json_array();

	if (at < all)
		json_array_append_new(nodes, json_pack("{s:b, s:{s:[{s:O}]}}", "isResolved", 1, "comments",
						 "nodes", "databaseId", json_array_get(c->g->resolved, at)));
	snprintf(end, sizeof(end), "%zu", at + 1);
	fakegithub_answer(c, 200,
	    json_pack("{s:{s:{s:{s:{s:{s:b, s:s}, s:o}}}}}", "data", "repository", "pullRequest",
		"reviewThreads", "pageInfo", "hasNextPage", at + 1 < all, "endCursor", end, "nodes", nodes));
}

const char *
fakegithub_reply(struct fakegithub *g, uint64_t comment, size_t n)
{
	json_t *k;
	size_t i;

	json_array_foreach (g->remarks, i, k)
		if (number(k, "in_reply_to_id") == comment && number(json_object_get(k, "user"), "id") == 7 &&
		    n-- == 0)
			return json_string_value(json_object_get(k, "body"));
	return NULL;
}
