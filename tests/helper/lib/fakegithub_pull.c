/*
 * fakegithub_pull: the fake GitHub's pull requests. Their heads follow what is pushed, and one whose head is
 * in its base counts as merged, whoever brought it there.
 */
#include "tests/helper/lib/fakegithub_impl.h"

#include "common/alloc.h"
#include "tests/helper/lib/test.h"

#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

static const char *
str(const json_t *j, const char *name)
{
	const char *s = json_string_value(json_object_get(j, name));

	return s == NULL ? "" : s;
}

/* The commit of a branch; "" when there is none. */
static char *
tip(struct fakegithub *g, const char *branch)
{
	char *ref = xasprintf("refs/heads/%s", branch);
	char *oid = fakegithub_git(g, "rev-parse", "-q", "--verify", ref, NULL);

	free(ref);
	return oid == NULL ? xstrdup("") : oid;
}

static bool
is_in(struct fakegithub *g, const char *oid, const char *branch)
{
	char *ref = xasprintf("refs/heads/%s", branch);
	char *said = fakegithub_git(g, "merge-base", "--is-ancestor", oid, ref, NULL);
	bool in = said != NULL;

	free(said);
	free(ref);
	return in;
}

static bool
is_open(const json_t *p)
{
	return strcmp(str(p, "state"), "open") == 0;
}

static void
note_merged(json_t *p)
{
	json_object_set_new(p, "merged", json_true());
	json_object_set_new(p, "state", json_string("closed"));
}

/* As it is now. */
static void
follow(struct fakegithub *g, json_t *p)
{
	char *head, *base;

	if (!is_open(p))
		return;
	head = tip(g, str(p, "head"));
	base = tip(g, str(p, "base"));
	if (*head != '\0')
		json_object_set_new(p, "head_oid", json_string(head));
	if (*base != '\0')
		json_object_set_new(p, "base_oid", json_string(base));
	if (*head != '\0' && is_in(g, head, str(p, "base")))
		note_merged(p);
	free(head);
	free(base);
}

static json_t *
show(struct fakegithub *g, json_t *p)
{
	bool merged;
	char *url;
	json_t *j;

	follow(g, p);
	merged = json_is_true(json_object_get(p, "merged"));
	url = xasprintf("http://127.0.0.1:%u/octo/hello/pull/%lld", g->port,
	    (long long)json_integer_value(json_object_get(p, "number")));
	j = json_pack("{s:O, s:O, s:O, s:O, s:s, s:O, s:b, s:b, s:s?, s:o, s:s, s:b, s:{s:s, s:s, s:s, "
		      "s:{s:s}}, s:{s:s, s:s}}",
	    "number", json_object_get(p, "number"), "state", json_object_get(p, "state"), "title",
	    json_object_get(p, "title"), "body", json_object_get(p, "body"), "html_url", url, "user",
	    json_object_get(p, "user"), "draft", (int)json_is_true(json_object_get(p, "draft")), "merged",
	    (int)merged, "merged_at", merged ? "2026-11-22T00:00:00Z" : NULL, "mergeable",
	    is_open(p) ? json_true() : json_null(), "mergeable_state", "clean", "maintainer_can_modify", 0,
	    "head", "ref", str(p, "head"), "sha", str(p, "head_oid"), "label", str(p, "head"), "repo",
	    "full_name", "octo/hello", "base", "ref", str(p, "base"), "sha", str(p, "base_oid"));
	assert_non_null(j);
	free(url);
	return j;
}

json_t *
fakegithub_pull(struct fakegithub *g, size_t n)
{
	json_t *p = json_array_get(g->pulls, n);

	return p == NULL ? NULL : show(g, p);
}

static json_t *
find(struct fakegithub *g, uint64_t number)
{
	json_t *p;
	size_t i;

	json_array_foreach (g->pulls, i, p)
		if ((uint64_t)json_integer_value(json_object_get(p, "number")) == number)
			return p;
	return NULL;
}

bool
fakegithub_is_pull(struct fakegithub *g, uint64_t number)
{
	return find(g, number) != NULL;
}

/* A filter that is no "owner:branch" is no filter, as at GitHub. */
static bool
is_asked_for(const json_t *p, const char *state, const char *head, const char *base)
{
	const char *branch = head == NULL ? NULL : strchr(head, ':');

	if (strcmp(state, "all") != 0 && strcmp(str(p, "state"), state) != 0)
		return false;
	if (branch != NULL && strcmp(branch + 1, str(p, "head")) != 0)
		return false;
	return base == NULL || strcmp(base, str(p, "base")) == 0;
}

