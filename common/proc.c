/* proc: see proc.h. Reads /proc with small fixed buffers; a process that vanishes in between is simply not
 * there. */
#include "common/proc.h"

#include "common/alloc.h"
#include "common/fd.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define CHILDREN_BYTES (16 << 20)

struct stat_fields {
	char state;
	pid_t ppid;
	uint64_t start;
};

static int
read_stat(pid_t pid, struct stat_fields *f)
{
	char path[64], buf[1024], *p;
	unsigned long long start;
	int fd, ppid;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ESRCH;
	n = fd_read(fd, buf, sizeof(buf) - 1);
	fd_close(&fd);
	if (n <= 0)
		return -ESRCH;
	buf[n] = '\0';
	p = strrchr(buf, ')'); /* the name before it may hold anything */
	if (p == NULL ||
	    sscanf(p + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		&f->state, &ppid, &start) != 3)
		return -ESRCH;
	f->ppid = ppid;
	f->start = start;
	return 0;
}

static bool
is_dead(char state)
{
	return state == 'Z' || state == 'X';
}

int
proc_start_time(pid_t pid, uint64_t *ticks)
{
	struct stat_fields f;
	int rc = read_stat(pid, &f);

	if (rc < 0)
		return rc;
	if (is_dead(f.state))
		return -ESRCH;
	*ticks = f.start;
	return 0;
}

pid_t
proc_parent(pid_t pid)
{
	struct stat_fields f;
	int rc = read_stat(pid, &f);

	return rc < 0 ? rc : f.ppid;
}

void
proc_each(bool (*fn)(void *arg, pid_t pid), void *arg)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;

	if (dir == NULL)
		return;
	while ((d = readdir(dir)) != NULL)
		if (isdigit((unsigned char)d->d_name[0]) && !fn(arg, (pid_t)atoi(d->d_name)))
			break;
	closedir(dir);
}

struct pid_list {
	pid_t parent;
	pid_t *pids;
	int n, room;
};

static void
add_pid(struct pid_list *list, pid_t pid)
{
	if (list->n == list->room) {
		list->room = list->room == 0 ? 16 : list->room * 2;
		list->pids = xrealloc(list->pids, (size_t)list->room * sizeof(pid_t));
	}
	list->pids[list->n++] = pid;
}

static bool
add_if_child(void *arg, pid_t pid)
{
	struct pid_list *list = arg;

	if (proc_parent(pid) == list->parent)
		add_pid(list, pid);
	return true;
}

/* The kernel's own list (CONFIG_PROC_CHILDREN), thread by thread. */
static int
children_of_threads(pid_t pid, struct pid_list *list)
{
	char path[128];
	DIR *dir;
	struct dirent *d;
	bool read_one = false;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (dir == NULL)
		return -ESRCH;
	while ((d = readdir(dir)) != NULL) {
		char *pids = NULL, *at, *end;
		size_t size;
		long child;
		int rc;

		if (!isdigit((unsigned char)d->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/children", (int)pid, d->d_name);
		rc = fd_read_file(path, CHILDREN_BYTES, &pids, &size);
		read_one |= rc != -ENOENT; /* it may vanish while it is read */
		if (rc < 0)
			continue;
		for (at = pids; (child = strtol(at, &end, 10)) > 0; at = end)
			add_pid(list, (pid_t)child);
		free(pids);
	}
	closedir(dir);
	return read_one ? 0 : -ENOENT;
}

int
proc_children(pid_t pid, pid_t **pids)
{
	struct pid_list list = {.parent = pid};
	int rc = children_of_threads(pid, &list);

	if (rc == -ESRCH)
		return rc;
	if (rc == -ENOENT)
		proc_each(add_if_child, &list);
	*pids = list.pids;
	return list.n;
}

bool
proc_has_env(pid_t pid, const char *name, const char *value)
{
	char path[64], *data, *wanted;
	size_t size, len;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	if (fd_read_file(path, 4 << 20, &data, &size) < 0)
		return false;
	wanted = xasprintf("%s=%s", name, value);
	len = strlen(wanted) + 1;
	for (size_t i = 0; i + len <= size + 1 && !found; i += strlen(data + i) + 1)
		found = memcmp(data + i, wanted, len) == 0;
	free(wanted);
	free(data);
	return found;
}

void
proc_hide_memory(void)
{
	prctl(PR_SET_DUMPABLE, 0);
}

int
proc_become_subreaper(void)
{
	return prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ? -errno : 0;
}

/*
 * Kills pid and all below it. parent: whose list named it. A pid whose parent is somebody else by now is left
 * to the next walk: it fell back to us, or it is another process of that number. Returns how many were alive.
 */
static int
kill_subtree(pid_t pid, pid_t parent)
{
	pid_t *pids = NULL;
	struct stat_fields f;
	int n, alive = 0;

	n = proc_children(pid, &pids);
	if (read_stat(pid, &f) == 0 && !is_dead(f.state)) {
		if (f.ppid == parent)
			kill(pid, SIGKILL);
		alive++;
	}
	for (int i = 0; i < n; i++)
		alive += kill_subtree(pids[i], pid);
	free(pids);
	return alive;
}

/* Whether our list of children is what it was: it loses entries by our own reaping alone, so a new one, which
 * comes last, makes it longer. */
static bool
has_grown(int before)
{
	pid_t *pids = NULL;
	int n = proc_children(getpid(), &pids);

	free(pids);
	return n > before;
}

/*
 * A walk that found nobody alive may have missed the child of a parent that died in it: not yet ours when our
 * list was read, no longer the parent's when that one's was. The dead hand nothing on any more, so it is over
 * when nobody has been added since.
 */
int
proc_kill_descendants(bool (*keep)(void *arg, pid_t pid), void *arg)
{
	pid_t *pids, self = getpid();
	int n, alive = 0;

	do {
		pids = NULL;
		n = proc_children(self, &pids);
		for (int i = 0; i < n; i++)
			if (keep == NULL || !keep(arg, pids[i]))
				alive += kill_subtree(pids[i], self);
		free(pids);
	} while (alive == 0 && has_grown(n));
	return alive;
}
