/* common/git against the real git: how it is run, queries, refs, locks, hostile configuration. */
#include "tests/helper/lib/testrepo.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/git.h"
#include "common/json.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	struct testrepo *t;
	struct git g;
	struct err e;
};

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->t = testrepo_new();
	git_init(&f->g, &f->t->loop, f->t->git_dir);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	git_clear(&f->g);
	testrepo_free(f->t);
	free(f);
	return 0;
}

static void
ok(struct fixture *f, int rc)
{
	if (rc < 0)
		fail_msg("%d: %s", rc, f->e.msg);
}

static void
errors_carry_gits_words(void **state)
{
	struct fixture *f = *state;
	struct git_out out;

	assert_int_equal(git_run(&f->g, 0, NULL, &f->e, "cat-file", "-e", "nonsense", NULL), -EIO);
	assert_non_null(strstr(f->e.msg, "git cat-file"));
	assert_non_null(strstr(f->e.msg, "nonsense"));
	assert_null(strchr(f->e.msg, '\n'));
	ok(f, git_run(&f->g, GIT_ANY_EXIT, &out, &f->e, "cat-file", "-e", "nonsense", NULL));
	assert_int_not_equal(out.code, 0);
	git_out_clear(&out);
}

static void
resolves_commits_trees_and_ancestry(void **state)
{
	struct fixture *f = *state;
	char a[GIT_OID_HEX], b[GIT_OID_HEX], tree[GIT_OID_HEX], *want;

	ok(f, git_resolve(&f->g, "main", a, &f->e));
	testrepo_file(f->t, "x", "1\n");
	free(testrepo_commit(f->t, "second"));
	ok(f, git_resolve(&f->g, "refs/heads/main", b, &f->e));
	assert_string_not_equal(a, b);
	ok(f, git_tree(&f->g, b, tree, &f->e));
	want = testrepo_git(f->t, NULL, "rev-parse", "HEAD^{tree}", NULL);
	assert_string_equal(tree, want);
	free(want);
	assert_int_equal(git_is_ancestor(&f->g, a, b, &f->e), 1);
	assert_int_equal(git_is_ancestor(&f->g, b, a, &f->e), 0);
	assert_int_equal(git_is_ancestor(&f->g, "nope", a, &f->e), -EIO);
	assert_int_equal(git_resolve(&f->g, "nope", a, &f->e), -ENOENT);
	assert_non_null(strstr(f->e.msg, "nope"));
	assert_int_equal(git_resolve(&f->g, "--help", a, &f->e), -ENOENT);
}

static void
refs_move_only_from_where_they_were(void **state)
{
	struct fixture *f = *state;
	char a[GIT_OID_HEX], b[GIT_OID_HEX], now[GIT_OID_HEX];

	ok(f, git_resolve(&f->g, "main", a, &f->e));
	free(testrepo_commit(f->t, "second"));
	ok(f, git_resolve(&f->g, "main", b, &f->e));
	ok(f, git_update_branch(&f->g, "cco/1", a, "", &f->e));
	assert_int_equal(git_update_branch(&f->g, "cco/1", b, "", &f->e), -ESTALE);
	assert_int_equal(git_update_branch(&f->g, "cco/1", b, b, &f->e), -ESTALE);
	assert_int_equal(git_update_branch(&f->g, "cco/none", b, a, &f->e), -ESTALE);
	ok(f, git_update_branch(&f->g, "cco/1", b, a, &f->e));
	ok(f, git_resolve(&f->g, "cco/1", now, &f->e));
	assert_string_equal(now, b);
	assert_int_equal(git_update_branch(&f->g, "cco/1", NULL, a, &f->e), -ESTALE);
	assert_int_equal(git_update_branch(&f->g, "cco/1/2", b, "", &f->e), -EIO); /* a file in the way */
	ok(f, git_update_branch(&f->g, "cco/1", NULL, NULL, &f->e));
	assert_int_equal(git_resolve(&f->g, "cco/1", now, &f->e), -ENOENT);
	ok(f, git_update_branch(&f->g, "cco/1", NULL, NULL, &f->e));
	ok(f, git_update_ref(&f->g, "refs/orch/wip/1-em1", a, NULL, "saved", &f->e));
}

