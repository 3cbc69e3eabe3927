/*
 * Law 1: nothing that was accepted is lost. A worker, an EM, the director and orchd itself are killed with
 * SIGKILL at known places of a run, and each time the run ends in the tree of an undisturbed one, with
 * nothing left behind.
 *
 * Every place where a run can be held is a file "go-X" that is there in an undisturbed run. A test takes one
 * away, waits for the run to come there ("at-X"), kills, puts the file back, and lets the run end.
 */
#include "common/alloc.h"
#include "common/proc.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const char *const gates[] = {"go-director", "go-em", "go-worker", "go-em-gate", "go-director-gate"};

static char *undisturbed; /* tree of the run that nobody disturbed */

/* The gate holds an EM or the director in the middle of a merge, and not when it looks at the base. */
static char *
verify_command(struct e2e *e)
{
	return xasprintf(
	    "test -e a || exit 0; cd '%s' && case $ORCH_ROLE in em|director) : > at-$ORCH_ROLE-gate; "
	    "while test ! -e go-$ORCH_ROLE-gate; do sleep 0.01; done;; esac",
	    e->scripts);
}

static void
write_scripts(struct e2e *e)
{
	e2e_plan(e, "director", "touch @/at-director\nwait_file @/go-director\n", "a b");
	e2e_plan(e, "em-a", "touch @/at-em\nwait_file @/go-em\n", "one two:one");
	e2e_plan(e, "em-b", "", "three");
	e2e_work(e, "a.one", "stray @/stray\ntouch @/at-worker\nwait_file @/go-worker\n");
	e2e_work(e, "a.two", "");
	e2e_work(e, "b.three", "");
	for (size_t i = 0; i < sizeof(gates) / sizeof(gates[0]); i++)
		e2e_touch(e, gates[i]);
}

static void
begin(struct e2e *e, const char *hold)
{
	char *verify = verify_command(e);

	write_scripts(e);
	if (hold != NULL)
		e2e_unlink(e, hold);
	e2e_begin(e, "--verify", verify, NULL);
	free(verify);
}

static void
assert_same_end(struct e2e *e)
{
	char *tree;

	assert_int_equal(e2e_end(e), 0);
	e2e_assert_state(e, "m1", "complete");
	tree = e2e_tree(e, "m1");
	assert_string_equal(tree, undisturbed);
	free(tree);
}

static int
learn(void **state)
{
	struct e2e *e;

	if (e2e_setup(state) != 0)
		return -1;
	e = *state;
	begin(e, NULL);
	assert_int_equal(e2e_end(e), 0);
	undisturbed = e2e_tree(e, "m1");
	e2e_assert_shows(e, "m1", "a/two.txt", "two");
	return e2e_teardown(state);
}

static int
unlearn(void **state)
{
	(void)state;
	free(undisturbed);
	return 0;
}

/* hold: "go-X"; at "at-X" the process of task is killed. */
static void
kill_at(void **state, const char *hold, const char *task)
{
	struct e2e *e = *state;
	char *at = xasprintf("at-%s", hold + strlen("go-"));
	pid_t pid;

	begin(e, hold);
	e2e_await_file(e, at);
	pid = e2e_pid(e, task);
	assert_int_equal(kill(pid, SIGKILL), 0);
	e2e_await(e, task, "death", NULL);
	e2e_touch(e, hold);
	assert_same_end(e);
	assert_true(e2e_is_gone(pid));
	free(at);
}

static void
test_director_while_planning(void **state)
{
	kill_at(state, "go-director", "m1");
}

static void
test_director_while_others_work(void **state)
{
	kill_at(state, "go-worker", "m1");
}

static void
test_director_while_merging(void **state)
{
	kill_at(state, "go-director-gate", "m1");
}

static void
test_em_while_planning(void **state)
{
	kill_at(state, "go-em", "m1/em1");
}

static void
test_em_while_its_worker_works(void **state)
{
	kill_at(state, "go-worker", "m1/em1");
}

static void
test_em_while_merging(void **state)
{
	struct e2e *e = *state;
	const char *em;

	/* Both EMs are held at their gates: which one came there is all the same. */
	begin(e, "go-em-gate");
	e2e_await_file(e, "at-em-gate");
	em = e2e_find(e, 0, "m1/em1/w1", "state", "submitted") >= 0 ? "m1/em1" : "m1/em2";
	assert_int_equal(kill(e2e_pid(e, em), SIGKILL), 0);
	e2e_await(e, em, "death", NULL);
	e2e_touch(e, "go-em-gate");
	assert_same_end(e);
}

