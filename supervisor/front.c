/* front: see front.h. */
#include "supervisor/front.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/fd.h"
#include "common/sibling.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int
exit_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
on_exit_of_front(void *arg, pid_t pid, int status)
{
	struct daemon *d = arg;

	(void)pid;
	d->front_pid = 0;
	d->front_status = exit_status(status);
	if (!d->saving)
		daemon_stop(d, STOP_ORDERLY, false);
}

static int
spawn(struct daemon *d, char **run_args, int link, struct err *e)
{
	struct child_spec spec;
	char *path = NULL;
	const char **argv;
	size_t n = 0;
	int rc = sibling_path("orchctl", &path, e);

	if (rc < 0)
		return rc;
	while (run_args[n] != NULL)
		n++;
	argv = xcalloc(n + 2, sizeof(*argv));
	argv[0] = path;
	for (size_t i = 0; i < n; i++)
		argv[i + 1] = run_args[i];
	child_spec_init(&spec);
	spec.argv = argv;
	spec.fd_in = 0;
	spec.fd_out = 1;
	spec.fd_err = 2;
	spec.fd_link = link;
	setenv("ORCH_FRONT", "3", 1); /* where link is; and it must not start another orchd when we leave */
	rc = child_spawn(&spec, &d->front_pid, NULL, e);
	unsetenv("ORCH_FRONT");
	free(argv);
	free(path);
	return rc;
}

/* Held back, not lost: a first process without a handler would never see them. */
static int
hold_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigdelset(&set, SIGCHLD);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Until it has said a byte or is gone. */
static bool
await_ready(pid_t pid, int link, int sigfd)
{
	struct pollfd p[2] = {{.fd = link, .events = POLLIN}, {.fd = sigfd, .events = POLLIN}};
	struct signalfd_siginfo info;
	char byte;

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return false;
		if (p[0].revents != 0)
			return fd_read(link, &byte, 1) == 1;
		if (p[1].revents != 0 && fd_read(sigfd, &info, sizeof(info)) == sizeof(info))
			kill(pid, (int)info.ssi_signo);
	}
}

int
front_start(struct daemon *d, char **run_args, int *link, struct err *e)
{
	int sv[2], sigfd = hold_signals(), rc, status = 0;

	if (sigfd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0) {
		rc = err_sys(e, -errno, "cannot start orchctl");
		fd_close(&sigfd);
		return rc;
	}
	rc = spawn(d, run_args, sv[1], e);
	fd_close(&sv[1]);
	if (rc == 0 && !await_ready(d->front_pid, sv[0], sigfd)) {
		waitpid(d->front_pid, &status, 0);
		d->front_pid = 0;
		d->front_status = exit_status(status);
		rc = -ECANCELED;
	}
	fd_close(&sigfd);
	if (rc < 0)
		fd_close(&sv[0]);
	else
		*link = sv[0];
	return rc;
}

void
front_go(int *link)
{
	if (*link >= 0)
		(void)!send(*link, "+", 1, MSG_NOSIGNAL);
	fd_close(link);
}

bool
front_is_job(const struct daemon *d)
{
	const char *on = getenv("GITHUB_ACTIONS");

	return d->front_pid > 0 && on != NULL && strcmp(on, "true") == 0;
}

void
front_wait(struct daemon *d)
{
	int status;

	if (d->front_pid <= 0 || !d->saving)
		return;
	while (waitpid(d->front_pid, &status, 0) < 0)
		if (errno != EINTR)
			return;
	d->front_pid = 0;
	d->front_status = exit_status(status);
}

void
front_watch(struct daemon *d)
{
	sigset_t none;

	if (d->front_pid > 0)
		loop_watch_child(&d->loop, d->front_pid, on_exit_of_front, d);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}
