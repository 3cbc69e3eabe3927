/* Whatever an agent does in its worktree ends as a commit on its branch, and before a worktree goes its work
 * is saved. */
#include "tests/helper/lib/testrepo.h"

#include "common/alloc.h"
#include "common/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ok testrepo_ok
#define BRANCH "cco/1-em1-w1"
#define WT "wt/a"

struct fixture {
	struct testrepo *t;
	char *path, *notes;
	char base[GIT_OID_HEX], head[GIT_OID_HEX];
};

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->t = testrepo_new();
	f->path = testrepo_path(f->t, WT);
	testrepo_file(f->t, "keep", "keep\n");
	testrepo_file(f->t, "drop", "drop\n");
	testrepo_file(f->t, ".gitignore", "*.o\n");
	free(testrepo_commit(f->t, "base"));
	ok(f->t, git_resolve(&f->t->git, "main", f->base, &f->t->e));
	ok(f->t, git_worktree_add(&f->t->git, f->path, BRANCH, f->base, &f->t->e));
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	testrepo_free(f->t);
	free(f->path);
	free(f->notes);
	free(f);
	return 0;
}

#define agent(f, ...) testrepo_do((f)->t, WT, __VA_ARGS__, NULL)

static void
put(struct fixture *f, const char *name, const char *text)
{
	char *path = xasprintf(WT "/%s", name);

	testrepo_write(f->t, path, text);
	free(path);
}

static void
rm(struct fixture *f, const char *name)
{
	testrepo_do(f->t, f->t->root, "-c", "alias.rm-rf=!rm -rf", "rm-rf", name, NULL);
}

static void
commit_all(struct fixture *f)
{
	free(f->notes);
	f->notes = NULL;
	ok(f->t,
	    git_commit_all(&f->t->git, f->path, BRANCH, f->base, "the task\n", f->head, &f->notes, &f->t->e));
}

static char *
show(struct fixture *f, const char *rev, const char *path)
{
	char *spec = xasprintf("%s:%s", rev, path), *text = NULL;

	if (testrepo_try(f->t, NULL, "cat-file", "-e", spec, NULL) == 0)
		text = testrepo_git(f->t, NULL, "show", spec, NULL);
	free(spec);
	return text;
}

static void
assert_in(struct fixture *f, const char *rev, const char *path, const char *want)
{
	char *text = show(f, rev, path);

	if (want == NULL) {
		assert_null(text);
	} else {
		if (text == NULL)
			fail_msg("%s is not in %s", path, rev);
		assert_string_equal(text, want);
	}
	free(text);
}

/* What must hold after every git_commit_all: branch and HEAD at head, folder clean, base an ancestor. */
static void
assert_settled(struct fixture *f)
{
	char tip[GIT_OID_HEX], *text;

	ok(f->t, git_resolve(&f->t->git, "refs/heads/" BRANCH, tip, &f->t->e));
	assert_string_equal(tip, f->head);
	assert_int_equal(git_is_ancestor(&f->t->git, f->base, f->head, &f->t->e), 1);
	text = testrepo_git(f->t, WT, "symbolic-ref", "HEAD", NULL);
	assert_string_equal(text, "refs/heads/" BRANCH);
	free(text);
	text = testrepo_git(f->t, WT, "status", NULL);
	assert_non_null(strstr(text, "nothing to commit, working tree clean"));
	assert_null(strstr(text, "in progress"));
	free(text);
	text = testrepo_git(f->t, NULL, "status", "--porcelain", NULL);
	assert_string_equal(text, ""); /* the user's checkout */
	free(text);
}

static int
branches(struct fixture *f)
{
	char *list = testrepo_git(f->t, NULL, "for-each-ref", "--format=x", "refs/heads", NULL);
	int n = 0;

	for (const char *p = list; *p != '\0'; p++)
		n += *p == 'x';
	free(list);
	return n;
}

static int
commits(struct fixture *f)
{
	char *range = xasprintf("%s..%s", f->base, f->head), *n, *text;
	int count;

	n = testrepo_git(f->t, NULL, "rev-list", "--count", range, NULL);
	count = (int)strtol(n, &text, 10);
	free(n);
	free(range);
	return count;
}

