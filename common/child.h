/*
 * child: fork and exec with everything a child must not inherit taken away:
 * signals at their defaults, no mask, only the fds that are named here.
 */
#ifndef ORCH_COMMON_CHILD_H
#define ORCH_COMMON_CHILD_H

#include "common/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct child_spec {
	const char *const *argv;   /* NULL-terminated; argv[0] is looked up in PATH when it has no slash */
	const char *const *env;    /* NULL-terminated, complete; NULL: ours */
	const char *cwd;           /* NULL: ours */
	int fd_in, fd_out, fd_err; /* become 0, 1, 2; -1: /dev/null */
	int fd_link, fd_listen;    /* become 3, 4; -1: not given */
	int lock_fd;   /* flock(LOCK_EX)ed in the child before exec and held by it as fd 9 until it ends; -1:
			  none */
	int cgroup_fd; /* cgroup.procs of the cgroup that it enters before exec, if that works; -1: ours */
	const char *oom_score; /* its oom_score_adj, when it may be set so; NULL: ours */
	bool session;          /* setsid; else a process group of its own */
	int death_signal;      /* sent to it when we die (PR_SET_PDEATHSIG); 0: none */
	int exec_status; /* > 0: nobody waits for its exec; one that fails says so on its fd 2 and exits with
			    this */
};

/* All fds -1, all else zero. Whoever sets cgroup_fd closes it. */
void child_spec_init(struct child_spec *s);

/*
 * Starts it. 0, or -errno with a sentence in e: fork failed, or exec did (then
 * the child is reaped already). Waits for the exec, which is immediate where a CPU
 * is idle, unless exec_status is set (for whoever starts many) or
 * exec_fd is given: then *exec_fd is a non-blocking pipe that gives EOF at exec or
 * an int errno, for callers whose child may first wait for lock_fd.
 * The caller closes *exec_fd.
 */
int child_spawn(const struct child_spec *s, pid_t *pid, int *exec_fd, struct err *e);

/* "exited with status 3" / "was killed by signal 9 (Killed)". Returns buf. */
const char *child_status_text(char *buf, size_t size, int status);

/*
 * The full path of a program as exec would find it with our PATH, in *path (the
 * caller frees it). -ENOENT or -EACCES with a sentence in e.
 */
int child_find_program(const char *name, char **path, struct err *e);

#endif
