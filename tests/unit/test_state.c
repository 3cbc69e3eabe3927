/* state: every pair of state and event against an expectation that was written from the task's life, not from
 * the table. */
#include "tests/helper/lib/test.h"

#include "supervisor/state.h"

#include <string.h>

/*
 * One letter per state, in the order of TASK_STATES: what follows is that state's letter (the same one:
 * nothing happens),
 * "." is a bug, "-" a message that was overtaken. Lower case: failed over the limit.
 */
static const char letters[] = "QWRSKIFC";

/* Columns in the order of TASK_EVENTS: start submit integrate rework attempt-failed wait time-over fail
 * cancel retry reopen review. */
static const char *const expected[TASK_STATE_COUNT] = {
    [TASK_QUEUED] = "R-----.FC.Q.",
    [TASK_WAITING] = ".---WWQFCQW.",
    [TASK_RUNNING] = "RS-kwW.FC.R.",
    [TASK_SUBMITTED] = ".SIk...FC.Q.",
    [TASK_REWORK] = "R--K--.FC.KK",
    [TASK_INTEGRATED] = ".-I-...--.QK",
    [TASK_FAILED] = ".-----.F-QQ.",
    [TASK_CANCELLED] = ".-----.-CQQ.",
};

static void
check_cell(enum task_state from, enum task_event ev, bool over_limit)
{
	char want = expected[from][ev];
	enum task_state to = TASK_STATE_COUNT;
	enum step_result got = task_step(from, ev, over_limit, &to);

	if (want == '.' || want == '-') {
		if (got != (want == '.' ? STEP_BUG : STEP_STALE))
			fail_msg("%s + %s gives %d", task_state_name(from), task_event_name(ev), (int)got);
		assert_int_equal(to, TASK_STATE_COUNT); /* written only on success */
		return;
	}
	if (want == 'k' || want == 'w')
		want = over_limit ? 'F' : want == 'k' ? 'K' : 'W';
	if (got != STEP_OK || letters[to] != want)
		fail_msg("%s + %s%s gives %d, %s", task_state_name(from), task_event_name(ev),
		    over_limit ? " over the limit" : "", (int)got,
		    got == STEP_OK ? task_state_name(to) : "no state");
}

static void
test_every_pair(void **state)
{
	(void)state;
	for (int from = 0; from < TASK_STATE_COUNT; from++) {
		assert_int_equal(strlen(expected[from]), TASK_EVENT_COUNT);
		for (int ev = 0; ev < TASK_EVENT_COUNT; ev++) {
			check_cell((enum task_state)from, (enum task_event)ev, false);
			check_cell((enum task_state)from, (enum task_event)ev, true);
		}
	}
}

/* Whatever happens, a task can be brought to an end, and an ended one only a person brings back. */
static void
test_every_state_can_end(void **state)
{
	enum task_state to;

	(void)state;
	for (int from = 0; from < TASK_STATE_COUNT; from++) {
		if (task_state_ended((enum task_state)from)) {
			for (int ev = 0; ev < TASK_EVENT_COUNT; ev++)
				if (ev != TASK_EV_RETRY && ev != TASK_EV_REOPEN && ev != TASK_EV_REVIEW &&
				    task_step((enum task_state)from, (enum task_event)ev, false, &to) ==
					STEP_OK)
					assert_int_equal(to, from);
			continue;
		}
		assert_int_equal(task_step((enum task_state)from, TASK_EV_FAIL, false, &to), STEP_OK);
		assert_int_equal(to, TASK_FAILED);
		assert_int_equal(task_step((enum task_state)from, TASK_EV_CANCEL, false, &to), STEP_OK);
		assert_int_equal(to, TASK_CANCELLED);
	}
}

static void
test_names(void **state)
{
	(void)state;
	for (int s = 0; s < TASK_STATE_COUNT; s++)
		assert_int_equal(task_state_parse(task_state_name((enum task_state)s)), s);
	for (int s = 0; s < RUN_STATE_COUNT; s++)
		assert_int_equal(run_state_parse(run_state_name((enum run_state)s)), s);
	assert_int_equal(task_state_parse("exploded"), -1);
	assert_int_equal(run_state_parse(""), -1);
	for (int s = RUN_QUEUED; s < RUN_STATE_COUNT; s++)
		assert_int_equal(run_state_ended((enum run_state)s), s >= RUN_COMPLETE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_pair),
	    cmocka_unit_test(test_every_state_can_end),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
