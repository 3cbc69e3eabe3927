/* fd: see fd.h. */
#include "common/fd.h"

#include "common/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void
fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

int
fd_set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

int
fd_set_cloexec(int fd, bool on)
{
	return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

int
fd_pipe(int fds[2], bool nonblock)
{
	return pipe2(fds, O_CLOEXEC | (nonblock ? O_NONBLOCK : 0)) < 0 ? -errno : 0;
}

int
fd_write_all(int fd, const void *data, size_t size)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = write(fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

ssize_t
fd_read(int fd, void *buf, size_t size)
{
	ssize_t n;

	do
		n = read(fd, buf, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int
fd_read_all(int fd, size_t max, char **data, size_t *size)
{
	size_t room = 8192, used = 0;
	char *buf = xmalloc(room + 1);

	for (;;) {
		ssize_t n = fd_read(fd, buf + used, room - used);

		if (n < 0) {
			free(buf);
			return (int)n;
		}
		if (n == 0)
			break;
		used += (size_t)n;
		if (used > max) {
			free(buf);
			return -EFBIG;
		}
		if (used == room) {
			room *= 2;
			buf = xrealloc(buf, room + 1);
		}
	}
	buf[used] = '\0';
	*data = buf;
	if (size != NULL)
		*size = used;
	return 0;
}

int
fd_read_file(const char *path, size_t max, char **data, size_t *size)
{
	/* Opening a FIFO that somebody planted must not wait for a writer; reading one that has a writer may.
	 */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int rc;

	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_SETFL, 0) < 0)
		rc = -errno;
	else
		rc = fd_read_all(fd, max, data, size);
	fd_close(&fd);
	return rc;
}

int
fd_sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0 && errno != EINVAL &&
	    errno != EROFS) /* some file systems have nothing to write there */
		rc = -errno;
	fd_close(&fd);
	return rc;
}

static int
sync_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == NULL   ? xstrdup(".")
		       : slash == path ? xstrdup("/")
				       : xstrndup(path, (size_t)(slash - path));
	int rc = fd_sync_folder(folder);

	free(folder);
	return rc;
}

int
fd_write_file(const char *path, const void *data, size_t size, mode_t mode)
{
	char *tmp = xasprintf("%s.%d.tmp", path, (int)getpid());
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	int rc = fd < 0 ? -errno : fd_write_all(fd, data, size);

	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	fd_close(&fd);
	if (rc == 0 && rename(tmp, path) < 0)
		rc = -errno;
	if (rc != 0)
		unlink(tmp);
	free(tmp);
	return rc == 0 ? sync_folder_of(path) : rc;
}

int
fd_mkdirs(const char *path, mode_t mode)
{
	char *copy = xstrdup(path);
	struct stat st;
	int rc = path[0] == '\0' ? -ENOENT : 0;

	for (char *p = copy + 1; rc == 0; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			rc = stat(copy, &st) == 0 && S_ISDIR(st.st_mode) ? 0 : -errno;
		*p = c;
		if (c == '\0')
			break;
	}
	if (rc == 0 && stat(copy, &st) == 0 && !S_ISDIR(st.st_mode))
		rc = -ENOTDIR;
	free(copy);
	return rc;
}

static int
remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)where;
	return (kind == FTW_DP || kind == FTW_DNR ? rmdir(path) : unlink(path)) < 0 && errno != ENOENT ? -1
												       : 0;
}

int
fd_remove_tree(const char *path)
{
	return nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0 && errno != ENOENT ? -errno
												     : 0;
}
