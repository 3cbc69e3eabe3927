/* Worktrees of ours: made, found again, repaired after kills and meddling, made exact, removed. */
#include "tests/helper/lib/testrepo.h"

#include "common/alloc.h"
#include "common/fd.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ok testrepo_ok
#define BRANCH "cco/1-em1-w1"

static int
add(struct testrepo *t, const char *name, const char *branch)
{
	char *path = testrepo_path(t, "wt/%s", name), main[GIT_OID_HEX];
	int rc;

	ok(t, git_resolve(&t->git, "main", main, &t->e));
	rc = git_worktree_add(&t->git, path, branch, main, &t->e);
	free(path);
	return rc;
}

static void
assert_head(struct testrepo *t, const char *dir, const char *want)
{
	char *head = testrepo_git(t, dir, "rev-parse", "--abbrev-ref", "HEAD", NULL);

	assert_string_equal(head, want);
	free(head);
}

static void
assert_clean(struct testrepo *t, const char *dir)
{
	char *status = testrepo_git(t, dir, "status", "--porcelain", "--ignored", NULL);

	assert_string_equal(status, "");
	free(status);
}

static void
rm(struct testrepo *t, const char *path)
{
	testrepo_do(t, t->root, "-c", "alias.rm-rf=!rm -rf", "rm-rf", path, NULL);
	assert_false(testrepo_exists(t, path));
}

static int
worktrees_known(struct testrepo *t)
{
	char *list = testrepo_git(t, NULL, "worktree", "list", "--porcelain", NULL);
	int n = 0;

	for (const char *p = list; (p = strstr(p, "worktree ")) != NULL; p++)
		n++;
	free(list);
	return n - 1;
}

static void
makes_new_existing_and_detached(void **state)
{
	struct testrepo *t = *state;

	ok(t, add(t, "a", BRANCH));
	assert_head(t, "wt/a", BRANCH);
	assert_clean(t, "wt/a");
	ok(t, add(t, "b", NULL));
	assert_head(t, "wt/b", "HEAD");
	testrepo_do(t, NULL, "branch", "cco/2", NULL);
	ok(t, add(t, "c", "cco/2"));
	assert_head(t, "wt/c", "cco/2");
	/* The user's own prune leaves them alone. */
	testrepo_do(t, NULL, "worktree", "prune", "--expire=now", NULL);
	assert_int_equal(worktrees_known(t), 3);
	assert_int_equal(testrepo_try(t, NULL, "config", "branch." BRANCH ".remote", NULL), 1);
}

static void
keeps_what_is_there(void **state)
{
	struct testrepo *t = *state;

	ok(t, add(t, "a", BRANCH));
	testrepo_write(t, "wt/a/README", "work\n");
	testrepo_write(t, "wt/a/new", "work\n");
	free(testrepo_commit(t, "main goes on"));
	ok(t, add(t, "a", BRANCH));
	testrepo_assert_file(t, "wt/a/README", "work\n");
	testrepo_assert_file(t, "wt/a/new", "work\n");
	rm(t, "wt/a/.git");
	ok(t, add(t, "a", BRANCH));
	testrepo_assert_file(t, "wt/a/new", "work\n");
	assert_head(t, "wt/a", BRANCH);
}

static void
says_where_a_branch_is_in_use(void **state)
{
	struct testrepo *t = *state;

	ok(t, add(t, "a", BRANCH));
	assert_int_equal(add(t, "b", BRANCH), -EBUSY);
	assert_non_null(strstr(t->e.msg, BRANCH));
	assert_non_null(strstr(t->e.msg, "wt/a"));
	assert_int_equal(add(t, "b", "main"), -EBUSY);
	testrepo_write(t, "wt/file", "x");
	assert_int_equal(add(t, "file", "cco/2"), -ENOTDIR);
	testrepo_assert_file(t, "wt/file", "x");
}

static void
administration_gone_content_stays(void **state)
{
	struct testrepo *t = *state;
	char *status;

	ok(t, add(t, "a", BRANCH));
	testrepo_write(t, "wt/a/new", "work\n");
	rm(t, "repo/.git/worktrees");
	ok(t, add(t, "a", BRANCH));
	testrepo_assert_file(t, "wt/a/new", "work\n");
	assert_head(t, "wt/a", BRANCH);
	status = testrepo_git(t, "wt/a", "status", "--porcelain", NULL);
	assert_string_equal(status, "?? new");
	free(status);
	/* Without its branch too. */
	rm(t, "repo/.git/worktrees");
	testrepo_do(t, NULL, "branch", "-q", "-D", BRANCH, NULL);
	ok(t, add(t, "a", BRANCH));
	assert_head(t, "wt/a", BRANCH);
	testrepo_assert_file(t, "wt/a/new", "work\n");
}