static void
nothing_changed_is_the_base(void **state)
{
	struct fixture *f = *state;

	put(f, "ignored.o", "x\n");
	commit_all(f);
	assert_string_equal(f->head, f->base);
	assert_null(f->notes);
	assert_settled(f);
}

static void
uncommitted_work(void **state)
{
	struct fixture *f = *state;
	char *text;

	put(f, "keep", "changed\n");
	put(f, "n\xc3\xa9w \"x\"\ny", "new\n");
	put(f, "made.o", "x\n");
	rm(f, WT "/drop");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "keep", "changed");
	assert_in(f, f->head, "n\xc3\xa9w \"x\"\ny", "new");
	assert_in(f, f->head, "drop", NULL);
	assert_in(f, f->head, "made.o", NULL);
	assert_null(f->notes);
	text = testrepo_git(f->t, NULL, "log", "-1", "--format=%an <%ae> %s", f->head, NULL);
	assert_string_equal(text, "Test User <user@test.invalid> the task");
	free(text);
	/* Again: the same commit. */
	text = xstrdup(f->head);
	commit_all(f);
	assert_string_equal(f->head, text);
	free(text);
}

static void
no_user_name_anywhere(void **state)
{
	struct fixture *f = *state;
	char *text;

	testrepo_do(f->t, NULL, "config", "--unset", "user.name", NULL);
	testrepo_do(f->t, NULL, "config", "--unset", "user.email", NULL);
	put(f, "new", "x\n");
	commit_all(f);
	text = testrepo_git(f->t, NULL, "log", "-1", "--format=%an <%ae>", f->head, NULL);
	assert_string_equal(text, "orch <orch@localhost>");
	free(text);
}

static void
agent_committed_by_itself(void **state)
{
	struct fixture *f = *state;
	char *own;

	put(f, "one", "1\n");
	agent(f, "add", "-A");
	agent(f, "commit", "-q", "-m", "mine");
	own = testrepo_git(f->t, WT, "rev-parse", "HEAD", NULL);
	commit_all(f);
	assert_string_equal(f->head, own);
	assert_settled(f);
	put(f, "two", "2\n");
	commit_all(f);
	assert_settled(f);
	assert_int_equal(git_is_ancestor(&f->t->git, own, f->head, NULL), 1);
	assert_int_equal(commits(f), 2);
	assert_null(f->notes);
	free(own);
}

static void
agent_switched_branches(void **state)
{
	struct fixture *f = *state;

	agent(f, "checkout", "-q", "-b", "feature-x");
	put(f, "one", "1\n");
	agent(f, "add", "-A");
	agent(f, "commit", "-q", "-m", "mine");
	agent(f, "switch", "-q", "-c", "feature/y");
	put(f, "two", "2\n");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "one", "1");
	assert_in(f, f->head, "two", "2");
	assert_int_equal(branches(f), 2); /* main and ours: the agent's are gone */
	assert_non_null(strstr(f->notes, "feature/y"));
}

static void
agent_used_a_branch_of_the_users(void **state)
{
	struct fixture *f = *state;
	char *was, *log = testrepo_path(f->t, "repo/.git/logs/refs/heads/users"), *text;

	testrepo_do(f->t, NULL, "branch", "users", NULL);
	/* Born long before the worktree. */
	text = xasprintf("%040d %s U <u@x> 1000000000 +0000\tbranch: Created\n", 0, f->base);
	testrepo_write(f->t, log, text);
	free(text);
	was = testrepo_git(f->t, NULL, "rev-parse", "users", NULL);
	agent(f, "checkout", "-q", "users");
	put(f, "one", "1\n");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "one", "1");
	assert_int_equal(branches(f), 3);
	text = testrepo_git(f->t, NULL, "rev-parse", "users", NULL);
	assert_string_equal(text, was);
	free(text);
	free(was);
	free(log);
}

