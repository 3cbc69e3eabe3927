/*
 * repo: see repo.h. Follows what gitrepository-layout(5) says about .git files and commondir; a .git that is
 * no git directory is passed by, as git does.
 */
#include "common/repo.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "common/text.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define POINTER_MAX 8192        /* a .git file or commondir: one path */
#define OWNER_FILE "repository" /* in a state folder outside the git directory: whose it is */

static bool
is_dir(const char *parent, const char *name)
{
	char *path = xasprintf("%s/%s", parent, name);
	struct stat st;
	bool yes = stat(path, &st) == 0 && S_ISDIR(st.st_mode);

	free(path);
	return yes;
}

static bool
is_git_dir(const char *path)
{
	char *head = xasprintf("%s/HEAD", path);
	struct stat st;
	bool yes = lstat(head, &st) == 0 && is_dir(path, "objects") && is_dir(path, "refs");

	free(head);
	return yes;
}

/* The path that a one-line file holds after prefix, resolved from base; NULL when there is none. */
static char *
read_pointer(const char *file, const char *prefix, const char *base)
{
	char *data, *path = NULL, *real = NULL;
	size_t n = strlen(prefix);

	if (fd_read_file(file, POINTER_MAX, &data, NULL) < 0)
		return NULL;
	data[strcspn(data, "\r\n")] = '\0';
	if (strncmp(data, prefix, n) == 0 && data[n] != '\0') {
		path = data[n] == '/' ? xstrdup(data + n) : xasprintf("%s/%s", base, data + n);
		real = realpath(path, NULL);
	}
	free(path);
	free(data);
	return real;
}

/* The repository's common directory for a checkout's own: the same but for linked worktrees. Takes git_dir.
 */
static char *
common_dir(char *git_dir)
{
	char *file = xasprintf("%s/commondir", git_dir);
	char *common = read_pointer(file, "", git_dir);

	free(file);
	if (common == NULL)
		return git_dir;
	free(git_dir);
	return common;
}

/* What lies at dir itself: 1 found (git_dir, and top but for a bare one), 0 nothing, -errno. */
static int
probe(const char *dir, char **git_dir, char **top, struct err *e)
{
	const char *base = strrchr(dir, '/') + 1;
	char *dot = xasprintf("%s/.git", dir);
	char *found = NULL;
	struct stat st;
	int rc = 0;

	if (stat(dot, &st) == 0 && S_ISREG(st.st_mode)) {
		found = read_pointer(dot, "gitdir: ", dir);
		if (found != NULL)
			found = common_dir(found);
		if (found == NULL || !is_git_dir(found)) {
			rc = err_set(e, -ENOENT,
			    "%s does not lead to a git directory; run `git worktree repair`, or clone again",
			    dot);
			goto out;
		}
	} else if (is_git_dir(dot)) {
		found = realpath(dot, NULL);
	}
	if (found != NULL) {
		*git_dir = found;
		*top = xstrdup(dir);
		found = NULL;
		rc = 1;
	} else if (is_git_dir(dir)) {
		*git_dir = xstrdup(dir);
		*top = strcmp(base, ".git") == 0 ? xstrndup(dir, (size_t)(base - 1 - dir)) : NULL;
		rc = 1;
	}
out:
	free(found);
	free(dot);
	return rc;
}

static int
find_git_dir(const char *start, char **git_dir, char **top, struct err *e)
{
	char *dir = realpath(start, NULL), *slash;
	int rc;

	if (dir == NULL)
		return err_sys(e, -errno, "cannot look for a repository in %s", start);
	for (;;) {
		rc = probe(dir, git_dir, top, e);
		slash = strrchr(dir, '/');
		if (rc != 0 || slash[1] == '\0')
			break;
		*(slash == dir ? slash + 1 : slash) = '\0';
	}
	free(dir);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	dir = realpath(start, NULL);
	err_set(e, 0,
	    "not a git repository (or any parent up to /): %s; run this inside one, or `git init` first",
	    dir == NULL ? start : dir);
	free(dir);
	return -ENOENT;
}

/* FNV-1a, 64 bits: the name of a repository needs no more than to differ from its owner's others. */
static uint64_t
hash_of(const char *s)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3;
	return h;
}

/* $XDG_STATE_HOME; a relative one is to be ignored (XDG Base Directory Specification). */
static char *
state_home(void)
{
	const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	struct passwd *pw;

	if (xdg != NULL && xdg[0] == '/')
		return xstrdup(xdg);
	if (home == NULL || home[0] != '/') {
		pw = getpwuid(geteuid());
		home = pw == NULL || pw->pw_dir[0] != '/' ? NULL : pw->pw_dir;
	}
	return home == NULL ? NULL : xasprintf("%s/.local/state", home);
}

