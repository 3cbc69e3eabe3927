/* repo: git directories of every layout, made by hand: no git runs here. */
#include "common/repo.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tmp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
	char *dir, *home;
	struct repo r;
	struct err e;
};

static int
setup(void **state)
{
	struct place *p = xcalloc(1, sizeof(*p));

	p->dir = tmp_make();
	p->home = tmp_path(p->dir, "home");
	setenv("HOME", p->home, 1);
	unsetenv("XDG_STATE_HOME");
	unsetenv("ORCH_STATE_DIR");
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct place *p = *state;

	repo_clear(&p->r);
	tmp_remove(p->dir);
	free(p->home);
	free(p);
	return 0;
}

static void
make_git_dir(const char *dir, const char *name)
{
	char *path = tmp_path(dir, name);

	tmp_write(path, "HEAD", "ref: refs/heads/main\n");
	tmp_mkdir(path, "objects");
	tmp_mkdir(path, "refs");
	free(path);
}

static int
find(struct place *p, const char *name)
{
	char *path = tmp_path(p->dir, name);
	int rc;

	repo_clear(&p->r);
	rc = repo_find(&p->r, path, NULL, &p->e);
	free(path);
	return rc;
}

static void
assert_path(struct place *p, const char *got, const char *want)
{
	char *path = tmp_path(p->dir, want);

	assert_string_equal(got, path);
	free(path);
}

static void
walks_up_to_the_checkout(void **state)
{
	struct place *p = *state;
	char *want;

	make_git_dir(p->dir, "My Project/.git");
	tmp_mkdir(p->dir, "My Project/src/deep");
	assert_int_equal(find(p, "My Project/src/deep"), 0);
	assert_path(p, p->r.top, "My Project");
	assert_path(p, p->r.git_dir, "My Project/.git");
	assert_path(p, p->r.state, "My Project/.git/orch");
	assert_path(p, p->r.socket, "My Project/.git/orch/ctl.sock");
	assert_int_equal(strlen(p->r.instance), 16);
	assert_int_equal(strspn(p->r.instance, "0123456789abcdef"), 16);
	want = xasprintf("%s/.local/state/orch/my-project-%s", p->home, p->r.instance);
	assert_string_equal(p->r.worktrees, want);
	free(want);
	/* From inside the git directory it is the same repository. */
	assert_int_equal(find(p, "My Project/.git/refs"), 0);
	assert_path(p, p->r.top, "My Project");
}

static void
symbolic_links_are_one_repository(void **state)
{
	struct place *p = *state;
	char *link = tmp_path(p->dir, "link"), *real = tmp_path(p->dir, "real"), *instance;

	make_git_dir(p->dir, "real/.git");
	assert_int_equal(symlink(real, link), 0);
	assert_int_equal(find(p, "real"), 0);
	instance = xstrdup(p->r.instance);
	assert_int_equal(find(p, "link"), 0);
	assert_path(p, p->r.git_dir, "real/.git");
	assert_string_equal(p->r.instance, instance);
	make_git_dir(p->dir, "other/.git");
	assert_int_equal(find(p, "other"), 0);
	assert_string_not_equal(p->r.instance, instance);
	free(instance);
	free(link);
	free(real);
}

static void
linked_worktrees_share_the_state(void **state)
{
	struct place *p = *state;
	char *text = xasprintf("gitdir: %s/main/.git/worktrees/wt\n", p->dir);

	make_git_dir(p->dir, "main/.git");
	tmp_write(p->dir, "main/.git/worktrees/wt/HEAD", "ref: refs/heads/x\n");
	tmp_write(p->dir, "main/.git/worktrees/wt/commondir", "../..\n");
	tmp_write(p->dir, "wt/.git", text);
	assert_int_equal(find(p, "wt"), 0);
	assert_path(p, p->r.top, "wt");
	assert_path(p, p->r.git_dir, "main/.git");
	assert_path(p, p->r.state, "main/.git/orch");
	free(text);
}

static void
submodules_are_their_own(void **state)
{
	struct place *p = *state;

	make_git_dir(p->dir, "super/.git");
	make_git_dir(p->dir, "super/.git/modules/sub");
	tmp_write(p->dir, "super/sub/.git", "gitdir: ../.git/modules/sub\n");
	assert_int_equal(find(p, "super/sub"), 0);
	assert_path(p, p->r.top, "super/sub");
	assert_path(p, p->r.git_dir, "super/.git/modules/sub");
}

static void
bare_has_no_top(void **state)
{
	struct place *p = *state;

	make_git_dir(p->dir, "bare.git");
	assert_int_equal(find(p, "bare.git/refs"), 0);
	assert_null(p->r.top);
	assert_path(p, p->r.git_dir, "bare.git");
}