static void
agent_renamed_its_branch(void **state)
{
	struct fixture *f = *state;

	put(f, "one", "1\n");
	agent(f, "branch", "-m", "better-name");
	agent(f, "add", "-A");
	agent(f, "commit", "-q", "-m", "mine");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "one", "1");
	assert_int_equal(branches(f), 2);
}

static void
agent_worked_and_then_only_looked_elsewhere(void **state)
{
	struct fixture *f = *state;

	put(f, "one", "1\n");
	agent(f, "add", "-A");
	agent(f, "commit", "-q", "-m", "mine");
	agent(f, "checkout", "-q", "--detach", "HEAD~1");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "one", "1");
	testrepo_assert_file(f->t, WT "/one", "1\n");
}

static void
agent_detached_and_began_anew(void **state)
{
	struct fixture *f = *state;
	char first[GIT_OID_HEX];

	put(f, "one", "1\n");
	commit_all(f);
	strcpy(first, f->head);
	agent(f, "checkout", "-q", "--detach", f->base);
	put(f, "two", "2\n");
	agent(f, "add", "-A");
	agent(f, "commit", "-q", "-m", "anew");
	put(f, "three", "3\n");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "one", NULL); /* the folder is what counts */
	assert_in(f, f->head, "two", "2");
	assert_in(f, f->head, "three", "3");
	assert_int_equal(git_is_ancestor(&f->t->git, first, f->head, NULL), 1); /* but nothing is lost */
	assert_non_null(strstr(f->notes, "history"));
}

static void
agent_rewrote_history(void **state)
{
	struct fixture *f = *state;

	put(f, "one", "1\n");
	agent(f, "add", "-A");
	agent(f, "commit", "-q", "--amend", "-m", "I was always here");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "one", "1");
	assert_int_equal(commits(f), 1);
	assert_non_null(strstr(f->notes, "rewritten"));
	/* A history of its own, without any base. */
	agent(f, "checkout", "-q", "--orphan", "fresh");
	put(f, "two", "2\n");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "two", "2");
	agent(f, "checkout", "-q", "--orphan", "fresher");
	put(f, "three", "3\n");
	agent(f, "add", "-A");
	agent(f, "commit", "-q", "-m", "root");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "one", "1");
	assert_in(f, f->head, "three", "3");
}

static void
agent_removed_or_replaced_dot_git(void **state)
{
	struct fixture *f = *state;

	put(f, "one", "1\n");
	rm(f, WT "/.git");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "one", "1");
	assert_non_null(strstr(f->notes, ".git was gone"));

	rm(f, WT "/.git");
	agent(f, "init", "-q");
	agent(f, "config", "user.name", "Agent");
	agent(f, "config", "user.email", "agent@x.invalid");
	agent(f, "config", "core.fsmonitor", "touch ../../trap");
	agent(f, "config", "filter.x.clean", "touch ../../trap; cat");
	put(f, "two", "2\n");
	agent(f, "add", "-A");
	agent(f, "commit", "-q", "-m", "in my own repository");
	rm(f, "trap");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "two", "2");
	assert_non_null(strstr(f->notes, "replaced"));
	assert_true(testrepo_exists(f->t, WT ".planted-git-1/HEAD"));
	assert_false(testrepo_exists(f->t, "trap"));

	rm(f, WT "/.git");
	char *link = testrepo_path(f->t, WT "/.git");
	assert_int_equal(symlink("/etc", link), 0);
	free(link);
	put(f, "three", "3\n");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "three", "3");
	put(f, ".git", "gitdir: /nowhere\n");
	put(f, "four", "4\n");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "four", "4");
}

static void
administration_gone_or_broken(void **state)
{
	struct fixture *f = *state;

	put(f, "one", "1\n");
	rm(f, "repo/.git/worktrees");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "one", "1");
	put(f, "two", "2\n");
	testrepo_write(f->t, "repo/.git/worktrees/a/HEAD", "what?\n");
	testrepo_write(f->t, "repo/.git/worktrees/a/index", "garbage");
	testrepo_write(f->t, "repo/.git/worktrees/a/commondir", "/tmp");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "two", "2");
	assert_in(f, f->head, "keep", "keep");
}

