/* keylike: what is taken for a key, and what is not: a false alarm sends an agent's work back. */
#include "common/keylike.h"

#include "tests/helper/lib/test.h"

#include <string.h>

/* In pieces, so that no file of this repository holds a key. */
#define TAIL "Zq3Wm8Xr5Tk1Vb7Nc2Yd9Fg4Hj6Lp0SaQwErTyUiOp" /* 42 bytes */
#define S "s"
#define G "g"

static void
test_forms(void **state)
{
	static const struct {
		const char *text;
		size_t size; /* 0: none */
	} rows[] = {{S "k-ant-" TAIL, 49}, {"key=\"" S "k-ant-" TAIL "\"\n", 49}, {G "hp_" TAIL " ", 46},
	    {"x: " G "hs_" TAIL, 46}, {G "ithub_pat_" TAIL "_1234567", 61}, {S "k-ant-short", 0},
	    {"sk-ant-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 0}, {"sk-test-dummy-" TAIL, 0},
	    {"de" S "k-ant-" TAIL, 0}, {"", 0}, {S, 0}, {"sk-ant-", 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t from = 0, size = 0;
		const char *p = keylike_next(rows[i].text, strlen(rows[i].text), &from, &size);

		if ((p != NULL) != (rows[i].size > 0) || (p != NULL && size != rows[i].size))
			fail_msg("row %zu: %zu", i, size);
	}
}

static void
test_one_after_the_other(void **state)
{
	static const char text[] = "a " S "k-ant-" TAIL "1 b\0c " G "hp_" TAIL;
	size_t from = 0, size;

	(void)state;
	assert_ptr_equal(keylike_next(text, sizeof(text) - 1, &from, &size), text + 2);
	assert_int_equal(size, 50);
	assert_ptr_equal(keylike_next(text, sizeof(text) - 1, &from, &size), text + 57);
	assert_null(keylike_next(text, sizeof(text) - 1, &from, &size));
	assert_int_equal(from, sizeof(text) - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_forms), cmocka_unit_test(test_one_after_the_other)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