static void
refusals_are_sentences(void **state)
{
	struct place *p = *state;
	char *want =
	    xasprintf("not a git repository (or any parent up to /): %s/plain; run this inside one, or "
		      "`git init` first",
		p->dir);

	tmp_mkdir(p->dir, "plain/.git"); /* no git directory: git passes it by as well */
	assert_int_equal(find(p, "plain"), -ENOENT);
	assert_string_equal(p->e.msg, want);
	free(want);

	tmp_write(p->dir, "lost/.git", "gitdir: /nowhere/at/all\n");
	assert_int_equal(find(p, "lost"), -ENOENT);
	assert_non_null(strstr(p->e.msg, "/lost/.git does not lead to a git directory"));

	assert_int_equal(find(p, "absent"), -ENOENT);
	assert_non_null(strstr(p->e.msg, "cannot look for a repository in "));
}

static void
state_can_be_moved(void **state)
{
	struct place *p = *state;
	char *elsewhere = tmp_path(p->dir, "state"), *top = tmp_path(p->dir, "r");

	make_git_dir(p->dir, "r/.git");
	setenv("ORCH_STATE_DIR", elsewhere, 1);
	assert_int_equal(find(p, "r"), 0);
	assert_path(p, p->r.state, "state");
	assert_path(p, p->r.worktrees, "state/work");
	assert_path(p, p->r.socket, "state/ctl.sock");
	repo_clear(&p->r);
	assert_int_equal(repo_find(&p->r, top, "mine", &p->e), 0);
	assert_path(p, p->r.state, "r/mine");
	unsetenv("ORCH_STATE_DIR");
	setenv("XDG_STATE_HOME", elsewhere, 1);
	assert_int_equal(find(p, "r"), 0);
	assert_non_null(strstr(p->r.worktrees, "/state/orch/r-"));
	setenv("XDG_STATE_HOME", "relative", 1);
	assert_int_equal(find(p, "r"), 0);
	assert_non_null(strstr(p->r.worktrees, "/home/.local/state/orch/r-"));
	free(elsewhere);
	free(top);
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void
folders_are_made_private(void **state)
{
	struct place *p = *state;

	make_git_dir(p->dir, "r/.git");
	assert_int_equal(find(p, "r"), 0);
	assert_int_equal(access(p->r.state, F_OK), -1);
	assert_int_equal(repo_make_dirs(&p->r, &p->e), 0);
	assert_int_equal(mode_of(p->r.state), 0700);
	assert_int_equal(mode_of(p->r.worktrees), 0700);
	assert_int_equal(chmod(p->r.state, 0755), 0);
	assert_int_equal(repo_make_dirs(&p->r, &p->e), 0);
	assert_int_equal(mode_of(p->r.state), 0700);
}

static void
state_folder_is_claimed(void **state)
{
	struct place *p = *state;
	char *shared = tmp_path(p->dir, "shared"), *full = tmp_path(p->dir, "full");

	make_git_dir(p->dir, "a/.git");
	make_git_dir(p->dir, "b/.git");
	tmp_mkdir(p->dir, "shared");
	setenv("ORCH_STATE_DIR", shared, 1);
	assert_int_equal(find(p, "a"), 0);
	assert_int_equal(repo_make_dirs(&p->r, &p->e), 0);
	assert_int_equal(repo_make_dirs(&p->r, &p->e), 0);
	assert_int_equal(mode_of(shared), 0700);
	assert_int_equal(find(p, "b"), 0);
	assert_int_equal(repo_make_dirs(&p->r, &p->e), -EBUSY);
	assert_non_null(strstr(p->e.msg, "is the state of another repository"));
	assert_non_null(strstr(p->e.msg, "/a/.git"));

	tmp_write(p->dir, "full/letter", "not yours");
	assert_int_equal(chmod(full, 0755), 0);
	setenv("ORCH_STATE_DIR", full, 1);
	assert_int_equal(find(p, "a"), 0);
	assert_int_equal(repo_make_dirs(&p->r, &p->e), -ENOTEMPTY);
	assert_int_equal(mode_of(full), 0755);
	free(shared);
	free(full);
}

static void
folder_in_the_way_is_named(void **state)
{
	struct place *p = *state;

	make_git_dir(p->dir, "r/.git");
	tmp_write(p->dir, "r/.git/orch", "a file");
	assert_int_equal(find(p, "r"), 0);
	assert_int_equal(repo_make_dirs(&p->r, &p->e), -ENOTDIR);
	assert_non_null(strstr(p->e.msg, "/r/.git/orch"));
	assert_non_null(strstr(p->e.msg, "ORCH_STATE_DIR"));
}

#define REPO_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    REPO_TEST(walks_up_to_the_checkout),
	    REPO_TEST(symbolic_links_are_one_repository),
	    REPO_TEST(linked_worktrees_share_the_state),
	    REPO_TEST(submodules_are_their_own),
	    REPO_TEST(bare_has_no_top),
	    REPO_TEST(refusals_are_sentences),
	    REPO_TEST(state_can_be_moved),
	    REPO_TEST(folders_are_made_private),
	    REPO_TEST(state_folder_is_claimed),
	    REPO_TEST(folder_in_the_way_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
