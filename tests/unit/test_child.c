/* child: what a real child has, read from its /proc/self: signals, fds, environment, session; and how failure
 * shows. */
#include "common/child.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tmp.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int fds_before;

static int
setup(void **state)
{
	(void)state;
	fds_before = tmp_open_fds();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
		return -1;
	return tmp_open_fds() == fds_before ? 0 : -1;
}

/* What the program prints; s has all but its stdout. Caller frees. */
static char *
output_of(struct child_spec *s)
{
	int out[2], status;
	char *text;
	pid_t pid;

	assert_int_equal(fd_pipe(out, false), 0);
	s->fd_out = out[1];
	assert_int_equal(child_spawn(s, &pid, NULL, NULL), 0);
	fd_close(&out[1]);
	assert_int_equal(fd_read_all(out[0], 1 << 20, &text, NULL), 0);
	fd_close(&out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return text;
}

static char *
cat(struct child_spec *s, const char *file)
{
	const char *argv[] = {"cat", file, NULL};

	s->argv = argv;
	return output_of(s);
}

static unsigned long long
mask_of(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	assert_non_null(at);
	return strtoull(at + strlen(name), NULL, 16);
}

static void
signals_are_fresh(void **state)
{
	struct child_spec s;
	sigset_t usr, old, now;
	char *text;

	(void)state;
	child_spec_init(&s);
	sigemptyset(&usr);
	sigaddset(&usr, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr, &old);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	text = cat(&s, "/proc/self/status");
	sigprocmask(SIG_SETMASK, NULL, &now);
	assert_true(sigismember(&now, SIGUSR1));
	assert_false(sigismember(&now, SIGUSR2));
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	assert_int_equal(mask_of(text, "SigBlk:"), 0);
	assert_int_equal(mask_of(text, "SigIgn:"), 0);
	free(text);
}

static void
fds_are_the_named_ones(void **state)
{
	const char *argv[] = {"ls", "/proc/self/fd", NULL};
	struct child_spec s;
	int stray = open("/dev/null", O_RDONLY), far = fcntl(stray, F_DUPFD, 300), pair[2];
	char *text;

	(void)state;
	assert_int_equal(fd_pipe(pair, false), 0);
	child_spec_init(&s);
	s.argv = argv;
	text = output_of(&s);
	assert_string_equal(text, "0\n1\n2\n3\n"); /* 3 is ls's own, of the folder */
	free(text);
	s.fd_link = pair[0];
	s.fd_listen = pair[1];
	text = output_of(&s);
	assert_string_equal(text, "0\n1\n2\n3\n4\n5\n");
	free(text);
	/* A gap stays a gap: a role must not take something else for its socket. */
	s.fd_link = -1;
	text = output_of(&s);
	assert_string_equal(text, "0\n1\n2\n3\n4\n");
	free(text);
	fd_close(&stray);
	fd_close(&far);
	fd_close(&pair[0]);
	fd_close(&pair[1]);
}

/* Usually a is 3 and b is 4 here: each stands where the other must go. */
static void
crossed_fds_find_their_places(void **state)
{
	const char *script = "readlink /proc/$$/fd/0; readlink /proc/$$/fd/3; readlink /proc/$$/fd/4";
	const char *argv[] = {"sh", "-c", script, NULL};
	char *dir = tmp_make(), *a = tmp_path(dir, "a"), *b = tmp_path(dir, "b"), *want, *text;
	int fd_a = open(a, O_RDWR | O_CREAT | O_CLOEXEC, 0600),
	    fd_b = open(b, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct child_spec s;

	(void)state;
	child_spec_init(&s);
	s.argv = argv;
	s.fd_in = fd_a;
	s.fd_link = fd_b;
	s.fd_listen = fd_a;
	text = output_of(&s);
	want = xasprintf("%s\n%s\n%s\n", a, b, a);
	assert_string_equal(text, want);
	fd_close(&fd_a);
	fd_close(&fd_b);
	free(want);
	free(text);
	free(a);
	free(b);
	tmp_remove(dir);
}

static void
environment_is_complete(void **state)
{
	static const char *const env[] = {"A=b", "C=d e", NULL};
	struct child_spec s;
	char *text;

	(void)state;
	child_spec_init(&s);
	s.env = env;
	text = cat(&s, "/proc/self/environ");
	assert_memory_equal(text, "A=b\0C=d e\0", 11);
	free(text);
}

/* pid, group and session of a cat started with s. */
static void
ids_of(struct child_spec *s, int *pid, int *group, int *session)
{
	char *text = cat(s, "/proc/self/stat");

	*pid = atoi(text);
	assert_int_equal(sscanf(strrchr(text, ')') + 1, " %*c %*d %d %d", group, session), 2);
	free(text);
}

static void
child_leads_its_group(void **state)
{
	struct child_spec s;
	int pid, group, session;

	(void)state;
	child_spec_init(&s);
	ids_of(&s, &pid, &group, &session);
	assert_int_equal(group, pid);
	assert_int_equal(session, getsid(0));
	s.session = true;
	ids_of(&s, &pid, &group, &session);
	assert_int_equal(group, pid);
	assert_int_equal(session, pid);
}

static void
folder_is_set(void **state)
{
	const char *argv[] = {"pwd", "-P", NULL};
	char *dir = tmp_make(), *text;
	struct child_spec s;

	(void)state;
	child_spec_init(&s);
	s.argv = argv;
	s.cwd = dir;
	text = output_of(&s);
	assert_memory_equal(text, dir, strlen(dir));
	free(text);
	tmp_remove(dir);
}

static void
failure_is_told(void **state)
{
	const char *absent[] = {"/nowhere/program", NULL}, *plain[] = {"/etc/passwd", NULL},
		   *pwd[] = {"pwd", NULL};
	struct err e = {""};
	struct child_spec s;
	int exec_fd, code = 0;
	pid_t pid = 0;

	(void)state;
	child_spec_init(&s);
	s.argv = absent;
	assert_int_equal(child_spawn(&s, &pid, NULL, &e), -ENOENT);
	assert_string_equal(e.msg, "cannot start /nowhere/program: No such file or directory");
	s.argv = plain;
	assert_int_equal(child_spawn(&s, &pid, NULL, &e), -EACCES);
	s.argv = pwd;
	s.cwd = "/nowhere";
	assert_int_equal(child_spawn(&s, &pid, NULL, &e), -ENOENT);
	assert_int_equal(pid, 0);
	/* With exec_fd it comes later, through it. */
	s.cwd = NULL;
	s.argv = absent;
	assert_int_equal(child_spawn(&s, &pid, &exec_fd, &e), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(fd_read(exec_fd, &code, sizeof(code)), sizeof(code));
	assert_int_equal(code, ENOENT);
	fd_close(&exec_fd);
}

/* Where nobody waits for it, it is said on the child's stderr, and by its status. */
static void
failure_is_told_by_the_child(void **state)
{
	static const char told[] = "cannot start /nowhere/program: No such file or directory\n";
	const char *absent[] = {"/nowhere/program", NULL};
	struct err e = {""};
	struct child_spec s;
	char text[256] = "";
	int out[2], status;
	pid_t pid = 0;

	(void)state;
	assert_int_equal(fd_pipe(out, false), 0);
	child_spec_init(&s);
	s.argv = absent;
	s.fd_err = out[1];
	s.exec_status = 78;
	assert_int_equal(child_spawn(&s, &pid, NULL, &e), 0);
	fd_close(&out[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 78);
	assert_int_equal(fd_read(out[0], text, sizeof(text) - 1), strlen(told));
	assert_string_equal(text, told);
	fd_close(&out[0]);
}

/* A parent in between starts a child with a death signal and is killed: the child's pipe must close. */
static void
dies_with_its_parent(void **state)
{
	const char *argv[] = {"sleep", "1000", NULL};
	int out[2], status;
	pid_t middle, child;
	char c;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(fd_pipe(out, false), 0);
	middle = fork();
	if (middle == 0) {
		struct child_spec s;
		pid_t pid;

		child_spec_init(&s);
		s.argv = argv;
		s.fd_out = out[1];
		s.death_signal = SIGKILL;
		if (child_spawn(&s, &pid, NULL, NULL) < 0)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	fd_close(&out[1]);
	assert_int_equal(fd_read(out[0], &c, 1), 0);
	fd_close(&out[0]);
	assert_int_equal(waitpid(middle, &status, 0), middle);
	assert_true(WIFSIGNALED(status));
	child = waitpid(-1, &status, 0);
	assert_true(child > 0);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

static void
status_reads_well(void **state)
{
	char buf[64];

	(void)state;
	assert_string_equal(child_status_text(buf, sizeof(buf), 3 << 8), "exited with status 3");
	assert_string_equal(child_status_text(buf, sizeof(buf), SIGKILL), "was killed by signal 9 (Killed)");
}

static void
programs_are_found(void **state)
{
	char *dir = tmp_make(), *old = xstrdup(getenv("PATH")), *search = xasprintf("/nowhere:%s", dir);
	char *path = NULL, *want = tmp_path(dir, "tool");
	struct err e = {""};

	(void)state;
	tmp_write(dir, "tool", "#!/bin/sh\n");
	tmp_write(dir, "notes", "text");
	setenv("PATH", search, 1);
	assert_int_equal(child_find_program("tool", &path, &e), 0);
	assert_string_equal(path, want);
	free(path);
	assert_int_equal(child_find_program("absent", &path, &e), -ENOENT);
	assert_string_equal(e.msg, "absent was not found in PATH");
	assert_int_equal(child_find_program("notes", &path, &e), -EACCES);
	assert_string_equal(e.msg, "notes is in PATH but not executable");
	assert_int_equal(child_find_program("", &path, &e), -ENOENT);
	assert_int_equal(child_find_program(dir, &path, &e), -EISDIR);
	assert_int_equal(child_find_program("./absent", &path, &e), -ENOENT);
	setenv("PATH", old, 1);
	free(old);
	free(search);
	free(want);
	tmp_remove(dir);
}

#define CHILD_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CHILD_TEST(signals_are_fresh),
	    CHILD_TEST(fds_are_the_named_ones),
	    CHILD_TEST(crossed_fds_find_their_places),
	    CHILD_TEST(environment_is_complete),
	    CHILD_TEST(child_leads_its_group),
	    CHILD_TEST(folder_is_set),
	    CHILD_TEST(failure_is_told),
	    CHILD_TEST(failure_is_told_by_the_child),
	    CHILD_TEST(dies_with_its_parent),
	    CHILD_TEST(status_reads_well),
	    CHILD_TEST(programs_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
