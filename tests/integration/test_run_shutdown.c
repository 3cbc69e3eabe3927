/*
 * The end of orchd while there is much to end: twice, with an agent that hears nothing, with a pipe that
 * nobody empties, with a watcher that does not read, with TERM to everybody at once; and roles that stay
 * alone. Nothing is left each time, and the run goes on to its end afterwards.
 */
#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/proc.h"
#include "proto/msg.h"
#include "proto/peer.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/limits.h"
#include "tests/helper/lib/test.h"

#include <event2/buffer.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define GONE_MS 20000

static bool
carries_mark(void *arg, pid_t pid)
{
	struct e2e *e = arg;

	return !proc_has_env(pid, "ORCH_INSTANCE", e->where.instance);
}

struct marked {
	struct e2e *e;
	unsigned count;
};

static bool
count_marked(void *arg, pid_t pid)
{
	struct marked *m = arg;

	m->count += !carries_mark(m->e, pid);
	return true;
}

static void
await_nobody(struct e2e *e)
{
	int64_t deadline = clock_now_ms() + GONE_MS;
	struct marked m = {.e = e};
	bool never = false;

	for (;;) {
		m.count = 0;
		proc_each(count_marked, &m);
		if (m.count == 0)
			return;
		if (clock_now_ms() >= deadline)
			fail_msg("%u processes are left", m.count);
		loop_wait(&e->repo->loop, &never, clock_now_ms() + 5);
	}
}

/* Two areas at work; the agent of a.x has written a file and does what the lines say until @/go is there. */
static void
begin_at_work(struct e2e *e, const char *lines)
{
	char *first = xasprintf("write a/x.part <<EOF\npart\nEOF\n%stouch @/here\nwait_file @/go\n", lines);

	e2e_plan(e, "director", "", "a b");
	e2e_plan(e, "em-a", "", "x");
	e2e_plan(e, "em-b", "", "y");
	e2e_work(e, "a.x", first);
	e2e_work(e, "b.y", "touch @/there\nwait_file @/go\n");
	setenv("ORCH_STOP_GRACE", "1", 1);
	e2e_begin(e, "--detach", NULL);
	e2e_await_file(e, "here");
	e2e_await_file(e, "there");
	free(first);
}

/* Whoever asks starts the next orchd, which goes on. */
static void
assert_goes_on(struct e2e *e)
{
	await_nobody(e);
	e2e_touch(e, "go");
	e2e_follow(e);
	e2e_await(e, "m1", "state", "complete");
	e2e_assert_shows(e, "m1", "a/x.txt", "x");
	e2e_assert_shows(e, "m1", "a/x.part", "part");
	e2e_assert_shows(e, "m1", "b/y.txt", "y");
}

static int
tear_down(void **state)
{
	unsetenv("ORCH_STOP_GRACE");
	unsetenv("ORCH_ALONE_MS");
	return e2e_teardown(state);
}

static void
test_told_twice(void **state)
{
	struct e2e *e = *state;
	pid_t orchd;

	begin_at_work(e, "ignore_term\n");
	orchd = e2e_pid(e, NULL);
	assert_int_equal(kill(orchd, SIGTERM), 0);
	assert_int_equal(kill(orchd, SIGTERM), 0);
	e2e_await_gone(e, orchd);
	assert_goes_on(e);
}

struct search {
	struct e2e *e;
	const char *program;
	pid_t found;
};

static bool
look_for(void *arg, pid_t pid)
{
	struct search *s = arg;

	if (!proc_has_env(pid, "ORCH_INSTANCE", s->e->where.instance) ||
	    !proc_has_env(pid, "ORCH_TASK", "m1/em1/w1") || !limits_is_program(pid, s->program))
		return true;
	s->found = pid;
	return false;
}

/* Of the first worker's task. */
static pid_t
find(struct e2e *e, const char *program)
{
	struct search s = {.e = e, .program = program};

	proc_each(look_for, &s);
	assert_true(s.found > 1);
	return s.found;
}

static void
test_with_a_hung_agent(void **state)
{
	struct e2e *e = *state;
	pid_t orchd;

	begin_at_work(e, "");
	orchd = e2e_pid(e, NULL);
	assert_int_equal(kill(find(e, "orch-test-agent"), SIGSTOP), 0);
	assert_int_equal(kill(orchd, SIGTERM), 0);
	e2e_await_gone(e, orchd);
	assert_goes_on(e);
}

