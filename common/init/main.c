/*
 * orch-init: runs one program in a PID namespace of its own, so that its whole tree ends with it: when the
 * first process of a namespace is gone, the kernel has killed all others. Used where common/ptree chooses that
 * rung. What the caller sees is the program: its input and output, its exit status, death by the same signal.
 *
 *     the caller -- orch-init (outside) -- orch-init (pid 1) -- the program, leader of its own session
 *
 * Signals that ask a process to do something are passed on to the program's group by pid 1, which gets them
 * with the caller's group. KILL needs no passing on.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_SETUP 125 /* no namespace could be made; the program was not started */

static const int passed_on[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCONT, 0};

static void __attribute__((noreturn, format(printf, 2, 3))) die(int code, const char *fmt, ...)
{
	int error = errno;
	va_list ap;

	fputs("orch-init: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(error));
	_exit(code);
}

static void
write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die(EXIT_SETUP, "cannot write %s", path);
	close(fd);
}

/* A user namespace in which we are who we are: the right to make a PID namespace comes with it, no other. */
static void
enter_user_namespace(void)
{
	char uids[64], gids[64];

	snprintf(uids, sizeof(uids), "%u %u 1", (unsigned)geteuid(), (unsigned)geteuid());
	snprintf(gids, sizeof(gids), "%u %u 1", (unsigned)getegid(), (unsigned)getegid());
	if (unshare(CLONE_NEWUSER) < 0)
		die(EXIT_SETUP, "cannot make a user namespace");
	write_text("/proc/self/setgroups", "deny"); /* before gid_map, user_namespaces(7) */
	write_text("/proc/self/uid_map", uids);
	write_text("/proc/self/gid_map", gids);
}

static void
block(sigset_t *before)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, before);
}

static void __attribute__((noreturn)) run_program(char **argv, const sigset_t *mask)
{
	setsid();
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(argv[0], argv);
	die(errno == ENOENT ? 127 : 126, "cannot start %s", argv[0]);
}

static void
close_streams(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd <= 2; fd++) /* whoever reads the program's words waits for all copies to close */
		dup2(null, fd);
	close(null);
}

static void
pass_on(int sig, pid_t program)
{
	for (const int *p = passed_on; *p != 0; p++)
		if (*p == sig && kill(-program, sig) < 0 && errno == ESRCH)
			kill(program, sig); /* its session is not made yet */
}

/* pid 1: reaps whatever falls back to it, and ends with the program. Signals to it wait while blocked, though
 * the first process of a namespace has no default actions. */
static void __attribute__((noreturn)) be_first(char **argv, const sigset_t *mask, int report)
{
	sigset_t all;
	pid_t program, pid;
	int sig, status;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		die(EXIT_SETUP, "cannot mount /proc");
	program = fork();
	if (program < 0)
		die(EXIT_SETUP, "cannot fork");
	if (program == 0)
		run_program(argv, mask);
	close_streams();
	sigfillset(&all);
	for (;;) {
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == program)
				_exit(write(report, &status, sizeof(status)) == sizeof(status) ? 0 : 1);
		if (sigwait(&all, &sig) == 0 && sig != SIGCHLD)
			pass_on(sig, program);
	}
}

/* As the program ended, so do we. */
static void __attribute__((noreturn)) end_like(int status)
{
	const struct rlimit no_core = {0, 0};
	sigset_t none;

	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	setrlimit(RLIMIT_CORE, &no_core); /* the program had its own */
	signal(WTERMSIG(status), SIG_DFL);
	kill(getpid(), WTERMSIG(status));
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	_exit(128 + WTERMSIG(status));
}

/*
 * Outside: waits for pid 1. Signals to the group reach pid 1 without us, so they are only dropped here; but
 * when the caller has died, its PR_SET_PDEATHSIG reaches nobody else.
 */
static void __attribute__((noreturn)) wait_outside(pid_t first, pid_t caller, int report)
{
	int status = 0, sig;
	sigset_t all;

	sigfillset(&all);
	while (waitpid(first, &status, WNOHANG) != first)
		if (sigwait(&all, &sig) == 0 && sig != SIGCHLD && getppid() != caller)
			kill(first, sig);
	if (read(report, &status, sizeof(status)) != sizeof(status) && WIFSIGNALED(status))
		end_like(status); /* killed from outside, and all with it */
	end_like(status);
}

int
main(int argc, char **argv)
{
	bool user = argc > 1 && strcmp(argv[1], "--user") == 0;
	pid_t caller = getppid(), first;
	sigset_t mask;
	int report[2];

	argv += user ? 2 : 1;
	if (*argv == NULL || argc < 2) {
		fputs("usage: orch-init [--user] PROGRAM ARGUMENTS\n"
		      "Runs it in a PID namespace of its own. orch uses it; see docs/supervision.md.\n",
		    stderr);
		return 2;
	}
	if (user)
		enter_user_namespace();
	if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
		die(EXIT_SETUP, "cannot make a PID namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		die(EXIT_SETUP, "cannot make the mounts our own");
	if (pipe2(report, O_CLOEXEC) < 0)
		die(EXIT_SETUP, "cannot make a pipe");
	block(&mask);
	first = fork();
	if (first < 0)
		die(EXIT_SETUP, "cannot fork");
	if (first == 0) {
		close(report[0]);
		be_first(argv, &mask, report[1]);
	}
	close(report[1]);
	close_streams();
	wait_outside(first, caller, report[0]);
}
