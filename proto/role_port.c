/*
 * role_port: ports that nobody else is given. They are bytes of one file of the user's, whatever the
 * repository, locked by whoever has them (F_OFD_SETLK): a process that dies gives its ports back by dying.
 */
#include "proto/role.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "common/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PORT_END 32768 /* where the kernel's own choice begins (ip_local_port_range) */
#define PORT_LAST 65536

/* Beside the state of all repositories; where that cannot be, beside this one's. */
static int
open_locks(const struct role *r)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char *folders[2] = {NULL, xstrdup(r->assign->state_dir)};
	int fd = -1;

	if (state != NULL && state[0] == '/')
		folders[0] = xasprintf("%s/orch", state);
	else if (home != NULL && home[0] == '/')
		folders[0] = xasprintf("%s/.local/state/orch", home);
	for (size_t i = 0; i < 2; i++) {
		char *path = xasprintf("%s/ports", folders[i] == NULL ? "" : folders[i]);

		if (fd < 0 && folders[i] != NULL && fd_mkdirs(folders[i], 0700) == 0)
			fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		free(path);
		free(folders[i]);
	}
	return fd;
}

/* FNV-1a: the same task begins to look at the same place. */
static uint32_t
hash(uint32_t h, const char *s)
{
	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return h;
}

static bool
try_lock(int fd, uint64_t port, uint64_t count)
{
	struct flock range = {
	    .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)port, .l_len = (off_t)count};

	return fcntl(fd, F_OFD_SETLK, &range) == 0;
}

void
role_take_ports(struct role *r)
{
	uint64_t base = r->conf.port_base, step = r->conf.port_step;
	uint64_t end = base + step <= PORT_END ? PORT_END : PORT_LAST, slots = (end - base) / step;
	uint32_t start = hash(hash(2166136261u, r->assign->git_dir), r->assign->task);

	r->port_lock = open_locks(r);
	for (uint64_t i = 0; r->port_lock >= 0 && i < slots && r->port_base == 0; i++) {
		uint64_t port = base + (start + i) % slots * step;

		if (try_lock(r->port_lock, port, step))
			r->port_base = port;
	}
	if (r->port_base == 0)
		log_warn("no %llu ports are free from %llu on: ORCH_PORT_BASE is not set",
		    (unsigned long long)step, (unsigned long long)base);
}
