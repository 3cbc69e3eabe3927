/* Merging a child's commit: green or not at all, whatever the gate does and whoever else moves the branch. */
#include "tests/helper/lib/testrepo.h"

#include "common/alloc.h"
#include "common/integrate.h"
#include "common/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ok testrepo_ok
#define PARENT "cco/1-em1"

static const char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "ORCH_TASK=1/em1", NULL};

struct fixture {
	struct testrepo *t;
	struct integrate_spec s;
	struct integrate_result r;
	char base[GIT_OID_HEX], *worktree, *child;
};

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->t = testrepo_new();
	testrepo_file(f->t, "file", "1\n2\n3\n");
	testrepo_file(f->t, ".gitignore", "*.o\n");
	free(testrepo_commit(f->t, "base"));
	ok(f->t, git_resolve(&f->t->git, "main", f->base, &f->t->e));
	ok(f->t, git_update_branch(&f->t->git, PARENT, f->base, "", &f->t->e));
	f->worktree = testrepo_path(f->t, "wt/1-em1");
	f->s = (struct integrate_spec){.git = &f->t->git,
	    .branch = PARENT,
	    .worktree = f->worktree,
	    .gate_env = env,
	    .gate_timeout_ms = 60000};
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	integrate_result_clear(&f->r);
	json_decref((json_t *)f->s.verify);
	testrepo_free(f->t);
	free(f->worktree);
	free(f->child);
	free(f);
	return 0;
}

/* A commit on base that writes name. */
static char *
child(struct fixture *f, const char *name, const char *text)
{
	char *oid;

	testrepo_do(f->t, NULL, "checkout", "-q", "--detach", f->base, NULL);
	testrepo_file(f->t, name, text);
	oid = testrepo_commit(f->t, name);
	testrepo_do(f->t, NULL, "checkout", "-q", "main", NULL);
	return oid;
}

/* One item alone. */
static int
try_one(struct fixture *f, const char *head)
{
	const struct integrate_item item = {head, "Merge the child\n\nwhy\n"};
	struct integrate *in = integrate_new(&f->s, &item, 1);
	struct integrate_result end;
	int rc;

	integrate_result_clear(&f->r);
	rc = integrate_next(in, &f->r, &f->t->e);
	if (rc == 1)
		assert_int_equal(integrate_next(in, &end, &f->t->e), 0);
	integrate_free(in);
	return rc;
}

static enum integrate_verdict
integrate(struct fixture *f, char *head)
{
	char tip[GIT_OID_HEX];

	free(f->child);
	f->child = head;
	ok(f->t, try_one(f, head));
	ok(f->t, git_resolve(&f->t->git, PARENT, tip, &f->t->e));
	assert_string_equal(f->r.head, tip);
	assert_true((f->r.verdict == INTEGRATE_MERGED) == (f->r.reason == NULL));
	assert_true((f->r.verdict == INTEGRATE_MERGED) == (f->r.evidence == NULL));
	return f->r.verdict;
}

static void
gate_is(struct fixture *f, const char *command)
{
	json_decref((json_t *)f->s.verify);
	f->s.verify = json_string(command);
}

static void
merges_with_a_commit_of_two_parents(void **state)
{
	struct fixture *f = *state;
	char *text, first[GIT_OID_HEX];

	assert_int_equal(integrate(f, child(f, "a", "a\n")), INTEGRATE_MERGED);
	strcpy(first, f->r.head);
	assert_string_not_equal(first, f->child); /* even where it could be fast-forwarded */
	assert_int_equal(integrate(f, child(f, "b", "b\n")), INTEGRATE_MERGED);
	text = testrepo_git(f->t, NULL, "log", "-1", "--format=%P|%s|%an", PARENT, NULL);
	assert_non_null(strstr(text, first));
	assert_non_null(strstr(text, f->child));
	assert_non_null(strstr(text, "|Merge the child|Test User"));
	free(text);
	text = testrepo_git(f->t, NULL, "ls-tree", "--name-only", PARENT, NULL);
	assert_string_equal(text, ".gitignore\nREADME\na\nb\nfile");
	free(text);
	assert_int_equal(f->r.gate_ms, 0);
	assert_false(testrepo_exists(f->t, "wt/1-em1")); /* no gate, no worktree */
	/* Held already: nothing changes. */
	strcpy(first, f->r.head);
	assert_int_equal(integrate(f, xstrdup(f->child)), INTEGRATE_MERGED);
	assert_string_equal(first, f->r.head);
}