static int
set_places(struct repo *r, const char *state_dir, struct err *e)
{
	const char *folder = r->top != NULL ? r->top : r->git_dir;
	char slug[41], *home;

	r->instance = xasprintf("%016llx", (unsigned long long)hash_of(r->git_dir));
	if (state_dir != NULL) {
		r->state = state_dir[0] == '/' ? xstrdup(state_dir) : xasprintf("%s/%s", folder, state_dir);
		r->worktrees = xasprintf("%s/work", r->state);
	} else {
		home = state_home();
		if (home == NULL)
			return err_set(e, -ENOENT, "no place for worktrees: set HOME or ORCH_STATE_DIR");
		text_slug(slug, strrchr(folder, '/') + 1);
		r->state = xasprintf("%s/orch", r->git_dir);
		r->worktrees = xasprintf("%s/orch/%s-%s", home, slug, r->instance);
		free(home);
	}
	r->socket = xasprintf("%s/ctl.sock", r->state);
	return 0;
}

int
repo_find(struct repo *r, const char *dir, const char *state_dir, struct err *e)
{
	struct repo found = {0};
	int rc;

	if (state_dir == NULL || state_dir[0] == '\0')
		state_dir = getenv("ORCH_STATE_DIR");
	if (state_dir != NULL && state_dir[0] == '\0')
		state_dir = NULL;
	rc = find_git_dir(dir == NULL ? "." : dir, &found.git_dir, &found.top, e);
	if (rc == 0)
		rc = set_places(&found, state_dir, e);
	if (rc < 0) {
		repo_clear(&found);
		return rc;
	}
	*r = found;
	return 0;
}

void
repo_clear(struct repo *r)
{
	free(r->top);
	free(r->git_dir);
	free(r->state);
	free(r->worktrees);
	free(r->socket);
	free(r->instance);
	memset(r, 0, sizeof(*r));
}

static bool
is_empty_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	bool empty = dir != NULL;

	while (empty && (d = readdir(dir)) != NULL)
		empty = strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0;
	if (dir != NULL)
		closedir(dir);
	return empty;
}

/*
 * ORCH_STATE_DIR may name anything, and its mode will be changed: take only a folder that was empty or is
 * this repository's already. Two repositories in one would take each other's runs.
 */
static int
claim_state(const struct repo *r, struct err *e)
{
	char *file = xasprintf("%s/" OWNER_FILE, r->state), *owner = NULL;
	int rc = fd_read_file(file, PATH_MAX, &owner, NULL);

	if (rc == -ENOENT) {
		rc = is_empty_dir(r->state) ? fd_write_file(file, r->git_dir, strlen(r->git_dir), 0600)
					    : err_set(e, -ENOTEMPTY,
						  "%s holds files that are not orch's: ORCH_STATE_DIR must "
						  "be a folder of its own",
						  r->state);
		if (rc < 0 && rc != -ENOTEMPTY)
			err_sys(e, rc,
			    "cannot write in %s; ORCH_STATE_DIR must name a folder that can be written",
			    r->state);
	} else if (rc < 0) {
		err_sys(e, rc, "cannot read %s", file);
	} else if (strcmp(owner, r->git_dir) != 0) {
		rc = err_set(e, -EBUSY,
		    "%s is the state of another repository (%s): give each its own ORCH_STATE_DIR", r->state,
		    owner);
	}
	free(owner);
	free(file);
	return rc;
}

static int
make_private(const char *path, const char *what, struct err *e)
{
	struct stat st;
	int rc = fd_mkdirs(path, 0700);

	if (rc == 0 && (stat(path, &st) < 0 || access(path, R_OK | W_OK | X_OK) < 0))
		rc = -errno;
	if (rc < 0)
		return err_sys(e, rc, "cannot use the %s folder %s (ORCH_STATE_DIR moves it)", what, path);
	if (st.st_uid != geteuid())
		return err_set(e, -EPERM,
		    "the %s folder %s belongs to user %u, not to us (%u): ORCH_STATE_DIR moves it", what,
		    path, (unsigned)st.st_uid, (unsigned)geteuid());
	return 0;
}

/* A database in a folder that is lost with the power is lost. */
static void
keep_names(const char *path)
{
	char *above = xstrdup(path), *slash;

	fd_sync_folder(path);
	for (int up = 0; up < 2 && (slash = strrchr(above, '/')) != NULL && slash != above; up++) {
		*slash = '\0';
		fd_sync_folder(above);
	}
	free(above);
}

int
repo_make_dirs(const struct repo *r, struct err *e)
{
	size_t n = strlen(r->git_dir);
	bool inside = strncmp(r->state, r->git_dir, n) == 0 && r->state[n] == '/';
	int rc = make_private(r->state, "state", e);

	if (rc == 0 && !inside)
		rc = claim_state(r, e);
	if (rc == 0 && chmod(r->state, 0700) < 0)
		rc = err_sys(e, -errno, "cannot make %s private", r->state);
	if (rc == 0)
		rc = make_private(r->worktrees, "worktree", e);
	if (rc == 0)
		keep_names(r->state);
	return rc;
}
