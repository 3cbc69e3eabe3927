/*
 * A run for an issue on GitHub, with the real programs: the issue is read, one comment and one label tell the
 * state, whatever is killed or lost on the way; and the token is nowhere but where it is needed.
 */
#include "common/alloc.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/githubrun.h"
#include "tests/helper/lib/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void
test_an_issue_is_done(void **state)
{
	struct e2e *e = *state;
	struct ctlrun r;

	fakegithub_issue(&hub, "25", "ada", "Build it", "All of it, @bob.");
	fakegithub_comment(&hub, "25", "ada", "With tests.");
	e2e_work(e, "a.one", "touch @/at-one\nwait_file @/go\n");
	e2e_remember(e);
	e2e_ctl_ok(e, "run", "25", "--detach", NULL);
	e2e_follow(e);
	e2e_await_file(e, "at-one");
	githubrun_await_comment(e, "### orch: running");
	githubrun_await_label(e, "orch:running");
	e2e_touch(e, "go");
	e2e_await(e, "25", "state", "complete");
	githubrun_assert_end("### orch: complete", "orch:complete");
	assert_int_equal(hub.unauthorized, 0);
	/* Nothing can be pushed to a server without git: the run is what it is, and that is said. */
	assert_non_null(strstr(fakegithub_ours(&hub, "25", 0), "> **GitHub:** "));
	/* The run knows the issue's words. */
	if (e2e_ctl(e, &r, "status", "25", NULL) != 0 || strstr(r.out, "Build it") == NULL)
		fail_msg("exit %d: %s%s", r.status, r.out, r.err);
	ctlrun_clear(&r);
}

/* Brought to GitHub: the branch is there, and one pull request from it that closes the issue. */
static void
test_an_issue_becomes_a_pull_request(void **state)
{
	struct e2e *e = *state;
	json_t *pull;

	githubrun_serve_git(e);
	e2e_work(e, "a.one", "");
	githubrun_begin(e, NULL);
	e2e_await(e, "25", "state", "complete");
	githubrun_assert_end("### orch: complete", "orch:complete");
	githubrun_assert_pull(e);
	assert_true(fakegithub_merge(&hub, 101));
	pull = fakegithub_pull(&hub, 0);
	assert_true(json_is_true(json_object_get(pull, "merged")));
	json_decref(pull);
}

/* A run that fails says so, and why, where people look. */
static void
test_a_failure_is_told(void **state)
{
	struct e2e *e = *state;

	fakegithub_issue(&hub, "25", "ada", "Build it", "All of it.");
	e2e_script(e, "worker-a.one", "exit 3\n");
	setenv("ORCH_MAX_ATTEMPTS", "1", 1);
	e2e_remember(e);
	e2e_ctl_ok(e, "run", "25", "--detach", NULL);
	unsetenv("ORCH_MAX_ATTEMPTS");
	e2e_follow(e);
	e2e_await(e, "25", "state", "failed");
	githubrun_assert_end("### orch: failed", "orch:failed");
	assert_non_null(strstr(fakegithub_ours(&hub, "25", 0), "exited with status 3"));
}

/* The director is killed while the comment is there, and the answer to the first POST is lost: one comment.
 */
static void
test_one_comment_whatever_happens(void **state)
{
	struct e2e *e = *state;
	pid_t director;

	fakegithub_issue(&hub, "25", "ada", "Build it", "All of it.");
	e2e_work(e, "a.one", "touch @/at-one\nwait_file @/go\n");
	e2e_remember(e);
	hub.lose = 1;
	e2e_ctl_ok(e, "run", "25", "--detach", NULL);
	e2e_follow(e);
	e2e_await_file(e, "at-one");
	githubrun_await_comment(e, "### orch: running");
	director = e2e_pid(e, "25");
	kill(director, SIGKILL);
	e2e_await_gone(e, director);
	hub.refuse = 2;
	e2e_touch(e, "go");
	e2e_await(e, "25", "state", "complete");
	githubrun_assert_end("### orch: complete", "orch:complete");
}