static void
folder_gone_is_made_again_and_no_other_is_pruned(void **state)
{
	struct testrepo *t = *state;

	ok(t, add(t, "a", BRANCH));
	testrepo_do(t, NULL, "worktree", "add", "-q", "-b", "users", "../users", NULL);
	rm(t, "wt/a");
	rm(t, "users");
	ok(t, add(t, "a", BRANCH));
	assert_head(t, "wt/a", BRANCH);
	assert_clean(t, "wt/a");
	assert_true(testrepo_exists(t, "repo/.git/worktrees/users"));
	assert_int_equal(worktrees_known(t), 2);
}

/*
 * A role is killed with its git in the middle of checking files out. git's own child, which PR_SET_PDEATHSIG
 * does not reach, goes on with the lane in hand; the next one waits for its end and makes everything afresh.
 */
static void
killed_half_way_then_added_again(void **state)
{
	struct testrepo *t = *state;
	char *reached = testrepo_path(t, "reached"), *go = testrepo_path(t, "go"), *filter, byte;
	int fd, status, end;
	pid_t role;

	for (int i = 0; i < 20; i++) {
		char name[32];

		snprintf(name, sizeof(name), "file%02d", i);
		testrepo_file(t, name, "text\n");
	}
	testrepo_file(t, "slow", "text\n");
	free(testrepo_commit(t, "files"));
	testrepo_write(t, "repo/.git/info/attributes", "slow filter=slow\n");
	assert_int_equal(mkfifo(reached, 0600), 0);
	assert_int_equal(mkfifo(go, 0600), 0);
	filter = xasprintf("sh -c 'cat; echo > %s; read x < %s; true'", reached, go);
	testrepo_do(t, NULL, "config", "filter.slow.smudge", filter, NULL);
	role = fork();
	assert_true(role >= 0);
	if (role == 0) {
		event_reinit(t->loop.base);
		add(t, "a", BRANCH);
		_exit(0);
	}
	fd = open(reached, O_RDONLY | O_CLOEXEC); /* waits until the filter runs */
	assert_true(fd >= 0);
	assert_int_equal(read(fd, &byte, 1), 1);
	close(fd);
	assert_int_equal(kill(role, SIGKILL), 0);
	assert_int_equal(waitpid(role, &status, 0), role);
	assert_true(testrepo_exists(t, "wt/a"));
	testrepo_do(t, NULL, "config", "filter.slow.smudge", "cat", NULL);
	end = open(go, O_RDWR | O_CLOEXEC); /* the stray filter may go on */
	assert_true(end >= 0);
	assert_int_equal(write(end, "\n", 1), 1);
	ok(t, add(t, "a", BRANCH));
	assert_head(t, "wt/a", BRANCH);
	assert_clean(t, "wt/a");
	testrepo_assert_file(t, "wt/a/slow", "text\n");
	assert_int_equal(worktrees_known(t), 1);
	close(end);
	free(reached);
	free(go);
	free(filter);
}

static void
four_at_once_all_succeed(void **state)
{
	struct testrepo *t = *state;
	pid_t pids[4];

	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			char name[16], branch[32];
			int failed = 0;

			event_reinit(t->loop.base);
			for (int n = 0; n < 4 && failed == 0; n++) {
				snprintf(name, sizeof(name), "w%d-%d", i, n);
				snprintf(branch, sizeof(branch), "cco/1-em%d-w%d", i, n);
				failed = add(t, name, branch) < 0;
			}
			_exit(failed);
		}
	}
	for (int i = 0; i < 4; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(worktrees_known(t), 16);
}

