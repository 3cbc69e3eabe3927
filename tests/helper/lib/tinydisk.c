/* tinydisk: see tinydisk.h. */
#include "tests/helper/lib/tinydisk.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "tests/helper/lib/test.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILLER "filler"

bool
tinydisk_possible(void)
{
	return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static void
copy(const char *from, const char *to)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execlp("cp", "cp", "-a", from, to, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

bool
tinydisk_mount(const char *path, unsigned kib)
{
	char options[64], *draft = xasprintf("%s.tiny", path), *inside = xasprintf("%s/.", path);
	bool ok;

	snprintf(options, sizeof(options), "size=%uk,mode=0755", kib);
	assert_int_equal(fd_mkdirs(draft, 0755), 0);
	ok = mount("tiny", draft, "tmpfs", 0, options) == 0;
	if (ok) {
		copy(inside, draft);
		ok = mount(draft, path, NULL, MS_MOVE, NULL) == 0;
		if (!ok)
			umount(draft);
	}
	rmdir(draft);
	free(draft);
	free(inside);
	return ok;
}

void
tinydisk_unmount(const char *path)
{
	umount2(path, MNT_DETACH);
	rmdir(path);
}

void
tinydisk_fill(const char *path)
{
	char *name = xasprintf("%s/" FILLER, path);
	int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	static const char zeros[65536];
	size_t size = sizeof(zeros);

	assert_true(fd >= 0);
	while (size > 0)
		if (write(fd, zeros, size) <= 0)
			size /= 2;
	fd_close(&fd);
	free(name);
}

void
tinydisk_empty(const char *path)
{
	char *name = xasprintf("%s/" FILLER, path);

	unlink(name);
	free(name);
}
