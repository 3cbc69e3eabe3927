/* cmd: a command's words are kept within bounds, its end comes in time, and its lock is one at a time. */
#include "common/cmd.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/proc.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tmp.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct loop loop;
static int fds_before;

static int
setup(void **state)
{
	fds_before = tmp_open_fds();
	*state = tmp_make();
	return loop_init(&loop);
}

static int
teardown(void **state)
{
	loop_clear(&loop);
	tmp_remove(*state);
	if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
		return -1;
	return tmp_open_fds() == fds_before ? 0 : -1;
}

static struct cmd_result
run(struct cmd_spec s, const char *script)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct cmd_result r = {0};
	struct err e = {""};

	s.argv = argv;
	if (cmd_run(&loop, &s, &r, &e) < 0)
		fail_msg("%s", e.msg);
	return r;
}

static void
words_and_status_are_kept(void **state)
{
	struct cmd_result r =
	    run((struct cmd_spec){.out_max = 100, .err_max = 100}, "echo out; echo err >&2; exit 3");

	(void)state;
	assert_string_equal(r.out, "out\n");
	assert_string_equal(r.err, "err\n");
	assert_int_equal(WEXITSTATUS(r.status), 3);
	assert_false(cmd_ok(&r) || r.timed_out || r.truncated);
	cmd_result_clear(&r);
	r = run((struct cmd_spec){0}, "cat; echo dropped");
	assert_true(cmd_ok(&r));
	assert_true(r.truncated);
	assert_string_equal(r.out, "");
	cmd_result_clear(&r);
	r = run((struct cmd_spec){0}, "kill -9 $$");
	assert_false(cmd_ok(&r));
	cmd_result_clear(&r);
}

static void
head_of_stdout_tail_of_stderr(void **state)
{
	struct cmd_result r =
	    run((struct cmd_spec){.out_max = 10, .err_max = 10}, "seq 1000 9999; seq 1000 9999 >&2");

	(void)state;
	assert_string_equal(r.out, "1000\n1001\n");
	assert_string_equal(r.err, "9998\n9999\n");
	assert_true(r.truncated);
	cmd_result_clear(&r);
	r = run((struct cmd_spec){.out_max = 12, .merge_err = true}, "echo first; seq 1 5000 >&2; echo last");
	assert_string_equal(r.out, "9\n5000\nlast\n");
	assert_string_equal(r.err, "");
	cmd_result_clear(&r);
	r = run((struct cmd_spec){.out_max = 100, .merge_err = true}, "echo a; echo b >&2; echo c");
	assert_string_equal(r.out, "a\nb\nc\n");
	assert_false(r.truncated);
	cmd_result_clear(&r);
}

static void
megabyte_goes_through(void **state)
{
	size_t size = 1 << 20;
	char *in = xmalloc(size);
	struct cmd_result r;

	(void)state;
	for (size_t i = 0; i < size; i++)
		in[i] = (char)(i * 7 + i / 251);
	r = run((struct cmd_spec){.in = in, .in_size = size, .out_max = size}, "cat");
	assert_int_equal(r.out_size, size);
	assert_memory_equal(r.out, in, size);
	assert_false(r.truncated);
	cmd_result_clear(&r);
	/* A program that does not want it all is no fault. */
	r = run((struct cmd_spec){.in = in, .in_size = size, .out_max = 10}, "exec <&-; echo enough");
	assert_true(cmd_ok(&r));
	assert_string_equal(r.out, "enough\n");
	cmd_result_clear(&r);
	r = run((struct cmd_spec){.in = "", .in_size = 0, .out_max = 10}, "cat; echo end");
	assert_string_equal(r.out, "end\n");
	cmd_result_clear(&r);
	free(in);
}

/* EOF of the pipe means that nobody of the tree lives: all of it inherited the write end through fd 2. */
static void
timeout_ends_the_tree(void **state)
{
	struct cmd_result r = run((struct cmd_spec){.timeout_ms = 200, .out_max = 100},
	    "trap '' TERM; sleep 1000 & sleep 1000 & echo begun; wait");

	(void)state;
	assert_true(r.timed_out);
	assert_false(cmd_ok(&r));
	assert_int_equal(WTERMSIG(r.status), SIGKILL);
	assert_string_equal(r.out, "begun\n");
	assert_true(r.duration_ms >= 200);
	cmd_result_clear(&r);
}

/* A program that never stops talking kept the read callback busy, so that no timer came. */
static void
flood_does_not_stop_the_clock(void **state)
{
	struct cmd_result r = run((struct cmd_spec){.timeout_ms = 200, .out_max = 100}, "exec yes");

	(void)state;
	assert_true(r.timed_out && r.truncated);
	assert_int_equal(r.out_size, 100);
	cmd_result_clear(&r);
}

