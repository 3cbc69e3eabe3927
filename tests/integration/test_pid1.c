/*
 * orchd run as PID 1, as in a container: in a PID namespace of its own (unshare(1)), it serves its run and
 * exits with the run's result, reaps strangers without ending them, lands the run when it is asked to stop,
 * and goes on with it when it is started again with the same arguments. Skipped, loudly, where no namespace
 * can be made.
 */
#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/proc.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNSHARE "/usr/bin/unshare"
#define NSENTER "/usr/bin/nsenter"
#define ARGS_MAX 16
#define SKIP 77
#define GRACE_MS 10000 /* what docker stop gives */
#define ORPHANS 1000

/* A worker that comes to "at-work" and stays there until "go". */
static void
write_scripts(struct e2e *e)
{
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", "touch @/at-work\nwait_file @/go\n");
}

/* "orchd run" with more arguments as the first process of a namespace. */
static void
begin(struct e2e *e, const char *more)
{
	char *program = testrepo_path(e->repo, "bin/orchd");
	const char *argv[] = {
	    "--pid", "--fork", "--mount-proc", "--kill-child", program, "run", "-m", "Build it", more, NULL};

	if (e->before == NULL)
		e2e_remember(e);
	if (e->run.out != NULL)
		ctlrun_clear(&e->run);
	ctlrun_program(&e->run, e->repo, UNSHARE, e->repo->top, false, argv, NULL, NULL);
	e->running = true;
	free(program);
}

/* The namespace's first process, as we see it. */
static pid_t
init_pid(struct e2e *e)
{
	pid_t *children, pid;

	assert_int_equal(proc_children(e->run.pid, &children), 1);
	pid = children[0];
	free(children);
	return pid;
}

static void
test_result_is_the_exit_status(void **state)
{
	struct e2e *e = *state;

	write_scripts(e);
	e2e_touch(e, "go");
	begin(e, NULL);
	assert_int_equal(e2e_end(e), 0);
	e2e_assert_shows(e, "m1", "a/one.txt", "one");
}

static void
test_failure_is_the_exit_status(void **state)
{
	struct e2e *e = *state;

	write_scripts(e);
	e2e_script(e, "worker-a.one", "error I cannot do this\n");
	begin(e, "--max-attempts=1");
	assert_int_equal(e2e_end(e), 1);
}

static void
test_wrong_usage(void **state)
{
	struct e2e *e = *state;

	begin(e, "--no-such-option");
	assert_int_equal(e2e_end(e), 2);
}

/* docker stop: work is saved, and all leave in time. */
static void
stop_by(struct e2e *e, int sig, int status)
{
	int64_t began;

	write_scripts(e);
	begin(e, NULL);
	e2e_await_file(e, "at-work");
	began = clock_now_ms();
	assert_int_equal(kill(init_pid(e), sig), 0);
	assert_int_equal(e2e_end(e), status);
	assert_true(clock_now_ms() - began < GRACE_MS);
	e2e_touch(e, "go");
}

/* docker start: the same arguments and the same state folder are the same run, and it comes to its end. */
static void
test_term_and_again(void **state)
{
	struct e2e *e = *state;
	struct ctlrun r;

	stop_by(e, SIGTERM, 128 + SIGTERM);
	begin(e, NULL);
	assert_int_equal(e2e_end(e), 0);
	assert_non_null(strstr(e->run.err, "goes on"));
	assert_int_equal(e2e_ctl(e, &r, "status", "m2", NULL), 1);
	ctlrun_clear(&r);
	e2e_assert_shows(e, "m1", "a/one.txt", "one");
}

static void
test_interrupt_lands_the_run(void **state)
{
	struct e2e *e = *state;

	stop_by(e, SIGINT, 128 + SIGINT);
	e2e_follow(e); /* starts one, outside */
	e2e_await(e, "m1", "state", "complete");
	e2e_assert_shows(e, "m1", "a/one.txt", "one");
}

/* Of the namespace whose first process is init: how many are zombies, and is there one of that name? */
static unsigned
count_zombies(pid_t init, const char *name, pid_t *found)
{
	pid_t *pids;
	int n = proc_children(init, &pids);
	unsigned zombies = 0;

	for (int i = 0; i < n; i++) {
		char *path = xasprintf("/proc/%d/stat", (int)pids[i]), *text = NULL, *end;

		if (fd_read_file(path, 4096, &text, NULL) == 0 && (end = strrchr(text, ')')) != NULL) {
			zombies += end[2] == 'Z';
			if (found != NULL && strncmp(strchr(text, '(') + 1, name, strlen(name)) == 0)
				*found = pids[i];
		}
		free(text);
		free(path);
	}
	if (n >= 0)
		free(pids);
	return zombies;
}

/* A command of somebody else in the namespace, as "docker exec" runs it. */
static void
enter(struct e2e *e, pid_t init, const char *command)
{
	char *pid = xasprintf("%d", (int)init);
	const char *argv[] = {"--target", pid, "--pid", "--mount", "/bin/sh", "-c", command, NULL};
	struct ctlrun r;

	ctlrun_program(&r, e->repo, NSENTER, e->repo->top, false, argv, NULL, NULL);
	ctlrun_wait(&r);
	if (r.status != 0)
		fail_msg("nsenter: exit %d: %s", r.status, r.err);
	ctlrun_clear(&r);
	free(pid);
}

