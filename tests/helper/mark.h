/*
 * mark: a file in memory in which supervised processes of a bench say when and as which process they began,
 * each in its first instructions. Named by $ORCH_MARK_FILE; without it nothing is said. libc only.
 */
#ifndef ORCH_TESTS_MARK_H
#define ORCH_TESTS_MARK_H

#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MARK_MAX 32768

struct mark_file {
	_Atomic uint32_t count; /* begun entries */
	uint32_t strays;        /* set by the reader: each process leaves a child in a session of its own */
	struct mark {
		_Atomic int64_t ns; /* CLOCK_MONOTONIC; 0: not yet */
		int32_t pid, stray; /* stray: that child's pid, 0: none */
	} list[MARK_MAX];
};

static inline struct mark_file *
mark_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	void *p = MAP_FAILED;

	if (fd >= 0 && ((flags & O_CREAT) == 0 || ftruncate(fd, sizeof(struct mark_file)) == 0))
		p = mmap(NULL, sizeof(struct mark_file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	return p == MAP_FAILED ? NULL : p;
}

static inline void
mark_begin(void)
{
	const char *path = getenv("ORCH_MARK_FILE");
	struct mark_file *f;
	struct timespec ts;
	uint32_t i;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	f = path == NULL ? NULL : mark_open(path, O_RDWR);
	if (f == NULL || (i = atomic_fetch_add(&f->count, 1)) >= MARK_MAX)
		return;
	f->list[i].pid = getpid();
	if (f->strays) {
		pid_t pid = fork();

		if (pid == 0) {
			setsid();
			for (;;)
				pause();
		}
		f->list[i].stray = pid;
	}
	atomic_store(&f->list[i].ns, ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec);
}

#endif