/* The worker hangs while its agent says more than a pipe holds. */
static void
test_with_a_full_pipe(void **state)
{
	struct e2e *e = *state;
	pid_t orchd;

	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "x");
	e2e_work(e, "a.x", "touch @/here\nwait_file @/flood\nflood 4000000\nwait_file @/go\n");
	setenv("ORCH_STOP_GRACE", "1", 1);
	e2e_begin(e, "--detach", NULL);
	e2e_await_file(e, "here");
	orchd = e2e_pid(e, NULL);
	assert_int_equal(kill(find(e, "orch-worker"), SIGSTOP), 0);
	e2e_touch(e, "flood");
	assert_int_equal(kill(orchd, SIGTERM), 0);
	e2e_await_gone(e, orchd);
	await_nobody(e);
	e2e_touch(e, "go");
	e2e_follow(e);
	e2e_await(e, "m1", "state", "complete");
	e2e_assert_shows(e, "m1", "a/x.txt", "x");
}

static void
add(struct evbuffer *out, const struct msg *m)
{
	struct err why = {""};

	if (msg_encode(m, out, &why) < 0)
		fail_msg("%s", why.msg);
}

/* It asks for all there is, again and again, and never reads a byte. */
static void
test_with_a_watcher_that_does_not_read(void **state)
{
	struct msg hello = {.id = MSG_HELLO, .hello = {.proto = PROTO_VERSION, .role = "orchctl"}};
	struct msg ask = {.id = MSG_STATUS, .request = 1, .status = {.watch = true}};
	struct evbuffer *out = evbuffer_new();
	struct e2e *e = *state;
	pid_t orchd;
	int fd;

	begin_at_work(e, "");
	orchd = e2e_pid(e, NULL);
	fd = peer_connect(e->where.socket, NULL);
	assert_true(fd >= 0);
	add(out, &hello);
	for (; ask.request < 500; ask.request++)
		add(out, &ask);
	assert_true(evbuffer_write(out, fd) > 0);
	evbuffer_free(out);
	e2e_ctl_ok(e, "status", NULL); /* it has been heard */
	assert_int_equal(kill(orchd, SIGTERM), 0);
	e2e_await_gone(e, orchd);
	fd_close(&fd);
	assert_goes_on(e);
}

static bool
terminate(void *arg, pid_t pid)
{
	if (!carries_mark(arg, pid))
		kill(pid, SIGTERM);
	return true;
}

/* A machine that goes down. */
static void
test_with_everybody(void **state)
{
	struct e2e *e = *state;
	pid_t orchd;

	begin_at_work(e, "");
	orchd = e2e_pid(e, NULL);
	proc_each(terminate, e);
	assert_int_equal(kill(orchd, SIGTERM), 0);
	e2e_await_gone(e, orchd);
	assert_goes_on(e);
}

/* orchd is killed, and no other one comes: the roles save their work, end their agents and leave. */
static void
test_roles_that_stay_alone(void **state)
{
	struct e2e *e = *state;
	pid_t orchd;
	char *refs;

	setenv("ORCH_ALONE_MS", "700", 1);
	begin_at_work(e, "");
	orchd = e2e_pid(e, NULL);
	assert_int_equal(kill(e->tail.pid, SIGTERM), 0); /* it would start another one */
	ctlrun_wait(&e->tail);
	assert_int_equal(kill(orchd, SIGKILL), 0);
	e2e_await_gone(e, orchd);
	await_nobody(e);
	refs = testrepo_git(e->repo, NULL, "for-each-ref", "--format=%(refname)", "refs/orch/wip", NULL);
	assert_non_null(strstr(refs, "refs/orch/wip/m1-em1-w1"));
	free(refs);
	unsetenv("ORCH_ALONE_MS");
	assert_goes_on(e);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, e2e_setup, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_told_twice),
	    TEST(test_with_a_hung_agent),
	    TEST(test_with_a_full_pipe),
	    TEST(test_with_a_watcher_that_does_not_read),
	    TEST(test_with_everybody),
	    TEST(test_roles_that_stay_alone),
	};

	return cmocka_run_group_tests_name("run_shutdown", tests, NULL, NULL);
}
