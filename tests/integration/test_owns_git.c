/*
 * owns against the real git: random patterns and paths, fixed seed; "git ls-files ':(glob)PATTERN'" must list
 * exactly what owns_match says. Two differences are known and asked for: git lets a pattern without special
 * characters that names a folder own what is below (we want the trailing slash), and it reads a "**" that is
 * stuck to the literal beginning of a pattern as if it stood alone ("a**" matches "ab/c"), against its
 * manual.
 */
#include "common/alloc.h"
#include "common/cmd.h"
#include "common/owns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATTERNS 400
#define PATHS 300

static uint64_t seed = 7;

static unsigned
dice(unsigned sides)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % sides;
}

static void
run_git(struct loop *l, const char *dir, struct cmd_result *r, const char *in, const char *const *argv)
{
	struct cmd_spec s = {
	    .argv = argv, .cwd = dir, .in = in, .in_size = in == NULL ? 0 : strlen(in), .out_max = 1 << 20};
	struct err e = {""};

	s.err_max = 4096;
	if (cmd_run(l, &s, r, &e) < 0)
		fail_msg("%s", e.msg);
	if (!cmd_ok(r))
		fail_msg("git %s: %s", argv[3], r->err);
}

static void
run_git_quietly(struct loop *l, const char *dir, const char *in, const char *const *argv)
{
	struct cmd_result r;

	run_git(l, dir, &r, in, argv);
	cmd_result_clear(&r);
}

/* A word of a few tokens. */
static void
random_word(char *word, const char *const *tokens, size_t n)
{
	*word = '\0';
	for (unsigned k = 1 + dice(7); k > 0; k--)
		strcat(word, tokens[dice((unsigned)n)]);
}

/* An index with random paths in it; git itself drops those that stand in each other's way. */
static void
fill_index(struct loop *l, const char *dir)
{
	static const char *const tokens[] = {
	    "a", "b", "c", "a/", "b/", "c/", "-", "[", "]", "*", "\\", "\xc3\xa9", "B", "7", "."};
	char *lines = xstrdup(""), *old, word[128];

	for (size_t i = 0; i < PATHS;) {
		random_word(word, tokens, sizeof(tokens) / sizeof(tokens[0]));
		if (word[strlen(word) - 1] == '/' || strchr(word, '.') != NULL)
			continue;
		old = lines;
		lines = xasprintf("%s100644 e69de29bb2d1d6434b8b29ae775ad8c2e48c5391\t%s\n", old, word);
		free(old);
		i++;
	}
	run_git_quietly(l, dir, "",
	    (const char *const[]){"git", "-c", "core.fsync=none", "hash-object", "-w", "--stdin", NULL});
	run_git_quietly(l, dir, lines,
	    (const char *const[]){
		"git", "-c", "core.quotePath=false", "update-index", "--add", "--index-info", NULL});
	free(lines);
}

static bool
differs_on_purpose(const char *pattern, const char *path)
{
	size_t n = strlen(pattern), k = strcspn(pattern, "*?[\\");

	if (strncmp(path, pattern, n) == 0 && path[n] == '/')
		return true;
	return k > 0 && pattern[k - 1] != '/' && strncmp(pattern + k, "**", 2) == 0;
}

static bool
lists(const struct cmd_result *r, const char *path)
{
	for (const char *p = r->out; p < r->out + r->out_size; p += strlen(p) + 1)
		if (strcmp(p, path) == 0)
			return true;
	return false;
}

static size_t
check_pattern(struct loop *l, const char *dir, const struct cmd_result *all, const char *pattern)
{
	bool below = pattern[strlen(pattern) - 1] == '/' && strpbrk(pattern, "*?[\\") != NULL;
	char *spec = xasprintf(":(glob)%s%s", pattern, below ? "**" : "");
	struct cmd_result r;
	size_t hits = 0;

	run_git(l, dir, &r, NULL,
	    (const char *const[]){"git", "-c", "core.quotePath=false", "ls-files", "-z", "--", spec, NULL});
	for (const char *p = all->out; p < all->out + all->out_size; p += strlen(p) + 1) {
		bool ours = owns_match(pattern, p), gits = lists(&r, p);

		hits += ours;
		if (ours != gits && !differs_on_purpose(pattern, p))
			fail_msg("%s on %s: git says %d, owns_match %d", pattern, p, gits, ours);
	}
	cmd_result_clear(&r);
	free(spec);
	return hits;
}

static void
matches_what_git_matches(void **state)
{
	static const char *const tokens[] = {"a", "b", "c", "/", "/", "a/", "*", "*", "**", "**/", "/**", "?",
	    "[ab]", "[!a]", "[^b-]", "[a-c]", "[[:upper:]7]", "[]c]", "[\\]a]", "\\*", "\\[", "\xc3\xa9", "-",
	    "B"};
	char dir[] = "/tmp/orch-owns-XXXXXX", pattern[128];
	struct cmd_result all;
	struct loop l;
	size_t hits = 0;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(loop_init(&l), 0);
	run_git_quietly(
	    &l, dir, NULL, (const char *const[]){"git", "-c", "init.defaultBranch=m", "init", "-q", NULL});
	fill_index(&l, dir);
	run_git(&l, dir, &all, NULL,
	    (const char *const[]){"git", "-c", "core.quotePath=false", "ls-files", "-z", NULL});
	for (size_t i = 0; i < PATTERNS;) {
		random_word(pattern, tokens, sizeof(tokens) / sizeof(tokens[0]));
		if (owns_check(pattern, NULL) < 0)
			continue;
		hits += check_pattern(&l, dir, &all, pattern);
		i++;
	}
	/* the seed gives patterns that do match something */
	assert_true(hits > PATTERNS);
	cmd_result_clear(&all);
	run_git_quietly(&l, "/", NULL, (const char *const[]){"rm", "-rf", dir, NULL});
	loop_clear(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(matches_what_git_matches)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
