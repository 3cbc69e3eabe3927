/*
 * ptree_use: how much memory and how many processes a tree takes, read from /proc. RSS is cheap and counts
 * what is shared once per process; PSS shares it out but makes the kernel walk every page: it is asked for
 * only where RSS alone would already be too much.
 */
#include "common/ptree.h"

#include "common/fd.h"
#include "common/proc.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
read_of(pid_t pid, const char *name, char *buf, size_t size)
{
	char path[64];
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : fd_read(fd, buf, size - 1);
	fd_close(&fd);
	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* proc(5): statm is "size resident shared ..." in pages; all 0 of a zombie. */
static uint64_t
rss(pid_t pid)
{
	unsigned long long pages;
	char buf[128];

	if (!read_of(pid, "statm", buf, sizeof(buf)) || sscanf(buf, "%*u %llu", &pages) != 1)
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Not readable for us (a setuid program): its RSS then. */
static uint64_t
pss(pid_t pid)
{
	unsigned long long kib;
	char buf[1024], *p;

	if (!read_of(pid, "smaps_rollup", buf, sizeof(buf)))
		return rss(pid);
	p = strstr(buf, "\nPss:");
	return p != NULL && sscanf(p, "\nPss: %llu", &kib) == 1 ? kib << 10 : rss(pid);
}

static void
add_below(pid_t pid, uint64_t (*size)(pid_t), struct ptree_use *u)
{
	pid_t *pids = NULL;
	int n = proc_children(pid, &pids);

	for (int i = 0; i < n; i++) {
		uint64_t ticks;

		if (proc_start_time(pids[i], &ticks) == 0) {
			u->processes++;
			u->memory += size(pids[i]);
		}
		add_below(pids[i], size, u);
	}
	free(pids);
}

void
ptree_use_below(pid_t pid, uint64_t precise_above, struct ptree_use *u)
{
	*u = (struct ptree_use){0};
	add_below(pid, rss, u);
	if (precise_above > 0 && u->memory > precise_above) {
		*u = (struct ptree_use){0};
		add_below(pid, pss, u);
	}
}
