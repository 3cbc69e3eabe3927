/*
 * What a person does to a run while it goes on and after: stop and resume, cancel, retry, Ctrl-C;
 * and orchd in the foreground, which is a container's entrypoint.
 */
#include "common/alloc.h"
#include "common/json.h"
#include "common/proc.h"
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
	e2e_work(e, "a.one", "write a/one.part <<EOF\npart\nEOF\ntouch @/at-one\nwait_file @/go\n");
	e2e_work(e, "a.two", "");
	e2e_work(e, "b.three", "");
}

static void
assert_all_there(struct e2e *e)
{
	e2e_assert_state(e, "m1", "complete");
	e2e_assert_shows(e, "m1", "a/one.txt", "one");
	e2e_assert_shows(e, "m1", "a/one.part", "part");
	e2e_assert_shows(e, "m1", "a/two.txt", "two");
	e2e_assert_shows(e, "m1", "b/three.txt", "three");
}

static bool
carries_mark(void *arg, pid_t pid)
{
	struct e2e *e = arg;

	if (proc_has_env(pid, "ORCH_INSTANCE", e->where.instance))
		fail_msg("process %d carries our mark", (int)pid);
	return true;
}

/* Stopped means that nothing of it runs; resumed, it ends as if nothing had been. */
static void
stop_and_resume(struct e2e *e, const char *now)
{
	pid_t orchd;

	write_scripts(e);
	e2e_begin(e, NULL);
	e2e_await_file(e, "at-one");
	orchd = e2e_pid(e, NULL);
	if (now != NULL)
		e2e_ctl_ok(e, "stop", now, NULL);
	else
		e2e_ctl_ok(e, "stop", NULL);
	assert_true(e2e_is_gone(orchd));
	proc_each(carries_mark, e);
	assert_int_equal(e2e_end(e), 1);
	assert_non_null(strstr(e->run.err, "orchctl resume"));
	assert_true(access(e->where.socket, F_OK) < 0);

	e2e_touch(e, "go");
	e2e_ctl_ok(e, "resume", NULL);
	e2e_follow(e);
	e2e_await(e, "m1", "state", "complete");
	assert_all_there(e);
}

static void
test_stop_and_resume(void **state)
{
	stop_and_resume(*state, NULL);
}

static void
test_stop_now_and_resume(void **state)
{
	stop_and_resume(*state, "--now");
}

/* Stopped while the director and an EM plan, before anything is there. */
static void
test_stop_while_planning(void **state)
{
	struct e2e *e = *state;

	write_scripts(e);
	e2e_touch(e, "go");
	e2e_plan(e, "director", "touch @/at-plan\nwait_file @/go-plan\n", "a b");
	e2e_begin(e, NULL);
	e2e_await_file(e, "at-plan");
	e2e_ctl_ok(e, "stop", NULL);
	assert_int_equal(e2e_end(e), 1);
	e2e_touch(e, "go-plan");
	e2e_ctl_ok(e, "resume", "m1", NULL);
	e2e_follow(e);
	e2e_await(e, "m1", "state", "complete");
	assert_all_there(e);
}

/* TERM to orchd, as a service manager sends it: the next one goes on without being asked. */
static void
test_terminated_orchd_goes_on(void **state)
{
	struct e2e *e = *state;
	pid_t orchd;

	write_scripts(e);
	e2e_begin(e, "--detach", NULL);
	e2e_await_file(e, "at-one");
	orchd = e2e_pid(e, NULL);
	assert_int_equal(kill(orchd, SIGTERM), 0);
	e2e_await_gone(e, orchd);
	proc_each(carries_mark, e);
	e2e_touch(e, "go");
	e2e_follow(e);
	e2e_await(e, "m1", "state", "complete");
	assert_all_there(e);
}

