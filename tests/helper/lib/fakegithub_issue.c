/* fakegithub_issue: the fake GitHub's user, repository, issues, comments and labels. */
#include "tests/helper/lib/fakegithub_impl.h"

#include "common/alloc.h"
#include "tests/helper/lib/test.h"

#include <stdlib.h>
#include <string.h>

#define US FAKEGITHUB_US

static json_t *
find_issue(struct fakegithub_call *c)
{
	return json_object_get(c->g->issues, c->part[0]);
}

void
fakegithub_get_user(struct fakegithub_call *c)
{
	if (c->g->bot)
		fakegithub_answer(
		    c, 403, json_pack("{s:s}", "message", "Resource not accessible by integration"));
	else
		fakegithub_answer(c, 200, fakegithub_user(c->g, US));
}

void
fakegithub_post_graphql(struct fakegithub_call *c)
{
	const char *query = json_string_value(json_object_get(c->body, "query"));

	if (query != NULL && strstr(query, "reviewThreads") != NULL)
		fakegithub_answer_threads(c);
	else
		fakegithub_answer(c, 200, json_pack("{s:{s:{s:s}}}", "data", "viewer", "login", US));
}

void
fakegithub_get_repository(struct fakegithub_call *c)
{
	fakegithub_answer(c, 200,
	    json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:{s:b}}", "full_name", "octo/hello",
		"default_branch", "main", "html_url", "https://github.test/octo/hello", "clone_url",
		"https://github.test/octo/hello.git", "archived", 0, "disabled", 0, "private", 0,
		"has_issues", 1, "permissions", "push", 1));
}

void
fakegithub_get_permission(struct fakegithub_call *c)
{
	const char *level = json_string_value(json_object_get(c->g->permissions, c->part[0]));

	fakegithub_answer(c, 200,
	    json_pack("{s:s, s:o}", "permission", level == NULL ? "none" : level, "user",
		fakegithub_user(c->g, c->part[0])));
}

void
fakegithub_get_issue(struct fakegithub_call *c)
{
	json_t *i = find_issue(c);

	if (i == NULL)
		fakegithub_not_found(c);
	else
		fakegithub_answer(c, 200, json_incref(i));
}

static json_t *
show_comment(const json_t *k)
{
	return json_pack("{s:O, s:O, s:O, s:s, s:s, s:s}", "id", json_object_get(k, "id"), "body",
	    json_object_get(k, "body"), "user", json_object_get(k, "user"), "html_url",
	    "https://github.test/c", "created_at", "2026-11-22T00:00:00Z", "author_association", "NONE");
}

void
fakegithub_get_comments(struct fakegithub_call *c)
{
	json_t *list = json_array(), *k;
	size_t i;

	json_array_foreach (c->g->comments, i, k)
		if (strcmp(json_string_value(json_object_get(k, "issue")), c->part[0]) == 0)
			json_array_append_new(list, show_comment(k));
	fakegithub_answer_list(c, list);
}

static json_t *
add_comment(struct fakegithub *g, const char *issue, const char *author, const char *body)
{
	json_t *k = json_pack("{s:I, s:s, s:s, s:o}", "id", (json_int_t)++g->next_id, "issue", issue, "body",
	    body, "user", fakegithub_user(g, author));

	assert_non_null(k);
	json_array_append_new(g->comments, k);
	return k;
}

void
fakegithub_post_comment(struct fakegithub_call *c)
{
	const char *body = json_string_value(json_object_get(c->body, "body"));

	if ((find_issue(c) == NULL && !fakegithub_is_pull(c->g, strtoull(c->part[0], NULL, 10))) ||
	    body == NULL || strlen(body) > 4 * 65536)
		fakegithub_invalid(c, "invalid", NULL);
	else
		fakegithub_answer(c, 201, show_comment(add_comment(c->g, c->part[0], US, body)));
}

static json_t *
find_comment(struct fakegithub_call *c, size_t *at)
{
	json_t *k;
	size_t i;

	json_array_foreach (c->g->comments, i, k) {
		*at = i;
		if (json_integer_value(json_object_get(k, "id")) == atoll(c->part[0]))
			return k;
	}
	return NULL;
}

void
fakegithub_patch_comment(struct fakegithub_call *c)
{
	size_t at;
	json_t *k = find_comment(c, &at);

	if (k == NULL) {
		fakegithub_not_found(c);
		return;
	}
	json_object_set(k, "body", json_object_get(c->body, "body"));
	json_object_set_new(k, "edits", json_integer(json_integer_value(json_object_get(k, "edits")) + 1));
	fakegithub_answer(c, 200, show_comment(k));
}

