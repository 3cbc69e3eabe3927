/*
 * fd: the only place that knows EINTR, EAGAIN and short I/O. Every fd made
 * here is CLOEXEC. Nothing logs; errors are -errno.
 */
#ifndef ORCH_COMMON_FD_H
#define ORCH_COMMON_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Closes *fd when it is >= 0 and sets it to -1. errno is kept. */
void fd_close(int *fd);
int fd_set_nonblock(int fd);
int fd_set_cloexec(int fd, bool on);
/* A pipe with both ends CLOEXEC; fds[0] reads, fds[1] writes. nonblock applies to our usual end: both. */
int fd_pipe(int fds[2], bool nonblock);

/* Writes all or fails. For blocking fds. */
int fd_write_all(int fd, const void *data, size_t size);
/* read(2) without EINTR: > 0 bytes, 0 at EOF, -EAGAIN when nothing is there, other -errno. */
ssize_t fd_read(int fd, void *buf, size_t size);

/*
 * Reads a whole file (or a pipe, for "-" use fd_read_all) of at most max bytes
 * into fresh memory with a NUL appended. -EFBIG when it holds more. The caller
 * frees *data; *size excludes the NUL and may be NULL.
 */
int fd_read_file(const char *path, size_t max, char **data, size_t *size);
int fd_read_all(int fd, size_t max, char **data, size_t *size);

/* Replaces path by data: temporary file beside it, fsync, rename, fsync of its folder. */
int fd_write_file(const char *path, const void *data, size_t size, mode_t mode);

/* Writes the names in a folder to the disk: what was made, renamed or removed there stays so after a power
 * cut. */
int fd_sync_folder(const char *path);

/* mkdir -p; new folders get mode. 0 when it exists already. */
int fd_mkdirs(const char *path, mode_t mode);

/*
 * Removes path and all below it, without following links or leaving the file system. 0 also when it is not
 * there; -errno of what could not be removed. For folders of ours.
 */
int fd_remove_tree(const char *path);

#endif
