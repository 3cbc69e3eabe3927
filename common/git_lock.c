/*
 * git_lock: lock files that stand in git's way, and the lane. A lock of ours that no process holds was left
 * by a git that was killed, and goes; anybody else's is waited for, and never removed.
 */
#include "common/git_impl.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 10000
#define PAUSE_FIRST_MS 20
#define PAUSE_MAX_MS 500
#define DELETE_NOTE "orch-deleting-"
#define STALE_S 2 /* git may close a lock file and still mean it; seconds later it does not */

/*
 * The lock file that git names: "Unable to create '/x/index.lock': File exists." or "could not lock config
 * file /x/config: File exists". A ref that is "at A but expected B" is no lock. NULL when there is none.
 */
static char *
lock_named(const char *words)
{
	static const char create[] = "nable to create '", config[] = "could not lock config file ";
	const char *p = strstr(words, create), *end;

	if (p != NULL) {
		p += sizeof(create) - 1;
		end = strstr(p, ".lock': File exists");
		return end == NULL ? NULL : xstrndup(p, (size_t)(end - p) + strlen(".lock"));
	}
	p = strstr(words, config);
	if (p != NULL) {
		p += sizeof(config) - 1;
		end = strstr(p, ": File exists");
		return end == NULL ? NULL : xasprintf("%.*s.lock", (int)(end - p), p);
	}
	return NULL;
}

struct holder {
	const char *path;
	bool found;
};

static bool
look_for_holder(void *arg, pid_t pid)
{
	struct holder *h = arg;
	char dir[64], target[4096];
	struct dirent *entry;
	DIR *d;

	snprintf(dir, sizeof(dir), "/proc/%d/fd", (int)pid);
	d = opendir(dir);
	if (d == NULL)
		return true;
	while (!h->found && (entry = readdir(d)) != NULL) {
		ssize_t n = readlinkat(dirfd(d), entry->d_name, target, sizeof(target) - 1);

		if (n > 0) {
			target[n] = '\0';
			h->found = strcmp(target, h->path) == 0;
		}
	}
	closedir(d);
	return !h->found;
}

bool
git_lock_held(const char *path)
{
	char *real = realpath(path, NULL);
	struct holder h = {.path = real != NULL ? real : path};

	proc_each(look_for_holder, &h);
	free(real);
	return h.found;
}

static bool
below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && path[n] == '/';
}

/* In the administration of a worktree that was locked by us? */
static bool
in_our_worktree(const struct git *g, const char *path)
{
	char *all = xasprintf("%s/worktrees", g->git_dir), *mark = NULL, *text = NULL;
	bool ours = false;

	if (g->work_git_dir != NULL && below(path, g->work_git_dir)) {
		ours = true;
	} else if (below(path, all)) {
		const char *name = path + strlen(all) + 1;

		mark = xasprintf("%s/%.*s/locked", all, (int)strcspn(name, "/"), name);
		if (fd_read_file(mark, 4096, &text, NULL) == 0)
			ours = strncmp(text, GIT_LOCK_REASON, strlen(GIT_LOCK_REASON)) == 0;
	}
	free(all);
	free(mark);
	free(text);
	return ours;
}

static bool
is_ours(const struct git *g, const char *path)
{
	static const char *const folders[] = {"refs/heads/" GIT_BRANCH_DIR, "refs/orch"};
	bool ours = in_our_worktree(g, path);

	for (size_t i = 0; !ours && i < sizeof(folders) / sizeof(folders[0]); i++) {
		char *folder = xasprintf("%s/%s", g->git_dir, folders[i]);

		ours = below(path, folder);
		free(folder);
	}
	return ours;
}

/* Is the process that wrote this note of a deletion gone? Its name ends in pid and start time. */
static bool
is_dead_note(const char *name)
{
	unsigned long long started;
	uint64_t now;
	int pid;

	if (sscanf(name, DELETE_NOTE "%d-%llu", &pid, &started) != 2)
		return false;
	return pid == 0 || proc_start_time((pid_t)pid, &now) < 0 || now != started;
}

/* Calls fn with the name and time of each note of the dead until it returns false. */
static void
each_dead_note(
    const struct git *g, bool (*fn)(int dir, const char *name, time_t written, void *arg), void *arg)
{
	DIR *d = opendir(g->git_dir);
	struct dirent *entry;
	struct stat st;

	while (d != NULL && (entry = readdir(d)) != NULL)
		if (is_dead_note(entry->d_name) && fstatat(dirfd(d), entry->d_name, &st, 0) == 0 &&
		    !fn(dirfd(d), entry->d_name, st.st_mtime, arg))
			break;
	if (d != NULL)
		closedir(d);
}

struct deletion {
	time_t made; /* the lock */
	bool found;
};

static bool
came_before(int dir, const char *name, time_t written, void *arg)
{
	struct deletion *k = arg;

	(void)dir;
	(void)name;
	k->found = written <= k->made;
	return !k->found;
}

