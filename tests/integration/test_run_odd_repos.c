/*
 * Repositories as people have them: submodules, LFS pointers without git-lfs, names with spaces and letters
 * beyond ASCII, another owner, a dirty worktree, a detached HEAD, no user.name, a linked worktree. A run
 * comes to its end in each, and the teardown compares the user's things byte by byte.
 */
#include "common/alloc.h"
#include "common/fd.h"
#include "common/json.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One area, one task; lines go before its work. */
static void
write_scripts(struct e2e *e, const char *lines)
{
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", lines);
}

static void
run_to_its_end(struct e2e *e)
{
	e2e_begin(e, "--verify", "test -e README", NULL);
	assert_int_equal(e2e_end(e), 0);
	e2e_assert_shows(e, "m1", "a/one.txt", "one");
}

/* What git says that differs between the work branch and HEAD. */
static void
assert_changed(struct e2e *e, const char *paths)
{
	char *branch = e2e_branch(e, "m1"), *diff = testrepo_git(e->repo, NULL, "-c", "core.quotePath=false",
						"diff", "--name-only", "HEAD", branch, NULL);

	assert_string_equal(diff, paths);
	free(diff);
	free(branch);
}

static void
test_submodule(void **state)
{
	struct e2e *e = *state;
	char *lib = testrepo_path(e->repo, "lib");

	testrepo_do(e->repo, NULL, "init", "-q", lib, NULL);
	testrepo_do(e->repo, lib, "-c", "user.name=L", "-c", "user.email=l@x", "commit", "-q",
	    "--allow-empty", "-m", "lib", NULL);
	testrepo_do(e->repo, NULL, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", lib,
	    "vendor/lib", NULL);
	free(testrepo_commit(e->repo, "with a submodule"));
	write_scripts(e, "run test -d vendor/lib\n");
	run_to_its_end(e);
	assert_changed(e, "a/one.txt");
	free(lib);
}