/* What needs the cancelled task goes with it, the rest comes to its end, and what was made is kept. */
static void
test_cancel_task(void **state)
{
	struct e2e *e = *state;
	pid_t worker;

	write_scripts(e);
	e2e_begin(e, NULL);
	e2e_await_file(e, "at-one");
	worker = e2e_pid(e, "m1/em1/w1");
	e2e_ctl_ok(e, "cancel", "1.1", NULL);
	assert_int_equal(e2e_end(e), 1);
	assert_true(e2e_is_gone(worker));
	e2e_assert_state(e, "m1", "partial");
	e2e_assert_state(e, "m1/em1/w1", "cancelled");
	e2e_assert_state(e, "m1/em1/w2", "failed");
	e2e_assert_state(e, "m1/em1", "failed");
	e2e_assert_state(e, "m1/em2", "integrated");
	e2e_assert_shows(e, "m1", "b/three.txt", "three");
	assert_int_equal(
	    testrepo_try(e->repo, NULL, "cat-file", "-e", "refs/orch/wip/m1-em1-w1:a/one.part", NULL), 0);
}

static void
test_cancel_area(void **state)
{
	struct e2e *e = *state;

	write_scripts(e);
	e2e_begin(e, NULL);
	e2e_await_file(e, "at-one");
	e2e_ctl_ok(e, "cancel", "em1", NULL);
	assert_int_equal(e2e_end(e), 1);
	e2e_assert_state(e, "m1", "partial");
	e2e_assert_state(e, "m1/em1", "cancelled");
	e2e_assert_state(e, "m1/em1/w1", "cancelled");
	e2e_assert_shows(e, "m1", "b/three.txt", "three");
	e2e_assert_shows(e, "m1", "a/one.part", NULL);
}

static void
test_cancel_run(void **state)
{
	struct e2e *e = *state;

	write_scripts(e);
	e2e_begin(e, NULL);
	e2e_await(e, "m1/em2", "state", "integrated");
	e2e_await_file(e, "at-one");
	e2e_ctl_ok(e, "cancel", "m1", NULL);
	assert_int_equal(e2e_end(e), 1);
	e2e_assert_state(e, "m1", "cancelled");
	e2e_assert_shows(e, "m1", "b/three.txt", "three");
}

/* Cancelled before there is anything: no branch, no worktree. */
static void
test_cancel_run_while_planning(void **state)
{
	struct e2e *e = *state;

	write_scripts(e);
	e2e_plan(e, "director", "touch @/at-plan\nhang\n", "a b");
	e2e_begin(e, NULL);
	e2e_await_file(e, "at-plan");
	e2e_ctl_ok(e, "cancel", "m1", NULL);
	assert_int_equal(e2e_end(e), 1);
	e2e_assert_state(e, "m1", "cancelled");
}

static void
test_retry_makes_it_complete(void **state)
{
	struct e2e *e = *state;

	write_scripts(e);
	e2e_script(e, "worker-a.one", "error The moon is in the wrong place\n");
	e2e_begin(e, "--max-attempts", "1", NULL);
	assert_int_equal(e2e_end(e), 1);
	e2e_assert_state(e, "m1", "partial");
	e2e_assert_state(e, "m1/em1", "failed");

	e2e_touch(e, "go");
	e2e_work(e, "a.one", "write a/one.part <<EOF\npart\nEOF\n");
	e2e_ctl_ok(e, "retry", "m1/em1/w1", NULL);
	e2e_await(e, "m1", "state", "complete");
	assert_all_there(e);
}

/* The same where half of the area was merged and its branch is gone already. */
static void
test_retry_beside_merged_work(void **state)
{
	struct e2e *e = *state;

	write_scripts(e);
	e2e_touch(e, "go");
	e2e_script(e, "worker-a.two", "error No\n");
	e2e_begin(e, "--max-attempts", "1", NULL);
	assert_int_equal(e2e_end(e), 1);
	e2e_assert_state(e, "m1", "partial");
	e2e_assert_state(e, "m1/em1", "integrated");

	e2e_work(e, "a.two", "");
	e2e_ctl_ok(e, "retry", "m1", NULL);
	e2e_await(e, "m1", "state", "complete");
	assert_all_there(e);
}

/* One press detaches, and the run goes on without anybody. */
static void
test_interrupt_detaches(void **state)
{
	struct e2e *e = *state;

	write_scripts(e);
	e2e_begin(e, NULL);
	e2e_await_file(e, "at-one");
	assert_int_equal(kill(e->run.pid, SIGINT), 0);
	assert_int_equal(e2e_end(e), 130);
	e2e_touch(e, "go");
	e2e_await(e, "m1", "state", "complete");
	assert_all_there(e);
}