static void
locks_left_behind(void **state)
{
	struct fixture *f = *state;

	put(f, "one", "1\n");
	testrepo_write(f->t, "repo/.git/worktrees/a/index.lock", "");
	testrepo_write(f->t, "repo/.git/worktrees/a/HEAD.lock", "");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "one", "1");
}

static void
begun_and_not_ended(void **state)
{
	struct fixture *f = *state;
	char before[GIT_OID_HEX];

	agent(f, "checkout", "-q", "-b", "other");
	put(f, "keep", "theirs\n");
	agent(f, "commit", "-q", "-a", "-m", "theirs");
	agent(f, "checkout", "-q", BRANCH);
	put(f, "keep", "ours\n");
	agent(f, "commit", "-q", "-a", "-m", "ours");
	assert_int_equal(testrepo_try(f->t, WT, "merge", "other", NULL), 1);
	put(f, "more", "x\n");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "more", "x");
	assert_non_null(strstr(f->notes, "a merge had been left unfinished"));
	char *text = show(f, f->head, "keep");
	assert_non_null(strstr(text, "<<<<<<<")); /* content is what counts; others judge it */
	free(text);

	put(f, "keep", "ours\n");
	commit_all(f);
	strcpy(before, f->head);
	assert_int_equal(testrepo_try(f->t, WT, "rebase", "other", NULL), 1);
	put(f, "keep", "resolved\n");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "keep", "resolved");
	assert_non_null(strstr(f->notes, "a rebase had been left unfinished"));
	/* What the rebase had not come to is not in the folder, but not lost. */
	assert_int_equal(git_is_ancestor(&f->t->git, before, f->head, NULL), 1);
	assert_non_null(strstr(f->notes, "kept only as history"));
}

/* The worker's rework: the parent's branch was merged in by us or by the agent. */
static void
a_merge_of_the_parent_keeps_its_parents(void **state)
{
	struct fixture *f = *state;
	char *parent, *text;

	put(f, "one", "1\n");
	commit_all(f);
	testrepo_file(f->t, "sibling", "s\n");
	parent = testrepo_commit(f->t, "sibling");
	agent(f, "merge", "-q", "--no-edit", "main");
	put(f, "two", "2\n");
	commit_all(f);
	assert_settled(f);
	assert_int_equal(git_is_ancestor(&f->t->git, parent, f->head, NULL), 1);
	assert_in(f, f->head, "sibling", "s");
	assert_in(f, f->head, "one", "1");
	text = testrepo_git(f->t, NULL, "rev-list", "--count", "--merges", f->head, NULL);
	assert_string_equal(text, "1");
	free(text);
	free(parent);
}

static void
flags_that_hide_changes(void **state)
{
	struct fixture *f = *state;

	agent(f, "update-index", "--assume-unchanged", "keep");
	agent(f, "update-index", "--skip-worktree", "drop");
	put(f, "keep", "changed\n");
	put(f, "drop", "changed\n");
	put(f, "forced.o", "x\n");
	agent(f, "add", "-f", "forced.o");
	put(f, "later", "x\n");
	agent(f, "add", "-N", "later");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "keep", "changed");
	assert_in(f, f->head, "drop", "changed");
	assert_in(f, f->head, "forced.o", "x");
	assert_in(f, f->head, "later", "x");
}

static void
make_nested(struct fixture *f, const char *dir)
{
	char *path = xasprintf(WT "/%s", dir), *file = xasprintf("%s/code.c", dir);

	put(f, file, "x\n");
	testrepo_do(f->t, path, "init", "-q", NULL);
	testrepo_do(f->t, path, "add", "-A", NULL);
	testrepo_do(
	    f->t, path, "-c", "user.name=A", "-c", "user.email=a@x", "commit", "-q", "-m", "nested", NULL);
	free(path);
	free(file);
}

