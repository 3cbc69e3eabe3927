/*
 * orchd is replaced, or dies, under a living team: roles and agents go on as they are, nobody who watches
 * loses or repeats an event, and the one that came after stops as orderly as any.
 */
#include "common/alloc.h"
#include "common/clock.h"
#include "common/json.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Areas a (one, then two) and b (three); the agent of a.one is held until "go" exists. */
static void
write_scripts(struct e2e *e)
{
	e2e_plan(e, "director", "", "a b");
	e2e_plan(e, "em-a", "", "one two:one");
	e2e_plan(e, "em-b", "", "three");
	e2e_work(e, "a.one",
	    "write a/one.c <<END\n1\nEND\nwrite a/one.c <<END\n2\nEND\nwrite a/one.h <<END\n3\nEND\nrun echo "
	    "$PPID > $ORCH_AGENT_SCRIPTS/agent\ntouch @/at-one\nwait_file @/go\n");
	e2e_work(e, "a.two", "");
	e2e_work(e, "b.three", "");
}

static const char *const members[] = {"m1", "m1/em1", "m1/em1/w1"};
#define MEMBERS (sizeof(members) / sizeof(members[0]))

/* All of them, and the agent; the run is where only "go" is missing. */
static void
await_team(struct e2e *e, pid_t pids[MEMBERS + 1])
{
	e2e_await_file(e, "at-one");
	e2e_await(e, "m1/em2", "state", "integrated");
	for (size_t i = 0; i < MEMBERS; i++)
		pids[i] = e2e_pid(e, members[i]);
	pids[MEMBERS] = e2e_file_pid(e, "agent");
}

/* The two files that the agent has edited are shown while it works: with its next news, four times a second.
 */
static void
await_files_shown(struct e2e *e)
{
	int64_t deadline = clock_now_ms() + 20000, files = 0;
	bool never = false;

	while (files != 2) {
		json_t *run = e2e_status(e, "m1");

		files = json_integer_value(json_object_get(e2e_task(run, "m1/em1/w1"), "files"));
		json_decref(run);
		if (clock_now_ms() >= deadline)
			fail_msg("%d files are shown", (int)files);
		loop_wait(&e->repo->loop, &never, clock_now_ms() + 20);
	}
}

static void
assert_same_team(struct e2e *e, const pid_t pids[MEMBERS + 1])
{
	for (size_t i = 0; i < MEMBERS; i++)
		assert_int_equal(e2e_pid(e, members[i]), pids[i]);
	assert_int_equal(e2e_file_pid(e, "agent"), pids[MEMBERS]);
	assert_false(e2e_is_gone(pids[MEMBERS]));
}

static void
assert_complete(struct e2e *e)
{
	e2e_assert_state(e, "m1", "complete");
	e2e_assert_shows(e, "m1", "a/one.txt", "one");
	e2e_assert_shows(e, "m1", "a/two.txt", "two");
	e2e_assert_shows(e, "m1", "b/three.txt", "three");
}

/* What events -f has printed, by one process from the beginning on, is what orchd knows: each event once. */
static void
assert_events_whole(struct e2e *e)
{
	struct ctlrun r;
	size_t lines = 0;

	e2e_await(e, "m1", "state", "complete");
	for (size_t i = 0; i < json_array_size(e->events); i++)
		assert_int_equal(
		    json_integer_value(json_object_get(json_array_get(e->events, i), "seq")), (int)i + 1);
	assert_int_equal(e2e_ctl(e, &r, "events", "--json", NULL), 0);
	for (const char *at = r.out; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	assert_int_equal(lines, json_array_size(e->events));
	assert_int_equal(e2e_count(e, "m1/em1/w1", "state", "running"), 1);
	ctlrun_clear(&r);
}

/* Twice: the second one is replaced by a third, which has taken over what it did not start either. */
static void
test_restart_keeps_the_team(void **state)
{
	struct e2e *e = *state;
	pid_t pids[MEMBERS + 1], orchd;

	write_scripts(e);
	e2e_begin(e, NULL);
	await_team(e, pids);
	await_files_shown(e);
	orchd = e2e_pid(e, NULL);
	for (int i = 0; i < 2; i++) {
		struct ctlrun r;

		if (e2e_ctl(e, &r, "restart", NULL) != 0)
			fail_msg("restart: %s", r.err);
		assert_non_null(strstr(r.out, "3 of 3 processes of the team work on"));
		ctlrun_clear(&r);
		assert_same_team(e, pids);
	}
	assert_int_equal(e2e_pid(e, NULL), orchd); /* what a service manager sees */
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0); /* orchctl run has come back by itself */
	assert_complete(e);
	assert_events_whole(e);
	assert_int_equal(e2e_count(e, NULL, "death", NULL), 0);
}

