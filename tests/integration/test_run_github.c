/*
 * A run for an issue on GitHub, with the real programs: the issue is read, one comment and one label tell the
 * state, whatever is killed or lost on the way; and the token is nowhere but where it is needed.
 */
#include "common/alloc.h"
#include "common/clock.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/fakegithub.h"
#include "tests/helper/lib/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct fakegithub hub;

static int
set_up(void **state)
{
	int rc = e2e_setup(state);
	struct e2e *e = *state;

	if (rc != 0)
		return rc;
	fakegithub_start(&hub, &e->repo->loop);
	json_object_set_new(hub.permissions, "ada", json_string("write"));
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	return 0;
}

static int
tear_down(void **state)
{
	int rc;

	setenv("GITHUB_TOKEN", FAKEGITHUB_TOKEN, 1);
	rc = e2e_teardown(state);
	fakegithub_stop(&hub);
	return rc;
}

/* Pumps until the one comment of ours says words. */
static void
await_comment(struct e2e *e, const char *words)
{
	int64_t deadline = clock_now_ms() + 60000;
	bool never = false;

	for (;;) {
		const char *text = fakegithub_ours(&hub, "25", 0);

		if (text != NULL && strstr(text, words) != NULL)
			return;
		if (clock_now_ms() > deadline)
			fail_msg("\"%s\" does not come; the comment is: %s", words,
			    text == NULL ? "not there" : text);
		loop_wait(&e->repo->loop, &never, clock_now_ms() + 20);
	}
}

static void
await_label(struct e2e *e, const char *label)
{
	int64_t deadline = clock_now_ms() + 60000;
	bool never = false;

	while (!fakegithub_has_label(&hub, "25", label)) {
		if (clock_now_ms() > deadline)
			fail_msg("the label %s does not come", label);
		loop_wait(&e->repo->loop, &never, clock_now_ms() + 20);
	}
}

static void
assert_end(const char *words, const char *label)
{
	const char *text = fakegithub_ours(&hub, "25", 0);

	assert_non_null(text);
	if (strstr(text, words) == NULL)
		fail_msg("\"%s\" is not in:\n%s", words, text);
	assert_null(fakegithub_ours(&hub, "25", 1));
	assert_true(fakegithub_has_label(&hub, "25", label));
	assert_int_equal(json_array_size(json_object_get(json_object_get(hub.issues, "25"), "labels")), 1);
}

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
	await_comment(e, "### orch: running");
	await_label(e, "orch:running");
	e2e_touch(e, "go");
	e2e_await(e, "25", "state", "complete");
	assert_end("### orch: complete", "orch:complete");
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
	json_t *pull, *run;
	char *tip, *folder = testrepo_path(e->repo, "github");

	fakegithub_serve_git(&hub, folder, e->repo->top);
	fakegithub_issue(&hub, "25", "ada", "Build it", "All of it.");
	e2e_work(e, "a.one", "");
	e2e_remember(e);
	e2e_ctl_ok(e, "run", "25", "--detach", NULL);
	e2e_follow(e);
	e2e_await(e, "25", "state", "complete");
	assert_end("### orch: complete", "orch:complete");
	pull = fakegithub_pull(&hub, 0);
	run = e2e_status(e, "25");
	assert_non_null(pull);
	assert_null(fakegithub_pull(&hub, 1));
	tip = fakegithub_git(&hub, "rev-parse", "refs/heads/cco/25-build-it", NULL);
	assert_string_equal(tip, json_string_value(json_object_get(run, "head")));
	assert_string_equal(tip, json_string_value(json_object_get(json_object_get(pull, "head"), "sha")));
	assert_non_null(strstr(json_string_value(json_object_get(pull, "body")), "Closes #25."));
	assert_true(fakegithub_merge(&hub, 101));
	json_decref(pull);
	pull = fakegithub_pull(&hub, 0);
	assert_true(json_is_true(json_object_get(pull, "merged")));
	json_decref(pull);
	json_decref(run);
	free(tip);
	free(folder);
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
	assert_end("### orch: failed", "orch:failed");
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
	await_comment(e, "### orch: running");
	director = e2e_pid(e, "25");
	kill(director, SIGKILL);
	e2e_await_gone(e, director);
	hub.refuse = 2;
	e2e_touch(e, "go");
	e2e_await(e, "25", "state", "complete");
	assert_end("### orch: complete", "orch:complete");
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

int
main(void)
{
#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    RUN_TEST(test_an_issue_is_done),
	    RUN_TEST(test_an_issue_becomes_a_pull_request),
	    RUN_TEST(test_a_failure_is_told),
	    RUN_TEST(test_one_comment_whatever_happens),
	    RUN_TEST(test_a_stranger_in_ci),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
