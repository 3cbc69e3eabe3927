/* orchctl run 25: a whole run whose issue is on a server with state; and the issues that are refused. */
#include "tests/github/standins.h"

#include "common/alloc.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct standins s;
static struct github *gh, *other;
static struct err err;
static char number[32];

static int
set_up(void **state)
{
	int rc = e2e_setup(state);
	struct e2e *e = *state;

	setenv("GITHUB_TOKEN", STANDIN_TOKEN, 1);
	setenv("GITHUB_API_URL", s.api, 1);
	setenv("GITHUB_SERVER_URL", s.git, 1);
	setenv("REPO_OWNER", "octo", 1);
	setenv("REPO_NAME", "hello", 1);
	setenv("ORCH_GITHUB_WRITE_GAP", "0", 1);
	gh = standins_client(&s, &e->repo->loop, STANDIN_TOKEN);
	other = standins_client(&s, &e->repo->loop, "sk-test-stranger");
	return rc;
}

static int
tear_down(void **state)
{
	static const char *const names[] = {"GITHUB_TOKEN", "GITHUB_API_URL", "GITHUB_SERVER_URL",
	    "REPO_OWNER", "REPO_NAME", "ORCH_GITHUB_WRITE_GAP", "GITHUB_ACTIONS"};

	standins_count(&s, gh, "GET", "/"); /* all were valid */
	github_close(gh);
	github_close(other);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	return e2e_teardown(state);
}

static void
make_issue(struct github *by, const char *title, const char *body)
{
	snprintf(number, sizeof(number), "%" PRIu64, standins_issue(by, title, body));
}

static void
refused(struct e2e *e, const char *why)
{
	struct ctlrun r;

	if (e2e_ctl(e, &r, "run", number, "--detach", NULL) != 2 || strstr(r.err, why) == NULL)
		fail_msg("status %d: %s (want %s)", r.status, r.err, why);
	ctlrun_clear(&r);
}

struct found {
	unsigned count;
	char *head, *url, *body;
};

static int
on_pull(void *arg, const struct github_pull *p, struct err *why)
{
	struct found *f = arg;

	(void)why;
	if (f->count++ == 0) {
		f->head = xstrdup(p->head_ref);
		f->url = xstrdup(p->url);
		f->body = xstrdup(p->body);
	}
	return 0;
}

static int
on_count(void *arg, const struct github_pull *p, struct err *why)
{
	(void)p;
	(void)why;
	++*(unsigned *)arg;
	return 0;
}

static int
on_status_comment(void *arg, const struct github_comment *c, struct err *why)
{
	char **text = arg;

	(void)why;
	if (strstr(c->body, "<!-- orch: status -->") == NULL)
		return 0;
	assert_null(*text); /* only one */
	*text = xstrdup(c->body);
	return 0;
}

/* The branch is there, with one pull request from it, and all who look for it find it. */
static void
assert_delivered(const json_t *run)
{
	const char *branch = json_string_value(json_object_get(run, "branch"));
	const char *base = json_string_value(json_object_get(run, "base_branch"));
	struct found f = {0};
	char *closes = xasprintf("Closes #%s.", number), *text = NULL, *line;

	assert_int_equal(
	    github_comments_each(gh, strtoull(number, NULL, 10), on_status_comment, &text, &err), 0);
	assert_non_null(text);
	if (strstr(text, "GitHub:") != NULL)
		fail_msg("%s", text);
	assert_int_equal(github_pulls_each(gh, branch, base, "open", on_pull, &f, &err), 0);
	if (f.count != 1)
		fail_msg("%u pull requests from %s into %s", f.count, branch, base);
	assert_string_equal(f.head, branch);
	assert_ptr_equal(strstr(f.body, closes), f.body);
	assert_string_equal(json_string_value(json_object_get(run, "pull_url")), f.url);
	assert_non_null(strstr(text, "### orch: complete"));
	line = xasprintf("**Result:** <%s>", f.url);
	assert_non_null(strstr(text, line));
	free(line);
	free(text);
	free(closes);
	free(f.head);
	free(f.url);
	free(f.body);
}

