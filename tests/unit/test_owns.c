/*
 * owns: the rules one by one, and overlap and containment against a walk over every short path, so that the
 * automata are held to what matching itself says.
 */
#include "common/alloc.h"
#include "common/owns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void
assert_fault(const char *pattern, const char *sentence)
{
	struct err e = {""};

	assert_int_equal(owns_check(pattern, &e), -22);
	assert_string_equal(e.msg, sentence);
}

static void
refuses_with_a_sentence(void **state)
{
	char longest[OWNS_PATTERN_BYTES + 2];
	struct err e;

	(void)state;
	assert_fault("", "bad pattern \"\": it is empty");
	assert_fault("/a", "bad pattern \"/a\": it begins with \"/\" (write it from the repository's root)");
	assert_fault("!a", "bad pattern \"!a\": it begins with \"!\" (write it from the repository's root)");
	assert_fault(
	    ":(top)a", "bad pattern \":(top)a\": it begins with \":\" (write it from the repository's root)");
	assert_fault("a/../b", "bad pattern \"a/../b\": a \"..\" part (write it from the repository's root)");
	assert_fault("./a", "bad pattern \"./a\": a \".\" part (write it from the repository's root)");
	assert_fault("a//b", "bad pattern \"a//b\": an empty part (//)");
	assert_fault("a/.git/hooks", "bad pattern \"a/.git/hooks\": it names git's own folder");
	assert_fault(".GIT", "bad pattern \".GIT\": it names git's own folder");
	assert_fault("a\xff", "bad pattern \"a\xef\xbf\xbd\": it is not UTF-8");
	assert_fault("a[bc", "bad pattern \"a[bc\": unclosed \"[\" (write \\[ for the character itself)");
	assert_fault("[]", "bad pattern \"[]\": unclosed \"[\" (write \\[ for the character itself)");
	assert_fault("[[:alpah:]]", "bad pattern \"[[:alpah:]]\": unknown class [:alpah:]");
	assert_fault(
	    "a\\", "bad pattern \"a\\\": a \"\\\" at the end of a part (it escapes the character after it)");
	assert_fault("a\\/b",
	    "bad pattern \"a\\/b\": a \"\\\" at the end of a part (it escapes the character after it)");
	memset(longest, 'a', sizeof(longest));
	longest[OWNS_PATTERN_BYTES + 1] = '\0';
	assert_int_equal(owns_check(longest, &e), -22);
	assert_non_null(strstr(e.msg, ": it is longer than 512 bytes"));
	longest[OWNS_PATTERN_BYTES] = '\0';
	assert_int_equal(owns_check(longest, NULL), 0);
	assert_int_equal(owns_check("src/**", NULL), 0);
	assert_int_equal(owns_check("docs/", NULL), 0);
	assert_int_equal(owns_check(".gitignore", NULL), 0);
	assert_int_equal(owns_check("na\xc3\xafve/*.c", NULL), 0);
}

