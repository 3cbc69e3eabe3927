/*
 * Work that no branch holds is never silently lost or silently kept: wherever a task fails or is stopped with
 * something in its worktree, status, report and the last words of the run name the ref that has it, and
 * nothing names one that is gone.
 */
#include "common/json.h"
#include "supervisor/unit.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define REF "refs/orch/wip/m1-em1-w1"

static void
assert_saved(struct e2e *e, const char *ref)
{
	json_t *run = e2e_status(e, "m1");
	const char *saved = json_str(e2e_task(run, "m1/em1/w1"), "saved");

	if (ref == NULL)
		assert_null(saved);
	else
		assert_string_equal(saved, ref);
	json_decref(run);
}

static void
assert_kept(struct e2e *e, const char *text)
{
	char *kept = testrepo_git(e->repo, NULL, "show", REF ":a/one.txt", NULL);

	assert_string_equal(kept, text);
	free(kept);
}

static void
test_a_failed_task(void **state)
{
	struct e2e *e = *state;
	struct ctlrun r;

	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one two");
	e2e_script(e, "worker-a.one", "write a/one.txt <<EOF\nhalf\nEOF\nerror I cannot go on\n");
	e2e_work(e, "a.two", "");
	e2e_begin(e, "--max-attempts", "2", NULL);
	assert_int_equal(e2e_end(e), 1);
	assert_saved(e, REF);
	assert_kept(e, "half");
	assert_non_null(strstr(e->run.out, "saved     m1/em1/w1 " REF "\n"));
	assert_int_equal(e2e_ctl(e, &r, "report", "m1", NULL), 0);
	assert_non_null(strstr(r.out, "saved     m1/em1/w1 " REF "\n"));
	ctlrun_clear(&r);
	assert_int_equal(e2e_ctl(e, &r, "report", "m1", "--md", NULL), 0);
	assert_non_null(strstr(r.out, "- m1/em1/w1: refs/orch/wip/m1-em1-w1\n"));
	ctlrun_clear(&r);
}

/* Stopped in the middle of its work, resumed, integrated: then there is nothing saved any more. */
static void
test_a_stopped_task(void **state)
{
	struct e2e *e = *state;

	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", "");
	e2e_script(
	    e, "worker-a.one.1", "write a/one.txt <<EOF\nhalf\nEOF\ntouch @/at-work\nwait_file @/never\n");
	e2e_begin(e, NULL);
	e2e_await_file(e, "at-work");
	e2e_ctl_ok(e, "stop", NULL);
	e2e_end(e);
	assert_saved(e, REF);
	assert_kept(e, "half");
	e2e_ctl_ok(e, "resume", "m1", NULL);
	e2e_follow(e);
	e2e_await(e, "m1", "state", "complete");
	assert_saved(e, NULL);
	assert_int_not_equal(testrepo_try(e->repo, NULL, "rev-parse", "--verify", "--quiet", REF, NULL), 0);
}

static void
assert_two_saved(struct e2e *e, const struct ctlrun *r)
{
	assert_non_null(strstr(r->out, REF "\n"));
	assert_non_null(strstr(r->out, "refs/orch/wip/m1-em1-w2\n"));
	assert_kept(e, "half");
}

/* At once, with one agent that does not listen: what both had is in git before they are killed. */
static void
test_stopped_at_once(void **state)
{
	static const char *const words[] = {"status", "report"};
	struct e2e *e = *state;
	struct ctlrun r;
	char *kept;

	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one two");
	e2e_work(e, "a.one", "");
	e2e_work(e, "a.two", "");
	e2e_script(e, "worker-a.one.1",
	    "ignore_term\nwrite a/one.txt <<EOF\nhalf\nEOF\ntouch @/one\nwait_file @/never\n");
	e2e_script(e, "worker-a.two.1", "write a/two.txt <<EOF\nhalf\nEOF\ntouch @/two\nwait_file @/never\n");
	e2e_begin(e, NULL);
	e2e_await_file(e, "one");
	e2e_await_file(e, "two");
	e2e_ctl_ok(e, "stop", "--now", NULL);
	e2e_end(e);
	kept = testrepo_git(e->repo, NULL, "show", "refs/orch/wip/m1-em1-w2:a/two.txt", NULL);
	assert_string_equal(kept, "half");
	free(kept);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(e2e_ctl(e, &r, words[i], "m1", NULL), 0);
		assert_two_saved(e, &r);
		ctlrun_clear(&r);
	}
	e2e_ctl_ok(e, "resume", "m1", NULL);
	e2e_follow(e);
	e2e_await(e, "m1", "state", "complete");
	e2e_assert_shows(e, "m1", "a/one.txt", "one");
	e2e_assert_shows(e, "m1", "a/two.txt", "two");
}

#define AT_WORK "write a/one.txt <<EOF\nhalf\nEOF\ntouch @/at-work\nwait_file @/never\n"

static void
begin_one(struct e2e *e)
{
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one two");
	e2e_script(e, "worker-a.one", AT_WORK);
	e2e_work(e, "a.two", "");
	e2e_begin(e, NULL);
	e2e_await_file(e, "at-work");
}

static void
test_a_cancelled_task(void **state)
{
	struct e2e *e = *state;

	begin_one(e);
	e2e_ctl_ok(e, "cancel", "em1/w1", NULL);
	assert_int_equal(e2e_end(e), 1);
	e2e_assert_state(e, "m1/em1/w1", "cancelled");
	assert_saved(e, REF);
	assert_kept(e, "half");
	assert_non_null(strstr(e->run.out, "saved     m1/em1/w1 " REF "\n"));
}

/* Its worker keeps dying until it is parked; then somebody has enough of it. */
static void
test_a_parked_task(void **state)
{
	struct e2e *e = *state;

	begin_one(e);
	for (size_t deaths = 1; e2e_count(e, "m1/em1/w1", "parked", NULL) == 0; deaths++) {
		e2e_await_file(e, "at-work");
		e2e_unlink(e, "at-work");
		kill(e2e_pid(e, "m1/em1/w1"), SIGKILL);
		while (e2e_count(e, "m1/em1/w1", "death", NULL) < deaths)
			e2e_wait_news(e, "its death");
		if (deaths > UNIT_DEATHS_MAX)
			e2e_await(e, "m1/em1/w1", "parked", NULL);
	}
	assert_saved(e, REF);
	assert_kept(e, "half");
	e2e_ctl_ok(e, "cancel", "em1/w1", NULL);
	assert_int_equal(e2e_end(e), 1);
	assert_saved(e, REF);
	assert_kept(e, "half");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_a_failed_task, e2e_setup, e2e_teardown),
	    cmocka_unit_test_setup_teardown(test_a_stopped_task, e2e_setup, e2e_teardown),
	    cmocka_unit_test_setup_teardown(test_stopped_at_once, e2e_setup, e2e_teardown),
	    cmocka_unit_test_setup_teardown(test_a_cancelled_task, e2e_setup, e2e_teardown),
	    cmocka_unit_test_setup_teardown(test_a_parked_task, e2e_setup, e2e_teardown),
	};

	return cmocka_run_group_tests_name("test_run_saved", tests, NULL, NULL);
}