static void
changed_paths_of_every_spelling(void **state)
{
	struct fixture *f = *state;
	char a[GIT_OID_HEX], b[GIT_OID_HEX], **paths = NULL;
	struct git_stat st;

	testrepo_file(f->t, "old name", "some\nlines\nto be\nrecognised\n");
	free(testrepo_commit(f->t, "before"));
	ok(f, git_resolve(&f->g, "main", a, &f->e));
	testrepo_do(f->t, NULL, "mv", "old name", "new name", NULL);
	testrepo_file(f->t, "d\xc3\xa9j\xc3\xa0/\"vu\"", "x\n");
	testrepo_file(f->t, "line\nbreak", "x\n");
	testrepo_file(f->t, "bad\xff", "x\n");
	free(testrepo_commit(f->t, "after"));
	ok(f, git_resolve(&f->g, "main", b, &f->e));
	ok(f, git_changed_paths(&f->g, a, b, &paths, &f->e));
	assert_int_equal(strv_len((const char *const *)paths), 5);
	assert_string_equal(paths[0], "bad\xff");
	assert_string_equal(paths[1], "d\xc3\xa9j\xc3\xa0/\"vu\"");
	assert_string_equal(paths[2], "line\nbreak");
	assert_string_equal(paths[3], "new name");
	assert_string_equal(paths[4], "old name");
	strv_free(paths);
	ok(f, git_changed_paths(&f->g, a, a, &paths, &f->e));
	assert_null(paths[0]);
	strv_free(paths);
	ok(f, git_diff_stat(&f->g, a, b, &st, &f->e));
	assert_int_equal(st.files, 5);
	assert_int_equal(st.insertions, 7);
	assert_int_equal(st.deletions, 4);
}

static void
identity_is_the_users_or_ours(void **state)
{
	struct fixture *f = *state;
	char *name, *mail;

	ok(f, git_identity(&f->g, &name, &mail, &f->e));
	assert_string_equal(name, "Test User");
	assert_string_equal(mail, "user@test.invalid");
	free(name);
	free(mail);
	testrepo_do(f->t, NULL, "config", "--unset", "user.name", NULL);
	testrepo_do(f->t, NULL, "config", "--unset", "user.email", NULL);
	ok(f, git_identity(&f->g, &name, &mail, &f->e));
	assert_string_equal(name, "orch");
	assert_string_equal(mail, "orch@localhost");
	free(name);
	free(mail);
}

static void
dirty_means_anything_not_committed(void **state)
{
	struct fixture *f = *state;
	char *before, *after;

	assert_int_equal(git_is_dirty(&f->g, f->t->top, &f->e), 0);
	testrepo_file(f->t, "new", "x\n");
	before = testrepo_git(f->t, NULL, "status", "--porcelain", NULL);
	assert_int_equal(git_is_dirty(&f->g, f->t->top, &f->e), 1);
	after = testrepo_git(f->t, NULL, "status", "--porcelain", NULL);
	assert_string_equal(before, after);
	free(before);
	free(after);
	testrepo_do(f->t, NULL, "worktree", "add", "-q", "../other", NULL);
	char *other = testrepo_path(f->t, "other");
	assert_int_equal(git_is_dirty(&f->g, other, &f->e), 0);
	testrepo_write(f->t, "other/README", "changed\n");
	assert_int_equal(git_is_dirty(&f->g, other, &f->e), 1);
	free(other);
}

/* GIT_* of whoever started us, hooks, monitors and external diffs in the configuration: none has a say. */
static void
nothing_outside_has_a_say(void **state)
{
	struct fixture *f = *state;
	char *hook = testrepo_path(f->t, "trap"), *ran = testrepo_path(f->t, "ran"), *script;
	char a[GIT_OID_HEX], **paths;

	script = xasprintf("#!/bin/sh\ntouch %s\nexit 1\n", ran);
	testrepo_write(f->t, "trap", script);
	assert_int_equal(chmod(hook, 0755), 0);
	testrepo_do(f->t, NULL, "config", "core.fsmonitor", hook, NULL);
	testrepo_do(f->t, NULL, "config", "diff.external", hook, NULL);
	testrepo_write(f->t, "repo/.git/hooks/reference-transaction", script);
	testrepo_write(f->t, "repo/.git/hooks/post-checkout", script);
	free(script);
	script = xasprintf("%s/hooks/reference-transaction", f->t->git_dir);
	chmod(script, 0755);
	free(script);
	script = xasprintf("%s/hooks/post-checkout", f->t->git_dir);
	chmod(script, 0755);
	free(script);
	setenv("GIT_DIR", "/nowhere", 1);
	setenv("GIT_INDEX_FILE", "/nowhere", 1);
	setenv("GIT_EXTERNAL_DIFF", hook, 1);
	setenv("GIT_TRACE", "1", 1);
	ok(f, git_resolve(&f->g, "main", a, &f->e));
	ok(f, git_update_branch(&f->g, "cco/1", a, "", &f->e));
	ok(f, git_changed_paths(&f->g, a, a, &paths, &f->e));
	strv_free(paths);
	assert_int_equal(git_is_dirty(&f->g, f->t->top, &f->e), 0);
	unsetenv("GIT_DIR");
	unsetenv("GIT_INDEX_FILE");
	unsetenv("GIT_EXTERNAL_DIFF");
	unsetenv("GIT_TRACE");
	assert_false(testrepo_exists(f->t, "ran"));
	free(hook);
	free(ran);
}

