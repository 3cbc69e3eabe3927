/*
 * git_admin: the administration of worktrees, <git_dir>/worktrees/NAME, read and put right without git, which
 * refuses to work with a broken one. NAME is git's choice, so it is found by what its gitdir file says.
 */
#include "common/git_impl.h"

#include "common/alloc.h"
#include "common/fd.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Is there no such file, or one that was never written? */
static bool
is_blank(const char *folder, const char *name)
{
	char *path = xasprintf("%s/%s", folder, name);
	struct stat st;
	bool blank = lstat(path, &st) < 0 ? errno == ENOENT : S_ISREG(st.st_mode) && st.st_size == 0;

	free(path);
	return blank;
}

/* "25-em1" is what git calls the worktree of a folder 25-em1, "25-em11" another one's; below it is
 * "25-em1-w2". */
static bool
is_named_for(const char *name, const char *base)
{
	size_t n = strlen(base);

	if (strncmp(name, base, n) != 0)
		return false;
	return name[n] == '-' || name[n + strspn(name + n, "0123456789")] == '\0';
}

/* git makes the folder, then locked, then gitdir. Before locked is written, the name is all that says whose
 * it is. */
static bool
is_stillborn(const char *admin, const char *name, const char *base)
{
	char *folder = folder_of(admin);
	bool dead = folder == NULL && is_blank(admin, "gitdir") &&
		    (holds_line(admin, "locked", GIT_LOCK_REASON) ||
			(is_blank(admin, "locked") && is_named_for(name, base)));

	free(folder);
	return dead;
}

/* Removes only under the lane: without it, git may just be about to write more. */
static int
tidy(struct git *repo, const char *all, const char *base, bool remove, bool *any, struct err *e)
{
	struct dirent *entry;
	DIR *d = opendir(all);
	int rc = 0;

	while (rc == 0 && d != NULL && (entry = readdir(d)) != NULL) {
		char *one = xasprintf("%s/%s", all, entry->d_name);

		if (entry->d_name[0] != '.' && is_stillborn(one, entry->d_name, base)) {
			*any = true;
			rc = remove ? git_remove_tree(repo, one, e) : 0;
		}
		free(one);
	}
	if (d != NULL)
		closedir(d);
	return rc;
}

static char *
draft_of(struct git *repo, const char *real)
{
	return xasprintf("%s/orch-admin-%s", repo->git_dir, strrchr(real, '/') + 1);
}

int
git_admin_tidy(struct git *repo, const char *real, struct err *e)
{
	char *all = xasprintf("%s/worktrees", repo->git_dir);
	const char *base = strrchr(real, '/') + 1;
	bool any = false;
	int fd, rc = tidy(repo, all, base, false, &any, e);

	if (rc == 0 && any) {
		rc = git_lane_take(repo, &fd, e);
		if (rc == 0) {
			rc = tidy(repo, all, base, true, &any, e);
			rmdir(all);
			fd_close(&fd);
		}
	}
	free(all);
	if (rc == 0) {
		char *draft = draft_of(repo, real);

		rc = git_remove_tree(repo, draft, e);
		free(draft);
	}
	return rc;
}

static bool
names_branch(const char *folder, const char *branch)
{
	char *head = git_admin_head(folder), *line = xasprintf("ref: refs/heads/%s", branch);
	bool same = head != NULL && strcmp(head, line) == 0;

	free(head);
	free(line);
	return same;
}

char *
git_branch_user(struct git *repo, const char *branch)
{
	char *all = xasprintf("%s/worktrees", repo->git_dir), *where = NULL;
	struct dirent *entry;
	DIR *d = opendir(all);

	if (names_branch(repo->git_dir, branch))
		where = xasprintf("the checkout of %s", repo->git_dir);
	while (where == NULL && d != NULL && (entry = readdir(d)) != NULL) {
		char *one = xasprintf("%s/%s", all, entry->d_name);

		if (entry->d_name[0] != '.' && names_branch(one, branch)) {
			char *folder = folder_of(one);

			where = xasprintf("the worktree %s", folder != NULL ? folder : one);
			free(folder);
		}
		free(one);
	}
	if (d != NULL)
		closedir(d);
	free(all);
	return where;
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
	for (int n = 1; n < GIT_ASIDE_MAX; n++) {
		char *to = xasprintf("%s" GIT_ASIDE "%d", real, n);
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

static int
write_admin(const char *draft, const char *real, const char *head, const char *ready, struct err *e)
{
	char *dotgit = xasprintf("%s/.git", real);
	int rc = fd_mkdirs(draft, 0755);

	if (rc < 0)
		err_sys(e, rc, "cannot make %s", draft);
	if (rc == 0)
		rc = git_write_line(draft, "HEAD", head, e);
	if (rc == 0)
		rc = git_write_line(draft, "commondir", "../..", e);
	if (rc == 0)
		rc = git_write_line(draft, "gitdir", dotgit, e);
	if (rc == 0)
		rc = git_write_line(draft, "locked", GIT_LOCK_REASON, e);
	if (rc == 0 && ready != NULL)
		rc = git_write_line(draft, GIT_READY_MARK, ready, e);
	free(dotgit);
	return rc;
}

/*
 * Made beside worktrees/ and renamed into it when it is whole and on the disk: it may be all that ties work
 * to the repository, and an empty file in it, as a power cut leaves what git writes there, stops every git of
 * the user's.
 */
int
git_admin_make(struct git *repo, const char *real, const char *branch, const char *commit, bool complete,
    char **admin, struct err *e)
{
	char *draft = draft_of(repo, real), *all = xasprintf("%s/worktrees", repo->git_dir), *final = NULL;
	char *head = branch != NULL ? xasprintf("ref: refs/heads/%s", branch) : xstrdup(commit);
	int fd = -1, rc = git_lane_take(repo, &fd, e);

	if (rc == 0)
		rc = git_remove_tree(repo, draft, e); /* of one that was killed here */
	if (rc == 0)
		rc = write_admin(draft, real, head, complete ? commit : NULL, e);
	if (rc == 0 && (rc = fd_mkdirs(all, 0755)) < 0)
		err_sys(e, rc, "cannot make %s", all);
	if (rc == 0) {
		final = free_admin_name(repo->git_dir, strrchr(real, '/') + 1);
		if (rename(draft, final) < 0)
			rc = err_sys(e, -errno, "cannot make %s", final);
		else if ((rc = fd_sync_folder(all)) < 0 || (rc = fd_sync_folder(repo->git_dir)) < 0)
			err_sys(e, rc, "cannot write %s to the disk", final);
	}
	fd_close(&fd);
	if (rc == 0)
		*admin = final;
	else
		free(final);
	free(draft);
	free(all);
	free(head);
	return rc;
}