/* The pointer is what is in the repository, and it stays that. */
static void
commit_pointer(struct e2e *e)
{
	testrepo_file(e->repo, "picture.bin",
	    "version https://git-lfs.github.com/spec/v1\n"
	    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n");
	testrepo_file(e->repo, ".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
	free(testrepo_commit(e->repo, "a pointer"));
}

static void
test_lfs_pointers(void **state)
{
	struct e2e *e = *state;

	commit_pointer(e);
	write_scripts(e, "run grep -q oid picture.bin || touch a-was-not-there\n");
	run_to_its_end(e);
	assert_changed(e, "a/one.txt");
}

static void
set_up_filter(struct e2e *e)
{
	testrepo_do(e->repo, NULL, "config", "filter.lfs.process", "git-lfs-not-here filter-process", NULL);
	testrepo_do(e->repo, NULL, "config", "filter.lfs.smudge", "git-lfs-not-here smudge -- %f", NULL);
	testrepo_do(e->repo, NULL, "config", "filter.lfs.clean", "git-lfs-not-here clean -- %f", NULL);
	testrepo_do(e->repo, NULL, "config", "filter.lfs.required", "true", NULL);
}

/*
 * git-lfs was set up once and is gone: git can make no worktree then, and the director died of it again and
 * again, to be parked for half an hour. It is bad input now; what does not use the filter is not bothered.
 */
static void
test_lfs_filter_is_gone(void **state)
{
	struct e2e *e = *state;
	struct ctlrun r;

	set_up_filter(e);
	write_scripts(e, "");
	run_to_its_end(e);

	testrepo_do(e->repo, NULL, "config", "--remove-section", "filter.lfs", NULL);
	commit_pointer(e);
	e2e_remember(e);
	set_up_filter(e);
	assert_int_equal(e2e_ctl(e, &r, "run", "-m", "Build it", NULL), 2);
	assert_non_null(strstr(r.err, "git-lfs-not-here is not installed"));
	ctlrun_clear(&r);
	testrepo_do(e->repo, NULL, "config", "--remove-section", "filter.lfs", NULL);
}

static void
test_names(void **state)
{
	struct e2e *e = *state;

	testrepo_file(e->repo, "a/with space.txt", "x\n");
	testrepo_file(e->repo, "a/caf\xc3\xa9.txt", "x\n");
	testrepo_file(e->repo, "a/\xe6\x97\xa5\xe6\x9c\xac/\"quoted\".txt", "x\n");
	testrepo_file(e->repo, "-dash", "x\n");
	free(testrepo_commit(e->repo, "names"));
	write_scripts(e, "write a/one \xc3\xbc\x62\x65r alles.txt <<EOF\nneu\nEOF\n"
			 "run mv 'a/with space.txt' 'a/one\tspace.txt'\n");
	e2e_script(e, "em-a",
	    "plan <<EOF\n{\"summary\":\"s\",\"tasks\":[{\"id\":\"one\",\"title\":\"Gr\xc3\xb6\xc3\x9f"
	    "e\",\"goal\":\"g\",\"owns\":[\"a/one*\",\"a/with space.txt\"]}]}\nEOF\n");
	run_to_its_end(e);
	e2e_assert_shows(e, "m1", "a/one \xc3\xbc\x62\x65r alles.txt", "neu");
	e2e_assert_shows(e, "m1", "a/with space.txt", NULL);
	e2e_assert_shows(e, "m1", "a/one\tspace.txt", "x");
}

/* The repository itself in a folder with such a name. */
static void
test_name_of_the_folder(void **state)
{
	struct e2e *e = *state;
	char *odd = testrepo_path(e->repo, "mein \xc3\x84rger 'x' $HOME"), *program, *branch;
	const char *const argv[] = {"run", "-m", "Build it", NULL};
	const char *const stop[] = {"stop", NULL};
	struct ctlrun r;

	write_scripts(e, "");
	testrepo_do(e->repo, NULL, "clone", "-q", e->repo->top, odd, NULL);
	program = testrepo_path(e->repo, "bin/orchctl");
	ctlrun_program(&r, e->repo, program, odd, false, argv, NULL, NULL);
	ctlrun_wait(&r);
	if (r.status != 0)
		fail_msg("exit %d: %s%s", r.status, r.out, r.err);
	ctlrun_clear(&r);
	branch = testrepo_git(e->repo, odd, "cat-file", "-p", "cco/m1-build-it:a/one.txt", NULL);
	assert_string_equal(branch, "one");
	ctlrun_program(&r, e->repo, program, odd, false, stop, NULL, NULL);
	ctlrun_wait(&r);
	assert_int_equal(r.status, 0);
	ctlrun_clear(&r);
	free(branch);
	free(program);
	free(odd);
}

/* As root only: a repository that belongs to someone else works when safe.directory names it, and else is
 * refused with git's own words. */
static void
test_another_owner(void **state)
{
	struct e2e *e = *state;
	char *command;
	struct ctlrun r;
	const char *argv[] = {"-c", NULL, NULL};

	if (geteuid() != 0) {
		print_message("[  SKIPPED ] only root can give a repository to another owner\n");
		skip();
	}
	write_scripts(e, "");
	command = xasprintf("chown -R 12345 '%s'", e->repo->top);
	argv[1] = command;
	ctlrun_program(&r, e->repo, "/bin/sh", e->repo->root, false, argv, NULL, NULL);
	ctlrun_wait(&r);
	assert_int_equal(r.status, 0);
	ctlrun_clear(&r);
	assert_int_equal(e2e_ctl(e, &r, "run", "-m", "Build it", NULL), 2);
	assert_non_null(strstr(r.err, "safe.directory"));
	ctlrun_clear(&r);
	testrepo_do(e->repo, e->repo->root, "config", "--global", "safe.directory", e->repo->top, NULL);
	run_to_its_end(e);
	free(command);
}

/* Staged, changed, deleted, untracked and ignored files stay as they are, and the run does not see them. */
static void
test_dirty_worktree(void **state)
{
	struct e2e *e = *state;

	testrepo_file(e->repo, "gone", "x\n");
	testrepo_file(e->repo, ".gitignore", "*.o\n");
	free(testrepo_commit(e->repo, "more"));
	testrepo_file(e->repo, "README", "changed by hand\n");
	testrepo_file(e->repo, "staged", "x\n");
	testrepo_do(e->repo, NULL, "add", "staged", NULL);
	testrepo_file(e->repo, "staged", "and changed again\n");
	testrepo_file(e->repo, "untracked", "x\n");
	testrepo_file(e->repo, "x.o", "x\n");
	testrepo_do(e->repo, NULL, "rm", "-q", "gone", NULL);
	write_scripts(e, "run test ! -e untracked && grep -q hello README && test -e gone && touch @/seen\n");
	e2e_script(e, "worker-a.one",
	    "run test ! -e untracked && grep -q hello README && test -e gone && touch '%s/seen'\n"
	    "write a/one.txt <<EOF\none\nEOF\n",
	    e->scripts);
	run_to_its_end(e);
	assert_true(e2e_has_file(e, "seen"));
	assert_non_null(strstr(e->run.err, "uncommitted changes"));
}

/* In the middle of a merge with a conflict. */
static void
test_unmerged_index(void **state)
{
	struct e2e *e = *state;

	testrepo_do(e->repo, NULL, "switch", "-q", "-c", "other", NULL);
	testrepo_file(e->repo, "README", "other\n");
	free(testrepo_commit(e->repo, "other"));
	testrepo_do(e->repo, NULL, "switch", "-q", "main", NULL);
	testrepo_file(e->repo, "README", "main\n");
	free(testrepo_commit(e->repo, "main"));
	assert_int_not_equal(testrepo_try(e->repo, NULL, "merge", "-q", "other", NULL), 0);
	write_scripts(e, "");
	run_to_its_end(e);
}

static void
test_detached_head(void **state)
{
	struct e2e *e = *state;

	testrepo_do(e->repo, NULL, "checkout", "-q", "--detach", NULL);
	write_scripts(e, "");
	run_to_its_end(e);
	assert_non_null(strstr(e->run.err, "detached"));
}

static void
test_no_user_name(void **state)
{
	struct e2e *e = *state;
	char *author;

	testrepo_do(e->repo, NULL, "config", "--unset", "user.name", NULL);
	testrepo_do(e->repo, NULL, "config", "--unset", "user.email", NULL);
	testrepo_do(e->repo, NULL, "config", "user.useConfigOnly", "true", NULL);
	write_scripts(e, "");
	run_to_its_end(e);
	assert_non_null(strstr(e->run.err, "user.name"));
	author = testrepo_git(e->repo, NULL, "log", "-1", "--format=%an <%ae>", "cco/m1-build-it", NULL);
	assert_string_equal(author, "orch <orch@localhost>");
	free(author);
}

/* Hooks, a signing key that is not there, autocrlf, and settings that would change what git says. */
static void
test_settings_that_meddle(void **state)
{
	static const char *const settings[][2] = {{"commit.gpgSign", "true"}, {"gpg.program", "/nowhere/gpg"},
	    {"core.autocrlf", "true"}, {"diff.noprefix", "true"}, {"color.ui", "always"},
	    {"core.quotePath", "false"}, {"merge.conflictStyle", "diff3"}, {"status.short", "true"},
	    {"core.fsmonitor", "/nowhere/fsmonitor"}, {"diff.external", "/nowhere/diff"},
	    {"advice.detachedHead", "true"}, {"log.showSignature", "true"}, {"push.autoSetupRemote", "true"},
	    {"branch.autoSetupRebase", "always"}, {"merge.ff", "only"}, {"diff.renames", "copies"}};
	static const char *const hooks[] = {"pre-commit", "commit-msg", "post-checkout",
	    "reference-transaction", "pre-merge-commit", "post-commit", "prepare-commit-msg"};
	struct e2e *e = *state;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		testrepo_do(e->repo, NULL, "config", settings[i][0], settings[i][1], NULL);
	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		char *path = testrepo_path(e->repo, "repo/.git/hooks/%s", hooks[i]),
		     *text = xasprintf("#!/bin/sh\ntouch '%s/hook-ran'\nexit 1\n", e->scripts);

		testrepo_write(e->repo, path, text);
		assert_int_equal(chmod(path, 0755), 0);
		free(text);
		free(path);
	}
	write_scripts(e, "");
	run_to_its_end(e);
	assert_false(e2e_has_file(e, "hook-ran"));
}

/* The user works in a linked worktree: its branch is the base, and its own index is left alone. */
static void
test_linked_worktree(void **state)
{
	static const char *const argv[] = {"run", "-m", "Build it", NULL};
	struct e2e *e = *state;
	char *linked = testrepo_path(e->repo, "linked"), *program = testrepo_path(e->repo, "bin/orchctl"),
	     *text;
	struct ctlrun r;

	testrepo_do(e->repo, NULL, "worktree", "add", "-q", "-b", "topic", linked, NULL);
	testrepo_write(e->repo, "linked/topic", "x\n");
	testrepo_do(e->repo, linked, "add", "topic", NULL);
	testrepo_do(e->repo, linked, "commit", "-q", "-m", "topic", NULL);
	write_scripts(e, "run test -e topic\n");
	ctlrun_program(&r, e->repo, program, linked, false, argv, NULL, NULL);
	ctlrun_wait(&r);
	if (r.status != 0)
		fail_msg("exit %d: %s%s", r.status, r.out, r.err);
	ctlrun_clear(&r);
	e2e_assert_shows(e, "m1", "topic", "x");
	text = testrepo_git(e->repo, linked, "status", "--porcelain", NULL);
	assert_string_equal(text, "");
	testrepo_do(e->repo, NULL, "worktree", "remove", linked, NULL);
	free(text);
	free(program);
	free(linked);
}

int
main(void)
{
#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, e2e_setup, e2e_teardown)
	const struct CMUnitTest tests[] = {
	    RUN_TEST(test_submodule),
	    RUN_TEST(test_lfs_pointers),
	    RUN_TEST(test_lfs_filter_is_gone),
	    RUN_TEST(test_names),
	    RUN_TEST(test_name_of_the_folder),
	    RUN_TEST(test_another_owner),
	    RUN_TEST(test_dirty_worktree),
	    RUN_TEST(test_unmerged_index),
	    RUN_TEST(test_detached_head),
	    RUN_TEST(test_no_user_name),
	    RUN_TEST(test_settings_that_meddle),
	    RUN_TEST(test_linked_worktree),
	};

	return cmocka_run_group_tests_name("test_run_odd_repos", tests, NULL, NULL);
}
