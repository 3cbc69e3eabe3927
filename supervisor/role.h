/* role: the making of a role's process: its environment, its log, its socket. Decides nothing (see spawn.c).
 */
#ifndef ORCH_SUPERVISOR_ROLE_H
#define ORCH_SUPERVISOR_ROLE_H

#include "supervisor/daemon.h"

struct role_spec {
	const char *program, *task; /* task: what it serves, in its environment */
	const char *arg;            /* NULL: none */
	const char *extra;          /* "NAME=value", one more variable of it; NULL: none */
	int log_fd, listen_fd;      /* its stderr, and its fd 4; -1: none */
};
/* Starts it; *fd is our end of its socket. -errno with e when it cannot be. */
int role_start(struct daemon *d, const struct role_spec *s, pid_t *pid, int *fd, struct err *e);
/* Starts the program of t's level; *fd is our end of its socket. -errno with e when it cannot be. */
int role_fork(struct daemon *d, struct task *t, pid_t *pid, int *fd, struct err *e);
/* The last words of the process that just died, as one line; NULL when it said nothing. Caller frees. */
char *role_last_words(struct daemon *d, const struct task *t);

#endif
