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

int
logfile_open(const struct repo *repo, const char *name, off_t *end, struct err *e)
{
	char *dir = xasprintf("%s/logs", repo->state), *path = xasprintf("%s/%s", dir, name);
	struct stat st;
	int fd, rc = fd_mkdirs(dir, 0700);

	if (rc == 0 && stat(path, &st) == 0 && st.st_size > LOGFILE_ROTATE_BYTES) {
		char *old = xasprintf("%s.1", path);

		if (rename(path, old) < 0)
			rc = -errno;
		free(old);
	}
	fd = rc < 0 ? rc : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		fd = err_sys(e, rc < 0 ? rc : -errno, "cannot write %s", path);
	else if (end != NULL)
		*end = fstat(fd, &st) == 0 ? st.st_size : 0;
	free(dir);
	free(path);
	return fd;
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
