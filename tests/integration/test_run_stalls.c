/*
 * Who takes too long is ended, said so and done again: a worker that hangs, one over the time of its task, a
 * director over that of planning, an agent that says nothing; and what they had done is saved. A whole team
 * that did not run for a while (a suspended machine) is no such case: nothing fires.
 */
#include "common/alloc.h"
#include "common/proc.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REF "refs/orch/wip/m1-em1-w1"
#define HALF "write a/one.txt <<EOF\nhalf\nEOF\ntouch @/at-work\n"
#define ABSENT_MS 4500 /* three times what a silent role is given here, and more than a silent agent is */
#define NOTICED_MS 500 /* orchd looks at the clock twice in a heartbeat, and may be late */

static void
assert_event(struct e2e *e, const char *task, const char *kind, const char *words)
{
	json_t *ev;
	size_t i;

	json_array_foreach (e->events, i, ev) {
		const char *text = json_string_value(json_object_get(ev, "text"));
		const char *t = json_string_value(json_object_get(ev, "task"));
		const char *k = json_string_value(json_object_get(ev, "kind"));

		if (t != NULL && strcmp(t, task) == 0 && strcmp(k, kind) == 0 && text != NULL &&
		    strstr(text, words) != NULL)
			return;
	}
	e2e_tell(e);
	fail_msg("no event %s of %s with \"%s\"", kind, task, words);
}

static void
one_task(struct e2e *e)
{
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", "");
}

/* All of orchd's tree, itself first when stopped, last when it goes on. */
static void
signal_team(pid_t pid, int sig)
{
	pid_t *pids = NULL;
	int n;

	if (sig == SIGSTOP)
		kill(pid, sig);
	n = proc_children(pid, &pids);
	for (int i = 0; i < n; i++)
		signal_team(pids[i], sig);
	free(pids);
	if (sig == SIGCONT)
		kill(pid, sig);
}

static int64_t
ask_store(struct e2e *e, const char *sql)
{
	char *path = xasprintf("%s/orch.db", e->where.state);
	sqlite3_stmt *st;
	sqlite3 *db;
	int64_t n;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	free(path);
	return n;
}

static void
test_absence_of_all(void **state)
{
	static const char *const alarms[] = {"stall", "death", "parked", "retry", "saved"};
	struct e2e *e = *state;
	struct timespec absent = {ABSENT_MS / 1000, ABSENT_MS % 1000 * 1000000L};
	pid_t orchd;
	json_t *run;
	int rc;

	one_task(e);
	e2e_script(e, "worker-a.one", HALF "wait_ms 1500\nwrite a/one.txt <<EOF\nfor one\nEOF\n");
	setenv("ORCH_HEARTBEAT", "0.5", 1);
	setenv("ORCH_AGENT_SILENCE", "3", 1);
	e2e_begin(e, "--task-timeout", "60", NULL);
	unsetenv("ORCH_AGENT_SILENCE");
	unsetenv("ORCH_HEARTBEAT");
	e2e_await_file(e, "at-work");
	orchd = e2e_pid(e, NULL);
	signal_team(orchd, SIGSTOP);
	/* What is tested is that this time passes and counts for nothing; SIGCHLD tells of the stop. */
	while (nanosleep(&absent, &absent) < 0 && errno == EINTR)
		continue;
	signal_team(orchd, SIGCONT);
	rc = e2e_end(e);
	if (rc != 0)
		e2e_tell(e);
	assert_int_equal(rc, 0);
	for (size_t i = 0; i < sizeof(alarms) / sizeof(alarms[0]); i++)
		assert_int_equal(e2e_count(e, "m1/em1/w1", alarms[i], NULL), 0);
	run = e2e_status(e, "m1");
	assert_int_equal(json_integer_value(json_object_get(e2e_task(run, "m1/em1/w1"), "attempt")), 1);
	json_decref(run);
	/* What counts for max_run_minutes. */
	assert_true(
	    ask_store(e, "SELECT ended_at - started_at - worked_ms FROM run") >= ABSENT_MS - NOTICED_MS);
	assert_true(ask_store(e, "SELECT worked_ms FROM run") > 0);
}

static void
test_hung_worker(void **state)
{
	struct e2e *e = *state;

	one_task(e);
	e2e_script(e, "worker-a.one.1", HALF "wait_file @/never\n");
	setenv("ORCH_HEARTBEAT", "0.2", 1);
	e2e_begin(e, NULL);
	unsetenv("ORCH_HEARTBEAT");
	e2e_await_file(e, "at-work");
	e2e_work(e, "a.one", "expect_prompt its worker gave no sign of life\n");
	kill(e2e_pid(e, "m1/em1/w1"), SIGSTOP);
	e2e_await(e, "m1/em1/w1", "stall", NULL);
	assert_int_equal(e2e_end(e), 0);
	assert_event(e, "m1/em1/w1", "stall", "gave no sign of life");
	assert_event(e, "m1/em1/w1", "saved", REF);
	e2e_assert_state(e, "m1", "complete");
}

static void
test_task_over_its_time(void **state)
{
	struct e2e *e = *state;

	one_task(e);
	e2e_script(e, "worker-a.one.1", HALF "busy\n");
	e2e_work(e, "a.one", "expect_prompt (task_timeout_s): this attempt is ended\n");
	e2e_begin(e, "--task-timeout", "4", "--retry-delay", "0.05", NULL);
	assert_int_equal(e2e_end(e), 0);
	assert_event(e, "m1/em1/w1", "stall", "is allowed (task_timeout_s): this attempt is ended");
	assert_event(e, "m1/em1/w1", "saved", REF);
}

static void
test_planning_over_its_time(void **state)
{
	struct e2e *e = *state;

	one_task(e);
	e2e_script(e, "director.1", "busy\n");
	e2e_begin(e, "--plan-timeout", "4", "--retry-delay", "0.05", NULL);
	assert_int_equal(e2e_end(e), 0);
	assert_event(e, "m1", "stall", "is allowed (plan_timeout_s)");
}

static void
test_silent_agent(void **state)
{
	struct e2e *e = *state;

	one_task(e);
	e2e_script(e, "worker-a.one.1", HALF "hang\n");
	e2e_work(e, "a.one", "expect_prompt how the last attempt ended\nexpect_prompt silent for too long\n");
	setenv("ORCH_AGENT_SILENCE", "3", 1);
	e2e_begin(e, "--retry-delay", "0.05", NULL);
	unsetenv("ORCH_AGENT_SILENCE");
	assert_int_equal(e2e_end(e), 0);
	assert_event(e, "m1/em1/w1", "stall", "silent for too long");
	assert_event(e, "m1/em1/w1", "saved", REF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_absence_of_all, e2e_setup, e2e_teardown),
	    cmocka_unit_test_setup_teardown(test_hung_worker, e2e_setup, e2e_teardown),
	    cmocka_unit_test_setup_teardown(test_task_over_its_time, e2e_setup, e2e_teardown),
	    cmocka_unit_test_setup_teardown(test_planning_over_its_time, e2e_setup, e2e_teardown),
	    cmocka_unit_test_setup_teardown(test_silent_agent, e2e_setup, e2e_teardown),
	};

	return cmocka_run_group_tests_name("test_run_stalls", tests, NULL, NULL);
}
