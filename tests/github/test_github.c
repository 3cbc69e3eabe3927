/*
 * The client against what others wrote: GitHub's own description of its API (every request must be valid by
 * it), a server with state, the answers that octokit recorded, and faults of ours in between.
 */
#include "tests/github/standins.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "common/json.h"
#include "director/github_read.h"
#include "director/github_words.h"
#include "director/review_read.h"
#include "tests/helper/lib/test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK "<!-- orch:status -->"

static struct standins s;
static struct loop loop;
static struct github *gh;
static struct err e;

#define OK(call)                                                                                             \
	do {                                                                                                 \
		if ((call) != 0)                                                                             \
			fail_msg("%s: %s", #call, e.msg);                                                    \
	} while (0)

static int
set_up(void **state)
{
	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	gh = standins_client(&s, &loop, STANDIN_TOKEN);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	standins_count(&s, gh, "GET", "/"); /* asserts that all were valid */
	github_close(gh);
	loop_clear(&loop);
	return 0;
}

static int
count_comments(void *arg, const struct github_comment *c, struct err *err)
{
	(void)err;
	*(unsigned *)arg += strstr(c->body, MARK) != NULL;
	return 0;
}

static unsigned
marked(uint64_t issue)
{
	unsigned n = 0;

	OK(github_comments_each(gh, issue, count_comments, &n, &e));
	return n;
}

static int
count_labels(void *arg, const char *name, struct err *err)
{
	(void)err;
	*(unsigned *)arg += strcmp(name, "orch: running") == 0;
	return 0;
}

static void
knows_who_and_where_it_is(void **state)
{
	struct github_repository r;
	struct github_user me;
	char level[16];

	(void)state;
	OK(github_whoami(gh, &me, &e));
	assert_string_equal(me.login, "octo");
	OK(github_repository_get(gh, &r, &e));
	assert_string_equal(r.full_name, "octo/hello");
	assert_string_equal(r.default_branch, "main");
	assert_false(r.archived);
	github_repository_clear(&r);
	OK(github_permission(gh, "octo", level, &e));
	assert_string_equal(level, "admin");
}

static void
keeps_one_comment(void **state)
{
	uint64_t issue = standins_issue(gh, "Build it", "All of it"), id = 0, again = 0;
	struct github_issue i;

	(void)state;
	OK(github_issue_get(gh, issue, &i, &e));
	assert_string_equal(i.title, "Build it");
	assert_string_equal(i.body, "All of it");
	assert_string_equal(i.author.login, "octo");
	github_issue_clear(&i);
	OK(github_comment_put(gh, issue, MARK, MARK " one", &id, &e));
	OK(github_comment_put(gh, issue, MARK, MARK " two", &id, &e));
	OK(github_comment_put(gh, issue, MARK, MARK " three", &again, &e)); /* another process: finds it */
	assert_int_equal(id, again);
	assert_int_equal(marked(issue), 1);
	OK(github_comment_delete(gh, id, &e));
	OK(github_comment_delete(gh, id, &e));
	OK(github_comment_put(gh, issue, MARK, MARK " four", &id, &e)); /* somebody deleted it */
	assert_int_equal(marked(issue), 1);
	OK(github_issue_set_state(gh, issue, "closed", &e));
}

static void
reads_all_pages(void **state)
{
	uint64_t issue = standins_issue(gh, "Talk", "a lot"), id;
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 101; i++)
		OK(github_comment_create(gh, issue, MARK, &id, &e));
	n = marked(issue);
	assert_int_equal(n, 101);
	id = 0;
	OK(github_comment_put(
	    gh, issue, MARK, MARK " one is enough", &id, &e)); /* takes some of the rest away */
	assert_int_equal(marked(issue), 101 - 32);
}