static void
repositories_within(void **state)
{
	struct fixture *f = *state;

	make_nested(f, "lib");
	make_nested(f, "lib/deep er");
	make_nested(f, "done");
	agent(f, "add", "done");
	agent(f, "commit", "-q", "-m", "with a link");
	testrepo_do(f->t, WT, "init", "-q", "empty", NULL);
	put(f, "empty/file", "x\n");
	commit_all(f);
	assert_settled(f);
	assert_in(f, f->head, "lib/code.c", "x");
	assert_in(f, f->head, "lib/deep er/code.c", "x");
	assert_in(f, f->head, "done/code.c", "x");
	assert_in(f, f->head, "empty/file", "x");
	assert_non_null(strstr(f->notes, "done was a git repository of its own"));
}

static void
submodules_stay_submodules(void **state)
{
	struct fixture *f = *state;
	char *text;

	testrepo_do(f->t, f->t->root, "clone", "-q", "repo", "lib", NULL);
	testrepo_do(f->t, NULL, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../lib",
	    "sub", NULL);
	free(testrepo_commit(f->t, "with a submodule"));
	agent(f, "merge", "-q", "main");
	ok(f->t, git_resolve(&f->t->git, "main", f->base, &f->t->e));
	put(f, "one", "1\n");
	agent(f, "-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init");
	put(f, "sub/README", "changed inside\n");
	commit_all(f);
	text = testrepo_git(f->t, NULL, "diff-tree", "-r", "--name-only", f->base, f->head, NULL);
	assert_string_equal(text, "one");
	assert_null(f->notes);
	free(text);
}

static void
worktree_gone_is_an_error(void **state)
{
	struct fixture *f = *state;

	rm(f, WT);
	assert_int_equal(
	    git_commit_all(&f->t->git, f->path, BRANCH, f->base, "x\n", f->head, NULL, &f->t->e), -ENOENT);
	assert_non_null(strstr(f->t->e.msg, WT));
}

static void
sha256_and_bare_repositories(void **state)
{
	struct fixture *f = *state;
	struct git bare;
	char *dir = testrepo_path(f->t, "bare.git"), *src = testrepo_path(f->t, "src"), *wt;
	char base[GIT_OID_HEX], head[GIT_OID_HEX];

	testrepo_do(f->t, f->t->root, "init", "-q", "--object-format=sha256", "-b", "main", "src", NULL);
	testrepo_write(f->t, "src/file", "x\n");
	testrepo_do(f->t, src, "add", "-A", NULL);
	testrepo_do(
	    f->t, src, "-c", "user.name=A", "-c", "user.email=a@x", "commit", "-q", "-m", "first", NULL);
	testrepo_do(f->t, f->t->root, "clone", "-q", "--bare", "src", "bare.git", NULL);
	git_init(&bare, &f->t->loop, dir);
	wt = testrepo_path(f->t, "wt/bare");
	ok(f->t, git_resolve(&bare, "main", base, &f->t->e));
	assert_int_equal(strlen(base), 64);
	ok(f->t, git_worktree_add(&bare, wt, "cco/9", base, &f->t->e));
	testrepo_write(f->t, "wt/bare/new", "x\n");
	ok(f->t, git_commit_all(&bare, wt, "cco/9", base, "task\n", head, NULL, &f->t->e));
	assert_int_equal(strlen(head), 64);
	assert_string_not_equal(head, base);
	ok(f->t, git_worktree_remove(&bare, wt, &f->t->e));
	git_clear(&bare);
	free(dir);
	free(src);
	free(wt);
}

/* -- git_save_wip -- */

#define WIP "refs/orch/wip/1-em1-w1"

static bool
save(struct fixture *f)
{
	bool saved = false;

	ok(f->t, git_save_wip(&f->t->git, f->path, "1-em1-w1", BRANCH, &saved, f->head, &f->t->e));
	if (saved) {
		char *ref = testrepo_git(f->t, NULL, "rev-parse", WIP, NULL);

		assert_string_equal(ref, f->head);
		free(ref);
	} else {
		assert_string_equal(f->head, "");
	}
	return saved;
}

