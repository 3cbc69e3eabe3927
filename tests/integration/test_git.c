/* common/git against the real git: how it is run, queries, refs, locks, hostile configuration. */
#include "tests/helper/lib/testrepo.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/git.h"
#include "common/json.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
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

static void
errors_carry_gits_words(void **state)
{
	struct testrepo *t = *state;
	struct git_out out;

	assert_int_equal(git_run(&t->git, 0, NULL, &t->e, "cat-file", "-e", "nonsense", NULL), -EIO);
	assert_non_null(strstr(t->e.msg, "git cat-file"));
	assert_non_null(strstr(t->e.msg, "nonsense"));
	assert_null(strchr(t->e.msg, '\n'));
	ok(t, git_run(&t->git, GIT_ANY_EXIT, &out, &t->e, "cat-file", "-e", "nonsense", NULL));
	assert_int_not_equal(out.code, 0);
	git_out_clear(&out);
}

static void
resolves_commits_trees_and_ancestry(void **state)
{
	struct testrepo *t = *state;
	char a[GIT_OID_HEX], b[GIT_OID_HEX], tree[GIT_OID_HEX], *want;

	ok(t, git_resolve(&t->git, "main", a, &t->e));
	testrepo_file(t, "x", "1\n");
	free(testrepo_commit(t, "second"));
	ok(t, git_resolve(&t->git, "refs/heads/main", b, &t->e));
	assert_string_not_equal(a, b);
	ok(t, git_tree(&t->git, b, tree, &t->e));
	want = testrepo_git(t, NULL, "rev-parse", "HEAD^{tree}", NULL);
	assert_string_equal(tree, want);
	free(want);
	assert_int_equal(git_is_ancestor(&t->git, a, b, &t->e), 1);
	assert_int_equal(git_is_ancestor(&t->git, b, a, &t->e), 0);
	assert_int_equal(git_is_ancestor(&t->git, "nope", a, &t->e), -EIO);
	assert_int_equal(git_resolve(&t->git, "nope", a, &t->e), -ENOENT);
	assert_non_null(strstr(t->e.msg, "nope"));
	assert_int_equal(git_resolve(&t->git, "--help", a, &t->e), -ENOENT);
}

static void
refs_move_only_from_where_they_were(void **state)
{
	struct testrepo *t = *state;
	char a[GIT_OID_HEX], b[GIT_OID_HEX], now[GIT_OID_HEX];

	ok(t, git_resolve(&t->git, "main", a, &t->e));
	free(testrepo_commit(t, "second"));
	ok(t, git_resolve(&t->git, "main", b, &t->e));
	ok(t, git_update_branch(&t->git, "cco/1", a, "", &t->e));
	assert_int_equal(git_update_branch(&t->git, "cco/1", b, "", &t->e), -ESTALE);
	assert_int_equal(git_update_branch(&t->git, "cco/1", b, b, &t->e), -ESTALE);
	assert_int_equal(git_update_branch(&t->git, "cco/none", b, a, &t->e), -ESTALE);
	ok(t, git_update_branch(&t->git, "cco/1", b, a, &t->e));
	ok(t, git_resolve(&t->git, "cco/1", now, &t->e));
	assert_string_equal(now, b);
	assert_int_equal(git_update_branch(&t->git, "cco/1", NULL, a, &t->e), -ESTALE);
	assert_int_equal(git_update_branch(&t->git, "cco/1/2", b, "", &t->e), -EIO); /* a file in the way */
	ok(t, git_update_branch(&t->git, "cco/1", NULL, NULL, &t->e));
	assert_int_equal(git_resolve(&t->git, "cco/1", now, &t->e), -ENOENT);
	ok(t, git_update_branch(&t->git, "cco/1", NULL, NULL, &t->e));
	ok(t, git_update_ref(&t->git, "refs/orch/wip/1-em1", a, NULL, "saved", &t->e));
}