static void
labels_issues(void **state)
{
	uint64_t issue = standins_issue(gh, "Label it", "x");
	unsigned n = 0;

	(void)state;
	OK(github_label_ensure(gh, "orch: running", "d4c5f9", "work is under way", &e));
	OK(github_label_ensure(gh, "orch: running", "d4c5f9", "work is under way", &e));
	OK(github_issue_label_add(gh, issue, "orch: running", &e));
	OK(github_issue_label_add(gh, issue, "orch: running", &e));
	OK(github_issue_labels_each(gh, issue, count_labels, &n, &e));
	assert_int_equal(n, 1);
	OK(github_issue_label_remove(gh, issue, "orch: running", &e));
	OK(github_issue_label_remove(gh, issue, "orch: running", &e));
	OK(github_issue_labels_each(gh, issue, count_labels, &n, &e));
	assert_int_equal(n, 1);
}

/* A branch with a commit of its own, made by the API. */
static void
make_branch(const char *name)
{
	char oid[65], *ref = xasprintf("refs/heads/%s", name), *path = github_path(gh, "/git/refs");
	char *file = github_path(gh, "/contents/%s.txt", strrchr(name, '/') + 1);

	OK(github_branch_get(gh, "main", oid, &e));
	OK(github_send(
	    gh, "make a branch", "POST", path, json_pack("{s:s,s:s}", "ref", ref, "sha", oid), NULL, &e));
	OK(github_send(gh, "make a file", "PUT", file,
	    json_pack("{s:s,s:s,s:s}", "message", "Adds it", "content", "aGVsbG8K", "branch", name), NULL,
	    &e));
	free(file);
	free(path);
	free(ref);
}

static int
count_refs(void *arg, const struct github_ref_info *r, struct err *err)
{
	(void)err;
	*(unsigned *)arg += strncmp(r->name, "refs/heads/cco/30", 17) == 0;
	return 0;
}

static void
opens_and_merges_a_pull_request(void **state)
{
	struct github_pull p, again;
	unsigned n = 0;
	char oid[65];
	bool made;

	(void)state;
	make_branch("cco/30-build");
	OK(github_refs_each(gh, "heads/cco/30", count_refs, &n, &e));
	assert_int_equal(n, 1);
	OK(github_pull_open(gh, "cco/30-build", "main", "Build it", "Closes #1", false, &p, &made, &e));
	assert_true(made);
	OK(github_pull_open(gh, "cco/30-build", "main", "Other", "words", false, &again, &made, &e));
	assert_false(made);
	assert_int_equal(p.number, again.number);
	github_pull_clear(&again);
	OK(github_pull_update(gh, p.number, "Build all of it", NULL, NULL, NULL, &e));
	OK(github_pull_get(gh, p.number, &again, &e));
	assert_string_equal(again.title, "Build all of it");
	assert_string_equal(again.body, "Closes #1");
	OK(github_pull_merge(gh, p.number, again.head_oid, "merge", &e));
	github_pull_clear(&again);
	OK(github_pull_get(gh, p.number, &again, &e));
	assert_true(again.merged);
	github_pull_clear(&again);
	github_pull_clear(&p);
	OK(github_branch_delete(gh, "cco/30-build", &e));
	OK(github_branch_delete(gh, "cco/30-build", &e));
	assert_int_equal(github_branch_get(gh, "cco/30-build", oid, &e), -ENOENT);
}

static int
last_review(void *arg, const struct github_review *r, struct err *err)
{
	(void)err;
	snprintf(arg, 32, "%s", r->state);
	return 0;
}

static int
last_review_comment(void *arg, const struct github_review_comment *c, struct err *err)
{
	(void)err;
	*(struct github_review_comment *)arg =
	    (struct github_review_comment){.id = c->id, .reply_to = c->reply_to};
	return 0;
}

