/* clock: ages as people read them, times as ISO 8601. */
#include "common/clock.h"

#include "tests/helper/lib/test.h"

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
	assert_true(clock_overslept(1000, 900) == 0);
	assert_true(clock_overslept(1000, 1000) == 0);
	assert_true(clock_overslept(1000, 1000 + CLOCK_LATE_MS) == 0);
	assert_true(clock_overslept(1000, 1001 + CLOCK_LATE_MS) == CLOCK_LATE_MS + 1);
	assert_true(clock_overslept(1000, 3601000) == 3600000);
	assert_true(clock_overslept(-1, 3601000) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ages_read_well),
	    cmocka_unit_test(iso_is_utc),
	    cmocka_unit_test(clocks_run),
	    cmocka_unit_test(absence_is_told_from_a_busy_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
