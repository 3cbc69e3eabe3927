/* github_retry: limits, faults and the pace of writes, with a clock of the test's own. */
#include "director/github_retry.h"

#include "tests/helper/lib/test.h"

#include <string.h>

static struct github_pace pace;
static struct github_retry get, post;

static int
set_up(void **state)
{
	(void)state;
	pace = (struct github_pace){.write_gap_ms = GITHUB_WRITE_GAP_MS};
	get = (struct github_retry){.repeatable = true};
	post = (struct github_retry){0};
	return 0;
}

static struct github_answer
answer(int status)
{
	return (struct github_answer){status, true, NULL, -1, -1, -1};
}

static void
takes_what_is_an_answer(void **state)
{
	static const struct {
		int status;
		enum github_kind kind;
	} rows[] = {{200, GITHUB_FINE}, {201, GITHUB_FINE}, {204, GITHUB_FINE}, {304, GITHUB_FINE},
	    {401, GITHUB_UNAUTHORIZED}, {403, GITHUB_FORBIDDEN}, {404, GITHUB_NOT_FOUND},
	    {405, GITHUB_NOT_ALLOWED}, {409, GITHUB_CONFLICT}, {410, GITHUB_NOT_FOUND}, {422, GITHUB_INVALID},
	    {302, GITHUB_STRANGE}, {418, GITHUB_STRANGE}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct github_answer a = answer(rows[i].status);
		struct github_decision d = github_decide(&pace, &post, &a, 0);

		assert_int_equal(d.turn, GITHUB_TAKE);
		assert_int_equal(d.kind, rows[i].kind);
	}
}

/* "A 403 without any of these is a permission error": remaining may well be above 0. */
static void
does_not_repeat_a_missing_permission(void **state)
{
	struct github_answer a = answer(403);

	(void)state;
	a.remaining = 4000;
	a.message = "Resource not accessible by integration";
	assert_int_equal(github_decide(&pace, &get, &a, 0).turn, GITHUB_TAKE);
	assert_int_equal(pace.blocked_to_ms, 0);
}

static void
obeys_retry_after(void **state)
{
	struct github_answer a = answer(403);
	struct github_decision d;

	(void)state;
	a.retry_after_s = 17;
	a.remaining = 0; /* weaker than retry-after */
	a.reset_s = 1000;
	d = github_decide(&pace, &post, &a, 5000);
	assert_int_equal(d.turn, GITHUB_AGAIN); /* a limit did nothing: a POST may be repeated */
	assert_int_equal(d.kind, GITHUB_LIMITED);
	assert_int_equal(d.until_ms, 5000 + 17000);
	assert_int_equal(github_pace_next(&pace, false, 5001), 22000); /* for all requests */
	a.retry_after_s = 1000000;
	assert_true(github_decide(&pace, &post, &a, 0).until_ms <= 7200000);
}

static void
waits_for_the_reset(void **state)
{
	struct github_answer a = answer(429);

	(void)state;
	a.remaining = 0;
	a.reset_s = 90;
	assert_int_equal(github_decide(&pace, &get, &a, 0).until_ms, 91000);
	a.reset_s = -1;
	assert_int_equal(github_decide(&pace, &get, &a, 100000).until_ms, 160000);
	a.reset_s = 99999999;
	assert_int_equal(github_decide(&pace, &get, &a, 200000).until_ms, 200000 + 7200000);
}

static void
backs_off_from_secondary_limits_and_gives_up(void **state)
{
	static const int64_t waits[] = {60000, 120000, 240000, 480000};
	struct github_answer a = answer(403);
	int64_t now = 0;
	struct github_decision d;

	(void)state;
	a.remaining = 3000;
	a.message = "You have exceeded a secondary rate limit. Please wait a few minutes.";
	for (size_t i = 0; i < 4; i++) {
		d = github_decide(&pace, &post, &a, now);
		assert_int_equal(d.turn, GITHUB_AGAIN);
		assert_int_equal(d.until_ms - now, waits[i]);
		now = d.until_ms;
	}
	d = github_decide(&pace, &post, &a, now);
	assert_int_equal(d.turn, GITHUB_END);
	assert_int_equal(d.kind, GITHUB_LIMITED);
	a = answer(200); /* what succeeds ends the doubling */
	github_decide(&pace, &get, &a, now);
	a = answer(429);
	assert_int_equal(github_decide(&pace, &get, &a, now * 10).until_ms, now * 10 + 60000);
}

static void
repeats_what_may_be_repeated(void **state)
{
	static const int64_t waits[] = {1000, 2000, 4000, 8000};
	struct github_answer none = answer(0), broken = answer(502);
	struct github_decision d;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		d = github_decide(&pace, &get, i % 2 == 0 ? &none : &broken, 0);
		assert_int_equal(d.turn, GITHUB_AGAIN);
		assert_int_equal(d.until_ms, waits[i]);
	}
	d = github_decide(&pace, &get, &none, 0);
	assert_int_equal(d.turn, GITHUB_END);
	assert_int_equal(d.kind, GITHUB_BROKEN);
}

/* There is no idempotency key: who posts again without looking has two comments. */
static void
never_repeats_a_post_that_may_have_been_made(void **state)
{
	struct github_answer lost = answer(0), broken = answer(504), unsent = answer(0);

	(void)state;
	unsent.sent = false;
	assert_int_equal(github_decide(&pace, &post, &unsent, 0).turn, GITHUB_AGAIN);
	assert_int_equal(github_decide(&pace, &post, &lost, 0).turn, GITHUB_END);
	assert_int_equal(github_decide(&pace, &post, &lost, 0).kind, GITHUB_LOST);
	assert_int_equal(github_decide(&pace, &post, &broken, 0).kind, GITHUB_LOST);
}

static void
keeps_writes_apart(void **state)
{
	(void)state;
	assert_int_equal(github_pace_next(&pace, true, 100), 100);
	github_pace_sent(&pace, true, 100);
	assert_int_equal(github_pace_next(&pace, true, 400), 1100);
	assert_int_equal(github_pace_next(&pace, false, 400), 400);
	github_pace_sent(&pace, false, 400);
	assert_int_equal(github_pace_next(&pace, true, 2000), 2000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(takes_what_is_an_answer, set_up),
	    cmocka_unit_test_setup(does_not_repeat_a_missing_permission, set_up),
	    cmocka_unit_test_setup(obeys_retry_after, set_up),
	    cmocka_unit_test_setup(waits_for_the_reset, set_up),
	    cmocka_unit_test_setup(backs_off_from_secondary_limits_and_gives_up, set_up),
	    cmocka_unit_test_setup(repeats_what_may_be_repeated, set_up),
	    cmocka_unit_test_setup(never_repeats_a_post_that_may_have_been_made, set_up),
	    cmocka_unit_test_setup(keeps_writes_apart, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