void
fakegithub_get_pulls(struct fakegithub_call *c)
{
	char *state = fakegithub_param(c, "state"), *head = fakegithub_param(c, "head"),
	     *base = fakegithub_param(c, "base");
	json_t *list = json_array(), *p;
	size_t i;

	json_array_foreach (c->g->pulls, i, p) {
		json_t *j = show(c->g, p);

		if (is_asked_for(p, state == NULL ? "open" : state, head, base))
			json_array_insert_new(list, 0, j); /* the newest first */
		else
			json_decref(j);
	}
	fakegithub_answer_list(c, list);
	free(state);
	free(head);
	free(base);
}

void
fakegithub_get_pull(struct fakegithub_call *c)
{
	json_t *p = find(c->g, strtoull(c->part[0], NULL, 10));

	if (p == NULL)
		fakegithub_not_found(c);
	else
		fakegithub_answer(c, 200, show(c->g, p));
}

static bool
is_open_already(struct fakegithub *g, const char *head, const char *base)
{
	json_t *p;
	size_t i;

	json_array_foreach (g->pulls, i, p) {
		follow(g, p);
		if (is_open(p) && strcmp(str(p, "head"), head) == 0 && strcmp(str(p, "base"), base) == 0)
			return true;
	}
	return false;
}

/* What GitHub refuses with 422: the code and the words. */
static const char *
refusal(struct fakegithub *g, const char *head, const char *base, const char **code)
{
	char *from = tip(g, head), *to = tip(g, base);
	const char *why = NULL;

	*code = "custom";
	if (*from == '\0' || *to == '\0') {
		*code = "invalid";
		why = *from == '\0' ? "head" : "base";
	} else if (is_open_already(g, head, base)) {
		why = "A pull request already exists for octo.";
	} else if (is_in(g, from, base)) {
		why = "No commits between the two";
	}
	free(from);
	free(to);
	return why;
}

void
fakegithub_post_pull(struct fakegithub_call *c)
{
	const char *head = str(c->body, "head"), *base = str(c->body, "base"), *code;
	const char *why = refusal(c->g, head, base, &code);
	json_t *p;

	if (why != NULL || *str(c->body, "title") == '\0') {
		fakegithub_invalid(c, code, why);
		return;
	}
	p = json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:o}", "number",
	    (json_int_t)++c->g->next_number, "title", str(c->body, "title"), "body", str(c->body, "body"),
	    "head", head, "base", base, "state", "open", "merged", 0, "draft",
	    (int)json_is_true(json_object_get(c->body, "draft")), "user",
	    fakegithub_user(c->g, FAKEGITHUB_US));
	assert_non_null(p);
	json_array_append_new(c->g->pulls, p);
	fakegithub_answer(c, 201, show(c->g, p));
}

void
fakegithub_patch_pull(struct fakegithub_call *c)
{
	static const char *const fields[] = {"title", "body", "base", "state"};
	json_t *p = find(c->g, strtoull(c->part[0], NULL, 10)), *value;

	if (p == NULL) {
		fakegithub_not_found(c);
		return;
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		value = json_object_get(c->body, fields[i]);
		if (json_is_string(value))
			json_object_set(p, fields[i], value);
	}
	fakegithub_answer(c, 200, show(c->g, p));
}

/* A merge commit of head into base, made where nobody has a checkout. */
static bool
merge(struct fakegithub *g, json_t *p)
{
	char *head = tip(g, str(p, "head")), *base = tip(g, str(p, "base"));
	char *tree = fakegithub_git(g, "merge-tree", "--write-tree", base, head, NULL), *made = NULL;
	char *ref = xasprintf("refs/heads/%s", str(p, "base"));

	if (tree != NULL)
		made = fakegithub_git(
		    g, "commit-tree", tree, "-p", base, "-p", head, "-m", "Merge pull request", NULL);
	if (made != NULL)
		free(fakegithub_git(g, "update-ref", ref, made, base, NULL));
	free(ref);
	free(head);
	free(base);
	free(tree);
	free(made);
	if (made == NULL)
		return false;
	note_merged(p);
	return true;
}

bool
fakegithub_merge(struct fakegithub *g, uint64_t number)
{
	json_t *p = find(g, number);

	if (p != NULL)
		follow(g, p);
	return p != NULL && is_open(p) && merge(g, p);
}

void
fakegithub_put_merge(struct fakegithub_call *c)
{
	json_t *p = find(c->g, strtoull(c->part[0], NULL, 10));
	const char *sha = str(c->body, "sha");

	if (p != NULL)
		follow(c->g, p);
	if (p == NULL)
		fakegithub_not_found(c);
	else if (*sha != '\0' && strcmp(sha, str(p, "head_oid")) != 0)
		fakegithub_answer(c, 409,
		    json_pack(
			"{s:s}", "message", "Head branch was modified. Review and try the merge again."));
	else if (!is_open(p) || !merge(c->g, p))
		fakegithub_answer(c, 405, json_pack("{s:s}", "message", "Pull Request is not mergeable"));
	else
		fakegithub_answer(c, 200, json_pack("{s:b, s:s}", "merged", 1, "message", "merged"));
}