static void
nothing_to_save_makes_no_ref(void **state)
{
	struct fixture *f = *state;

	put(f, "ignored.o", "x\n");
	assert_false(save(f));
	assert_int_equal(testrepo_try(f->t, NULL, "rev-parse", "--verify", "-q", WIP, NULL), 1);
	rm(f, WT);
	assert_false(save(f));
	ok(f->t, git_worktree_remove(&f->t->git, f->path, &f->t->e));
	assert_false(save(f));
	/* Commits that another branch holds are no loss either. */
	ok(f->t, git_worktree_add(&f->t->git, f->path, BRANCH, f->base, &f->t->e));
	put(f, "one", "1\n");
	commit_all(f);
	testrepo_do(f->t, NULL, "branch", "cco/1-em1", f->head, NULL);
	assert_false(save(f));
}

static void
saves_files_and_leaves_the_folder_alone(void **state)
{
	struct fixture *f = *state;
	char *before, *after, first[GIT_OID_HEX];

	put(f, "keep", "staged\n");
	agent(f, "add", "keep");
	put(f, "keep", "changed\n");
	put(f, "new", "x\n");
	rm(f, WT "/drop");
	before = testrepo_git(f->t, WT, "status", "--porcelain=v2", "--branch", NULL);
	assert_true(save(f));
	after = testrepo_git(f->t, WT, "status", "--porcelain=v2", "--branch", NULL);
	assert_string_equal(before, after);
	assert_in(f, WIP, "keep", "changed");
	assert_in(f, WIP, "new", "x");
	assert_in(f, WIP, "drop", NULL);
	/* Again: the same. Then more: both are in its history. */
	strcpy(first, f->head);
	assert_true(save(f));
	assert_string_equal(first, f->head);
	put(f, "more", "x\n");
	assert_true(save(f));
	assert_string_not_equal(first, f->head);
	assert_int_equal(git_is_ancestor(&f->t->git, first, f->head, NULL), 1);
	assert_in(f, WIP, "more", "x");
	free(before);
	free(after);
}

static void
saves_commits_that_nothing_else_holds(void **state)
{
	struct fixture *f = *state;
	char *own;

	put(f, "one", "1\n");
	commit_all(f);
	own = xstrdup(f->head);
	assert_true(save(f));
	assert_string_equal(f->head, own);
	/* On a detached HEAD, beside those of the branch; then without the folder. */
	agent(f, "checkout", "-q", "--detach", f->base);
	put(f, "two", "2\n");
	agent(f, "add", "-A");
	agent(f, "commit", "-q", "-m", "detached");
	assert_true(save(f));
	assert_int_equal(git_is_ancestor(&f->t->git, own, f->head, NULL), 1);
	assert_in(f, WIP, "two", "2");
	testrepo_do(f->t, NULL, "update-ref", "-d", WIP, NULL);
	ok(f->t, git_worktree_remove(&f->t->git, f->path, &f->t->e));
	assert_true(save(f));
	assert_string_equal(f->head, own);
	free(own);
}

static void
saves_whatever_was_done_to_the_folder(void **state)
{
	struct fixture *f = *state;

	put(f, "one", "1\n");
	make_nested(f, "lib");
	rm(f, WT "/.git");
	testrepo_write(f->t, "repo/.git/worktrees/a/index", "garbage");
	testrepo_write(f->t, "repo/.git/worktrees/a/index.lock", "");
	assert_true(save(f));
	assert_in(f, WIP, "one", "1");
	assert_in(f, WIP, "lib/code.c", "x");
	assert_in(f, WIP, "keep", "keep");
	put(f, "two", "2\n");
	testrepo_write(f->t, "repo/.git/worktrees/a/HEAD", "what?\n");
	assert_true(save(f));
	assert_in(f, WIP, "two", "2");
	put(f, "three", "3\n");
	rm(f, "repo/.git/worktrees");
	assert_true(save(f));
	assert_in(f, WIP, "three", "3");
	assert_in(f, WIP, "keep", "keep");
}

