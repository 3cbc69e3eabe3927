/*
 * Agents wait for room: under a limit of agents, and below the floors of memory and disk, tasks are held with
 * the reason in status; they go on when there is room, and can be cancelled meanwhile.
 */
#include "common/json.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <stdlib.h>
#include <string.h>

static void
assert_waits(struct e2e *e, const char *task, const char *words)
{
	json_t *run = e2e_status(e, "m1");
	const char *reason = json_str(e2e_task(run, task), "reason");

	if (reason == NULL || strncmp(reason, "waiting: ", 9) != 0 || strstr(reason, words) == NULL)
		fail_msg(
		    "%s says \"%s\", not \"waiting: ... %s\"", task, reason == NULL ? "" : reason, words);
	json_decref(run);
}

static void
test_max_agents(void **state)
{
	struct e2e *e = *state;
	struct ctlrun r;

	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one two three");
	e2e_work(e, "a.one", "touch @/one\nwait_file @/go\n");
	e2e_work(e, "a.two", "touch @/two\n");
	e2e_work(e, "a.three", "touch @/three\n");
	e2e_begin(e, "--max-agents", "1", NULL);
	e2e_await_file(e, "one");
	e2e_await(e, "m1/em1/w2", "held", NULL);
	e2e_await(e, "m1/em1/w3", "held", NULL);
	assert_waits(e, "m1/em1/w2", "1 agents at work, 1 allowed (max_agents)");
	assert_int_equal(e2e_ctl(e, &r, "status", "m1", NULL), 0);
	assert_non_null(strstr(r.out, "waiting: 1 agents at work, 1 allowed"));
	ctlrun_clear(&r);
	assert_false(e2e_has_file(e, "two") || e2e_has_file(e, "three"));
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
	e2e_assert_state(e, "m1", "complete");
}

/* The machine has not that much, so the director's own agent waits already. */
static void
hold_by(struct e2e *e, const char *option, const char *words)
{
	e2e_plan(e, "director", "", "a");
	e2e_begin(e, option, "90000000", NULL);
	e2e_await(e, "m1", "held", NULL);
	assert_waits(e, "m1", words);
	e2e_ctl_ok(e, "cancel", "m1", NULL);
	e2e_end(e);
	e2e_assert_state(e, "m1", "cancelled");
}

static void
test_memory_floor(void **state)
{
	hold_by(*state, "--min-free-memory", "90000000 needed");
}

static void
test_disk_floor(void **state)
{
	hold_by(*state, "--min-free-disk", "90000000 needed");
}

/* The second and third worker may come only when a while has passed since the one before. */
static void
test_starts_are_spread(void **state)
{
	struct e2e *e = *state;
	json_t *ev;
	size_t i;
	json_int_t last = 0;

	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one two three");
	e2e_work(e, "a.one", "");
	e2e_work(e, "a.two", "");
	e2e_work(e, "a.three", "");
	setenv("ORCH_START_BURST", "1", 1);
	setenv("ORCH_START_INTERVAL", "0.7", 1);
	e2e_begin(e, NULL);
	unsetenv("ORCH_START_BURST");
	unsetenv("ORCH_START_INTERVAL");
	assert_int_equal(e2e_end(e), 0);
	json_array_foreach (e->events, i, ev) {
		const char *task = json_string_value(json_object_get(ev, "task"));
		const char *name = json_string_value(json_object_get(ev, "state"));

		if (task == NULL || strncmp(task, "m1/em1/w", 8) != 0 || name == NULL ||
		    strcmp(name, "running") != 0)
			continue;
		/* A wall clock: leave it 10 ms of its own. */
		assert_true(json_integer_value(json_object_get(ev, "at")) >= last + 690);
		last = json_integer_value(json_object_get(ev, "at"));
	}
	assert_true(last > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_max_agents, e2e_setup, e2e_teardown),
	    cmocka_unit_test_setup_teardown(test_memory_floor, e2e_setup, e2e_teardown),
	    cmocka_unit_test_setup_teardown(test_disk_floor, e2e_setup, e2e_teardown),
	    cmocka_unit_test_setup_teardown(test_starts_are_spread, e2e_setup, e2e_teardown),
	};

	return cmocka_run_group_tests_name("test_run_admission", tests, NULL, NULL);
}
