/* batch: how often the gate has to run to find who is to blame, whoever that is. */
#include "tests/helper/lib/test.h"

#include "common/batch.h"

#include <stdint.h>

#define N_MAX 33

/* Merges n, of which the marked ones break the gate; returns how often it ran (a red last word runs twice).
 */
static unsigned
play(size_t n, uint64_t bad, uint64_t *blamed)
{
	size_t waiting[N_MAX], count = n;
	unsigned runs = 0;

	*blamed = 0;
	for (size_t i = 0; i < n; i++)
		waiting[i] = i;
	while (count > 0) {
		struct batch b = {.left = count};
		size_t at = 0;

		while (b.left > 0) {
			size_t tried = batch_next(&b);
			bool green = true, twice = batch_tries_twice(&b);

			assert_in_range(tried, 1, b.left);
			for (size_t i = 0; i < tried; i++)
				green &= (bad & UINT64_C(1) << waiting[at + i]) == 0;
			runs += 1 + (!green && twice);
			if (batch_told(&b, tried, green)) {
				*blamed |= UINT64_C(1) << waiting[at];
				at++;
				break;
			}
			at += green ? tried : 0;
		}
		for (size_t i = at; i < count; i++)
			waiting[i - at] = waiting[i];
		count -= at;
	}
	return runs;
}

static unsigned
log2_up(size_t n)
{
	unsigned k = 0;

	while ((size_t)1 << k < n)
		k++;
	return k;
}

static void
test_no_culprit_is_one_run(void **state)
{
	uint64_t blamed;

	(void)state;
	for (size_t n = 1; n < N_MAX; n++) {
		assert_int_equal(play(n, 0, &blamed), 1);
		assert_int_equal(blamed, 0);
	}
}

/* One for the whole, one for each halving, one to be sure, and one for those behind it. */
static void
test_one_culprit_is_found_in_log_n(void **state)
{
	uint64_t blamed;

	(void)state;
	for (size_t n = 1; n < N_MAX; n++) {
		for (size_t i = 0; i < n; i++) {
			unsigned runs = play(n, UINT64_C(1) << i, &blamed);

			assert_int_equal(blamed, UINT64_C(1) << i);
			assert_in_range(runs, 2, log2_up(n) + 3);
		}
	}
}

static void
test_all_sets_of_culprits_are_found(void **state)
{
	uint64_t blamed;

	(void)state;
	for (uint64_t bad = 0; bad < 1 << 10; bad++) {
		play(10, bad, &blamed);
		assert_int_equal(blamed, bad);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_culprit_is_one_run),
	    cmocka_unit_test(test_one_culprit_is_found_in_log_n),
	    cmocka_unit_test(test_all_sets_of_culprits_are_found),
	};

	return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
