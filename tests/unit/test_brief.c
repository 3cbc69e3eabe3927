/* brief: what a worker is told first, when work comes back, and when it goes on; the project's documents. */
#include "common/alloc.h"
#include "common/brief.h"
#include "common/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void
assert_says(const char *text, const char *what)
{
	if (strstr(text, what) == NULL)
		fail_msg("\"%s\" is not in: %s", what, text);
}

static void
assert_silent_on(const char *text, const char *what)
{
	if (strstr(text, what) != NULL)
		fail_msg("\"%s\" is in: %s", what, text);
}

static const char *const owned[] = {"src/parser.*", "docs/", NULL};

static struct brief
example(void)
{
	return (struct brief){.run_title = "Build a calculator",
	    .title = "The parser",
	    .goal = "Parse sums.",
	    .acceptance = "make check passes",
	    .owns = owned,
	    .branch = "cco/m1-em1-w2",
	    .verify = "make check",
	    .context = "CLAUDE.md:\n\nTabs."};
}

static void
first_brief_is_complete(void **state)
{
	struct brief b = example();
	char *text = brief_worker(&b);

	(void)state;
	assert_says(text, "on branch cco/m1-em1-w2");
	assert_says(text, "----- begin what the whole run is about -----\nBuild a calculator\n");
	assert_says(text, "----- begin title of your task -----\nThe parser\n");
	assert_says(text, "----- begin your task -----\nParse sums.\n----- end your task -----\n");
	assert_says(text, "----- begin acceptance -----\nmake check passes\n");
	assert_says(text, "Tabs.\n----- end documents of the project -----\n");
	assert_says(text, "    src/parser.*\n    docs/\n");
	assert_says(text, "----- begin gate -----\nmake check\n");
	assert_says(text, "No need to commit");
	assert_silent_on(text, "sent back");
	free(text);
	b.verify = b.context = b.acceptance = NULL;
	text = brief_worker(&b);
	assert_silent_on(text, "begin gate");
	assert_silent_on(text, "begin acceptance");
	free(text);
}

static void
rework_carries_the_evidence(void **state)
{
	struct brief b = example();
	char *text;

	(void)state;
	b.evidence = "make: *** [check] Error 1\n";
	text = brief_worker(&b);
	assert_says(text, "----- begin your task -----\nParse sums.\n");
	assert_says(
	    text, "----- begin evidence -----\nmake: *** [check] Error 1\n----- end evidence -----\n");
	assert_silent_on(text, "conflict");
	free(text);

	b.resumed = true;
	b.conflicts = LIST("src/parser.c", "docs/a b.md");
	text = brief_worker(&b);
	assert_silent_on(text, "begin your task");
	assert_says(text, "Your task: The parser\n");
	assert_says(text, "begin evidence");
	assert_says(text, "every conflict marker, in:\n- src/parser.c\n- docs/a b.md\n");
	assert_says(text, "You own:\n- src/parser.*\n- docs/\n");
	free(text);
}

/* In a session that knows the task, and in one that does not. */
static void
setback_is_told(void **state)
{
	struct brief b = example();
	char *text;

	(void)state;
	b.setback = "its memory went over 512 MB";
	for (int resumed = 0; resumed < 2; resumed++) {
		b.resumed = resumed != 0;
		text = brief_worker(&b);
		assert_says(
		    text, "----- begin how the last attempt ended -----\nits memory went over 512 MB\n");
		assert_silent_on(text, "sent back");
		free(text);
	}
}

static void
resumed_session_is_told_to_continue(void **state)
{
	struct brief b = example();
	char *text;

	(void)state;
	b.resumed = true;
	text = brief_worker(&b);
	assert_says(text, "continue with your task until it is complete");
	assert_silent_on(text, "sent back");
	assert_true(strlen(text) < 500);
	free(text);
}

static void
write_file(const char *dir, const char *name, const char *data, size_t size)
{
	char *path = xasprintf("%s/%s", dir, name);

	assert_int_equal(fd_write_file(path, data, size, 0644), 0);
	free(path);
}

static void
remove_file(const char *dir, const char *name)
{
	char *path = xasprintf("%s/%s", dir, name);

	assert_int_equal(unlink(path), 0);
	free(path);
}

static void
documents_are_read_and_bounded(void **state)
{
	char dir[] = "/tmp/orch-brief-XXXXXX", *big, *text, *path;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_null(brief_context(dir));
	assert_null(brief_context("/nonexistent"));
	write_file(dir, "CLAUDE.md", " \n", 2);
	assert_null(brief_context(dir));
	write_file(dir, "CLAUDE.md", "Tabs\xff", 5);
	write_file(dir, "PROJECT_DIRECTION.md", "Small.\n", 7);
	text = brief_context(dir);
	assert_string_equal(text, "PROJECT_DIRECTION.md:\n\nSmall.\n\nCLAUDE.md:\n\nTabs\xef\xbf\xbd\n");
	free(text);

	big = xmalloc(BRIEF_DOCUMENT_MAX + 1);
	memset(big, 'x', BRIEF_DOCUMENT_MAX + 1);
	write_file(dir, "CLAUDE.md", big, BRIEF_DOCUMENT_MAX);
	text = brief_context(dir);
	assert_silent_on(text, "only its first");
	free(text);
	write_file(dir, "CLAUDE.md", big, BRIEF_DOCUMENT_MAX + 1);
	text = brief_context(dir);
	assert_says(text, "CLAUDE.md (only its first 64 KiB; read the file for the rest):\n\nxxx");
	assert_true(strlen(text) < BRIEF_DOCUMENT_MAX + 200);
	free(text);
	free(big);

	/* neither a way out of the folder nor something that would make us wait */
	remove_file(dir, "CLAUDE.md");
	remove_file(dir, "PROJECT_DIRECTION.md");
	path = xasprintf("%s/CLAUDE.md", dir);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_null(brief_context(dir));
	remove_file(dir, "CLAUDE.md");
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_null(brief_context(dir));
	remove_file(dir, "CLAUDE.md");
	free(path);
	assert_int_equal(rmdir(dir), 0);
}

static void
a_successor_hears_what_is_done(void **state)
{
	struct brief b = example();
	char *text;

	(void)state;
	b.done = " src/parser.c | 12 ++\nsrc/parser.h\n";
	text = brief_worker(&b);
	assert_says(text, "Another agent has begun this task");
	assert_says(text, "----- begin changed so far -----\n src/parser.c | 12 ++\nsrc/parser.h\n");
	free(text);
	b.resumed = true;
	text = brief_worker(&b);
	assert_silent_on(text, "Another agent");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_successor_hears_what_is_done),
	    cmocka_unit_test(first_brief_is_complete),
	    cmocka_unit_test(rework_carries_the_evidence),
	    cmocka_unit_test(setback_is_told),
	    cmocka_unit_test(resumed_session_is_told_to_continue),
	    cmocka_unit_test(documents_are_read_and_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
