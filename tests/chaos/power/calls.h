/* calls: which system calls change a disk, the filter that stops at them, and their arguments in one form. */
#ifndef ORCH_TESTS_POWER_CALLS_H
#define ORCH_TESTS_POWER_CALLS_H

#include <stdbool.h>
#include <stdint.h>

/* With the arguments in the order of the newest call of the kind. */
enum call_kind {
	CALL_OPEN,     /* dirfd, path, flags */
	CALL_WRITE,    /* fd; what position it has is told by the position afterwards */
	CALL_PWRITE,   /* fd, -, -, position */
	CALL_COPY,     /* -, -, fd */
	CALL_TRUNCATE, /* dirfd, path */
	CALL_FTRUNCATE,
	CALL_FSYNC,
	CALL_SYNC,
	CALL_RENAME,  /* dirfd, path, dirfd, path, flags */
	CALL_LINK,    /* dirfd, path, dirfd, path */
	CALL_SYMLINK, /* -, -, dirfd, path */
	CALL_UNLINK,  /* dirfd, path, flags */
	CALL_MKDIR,   /* dirfd, path */
	CALL_CHMOD,   /* dirfd, path */
	CALL_FCHMOD,
	CALL_CLONE, /* fd: it becomes another file's copy */
	CALL_MMAP,  /* shared and writable: -, -, -, -, fd */
};

/* False: it is none that matters. */
bool call_of(uint64_t nr, const uint64_t given[6], enum call_kind *kind, uint64_t args[6]);
/* From here on this process and all below it stop at them, and need a tracer. */
bool call_filter_install(void);

#endif
