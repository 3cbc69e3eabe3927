/* tokens: who is let in, from when to when, and who never is. */
#include "supervisor/gateway/tokens.h"

#include "tests/helper/lib/test.h"

#include <errno.h>
#include <string.h>

static void
test_life(void **state)
{
	struct tokens *t = tokens_new();
	struct keys *k = keys_new();
	char a[TOKEN_SIZE], b[TOKEN_SIZE];
	struct attempt_seat *seat;

	(void)state;
	assert_int_equal(token_make(a), 0);
	assert_int_equal(token_make(b), 0);
	assert_string_not_equal(a, b);
	assert_int_equal(strlen(a), TOKEN_SIZE - 1);
	assert_null(tokens_find(t, a, strlen(a)));
	assert_int_equal(tokens_add(t, a, "25/em1/w1", 1), 0);
	assert_int_equal(tokens_add(t, a, "25/em1/w2", 1), -EEXIST);
	assert_int_equal(tokens_add(t, b, "25/em1/w2", 3), 0);
	seat = tokens_find(t, a, strlen(a));
	assert_string_equal(seat->task, "25/em1/w1");
	assert_int_equal(tokens_remove(t, a, k), 0);
	assert_int_equal(tokens_remove(t, a, k), -ENOENT);
	assert_null(tokens_find(t, a, strlen(a)));
	seat = tokens_find(t, b, strlen(b));
	assert_string_equal(seat->task, "25/em1/w2");
	assert_int_equal(seat->attempt, 3);
	tokens_free(t);
	keys_free(k);
}

/* A part, a longer one, another's, one with a NUL in it: nobody's. */
static void
test_near_misses(void **state)
{
	struct tokens *t = tokens_new();
	char a[TOKEN_SIZE], b[TOKEN_SIZE + 1];

	(void)state;
	token_make(a);
	tokens_add(t, a, "t", 1);
	for (size_t i = 0; i < TOKEN_SIZE - 1; i++) {
		memcpy(b, a, TOKEN_SIZE);
		b[i] ^= 1;
		assert_null(tokens_find(t, b, TOKEN_SIZE - 1));
		assert_null(tokens_find(t, a, i));
	}
	memcpy(b, a, TOKEN_SIZE);
	b[TOKEN_SIZE - 1] = 'a';
	assert_null(tokens_find(t, b, TOKEN_SIZE));
	assert_null(tokens_find(t, "", 0));
	tokens_free(t);
	tokens_free(NULL);
}

static void
test_forms(void **state)
{
	static const char *const wrong[] = {"", "orch-", "orch-00112233445566778899aabbccddeef",
	    "orch-00112233445566778899aabbccddeeff0", "orch-00112233445566778899aabbccddeefG",
	    "sk-t-00112233445566778899aabbccddeeff"};
	struct tokens *t = tokens_new();
	struct keys *k = keys_new();

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(tokens_add(t, wrong[i], "t", 1), -EINVAL);
		assert_int_equal(tokens_remove(t, wrong[i], k), -ENOENT);
	}
	assert_int_equal(tokens_add(t, "orch-00112233445566778899aabbccddeeff", "t", 1), 0);
	tokens_free(t);
	keys_free(k);
}

/* What requests hold stays where it is while others come and go; the number is bounded. */
static void
test_many(void **state)
{
	struct tokens *t = tokens_new();
	struct keys *k = keys_new();
	struct attempt_seat *first;
	char a[TOKEN_SIZE], other[TOKEN_SIZE];

	(void)state;
	token_make(a);
	tokens_add(t, a, "first", 1);
	first = tokens_find(t, a, strlen(a));
	for (int i = 1; i < TOKENS_MAX; i++) {
		token_make(other);
		assert_int_equal(tokens_add(t, other, "other", 1), 0);
	}
	assert_int_equal(tokens_count(t), TOKENS_MAX);
	assert_ptr_equal(tokens_find(t, a, strlen(a)), first);
	assert_int_equal(tokens_remove(t, other, k), 0);
	assert_int_equal(tokens_add(t, other, "again", 2), 0);
	token_make(other);
	assert_int_equal(tokens_add(t, other, "too many", 1), -ENOSPC);
	tokens_free(t);
	keys_free(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_life),
	    cmocka_unit_test(test_near_misses),
	    cmocka_unit_test(test_forms),
	    cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