static void
links_that_lead_out(void **state)
{
	static const struct {
		const char *path, *target;
		bool outside;
	} links[] = {
	    {"a", "README", false},
	    {"d/b", "../README", false},
	    {"d/c", "../../elsewhere", true},
	    {"d/d", "x/../../../up", true},
	    {"d/e", "./x//../f", false},
	    {"f", "/etc/passwd", true},
	    {"g", ".git/config", true},
	    {"h", "..", true},
	    {"i", ".", false},
	};
	const size_t n = sizeof(links) / sizeof(links[0]);
	struct testrepo *t = *state;
	char a[GIT_OID_HEX], b[GIT_OID_HEX], *path;
	struct git_changes c;
	size_t k = 0;

	ok(t, git_resolve(&t->git, "main", a, &t->e));
	testrepo_file(t, "d/x", "x\n");
	for (size_t i = 0; i < n; i++) {
		path = xasprintf("%s/%s", t->top, links[i].path);
		assert_int_equal(symlink(links[i].target, path), 0);
		free(path);
	}
	free(testrepo_commit(t, "links"));
	ok(t, git_resolve(&t->git, "main", b, &t->e));
	ok(t, git_changes(&t->git, a, b, &c, &t->e));
	for (size_t i = 0; i < n; i++)
		if (links[i].outside)
			assert_string_equal(c.outside[k++], links[i].path);
	assert_null(c.outside[k]);
	git_changes_clear(&c);
	/* Where they go is nobody's fault. */
	ok(t, git_changes(&t->git, b, a, &c, &t->e));
	assert_null(c.outside[0]);
	assert_int_equal(strv_len((const char *const *)c.paths), n + 1);
	git_changes_clear(&c);
}

static void
changed_paths_of_every_spelling(void **state)
{
	struct testrepo *t = *state;
	char a[GIT_OID_HEX], b[GIT_OID_HEX];
	struct git_changes c;
	struct git_stat st;

	testrepo_file(t, "old name", "some\nlines\nto be\nrecognised\n");
	free(testrepo_commit(t, "before"));
	ok(t, git_resolve(&t->git, "main", a, &t->e));
	testrepo_do(t, NULL, "mv", "old name", "new name", NULL);
	testrepo_file(t, "d\xc3\xa9j\xc3\xa0/\"vu\"", "x\n");
	testrepo_file(t, "line\nbreak", "x\n");
	testrepo_file(t, "bad\xff", "x\n");
	free(testrepo_commit(t, "after"));
	ok(t, git_resolve(&t->git, "main", b, &t->e));
	ok(t, git_changes(&t->git, a, b, &c, &t->e));
	assert_int_equal(strv_len((const char *const *)c.paths), 5);
	assert_null(c.outside[0]);
	assert_string_equal(c.paths[0], "bad\xff");
	assert_string_equal(c.paths[1], "d\xc3\xa9j\xc3\xa0/\"vu\"");
	assert_string_equal(c.paths[2], "line\nbreak");
	assert_string_equal(c.paths[3], "new name");
	assert_string_equal(c.paths[4], "old name");
	git_changes_clear(&c);
	ok(t, git_changes(&t->git, a, a, &c, &t->e));
	assert_null(c.paths[0]);
	git_changes_clear(&c);
	ok(t, git_diff_stat(&t->git, a, b, &st, &t->e));
	assert_int_equal(st.files, 5);
	assert_int_equal(st.insertions, 7);
	assert_int_equal(st.deletions, 4);
}

static void
identity_is_the_users_or_ours(void **state)
{
	struct testrepo *t = *state;
	char *name, *mail;

	ok(t, git_identity(&t->git, &name, &mail, &t->e));
	assert_string_equal(name, "Test User");
	assert_string_equal(mail, "user@test.invalid");
	free(name);
	free(mail);
	testrepo_do(t, NULL, "config", "--unset", "user.name", NULL);
	testrepo_do(t, NULL, "config", "--unset", "user.email", NULL);
	ok(t, git_identity(&t->git, &name, &mail, &t->e));
	assert_string_equal(name, "orch");
	assert_string_equal(mail, "orch@localhost");
	free(name);
	free(mail);
}

static void
dirty_means_anything_not_committed(void **state)
{
	struct testrepo *t = *state;
	char *before, *after;

	assert_int_equal(git_is_dirty(&t->git, t->top, &t->e), 0);
	testrepo_file(t, "new", "x\n");
	before = testrepo_git(t, NULL, "status", "--porcelain", NULL);
	assert_int_equal(git_is_dirty(&t->git, t->top, &t->e), 1);
	after = testrepo_git(t, NULL, "status", "--porcelain", NULL);
	assert_string_equal(before, after);
	free(before);
	free(after);
	testrepo_do(t, NULL, "worktree", "add", "-q", "../other", NULL);
	char *other = testrepo_path(t, "other");
	assert_int_equal(git_is_dirty(&t->git, other, &t->e), 0);
	testrepo_write(t, "other/README", "changed\n");
	assert_int_equal(git_is_dirty(&t->git, other, &t->e), 1);
	free(other);
}

