/* prices: the built-in table, what a file changes of it, and sums that are exact. */
#include "common/prices.h"
#include "supervisor/gateway/usage.h"

#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <string.h>

static struct prices p;

static int
setup(void **state)
{
	(void)state;
	prices_init(&p);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	prices_clear(&p);
	return 0;
}

static uint64_t
cost(const char *model, struct price_use u)
{
	return prices_cost(prices_find(&p, model), &u);
}

static void
test_names(void **state)
{
	static const struct {
		const char *model, *row;
	} rows[] = {{"claude-opus-5-5", "claude-opus-5-5"}, {"claude-opus-4-1-20250805", "claude-opus-4"},
	    {"claude-opus-4-5@20251101", "claude-opus-4-5"}, {"claude-opus-5-5[1m]", "claude-opus-5-5"},
	    {"claude-opus-55", NULL}, {"claude-opus", NULL}, {"glm-4.6", NULL}, {"", NULL}};

	(void)state;
	assert_string_equal(p.date, "2026-11-22");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct price *price = prices_find(&p, rows[i].model);

		assert_int_equal(price == NULL, rows[i].row == NULL);
		if (price != NULL)
			assert_string_equal(price->model, rows[i].row);
	}
}

/* 100 tokens in and 20 out of claude-opus-5-5: the agent CLI 2.1.330 says 0.0008 USD. */
static void
test_sums(void **state)
{
	(void)state;
	assert_int_equal(cost("claude-opus-5-5", (struct price_use){.input = 100, .output = 20}), 800000);
	assert_int_equal(
	    cost("claude-opus-5-5",
		(struct price_use){.cache_read = 10, .cache_write = 3, .cache_write_1h = 1, .searches = 2}),
	    10 * 200 + 2 * 5000 + 8000 + 2 * 10000000);
	assert_int_equal(cost("glm-4.6", (struct price_use){.input = 100}), 0);
	/* More of the cache's hour than of the cache: nonsense, and no overflow. */
	assert_int_equal(
	    cost("claude-opus-5-5", (struct price_use){.cache_write = 1, .cache_write_1h = 9}), 8000);
	/* A long prompt changes the price of all of the request. */
	assert_int_equal(
	    cost("claude-haiku-5-5", (struct price_use){.input = 100000, .output = 1}), 10000500);
	assert_int_equal(cost("claude-haiku-5-5", (struct price_use){.input = 90000, .cache_read = 10001}),
	    90000 * 500 + 10001 * 50);
	assert_true(cost("claude-opus-4-1", (struct price_use){.input = USAGE_TOKENS_MAX}) > 0);
	assert_int_equal(prices_guess(prices_find(&p, "claude-opus-5-5"), 4000), 1000 * 4000 + 1000 * 20000);
	assert_int_equal(prices_guess(NULL, 4000), 0);
}

static void
test_file(void **state)
{
	static const char text[] = "{\"date\":\"2026-12-24\",\"models\":{\"claude-opus-5-5\":{\"input\":1,"
				   "\"output\":2},\"glm-4.6\":{\"input\":0.6,\"output\":2.2,\"cache_read\":0,"
				   "\"cache_write\":0.7,\"cache_write_1h\":0.8,\"search\":0.5}}}";
	struct err e = {""};

	(void)state;
	assert_int_equal(prices_load(&p, "prices", text, strlen(text), &e), 0);
	assert_string_equal(p.date, "2026-12-24");
	assert_int_equal(
	    cost("claude-opus-5-5",
		(struct price_use){
		    .input = 1, .output = 1, .cache_read = 1, .cache_write = 2, .cache_write_1h = 1}),
	    1000 + 2000 + 100 + 1250 + 2000);
	assert_int_equal(cost("glm-4.6", (struct price_use){.input = 1,
					     .output = 1,
					     .cache_read = 1,
					     .cache_write = 2,
					     .cache_write_1h = 1,
					     .searches = 1}),
	    600 + 2200 + 0 + 700 + 800 + 500000000);
	assert_int_equal(cost("claude-sonnet-5", (struct price_use){.input = 1}), 2000); /* stays */
}

static void
test_bad_files(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {{"", "prices"}, {"[]", "\"date\""}, {"{\"date\":\"2026-12-24\"}", "\"models\""},
	    {"{\"models\":{}}", "\"date\""},
	    {"{\"date\":\"2026-12-24\",\"models\":{\"\":{\"input\":1,\"output\":1}}}", "name"},
	    {"{\"date\":\"2026-12-24\",\"models\":{\"a\":{\"input\":1}}}", "models.a"},
	    {"{\"date\":\"2026-12-24\",\"models\":{\"a\":{\"input\":-1,\"output\":1}}}", "models.a"},
	    {"{\"date\":\"2026-12-24\",\"models\":{\"a\":{\"input\":\"1\",\"output\":1}}}", "models.a"},
	    {"{\"date\":\"2026-12-24\",\"models\":{\"a\":{\"input\":1e300,\"output\":1}}}", "models.a"},
	    {"{\"date\":\"2026-12-24\",\"models\":{\"a\":7}}", "models.a"},
	    {"{\"date\":\"2026-12-24\",\"models\":{\"a\":{\"input\":1,\"output\":1,\"inptu\":1}}}",
		"models.a.inptu: unknown field"}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = {""};

		assert_true(prices_load(&p, "prices", rows[i].text, strlen(rows[i].text), &e) < 0);
		if (strstr(e.msg, rows[i].says) == NULL)
			fail_msg("row %zu: %s", i, e.msg);
		assert_int_equal(cost("claude-opus-5-5", (struct price_use){.input = 1}), 4000);
		assert_null(prices_find(&p, "a"));
	}
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_names), T(test_sums), T(test_file), T(test_bad_files)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
