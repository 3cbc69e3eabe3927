/*
 * Several runs of one repository: they queue in the order of their submission and never mix; an issue has one
 * run at a time. And the end of it all: when there is nothing to do, orchd leaves by itself.
 */
#include "common/alloc.h"
#include "common/json.h"
#include "common/proc.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Every run has area a with task one, whose agent writes what its prompt's run is called. */
static void
write_scripts(struct e2e *e)
{
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", "run mkdir a; printf %s \"$ORCH_TASK\" > a/one.task\ntouch @/at-one\nwait_file @/go\n");
}

/* orchctl run --detach with more arguments; the run's id is compared. */
static void
submit(struct e2e *e, const char *id, const char *const *argv, const char *says)
{
	struct ctlrun r;

	ctlrun_start(&r, e->repo, false, argv, NULL, NULL);
	ctlrun_wait(&r);
	if (r.status != 0)
		fail_msg("exit %d: %s", r.status, r.err);
	r.out[strcspn(r.out, "\n")] = '\0';
	assert_string_equal(r.out, id);
	if (says != NULL && strstr(r.err, says) == NULL)
		fail_msg("\"%s\" is not in: %s", says, r.err);
	ctlrun_clear(&r);
}

/* No event of a run but its queueing comes between another's beginning and end. */
static void
assert_one_at_a_time(struct e2e *e)
{
	const char *active = NULL;

	for (size_t i = 0; i < json_array_size(e->events); i++) {
		json_t *ev = json_array_get(e->events, i);
		const char *run = json_str(ev, "run"), *state = json_str(ev, "state");

		if (run == NULL ||
		    (state != NULL && strcmp(state, "queued") == 0 && json_str(ev, "task") == NULL))
			continue;
		if (active == NULL)
			active = run;
		assert_string_equal(run, active);
		if (json_str(ev, "task") == NULL && state != NULL &&
		    (strcmp(state, "complete") == 0 || strcmp(state, "cancelled") == 0))
			active = NULL;
	}
}

static void
test_runs_queue(void **state)
{
	static const char *const second[] = {"run", "-m", "Second", "--detach", NULL};
	static const char *const third[] = {"run", "-m", "Third", "--detach", NULL};
	struct e2e *e = *state;
	char *branches[3];

	write_scripts(e);
	e2e_begin(e, NULL);
	e2e_await_file(e, "at-one");
	submit(e, "m2", second, "queued behind 1");
	submit(e, "m3", third, "queued behind 2");
	e2e_assert_state(e, "m2", "queued");
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
	e2e_await(e, "m3", "state", "complete");
	assert_one_at_a_time(e);
	assert_true(e2e_find(e, 0, "m2", "state", "complete") < e2e_find(e, 0, "m3", "state", "planning"));
	for (int i = 0; i < 3; i++) {
		char *id = xasprintf("m%d", i + 1), *task = xasprintf("m%d/em1/w1", i + 1), *count;

		branches[i] = e2e_branch(e, id);
		e2e_assert_shows(e, id, "a/one.task", task);
		count = testrepo_git(
		    e->repo, NULL, "rev-list", "--count", "--no-merges", branches[i], "^main", NULL);
		assert_string_equal(count, "1"); /* its own work and nobody else's */
		free(count);
		free(task);
		free(id);
	}
	assert_string_not_equal(branches[0], branches[1]);
	assert_string_not_equal(branches[1], branches[2]);
	for (int i = 0; i < 3; i++)
		free(branches[i]);
}

/* Both are submitted at the same moment, each by an orchctl that starts orchd: one does, both are served. */
static void
test_two_at_once(void **state)
{
	static const char *const first[] = {"run", "-m", "First", NULL};
	static const char *const second[] = {"run", "-m", "Second", NULL};
	struct e2e *e = *state;
	struct ctlrun a, b;

	write_scripts(e);
	e2e_touch(e, "go");
	e2e_remember(e);
	ctlrun_start(&a, e->repo, false, first, NULL, NULL);
	ctlrun_start(&b, e->repo, false, second, NULL, NULL);
	ctlrun_wait(&a);
	ctlrun_wait(&b);
	if (a.status != 0 || b.status != 0)
		fail_msg("exit %d and %d: %s%s", a.status, b.status, a.err, b.err);
	ctlrun_clear(&a);
	ctlrun_clear(&b);
	e2e_follow(e);
	e2e_await(e, "m1", "state", "complete");
	e2e_await(e, "m2", "state", "complete");
	assert_one_at_a_time(e);
}

/* A run that waits is cancelled without ever having begun. */
static void
test_cancel_queued(void **state)
{
	static const char *const second[] = {"run", "-m", "Second", "--detach", NULL};
	struct e2e *e = *state;

	write_scripts(e);
	e2e_begin(e, NULL);
	e2e_await_file(e, "at-one");
	submit(e, "m2", second, NULL);
	e2e_ctl_ok(e, "cancel", "m2", NULL);
	e2e_await(e, "m2", "state", "cancelled");
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
	assert_int_equal(e2e_find(e, 0, "m2", "state", "planning"), -1);
}

static void
test_issue_has_one_run(void **state)
{
	static const char *const other[] = {"run", "26", "-m", "Another", "--detach", NULL};
	static const char *const again[] = {"run", "25", "-m", "Again", "--detach", NULL};
	struct e2e *e = *state;
	struct ctlrun r;

	write_scripts(e);
	e2e_begin(e, "25", NULL);
	e2e_await_file(e, "at-one");
	assert_int_not_equal(e2e_ctl(e, &r, "run", "25", "-m", "Again", NULL), 0);
	assert_non_null(strstr(r.err, "issue 25"));
	assert_non_null(strstr(r.err, "orchctl cancel 25"));
	assert_ptr_equal(strchr(r.err, '\n'), r.err + strlen(r.err) - 1);
	ctlrun_clear(&r);
	submit(e, "26", other, "queued behind 1");
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
	e2e_await(e, "26", "state", "complete");
	submit(e, "25-2", again, NULL);
	e2e_await(e, "25-2", "state", "complete");
}

/* ORCH_LINGER is a minute by default; here it is the time of two heartbeats. Then nothing at all is left. */
static void
test_orchd_leaves(void **state)
{
	struct e2e *e = *state;
	pid_t orchd, *children;

	write_scripts(e);
	e2e_touch(e, "go");
	setenv("ORCH_LINGER", "0.5", 1);
	e2e_remember(e);
	e2e_ctl_ok(e, "run", "-m", "Build it", NULL);
	orchd = e2e_pid(e, NULL);
	e2e_await_gone(e, orchd);
	loop_reap(&e->repo->loop);
	assert_int_equal(proc_children(getpid(), &children), 0);
	free(children);
	assert_true(access(e->where.socket, F_OK) < 0);
	unsetenv("ORCH_LINGER");
	e2e_assert_state(e, "m1", "complete"); /* asked of the next orchd */
}

int
main(void)
{
#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, e2e_setup, e2e_teardown)
	const struct CMUnitTest tests[] = {
	    RUN_TEST(test_runs_queue),
	    RUN_TEST(test_two_at_once),
	    RUN_TEST(test_cancel_queued),
	    RUN_TEST(test_issue_has_one_run),
	    RUN_TEST(test_orchd_leaves),
	};

	return cmocka_run_group_tests_name("test_run_queue", tests, NULL, NULL);
}
