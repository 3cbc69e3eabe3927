/* What is copied into a fresh worktree, what is not, and that no symbolic link leads it astray. */
#include "common/copy.h"

#include "common/alloc.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/testrepo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ok testrepo_ok

/* Copies by these patterns from the checkout into wt/a, made from main. */
static int
copy_max(struct testrepo *t, const char *patterns, struct copy_result *r, uint64_t max)
{
	char *to = testrepo_path(t, "wt/a"), *list = testrepo_path(t, "patterns");
	char *scratch = testrepo_path(t, "scratch"), *avoid_one = testrepo_path(t, "repo/state");
	const char *const avoid[] = {avoid_one, NULL};
	const struct copy_spec s = {.git = &t->git,
	    .from = t->top,
	    .to = to,
	    .patterns = list,
	    .scratch = scratch,
	    .avoid = avoid,
	    .max_bytes = max};
	char main[GIT_OID_HEX];
	int rc;

	testrepo_write(t, "patterns", patterns);
	ok(t, git_resolve(&t->git, "main", main, &t->e));
	ok(t, git_worktree_add(&t->git, to, NULL, main, &t->e));
	rc = copy_run(&s, r, &t->e);
	assert_int_not_equal(access(scratch, F_OK), 0);
	free(to);
	free(list);
	free(scratch);
	free(avoid_one);
	return rc;
}

static void
copy(struct testrepo *t, const char *patterns, struct copy_result *r)
{
	ok(t, copy_max(t, patterns, r, 1 << 20));
}

static void
link_to(struct testrepo *t, const char *target, const char *at)
{
	char *path = testrepo_path(t, "%s", at);

	assert_int_equal(symlink(target, path), 0);
	free(path);
}

static void
test_untracked_and_ignored(void **state)
{
	struct testrepo *t = *state;
	struct copy_result r;

	testrepo_file(t, ".gitignore", ".env*\n");
	testrepo_file(t, "tracked.txt", "committed\n");
	free(testrepo_commit(t, "base"));
	testrepo_file(t, "tracked.txt", "changed by the user\n");
	testrepo_file(t, ".env", "A=1\n");
	testrepo_file(t, ".env.example", "A=\n");
	testrepo_file(t, "deps/x/y.js", "y\n");
	testrepo_file(t, "notes.txt", "mine\n");
	copy(t, ".env*\n!.env.example\n/deps/\ntracked.txt\n", &r);
	testrepo_assert_file(t, "wt/a/.env", "A=1\n");
	testrepo_assert_file(t, "wt/a/.env.example", NULL);
	testrepo_assert_file(t, "wt/a/deps/x/y.js", "y\n");
	testrepo_assert_file(t, "wt/a/notes.txt", NULL);
	testrepo_assert_file(t, "wt/a/tracked.txt", "committed\n");
	assert_int_equal(r.files, 2);
	assert_int_equal(r.bytes, 6);
	assert_int_equal(r.skipped, 0);
}

static void
test_mode_and_time(void **state)
{
	struct testrepo *t = *state;
	const struct timespec then[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000, .tv_nsec = 5}};
	char *from = testrepo_path(t, "repo/tool"), *to = testrepo_path(t, "wt/a/tool");
	struct copy_result r;
	struct stat st;

	testrepo_file(t, "tool", "#!/bin/sh\n");
	assert_int_equal(chmod(from, 0751), 0);
	assert_int_equal(utimensat(AT_FDCWD, from, then, 0), 0);
	copy(t, "tool\n", &r);
	assert_int_equal(stat(to, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0751);
	assert_int_equal(st.st_mtim.tv_sec, 1000000);
	assert_int_equal(st.st_mtim.tv_nsec, 5);
	free(from);
	free(to);
}

/* A second time nothing is overwritten: an agent may have changed it. */
static void
test_what_is_there_stays(void **state)
{
	struct testrepo *t = *state;
	struct copy_result r;

	testrepo_file(t, ".env", "A=1\n");
	copy(t, ".env\n", &r);
	testrepo_write(t, "wt/a/.env", "A=2\n");
	copy(t, ".env\n", &r);
	testrepo_assert_file(t, "wt/a/.env", "A=2\n");
}

