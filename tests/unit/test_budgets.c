/* budgets: of a run and of a task, with requests under way. */
#include "supervisor/gateway/budgets.h"

#include "tests/helper/lib/test.h"

#include <errno.h>
#include <string.h>

static struct budgets *b;
static char text[256];

static int
setup(void **state)
{
	(void)state;
	b = budgets_new();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	budgets_free(b);
	return 0;
}

/* Thousandths of a dollar. */
static struct amount
usd(uint64_t thousandths)
{
	return (struct amount){.nusd = thousandths * 1000000};
}

static enum budgets_verdict
check(const char *task)
{
	return budgets_check(b, task, text, sizeof(text));
}

static void
test_whose(void **state)
{
	(void)state;
	assert_int_equal(check("25/em1/w1"), BUDGETS_FREE);
	assert_int_equal(budgets_set(b, "25", false, usd(1000), usd(0)), 0);
	assert_int_equal(budgets_set(b, "25/em1/w1", true, usd(500), usd(500)), 0);
	assert_int_equal(budgets_set(b, "", false, usd(1000), usd(0)), -EINVAL);
	assert_int_equal(check("25/em1/w1"), BUDGETS_SPENT);
	assert_string_equal(text, "nothing is left of the budget of 25/em1/w1: 0.5000 of 0.5000 USD");
	assert_int_equal(check("25/em1/w11"), BUDGETS_FREE);
	assert_int_equal(check("25/em1"), BUDGETS_FREE);
	budgets_settle(b, "25/em1", usd(0), usd(1000));
	assert_int_equal(check("25/em1/w11"), BUDGETS_SPENT);
	assert_int_equal(check("25"), BUDGETS_SPENT);
	assert_int_equal(check("25-2"), BUDGETS_FREE);
	assert_int_equal(check("2"), BUDGETS_FREE);
	/* More money; then none is asked for any more. */
	assert_int_equal(budgets_set(b, "25", false, usd(3000), usd(1000)), 0);
	assert_int_equal(check("25"), BUDGETS_FREE);
	assert_int_equal(budgets_set(b, "25/em1/w1", true, usd(0), usd(0)), 0);
	assert_int_equal(budgets_set(b, "25/em1/w1", true, usd(0), usd(0)), 0);
	assert_int_equal(check("25/em1/w1"), BUDGETS_FREE);
}

/* The budget of a run and that of its director's own task have one name: "25". */
static void
test_own(void **state)
{
	(void)state;
	budgets_set(b, "25", true, usd(100), usd(0));
	budgets_set(b, "25", false, usd(1000), usd(0));
	budgets_set(b, "25/em1", true, usd(100), usd(100));
	assert_int_equal(check("25/em1"), BUDGETS_SPENT);
	assert_int_equal(check("25/em1/w1"), BUDGETS_FREE);
	budgets_settle(b, "25", usd(0), usd(100));
	assert_int_equal(check("25"), BUDGETS_SPENT);
	assert_int_equal(check("25/em1/w1"), BUDGETS_FREE);
	budgets_settle(b, "25/em1/w1", usd(0), usd(900));
	assert_int_equal(check("25/em1/w1"), BUDGETS_SPENT);
	/* The next attempt may spend more; what was counted stays. */
	budgets_set(b, "25", false, usd(9000), usd(0));
	budgets_set(b, "25", true, usd(101), usd(0));
	assert_int_equal(check("25"), BUDGETS_FREE);
	budgets_settle(b, "25", usd(0), usd(1));
	assert_int_equal(check("25"), BUDGETS_SPENT);
	/* The run is over; another of a longer name is not. */
	budgets_set(b, "25-2", true, usd(1), usd(1));
	budgets_forget(b, "25");
	assert_int_equal(check("25"), BUDGETS_FREE);
	assert_int_equal(check("25/em1"), BUDGETS_FREE);
	assert_int_equal(check("25-2"), BUDGETS_SPENT);
}

static void
test_reserved(void **state)
{
	(void)state;
	budgets_set(b, "25", false, usd(1000), usd(0));
	budgets_reserve(b, "25/em1/w1", usd(600));
	assert_int_equal(check("25/em1/w2"), BUDGETS_FREE);
	budgets_reserve(b, "25/em1/w2", usd(600));
	assert_int_equal(check("25"), BUDGETS_FULL);
	assert_non_null(strstr(text, "requests under way may use up the budget of 25: 0.0000 of 1.0000"));
	/* One cost less than it might have: there is room again. */
	budgets_settle(b, "25/em1/w1", usd(600), usd(100));
	assert_int_equal(check("25"), BUDGETS_FREE);
	budgets_settle(b, "25/em1/w2", usd(600), usd(950));
	assert_int_equal(check("25"), BUDGETS_SPENT);
	/* Tokens are counted beside the money, and what was spent elsewhere only as far as it is more. */
	budgets_set(b, "27", false, (struct amount){.tokens = 100}, (struct amount){0});
	budgets_settle(b, "27", usd(0), (struct amount){7, 90});
	budgets_set(b, "27", false, (struct amount){.tokens = 100}, (struct amount){.tokens = 80});
	budgets_reserve(b, "27", (struct amount){.tokens = 9});
	assert_int_equal(check("27"), BUDGETS_FREE);
	budgets_reserve(b, "27", (struct amount){.tokens = 1});
	assert_int_equal(check("27"), BUDGETS_FULL);
	budgets_settle(b, "27", (struct amount){.tokens = 10}, (struct amount){.tokens = 11});
	assert_int_equal(check("27"), BUDGETS_SPENT);
	assert_string_equal(text, "nothing is left of the budget of 27: 101 of 100 tokens");
	/* A request that began before its budget did. */
	budgets_set(b, "26", false, usd(1000), usd(0));
	budgets_settle(b, "26", usd(600), usd(1));
	assert_int_equal(check("26"), BUDGETS_FREE);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_whose), T(test_own), T(test_reserved)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
