/* Trailers: they join those that a message has, and are never said twice. */
#include "common/git_impl.h"
#include "tests/helper/lib/test.h"

#include <stdlib.h>

#define OURS "Orch-Task: 1/em1/w1\nOrch-Session: s\n"

static void
assert_message(const char *message, const char *trailers, const char *want)
{
	char *got = git_with_trailers(message, trailers);

	assert_string_equal(got, want);
	free(got);
}

static void
test_added(void **state)
{
	(void)state;
	assert_message("Title", OURS, "Title\n\n" OURS);
	assert_message("Title\n\n\n", OURS, "Title\n\n" OURS);
	assert_message("Title\n\nA body: with a colon\n", OURS, "Title\n\nA body: with a colon\n\n" OURS);
	assert_message("Title\n\nFixes: x\nReviewed-by: A <a@b>\n", OURS,
	    "Title\n\nFixes: x\nReviewed-by: A <a@b>\n" OURS);
	assert_message(
	    "Title\n\n" OURS, "Co-authored-by: A <a@b>\n", "Title\n\n" OURS "Co-authored-by: A <a@b>\n");
	assert_message("Title\n\n" OURS, OURS, "Title\n\n" OURS);
	assert_message("fix: title alone", OURS, "fix: title alone\n\n" OURS);
	assert_message("", OURS, "\n\n" OURS);
}

static void
test_found(void **state)
{
	(void)state;
	assert_string_equal(git_our_trailers("T\n\n" OURS), OURS);
	assert_string_equal(git_our_trailers("T\n\nFixes: 1\nOrch-Task: 1\n"), "Fixes: 1\nOrch-Task: 1\n");
	assert_string_equal(git_our_trailers("T\n\n" OURS "\n\n"), OURS "\n\n");
	assert_null(git_our_trailers("T\n\nsays Orch-Task: 1\n"));
	assert_null(git_our_trailers("Orch-Task: 1\n"));
	assert_null(git_our_trailers("T\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_added), cmocka_unit_test(test_found)};

	return cmocka_run_group_tests_name("git_sign", tests, NULL, NULL);
}