/* The commit has a link where the checkout has a folder: writing through it would leave the worktree. */
static void
test_a_link_in_the_worktree(void **state)
{
	struct testrepo *t = *state;
	struct copy_result r;

	testrepo_write(t, "outside/keep", "k\n");
	link_to(t, "../../outside", "repo/conf");
	free(testrepo_commit(t, "a link"));
	testrepo_do(t, NULL, "rm", "-q", "--cached", "conf", NULL);
	testrepo_do(t, NULL, "-c", "alias.rmf=!rm -f", "rmf", "conf", NULL);
	testrepo_file(t, "conf/secret", "s\n");
	copy(t, "conf/\n", &r);
	testrepo_assert_file(t, "outside/secret", NULL);
	assert_int_equal(r.files, 0);
	assert_int_equal(r.skipped, 1);
	assert_string_equal(r.skipped_name, "conf/secret");
}

/* A link in the checkout is copied as a link, and never followed. */
static void
test_links_in_the_checkout(void **state)
{
	struct testrepo *t = *state;
	char *into = testrepo_path(t, "repo/deps/one"), *at = testrepo_path(t, "wt/a/deps/bin");
	char target[64] = "";
	struct copy_result r;

	testrepo_write(t, "outside/secret", "s\n");
	testrepo_file(t, "deps/one", "1\n");
	link_to(t, "one", "repo/deps/bin");
	link_to(t, "../../outside", "repo/deps/out");
	link_to(t, into, "repo/deps/back");
	link_to(t, "/bin/sh", "repo/deps/sh");
	copy(t, "deps/\n", &r);
	assert_int_equal(readlink(at, target, sizeof(target)), 3);
	assert_string_equal(target, "one");
	assert_false(testrepo_exists(t, "wt/a/deps/out"));
	assert_false(testrepo_exists(t, "wt/a/deps/back"));
	assert_true(testrepo_exists(t, "wt/a/deps/sh"));
	assert_int_equal(r.skipped, 2);
	free(into);
	free(at);
}

static void
test_never_our_state_nor_repositories(void **state)
{
	struct testrepo *t = *state;
	char *inner = testrepo_path(t, "repo/inner"), *fifo = testrepo_path(t, "repo/pipe");
	struct copy_result r;

	testrepo_file(t, "state/orch.db", "d\n");
	testrepo_do(t, NULL, "init", "-q", inner, NULL);
	testrepo_file(t, "inner/x", "x\n");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	testrepo_file(t, "plain", "p\n");
	copy(t, "*\n", &r);
	assert_false(testrepo_exists(t, "wt/a/state"));
	assert_false(testrepo_exists(t, "wt/a/inner/.git"));
	assert_false(testrepo_exists(t, "wt/a/pipe"));
	testrepo_assert_file(t, "wt/a/plain", "p\n");
	free(inner);
	free(fifo);
}

static void
test_too_much(void **state)
{
	struct testrepo *t = *state;
	struct copy_result r;

	testrepo_file(t, "one", "1234\n");
	testrepo_file(t, "two", "1234\n");
	assert_int_equal(copy_max(t, "one\ntwo\n", &r, 9), -EFBIG);
	assert_non_null(strstr(t->e.msg, "copy_max_mb"));
}

static void
test_links_by_their_text(void **state)
{
	(void)state;
	assert_false(copy_link_strays("a", "b", "/c"));
	assert_false(copy_link_strays("a/b", "../c", "/c"));
	assert_false(copy_link_strays("a/b/c", "../../x/y", "/c"));
	assert_true(copy_link_strays("a", "..", "/c"));
	assert_true(copy_link_strays("a/b", "../../c", "/c"));
	assert_true(copy_link_strays("a/b", "x/../../../c", "/c"));
	assert_true(copy_link_strays("a", "/c/d", "/c"));
	assert_true(copy_link_strays("a", "/c", "/c"));
	assert_false(copy_link_strays("a", "/cd", "/c"));
	assert_false(copy_link_strays("a", "./b//c", "/c"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, testrepo_setup, testrepo_teardown)
	    TEST(test_untracked_and_ignored),
	    TEST(test_mode_and_time),
	    TEST(test_what_is_there_stays),
	    TEST(test_a_link_in_the_worktree),
	    TEST(test_links_in_the_checkout),
	    TEST(test_never_our_state_nor_repositories),
	    TEST(test_too_much),
	    cmocka_unit_test(test_links_by_their_text),
	};

	return cmocka_run_group_tests_name("copy", tests, NULL, NULL);
}