/* Did somebody write that he was about to delete, before the lock was made, and die? */
static bool
dead_deleter(const struct git *g, time_t made)
{
	struct deletion k = {.made = made};

	each_dead_note(g, came_before, &k);
	return k.found;
}

static bool
drop_note(int dir, const char *name, time_t written, void *arg)
{
	(void)written;
	(void)arg;
	unlinkat(dir, name, 0);
	return true;
}

/*
 * Notes of the dead say nothing any more when there is no lock. But a git may outlive its role by a moment,
 * and make the lock then: only who has the lane knows that there is none.
 */
static void
drop_dead_notes(const struct git *g, const char *lock)
{
	char *path = xasprintf("%s/" GIT_LANE_FILE, g->git_dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && access(lock, F_OK) < 0)
		each_dead_note(g, drop_note, NULL);
	fd_close(&fd);
	free(path);
}

static bool
is_packed_refs_lock(const struct git *g, const char *path)
{
	char *lock = xasprintf("%s/packed-refs.lock", g->git_dir);
	bool same = strcmp(path, lock) == 0;

	free(lock);
	return same;
}

char *
git_delete_begin(struct git *g)
{
	char *lock = xasprintf("%s/packed-refs.lock", g->git_dir), *path;
	uint64_t started = 0;
	int fd;

	drop_dead_notes(g, lock);
	free(lock);
	proc_start_time(getpid(), &started);
	path = xasprintf("%s/" DELETE_NOTE "%d-%llu", g->git_dir, (int)getpid(), (unsigned long long)started);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) {
		free(path);
		return NULL;
	}
	close(fd);
	return path;
}

void
git_delete_end(struct git *g, char *note, int rc)
{
	char *lock = xasprintf("%s/packed-refs.lock", g->git_dir);
	char *dead = xasprintf("%s/" DELETE_NOTE "0-%d", g->git_dir, (int)getpid());

	if (note != NULL && rc < 0 && rc != -EBUSY && access(lock, F_OK) == 0)
		rename(note, dead);
	else if (note != NULL)
		unlink(note);
	free(lock);
	free(dead);
	free(note);
}

static void
remove_if_stale(const struct git *g, const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	if (!is_ours(g, path) && !(is_packed_refs_lock(g, path) && dead_deleter(g, st.st_mtime)))
		return;
	if (time(NULL) - st.st_mtime < STALE_S || git_lock_held(path))
		return;
	unlink(path);
}

int
git_lock_wait(struct git *g, const char *words, struct git_lock_wait *w, struct err *e)
{
	const bool never = false;
	char *path = lock_named(words);
	int64_t now = clock_now_ms(), wait_ms = g->timeout_ms < WAIT_MS ? g->timeout_ms : WAIT_MS;
	int rc;

	if (path == NULL)
		return 1;
	if (w->deadline_ms == 0) {
		w->deadline_ms = now + wait_ms;
		w->pause_ms = PAUSE_FIRST_MS;
	}
	if (now >= w->deadline_ms) {
		rc = err_set(e, -EBUSY,
		    "%s has been in the way for %.1f s; when no git is running in this repository, remove it",
		    path, (double)wait_ms / 1000);
		free(path);
		return rc;
	}
	remove_if_stale(g, path);
	free(path);
	rc = loop_wait(g->loop, &never, now + w->pause_ms);
	if (w->pause_ms < PAUSE_MAX_MS)
		w->pause_ms *= 2;
	if (rc == -ETIMEDOUT)
		return 0;
	return err_sys(e, rc, "waiting for git's lock");
}

static int
take_lock(struct git *g, const char *path, int *fd_out, struct err *e)
{
	const bool never = false;
	int64_t deadline = clock_now_ms() + g->timeout_ms;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), rc = 0;

	if (fd < 0)
		rc = err_sys(e, -errno, "cannot open %s", path);
	while (rc == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			rc = err_sys(e, -errno, "cannot lock %s", path);
		else if (clock_now_ms() > deadline)
			rc = err_set(e, -EBUSY, "%s has been locked for %lld s", path,
			    (long long)g->timeout_ms / 1000);
		else if ((rc = loop_wait(g->loop, &never, clock_now_ms() + PAUSE_FIRST_MS)) == -ETIMEDOUT)
			rc = 0;
		else
			err_sys(e, rc, "waiting for %s", path);
	}
	if (rc < 0)
		fd_close(&fd);
	else
		*fd_out = fd;
	return rc;
}

int
git_lane_take(struct git *g, int *fd, struct err *e)
{
	char *path = xasprintf("%s/" GIT_LANE_FILE, g->git_dir);
	int rc = take_lock(g, path, fd, e);

	free(path);
	return rc;
}

int
git_checkout_take(struct git *g, const char *admin, int *fd, struct err *e)
{
	char *path = xasprintf("%s/" GIT_CHECKOUT_FILE, admin);
	int rc = take_lock(g, path, fd, e);

	free(path);
	return rc;
}