/* Waits until the namespace's first process has exactly that many children, dead ones too, or at least. */
static void
await_children(struct e2e *e, pid_t init, int count, bool exactly)
{
	int64_t deadline = clock_now_ms() + GRACE_MS;
	bool never = false;

	for (;;) {
		pid_t *pids;
		int n = proc_children(init, &pids);

		assert_true(n >= 0);
		free(pids);
		if (exactly ? n == count : n >= count)
			return;
		if (clock_now_ms() >= deadline)
			fail_msg("%d children, not %d", n, count);
		loop_wait(&e->repo->loop, &never, clock_now_ms() + 1);
	}
}

/* In the namespace: a process whose children all live until the pipe is closed, and that is gone before. */
static void
orphan(pid_t init, int wait_fd)
{
	char *path = xasprintf("/proc/%d/ns/pid", (int)init), c;
	int fd = open(path, O_RDONLY | O_CLOEXEC), status;
	pid_t pid = fd < 0 || setns(fd, CLONE_NEWPID) < 0 ? -1 : fork();

	if (pid < 0)
		_exit(1);
	if (pid == 0) {
		for (int i = 0; i < ORPHANS; i++) {
			pid = fork();
			if (pid == 0)
				_exit(read(wait_fd, &c, 1) == 0 ? 0 : 1);
			if (pid < 0)
				_exit(1);
		}
		_exit(0);
	}
	_exit(waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1);
}

static void
test_orphans_that_die_at_once(void **state)
{
	struct e2e *e = *state;
	int hold[2], status, before;
	int64_t began;
	pid_t init, pid, *pids;

	write_scripts(e);
	begin(e, NULL);
	e2e_await_file(e, "at-work");
	init = init_pid(e);
	before = proc_children(init, &pids);
	free(pids);
	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		orphan(init, hold[0]);
	}
	close(hold[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	await_children(e, init, before + ORPHANS, false);
	began = clock_now_ms();
	close(hold[1]);
	await_children(e, init, before, true);
	print_message("%d orphans that died at once were reaped in %lld ms\n", ORPHANS,
	    (long long)(clock_now_ms() - began));
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
}

static void
test_strangers_are_left_alone(void **state)
{
	struct e2e *e = *state;
	int64_t deadline = clock_now_ms() + GRACE_MS;
	pid_t init, stranger = 0, worker;
	bool never = false;

	write_scripts(e);
	begin(e, NULL);
	e2e_await_file(e, "at-work");
	init = init_pid(e);
	enter(
	    e, init, "setsid -w sh -c 'sleep 600 </dev/null >/dev/null 2>&1 &'"); /* not of nsenter's group */
	while (count_zombies(init, "sleep", &stranger) > 0 || stranger == 0) {
		assert_true(clock_now_ms() < deadline);
		loop_wait(&e->repo->loop, &never, clock_now_ms() + 2);
	}
	/* What a dead worker leaves is hunted; the stranger is none of it. */
	count_zombies(init, "orch-worker", &worker);
	e2e_unlink(e, "at-work");
	assert_int_equal(kill(worker, SIGKILL), 0);
	e2e_await_file(e, "at-work");
	assert_false(e2e_is_gone(stranger));
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
	e2e_await_gone(e, stranger); /* with the namespace */
}

/*
 * What would end an ordinary process does nothing to a first process without a handler for it, not even KILL
 * from inside; and it must not: everything would go with it. A role that is killed is started again.
 */
static void
test_what_does_not_end_it(void **state)
{
	static const int signals[] = {SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGPIPE, SIGHUP, SIGVTALRM};
	static const char *const roles[] = {"orch-director", "orch-em", "orch-worker"};
	struct e2e *e = *state;
	pid_t init, role;

	write_scripts(e);
	begin(e, NULL);
	e2e_await_file(e, "at-work");
	init = init_pid(e);
	enter(e, init, "kill -KILL 1; kill -QUIT 1; kill -USR1 1; kill -ALRM 1");
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		assert_int_equal(kill(init, signals[i]), 0);
	e2e_unlink(e, "at-work");
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		role = 0;
		count_zombies(init, roles[i], &role);
		assert_int_not_equal(role, 0);
		assert_int_equal(kill(role, SIGKILL), 0);
	}
	e2e_await_file(e, "at-work");
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
	e2e_assert_shows(e, "m1", "a/one.txt", "one");
}

static bool
can_unshare(void)
{
	int status = 1;
	pid_t pid = fork();

	if (pid == 0) {
		execl(UNSHARE, UNSHARE, "--pid", "--fork", "--mount-proc", "/bin/true", (char *)NULL);
		_exit(1);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, e2e_setup, e2e_teardown)
	const struct CMUnitTest tests[] = {
	    T(test_result_is_the_exit_status),
	    T(test_failure_is_the_exit_status),
	    T(test_wrong_usage),
	    T(test_term_and_again),
	    T(test_interrupt_lands_the_run),
	    T(test_strangers_are_left_alone),
	    T(test_orphans_that_die_at_once),
	    T(test_what_does_not_end_it),
	};

	if (!can_unshare()) {
		fprintf(
		    stderr, "SKIPPED: no PID namespace can be made here, so orchd was not tested as PID 1\n");
		return SKIP;
	}
	return cmocka_run_group_tests_name("test_pid1", tests, NULL, NULL);
}
