/* issue: titles from texts, and which source of a task wins. */
#include "supervisor/ctl/issue.h"

#include "common/text.h"
#include "tests/helper/lib/test.h"

#include <stdlib.h>
#include <string.h>

static void
assert_title(const char *text, const char *want)
{
	char *got = issue_title(text);

	assert_string_equal(got, want);
	free(got);
}

static void
test_titles(void **state)
{
	(void)state;
	assert_title("Build it", "Build it");
	assert_title("\n\n  \n## Build it  \r\nmore", "Build it");
	assert_title("###\n---\n", "---");
	assert_title("# \n#\n", "untitled");
	assert_title("a\033[2Jb", "a b");
	assert_title("\033[2J\nreal", "real");
}

/* 120 characters, not bytes: never half of one. */
static void
test_long_title(void **state)
{
	char text[1024] = "", *title;

	(void)state;
	for (int i = 0; i < 200; i++)
		strcat(text, "\xc3\xa9");
	title = issue_title(text);
	assert_int_equal(strlen(title), 240);
	assert_true(text_is_utf8(title, 240));
	free(title);
	memset(text, 'x', 200);
	text[119] = ' ';
	text[200] = '\0';
	title = issue_title(text);
	assert_int_equal(strlen(title), 119);
	free(title);
}

static void
test_sources(void **state)
{
	struct args a = {.message = "do this"};
	struct issue i;
	struct err e = {""};

	(void)state;
	setenv("ISSUE_NUMBER", "7", 1);
	setenv("ISSUE_TITLE", "Seven", 1);
	setenv("ISSUE_BODY", "body", 1);
	/* A text that was typed is no issue, whatever the environment says ... */
	assert_int_equal(issue_read(&i, &a, &e), 0);
	assert_null(i.number);
	assert_string_equal(i.text, "do this");
	issue_clear(&i);
	/* ... unless its number was typed too. */
	a.words[a.word_count++] = "#25";
	assert_int_equal(issue_read(&i, &a, &e), 0);
	assert_string_equal(i.number, "25");
	assert_string_equal(i.title, "do this");
	issue_clear(&i);
	a = (struct args){.word_count = 0};
	assert_int_equal(issue_read(&i, &a, &e), 0);
	assert_string_equal(i.number, "7");
	assert_string_equal(i.title, "Seven");
	assert_string_equal(i.text, "body");
	issue_clear(&i);
	unsetenv("ISSUE_BODY");
	assert_int_equal(issue_read(&i, &a, &e), 0);
	assert_string_equal(i.text, "Seven");
	issue_clear(&i);
	unsetenv("ISSUE_NUMBER");
	assert_true(issue_read(&i, &a, &e) < 0);
	issue_clear(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_titles),
	    cmocka_unit_test(test_long_title),
	    cmocka_unit_test(test_sources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