void
fakegithub_delete_comment(struct fakegithub_call *c)
{
	size_t at;

	if (find_comment(c, &at) == NULL) {
		fakegithub_not_found(c);
		return;
	}
	json_array_remove(c->g->comments, at);
	fakegithub_answer(c, 204, NULL);
}

static bool
has(const json_t *names, const char *name)
{
	json_t *n;
	size_t i;

	json_array_foreach (names, i, n)
		if (strcmp(json_string_value(n), name) == 0)
			return true;
	return false;
}

void
fakegithub_get_label(struct fakegithub_call *c)
{
	if (has(c->g->labels, c->part[0]))
		fakegithub_answer(c, 200, json_pack("{s:s}", "name", c->part[0]));
	else
		fakegithub_not_found(c);
}

void
fakegithub_post_label(struct fakegithub_call *c)
{
	const char *name = json_string_value(json_object_get(c->body, "name"));

	if (name == NULL || has(c->g->labels, name)) {
		fakegithub_invalid(c, "already_exists", NULL);
		return;
	}
	json_array_append_new(c->g->labels, json_string(name));
	fakegithub_answer(c, 201, json_pack("{s:s}", "name", name));
}

void
fakegithub_show_labels(struct fakegithub_call *c)
{
	json_t *list = json_array(), *n;
	size_t i;

	json_array_foreach (json_object_get(find_issue(c), "labels"), i, n)
		json_array_append_new(list, json_pack("{s:O}", "name", n));
	fakegithub_answer_list(c, list);
}

void
fakegithub_add_labels(struct fakegithub_call *c)
{
	json_t *own = json_object_get(find_issue(c), "labels"), *n;
	size_t i;

	json_array_foreach (json_object_get(c->body, "labels"), i, n)
		if (!has(own, json_string_value(n)))
			json_array_append(own, n);
	fakegithub_show_labels(c);
}

void
fakegithub_remove_label(struct fakegithub_call *c)
{
	json_t *own = json_object_get(find_issue(c), "labels"), *n;
	size_t i;

	json_array_foreach (own, i, n)
		if (strcmp(json_string_value(n), c->part[1]) == 0) {
			json_array_remove(own, i);
			fakegithub_show_labels(c);
			return;
		}
	fakegithub_not_found(c);
}

void
fakegithub_issue(
    struct fakegithub *g, const char *number, const char *author, const char *title, const char *body)
{
	json_object_set_new(g->issues, number,
	    json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:o, s:i, s:[]}", "number", atoi(number), "title",
		title, "body", body, "state", "open", "html_url", "https://github.test/i",
		"author_association", "NONE", "user", fakegithub_user(g, author), "comments", 0, "labels"));
}

void
fakegithub_comment(struct fakegithub *g, const char *number, const char *author, const char *body)
{
	add_comment(g, number, author, body);
}

bool
fakegithub_has_label(struct fakegithub *g, const char *number, const char *label)
{
	return has(json_object_get(json_object_get(g->issues, number), "labels"), label);
}

static const json_t *
find_ours(struct fakegithub *g, const char *number, size_t n, size_t *at)
{
	json_t *k;

	for (*at = 0; (k = json_array_get(g->comments, *at)) != NULL; *at += 1)
		if (strcmp(json_string_value(json_object_get(k, "issue")), number) == 0 &&
		    json_integer_value(json_object_get(json_object_get(k, "user"), "id")) == 7 && n-- == 0)
			return k;
	return NULL;
}

const char *
fakegithub_ours(struct fakegithub *g, const char *number, size_t n)
{
	size_t at;

	return json_string_value(json_object_get(find_ours(g, number, n, &at), "body"));
}

void
fakegithub_delete_ours(struct fakegithub *g, const char *number, size_t n)
{
	size_t at;

	assert_non_null(find_ours(g, number, n, &at));
	json_array_remove(g->comments, at);
}

void
fakegithub_set_label(struct fakegithub *g, const char *number, const char *label, bool on)
{
	json_t *own = json_object_get(json_object_get(g->issues, number), "labels");

	for (size_t i = json_array_size(own); i-- > 0;)
		if (strcmp(json_string_value(json_array_get(own, i)), label) == 0)
			json_array_remove(own, i);
	if (on)
		json_array_append_new(own, json_string(label));
}