/* The agent, its open tool and what it had left in a session of its own die with the worker. */
static void
test_worker_at_work(void **state)
{
	struct e2e *e = *state;
	pid_t worker, stray, *agents;
	int n;

	begin(e, "go-worker");
	e2e_await_file(e, "at-worker");
	worker = e2e_pid(e, "m1/em1/w1");
	stray = e2e_file_pid(e, "stray");
	n = proc_children(worker, &agents);
	assert_true(n >= 1);
	e2e_unlink(e, "at-worker");
	assert_int_equal(kill(worker, SIGKILL), 0);
	e2e_await_file(e, "at-worker"); /* of its replacement: the slot was free again */
	assert_true(e2e_is_gone(stray));
	for (int i = 0; i < n; i++)
		assert_true(e2e_is_gone(agents[i]));
	free(agents);
	e2e_touch(e, "go-worker");
	assert_same_end(e);
	assert_int_equal(e2e_count(e, "m1/em1/w1", "death", NULL), 1);
}

/* Every role there is, one after the other, in one run. */
static void
test_everyone_in_turn(void **state)
{
	static const char *const tasks[] = {"m1", "m1/em1", "m1/em1/w1"};
	struct e2e *e = *state;

	begin(e, "go-worker");
	e2e_await_file(e, "at-worker");
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(kill(e2e_pid(e, tasks[i]), SIGKILL), 0);
		e2e_await(e, tasks[i], "death", NULL);
	}
	e2e_touch(e, "go-worker");
	assert_same_end(e);
}

/* The roles outlive orchd, and the next one, started by whatever command comes first, takes them over. */
static void
test_orchd_is_succeeded(void **state)
{
	static const char *const tasks[] = {"m1", "m1/em1", "m1/em1/w1"};
	struct e2e *e = *state;
	pid_t before[3], orchd;

	begin(e, "go-worker");
	e2e_await_file(e, "at-worker");
	for (size_t i = 0; i < 3; i++)
		before[i] = e2e_pid(e, tasks[i]);
	orchd = e2e_pid(e, NULL);
	assert_int_equal(kill(orchd, SIGKILL), 0);
	e2e_await_gone(e, orchd);
	e2e_ctl_ok(e, "status", NULL);
	assert_int_not_equal(e2e_pid(e, NULL), orchd);
	e2e_follow(e);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(e2e_pid(e, tasks[i]), before[i]);
	e2e_touch(e, "go-worker");
	assert_same_end(e);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(e2e_count(e, tasks[i], "death", NULL), 0);
}

/* orchd and a worker at once: what the worker left is below nobody who knows it. */
static void
test_orchd_and_worker(void **state)
{
	struct e2e *e = *state;
	pid_t orchd, worker, stray;

	begin(e, "go-worker");
	e2e_await_file(e, "at-worker");
	orchd = e2e_pid(e, NULL);
	worker = e2e_pid(e, "m1/em1/w1");
	stray = e2e_file_pid(e, "stray");
	e2e_unlink(e, "at-worker");
	assert_int_equal(kill(orchd, SIGKILL), 0);
	assert_int_equal(kill(worker, SIGKILL), 0);
	e2e_await_gone(e, orchd);
	e2e_follow(e); /* orchctl run or this one starts the next */
	e2e_await_file(e, "at-worker");
	assert_true(e2e_is_gone(stray));
	e2e_touch(e, "go-worker");
	assert_same_end(e);
}

int
main(void)
{
#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, e2e_setup, e2e_teardown)
	const struct CMUnitTest tests[] = {
	    RUN_TEST(test_director_while_planning),
	    RUN_TEST(test_director_while_others_work),
	    RUN_TEST(test_director_while_merging),
	    RUN_TEST(test_em_while_planning),
	    RUN_TEST(test_em_while_its_worker_works),
	    RUN_TEST(test_em_while_merging),
	    RUN_TEST(test_worker_at_work),
	    RUN_TEST(test_everyone_in_turn),
	    RUN_TEST(test_orchd_is_succeeded),
	    RUN_TEST(test_orchd_and_worker),
	};

	return cmocka_run_group_tests(tests, learn, unlearn);
}