/* Nobody may make us work by writing an issue, where that is asked for. */
static void
test_a_stranger_in_ci(void **state)
{
	struct e2e *e = *state;
	struct ctlrun r;

	fakegithub_issue(&hub, "25", "eve", "Build it", "All of it.");
	e2e_remember(e);
	setenv("GITHUB_ACTIONS", "true", 1);
	assert_int_equal(e2e_ctl(e, &r, "run", "25", "--detach", NULL), 2);
	unsetenv("GITHUB_ACTIONS");
	if (strstr(r.err, "eve") == NULL && strstr(r.out, "eve") == NULL)
		fail_msg("%s%s", r.out, r.err);
	ctlrun_clear(&r);
	assert_null(fakegithub_ours(&hub, "25", 0));
}

/* run --event for a comment of who; its exit status is 0, and it says words. */
static void
comment_event(struct e2e *e, const char *who, const char *text, const char *words)
{
	char *path = xasprintf("%s/event.json", e->scripts);
	json_t *j =
	    json_pack("{s:s, s:{s:s}, s:{s:i, s:s, s:s}, s:{s:s, s:s, s:{s:s, s:s}}}", "action", "created",
		"sender", "login", who, "issue", "number", 25, "title", "Build it", "body", "All of it.",
		"comment", "body", text, "author_association", "OWNER", "user", "login", who, "type", "User");
	struct ctlrun r;

	assert_int_equal(json_dump_file(j, path, 0), 0);
	setenv("GITHUB_EVENT_NAME", "issue_comment", 1);
	setenv("GITHUB_EVENT_PATH", path, 1);
	if (e2e_ctl(e, &r, "run", "--event", "--detach", NULL) != 0 ||
	    (strstr(r.err, words) == NULL && strstr(r.out, words) == NULL))
		fail_msg("%d: %s%s (want %s)", r.status, r.out, r.err, words);
	ctlrun_clear(&r);
	unsetenv("GITHUB_EVENT_NAME");
	unsetenv("GITHUB_EVENT_PATH");
	json_decref(j);
	free(path);
}

/* An event calls everybody what it likes: GitHub is asked. Then a comment answers what the run asks. */
static void
test_events_of_who_may_write(void **state)
{
	struct e2e *e = *state;

	fakegithub_issue(&hub, "25", "ada", "Build it", "All of it.");
	json_object_set_new(hub.permissions, "bob", json_string("read"));
	e2e_script(e, "director.1",
	    "plan <<END\n{\"summary\":\"s\",\"question\":\"In which "
	    "language?\",\"areas\":[{\"id\":\"a\",\"title\":\"A\","
	    "\"goal\":\"Do a\",\"owns\":[\"a/\"],\"depends_on\":[]}]}\nEND\n");
	e2e_plan(e, "director.2", "expect_prompt in plain C\n", "a");
	e2e_work(e, "a.one", "");
	e2e_remember(e);
	comment_event(e, "bob", "/orch run", "bob may not write to this repository (permission: read)");
	comment_event(e, "eve", "/orch run", "eve may not write to this repository (permission: none)");
	comment_event(e, "ada", "/orch run", "25");
	e2e_follow(e);
	e2e_await(e, "25", "question", NULL);
	comment_event(e, "bob", "/orch answer in Rust", "bob may not write");
	comment_event(e, "ada", "/orch answer in plain C", "answer");
	e2e_await(e, "25", "state", "complete");
	comment_event(e, "ada", "/orch answer again", "no run of issue 25 goes on here");
}

int
main(void)
{
#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, githubrun_setup, githubrun_teardown)
	const struct CMUnitTest tests[] = {
	    RUN_TEST(test_an_issue_is_done),
	    RUN_TEST(test_an_issue_becomes_a_pull_request),
	    RUN_TEST(test_a_failure_is_told),
	    RUN_TEST(test_one_comment_whatever_happens),
	    RUN_TEST(test_a_stranger_in_ci),
	    RUN_TEST(test_events_of_who_may_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
