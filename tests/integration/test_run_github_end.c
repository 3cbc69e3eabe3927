/*
 * However a run for an issue ends, and whoever is killed on the way, its comment and label say so at last:
 * the state, the reason, and in a workflow where its log is. And while it waits, for a person or a limit,
 * that is what they say first.
 */
#include "common/json.h"
#include "tests/helper/lib/githubrun.h"
#include "tests/helper/lib/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const char *const ours[] = {"ORCH_PARKED_RETRY", "ORCH_PARKED", "GITHUB_RUN_ID", "GITHUB_REPOSITORY",
    "GITHUB_SERVER_URL", "ORCH_MAX_ATTEMPTS", "ORCH_RETRY_DELAY"};

static int
set_up(void **state)
{
	setenv("ORCH_PARKED_RETRY", "0.1", 1);
	setenv("ORCH_PARKED", "0.2", 1);
	setenv("ORCH_RETRY_DELAY", "0", 1);
	setenv("GITHUB_RUN_ID", "4711", 1);
	setenv("GITHUB_REPOSITORY", "octo/ci", 1);
	return githubrun_setup(state);
}

static int
tear_down(void **state)
{
	int rc = githubrun_teardown(state);

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		unsetenv(ours[i]);
	return rc;
}

#define LOG_URL "[Log of the workflow](<https://github.com/octo/ci/actions/runs/4711>)"

/* What orchd says of the run is what the comment says of it. */
static void
assert_same_reason(struct e2e *e)
{
	json_t *run = e2e_status(e, "25");
	const char *reason = json_str(run, "reason");
	char head[64];

	assert_non_null(reason);
	snprintf(head, sizeof(head), "**Why:** %.30s", reason);
	githubrun_assert_says(head);
	githubrun_assert_says(LOG_URL);
	json_decref(run);
}

/* Who kills the director whenever it writes to GitHub. */
struct killer {
	pid_t orchd;
	unsigned kills, writes;
};

static void
kill_at_writes(struct fakegithub *g, const char *method, const char *path, void *arg)
{
	struct killer *k = arg;
	pid_t director;

	(void)g;
	(void)path;
	if (strcmp(method, "GET") == 0 || k->kills == 0 || k->writes++ % 2 == 0)
		return;
	director = githubrun_director(k->orchd);
	if (director > 0 && kill(director, SIGKILL) == 0)
		k->kills--;
}

static void
test_killed_at_its_writes(void **state)
{
	struct e2e *e = *state;
	struct killer k = {.kills = 4};

	githubrun_serve_git(e);
	e2e_work(e, "a.one", "touch @/at-one\nwait_file @/go\n");
	githubrun_begin(e, NULL);
	e2e_await_file(e, "at-one");
	k.orchd = e2e_pid(e, NULL);
	hub.before = kill_at_writes;
	hub.arg = &k;
	e2e_touch(e, "go");
	e2e_await(e, "25", "state", "complete");
	assert_int_equal(k.kills, 0);
	githubrun_assert_end("### orch: complete", "orch:complete");
	githubrun_assert_pull(e);
}

/* It is parked, has the last word, and is killed even over that. */
static void
test_parked_and_killed(void **state)
{
	struct e2e *e = *state;
	struct killer k = {0};

	e2e_own_programs(e);
	e2e_work(e, "a.one", "touch @/at-one\nwait_file @/go\n");
	githubrun_begin(e, NULL);
	e2e_await_file(e, "at-one");
	githubrun_await_label(e, "orch:running");
	e2e_break_director(e, "--epilogue");
	k.orchd = e2e_pid(e, NULL);
	k.kills = 2;
	hub.before = kill_at_writes;
	hub.arg = &k;
	assert_int_equal(kill(e2e_pid(e, "25"), SIGKILL), 0);
	githubrun_await_state(e, "failed");
	assert_int_equal(k.kills, 0);
	githubrun_assert_end("### orch: failed", "orch:failed");
	githubrun_assert_says("could not be kept running");
	githubrun_assert_says("the director is broken");
	githubrun_assert_says("no area was merged");
	assert_same_reason(e);
}