/* GIT_* of whoever started us, hooks, monitors and external diffs in the configuration: none has a say. */
static void
nothing_outside_has_a_say(void **state)
{
	struct testrepo *t = *state;
	char *hook = testrepo_path(t, "trap"), *ran = testrepo_path(t, "ran"), *script;
	char a[GIT_OID_HEX];
	struct git_changes c;

	script = xasprintf("#!/bin/sh\ntouch %s\nexit 1\n", ran);
	testrepo_write(t, "trap", script);
	assert_int_equal(chmod(hook, 0755), 0);
	testrepo_do(t, NULL, "config", "core.fsmonitor", hook, NULL);
	testrepo_do(t, NULL, "config", "diff.external", hook, NULL);
	testrepo_write(t, "repo/.git/hooks/reference-transaction", script);
	testrepo_write(t, "repo/.git/hooks/post-checkout", script);
	free(script);
	script = xasprintf("%s/hooks/reference-transaction", t->git_dir);
	chmod(script, 0755);
	free(script);
	script = xasprintf("%s/hooks/post-checkout", t->git_dir);
	chmod(script, 0755);
	free(script);
	setenv("GIT_DIR", "/nowhere", 1);
	setenv("GIT_INDEX_FILE", "/nowhere", 1);
	setenv("GIT_EXTERNAL_DIFF", hook, 1);
	setenv("GIT_TRACE", "1", 1);
	ok(t, git_resolve(&t->git, "main", a, &t->e));
	ok(t, git_update_branch(&t->git, "cco/1", a, "", &t->e));
	ok(t, git_changes(&t->git, a, a, &c, &t->e));
	git_changes_clear(&c);
	assert_int_equal(git_is_dirty(&t->git, t->top, &t->e), 0);
	unsetenv("GIT_DIR");
	unsetenv("GIT_INDEX_FILE");
	unsetenv("GIT_EXTERNAL_DIFF");
	unsetenv("GIT_TRACE");
	assert_false(testrepo_exists(t, "ran"));
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
	struct testrepo *t = *state;
	char a[GIT_OID_HEX], *lock = xasprintf("%s/refs/heads/cco/1.lock", t->git_dir);

	ok(t, git_resolve(&t->git, "main", a, &t->e));
	testrepo_write(t, lock, "");
	age(lock, 60);
	ok(t, git_update_branch(&t->git, "cco/1", a, "", &t->e));
	assert_int_not_equal(access(lock, F_OK), 0);
	free(lock);
}

static int64_t
lock_that_stays(struct testrepo *t, const char *ref, char *lock)
{
	char a[GIT_OID_HEX];
	int64_t start = clock_now_ms();

	ok(t, git_resolve(&t->git, "main", a, &t->e));
	age(lock, 60);
	t->git.timeout_ms = 1500;
	assert_int_equal(git_update_ref(&t->git, ref, a, NULL, NULL, &t->e), -EBUSY);
	assert_non_null(strstr(t->e.msg, lock));
	assert_int_equal(access(lock, F_OK), 0);
	return clock_now_ms() - start;
}

static void
a_lock_of_others_is_waited_for_and_named(void **state)
{
	struct testrepo *t = *state;
	char *lock = xasprintf("%s/refs/heads/theirs.lock", t->git_dir);

	testrepo_write(t, lock, "");
	assert_true(lock_that_stays(t, "refs/heads/theirs", lock) >= 1500);
	free(lock);
}