static void
test_second_interrupt_stops(void **state)
{
	struct e2e *e = *state;

	write_scripts(e);
	setenv("ORCH_SECOND_PRESS_MS", "60000", 1); /* however late we are */
	e2e_begin(e, NULL);
	unsetenv("ORCH_SECOND_PRESS_MS");
	e2e_await_file(e, "at-one");
	assert_int_equal(kill(e->run.pid, SIGINT), 0);
	while (strstr(e->run.err, "press again") == NULL)
		e2e_wait_news(e, "its answer to Ctrl-C");
	assert_int_equal(kill(e->run.pid, SIGINT), 0);
	assert_int_equal(e2e_end(e), 130);
	proc_each(carries_mark, e);
	e2e_touch(e, "go");
	e2e_ctl_ok(e, "resume", NULL);
	e2e_follow(e);
	e2e_await(e, "m1", "state", "complete");
	assert_all_there(e);
}

/* orchd run: its exit status is the run's, and when it ends nothing is left, not even orchd. */
static int
foreground(struct e2e *e, struct ctlrun *r)
{
	static const char *const argv[] = {"run", "-m", "Build it", "--max-attempts", "1", NULL};
	char *program = testrepo_path(e->repo, "bin/orchd");
	pid_t *children;

	e2e_remember(e);
	ctlrun_program(r, e->repo, program, e->repo->top, false, argv, NULL, NULL);
	ctlrun_wait(r);
	loop_reap(&e->repo->loop);
	assert_int_equal(proc_children(getpid(), &children), 0);
	free(children);
	assert_true(access(e->where.socket, F_OK) < 0);
	free(program);
	return r->status;
}

static void
test_foreground_complete(void **state)
{
	struct e2e *e = *state;
	struct ctlrun r;

	write_scripts(e);
	e2e_touch(e, "go");
	assert_int_equal(foreground(e, &r), 0);
	assert_non_null(strstr(r.out, "complete"));
	ctlrun_clear(&r);
	assert_all_there(e);
}

static void
test_foreground_partial(void **state)
{
	struct e2e *e = *state;
	struct ctlrun r;

	write_scripts(e);
	e2e_touch(e, "go");
	e2e_script(e, "worker-b.three", "error No\n");
	assert_int_equal(foreground(e, &r), 1);
	ctlrun_clear(&r);
	e2e_assert_state(e, "m1", "partial");
}

/* One instance per repository: the second names the first's pid. */
static void
test_second_orchd(void **state)
{
	static const char *const argv[] = {NULL};
	struct e2e *e = *state;
	char *program = testrepo_path(e->repo, "bin/orchd"), *pid;
	struct ctlrun r;

	write_scripts(e);
	e2e_begin(e, NULL);
	e2e_await_file(e, "at-one");
	pid = xasprintf("pid %d", (int)e2e_pid(e, NULL));
	ctlrun_program(&r, e->repo, program, e->repo->top, false, argv, NULL, NULL);
	ctlrun_wait(&r);
	assert_int_equal(r.status, 2);
	assert_non_null(strstr(r.err, pid));
	ctlrun_clear(&r);
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
	free(pid);
	free(program);
}

int
main(void)
{
#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, e2e_setup, e2e_teardown)
	const struct CMUnitTest tests[] = {
	    RUN_TEST(test_stop_and_resume),
	    RUN_TEST(test_stop_now_and_resume),
	    RUN_TEST(test_stop_while_planning),
	    RUN_TEST(test_terminated_orchd_goes_on),
	    RUN_TEST(test_cancel_task),
	    RUN_TEST(test_cancel_area),
	    RUN_TEST(test_cancel_run),
	    RUN_TEST(test_cancel_run_while_planning),
	    RUN_TEST(test_retry_makes_it_complete),
	    RUN_TEST(test_retry_beside_merged_work),
	    RUN_TEST(test_interrupt_detaches),
	    RUN_TEST(test_second_interrupt_stops),
	    RUN_TEST(test_foreground_complete),
	    RUN_TEST(test_foreground_partial),
	    RUN_TEST(test_second_orchd),
	};

	return cmocka_run_group_tests_name("test_run_control", tests, NULL, NULL);
}