static void
reads_reviews_and_answers_them(void **state)
{
	struct github *other = standins_client(&s, &loop, "sk-test-stranger");
	struct github_review_comment c = {0};
	struct remarks_source source = {0};
	struct remarks found = {0};
	struct github_pull p;
	char said[32] = "", *path;
	uint64_t id;
	bool made;

	(void)state;
	make_branch("cco/31-build");
	OK(github_pull_open(gh, "cco/31-build", "main", "Build it", "x", false, &p, &made, &e));
	path = github_path(gh, "/pulls/%" PRIu64 "/reviews", p.number);
	OK(github_send(other, "review it", "POST", path,
	    json_pack("{s:s,s:s,s:[{s:s,s:i,s:s}]}", "event", "REQUEST_CHANGES", "body", "No", "comments",
		"path", "31-build.txt", "position", 1, "body", "Why?"),
	    NULL, &e));
	OK(github_reviews_each(gh, p.number, last_review, said, &e));
	assert_string_equal(said, "CHANGES_REQUESTED");
	OK(github_review_comments_each(gh, p.number, last_review_comment, &c, &e));
	assert_true(c.id != 0);
	OK(review_read(gh, p.number, &source, &e));
	remarks_pick(&source, true, &found);
	assert_int_equal(found.count, 2); /* what the review says, and its comment */
	assert_string_equal(found.list[1].path, "31-build.txt");
	assert_non_null(strstr(found.list[1].text, "Why?"));
	remarks_clear(&found);
	remarks_source_clear(&source);
	/* emulate has no replies: the request is only held against the description. */
	assert_int_equal(github_review_reply(gh, p.number, c.id, "Because", &id, &e), -ENOENT);
	free(path);
	github_pull_clear(&p);
	github_close(other);
}

static void
survives_lost_answers(void **state)
{
	uint64_t issue = standins_issue(gh, "Lose it", "x"), id = 0;
	struct github_pull p;
	bool made;

	(void)state;
	standins_fault(&s, gh, "{\"method\":\"POST\",\"path\":\"/comments\",\"kind\":\"lost\",\"times\":1}");
	OK(github_comment_put(gh, issue, MARK, MARK " one", &id, &e));
	assert_int_equal(marked(issue), 1);
	standins_fault(&s, gh, "{\"method\":\"PATCH\",\"path\":\"/comments\",\"kind\":\"lost\",\"times\":1}");
	OK(github_comment_put(gh, issue, MARK, MARK " two", &id, &e));
	assert_int_equal(marked(issue), 1);
	make_branch("cco/32-build");
	standins_fault(&s, gh, "{\"method\":\"POST\",\"path\":\"/pulls\",\"kind\":\"lost\",\"times\":1}");
	OK(github_pull_open(gh, "cco/32-build", "main", "Build it", "x", false, &p, &made, &e));
	assert_false(made); /* it is found */
	standins_fault(&s, gh, "{\"method\":\"PUT\",\"path\":\"/merge\",\"kind\":\"lost\",\"times\":1}");
	OK(github_pull_merge(gh, p.number, p.head_oid, "merge", &e));
	github_pull_clear(&p);
}

static void
survives_resets_and_limits(void **state)
{
	uint64_t issue = standins_issue(gh, "Limit it", "x"), id = 0;

	(void)state;
	standins_fault(&s, gh, "{\"method\":\"GET\",\"path\":\"/comments\",\"kind\":\"reset\",\"times\":1}");
	assert_int_equal(marked(issue), 0);
	standins_fault(&s, gh, "{\"method\":\"GET\",\"path\":\"/comments\",\"kind\":\"cut\",\"times\":1}");
	assert_int_equal(marked(issue), 0);
	standins_fault(&s, gh,
	    "{\"method\":\"POST\",\"path\":\"/comments\",\"kind\":\"answer\",\"times\":1,\"status\":403,"
	    "\"headers\":{\"retry-after\":\"1\"},\"body\":{\"message\":\"You have exceeded a secondary rate "
	    "limit\"}}");
	OK(github_comment_put(gh, issue, MARK, MARK " one", &id, &e));
	assert_int_equal(marked(issue), 1);
	standins_fault(&s, gh,
	    "{\"method\":\"POST\",\"path\":\"/comments\",\"kind\":\"answer\",\"times\":1,\"status\":403,"
	    "\"headers\":{\"x-accepted-github-permissions\":\"issues=write\",\"x-ratelimit-remaining\":"
	    "\"4000\"},"
	    "\"body\":{\"message\":\"Resource not accessible by integration\"}}");
	assert_int_equal(github_comment_create(gh, issue, "x", &id, &e), -EPERM);
	assert_non_null(strstr(e.msg, "issues=write"));
}

