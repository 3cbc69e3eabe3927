/*
 * git_worktree: worktrees of ours, at paths of ours, in whatever state a kill, an agent or a person left
 * them.
 *
 * A worktree is a folder and its administration, <git_dir>/worktrees/NAME; NAME is git's choice, so it is
 * found by what its gitdir file says. A mark in the administration says that git had finished making it:
 * without the mark nothing of value can be in the folder yet; with it, nothing is ever thrown away but by
 * git_worktree_remove().
 */
#include "common/git_impl.h"

#include "common/alloc.h"
#include "common/cmd.h"
#include "common/fd.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASIDE ".planted-git-"
#define ASIDE_MAX 10000

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

static bool
exists_in(const char *folder, const char *name)
{
	char *path = xasprintf("%s/%s", folder, name);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

/* Does <admin>/<name> hold just this line? */
static bool
holds_line(const char *admin, const char *name, const char *line)
{
	char *path = xasprintf("%s/%s", admin, name), *text = NULL;
	bool same = false;

	if (fd_read_file(path, PATH_MAX + 64, &text, NULL) == 0) {
		text[strcspn(text, "\r\n")] = '\0';
		same = strcmp(text, line) == 0;
	}
	free(text);
	free(path);
	return same;
}

int
git_write_line(const char *folder, const char *name, const char *line, struct err *e)
{
	char *path = xasprintf("%s/%s", folder, name), *text = xasprintf("%s\n", line);
	int rc = fd_write_file(path, text, strlen(text), 0644);

	if (rc < 0)
		err_sys(e, rc, "cannot write %s", path);
	free(path);
	free(text);
	return rc;
}

char *
git_admin_head(const char *admin)
{
	static const char ref[] = "ref: refs/";
	char *path = xasprintf("%s/HEAD", admin), *text = NULL;
	bool valid = false;

	if (fd_read_file(path, PATH_MAX, &text, NULL) == 0) {
		size_t hex = strspn(text, "0123456789abcdef");

		text[strcspn(text, "\r\n")] = '\0';
		valid = strncmp(text, ref, sizeof(ref) - 1) == 0 ||
			((hex == 40 || hex == 64) && text[hex] == '\0');
	}
	free(path);
	if (!valid) {
		free(text);
		return NULL;
	}
	return text;
}

int
git_admin_find(struct git *repo, const char *real, char **admin, struct err *e)
{
	char *all = xasprintf("%s/worktrees", repo->git_dir), *dotgit = xasprintf("%s/.git", real);
	char *found = NULL;
	struct dirent *entry;
	DIR *d = opendir(all);
	int rc = 0;

	if (d == NULL && errno != ENOENT)
		rc = err_sys(e, -errno, "cannot read %s", all);
	while (d != NULL && (entry = readdir(d)) != NULL) {
		char *one = xasprintf("%s/%s", all, entry->d_name);

		/* Should there be two, the one that is complete. */
		if (entry->d_name[0] != '.' && holds_line(one, "gitdir", dotgit) &&
		    (found == NULL || exists_in(one, GIT_READY_MARK))) {
			free(found);
			found = one;
		} else {
			free(one);
		}
	}
	if (d != NULL)
		closedir(d);
	free(all);
	free(dotgit);
	if (rc == 0)
		*admin = found;
	return rc;
}

bool
git_admin_complete(const char *admin)
{
	return exists_in(admin, GIT_READY_MARK) || !holds_line(admin, "locked", GIT_LOCK_REASON);
}

/* The folder that an administration is of. Fresh; NULL when it does not say. */
static char *
folder_of(const char *admin)
{
	char *path = xasprintf("%s/gitdir", admin), *text = NULL, *end;

	if (fd_read_file(path, PATH_MAX + 64, &text, NULL) == 0) {
		text[strcspn(text, "\r\n")] = '\0';
		end = strrchr(text, '/');
		if (text[0] == '/' && strcmp(end, "/.git") == 0)
			*end = '\0';
		else
			text[0] = '\0';
	}
	free(path);
	if (text != NULL && text[0] == '\0') {
		free(text);
		text = NULL;
	}
	return text;
}

int
git_worktrees_below(struct git *repo, const char *real, char ***paths, struct err *e)
{
	char *all = xasprintf("%s/worktrees", repo->git_dir), **v = xcalloc(1, sizeof(*v));
	size_t n = 0, len = strlen(real);
	struct dirent *entry;
	DIR *d = opendir(all);
	int rc = 0;

	if (d == NULL && errno != ENOENT)
		rc = err_sys(e, -errno, "cannot read %s", all);
	while (d != NULL && (entry = readdir(d)) != NULL) {
		char *admin = xasprintf("%s/%s", all, entry->d_name), *path = folder_of(admin);

		if (path != NULL && strncmp(path, real, len) == 0 && path[len] == '/') {
			v = xrealloc(v, (n + 2) * sizeof(*v));
			v[n++] = path;
			v[n] = NULL;
		} else {
			free(path);
		}
		free(admin);
	}
	if (d != NULL)
		closedir(d);
	free(all);
	if (rc == 0)
		*paths = v;
	else
		git_free_paths(v);
	return rc;
}

void
git_free_paths(char **paths)
{
	for (size_t i = 0; paths != NULL && paths[i] != NULL; i++)
		free(paths[i]);
	free(paths);
}

int
git_move_aside(const char *real, const char *what, struct err *e)
{
	for (int n = 1; n < ASIDE_MAX; n++) {
		char *to = xasprintf("%s" ASIDE "%d", real, n);
		struct stat st;
		int rc = 0;

		if (lstat(to, &st) == 0) {
			free(to);
			continue;
		}
		if (rename(what, to) < 0)
			rc = err_sys(e, -errno, "cannot move %s out of the way", what);
		free(to);
		return rc;
	}
	return err_set(e, -EMLINK, "%s: too many planted .git folders", real);
}

int
git_admin_repair(const char *real, const char *admin, struct git_notes *n, struct err *e)
{
	char *dotgit = xasprintf("%s/.git", real), *line = xasprintf("gitdir: %s", admin);
	struct stat st;
	int rc = 0;

	if (lstat(dotgit, &st) < 0) {
		git_note(n, "the worktree's .git was gone");
	} else if (!S_ISREG(st.st_mode)) {
		git_note(n, "the worktree's .git had been replaced");
		rc = git_move_aside(real, dotgit, e);
	} else if (!holds_line(real, ".git", line)) {
		git_note(n, "the worktree's .git had been changed");
	} else {
		goto links;
	}
	if (rc == 0)
		rc = git_write_line(real, ".git", line, e);
links:
	if (rc == 0 && !holds_line(admin, "gitdir", dotgit))
		rc = git_write_line(admin, "gitdir", dotgit, e);
	if (rc == 0 && !holds_line(admin, "commondir", "../.."))
		rc = git_write_line(admin, "commondir", "../..", e);
	free(dotgit);
	free(line);
	return rc;
}

/* A free name in worktrees/ for the folder called base. */
static char *
free_admin_name(const char *git_dir, const char *base)
{
	char *path = xasprintf("%s/worktrees/%s", git_dir, base);

	for (int n = 1; access(path, F_OK) == 0; n++) {
		free(path);
		path = xasprintf("%s/worktrees/%s%d", git_dir, base, n);
	}
	return path;
}

/* Made beside worktrees/ and renamed into it when it is whole: it may be all that ties work to the
 * repository. */
int
git_admin_make(
    struct git *repo, const char *real, const char *branch, const char *commit, char **admin, struct err *e)
{
	char *draft = xasprintf("%s/orch-admin-%d", repo->git_dir, (int)getpid());
	char *all = xasprintf("%s/worktrees", repo->git_dir), *dotgit = xasprintf("%s/.git", real);
	char *head = branch != NULL ? xasprintf("ref: refs/heads/%s", branch) : xstrdup(commit);
	char *final = NULL;
	int rc = git_remove_tree(repo, draft, e);

	if (rc == 0 && ((rc = fd_mkdirs(draft, 0755)) < 0 || (rc = fd_mkdirs(all, 0755)) < 0))
		err_sys(e, rc, "cannot make %s", rc == 0 ? all : draft);
	if (rc == 0)
		rc = git_write_line(draft, "HEAD", head, e);
	if (rc == 0)
		rc = git_write_line(draft, "commondir", "../..", e);
	if (rc == 0)
		rc = git_write_line(draft, "gitdir", dotgit, e);
	if (rc == 0)
		rc = git_write_line(draft, "locked", GIT_LOCK_REASON, e);
	if (rc == 0)
		rc = git_write_line(draft, GIT_READY_MARK, commit, e);
	if (rc == 0) {
		final = free_admin_name(repo->git_dir, strrchr(real, '/') + 1);
		if (rename(draft, final) < 0)
			rc = err_sys(e, -errno, "cannot make %s", final);
	}
	if (rc == 0)
		*admin = final;
	else
		free(final);
	free(draft);
	free(all);
	free(dotgit);
	free(head);
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
 * and it has the lane. The last one takes the folder worktrees with it, as git does.
 */
static int
remove_admin(struct git *g, const char *admin, struct err *e)
{
	char *all = xasprintf("%s/worktrees", g->git_dir);
	int fd, rc = git_lane_take(g, &fd, e);

	if (rc == 0) {
		rc = git_remove_tree(g, admin, e);
		rmdir(all);
		fd_close(&fd);
	}
	free(all);
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
	rc = git_remove_tree(g, real, e);
	return rc < 0 ? rc : remove_admin(g, admin, e);
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

static int
add_fresh(struct git *g, const char *real, const char *branch, const char *commit, struct err *e)
{
	const char *argv[16];
	struct err why = {0};
	char *admin = NULL;
	size_t n = 0;
	int there = branch != NULL ? branch_exists(g, branch, e) : 0, rc;

	if (there < 0)
		return there;
	argv[n++] = "worktree";
	argv[n++] = "add";
	argv[n++] = "--quiet";
	argv[n++] = "--lock";
	argv[n++] = "--reason";
	argv[n++] = GIT_LOCK_REASON;
	if (branch == NULL) {
		argv[n++] = "--detach";
	} else if (there == 0) {
		argv[n++] = "--no-track";
		argv[n++] = "-b";
		argv[n++] = branch;
	}
	argv[n++] = "--";
	argv[n++] = real;
	argv[n++] = branch != NULL && there ? branch : commit;
	argv[n] = NULL;
	rc = git_runv(g, GIT_LANE, NULL, &why, argv, NULL, NULL, 0);
	if (rc < 0 && strstr(why.msg, "already checked out") != NULL)
		return err_set(e, -EBUSY,
		    "the branch %s is in use by another worktree; free it there first: %s", branch, why.msg);
	if (rc < 0)
		return err_set(e, rc, "%s", why.msg);
	rc = git_admin_find(g, real, &admin, e);
	if (rc == 0 && admin == NULL)
		rc = err_set(e, -EIO, "git made the worktree %s, but not where it should be", real);
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
		rc = git_admin_make(g, real, branch, commit, admin, e);
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

static bool
is_empty(const char *folder)
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
	if (admin == NULL && folder && !is_empty(real)) {
		rc = adopt(g, real, branch, commit, &admin, e);
		goto out;
	}
	if (admin != NULL)
		rc = remove_half_made(g, real, admin, e);
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

	for (int n = 1; rc == 0 && n < ASIDE_MAX; n++) {
		char *path = xasprintf("%s" ASIDE "%d", real, n);
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
