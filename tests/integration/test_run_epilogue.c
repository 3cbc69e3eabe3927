/*
 * A director that cannot be kept running has the last word all the same: it is started once more, with
 * --epilogue, for what can still be told and tidied up. And one whose planning fails leaves nothing behind.
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

#define TIDY_MS 20000

static int
setup(void **state)
{
	setenv("ORCH_PARKED_RETRY", "0.1", 1);
	setenv("ORCH_PARKED", "0.2", 1);
	return e2e_setup(state);
}

static int
teardown(void **state)
{
	unsetenv("ORCH_PARKED_RETRY");
	unsetenv("ORCH_PARKED");
	return e2e_teardown(state);
}

static void
assert_reason(struct e2e *e, const char *part)
{
	json_t *run = e2e_status(e, "m1");
	const char *reason = json_str(run, "reason");

	if (reason == NULL || strstr(reason, part) == NULL)
		fail_msg("the reason is \"%s\", without \"%s\"", reason == NULL ? "" : reason, part);
	json_decref(run);
}

static void
write_scripts(struct e2e *e)
{
	e2e_own_programs(e);
	e2e_plan(e, "director", "", "a b");
	e2e_plan(e, "em-a", "", "one");
	e2e_plan(e, "em-b", "", "three");
	e2e_work(e, "a.one", "write a/one.part <<EOF\npart\nEOF\ntouch @/at-one\nwait_file @/go\n");
	e2e_work(e, "b.three", "");
}

/* Before there is anything. */
static void
test_never_started(void **state)
{
	struct e2e *e = *state;

	write_scripts(e);
	e2e_break_director(e, "--check|--epilogue");
	e2e_begin(e, NULL);
	assert_int_equal(e2e_end(e), 1);
	e2e_assert_state(e, "m1", "failed");
	assert_reason(e, "could not be kept running");
	assert_reason(e, "the director is broken");
	assert_reason(e, "no area was merged");
	assert_int_equal(e2e_count(e, "m1", "epilogue", NULL), 1);
}

static bool
has(struct e2e *e, const char *name)
{
	char *path = testrepo_path(e->repo, "repo/.git/%s", name);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

/* The director deletes the branch of an area that it has merged: who is killed in that leaves git's locks
 * behind, for the next one of ours to clear away. */
static void
await_no_branch(struct e2e *e, const char *branch)
{
	char *ref = xasprintf("refs/heads/%s", branch), *lock = xasprintf("%s.lock", ref);
	int64_t deadline = clock_now_ms() + TIDY_MS;
	bool never = false;

	while (has(e, ref) || has(e, lock) || has(e, "packed-refs.lock")) {
		if (clock_now_ms() >= deadline)
			fail_msg("%s does not go", branch);
		loop_wait(&e->repo->loop, &never, clock_now_ms() + 2);
	}
	free(ref);
	free(lock);
}

/* In the middle: what is merged is kept, work in progress is saved, and the rest is ended. */
static void
break_in_the_middle(struct e2e *e, const char *but)
{
	pid_t worker;

	write_scripts(e);
	e2e_begin(e, NULL);
	e2e_await(e, "m1/em2", "state", "integrated");
	e2e_await_file(e, "at-one");
	await_no_branch(e, "cco/m1-build-it-em2");
	worker = e2e_pid(e, "m1/em1/w1");
	e2e_break_director(e, but);
	assert_int_equal(kill(e2e_pid(e, "m1"), SIGKILL), 0);
	assert_int_equal(e2e_end(e), 1);
	e2e_await_gone(e, worker);
	assert_reason(e, "could not be kept running");
	e2e_assert_state(e, "m1/em1", "cancelled");
	assert_int_equal(e2e_count(e, "m1", "epilogue", NULL), 1);
}

static void
test_in_the_middle(void **state)
{
	struct e2e *e = *state;

	break_in_the_middle(e, "--epilogue");
	e2e_assert_state(e, "m1", "partial");
	assert_reason(e, "1 of 2 areas");
	e2e_assert_shows(e, "m1", "b/three.txt", "three");
	assert_int_equal(
	    testrepo_try(e->repo, NULL, "cat-file", "-e", "refs/orch/wip/m1-em1-w1:a/one.part", NULL), 0);
}

/* There is an end even when that one does not come up. */
static void
test_no_epilogue_either(void **state)
{
	static const char *const left[] = {
	    "cco/m1-build-it", "cco/m1-build-it-em1", "cco/m1-build-it-em1-w1"};
	struct e2e *e = *state;

	break_in_the_middle(e, "nothing");
	e2e_assert_state(e, "m1", "failed");
	/* What nobody tidied up. */
	e2e_ctl_ok(e, "clean", "--all", NULL);
	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++)
		testrepo_try(e->repo, NULL, "branch", "-qD", left[i], NULL);
}

/* Cancelled while it is parked. */
static void
test_cancelled(void **state)
{
	struct e2e *e = *state;

	setenv("ORCH_PARKED", "600", 1);
	write_scripts(e);
	e2e_break_director(e, "--check|--epilogue");
	e2e_begin(e, NULL);
	e2e_await(e, "m1", "parked", NULL);
	e2e_ctl_ok(e, "cancel", "m1", NULL);
	assert_int_equal(e2e_end(e), 1);
	e2e_assert_state(e, "m1", "cancelled");
	assert_int_equal(e2e_count(e, "m1", "epilogue", NULL), 1);
}

/* Its worktree is gone before orchd hears of it: nobody would remove it after the run's end. */
static void
test_planning_fails(void **state)
{
	struct e2e *e = *state;
	char *list;

	e2e_script(e, "director", "error I cannot plan this\n");
	e2e_begin(e, "--max-attempts", "2", "--retry-delay", "0", NULL);
	assert_int_equal(e2e_end(e), 1);
	e2e_assert_state(e, "m1", "failed");
	list = testrepo_git(e->repo, NULL, "worktree", "list", "--porcelain", NULL);
	assert_ptr_equal(strstr(strstr(list, "worktree ") + 1, "\nworktree "), NULL);
	free(list);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_never_started),
	    T(test_in_the_middle),
	    T(test_no_epilogue_either),
	    T(test_cancelled),
	    T(test_planning_fails),
	};

	return cmocka_run_group_tests_name("test_run_epilogue", tests, NULL, NULL);
}
