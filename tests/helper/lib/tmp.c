/* tmp: see tmp.h. */
#include "tests/helper/lib/tmp.h"

#include "common/alloc.h"
#include "common/fd.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
must(int ok, const char *what, const char *path)
{
	if (ok)
		return;
	fprintf(stderr, "tests: cannot %s %s\n", what, path);
	abort();
}

char *
tmp_make(void)
{
	const char *base = getenv("TMPDIR");
	char *path = xasprintf("%s/orch-test-XXXXXX", base != NULL && base[0] == '/' ? base : "/tmp"), *real;

	must(mkdtemp(path) != NULL, "make", path);
	real = realpath(path, NULL);
	must(real != NULL, "resolve", path);
	free(path);
	return real;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
tmp_remove(char *dir)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(dir);
}

char *
tmp_path(const char *dir, const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

void
tmp_mkdir(const char *dir, const char *name)
{
	char *path = tmp_path(dir, name);

	must(fd_mkdirs(path, 0755) == 0, "make", path);
	free(path);
}

void
tmp_write(const char *dir, const char *name, const char *text)
{
	char *path = tmp_path(dir, name), *parent = xstrdup(path);

	*strrchr(parent, '/') = '\0';
	must(fd_mkdirs(parent, 0755) == 0, "make", parent);
	must(fd_write_file(path, text, strlen(text), strncmp(text, "#!", 2) == 0 ? 0755 : 0644) == 0, "write",
	    path);
	free(parent);
	free(path);
}

int
tmp_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	must(dir != NULL, "read", "/proc/self/fd");
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}