static void
conflicts_leave_nothing_behind(void **state)
{
	struct fixture *f = *state;
	char before[GIT_OID_HEX], *refs, *after;

	gate_is(f, "true");
	assert_int_equal(integrate(f, child(f, "file", "1\nmine\n3\n")), INTEGRATE_MERGED);
	strcpy(before, f->r.head);
	refs = testrepo_git(f->t, NULL, "for-each-ref", NULL);
	assert_int_equal(integrate(f, child(f, "file", "1\ntheirs\n3\n")), INTEGRATE_CONFLICT);
	assert_string_equal(f->r.head, before);
	assert_non_null(strstr(f->r.reason, "1 file"));
	assert_non_null(strstr(f->r.reason, PARENT));
	assert_non_null(strstr(f->r.evidence, "- file\n"));
	assert_non_null(strstr(f->r.evidence, "CONFLICT (content)"));
	after = testrepo_git(f->t, NULL, "for-each-ref", NULL);
	assert_string_equal(refs, after);
	free(refs);
	free(after);
}

/* Both sides, the base between them, and whose work was there first. */
static void
conflicts_are_told_in_full(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(integrate(f, child(f, "file", "1\nmine\n3\n")), INTEGRATE_MERGED);
	assert_int_equal(integrate(f, child(f, "file", "1\ntheirs\n3\n")), INTEGRATE_CONFLICT);
	assert_non_null(strstr(f->r.evidence, "\nmine\n|||||||"));
	assert_non_null(strstr(f->r.evidence, "\n2\n=======\ntheirs\n>>>>>>>"));
	assert_non_null(strstr(f->r.evidence, "What changed them on the branch meanwhile:\n"));
	assert_false(testrepo_exists(f->t, "wt/1-em1"));
}

/* What both only add to a file that the plan shares is no conflict; what one of them changes is. */
static void
additions_to_shared_files_are_united(void **state)
{
	static const char *const shared[] = {"file", NULL};
	struct fixture *f = *state;
	char *text;

	assert_int_equal(integrate(f, child(f, "file", "1\n2\n3\na\n")), INTEGRATE_MERGED);
	assert_int_equal(integrate(f, child(f, "file", "1\n2\n3\nb\n")), INTEGRATE_CONFLICT);
	f->s.shared = shared;
	assert_int_equal(integrate(f, xstrdup(f->child)), INTEGRATE_MERGED);
	text = testrepo_git(f->t, NULL, "show", PARENT ":file", NULL);
	assert_string_equal(text, "1\n2\n3\na\nb");
	free(text);
	assert_int_equal(integrate(f, child(f, "file", "1\n2\n3 changed\nc\n")), INTEGRATE_CONFLICT);
	assert_non_null(strstr(f->r.evidence, "- file (shared: resolve it first)\n"));
}

/* The same change is on both sides, and more on one of them: commit by commit there is no conflict. */
static void
a_clean_rebase_is_a_merge(void **state)
{
	struct fixture *f = *state;
	char *text, *head;

	assert_int_equal(integrate(f, child(f, "file", "1\nsame\n3\n")), INTEGRATE_MERGED);
	testrepo_do(f->t, NULL, "checkout", "-q", "--detach", f->base, NULL);
	testrepo_file(f->t, "file", "1\nsame\n3\n");
	free(testrepo_commit(f->t, "the same"));
	testrepo_file(f->t, "file", "1\nmore\n3\n");
	head = testrepo_commit(f->t, "and more");
	testrepo_do(f->t, NULL, "checkout", "-q", "main", NULL);
	assert_int_equal(integrate(f, head), INTEGRATE_MERGED);
	text = testrepo_git(f->t, NULL, "show", PARENT ":file", NULL);
	assert_string_equal(text, "1\nmore\n3");
	free(text);
	/* Its own commits are in the branch: that is how GitHub sees that it is merged. */
	testrepo_do(f->t, NULL, "merge-base", "--is-ancestor", head, PARENT, NULL);
	/* One that does not apply so either leaves nothing unfinished. */
	testrepo_do(f->t, NULL, "checkout", "-q", "--detach", f->base, NULL);
	testrepo_file(f->t, "file", "1\nother\n3\n");
	free(testrepo_commit(f->t, "other"));
	testrepo_file(f->t, "file", "1\nother still\n3\n");
	head = testrepo_commit(f->t, "still");
	testrepo_do(f->t, NULL, "checkout", "-q", "main", NULL);
	gate_is(f, "test -z \"$(git status --porcelain)\" && ! git status | grep -q rebas");
	assert_int_equal(integrate(f, head), INTEGRATE_CONFLICT);
	assert_int_equal(integrate(f, child(f, "c", "c\n")), INTEGRATE_MERGED);
}