static void
exact_is_exact(void **state)
{
	struct testrepo *t = *state;
	char main[GIT_OID_HEX], *path = testrepo_path(t, "wt/a"), *branch;
	struct git wt;

	testrepo_file(t, ".gitignore", "*.o\n");
	testrepo_file(t, "dir/file", "text\n");
	free(testrepo_commit(t, "more"));
	ok(t, git_resolve(&t->git, "main", main, &t->e));
	ok(t, add(t, "a", NULL));
	ok(t, git_init_worktree(&wt, &t->git, path, &t->e));
	for (int round = 0; round < 3; round++) {
		testrepo_write(t, "wt/a/README", "changed\n");
		testrepo_write(t, "wt/a/new", "x\n");
		testrepo_write(t, "wt/a/made.o", "x\n");
		rm(t, "wt/a/dir");
		testrepo_write(t, "wt/a/dir", "a file now\n");
		testrepo_do(t, "wt/a", "init", "-q", "nested", NULL);
		testrepo_write(t, "wt/a/nested/file", "x\n");
		if (round == 1) { /* a gate that plays with git */
			testrepo_do(t, "wt/a", "checkout", "-q", "-b", "gates", NULL);
			testrepo_do(t, "wt/a", "commit", "-q", "-a", "-m", "by the gate", NULL);
		}
		if (round == 2) {
			testrepo_write(t, "repo/.git/worktrees/a/index", "garbage");
			testrepo_write(t, "repo/.git/worktrees/a/index.lock", "");
			rm(t, "wt/a/.git");
			testrepo_do(t, "wt/a", "init", "-q", NULL);
		}
		ok(t, git_worktree_exact(&wt, main, &t->e));
		assert_clean(t, "wt/a");
		assert_head(t, "wt/a", "HEAD");
		testrepo_assert_file(t, "wt/a/dir/file", "text\n");
		assert_false(testrepo_exists(t, "wt/a/nested"));
		assert_false(testrepo_exists(t, "wt/a/made.o"));
	}
	branch = testrepo_git(t, NULL, "log", "-1", "--format=%s", "gates", NULL);
	assert_string_equal(branch, "by the gate"); /* only its own branch is where it put it */
	free(branch);
	git_clear(&wt);
	free(path);
}

static void
removed_is_gone(void **state)
{
	struct testrepo *t = *state;
	char *path = testrepo_path(t, "wt/a"), *locked = testrepo_path(t, "wt/a/cache");

	ok(t, add(t, "a", BRANCH));
	testrepo_write(t, "wt/a/cache/file", "x\n");
	assert_int_equal(chmod(locked, 0500), 0);
	rm(t, "wt/a/.git");
	testrepo_do(t, "wt/a", "init", "-q", NULL);
	ok(t, add(t, "a", BRANCH));
	assert_true(testrepo_exists(t, "wt/a.planted-git-1"));
	ok(t, git_worktree_remove(&t->git, path, &t->e));
	assert_false(testrepo_exists(t, "wt/a"));
	assert_false(testrepo_exists(t, "wt/a.planted-git-1"));
	assert_false(testrepo_exists(t, "repo/.git/worktrees"));
	ok(t, git_worktree_remove(&t->git, path, &t->e));
	ok(t, add(t, "a", BRANCH));
	assert_head(t, "wt/a", BRANCH);
	free(path);
	free(locked);
}

/* Submodules, LFS pointers, odd names, a state folder behind a link, a checkout that is detached and dirty.
 */