static void
matches_as_git_does(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool matches;
	} rows[] = {
	    {"src/lex.c", "src/lex.c", true},
	    {"src", "src/lex.c", false},
	    {"src/", "src/lex.c", true},
	    {"src/", "src/a/b.c", true},
	    {"src/", "src", false},
	    {"src/**", "src/a/b.c", true},
	    {"src/*", "src/a/b.c", false},
	    {"src/*", "src/a", true},
	    {"*.c", "a.c", true},
	    {"*.c", "src/a.c", false},
	    {"**/*.c", "a.c", true},
	    {"**/*.c", "x/y/a.c", true},
	    {"a/**/b", "a/b", true},
	    {"a/**/b", "a/x/y/b", true},
	    {"a/**/b", "a/xb", false},
	    {"a/**/**/b", "a/b", true},
	    {"**", "any/thing", true},
	    {"a**", "ab/c", false},
	    {"a**b", "axb", true},
	    {"a**b", "ax/b", false},
	    {"**a", "xa", true},
	    {"**a", "x/a", false},
	    {"?", "a", true},
	    {"?", "\xc3\xa9", false},
	    {"??", "\xc3\xa9", true},
	    {"a?b", "a/b", false},
	    {"[abc].c", "b.c", true},
	    {"[!abc].c", "b.c", false},
	    {"[^abc].c", "d.c", true},
	    {"a[!x]b", "a/b", false},
	    {"[]-a]", "]", true},
	    {"[a-c]", "b", true},
	    {"[a-]", "-", true},
	    {"[[:digit:]x]", "7", true},
	    {"[[:digit:]x]", "a", false},
	    {"[[:upper:][:digit:]]", "Q", true},
	    {"\\*", "*", true},
	    {"\\*", "a", false},
	    {"app/[id]/page.c", "app/[id]/page.c", true},
	    {"app/[id]/page.c", "app/i/page.c", true},
	    {"app/[id]/", "app/[id]/deep/er", true},
	    {"app/[id]/*", "app/[id]/page.c", false},
	    {"app/\\[id]/*", "app/[id]/page.c", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (owns_match(rows[i].pattern, rows[i].path) != rows[i].matches)
			fail_msg("%s on %s: expected %d", rows[i].pattern, rows[i].path, rows[i].matches);
	assert_true(owns_match_any(LIST("x", "src/"), "src/a"));
	assert_false(owns_match_any(LIST("x", "src/"), "y"));
}

static void
overlap_is_computed(void **state)
{
	size_t i = 9, j = 9;

	(void)state;
	assert_true(owns_overlap("src/**", "**/*.c"));
	assert_true(owns_overlap("src/*.c", "src/lex.*"));
	assert_true(owns_overlap("**/a", "b/**"));
	assert_true(owns_overlap("a/[a-m]*", "a/*[k-z]"));
	assert_true(owns_overlap("src/", "src/lex.c"));
	assert_false(owns_overlap("src", "src/lex.c"));
	assert_false(owns_overlap("src/*.c", "src/*.h"));
	assert_false(owns_overlap("*", "a/b"));
	assert_false(owns_overlap("a/**", "b/**"));
	assert_false(owns_overlap("[a-m]*", "[n-z]*"));
	/* the only string that both match is no path in a git tree */
	assert_false(owns_overlap("[.][.]", "??"));
	assert_false(owns_overlap("?git/x", "[.]*/x"));
	assert_false(owns_overlap("a/*/b", "a/**b"));
	assert_true(owns_lists_overlap(LIST("a", "b/**"), LIST("c", "d", "**/x.c"), &i, &j));
	assert_int_equal(i, 1);
	assert_int_equal(j, 2);
	assert_false(owns_lists_overlap(LIST("a", "b"), LIST("c", "d"), NULL, NULL));
}

static void
containment_is_computed(void **state)
{
	(void)state;
	assert_true(owns_contained("src/lex.c", LIST("src/**")));
	assert_true(owns_contained("src/*.c", LIST("src/")));
	assert_true(owns_contained("src/**", LIST("**")));
	assert_true(owns_contained("src/**/x", LIST("src/**")));
	/* the third is for the path that is spelled like the pattern */
	assert_true(owns_contained("[ab]x", LIST("ax", "bx", "\\[ab\\]x")));
	assert_false(owns_contained("[ab]x", LIST("ax", "bx")));
	assert_true(owns_contained("a/**", LIST("a/*", "a/*/**")));
	assert_true(owns_contained("*", LIST("[a-m]*", "[!a-m]*")));
	assert_true(owns_contained("docs/", LIST("docs/**")));
	assert_false(owns_contained("src/**", LIST("src/*")));
	assert_false(owns_contained("**", LIST("src/**", "*")));
	assert_false(owns_contained("src/eval.c", LIST("src/lex*", "src/parse*")));
	assert_false(owns_contained("[abc]x", LIST("ax", "bx")));
	assert_false(owns_contained("src", LIST("src/")));
	assert_false(owns_contained("a[", LIST("**")));
}

/*
 * Which of the last 40 characters were "a" is something that only 2^40 situations can tell apart: undecided
 * within OWNS_CONTAINED_BYTES, and then the answer is no, at once. The same question with few is decided.
 */
static void
containment_gives_up_within_its_bound(void **state)
{
	char outer[64], inner[64];

	(void)state;
	for (size_t n = 4; n <= 40; n += 36) {
		strcpy(outer, "*a");
		strcpy(inner, "*[ab]a");
		memset(outer + 2, '?', n);
		memset(inner + 6, '?', n);
		outer[2 + n] = inner[6 + n] = '\0';
		assert_int_equal(owns_contained(inner, LIST(outer)), n == 4);
	}
}

static void
breaches_are_listed(void **state)
{
	char names[4][16] = {"src/a.c", "Makefile", "src/b/c.c", "README.md"};
	char *paths[] = {names[0], names[1], names[2], names[3], NULL};
	char **out = owns_breaches(LIST("src/**", "*.md"), paths);

	(void)state;
	assert_ptr_equal(out[0], paths[1]);
	assert_null(out[1]);
	free(out);
	assert_null(owns_breaches(LIST("**"), paths));
	out = owns_breaches((const char *const[]){NULL}, paths);
	assert_ptr_equal(out[3], paths[3]);
	assert_null(out[4]);
	free(out);
}

/* Random patterns over a, b and c; every path of at most SHORT bytes over these, and the patterns' own
 * spelling. */
#define SHORT 7
#define PATH_MAX_HERE 32
#define PATTERNS 60

struct walk {
	char (*paths)[PATH_MAX_HERE];
	size_t count;
	char patterns[PATTERNS][32];
	unsigned char *hits[PATTERNS];
	uint64_t seed;
};

static unsigned
dice(struct walk *w, unsigned sides)
{
	w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(w->seed >> 33) % sides;
}

static void
walk_paths(struct walk *w, char *path, size_t len)
{
	if (len > 0 && path[len - 1] != '/')
		strcpy(w->paths[w->count++], path);
	if (len == SHORT)
		return;
	for (const char *c = "abc/"; *c != '\0'; c++) {
		if (*c == '/' && (len == 0 || path[len - 1] == '/'))
			continue;
		path[len] = *c;
		walk_paths(w, path, len + 1);
		path[len] = '\0';
	}
}

static void
walk_setup(struct walk *w)
{
	static const char *const tokens[] = {
	    "a", "b", "a", "b", "/", "/", "*", "**", "?", "[ab]", "[!a]", "**/", "/**"};
	char path[SHORT + 1] = "";

	w->paths = xcalloc(32768, sizeof(*w->paths));
	walk_paths(w, path, 0);
	for (size_t i = 0; i < PATTERNS;) {
		char *p = w->patterns[i];

		*p = '\0';
		for (unsigned n = 1 + dice(w, 3); n > 0; n--)
			strcat(p, tokens[dice(w, sizeof(tokens) / sizeof(tokens[0]))]);
		if (owns_check(p, NULL) < 0 || (strchr(p, '[') != NULL && p[strlen(p) - 1] == '/'))
			continue;
		if (p[strlen(p) - 1] != '/')
			strcpy(w->paths[w->count++], p);
		i++;
	}
	for (size_t i = 0; i < PATTERNS; i++) {
		w->hits[i] = xcalloc(w->count, 1);
		for (size_t k = 0; k < w->count; k++)
			w->hits[i][k] = owns_match(w->patterns[i], w->paths[k]);
	}
}

static void
check_overlap(const struct walk *w, size_t a, size_t b)
{
	bool common = false;

	for (size_t k = 0; k < w->count && !common; k++)
		common = w->hits[a][k] && w->hits[b][k];
	if (owns_overlap(w->patterns[a], w->patterns[b]) != common)
		fail_msg("%s and %s: a common path %s", w->patterns[a], w->patterns[b],
		    common ? "exists" : "does not exist");
}

static void
check_contained(const struct walk *w, size_t a, const size_t *outer, size_t n)
{
	const char *names[4] = {NULL};
	size_t matched = 0;
	bool inside = true;

	for (size_t o = 0; o < n; o++)
		names[o] = w->patterns[outer[o]];
	for (size_t k = 0; k < w->count && inside; k++) {
		matched += w->hits[a][k];
		inside = !w->hits[a][k];
		for (size_t o = 0; o < n && !inside; o++)
			inside = w->hits[outer[o]][k];
	}
	if (matched > 0 && owns_contained(w->patterns[a], names) != inside)
		fail_msg("%s in %s %s %s: expected %d", w->patterns[a], names[0], n > 1 ? names[1] : "",
		    n > 2 ? names[2] : "", inside);
}

static void
agrees_with_a_walk_over_all_short_paths(void **state)
{
	struct walk *w = xcalloc(1, sizeof(*w));

	(void)state;
	w->seed = 20240607;
	walk_setup(w);
	for (size_t a = 0; a < PATTERNS; a++) {
		for (size_t b = 0; b < PATTERNS; b++) {
			size_t outer[3] = {b, dice(w, PATTERNS), dice(w, PATTERNS)};

			check_overlap(w, a, b);
			check_contained(w, a, outer, 1 + dice(w, 3));
		}
	}
	for (size_t i = 0; i < PATTERNS; i++)
		free(w->hits[i]);
	free(w->paths);
	free(w);
}

static void
test_named_without_a_wildcard(void **state)
{
	static const char *const wide[] = {"**", ".ci/**", ".ci/", "*.json", ".ci/ru?", NULL};
	static const char *const named[] = {"src/", ".ci/run", "a\\*b", "app/[id]/x", NULL};

	(void)state;
	assert_false(owns_name(wide, ".ci/run"));
	assert_false(owns_name(wide, "orchestrator.json"));
	assert_true(owns_name(named, ".ci/run"));
	assert_false(owns_name(named, ".ci/run2"));
	assert_false(owns_name(named, "src/a"));
	assert_true(owns_name(named, "a*b"));
	assert_true(owns_name(named, "app/[id]/x"));
	assert_false(owns_name(named, "app/i/x"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(refuses_with_a_sentence),
	    cmocka_unit_test(matches_as_git_does),
	    cmocka_unit_test(overlap_is_computed),
	    cmocka_unit_test(containment_is_computed),
	    cmocka_unit_test(containment_gives_up_within_its_bound),
	    cmocka_unit_test(breaches_are_listed),
	    cmocka_unit_test(agrees_with_a_walk_over_all_short_paths),
	    cmocka_unit_test(test_named_without_a_wildcard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