static void
a_lock_of_ours_that_someone_holds_stays(void **state)
{
	struct testrepo *t = *state;
	char *lock = xasprintf("%s/refs/heads/cco/1.lock", t->git_dir);
	int fd;

	testrepo_write(t, lock, "");
	fd = open(lock, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(lock_that_stays(t, "refs/heads/cco/1", lock) >= 1500);
	close(fd);
	free(lock);
}

/* Deleting a ref locks packed-refs, in everybody's name: it goes only where one of ours died at that. */
static void
a_killed_deletion_blocks_nobody(void **state)
{
	struct testrepo *t = *state;
	char a[GIT_OID_HEX], *lock = xasprintf("%s/packed-refs.lock", t->git_dir), *note;
	int status;
	pid_t dead = fork();

	if (dead == 0)
		_exit(0);
	assert_int_equal(waitpid(dead, &status, 0), dead);
	note = xasprintf("%s/orch-deleting-%d-123", t->git_dir, (int)dead);
	ok(t, git_resolve(&t->git, "main", a, &t->e));
	ok(t, git_update_branch(&t->git, "cco/1", a, "", &t->e));
	t->git.timeout_ms = 1500;
	testrepo_write(t, lock, "");
	age(lock, 60);
	assert_int_equal(git_update_branch(&t->git, "cco/1", NULL, NULL, &t->e), -EBUSY);
	testrepo_write(t, note, "");
	assert_int_equal(git_update_branch(&t->git, "cco/1", NULL, NULL, &t->e), -EBUSY); /* after the lock */
	testrepo_write(t, note, "");
	age(note, 600);
	ok(t, git_update_branch(&t->git, "cco/1", NULL, NULL, &t->e));
	assert_int_not_equal(access(lock, F_OK), 0);
	ok(t, git_update_branch(&t->git, "cco/1", NULL, NULL, &t->e));
	assert_int_not_equal(access(note, F_OK), 0);
	free(lock);
	free(note);
}

/* Stands for git while it deletes: has its lock, and does not end. */
static void
install_slow_git(struct testrepo *t)
{
	char *dir = testrepo_path(t, "slow"), *git = testrepo_path(t, "slow/git");

	assert_int_equal(fd_mkdirs(dir, 0700), 0);
	testrepo_write(t, git, "#!/bin/sh\n: >packed-refs.lock\nexec sleep 1000\n");
	assert_int_equal(chmod(git, 0700), 0);
	free(dir);
	free(git);
}

static void
stop_when_locked(evutil_socket_t fd, short what, void *arg)
{
	struct testrepo *t = arg;

	(void)fd;
	(void)what;
	if (testrepo_exists(t, "repo/.git/packed-refs.lock"))
		loop_stop(&t->loop, 0);
}

/*
 * A role that was asked to stop while it deleted a branch killed its git, and lived on to take its note away:
 * the lock stayed for ever, every EM after it waited 10 s for it and gave up, and the run never ended.
 */
static void
an_interrupted_deletion_blocks_nobody(void **state)
{
	struct testrepo *t = *state;
	const struct timeval every = {.tv_usec = 5000};
	char a[GIT_OID_HEX], *path = xstrdup(getenv("PATH")), *slow = testrepo_path(t, "slow");
	char *with_slow = xasprintf("%s:%s", slow, path);
	struct event *look = event_new(t->loop.base, -1, EV_PERSIST, stop_when_locked, t);

	install_slow_git(t);
	ok(t, git_resolve(&t->git, "main", a, &t->e));
	ok(t, git_update_branch(&t->git, "cco/1", a, "", &t->e));
	setenv("PATH", with_slow, 1);
	event_add(look, &every);
	assert_int_equal(git_update_branch(&t->git, "cco/1", NULL, NULL, &t->e), -ECANCELED);
	event_free(look);
	setenv("PATH", path, 1);
	t->loop.stop = false;
	assert_true(testrepo_exists(t, "repo/.git/packed-refs.lock"));
	ok(t, git_update_branch(&t->git, "cco/1", NULL, NULL, &t->e));
	assert_false(testrepo_exists(t, "repo/.git/packed-refs.lock"));
	ok(t, git_update_branch(&t->git, "cco/1", a, "", &t->e));
	ok(t, git_update_branch(&t->git, "cco/1", NULL, NULL, &t->e));
	free(with_slow);
	free(slow);
	free(path);
}

/* As root in a container, on a checkout that belongs to the user outside of it, and no safe.directory at all.
 */
static void
works_where_the_owner_is_someone_else(void **state)
{
	struct testrepo *t = *state;
	char a[GIT_OID_HEX];

	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(t->top, 1234, 1234), 0);
	assert_int_equal(chown(t->git_dir, 1234, 1234), 0);
	assert_int_equal(testrepo_try(t, NULL, "status", NULL), 128); /* git itself refuses */
	ok(t, git_resolve(&t->git, "HEAD", a, &t->e));
	ok(t, git_update_branch(&t->git, "cco/1", a, "", &t->e));
	assert_int_equal(git_is_dirty(&t->git, t->top, &t->e), 0);
}

static void
a_stop_interrupts(void **state)
{
	struct testrepo *t = *state;
	char a[GIT_OID_HEX];

	loop_stop(&t->loop, 0);
	assert_int_equal(git_resolve(&t->git, "main", a, &t->e), -ECANCELED);
	t->loop.stop = false;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, testrepo_setup, testrepo_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(errors_carry_gits_words),
	    TEST(resolves_commits_trees_and_ancestry),
	    TEST(refs_move_only_from_where_they_were),
	    TEST(changed_paths_of_every_spelling),
	    TEST(links_that_lead_out),
	    TEST(identity_is_the_users_or_ours),
	    TEST(dirty_means_anything_not_committed),
	    TEST(nothing_outside_has_a_say),
	    TEST(a_stale_lock_of_ours_goes),
	    TEST(a_lock_of_others_is_waited_for_and_named),
	    TEST(a_lock_of_ours_that_someone_holds_stays),
	    TEST(a_killed_deletion_blocks_nobody),
	    TEST(an_interrupted_deletion_blocks_nobody),
	    TEST(works_where_the_owner_is_someone_else),
	    TEST(a_stop_interrupts),
	};

	return cmocka_run_group_tests_name("git", tests, NULL, NULL);
}
