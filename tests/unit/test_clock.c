/* clock: ages as people read them, times as ISO 8601. */
#include "common/clock.h"

#include "tests/helper/lib/test.h"

#include <time.h>

static void
ages_read_well(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {{-5, "0s"}, {0, "0s"}, {999, "0s"}, {45000, "45s"}, {200000, "3m 20s"},
	    {3599999, "59m 59s"}, {7500000, "2h 05m"}, {273600000, "3d 4h"}};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(clock_age(buf, sizeof(buf), cases[i].ms), cases[i].text);
}

static void
iso_is_utc(void **state)
{
	char buf[32], small[8];

	(void)state;
	assert_string_equal(clock_iso(buf, sizeof(buf), 0), "1970-01-01T00:00:00Z");
	assert_string_equal(clock_iso(buf, sizeof(buf), 1795370842999), "2026-11-22T18:07:22Z");
	assert_string_equal(clock_iso(small, sizeof(small), 0), "");
}

static void
clocks_run(void **state)
{
	int64_t a = clock_now_ms();

	(void)state;
	assert_true(clock_now_ms() >= a);
	assert_true(clock_wall_ms() > 1600000000000);
}

static void
absence_is_told_from_a_busy_machine(void **state)
{
	(void)state;
	assert_true(clock_gap(1000, 1000, 500) == 0);
	assert_true(clock_gap(1000, 1500 + CLOCK_LATE_MS, 500) == 0);
	assert_true(clock_gap(1000, 1501 + CLOCK_LATE_MS, 500) == CLOCK_LATE_MS + 1);
	assert_true(clock_gap(1000, 3601000, 500) == 3599500);
}

static void
absence_is_no_time(void **state)
{
	const struct timespec pause = {.tv_nsec = 600 * 1000000};
	int64_t before, absent = clock_absent_ms();

	(void)state;
	clock_watch(20);
	before = clock_now_ms();
	nanosleep(&pause, NULL); /* this is the absence, not a wait for something */
	assert_true(clock_now_ms() == before + 20);
	assert_true(clock_absent_ms() - absent >= 580);
	clock_watch(0);
	before = clock_now_ms();
	nanosleep(&pause, NULL);
	assert_true(clock_now_ms() >= before + 600);
}

/* What drifts or is read a little late is no hand at the clock, but it adds up to one. */
static void
wall_clock_that_is_set(void **state)
{
	int64_t lead = INT64_MIN;

	(void)state;
	assert_true(clock_moved(&lead, 1000000, 5000) == 0);
	assert_true(clock_moved(&lead, 1001000, 6000) == 0);
	assert_true(clock_moved(&lead, 1002400, 7000) == 0);
	assert_true(clock_moved(&lead, 1003999, 8000) == 0);
	assert_true(clock_moved(&lead, 1005000, 8999) == 1001);
	assert_true(clock_moved(&lead, 1006000, 9999) == 0);
	assert_true(clock_moved(&lead, 1006000 - 3600000, 9999) == -3600000);
	assert_true(clock_moved(&lead, 1007000 - 3600000, 10999) == 0);
	assert_true(clock_moved(&lead, 1008000, 11999) == 3600000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ages_read_well),
	    cmocka_unit_test(iso_is_utc),
	    cmocka_unit_test(clocks_run),
	    cmocka_unit_test(absence_is_told_from_a_busy_machine),
	    cmocka_unit_test(absence_is_no_time),
	    cmocka_unit_test(wall_clock_that_is_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