static void
works_on_an_issue(void **state)
{
	struct e2e *e = *state;
	uint64_t id;
	char *branch, *bare, *pushed;
	json_t *run;

	make_issue(gh, "Build a calculator", "It adds and subtracts.");
	branch = xasprintf("cco/%s-build-a-calculator", number);
	bare = standins_remote(&s, e->repo, gh, branch);
	assert_int_equal(
	    github_comment_create(gh, strtoull(number, NULL, 10), "It also multiplies.", &id, &err), 0);
	e2e_plan(
	    e, "director", "expect_prompt It adds and subtracts.\nexpect_prompt It also multiplies.\n", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", "");
	e2e_remember(e);
	e2e_ctl_ok(e, "run", number, "--detach", NULL);
	e2e_follow(e);
	e2e_await(e, number, "state", "complete");
	run = e2e_status(e, number);
	assert_string_equal(json_string_value(json_object_get(run, "title")), "Build a calculator");
	assert_delivered(run);
	assert_string_equal(json_string_value(json_object_get(run, "branch")), branch);
	pushed = testrepo_git(e->repo, bare, "rev-parse", branch, NULL);
	assert_string_equal(json_string_value(json_object_get(run, "head")), pushed);
	free(pushed);
	free(branch);
	free(bare);
	json_decref(run);
	e2e_assert_shows(e, number, "a/one.txt", "one");
}

static void
make_branch(const char *name)
{
	char *ref = xasprintf("refs/heads/%s", name), *path = github_path(gh, "/git/refs"), oid[65];

	if (github_branch_get(gh, "main", oid, &err) < 0 ||
	    github_send(gh, "make a branch", "POST", path, json_pack("{s:s, s:s}", "ref", ref, "sha", oid),
		NULL, &err) < 0)
		fail_msg("%s", err.msg);
	free(ref);
	free(path);
}

/* Every request of prs=all is valid by GitHub's description, and each part's pull request is there. */
static void
opens_one_for_each_part(void **state)
{
	static const char *const parts[] = {"-em1-w1", "-em1", ""};
	struct e2e *e = *state;
	unsigned before = standins_count(&s, gh, "POST", "/pulls");
	char *branch, *bare, *base;
	json_t *run;

	make_issue(gh, "Build a calculator", "It divides.");
	branch = xasprintf("cco/%s-build-a-calculator", number);
	bare = standins_remote(&s, e->repo, gh, branch);
	for (size_t i = 0; i < 2; i++) {
		char *name = xasprintf("%s%s", branch, parts[i]);

		make_branch(name);
		free(name);
	}
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", "");
	e2e_remember(e);
	e2e_ctl_ok(e, "run", number, "--prs", "all", "--detach", NULL);
	e2e_follow(e);
	e2e_await(e, number, "state", "complete");
	run = e2e_status(e, number);
	assert_delivered(run);
	base = xstrdup(json_string_value(json_object_get(run, "base_branch")));
	for (size_t i = 3; i-- > 0;) {
		char *head = xasprintf("%s%s", branch, parts[i]), *tip;
		unsigned n = 0;

		assert_int_equal(github_pulls_each(gh, head, base, "all", on_count, &n, &err), 0);
		assert_int_equal(n, 1);
		tip = testrepo_git(e->repo, bare, "rev-parse", "--verify", head, NULL);
		free(tip);
		free(base);
		base = head;
	}
	assert_int_equal(standins_count(&s, gh, "POST", "/pulls"), before + 3);
	free(base);
	free(branch);
	free(bare);
	json_decref(run);
}

static int
find_refusal(void *arg, const struct github_comment *c, struct err *why)
{
	(void)why;
	*(unsigned *)arg += strstr(c->body, "has no description") != NULL;
	return 0;
}

/* Said where whoever set the label looks, and only once. */
static void
refuses_an_empty_issue_on_the_issue(void **state)
{
	unsigned n = 0;

	make_issue(gh, "Do it", "<!-- what is to be done? -->\n  ");
	refused(*state, "is empty: say in it what is to be done");
	refused(*state, "is empty: say in it what is to be done");
	assert_int_equal(github_comments_each(gh, strtoull(number, NULL, 10), find_refusal, &n, &err), 0);
	assert_int_equal(n, 1);
}

/* In CI an issue costs money before anybody has looked at who wrote it. */
static void
asks_in_ci_who_wrote_it(void **state)
{
	struct e2e *e = *state;

	make_issue(other, "Mine coins", "Please");
	setenv("GITHUB_ACTIONS", "true", 1);
	refused(e, "was written by stranger, who may not write to the repository");
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", "");
	e2e_remember(e);
	e2e_ctl_ok(e, "run", number, "--detach", "--trust", NULL);
	e2e_follow(e);
	e2e_await(e, number, "state", "complete");
}

static void
says_what_is_wrong(void **state)
{
	strcpy(number, "9999");
	refused(*state, "cannot read issue 9999: GitHub says 404");
	unsetenv("REPO_OWNER");
	unsetenv("REPO_NAME"); /* the test's repository has no remote */
	refused(*state, "set REPO_OWNER and REPO_NAME");
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(works_on_an_issue, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(opens_one_for_each_part, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(refuses_an_empty_issue_on_the_issue, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(asks_in_ci_who_wrote_it, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(says_what_is_wrong, set_up, tear_down),
	};
	int rc = standins_above(&s, argv);

	(void)argc;
	return rc >= 0 ? rc : cmocka_run_group_tests(tests, NULL, NULL);
}
