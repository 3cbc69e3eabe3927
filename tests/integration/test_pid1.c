/*
 * orchd run as PID 1, as in a container: in a PID namespace of its own (unshare(1)), it serves its run and
 * exits with the run's result, reaps strangers without ending them, and lands the run when it is asked to
 * stop. Skipped, loudly, where no namespace can be made.
 */
#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/proc.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <ctype.h>
#include <dirent.h>
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

	e2e_remember(e);
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

/* docker stop: work is saved, all leave in time, and the next orchd goes on with the run. */
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
	e2e_follow(e); /* starts one, outside */
	e2e_await(e, "m1", "state", "complete");
	e2e_assert_shows(e, "m1", "a/one.txt", "one");
}

static void
test_term_lands_the_run(void **state)
{
	stop_by(*state, SIGTERM, 128 + SIGTERM);
}

static void
test_interrupt_lands_the_run(void **state)
{
	stop_by(*state, SIGINT, 128 + SIGINT);
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

static void
test_strangers_are_reaped_and_left_alone(void **state)
{
	struct e2e *e = *state;
	int64_t deadline = clock_now_ms() + GRACE_MS;
	pid_t init, stranger = 0, worker;
	char *orphans = xasprintf("i=0; while [ $i -lt %d ]; do (: &) ; i=$((i+1)); done", ORPHANS);
	bool never = false;

	write_scripts(e);
	begin(e, NULL);
	e2e_await_file(e, "at-work");
	init = init_pid(e);
	enter(
	    e, init, "setsid -w sh -c 'sleep 600 </dev/null >/dev/null 2>&1 &'"); /* not of nsenter's group */
	enter(e, init, orphans);
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
	free(orphans);
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
	    T(test_term_lands_the_run),
	    T(test_interrupt_lands_the_run),
	    T(test_strangers_are_reaped_and_left_alone),
	};

	if (!can_unshare()) {
		fprintf(
		    stderr, "SKIPPED: no PID namespace can be made here, so orchd was not tested as PID 1\n");
		return SKIP;
	}
	return cmocka_run_group_tests_name("test_pid1", tests, NULL, NULL);
}
