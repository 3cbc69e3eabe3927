/*
 * socket: the Unix socket calls that proto/peer.h declares. sun_path holds 108 bytes and
 * state folders can be longer, so a path is opened up to its folder and named from there
 * through /proc/self/fd (proc(5)).
 */
#include "proto/peer.h"

#include "common/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

struct place {
	int folder; /* O_PATH */
	char name[80];
	struct sockaddr_un addr; /* valid while folder is open */
};

static int
place_open(struct place *at, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	char folder[4096];

	at->folder = -1;
	if (*name == '\0' || strlen(name) >= sizeof(at->name) || (size_t)(name - path) >= sizeof(folder))
		return err_set(e, -ENAMETOOLONG, "%s cannot be a socket's path", path);
	snprintf(at->name, sizeof(at->name), "%s", name);
	/* With its last slash, which also makes "/" right. */
	snprintf(folder, sizeof(folder), "%.*s", (int)(name - path), path);
	at->folder = open(slash == NULL ? "." : folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at->folder < 0)
		return err_sys(e, -errno, "cannot open the folder of %s", path);
	memset(&at->addr, 0, sizeof(at->addr));
	at->addr.sun_family = AF_UNIX;
	snprintf(at->addr.sun_path, sizeof(at->addr.sun_path), "/proc/self/fd/%d/%s", at->folder, name);
	return 0;
}

/* Non-blocking: only a full backlog could make connect wait, and then EAGAIN is the better answer. */
static int
dial(const struct place *at)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&at->addr, sizeof(at->addr)) < 0) {
		int rc = -errno;

		fd_close(&fd);
		return rc;
	}
	return fd;
}

/* Removes what an earlier owner left. Refuses when it is in use or is something else. */
static int
remove_stale(const struct place *at, const char *path, struct err *e)
{
	struct stat st;
	int fd;

	if (fstatat(at->folder, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "cannot look at %s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, -EEXIST, "%s is in the way: it is not a socket", path);
	fd = dial(at);
	if (fd >= 0 || fd == -EAGAIN) {
		fd_close(&fd);
		return err_set(e, -EADDRINUSE, "%s is in use by another process", path);
	}
	if (unlinkat(at->folder, at->name, 0) < 0 && errno != ENOENT)
		return err_sys(e, -errno, "cannot remove the old socket %s", path);
	return 0;
}

int
peer_listen(const char *path, struct err *e)
{
	struct place at;
	int fd = -1, rc;

	rc = place_open(&at, path, e);
	if (rc == 0)
		rc = remove_stale(&at, path, e);
	if (rc < 0)
		goto out;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Linux gives the file the socket's own mode, so that it is never open to others. */
	if (fd < 0 || fchmod(fd, 0600) < 0 ||
	    bind(fd, (const struct sockaddr *)&at.addr, sizeof(at.addr)) < 0 || listen(fd, BACKLOG) < 0) {
		rc = err_sys(e, -errno, "cannot listen on %s", path);
		fd_close(&fd);
	}
out:
	fd_close(&at.folder);
	return rc < 0 ? rc : fd;
}

int
peer_connect(const char *path, struct err *e)
{
	struct place at;
	int rc = place_open(&at, path, e);

	if (rc == 0) {
		rc = dial(&at);
		if (rc < 0)
			err_sys(e, rc, "cannot connect to %s", path);
	}
	fd_close(&at.folder);
	return rc;
}

int
peer_credentials(int fd, pid_t *pid, uid_t *uid)
{
	struct ucred c;
	socklen_t size = sizeof(c);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &size) < 0)
		return -errno;
	*pid = c.pid;
	*uid = c.uid;
	return 0;
}