static void
conflict_evidence_is_bounded(void **state)
{
	struct fixture *f = *state;
	char *name;

	for (int side = 0; side < 2; side++) {
		testrepo_do(f->t, NULL, "checkout", "-q", "--detach", f->base, NULL);
		for (int i = 0; i < 300; i++) {
			name = xasprintf("a rather long folder \xc3\xa9/with a file of number %d", i);
			testrepo_file(f->t, name, side == 0 ? "ours\n" : "theirs\n");
			free(name);
		}
		assert_int_equal(integrate(f, testrepo_commit(f->t, "many")),
		    side == 0 ? INTEGRATE_MERGED : INTEGRATE_CONFLICT);
	}
	testrepo_do(f->t, NULL, "checkout", "-q", "main", NULL);
	assert_non_null(strstr(f->r.reason, "300 files"));
	assert_true(strlen(f->r.evidence) <= 32 * 1024);
	assert_non_null(strstr(f->r.evidence, "CONFLICT (add/add)"));
	assert_true(text_is_utf8(f->r.evidence, strlen(f->r.evidence)));
}

/* Each is right by itself, together they are not. */
static void
red_together_does_not_move_the_branch(void **state)
{
	struct fixture *f = *state;
	char before[GIT_OID_HEX];

	gate_is(f, "echo checking; ! { test -e a && test -e b; }");
	assert_int_equal(integrate(f, child(f, "a", "a\n")), INTEGRATE_MERGED);
	assert_true(f->r.gate_ms > 0);
	strcpy(before, f->r.head);
	assert_int_equal(integrate(f, child(f, "b", "b\n")), INTEGRATE_RED);
	assert_string_equal(f->r.head, before);
	assert_string_equal(f->r.evidence, "checking\n");
	assert_non_null(strstr(f->r.reason, "exited with status 1"));
	assert_int_equal(integrate(f, child(f, "c", "c\n")), INTEGRATE_MERGED);
}

/* A branch that was red before takes what is red in the same way; any other failure is the child's. */
static void
what_was_red_before_is_not_the_childs_fault(void **state)
{
	struct fixture *f = *state;

	gate_is(f, "if test -e worse; then exit 4; elif test -e cure; then exit 0; else exit 3; fi");
	f->s.gate_known = 3 << 8;
	assert_int_equal(integrate(f, child(f, "a", "a\n")), INTEGRATE_MERGED);
	assert_false(f->r.green);
	assert_non_null(strstr(f->r.note, "cannot tell"));
	assert_int_equal(integrate(f, child(f, "worse", "b\n")), INTEGRATE_RED);
	assert_int_equal(integrate(f, child(f, "cure", "c\n")), INTEGRATE_MERGED);
	assert_true(f->r.green);
	assert_null(f->r.note);
}

static void
the_gate_sees_exactly_the_merge_and_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	char *status;

	/* It fails on whatever an earlier one left: a build product, a change, an untracked file, a commit.
	 */
	gate_is(f, "set -e; test ! -e made.o; test ! -e new; test \"$(cat README)\" = hello; "
		   "test -z \"$(git status --porcelain --ignored)\"; test $ORCH_TASK = 1/em1; "
		   "echo x > made.o; echo x > new; echo x > README; "
		   "git -c user.name=g -c user.email=g@x commit -q -a -m gate; echo y > README; git checkout "
		   "-q -b gates$$");
	assert_int_equal(integrate(f, child(f, "a", "a\n")), INTEGRATE_MERGED);
	status = testrepo_git(f->t, "wt/1-em1", "status", "--porcelain", "--ignored", NULL);
	assert_string_equal(status, "");
	free(status);
	assert_int_equal(integrate(f, child(f, "b", "b\n")), INTEGRATE_MERGED);
	/* And on a worktree that something wrecked. */
	testrepo_do(f->t, f->t->root, "-c", "alias.rm-rf=!rm -rf", "rm-rf", "repo/.git/worktrees", NULL);
	assert_int_equal(integrate(f, child(f, "c", "c\n")), INTEGRATE_MERGED);
	testrepo_do(f->t, f->t->root, "-c", "alias.rm-rf=!rm -rf", "rm-rf", "wt/1-em1", NULL);
	assert_int_equal(integrate(f, child(f, "d", "d\n")), INTEGRATE_MERGED);
	status = testrepo_git(f->t, NULL, "status", "--porcelain", "--branch", NULL);
	assert_string_equal(status, "## main");
	free(status);
}

