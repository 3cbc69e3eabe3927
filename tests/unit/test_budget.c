/* budget: the stages of a run's use of money, tokens and time, as a table. */
#include "supervisor/budget.h"

#include "tests/helper/lib/test.h"

#include <string.h>

static const struct {
	uint64_t musd, tokens, minutes; /* limits */
	struct budget_use use;
	enum budget_stage stage;
	const char *text;
} rows[] = {
    {0, 0, 0, {UINT64_MAX, UINT64_MAX, INT64_MAX}, BUDGET_OPEN, ""},
    {5000, 0, 0, {0, 0, 0}, BUDGET_OPEN, ""},
    {5000, 0, 0, {4499999, 0, 0}, BUDGET_OPEN, ""},
    {5000, 0, 0, {4500000, 0, 0}, BUDGET_TIGHT, "90 % of the run's budget of 5.00 USD are used"},
    {5000, 0, 0, {4999999, 0, 0}, BUDGET_TIGHT, "99 % of the run's budget of 5.00 USD are used"},
    {5000, 0, 0, {5000000, 0, 0}, BUDGET_SPENT, "100 % of the run's budget of 5.00 USD are used"},
    {5000, 0, 0, {UINT64_MAX, 0, 0}, BUDGET_SPENT, "999 % of the run's budget of 5.00 USD are used"},
    {1, 0, 0, {1000, 0, 0}, BUDGET_SPENT, "100 % of the run's budget of 0.00 USD are used"},
    {0, 1, 0, {0, 0, 0}, BUDGET_OPEN, ""},
    {0, 1, 0, {0, 1, 0}, BUDGET_SPENT, "100 % of the run's budget of 1 tokens are used"},
    {0, 1000, 0, {0, 899, 0}, BUDGET_OPEN, ""},
    {0, 1000, 0, {0, 900, 0}, BUDGET_TIGHT, "90 % of the run's budget of 1000 tokens are used"},
    {0, 1000, 0, {9999999, 1500, 0}, BUDGET_SPENT, "145 % of the run's budget of 1000 tokens are used"},
    {0, 0, 10, {0, 0, 539999}, BUDGET_OPEN, ""},
    {0, 0, 10, {0, 0, 540000}, BUDGET_TIGHT, "90 % of the run's budget of 10 minutes are used"},
    {0, 0, 10, {0, 0, 600000}, BUDGET_SPENT, "100 % of the run's budget of 10 minutes are used"},
    {0, 0, 10, {0, 0, -5}, BUDGET_OPEN, ""}, /* a wall clock that was set back */
    /* The one that is closest to its end counts. */
    {5000, 1000, 10, {4600000, 950, 0}, BUDGET_TIGHT, "95 % of the run's budget of 1000 tokens are used"},
    {5000, 1000, 10, {5100000, 950, 0}, BUDGET_SPENT, "101 % of the run's budget of 5.00 USD are used"},
};

static void
stages(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct budget b = {.text = "left from before"};
		struct conf c;

		conf_init(&c);
		c.max_run_musd = rows[i].musd;
		c.max_run_tokens = rows[i].tokens;
		c.max_run_minutes = rows[i].minutes;
		budget_judge(&b, &c, &rows[i].use);
		if (b.stage != rows[i].stage || strcmp(b.text, rows[i].text) != 0)
			fail_msg("row %zu: stage %d, \"%s\"", i, (int)b.stage, b.text);
		conf_clear(&c);
	}
}

static void
time_alone(void **state)
{
	struct conf c;

	(void)state;
	conf_init(&c);
	assert_int_equal(budget_next_ms(&c, 5), -1);
	c.max_run_minutes = 10;
	assert_int_equal(budget_next_ms(&c, 0), 540000);
	assert_int_equal(budget_next_ms(&c, 539999), 1);
	assert_int_equal(budget_next_ms(&c, 540000), 60000);
	assert_int_equal(budget_next_ms(&c, 600000), -1);
	conf_clear(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(stages), cmocka_unit_test(time_alone)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
