/*
 * doctor_sandbox: what this machine offers to keep an agent and its tools apart and to end them surely. orch
 * runs without any of it; a line says what is missed.
 */
#include "supervisor/ctl/doctor.h"

#include "common/fd.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444 /* of every architecture; older headers do not have it */
#endif
#define LANDLOCK_VERSION_FLAG 1u /* LANDLOCK_CREATE_RULESET_VERSION, landlock_create_ruleset(2) */

/* Our cgroup in the unified hierarchy, cgroups(7): "0::/path". */
static void
check_cgroup(struct finding *f)
{
	char *text = NULL, path[4096];
	const char *line;
	size_t size;

	f->name = "cgroup";
	if (fd_read_file("/proc/self/cgroup", 65536, &text, &size) < 0 ||
	    access("/sys/fs/cgroup/cgroup.controllers", R_OK) < 0) {
		found(f, FINDING_WARNING, "boot with the unified hierarchy (cgroup v2)",
		    "no cgroup v2 here: an agent's memory cannot be limited");
		free(text);
		return;
	}
	line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	line = line == NULL ? "/" : strchr(line, '/');
	snprintf(path, sizeof(path), "/sys/fs/cgroup%.*s/cgroup.procs", (int)strcspn(line, "\n"), line);
	if (access(path, W_OK) == 0)
		found(f, FINDING_OK, "", "cgroup v2, ours to divide");
	else
		found(f, FINDING_WARNING, "start orch by systemd-run --user -p Delegate=yes",
		    "cgroup v2, but not delegated to this user");
	free(text);
}

/* Tried in a child: there is no way to ask. */
static void
check_namespaces(struct finding *f)
{
	int status = 0;
	pid_t pid = fork();

	f->name = "namespaces";
	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0 ? 0 : errno);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		found(f, FINDING_OK, "", "user and PID namespaces can be made");
	else
		found(f, FINDING_WARNING, "sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces",
		    "user namespaces cannot be made%s%s", pid > 0 && WIFEXITED(status) ? ": " : "",
		    pid > 0 && WIFEXITED(status) ? strerror(WEXITSTATUS(status)) : "");
}

static void
check_pidfd(struct finding *f)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	f->name = "pidfd";
	if (fd >= 0)
		found(f, FINDING_OK, "", "processes can be named for sure (pidfd)");
	else
		found(f, FINDING_WARNING, "use Linux 5.3 or later, or allow pidfd_open in the container",
		    "no pidfd: what outlives an orchd cannot be taken over by the next: %s", strerror(errno));
	fd_close(&fd);
}

static void
check_landlock(struct finding *f)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION_FLAG);

	f->name = "landlock";
	if (abi > 0)
		found(f, FINDING_OK, "", "Landlock ABI %ld", abi);
	else
		found(f, FINDING_WARNING, "use Linux 5.13 or later with landlock in the lsm= list",
		    "no Landlock here: %s", strerror(errno));
}

size_t
doctor_sandbox(struct ctl *c, struct finding *f, size_t room)
{
	void (*const checks[])(struct finding *) = {
	    check_cgroup, check_namespaces, check_pidfd, check_landlock};
	size_t n = 0;

	(void)c;
	for (; n < sizeof(checks) / sizeof(checks[0]) && n < room; n++)
		checks[n](&f[n]);
	return n;
}
