/*
 * git_worktree: worktrees of ours, at paths of ours, in whatever state a kill, an agent or a person left
 * them.
 *
 * A worktree is a folder and its administration (git_admin.c). A mark in the administration says that git had
 * finished making it: without the mark nothing of value can be in the folder yet; with it, nothing is ever
 * thrown away but by git_worktree_remove().
 */
#include "common/git_impl.h"

#include "common/alloc.h"
#include "common/cmd.h"
#include "common/fd.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
git_real_path(const char *path, char **real, struct err *e)
{
	char *folder = xstrdup(path), *slash, *resolved;
	int rc;

	while ((slash = strrchr(folder, '/')) != NULL && slash[1] == '\0' && slash != folder)
		*slash = '\0';
	if (folder[0] != '/' || slash == NULL || slash == folder) {
		rc = err_set(e, -EINVAL, "a worktree cannot be at %s", path);
		free(folder);
		return rc;
	}
	*slash = '\0';
	rc = fd_mkdirs(folder, 0700);
	resolved = rc == 0 ? realpath(folder, NULL) : NULL;
	if (rc == 0 && resolved == NULL)
		rc = -errno;
	if (rc < 0)
		err_sys(e, rc, "cannot make the folder %s", folder);
	else
		*real = xasprintf("%s/%s", resolved, slash + 1);
	free(resolved);
	free(folder);
	return rc;
}

static int
run_rm(struct git *g, const char *const *argv, struct err *e)
{
	struct cmd_spec s = {.argv = argv, .out_max = 1024, .err_max = 1024, .timeout_ms = g->timeout_ms};
	struct cmd_result r = {0};
	int rc = cmd_run(g->loop, &s, &r, e);

	if (rc < 0)
		return rc;
	if (!cmd_ok(&r)) {
		r.err[strcspn(r.err, "\n")] = '\0';
		rc = err_set(
		    e, r.timed_out ? -ETIMEDOUT : -EIO, "%s", r.timed_out ? "rm took too long" : r.err);
	}
	cmd_result_clear(&r);
	return rc;
}