/* The gate's own run is when someone else moves the branch: once is tried again, always is an error. */
static void
a_branch_that_moves_is_tried_again(void **state)
{
	struct fixture *f = *state;
	char *other = child(f, "other", "x\n"), *command, *text;

	command = xasprintf("test -e other || git update-ref refs/heads/" PARENT " %s", other);
	gate_is(f, command);
	assert_int_equal(integrate(f, child(f, "a", "a\n")), INTEGRATE_MERGED);
	text = testrepo_git(f->t, NULL, "ls-tree", "--name-only", PARENT, NULL);
	assert_string_equal(text, ".gitignore\nREADME\na\nfile\nother");
	free(text);
	gate_is(f,
	    "git update-ref refs/heads/" PARENT " $(git -c user.name=g -c user.email=g@x commit-tree -p "
	    "refs/heads/" PARENT " -m x refs/heads/" PARENT "^{tree})");
	free(f->child);
	f->child = child(f, "b", "b\n");
	assert_int_equal(try_one(f, f->child), -ESTALE);
	assert_non_null(strstr(f->t->e.msg, PARENT));
	free(other);
	free(command);
}

static void
a_stop_and_a_missing_commit_change_nothing(void **state)
{
	struct fixture *f = *state;
	char tip[GIT_OID_HEX];

	assert_true(try_one(f, "0123456789012345678901234567890123456789") < 0);
	f->child = child(f, "a", "a\n");
	f->t->loop.stop = true;
	assert_int_equal(try_one(f, f->child), -ECANCELED);
	f->t->loop.stop = false;
	f->s.branch = "cco/none";
	assert_int_equal(try_one(f, f->child), -ENOENT);
	ok(f->t, git_resolve(&f->t->git, PARENT, tip, &f->t->e));
	assert_string_equal(tip, f->base);
}

static void
submodules_and_their_folders(void **state)
{
	struct fixture *f = *state;

	testrepo_do(f->t, f->t->root, "clone", "-q", "repo", "lib", NULL);
	testrepo_do(f->t, NULL, "checkout", "-q", "--detach", f->base, NULL);
	testrepo_do(f->t, NULL, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../lib",
	    "sub", NULL);
	gate_is(f, "test -d sub && test -e .gitmodules");
	assert_int_equal(integrate(f, testrepo_commit(f->t, "with a submodule")), INTEGRATE_MERGED);
	testrepo_do(f->t, NULL, "checkout", "-q", "-f", "main", NULL);
	testrepo_do(f->t, NULL, "clean", "-ffdqx", NULL);
	assert_int_equal(integrate(f, child(f, "a", "a\n")), INTEGRATE_MERGED);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(merges_with_a_commit_of_two_parents),
	    TEST(conflicts_leave_nothing_behind),
	    TEST(conflicts_are_told_in_full),
	    TEST(additions_to_shared_files_are_united),
	    TEST(a_clean_rebase_is_a_merge),
	    TEST(conflict_evidence_is_bounded),
	    TEST(red_together_does_not_move_the_branch),
	    TEST(what_was_red_before_is_not_the_childs_fault),
	    TEST(the_gate_sees_exactly_the_merge_and_leaves_nothing),
	    TEST(a_branch_that_moves_is_tried_again),
	    TEST(a_stop_and_a_missing_commit_change_nothing),
	    TEST(submodules_and_their_folders),
	};

	return cmocka_run_group_tests_name("integrate", tests, NULL, NULL);
}
