/* publish: how often GitHub is written to, and what a run is called there. */
#include "director/publish.h"

#include "tests/helper/lib/test.h"

#include <stdlib.h>
#include <string.h>

static void
test_issue_of_a_run(void **state)
{
	(void)state;
	assert_int_equal(publish_issue("25"), 25);
	assert_int_equal(publish_issue("25-2"), 25);
	assert_int_equal(publish_issue("m1"), 0);
	assert_int_equal(publish_issue("25x"), 0);
	assert_int_equal(publish_issue("0"), 0);
}

/* However long a run is, an hour of it never comes near to the 500 writes that GitHub takes. */
static void
test_the_pace_stays_below_the_limit(void **state)
{
	int64_t now = 0;
	unsigned in_hour = 0;

	(void)state;
	assert_int_equal(publish_next(1000, 0, 0), 1000 + PUBLISH_GAP_MS);
	for (unsigned n = 1; now < 3600000; n++) {
		now = publish_next(now, n, 0);
		in_hour++;
	}
	assert_true(in_hour < 400);
	assert_int_equal(publish_next(0, 100000, 0), PUBLISH_GAP_MAX_MS);
}

static void
test_failures_back_off(void **state)
{
	(void)state;
	assert_int_equal(publish_next(0, 0, 1), PUBLISH_BACKOFF_MS);
	assert_int_equal(publish_next(0, 0, 2), 2 * PUBLISH_BACKOFF_MS);
	assert_int_equal(publish_next(0, 0, 4), 8 * PUBLISH_BACKOFF_MS);
	assert_int_equal(publish_next(0, 0, 5), 10 * PUBLISH_BACKOFF_MS);
	assert_int_equal(publish_next(0, 0, 1000000), 10 * PUBLISH_BACKOFF_MS);
}

static void
test_verdicts(void **state)
{
	struct msg_run_info r = {.tasks = 4, .integrated = 4};
	struct publish_end end = {0};

	(void)state;
	assert_string_equal(publish_verdict(&r, &end), "complete");
	r.integrated = 3;
	assert_string_equal(publish_verdict(&r, &end), "partial");
	r.integrated = 0;
	assert_string_equal(publish_verdict(&r, &end), "failed");
	r.integrated = 4;
	end.failed = true;
	assert_string_equal(publish_verdict(&r, &end), "failed");
	end.cancelled = true;
	assert_string_equal(publish_verdict(&r, &end), "cancelled");
}

/* An epilogue's director adds to what orchd knew when it was started. */
static void
test_reasons(void **state)
{
	struct msg_run_info r = {.reason = "it could not be kept running"};
	struct publish_end end = {.reason = "no area was merged"};
	char *text;

	(void)state;
	text = publish_reason(&r, &end);
	assert_string_equal(text, "no area was merged");
	free(text);
	end.epilogue = true;
	text = publish_reason(&r, &end);
	assert_string_equal(text, "it could not be kept running; no area was merged");
	free(text);
	end.reason = NULL;
	text = publish_reason(&r, &end);
	assert_string_equal(text, "it could not be kept running");
	free(text);
	end.epilogue = false;
	assert_null(publish_reason(&r, &end));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_issue_of_a_run),
	    cmocka_unit_test(test_the_pace_stays_below_the_limit),
	    cmocka_unit_test(test_failures_back_off),
	    cmocka_unit_test(test_verdicts),
	    cmocka_unit_test(test_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
