/* limits: the headers of the API, as they are written and as they are not. */
#include "supervisor/gateway/limits.h"

#include "tests/helper/lib/test.h"

#include <string.h>

#define WALL 1795000000000LL /* 2026-11-18T11:06:40Z */

static void
add(struct limits *l, const char *name, const char *value)
{
	limits_header(l, name, strlen(name), value, strlen(value), WALL);
}

static void
test_times(void **state)
{
	(void)state;
	assert_int_equal(limits_parse_time("1970-01-01T00:00:01Z"), 1000);
	assert_true(limits_parse_time("2026-11-18T11:06:40Z") == WALL);
	assert_true(limits_parse_time("2026-11-18T11:06:40.123456Z") == WALL);
	assert_true(limits_parse_time("2026-11-18T12:06:40+01:00") == WALL);
	assert_true(limits_parse_time("2026-11-18T05:36:40-05:30") == WALL);
	assert_int_equal(limits_parse_time("2026-11-18"), -1);
	assert_int_equal(limits_parse_time("2026-11-18T11:06:40"), -1);
	assert_int_equal(limits_parse_time("2026-11-18T11:06:40 tomorrow"), -1);
	assert_int_equal(limits_parse_time(""), -1);
}

static void
test_retry_after(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {{"0", 0}, {"7", 7000}, {"1.5", 1999}, {"Wed, 18 Nov 2026 11:07:40 GMT", 60000},
	    {"Wed, 18 Nov 2026 11:00:00 GMT", 0}, {"soon", -1}, {"-3", -1}, {"", -1},
	    {"999999999999", LIMITS_FAR_MS}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct limits l;

		limits_init(&l);
		add(&l, "Retry-After", rows[i].text);
		assert_int_equal(limits_wait_ms(&l, WALL), rows[i].ms);
	}
}

static void
test_spent(void **state)
{
	struct limits l;

	(void)state;
	limits_init(&l);
	assert_false(limits_spent(&l));
	assert_int_equal(limits_wait_ms(&l, WALL), -1);
	add(&l, "anthropic-ratelimit-requests-remaining", "12");
	add(&l, "anthropic-ratelimit-requests-reset", "2026-11-18T12:06:40Z");
	assert_false(limits_spent(&l));
	assert_int_equal(limits_wait_ms(&l, WALL), -1);
	add(&l, "anthropic-ratelimit-output-tokens-reset", "2026-11-18T11:07:10Z");
	add(&l, "anthropic-ratelimit-output-tokens-remaining", "0");
	assert_true(limits_spent(&l));
	assert_int_equal(limits_wait_ms(&l, WALL), 30000);
	/* When a request fits again comes before when the limit is whole again. */
	add(&l, "retry-after", "4");
	assert_int_equal(limits_wait_ms(&l, WALL), 4000);
}

static void
test_unified(void **state)
{
	struct limits l;

	(void)state;
	limits_init(&l);
	add(&l, "Anthropic-RateLimit-Unified-Status", "allowed_warning");
	add(&l, "anthropic-ratelimit-unified-reset", "1795003600");
	assert_false(limits_spent(&l));
	add(&l, "anthropic-ratelimit-unified-status", "rejected");
	assert_true(limits_spent(&l));
	assert_int_equal(limits_wait_ms(&l, WALL), 3600000);
	add(&l, "retry-after", "5");
	assert_int_equal(limits_wait_ms(&l, WALL), 3600000);
}

static void
test_hostile_headers(void **state)
{
	char big[300];
	struct limits l;

	(void)state;
	memset(big, '9', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	limits_init(&l);
	add(&l, "retry-after", big);
	add(&l, big, "0");
	add(&l, "request-id", big);
	add(&l, "anthropic-ratelimit-unified-reset", "99999999999999999999");
	add(&l, "anthropic-ratelimit-requests-reset", "9999-99-99T99:99:99Z");
	assert_int_equal(limits_wait_ms(&l, WALL), -1);
	assert_string_equal(l.request_id, "");
	add(&l, "request-id", "req_1");
	add(&l, "anthropic-organization-id", "org-1");
	assert_string_equal(l.request_id, "req_1");
	assert_string_equal(l.organisation, "org-1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_times),
	    cmocka_unit_test(test_retry_after),
	    cmocka_unit_test(test_spent),
	    cmocka_unit_test(test_unified),
	    cmocka_unit_test(test_hostile_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