static void
repositories_of_every_kind(void **state)
{
	struct testrepo *t = *state;
	char *path = testrepo_path(t, "link/sp ace \xc3\xa9"), *link = testrepo_path(t, "link"), *before,
	     *after;
	char main[GIT_OID_HEX];

	testrepo_do(t, t->root, "clone", "-q", "repo", "lib", NULL);
	testrepo_do(t, NULL, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../lib",
	    "sub", NULL);
	testrepo_file(t, ".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
	testrepo_file(t, "big.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
	testrepo_file(t, "na\xc3\xafve \"file\"\n.txt", "x\n");
	free(testrepo_commit(t, "odd"));
	testrepo_do(t, NULL, "checkout", "-q", "--detach", NULL);
	testrepo_file(t, "README", "dirty\n");
	testrepo_do(t, NULL, "config", "--unset", "user.name", NULL);
	testrepo_do(t, NULL, "config", "--unset", "user.email", NULL);
	before = testrepo_git(t, NULL, "status", "--porcelain=v2", "--branch", NULL);
	assert_int_equal(symlink("wt", link), 0);
	ok(t, git_resolve(&t->git, "HEAD", main, &t->e));
	ok(t, git_worktree_add(&t->git, path, BRANCH, main, &t->e));
	ok(t, git_worktree_add(&t->git, path, BRANCH, main, &t->e));
	assert_clean(t, path);
	testrepo_assert_file(t, "wt/sp ace \xc3\xa9/na\xc3\xafve \"file\"\n.txt", "x\n");
	testrepo_assert_file(t, "wt/sp ace \xc3\xa9/big.bin",
	    "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
	assert_true(testrepo_exists(t, "wt/sp ace \xc3\xa9/sub"));
	after = testrepo_git(t, NULL, "status", "--porcelain=v2", "--branch", NULL);
	assert_string_equal(before, after);
	ok(t, git_worktree_remove(&t->git, path, &t->e));
	free(before);
	free(after);
	free(path);
	free(link);
}

static void
a_filter_that_cannot_run_is_explained(void **state)
{
	struct testrepo *t = *state;

	testrepo_file(t, ".gitattributes", "*.bin filter=lfs -text\n");
	testrepo_file(t, "big.bin", "version https://git-lfs.github.com/spec/v1\n");
	free(testrepo_commit(t, "pointer"));
	testrepo_do(t, NULL, "config", "filter.lfs.smudge", "no-such-lfs smudge %f", NULL);
	testrepo_do(t, NULL, "config", "filter.lfs.required", "true", NULL);
	assert_int_equal(add(t, "a", BRANCH), -EIO);
	assert_non_null(strstr(t->e.msg, "git-lfs"));
	testrepo_do(t, NULL, "config", "--unset", "filter.lfs.required", NULL);
	testrepo_do(t, NULL, "config", "--unset", "filter.lfs.smudge", NULL);
	ok(t, add(t, "a", BRANCH));
	assert_clean(t, "wt/a");
}

static void
put(struct testrepo *t, const char *path, const char *text)
{
	char *full = testrepo_path(t, "repo/.git/worktrees/%s", path);

	testrepo_write(t, full, text);
	free(full);
}

/*
 * git makes the folder of a worktree's record, then "locked" in it, then "gitdir". Killed before it had
 * written whose it is, it left what nobody found again: the record stayed after the run.
 */
static void
what_git_hardly_began_goes(void **state)
{
	static const char *const gone[] = {"1-em1", "1-em12", "1-em1-w2", "any"};
	static const char *const stays[] = {"1-em1x", "theirs"};
	struct testrepo *t = *state;
	char *wt = testrepo_path(t, "wt/1-em1"), *path;

	for (size_t i = 0; i < 4; i++) {
		path = testrepo_path(t, "repo/.git/worktrees/%s", gone[i]);
		assert_int_equal(fd_mkdirs(path, 0755), 0);
		free(path);
	}
	for (size_t i = 0; i < 2; i++) {
		path = testrepo_path(t, "repo/.git/worktrees/%s", stays[i]);
		assert_int_equal(fd_mkdirs(path, 0755), 0);
		free(path);
	}
	put(t, "1-em12/locked", "");
	put(t, "1-em1-w2/locked", "");
	put(t, "1-em1-w2/gitdir", "");
	put(t, "any/locked", "orch\n");
	put(t, "any/gitdir", "");
	put(t, "theirs/locked", "initializing");
	ok(t, git_worktree_remove(&t->git, wt, &t->e));
	for (size_t i = 0; i < 4; i++) {
		path = xasprintf("repo/.git/worktrees/%s", gone[i]);
		assert_false(testrepo_exists(t, path));
		free(path);
	}
	for (size_t i = 0; i < 2; i++) {
		path = xasprintf("repo/.git/worktrees/%s", stays[i]);
		assert_true(testrepo_exists(t, path));
		free(path);
	}
	free(wt);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, testrepo_setup, testrepo_teardown)

/*
 * git writes the lock first, makes the folder, and only then says in the administration where it is. Killed
 * in between, it left an administration that nobody found again, and an empty folder that passed for one in
 * which everything had been deleted.
 */
static void
git_killed_at_its_beginning(void **state)
{
	struct testrepo *t = *state;
	char *path = testrepo_path(t, "wt/a"), *list;
	bool saved = true;

	testrepo_write(t, "repo/.git/worktrees/a/locked", "orch\n");
	testrepo_write(t, "wt/a/x", "");
	rm(t, "wt/a/x");
	ok(t, git_save_wip(&t->git, path, "1-em1-w1", BRANCH, &saved, NULL, &t->e));
	assert_false(saved);
	ok(t, add(t, "a", BRANCH));
	assert_head(t, "wt/a", BRANCH);
	assert_clean(t, "wt/a");
	ok(t, git_worktree_remove(&t->git, path, &t->e));
	list = testrepo_git(t, NULL, "worktree", "list", "--porcelain", NULL);
	assert_null(strstr(list, "wt/a"));
	assert_false(testrepo_exists(t, "repo/.git/worktrees"));
	free(list);
	free(path);
}

/* The next removal takes along what a killed one left. */
static void
killed_while_removing_the_administration(void **state)
{
	struct testrepo *t = *state;
	char *path = testrepo_path(t, "wt/a");

	testrepo_write(t, "repo/.git/orch-trash/HEAD", "x\n");
	ok(t, add(t, "a", BRANCH));
	ok(t, git_worktree_remove(&t->git, path, &t->e));
	assert_false(testrepo_exists(t, "repo/.git/orch-trash"));
	assert_false(testrepo_exists(t, "repo/.git/worktrees"));
	free(path);
}

static void
put_dated(struct testrepo *t, const char *path, const char *data, size_t size, time_t when)
{
	const struct timespec at[2] = {{.tv_sec = when}, {.tv_sec = when}};
	char *full = testrepo_path(t, "%s", path);

	if (data != NULL)
		assert_int_equal(fd_write_file(full, data, size, 0644), 0);
	assert_int_equal(utimensat(AT_FDCWD, full, at, 0), 0);
	free(full);
}

/* The power went: files that a commit holds were not all on the disk. What the agent did besides stays. */
static void
what_the_disk_lost_of_a_commit_comes_back(void **state)
{
	static const char *const names[] = {"checkout", "empty", "torn", "left-out", "later"};
	struct testrepo *t = *state;
	char *found = NULL, *status;

	testrepo_file(t, "checkout", "abcdef\n");
	free(testrepo_commit(t, "second"));
	ok(t, git_heal(&t->git, &found, &t->e));
	ok(t, add(t, "a", BRANCH));
	for (size_t i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
		char *path = xasprintf("wt/a/%s", names[i]);

		testrepo_write(t, path, "abcdef\n");
		free(path);
	}
	testrepo_do(t, "wt/a", "add", "-A", NULL);
	testrepo_do(t, "wt/a", "commit", "-qm", "the agent's", NULL);
	put_dated(t, "repo/.git/worktrees/a/orch-ready", NULL, 0, 1000);
	put_dated(t, "wt/a/checkout", "other\n", 6, 1000);
	put_dated(t, "wt/a/empty", "", 0, 2000);
	put_dated(t, "wt/a/torn", "ab\0\0ef", 6, 2000);
	put_dated(t, "wt/a/left-out", "abcxef\n", 7, 2000);
	put_dated(t, "wt/a/later", "", 0, time(NULL) + 3600);
	testrepo_write(t, "repo/.git/orch-boot", "another\n");
	ok(t, git_heal(&t->git, &found, &t->e));
	assert_non_null(found);
	assert_non_null(strstr(found, " 3 files "));
	for (size_t i = 0; i < 3; i++) {
		char *path = xasprintf("wt/a/%s", names[i]);

		testrepo_assert_file(t, path, "abcdef\n");
		free(path);
	}
	status = testrepo_git(t, "wt/a", "status", "--porcelain", NULL);
	assert_string_equal(status, " M later\n M left-out");
	free(status);
	free(found);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(makes_new_existing_and_detached),
	    TEST(keeps_what_is_there),
	    TEST(says_where_a_branch_is_in_use),
	    TEST(administration_gone_content_stays),
	    TEST(folder_gone_is_made_again_and_no_other_is_pruned),
	    TEST(killed_half_way_then_added_again),
	    TEST(four_at_once_all_succeed),
	    TEST(exact_is_exact),
	    TEST(removed_is_gone),
	    TEST(git_killed_at_its_beginning),
	    TEST(killed_while_removing_the_administration),
	    TEST(repositories_of_every_kind),
	    TEST(a_filter_that_cannot_run_is_explained),
	    TEST(what_git_hardly_began_goes),
	    TEST(what_the_disk_lost_of_a_commit_comes_back),
	};

	return cmocka_run_group_tests_name("worktree", tests, NULL, NULL);
}
