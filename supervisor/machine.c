/* machine: see machine.h. */
#include "supervisor/machine.h"

#include "common/fd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

/* A number alone in a file; UINT64_MAX for none, also for cgroup v2's "max". */
static uint64_t
number_in(const char *path)
{
	char *text = NULL, *end;
	uint64_t n = UINT64_MAX;

	if (fd_read_file(path, 4096, &text, NULL) == 0) {
		n = strtoull(text, &end, 10);
		if (end == text)
			n = UINT64_MAX;
	}
	free(text);
	return n;
}

/* As a container sees its own: the root of its cgroup namespace. */
static uint64_t
left_in_cgroup(void)
{
	uint64_t max = number_in("/sys/fs/cgroup/memory.max"),
		 now = number_in("/sys/fs/cgroup/memory.current");

	if (max == UINT64_MAX || now == UINT64_MAX)
		return UINT64_MAX;
	return max > now ? (max - now) >> 20 : 0;
}

uint64_t
machine_free_memory_mb(void)
{
	uint64_t mb = UINT64_MAX, inside = left_in_cgroup();
	unsigned long long kib;
	char *text = NULL, *p;

	if (fd_read_file("/proc/meminfo", 65536, &text, NULL) == 0 &&
	    (p = strstr(text, "MemAvailable:")) != NULL && sscanf(p, "MemAvailable: %llu", &kib) == 1)
		mb = kib >> 10;
	free(text);
	return inside < mb ? inside : mb;
}

uint64_t
machine_free_disk_mb(const char *path)
{
	struct statvfs fs;

	return statvfs(path, &fs) < 0 ? UINT64_MAX : (uint64_t)fs.f_bavail * fs.f_frsize >> 20;
}