/* mergeable is null while GitHub computes it. */
static void
waits_for_mergeable(void **state)
{
	struct github_pull p;
	int mergeable;
	bool made;

	(void)state;
	make_branch("cco/33-build");
	OK(github_pull_open(gh, "cco/33-build", "main", "Build it", "x", false, &p, &made, &e));
	standins_fault(
	    &s, gh, "{\"method\":\"GET\",\"path\":\"/pulls/\",\"kind\":\"null-mergeable\",\"times\":1}");
	OK(github_pull_mergeable(gh, p.number, &mergeable, &e));
	assert_true(mergeable >= 0);
	standins_fault(&s, gh,
	    "{\"method\":\"PUT\",\"path\":\"/"
	    "merge\",\"kind\":\"answer\",\"times\":1,\"status\":409,\"body\":{"
	    "\"message\":\"Head branch was modified. Review and try the merge again.\"}}");
	assert_int_equal(github_pull_merge(gh, p.number, p.head_oid, "merge", &e), -ESTALE);
	github_pull_clear(&p);
}

/* Each request of a scenario that octokit recorded, with its answer. */
static json_t *
scenario(const char *name)
{
	char *path =
	    xasprintf("%s/node_modules/@octokit/fixtures/scenarios/api.github.com/%s/normalized-fixture.json",
		s.modules, name);
	char *text;
	size_t size;
	json_t *j;

	assert_int_equal(fd_read_file(path, 8 << 20, &text, &size), 0);
	j = json_parse(name, text, size, &e);
	if (j == NULL)
		fail_msg("%s", e.msg);
	free(text);
	free(path);
	return j;
}

static void
reads_what_github_answered(void **state)
{
	json_t *j = scenario("paginate-issues"), *label = scenario("labels"), *errors = scenario("errors");
	struct github_repository r;
	unsigned pages = 0;
	json_t *one;
	size_t i;

	(void)state;
	json_array_foreach (j, i, one) {
		const char *link = json_str(json_object_get(one, "headers"), "link");
		char *next = github_link_next(link);
		struct github_issue issue;

		pages += next != NULL;
		free(next);
		if (json_is_array(json_object_get(one, "response")) &&
		    json_array_size(json_object_get(one, "response")) > 0)
			assert_true(
			    github_read_issue(json_array_get(json_object_get(one, "response"), 0), &issue));
	}
	assert_true(pages > 1);
	assert_true(json_array_size(label) > 0);
	json_array_foreach (errors, i, one) {
		struct err why = {""};

		assert_int_equal(github_explain(&why, GITHUB_INVALID, 422, "make a label",
				     json_object_get(one, "response"), NULL, 0),
		    -EINVAL);
		assert_non_null(strstr(why.msg, "Validation Failed"));
	}
	json_decref(j);
	json_decref(label);
	json_decref(errors);
	j = scenario("get-repository");
	one = json_array_get(j, 0);
	assert_true(github_read_repository(json_object_get(one, "response"), &r));
	assert_string_equal(r.full_name, "octokit-fixture-org/hello-world");
	json_decref(j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(knows_who_and_where_it_is, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(keeps_one_comment, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(reads_all_pages, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(labels_issues, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(opens_and_merges_a_pull_request, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(reads_reviews_and_answers_them, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(survives_lost_answers, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(survives_resets_and_limits, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(waits_for_mergeable, set_up, tear_down),
	    cmocka_unit_test(reads_what_github_answered),
	};
	int rc;

	standins_start(&s);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	standins_stop(&s);
	return rc;
}
