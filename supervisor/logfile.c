/* logfile: see logfile.h. */
#include "supervisor/logfile.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_BYTES 2048
#define WORDS_MAX 512

static int
move_away(const char *path)
{
	char *old = xasprintf("%s.1", path);
	int rc = rename(path, old) < 0 ? -errno : 0;

	free(old);
	return rc;
}

static int
open_to_append(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

int
logfile_open_path(const char *path, uint64_t max_bytes, off_t *end, struct err *e)
{
	struct stat st;
	int rc = 0;

	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size > max_bytes)
		rc = move_away(path);
	if (rc == 0)
		rc = open_to_append(path);
	if (rc < 0)
		return err_sys(e, rc, "cannot write %s", path);
	if (end != NULL)
		*end = fstat(rc, &st) == 0 ? st.st_size : 0;
	return rc;
}

int
logfile_open(const struct repo *repo, const char *name, uint64_t max_bytes, off_t *end, struct err *e)
{
	char *dir = xasprintf("%s/logs", repo->state), *path = xasprintf("%s/%s", dir, name);
	int rc = fd_mkdirs(dir, 0700);

	rc = rc < 0 ? err_sys(e, rc, "cannot make %s", dir) : logfile_open_path(path, max_bytes, end, e);
	free(dir);
	free(path);
	return rc;
}

void
logfile_keep(const char *path, uint64_t max_bytes)
{
	struct stat ours, named;
	int fd;

	if (fstat(STDERR_FILENO, &ours) < 0 || !S_ISREG(ours.st_mode) ||
	    (uint64_t)ours.st_size <= max_bytes || lstat(path, &named) < 0 || named.st_ino != ours.st_ino ||
	    named.st_dev != ours.st_dev || move_away(path) < 0)
		return;
	fd = open_to_append(path);
	if (fd < 0)
		return;
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	fd_close(&fd);
}

char *
logfile_last_words(const char *path, off_t from)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buf[TAIL_BYTES], *line = NULL;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && st.st_size > from) {
		ssize_t n;

		if (st.st_size - from > TAIL_BYTES)
			from = st.st_size - TAIL_BYTES;
		n = pread(fd, buf, sizeof(buf), from);
		if (n > 0) {
			char *tail = text_tail(buf, (size_t)n, WORDS_MAX);

			line = text_line(tail, WORDS_MAX);
			free(tail);
		}
	}
	fd_close(&fd);
	return line;
}