static void
test_cancelled(void **state)
{
	struct e2e *e = *state;

	e2e_work(e, "a.one", "touch @/at-one\nwait_file @/go\n");
	githubrun_begin(e, NULL);
	e2e_await_file(e, "at-one");
	githubrun_await_label(e, "orch:running");
	e2e_ctl_ok(e, "cancel", "25", NULL);
	githubrun_await_state(e, "cancelled");
	githubrun_assert_end("### orch: cancelled", "orch:failed");
	assert_same_reason(e);
}

/* Killed at the moment in which it tells why, too: orchd knows already, and nobody else would come. */
static void
test_planning_fails(void **state)
{
	struct e2e *e = *state;
	struct killer k = {.kills = 1, .writes = 1};

	e2e_script(e, "director", "touch @/planning\nwait_file @/go\nerror I cannot plan this\n");
	setenv("ORCH_MAX_ATTEMPTS", "2", 1);
	githubrun_begin(e, NULL);
	e2e_await_file(e, "planning");
	githubrun_await_label(e, "orch:running");
	k.orchd = e2e_pid(e, NULL);
	hub.before = kill_at_writes;
	hub.arg = &k;
	e2e_touch(e, "go");
	githubrun_await_state(e, "failed");
	assert_int_equal(k.kills, 0);
	githubrun_assert_end("### orch: failed", "orch:failed");
	githubrun_assert_says("I cannot plan this");
	assert_same_reason(e);
}

static void
test_a_person_is_waited_for(void **state)
{
	struct e2e *e = *state;
	const char *text;

	e2e_work(e, "a.one", "");
	githubrun_begin(e, "--approve", NULL);
	e2e_await(e, "25", "question", NULL);
	githubrun_assert_end(
	    "> **A question waits for an answer:** Shall this plan be done?", "orch:needs-human");
	text = fakegithub_ours(&hub, "25", 0);
	assert_null(strstr(text, "**Why:**"));
	e2e_ctl_ok(e, "answer", "25", "yes", NULL);
	e2e_await(e, "25", "state", "complete");
	githubrun_assert_end("### orch: complete", "orch:complete");
	assert_null(strstr(fakegithub_ours(&hub, "25", 0), "A question"));
}

/* Nobody works while a limit lasts: until when is what people want to know first. */
static void
test_a_limit_is_waited_for(void **state)
{
	struct e2e *e = *state;
	const char *text, *wait;
	struct ctlrun r;

	e2e_script(e, "director", "api_error 429 rate_limit_error\n");
	githubrun_begin(e, NULL);
	e2e_await(e, "25", "state", "waiting");
	githubrun_await_comment(e, "> **Waiting until 20");
	text = fakegithub_ours(&hub, "25", 0);
	wait = strstr(text, "> **Waiting until");
	if (strstr(text, "> ") != wait)
		fail_msg("something comes before it: %s", text);
	assert_int_equal(e2e_ctl(e, &r, "status", "25", NULL), 0);
	if (strstr(r.out, " more: ") == NULL)
		fail_msg("%s", r.out);
	ctlrun_clear(&r);
	e2e_ctl_ok(e, "cancel", "25", NULL);
	githubrun_await_state(e, "cancelled");
	githubrun_assert_end("### orch: cancelled", "orch:failed");
	assert_null(strstr(fakegithub_ours(&hub, "25", 0), "Waiting until"));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    T(test_killed_at_its_writes),
	    T(test_parked_and_killed),
	    T(test_cancelled),
	    T(test_planning_fails),
	    T(test_a_person_is_waited_for),
	    T(test_a_limit_is_waited_for),
	};

	return cmocka_run_group_tests_name("test_run_github_end", tests, NULL, NULL);
}