/* A pending stop killed the group before the child led one, and the wait for its end failed an assertion. */
static void
stop_interrupts_at_any_moment(void **state)
{
	const char *argv[] = {"sleep", "1000", NULL};
	struct cmd_spec s = {.argv = argv};
	struct cmd_result r;
	struct err e = {""};

	(void)state;
	loop_stop(&loop, SIGTERM);
	for (int i = 0; i < 30; i++) {
		assert_int_equal(cmd_run(&loop, &s, &r, &e), -ECANCELED);
		assert_string_equal(e.msg, "sleep was interrupted");
	}
	loop.stop_masked++;
	r = run((struct cmd_spec){.out_max = 10}, "echo saved");
	assert_string_equal(r.out, "saved\n");
	cmd_result_clear(&r);
	loop.stop_masked--;
}

static void
failure_to_start_is_told(void **state)
{
	const char *argv[] = {"/nowhere/git", NULL};
	struct cmd_spec s = {.argv = argv};
	struct cmd_result r;
	struct err e = {"an older sentence"};

	(void)state;
	assert_int_equal(cmd_run(&loop, &s, &r, &e), -ENOENT);
	assert_string_equal(e.msg, "cannot start /nowhere/git: No such file or directory");
	s.lock_path = "/nowhere/lock";
	assert_int_equal(cmd_run(&loop, &s, &r, &e), -ENOENT);
	assert_string_equal(e.msg, "cannot open /nowhere/lock: No such file or directory");
	s.lock_path = NULL;
	s.cwd = "/nowhere";
	argv[0] = "true";
	assert_int_equal(cmd_run(&loop, &s, &r, &e), -ENOENT);
}

static void
strays_end_where_we_own_them(void **state)
{
	struct cmd_result r;
	pid_t *pids = NULL;

	(void)state;
	assert_int_equal(loop_own_descendants(&loop), 0);
	r = run((struct cmd_spec){.out_max = 10}, "setsid sh -c 'sleep 1000 & echo x; exec sleep 1000' & "
						  "(setsid sleep 1000 &); echo y");
	assert_true(cmd_ok(&r));
	cmd_result_clear(&r);
	assert_int_equal(proc_children(getpid(), &pids), 0);
	free(pids);
}

/* Starts a sleeper that holds lock; returns when it does. */
static pid_t
hold(const char *lock)
{
	const char *argv[] = {"sleep", "1000", NULL};
	int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600), exec_fd, code;
	struct child_spec s;
	pid_t pid;

	child_spec_init(&s);
	s.argv = argv;
	s.lock_fd = fd;
	assert_int_equal(child_spawn(&s, &pid, &exec_fd, NULL), 0);
	assert_int_equal(fcntl(exec_fd, F_SETFL, 0), 0);
	assert_int_equal(fd_read(exec_fd, &code, sizeof(code)), 0);
	fd_close(&exec_fd);
	fd_close(&fd);
	return pid;
}

static void
kill_holder(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	kill(*(pid_t *)arg, SIGKILL);
}

static void
lock_is_one_at_a_time(void **state)
{
	char *lock = tmp_path(*state, "lane.lock");
	struct timeval soon = {.tv_usec = 50000};
	pid_t holder = hold(lock);
	struct event *ev = evtimer_new(loop.base, kill_holder, &holder);
	struct cmd_result r;

	/* Held: it waits, and waiting counts. It did not even begin. */
	r = run((struct cmd_spec){.lock_path = lock, .timeout_ms = 100, .out_max = 10}, "echo began");
	assert_true(r.timed_out);
	assert_string_equal(r.out, "");
	cmd_result_clear(&r);
	/* kill -9 of the holder is all it takes. */
	evtimer_add(ev, &soon);
	r = run((struct cmd_spec){.lock_path = lock, .out_max = 10}, "echo began");
	assert_true(cmd_ok(&r));
	assert_string_equal(r.out, "began\n");
	assert_true(r.duration_ms >= 50);
	cmd_result_clear(&r);
	r = run((struct cmd_spec){.lock_path = lock, .out_max = 10}, "echo again");
	assert_string_equal(r.out, "again\n");
	cmd_result_clear(&r);
	loop_reap(&loop);
	event_free(ev);
	free(lock);
}

#define CMD_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CMD_TEST(words_and_status_are_kept),
	    CMD_TEST(head_of_stdout_tail_of_stderr),
	    CMD_TEST(megabyte_goes_through),
	    CMD_TEST(timeout_ends_the_tree),
	    CMD_TEST(flood_does_not_stop_the_clock),
	    CMD_TEST(stop_interrupts_at_any_moment),
	    CMD_TEST(failure_to_start_is_told),
	    CMD_TEST(strays_end_where_we_own_them),
	    CMD_TEST(lock_is_one_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