static void
age(const char *path, int seconds)
{
	struct timespec times[2];

	clock_gettime(CLOCK_REALTIME, &times[0]);
	times[0].tv_sec -= seconds;
	times[1] = times[0];
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void
a_stale_lock_of_ours_goes(void **state)
{
	struct fixture *f = *state;
	char a[GIT_OID_HEX], *lock = xasprintf("%s/refs/heads/cco/1.lock", f->t->git_dir);

	ok(f, git_resolve(&f->g, "main", a, &f->e));
	testrepo_write(f->t, lock, "");
	age(lock, 60);
	ok(f, git_update_branch(&f->g, "cco/1", a, "", &f->e));
	assert_int_not_equal(access(lock, F_OK), 0);
	free(lock);
}

static int64_t
lock_that_stays(struct fixture *f, const char *ref, char *lock)
{
	char a[GIT_OID_HEX];
	int64_t start = clock_now_ms();

	ok(f, git_resolve(&f->g, "main", a, &f->e));
	age(lock, 60);
	f->g.timeout_ms = 1500;
	assert_int_equal(git_update_ref(&f->g, ref, a, NULL, NULL, &f->e), -EBUSY);
	assert_non_null(strstr(f->e.msg, lock));
	assert_int_equal(access(lock, F_OK), 0);
	return clock_now_ms() - start;
}

static void
a_lock_of_others_is_waited_for_and_named(void **state)
{
	struct fixture *f = *state;
	char *lock = xasprintf("%s/refs/heads/theirs.lock", f->t->git_dir);

	testrepo_write(f->t, lock, "");
	assert_true(lock_that_stays(f, "refs/heads/theirs", lock) >= 1500);
	free(lock);
}

static void
a_lock_of_ours_that_someone_holds_stays(void **state)
{
	struct fixture *f = *state;
	char *lock = xasprintf("%s/refs/heads/cco/1.lock", f->t->git_dir);
	int fd;

	testrepo_write(f->t, lock, "");
	fd = open(lock, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(lock_that_stays(f, "refs/heads/cco/1", lock) >= 1500);
	close(fd);
	free(lock);
}

/* As root in a container, on a checkout that belongs to the user outside of it, and no safe.directory at all.
 */
static void
works_where_the_owner_is_someone_else(void **state)
{
	struct fixture *f = *state;
	char a[GIT_OID_HEX];

	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(f->t->top, 1234, 1234), 0);
	assert_int_equal(chown(f->t->git_dir, 1234, 1234), 0);
	assert_int_equal(testrepo_try(f->t, NULL, "status", NULL), 128); /* git itself refuses */
	ok(f, git_resolve(&f->g, "HEAD", a, &f->e));
	ok(f, git_update_branch(&f->g, "cco/1", a, "", &f->e));
	assert_int_equal(git_is_dirty(&f->g, f->t->top, &f->e), 0);
}

static void
a_stop_interrupts(void **state)
{
	struct fixture *f = *state;
	char a[GIT_OID_HEX];

	loop_stop(&f->t->loop, 0);
	assert_int_equal(git_resolve(&f->g, "main", a, &f->e), -ECANCELED);
	f->t->loop.stop = false;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(errors_carry_gits_words),
	    TEST(resolves_commits_trees_and_ancestry),
	    TEST(refs_move_only_from_where_they_were),
	    TEST(changed_paths_of_every_spelling),
	    TEST(identity_is_the_users_or_ours),
	    TEST(dirty_means_anything_not_committed),
	    TEST(nothing_outside_has_a_say),
	    TEST(a_stale_lock_of_ours_goes),
	    TEST(a_lock_of_others_is_waited_for_and_named),
	    TEST(a_lock_of_ours_that_someone_holds_stays),
	    TEST(works_where_the_owner_is_someone_else),
	    TEST(a_stop_interrupts),
	};

	return cmocka_run_group_tests_name("git", tests, NULL, NULL);
}
