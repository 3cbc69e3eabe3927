/* unite: what both sides added is no conflict, everything else is. */
#include "tests/helper/lib/test.h"

#include "common/unite.h"

#include <stdlib.h>
#include <string.h>

#define HUNK(ours, base, theirs) "<<<<<<< a\n" ours "||||||| b\n" base "=======\n" theirs ">>>>>>> c\n"

static void
expect(const char *text, const char *wanted)
{
	char *out = NULL;
	size_t size;
	bool united = unite_additions(text, strlen(text), &out, &size);

	assert_int_equal(united, wanted != NULL);
	if (united) {
		assert_int_equal(size, strlen(wanted));
		assert_string_equal(out, wanted);
	}
	free(out);
}

static void
test_additions_are_united(void **state)
{
	(void)state;
	expect("top\n" HUNK("one\n", "", "two\n") "end\n", "top\none\ntwo\nend\n");
	expect(HUNK("one\n", "", "two\n") HUNK("", "", "x\n"), "one\ntwo\nx\n");
	expect("no newline\n" HUNK("one\n", "", "two\n") "end", "no newline\none\ntwo\nend");
	expect("Heading\n=======\n" HUNK("1\n", "", "2\n"), "Heading\n=======\n1\n2\n");
	expect("<<<<<<< a\r\none\r\n||||||| b\r\n=======\r\ntwo\r\n>>>>>>> c\r\n", "one\r\ntwo\r\n");
}

static void
test_everything_else_is_a_conflict(void **state)
{
	(void)state;
	expect("", NULL);
	expect("nothing\n", NULL);
	expect(HUNK("one\n", "was\n", "two\n"), NULL);
	expect(HUNK("one\n", "", "two\n") HUNK("", "was\n", "two\n"), NULL);
	/* Markers of the file's own: nobody can tell which is which. */
	expect(HUNK("one\n=======\n", "", "two\n"), NULL);
	expect(HUNK("one\n", "", "=======\ntwo\n"), NULL);
	expect(HUNK("<<<<<<< x\n", "", "two\n"), NULL);
	expect(">>>>>>> c\n" HUNK("one\n", "", "two\n"), NULL);
	expect("<<<<<<< a\none\n||||||| b\n=======\n", NULL);
	expect("<<<<<<< a\none\n=======\ntwo\n>>>>>>> c\n", NULL); /* not diff3 */
}

static void
test_hunks_are_shown(void **state)
{
	static const char text[] =
	    "top\n" HUNK("one\n", "was\n", "two\n") "middle\n" HUNK("3\n", "", "4\n") "end\n";
	char *shown = unite_hunks(text, strlen(text), 1000);

	(void)state;
	assert_string_equal(shown, HUNK("one\n", "was\n", "two\n") HUNK("3\n", "", "4\n"));
	free(shown);
	shown = unite_hunks(text, strlen(text), 12);
	assert_true(strlen(shown) <= 12);
	free(shown);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_additions_are_united),
	    cmocka_unit_test(test_everything_else_is_a_conflict),
	    cmocka_unit_test(test_hunks_are_shown),
	};

	return cmocka_run_group_tests_name("unite", tests, NULL, NULL);
}