/* One that is killed is started again by those who watch, and takes the team over. */
static void
test_crash_keeps_the_team(void **state)
{
	struct e2e *e = *state;
	pid_t pids[MEMBERS + 1], orchd;

	write_scripts(e);
	e2e_begin(e, NULL);
	await_team(e, pids);
	orchd = e2e_pid(e, NULL);
	assert_int_equal(kill(orchd, SIGKILL), 0);
	e2e_await_gone(e, orchd);
	assert_same_team(e, pids);
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
	assert_non_null(strstr(e->run.err, "connected again"));
	assert_complete(e);
	assert_events_whole(e);
}

/* A role that dies after the handover is a child like any: its exit status is known, and it is started again.
 */
static void
test_death_after_restart(void **state)
{
	struct e2e *e = *state;
	pid_t pids[MEMBERS + 1];

	write_scripts(e);
	e2e_begin(e, NULL);
	await_team(e, pids);
	e2e_ctl_ok(e, "restart", NULL);
	e2e_unlink(e, "at-one");
	assert_int_equal(kill(pids[2], SIGKILL), 0);
	e2e_await_file(e, "at-one");
	e2e_await_gone(e, pids[MEMBERS]); /* its agent went with it */
	e2e_await(e, "m1/em1/w1", "death", NULL);
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
	assert_complete(e);
}

/* The keys are in memory only, and must not be lost: task two begins after the restart. */
static void
test_restart_keeps_the_keys(void **state)
{
	struct e2e *e = *state;
	pid_t pids[MEMBERS + 1];
	json_t *run;

	write_scripts(e);
	e2e_work(e, "a.two", "run test -n \"$ANTHROPIC_AUTH_TOKEN\" && touch a/two.keyed\n");
	setenv("CLAUDE_CONFIGS", "[{\"name\":\"work\",\"apiKey\":\"sk-test-dummy-0123\"}]", 1);
	e2e_begin(e, "--detach", NULL);
	unsetenv("CLAUDE_CONFIGS");
	await_team(e, pids);
	e2e_ctl_ok(e, "restart", NULL);
	e2e_touch(e, "go");
	e2e_await(e, "m1", "state", "complete");
	run = e2e_status(e, "m1");
	assert_null(json_str(run, "question"));
	json_decref(run);
	e2e_assert_shows(e, "m1", "a/two.keyed", "");
}

/* orchd run: its orchctl looks at the next one, and the exit status is the run's still. */
static void
test_restart_of_orchd_run(void **state)
{
	static const char *const argv[] = {"run", "-m", "Build it", NULL};
	struct e2e *e = *state;
	char *program = testrepo_path(e->repo, "bin/orchd");
	pid_t orchd;

	write_scripts(e);
	e2e_remember(e);
	ctlrun_program(&e->run, e->repo, program, e->repo->top, false, argv, NULL, NULL);
	e->running = true;
	e2e_await_file(e, "at-one");
	orchd = e->run.pid;
	e2e_ctl_ok(e, "restart", NULL);
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
	assert_non_null(strstr(e->run.err, "connected again"));
	assert_true(e2e_is_gone(orchd));
	assert_complete(e);
	free(program);
}

/* Nothing is given up for a program that is not there. */
static void
test_restart_without_a_program(void **state)
{
	struct e2e *e = *state;
	char *program = testrepo_path(e->repo, "bin/orchd"), *away = xasprintf("%s.away", program);
	pid_t pids[MEMBERS + 1];
	struct ctlrun r;

	e2e_own_programs(e);
	write_scripts(e);
	e2e_begin(e, NULL);
	await_team(e, pids);
	assert_int_equal(rename(program, away), 0);
	assert_int_equal(e2e_ctl(e, &r, "restart", NULL), 1);
	assert_non_null(strstr(r.err, "orchd is missing"));
	ctlrun_clear(&r);
	assert_int_equal(rename(away, program), 0);
	assert_same_team(e, pids);
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
	assert_complete(e);
	free(away);
	free(program);
}

/* A stop after it is one like any: the teardown finds nothing of it. Who follows is told, and starts nothing.
 */
static void
test_stop_after_restart(void **state)
{
	struct e2e *e = *state;
	pid_t pids[MEMBERS + 1];

	write_scripts(e);
	e2e_begin(e, "--detach", NULL);
	await_team(e, pids);
	e2e_ctl_ok(e, "restart", NULL);
	e2e_ctl_ok(e, "stop", NULL);
	for (size_t i = 0; i <= MEMBERS; i++)
		assert_true(e2e_is_gone(pids[i]));
	ctlrun_wait(&e->tail);
	assert_non_null(strstr(e->tail.err, "orchd was stopped"));
	assert_true(access(e->where.socket, F_OK) < 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, e2e_setup, e2e_teardown)
	const struct CMUnitTest tests[] = {
	    T(test_restart_keeps_the_team),
	    T(test_crash_keeps_the_team),
	    T(test_death_after_restart),
	    T(test_restart_keeps_the_keys),
	    T(test_restart_of_orchd_run),
	    T(test_restart_without_a_program),
	    T(test_stop_after_restart),
	};

	return cmocka_run_group_tests_name("test_handover", tests, NULL, NULL);
}
