/*
 * MAX_EMS and MAX_WORKERS_PER_EM hold at every moment: five areas of two tasks each with MAX_EMS=2 and
 * MAX_WORKERS_PER_EM=1, while a thread looks at the process table a thousand times a second
 * (tests/helper/lib/limits). A second run with a death of every kind in it shows that replacements
 * take no second slot.
 */
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/limits.h"
#include "tests/helper/lib/test.h"

#include <signal.h>
#include <stdio.h>

#define MAX_EMS 2
#define SAMPLES_LEAST 50 /* what a machine with many times its load still gives */

/* The limits were reached, or nothing was proved, and never exceeded. */
static void
end_sampling(struct limits *s)
{
	limits_end(s);
	print_message("%u samples: at most %u EMs, %u workers, %u of one EM\n", s->samples, s->ems_max,
	    s->workers_max, s->workers_per_em_max);
	assert_true(s->samples >= SAMPLES_LEAST);
	assert_int_equal(s->ems_max, MAX_EMS);
	assert_int_equal(s->workers_per_em_max, 1);
}

static void
write_scripts(struct e2e *e)
{
	char name[32];

	e2e_plan(e, "director", "", "a b c d e");
	for (char area = 'a'; area <= 'e'; area++) {
		snprintf(name, sizeof(name), "em-%c", area);
		e2e_plan(e, name, "", "one two");
		snprintf(name, sizeof(name), "%c.one", area);
		e2e_work(e, name, "");
		snprintf(name, sizeof(name), "%c.two", area);
		e2e_work(e, name, "");
	}
}

static void
test_limits(void **state)
{
	struct e2e *e = *state;
	struct limits s;
	json_t *run;

	write_scripts(e);
	limits_begin(&s, e->where.instance, "m1", 1);
	e2e_begin(e, "--max-ems", "2", "--max-workers-per-em", "1", NULL);
	assert_int_equal(e2e_end(e), 0);
	end_sampling(&s);
	run = e2e_status(e, "m1");
	assert_int_equal(json_integer_value(json_object_get(run, "integrated")), 15);
	json_decref(run);
}

/* An EM that is dead leaves its worker running; both hold their slots, and so do their replacements. */
static void
test_limits_with_deaths(void **state)
{
	struct e2e *e = *state;
	struct limits s;

	write_scripts(e);
	e2e_work(e, "a.one", "touch @/at-one\nwait_file @/go\n");
	e2e_work(e, "b.one.1", "exit 9\n");
	e2e_work(e, "c.one.1", "say Nothing\n");
	limits_begin(&s, e->where.instance, "m1", 1);
	e2e_begin(e, "--max-ems", "2", "--max-workers-per-em", "1", NULL);
	e2e_await_file(e, "at-one");
	assert_int_equal(kill(e2e_pid(e, "m1/em1"), SIGKILL), 0);
	e2e_await(e, "m1/em1", "death", NULL);
	assert_int_equal(kill(e2e_pid(e, "m1/em1/w1"), SIGKILL), 0);
	e2e_await(e, "m1/em1/w1", "death", NULL);
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
	end_sampling(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_limits, e2e_setup, e2e_teardown),
	    cmocka_unit_test_setup_teardown(test_limits_with_deaths, e2e_setup, e2e_teardown),
	};

	return cmocka_run_group_tests_name("test_run_limits", tests, NULL, NULL);
}
