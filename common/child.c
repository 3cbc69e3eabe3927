/* child: the one fork+exec of the project (see child.h). */
#include "common/child.h"

#include "common/alloc.h"
#include "common/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOCK_FD 9
#define FIRST_FREE_FD 20 /* sources are moved up here first, so that targets 0-9 never collide with them */

void
child_spec_init(struct child_spec *s)
{
	memset(s, 0, sizeof(*s));
	s->fd_in = s->fd_out = s->fd_err = -1;
	s->fd_link = s->fd_listen = s->lock_fd = s->cgroup_fd = -1;
}

static void
reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL); /* fails for KILL, STOP and libc's own: no matter */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Moves source (or /dev/null) to target, which loses CLOEXEC. */
static int
place_fd(int source, int target)
{
	int fd = source;

	if (fd < 0)
		fd = open("/dev/null", O_RDWR);
	if (fd < 0)
		return -1;
	if (fd == target)
		return fd_set_cloexec(fd, false);
	if (dup2(fd, target) < 0)
		return -1;
	return 0;
}

static int
raise_fd(int fd)
{
	return fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
}

/* Both are wishes: what they are for is also seen to from outside. */
static void
enter_place(const struct child_spec *s)
{
	if (s->cgroup_fd >= 0)
		(void)!write(s->cgroup_fd, "0", 1);
	if (s->oom_score != NULL) {
		int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

		(void)!write(fd, s->oom_score, strlen(s->oom_score));
		fd_close(&fd);
	}
}

static void __attribute__((noreturn)) fail_child(const struct child_spec *s, int report)
{
	int code = errno;

	if (s->exec_status > 0) {
		dprintf(STDERR_FILENO, "cannot start %s: %s\n", s->argv[0], strerror(code));
		_exit(s->exec_status);
	}
	if (write(report, &code, sizeof(code)) < 0)
		_exit(126);
	_exit(127);
}

static void __attribute__((noreturn)) run_child(const struct child_spec *s, pid_t parent, int report)
{
	int in = raise_fd(s->fd_in), out = raise_fd(s->fd_out), err = raise_fd(s->fd_err);
	int link = raise_fd(s->fd_link), listening = raise_fd(s->fd_listen);
	int lock = raise_fd(s->lock_fd);

	report = raise_fd(report);
	enter_place(s);
	reset_signals();
	if (s->session ? setsid() < 0 : setpgid(0, 0) < 0)
		goto fail;
	if (s->death_signal != 0 && (prctl(PR_SET_PDEATHSIG, s->death_signal) < 0 || getppid() != parent)) {
		errno = ESRCH;
		goto fail;
	}
	if (s->cwd != NULL && chdir(s->cwd) < 0)
		goto fail;
	if (place_fd(in, 0) < 0 || place_fd(out, 1) < 0 || place_fd(err, 2) < 0)
		goto fail;
	close_range(3, FIRST_FREE_FD - 1, 0);
	if (link >= 0 && place_fd(link, 3) < 0)
		goto fail;
	if (listening >= 0 && place_fd(listening, 4) < 0)
		goto fail;
	if (lock >= 0) {
		while (flock(lock, LOCK_EX) < 0)
			if (errno != EINTR)
				goto fail;
		if (place_fd(lock, LOCK_FD) < 0)
			goto fail;
	}
	close_range(FIRST_FREE_FD, ~0U, CLOSE_RANGE_CLOEXEC);
	if (s->env != NULL)
		execvpe(s->argv[0], (char *const *)s->argv, (char *const *)s->env);
	else
		execvp(s->argv[0], (char *const *)s->argv);
fail:
	fail_child(s, report);
}

int
child_spawn(const struct child_spec *s, pid_t *pid_out, int *exec_fd, struct err *e)
{
	int report[2] = {-1, -1}, code = 0, rc = 0;
	pid_t parent = getpid(), pid;
	sigset_t all, mask;
	ssize_t n;

	if (s->exec_status == 0)
		rc = fd_pipe(report, false);
	if (rc < 0)
		return err_sys(e, rc, "cannot start %s", s->argv[0]);
	/* Until the child has reset them, our handlers would run in it and write to our loop's own pipe. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &mask);
	pid = fork();
	rc = pid < 0 ? -errno : 0;
	if (pid != 0)
		sigprocmask(SIG_SETMASK, &mask, NULL);
	if (pid < 0) {
		fd_close(&report[0]);
		fd_close(&report[1]);
		return err_sys(e, rc, "cannot start %s", s->argv[0]);
	}
	if (pid == 0)
		run_child(s, parent, report[1]);
	fd_close(&report[1]);
	if (!s->session)
		setpgid(pid, pid); /* also here, so that the group exists before anyone signals it */
	if (s->exec_status > 0) {
		*pid_out = pid;
		return 0;
	}
	if (exec_fd != NULL) {
		fd_set_nonblock(report[0]);
		*exec_fd = report[0];
		*pid_out = pid;
		return 0;
	}
	n = fd_read(report[0], &code, sizeof(code));
	fd_close(&report[0]);
	if (n == (ssize_t)sizeof(code)) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return err_sys(e, -code, "cannot start %s", s->argv[0]);
	}
	*pid_out = pid;
	return 0;
}

const char *
child_status_text(char *buf, size_t size, int status)
{
	if (WIFSIGNALED(status))
		snprintf(
		    buf, size, "was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(buf, size, "exited with status %d", WEXITSTATUS(status));
	return buf;
}

static int
check_program(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return access(path, X_OK) < 0 ? -errno : 0;
}

int
child_find_program(const char *name, char **path_out, struct err *e)
{
	const char *search = getenv("PATH");
	int worst = -ENOENT;

	if (name[0] == '\0')
		return err_set(e, -ENOENT, "the program's name is empty");
	if (strchr(name, '/') != NULL) {
		int rc = check_program(name);

		if (rc < 0)
			return err_sys(e, rc, "cannot run %s", name);
		*path_out = xstrdup(name);
		return 0;
	}
	for (const char *p = search == NULL ? "/usr/bin:/bin" : search; *p != '\0';) {
		size_t n = strcspn(p, ":");
		char *path = xasprintf("%.*s/%s", n > 0 ? (int)n : 1, n > 0 ? p : ".", name);
		int rc = check_program(path);

		if (rc == 0) {
			*path_out = path;
			return 0;
		}
		if (rc == -EACCES)
			worst = rc;
		free(path);
		p += n;
		if (*p == ':')
			p++;
	}
	if (worst == -EACCES)
		return err_set(e, worst, "%s is in PATH but not executable", name);
	return err_set(e, worst, "%s was not found in PATH", name);
}
