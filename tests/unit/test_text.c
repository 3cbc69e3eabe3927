/* text: strings of other parties: what is text, what is cut, what a terminal would do with it. */
#include "common/text.h"

#include "tests/helper/lib/test.h"

#include <stdlib.h>
#include <string.h>

static void
utf8_is_strict(void **state)
{
	static const char *const good[] = {"", "a", "\u00e9", "\u20ac", "\U0001f600", "\U0010ffff", "\ufeff"};
	static const char *const bad[] = {
	    "\x80",             /* continuation without a start */
	    "\xc3",             /* cut */
	    "\xc0\xaf",         /* overlong '/' */
	    "\xe0\x80\xaf",     /* overlong in three */
	    "\xf0\x80\x80\xaf", /* overlong in four */
	    "\xed\xa0\x80",     /* surrogate */
	    "\xf4\x90\x80\x80", /* past U+10FFFF */
	    "\xff",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(text_is_utf8(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(text_is_utf8(bad[i], strlen(bad[i])));
	assert_false(text_is_utf8("a\0b", 3));
	assert_false(text_is_utf8("\u20ac", 2));
}

static void
assert_utf8(const char *in, size_t size, size_t max, const char *want)
{
	char *got = text_utf8(in, size, max);

	assert_string_equal(got, want);
	free(got);
}

static void
utf8_cleans_and_cuts(void **state)
{
	(void)state;
	assert_utf8("plain\n\ttext", 11, 100, "plain\n\ttext");
	assert_utf8("a\xff\0b", 4, 100, "a\ufffd\ufffdb");
	assert_utf8("a\x1b[31m\r\x7f\xc2\x9b.", 11, 100, "a[31m.");
	assert_utf8("\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9, SIZE_MAX,
	    "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd");
	/* The limit holds with the dots, and no character is cut in two. */
	assert_utf8("0123456789", 10, 10, "0123456789");
	assert_utf8("0123456789x", 11, 10, "0123456...");
	assert_utf8("\u00e9\u00e9\u00e9\u00e9", 8, 8, "\u00e9\u00e9\u00e9\u00e9");
	assert_utf8("\u00e9\u00e9\u00e9\u00e9", 8, 7, "\u00e9\u00e9...");
	assert_utf8("\u00e9\u00e9\u00e9\u00e9", 8, 6, "\u00e9...");
	assert_utf8("abcdef", 6, 2, "ab");
	assert_utf8("abcdef", 6, 0, "");
	assert_utf8("", 0, 0, "");
}

static void
assert_tail(const char *in, size_t max, const char *want)
{
	char *got = text_tail(in, strlen(in), max);

	assert_string_equal(got, want);
	free(got);
}

static void
tail_starts_at_a_line(void **state)
{
	(void)state;
	assert_tail("one\ntwo\n", 100, "one\ntwo\n");
	assert_tail("one\ntwo\nthree\n", 12, "two\nthree\n");
	assert_tail("one\ntwo\nthree\n", 10, "two\nthree\n");
	assert_tail("0123456789", 4, "6789");
	/* Most of a long last line is worth more than the short one after it. */
	assert_tail("an error in a very long line\nend\n", 19, "very long line\nend\n");
	assert_tail("ab\u00e9\u00e9", 3, "\u00e9");
	assert_tail("abc", 0, "");
}

static void
assert_line(const char *in, size_t max, const char *want)
{
	char *got = text_line(in, max);

	assert_string_equal(got, want);
	free(got);
}

static void
line_is_harmless(void **state)
{
	(void)state;
	assert_line("  a\n\n b\t c \n", 100, "a b c");
	assert_line("\x1b[31mred\x1b[0m text", 100, "red text");
	assert_line("\x1b]0;title\a rest", 100, "rest");
	assert_line("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", 100, "link");
	/* A sequence without an end hides nothing. */
	assert_line("\x1b]0;never closed", 100, "0;never closed");
	assert_line("a\x1b", 100, "a");
	assert_line("a\u202eb\u2066c\xc2\x85.", 100, "a b c .");
	assert_line("a\xff\x9b", 100, "a\ufffd\ufffd");
	assert_line("abcdefgh", 6, "abc...");
	assert_line("", 10, "");
}

static void
assert_slug(const char *title, const char *want)
{
	char slug[41];

	text_slug(slug, title);
	assert_string_equal(slug, want);
}

static void
slug_names_a_branch(void **state)
{
	char slug[41];

	(void)state;
	assert_slug("Build a functional calculator!", "build-a-functional-calculator");
	assert_slug("--  --", "run");
	assert_slug("", "run");
	assert_slug("\u00e9\u4e2d", "run");
	assert_slug("a/../b.lock", "a-b-lock");
	assert_slug("0123456789012345678901234567890123456789", "0123456789012345678901234567890123456789");
	assert_slug("01234567890123456789012345678901234567890", "0123456789012345678901234567890123456789");
	/* Not in the middle of a word. */
	assert_slug(
	    "implement the parser and the evaluator together", "implement-the-parser-and-the-evaluator");
	text_slug(slug, "an exact fit of forty characters, it ends - here");
	assert_true(strlen(slug) <= 40);
	assert_int_not_equal(slug[strlen(slug) - 1], '-');
}

static void
columns_are_a_terminals(void **state)
{
	(void)state;
	assert_int_equal(text_columns(""), 0);
	assert_int_equal(text_columns("abc"), 3);
	assert_int_equal(text_columns("\u00e9"), 1);
	assert_int_equal(text_columns("e\u0301"), 1);
	assert_int_equal(text_columns("\u4e2d\u6587"), 4);
	assert_int_equal(text_columns("\U0001f600"), 2);
	assert_int_equal(text_columns("\u251c\u2500"), 2);
	assert_int_equal(text_columns("\xff"), 1);
}

static void
nearest_finds_a_typo(void **state)
{
	static const char *const names[] = {"status", "start", "stop", "cancel", "max_ems", NULL};
	char endless[200];

	(void)state;
	assert_string_equal(text_nearest("status", names), "status");
	assert_string_equal(text_nearest("stauts", names), "status");
	assert_string_equal(text_nearest("cancle", names), "cancel");
	assert_string_equal(text_nearest("max_em", names), "max_ems");
	assert_string_equal(text_nearest("stp", names), "stop");
	assert_null(text_nearest("elephant", names));
	assert_null(text_nearest("x", names));
	assert_null(text_nearest("", names));
	memset(endless, 'a', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	assert_null(text_nearest(endless, names));
}

static void
plan_ids_are_narrow(void **state)
{
	(void)state;
	assert_true(text_is_plan_id("core"));
	assert_true(text_is_plan_id("a-1"));
	assert_true(text_is_plan_id("0123456789012345678901234567890a"));
	assert_false(text_is_plan_id("0123456789012345678901234567890ab"));
	assert_false(text_is_plan_id(""));
	assert_false(text_is_plan_id("Core"));
	assert_false(text_is_plan_id("a/b"));
	assert_false(text_is_plan_id("a b"));
	assert_false(text_is_plan_id("a\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(utf8_is_strict),
	    cmocka_unit_test(utf8_cleans_and_cuts),
	    cmocka_unit_test(tail_starts_at_a_line),
	    cmocka_unit_test(line_is_harmless),
	    cmocka_unit_test(slug_names_a_branch),
	    cmocka_unit_test(columns_are_a_terminals),
	    cmocka_unit_test(nearest_finds_a_typo),
	    cmocka_unit_test(plan_ids_are_narrow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