/* Some agents like worktrees of their own, in a folder that is ignored. */
static void
saves_worktrees_within_and_removes_their_records(void **state)
{
	struct fixture *f = *state;
	char *own;

	put(f, ".gitignore", "*.o\n/.worktrees/\n");
	agent(f, "worktree", "add", "-q", "--detach", ".worktrees/mine");
	put(f, ".worktrees/mine/one", "1\n");
	testrepo_do(f->t, WT "/.worktrees/mine", "add", "-A", NULL);
	testrepo_do(f->t, WT "/.worktrees/mine", "commit", "-q", "-m", "mine", NULL);
	own = testrepo_git(f->t, WT "/.worktrees/mine", "rev-parse", "HEAD", NULL);
	put(f, ".worktrees/mine/two", "2\n");
	assert_true(save(f));
	assert_in(f, WIP, ".worktrees/mine/one", NULL);
	assert_in(f, WIP "-in-1", "two", "2");
	assert_int_equal(git_is_ancestor(&f->t->git, own, WIP "-in-1", NULL), 1);
	ok(f->t, git_worktree_remove(&f->t->git, f->path, &f->t->e));
	assert_false(testrepo_exists(f->t, "repo/.git/worktrees"));
	free(own);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

static void
commit_signed(struct fixture *f)
{
	ok(f->t, git_commit_all(&f->t->git, f->path, BRANCH, f->base, "Three\n\nOrch-Task: 1/em1/w1\n",
		     f->head, NULL, &f->t->e));
}

/* What the agent commits by itself is made again: by the user, with the trailers that our commits carry. */
static void
agents_commits_are_the_users(void **state)
{
	struct fixture *f = *state;
	char *text, first[GIT_OID_HEX];

	put(f, "one", "1\n");
	agent(f, "add", "-A");
	agent(f, "-c", "user.name=Robot", "-c", "user.email=r@b", "commit", "-qm", "One");
	agent(f, "switch", "-qc", "side");
	put(f, "two", "2\n");
	agent(f, "add", "-A");
	agent(f, "commit", "-qm", "Two\n\nFixes: 9");
	put(f, "three", "3\n");
	commit_signed(f);
	text = testrepo_git(f->t, WT, "log", "--reverse",
	    "--format=%an: %s [%(trailers:only,separator=%x2C)]", "^HEAD~3", "HEAD", NULL);
	assert_string_equal(text, "Test User: One [Orch-Task: 1/em1/w1]\n"
				  "Test User: Two [Fixes: 9,Orch-Task: 1/em1/w1]\n"
				  "Test User: Three [Orch-Task: 1/em1/w1]");
	free(text);
	assert_int_not_equal(
	    testrepo_try(f->t, NULL, "rev-parse", "-q", "--verify", "refs/heads/side", NULL), 0);
	strcpy(first, f->head);
	commit_signed(f); /* and again nothing changes */
	assert_string_equal(f->head, first);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(nothing_changed_is_the_base),
	    TEST(uncommitted_work),
	    TEST(no_user_name_anywhere),
	    TEST(agent_committed_by_itself),
	    TEST(agent_switched_branches),
	    TEST(agent_used_a_branch_of_the_users),
	    TEST(agent_renamed_its_branch),
	    TEST(agent_worked_and_then_only_looked_elsewhere),
	    TEST(agent_detached_and_began_anew),
	    TEST(agent_rewrote_history),
	    TEST(agent_removed_or_replaced_dot_git),
	    TEST(administration_gone_or_broken),
	    TEST(locks_left_behind),
	    TEST(begun_and_not_ended),
	    TEST(a_merge_of_the_parent_keeps_its_parents),
	    TEST(flags_that_hide_changes),
	    TEST(repositories_within),
	    TEST(submodules_stay_submodules),
	    TEST(worktree_gone_is_an_error),
	    TEST(sha256_and_bare_repositories),
	    TEST(nothing_to_save_makes_no_ref),
	    TEST(saves_files_and_leaves_the_folder_alone),
	    TEST(saves_commits_that_nothing_else_holds),
	    TEST(saves_whatever_was_done_to_the_folder),
	    TEST(saves_worktrees_within_and_removes_their_records),
	    TEST(agents_commits_are_the_users),
	};

	return cmocka_run_group_tests_name("commit_all", tests, NULL, NULL);
}
