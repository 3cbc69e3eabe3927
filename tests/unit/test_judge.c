/* judge: what an agent left behind is judged by facts, in a fixed order. */
#include "tests/helper/lib/test.h"

#include "director/check.h"
#include "worker/judge.h"

#include <stdlib.h>
#include <string.h>

#define PATHS(...) ((char **)(const char *[]){__VA_ARGS__, NULL})

static const char base[] = "0123456789abcdef0123456789abcdef01234567";
static const char *const owns[] = {"src/lex.c", "tests/lex/", NULL};

static struct judgement
judged(char *const *changed, char *const *marked)
{
	const struct judge_facts f = {.base = base, .changed = changed, .marked = marked, .owns = owns};
	struct judgement j;
	bool fine = judge(&f, &j);

	assert_int_equal(fine, j.reason == NULL);
	assert_int_equal(fine, j.evidence == NULL);
	return j;
}

static void
test_within_what_it_owns(void **state)
{
	char **changed = PATHS("src/lex.c", "tests/lex/a.c");
	struct judgement j = judged(changed, NULL);

	(void)state;
	assert_null(j.reason);
}

/* A wildcard that happens to cover a protected file gives no right to it; its name does. */
static void
test_protected_paths_want_an_owner_by_name(void **state)
{
	static const char *const all[] = {"**", NULL}, *const by_name[] = {"**", ".ci/run", NULL};
	static const char *const guarded[] = {".ci/**", "orchestrator.json", NULL};
	char **changed = PATHS(".ci/run", "src/a.c", "orchestrator.json"),
	     **one = PATHS(".ci/run", "src/a.c");
	struct judge_facts f = {.base = base, .changed = changed, .owns = all, .guarded = guarded};
	struct judgement j;

	(void)state;
	assert_false(judge(&f, &j));
	assert_string_equal(j.reason, "changed what is protected: .ci/run, orchestrator.json");
	assert_non_null(strstr(j.evidence, "  .ci/run\n  orchestrator.json\n"));
	judgement_clear(&j);
	f.owns = by_name;
	assert_false(judge(&f, &j));
	assert_string_equal(j.reason, "changed what is protected: orchestrator.json");
	judgement_clear(&j);
	f.changed = one;
	assert_true(judge(&f, &j));
}

static void
test_nothing_changed(void **state)
{
	char **changed = PATHS(NULL);
	struct judgement j = judged(changed, NULL);

	(void)state;
	assert_string_equal(j.reason, "the agent changed nothing");
	assert_non_null(strstr(j.evidence, "0123456789ab"));
	judgement_clear(&j);
}

/* A denial is no error of the agent's program: only here does it become a reason. */
static void
test_nothing_changed_for_denied_tools(void **state)
{
	char **changed = PATHS(NULL);
	const struct judge_facts f = {
	    .base = base, .changed = changed, .owns = owns, .denied = "Bash, Write"};
	struct judgement j;

	(void)state;
	assert_false(judge(&f, &j));
	assert_string_equal(j.reason, "the agent changed nothing, and was not allowed to use Bash, Write");
	assert_non_null(strstr(j.evidence, "not allowed to use: Bash, Write. "));
	judgement_clear(&j);
}

static void
test_breach_is_listed(void **state)
{
	char **changed = PATHS("Makefile", "src/lex.c", "src/lex.h");
	struct judgement j = judged(changed, NULL);

	(void)state;
	assert_string_equal(j.reason, "changed what the task does not own: Makefile, src/lex.h");
	assert_non_null(strstr(j.evidence, "  Makefile\n  src/lex.h\n"));
	assert_non_null(strstr(j.evidence, "  src/lex.c\n  tests/lex/\n"));
	judgement_clear(&j);
}

static void
test_markers_go_before_a_breach(void **state)
{
	char **changed = PATHS("Makefile", "src/lex.c"), **marked = PATHS("src/lex.c");
	struct judgement j = judged(changed, marked);

	(void)state;
	assert_string_equal(j.reason, "conflict markers were left in src/lex.c");
	judgement_clear(&j);
}

static void
test_long_lists_are_cut(void **state)
{
	char **changed = PATHS("a", "b", "c", "d", "e");
	struct judgement j = judged(changed, NULL);

	(void)state;
	assert_string_equal(j.reason, "changed what the task does not own: a, b, c, and 2 more");
	judgement_clear(&j);
}

static bool
has_marker(const char *text)
{
	return judge_has_marker(text, strlen(text));
}

static void
test_markers_begin_a_line(void **state)
{
	(void)state;
	assert_true(has_marker("<<<<<<< ours\n"));
	assert_true(has_marker("a\n<<<<<<< ours"));
	assert_true(judge_has_marker("a\0b\n<<<<<<< x", 14));
	assert_false(has_marker("a <<<<<<< ours\n"));
	assert_false(has_marker("<<<<<<<\n"));
	assert_false(has_marker("<<<<<<"));
	assert_false(has_marker(""));
}

static void
test_commit_message(void **state)
{
	char *m;

	(void)state;
	m = judge_commit_message("Write\nthe lexer", "25/em1/w2", "abc");
	assert_string_equal(m, "Write the lexer\n\nOrch-Task: 25/em1/w2\nOrch-Session: abc\n");
	free(m);
	m = judge_commit_message("", "25/em1/w2", "");
	assert_string_equal(m, "25/em1/w2\n\nOrch-Task: 25/em1/w2\n");
	free(m);
}

static void
test_summary_is_the_first_line_with_words(void **state)
{
	char *s;

	(void)state;
	s = judge_summary("\n  \nDone: it lexes.\nMore.");
	assert_string_equal(s, "Done: it lexes.");
	free(s);
	assert_null(judge_summary(" \n\n"));
	assert_null(judge_summary(NULL));
}

static void
test_git_words(void **state)
{
	char *s;

	(void)state;
	s = check_git_words("fatal: detected dubious ownership in repository at '/x'\n"
			    "To add an exception for this directory, call:\n\n"
			    "\tgit config --global --add safe.directory /x\n");
	assert_string_equal(s,
	    "detected dubious ownership in repository at '/x' To add an exception for this directory, "
	    "call: git config --global --add safe.directory /x");
	free(s);
	s = check_git_words("");
	assert_string_equal(s, "");
	free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_within_what_it_owns),
	    cmocka_unit_test(test_nothing_changed),
	    cmocka_unit_test(test_nothing_changed_for_denied_tools),
	    cmocka_unit_test(test_breach_is_listed),
	    cmocka_unit_test(test_markers_go_before_a_breach),
	    cmocka_unit_test(test_long_lists_are_cut),
	    cmocka_unit_test(test_markers_begin_a_line),
	    cmocka_unit_test(test_commit_message),
	    cmocka_unit_test(test_summary_is_the_first_line_with_words),
	    cmocka_unit_test(test_git_words),
	    cmocka_unit_test(test_protected_paths_want_an_owner_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