bool
git_is_empty(const char *folder)
{
	struct dirent *entry;
	DIR *d = opendir(folder);
	bool empty = true;

	while (d != NULL && empty && (entry = readdir(d)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	if (d != NULL)
		closedir(d);
	return empty;
}

int
git_remove_tree(struct git *g, const char *path, struct err *e)
{
	const char *rm[] = {"rm", "-rf", "--one-file-system", "--", path, NULL};
	const char *open_up[] = {"chmod", "-R", "u+rwX", "--", path, NULL};
	struct stat st;
	int rc;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "cannot remove %s", path);
	rc = run_rm(g, rm, NULL);
	if (rc != -EIO)
		return rc < 0 ? err_sys(e, rc, "cannot remove %s", path) : 0;
	run_rm(g, open_up, NULL); /* caches of some tools are read-only folders */
	rc = run_rm(g, rm, e);
	return rc < 0 ? err_prefix(e, rc, "cannot remove %s", path) : 0;
}

static void
drop_mark(const char *admin)
{
	char *mark = xasprintf("%s/" GIT_READY_MARK, admin);

	unlink(mark);
	free(mark);
}

/*
 * Removes the administration. The lane is held meanwhile: a git of a killed role may still be writing there,
 * and it has the lane. It is renamed first: a kill between two files of it would leave what says nothing of
 * its worktree, and so is never found again. The last one takes the folder worktrees with it, as git does.
 */
static int
remove_admin(struct git *g, const char *admin, struct err *e)
{
	char *all = xasprintf("%s/worktrees", g->git_dir), *trash = xasprintf("%s/orch-trash", g->git_dir);
	int fd, rc = git_lane_take(g, &fd, e);

	if (rc == 0) {
		rc = git_remove_tree(g, trash, e); /* of one that was killed here */
		if (rc == 0 && rename(admin, trash) < 0 && errno != ENOENT)
			rc = err_sys(e, -errno, "cannot remove %s", admin);
		rmdir(all);
		if (rc == 0)
			rc = git_remove_tree(g, trash, e);
		fd_close(&fd);
	}
	free(all);
	free(trash);
	return rc;
}

/* What git had not finished, or we had begun to remove. */
static int
remove_half_made(struct git *g, const char *real, const char *admin, struct err *e)
{
	int fd, rc = git_lane_take(g, &fd, e);

	if (rc < 0)
		return rc;
	fd_close(&fd);
	/* A git of a killed role may still be filling the folder. */
	rc = git_checkout_take(g, admin, &fd, e);
	if (rc < 0)
		return rc;
	rc = git_remove_tree(g, real, e);
	if (rc == 0)
		rc = remove_admin(g, admin, e);
	fd_close(&fd);
	return rc;
}

static int
branch_exists(struct git *g, const char *branch, struct err *e)
{
	char *ref = xasprintf("refs/heads/%s", branch), oid[GIT_OID_HEX];
	struct err why = {0};
	int rc = git_resolve(g, ref, oid, &why);

	free(ref);
	if (rc == -ENOENT)
		return 0;
	return rc < 0 ? err_set(e, rc, "%s", why.msg) : 1;
}

/* As git worktree add --no-checkout --lock does, but on the disk when it is done. */
static int
add_empty(
    struct git *g, const char *real, const char *branch, const char *commit, char **admin, struct err *e)
{
	int there = branch != NULL ? branch_exists(g, branch, e) : 1, rc;
	char *user;

	if (there < 0)
		return there;
	if (branch != NULL && (user = git_branch_user(g, branch)) != NULL) {
		err_set(e, -EBUSY, "the branch %s is in use by %s; free it there first", branch, user);
		free(user);
		return -EBUSY;
	}
	rc = there ? 0 : git_update_branch(g, branch, commit, "", e);
	if (rc == -ESTALE && branch_exists(g, branch, NULL) > 0)
		rc = 0; /* what a killed role's git had begun has made it meanwhile */
	if (rc == 0)
		rc = git_admin_make(g, real, branch, commit, false, admin, e);
	if (rc == 0 && mkdir(real, 0777) < 0 && errno != EEXIST)
		rc = err_sys(e, -errno, "cannot make %s", real);
	return rc < 0 ? rc : git_admin_repair(real, *admin, NULL, e);
}

/* The files, beside the lane: with many of them it takes long. */
static int
fill(struct git *g, const char *real, struct err *e)
{
	struct git wt = {0};
	int rc = git_init_worktree(&wt, g, real, e);

	if (rc == 0)
		rc = git_run(&wt, GIT_CHECKOUT, NULL, e, "reset", "--hard", "--quiet", NULL);
	git_clear(&wt);
	return rc;
}

static int
add_fresh(struct git *g, const char *real, const char *branch, const char *commit, struct err *e)
{
	char *admin = NULL;
	int rc = add_empty(g, real, branch, commit, &admin, e);

	if (rc == 0)
		rc = fill(g, real, e);
	if (rc == 0)
		rc = git_write_line(admin, GIT_READY_MARK, commit, e);
	free(admin);
	return rc;
}

/* A folder with content whose administration is gone: the content stays, as changes since the branch or
 * commit. */
static int
adopt(struct git *g, const char *real, const char *branch, const char *commit, char **admin, struct err *e)
{
	struct git wt;
	int there = branch != NULL ? branch_exists(g, branch, e) : 1, rc;

	if (there < 0)
		return there;
	rc = there ? 0 : git_update_branch(g, branch, commit, "", e);
	if (rc == 0)
		rc = git_admin_make(g, real, branch, commit, true, admin, e);
	if (rc == 0)
		rc = git_admin_repair(real, *admin, NULL, e);
	if (rc == 0)
		rc = git_init_worktree(&wt, g, real, e);
	if (rc < 0)
		return rc;
	rc = git_run(&wt, 0, NULL, e, "read-tree", "HEAD", NULL);
	git_clear(&wt);
	return rc;
}

int
git_worktree_add(struct git *g, const char *path, const char *branch, const char *commit, struct err *e)
{
	char *real = NULL, *admin = NULL;
	struct stat st;
	bool folder;
	int rc = git_real_path(path, &real, e);

	if (rc == 0 && lstat(real, &st) == 0 && !S_ISDIR(st.st_mode))
		rc = err_set(
		    e, -ENOTDIR, "%s is in the way of a worktree and is no folder; move it away", real);
	if (rc == 0)
		rc = git_admin_find(g, real, &admin, e);
	if (rc < 0)
		goto out;
	folder = git_is_folder(real);
	if (admin != NULL && folder && git_admin_complete(admin)) {
		rc = git_admin_repair(real, admin, NULL, e);
		goto out;
	}
	if (admin == NULL && folder && !git_is_empty(real)) {
		rc = adopt(g, real, branch, commit, &admin, e);
		goto out;
	}
	if (admin != NULL)
		rc = remove_half_made(g, real, admin, e);
	if (rc == 0)
		rc = git_admin_tidy(g, real, e);
	if (rc == 0)
		rc = add_fresh(g, real, branch, commit, e);
out:
	free(real);
	free(admin);
	return rc;
}

/* What git_move_aside() put beside it. */
static int
remove_aside(struct git *g, const char *real, struct err *e)
{
	int rc = 0;

	for (int n = 1; rc == 0 && n < GIT_ASIDE_MAX; n++) {
		char *path = xasprintf("%s" GIT_ASIDE "%d", real, n);
		struct stat st;
		bool there = lstat(path, &st) == 0;

		if (there)
			rc = git_remove_tree(g, path, e);
		free(path);
		if (!there)
			break;
	}
	return rc;
}

/* The administration of worktrees that an agent made inside this one: their folders have just gone. */
static int
remove_admins_below(struct git *g, const char *real, struct err *e)
{
	char **paths = NULL;
	int rc = git_worktrees_below(g, real, &paths, e);

	for (size_t i = 0; rc == 0 && paths[i] != NULL; i++) {
		char *admin = NULL;

		rc = git_admin_find(g, paths[i], &admin, e);
		if (rc == 0 && admin != NULL)
			rc = remove_admin(g, admin, e);
		free(admin);
	}
	git_free_paths(paths);
	return rc;
}

int
git_worktree_remove(struct git *g, const char *path, struct err *e)
{
	char *real = NULL, *admin = NULL;
	int rc = git_real_path(path, &real, e);

	if (rc == 0)
		rc = git_admin_find(g, real, &admin, e);
	if (rc == 0 && admin != NULL)
		drop_mark(admin); /* killed from here on, the rest goes the next time */
	if (rc == 0)
		rc = git_remove_tree(g, real, e);
	if (rc == 0)
		rc = remove_aside(g, real, e);
	if (rc == 0)
		rc = remove_admins_below(g, real, e);
	if (rc == 0 && admin != NULL)
		rc = remove_admin(g, admin, e);
	if (rc == 0)
		rc = git_admin_tidy(g, real, e);
	free(real);
	free(admin);
	return rc;
}

int
git_worktree_exact(struct git *wt, const char *commit, struct err *e)
{
	int rc = git_admin_repair(wt->work_tree, wt->work_git_dir, NULL, e);

	if (rc == 0)
		rc = git_admin_settle(wt, NULL, e);
	if (rc == 0) /* first off any branch that something switched to: reset would move it */
		rc = git_write_line(wt->work_git_dir, "HEAD", commit, e);
	if (rc == 0 && git_run(wt, 0, NULL, NULL, "reset", "--hard", "--quiet", commit, NULL) < 0) {
		char *index = xasprintf("%s/index", wt->work_git_dir); /* perhaps a broken one */

		unlink(index);
		free(index);
		rc = git_run(wt, 0, NULL, e, "reset", "--hard", "--quiet", commit, NULL);
	}
	if (rc == 0)
		rc = git_run(wt, 0, NULL, e, "clean", "-ffdxq", NULL);
	return rc;
}
