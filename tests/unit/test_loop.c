/* loop: waits end when they should and for the right reason; children are reaped with what is left of their
 * group. */
#include "common/loop.h"

#include "common/child.h"
#include "common/clock.h"
#include "common/fd.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tmp.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LATE_MS 20000 /* a test that waits this long has failed */

static const bool never = false;
static int fds_before;

static int
setup(void **state)
{
	static struct loop l;

	fds_before = tmp_open_fds();
	*state = &l;
	return loop_init(&l);
}

static int
teardown(void **state)
{
	loop_clear(*state);
	if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
		return -1;
	return tmp_open_fds() == fds_before ? 0 : -1;
}

static pid_t
start_sh(const char *script, int fd_out)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct child_spec s;
	pid_t pid;

	child_spec_init(&s);
	s.argv = argv;
	s.fd_out = fd_out;
	assert_int_equal(child_spawn(&s, &pid, NULL, NULL), 0);
	return pid;
}

static void
deadline_ends_a_wait_and_not_before(void **state)
{
	struct loop *l = *state;

	for (int i = 0; i < 10; i++) {
		int64_t deadline = clock_now_ms() + 3;

		assert_int_equal(loop_wait(l, &never, deadline), -ETIMEDOUT);
		assert_true(clock_now_ms() >= deadline);
	}
	assert_int_equal(loop_wait(l, &never, 0), -ETIMEDOUT);
}

static void
what_is_done_needs_no_wait(void **state)
{
	struct loop *l = *state;
	bool done = true;

	loop_stop(l, SIGTERM);
	assert_int_equal(loop_wait(l, &done, -1), 0);
}

static void
stop_ends_waits_until_masked(void **state)
{
	struct loop *l = *state;

	raise(SIGTERM);
	assert_int_equal(loop_wait(l, &never, clock_now_ms() + LATE_MS), -ECANCELED);
	assert_int_equal(l->stop_signal, SIGTERM);
	assert_int_equal(loop_wait(l, &never, clock_now_ms() + LATE_MS), -ECANCELED);
	l->stop_masked++;
	assert_int_equal(loop_wait(l, &never, clock_now_ms() + 1), -ETIMEDOUT);
	l->stop_masked--;
}

static void
count_signal(struct loop *l, int sig, void *arg)
{
	assert_int_equal(sig, SIGHUP);
	(void)l;
	*(bool *)arg = true;
}

static void
signals_can_be_taken_over(void **state)
{
	struct loop *l = *state;
	bool seen = false;

	l->on_signal = count_signal;
	l->arg = &seen;
	raise(SIGHUP);
	assert_int_equal(loop_wait(l, &seen, clock_now_ms() + LATE_MS), 0);
	assert_false(l->stop);
}

struct death {
	pid_t pid;
	int status;
	bool seen;
};

static void
on_death(void *arg, pid_t pid, int status)
{
	struct death *d = arg;

	assert_false(d->seen);
	d->pid = pid;
	d->status = status;
	d->seen = true;
}

static void
every_death_is_told_once(void **state)
{
	struct loop *l = *state;
	struct death deaths[20] = {{0}};

	for (int i = 0; i < 20; i++) {
		char script[32];

		snprintf(script, sizeof(script), "exit %d", i);
		deaths[i].status = -1;
		loop_watch_child(l, start_sh(script, -1), on_death, &deaths[i]);
	}
	for (int i = 0; i < 20; i++) {
		assert_int_equal(loop_wait(l, &deaths[i].seen, clock_now_ms() + LATE_MS), 0);
		assert_int_equal(WEXITSTATUS(deaths[i].status), i);
	}
}

/* The leader ends, its sleeper would hold the pipe for ever. */
static void
group_ends_with_its_leader(void **state)
{
	struct loop *l = *state;
	struct death d = {0};
	int out[2];
	char c;

	assert_int_equal(fd_pipe(out, false), 0);
	loop_watch_child(l, start_sh("sleep 1000 & exit 0", out[1]), on_death, &d);
	fd_close(&out[1]);
	assert_int_equal(loop_wait(l, &d.seen, clock_now_ms() + LATE_MS), 0);
	assert_int_equal(fd_read(out[0], &c, 1), 0);
	fd_close(&out[0]);
}

static void
on_stranger(struct loop *l, pid_t pid, int status, void *arg)
{
	(void)l;
	(void)pid;
	(void)status;
	*(bool *)arg = true;
}

static void
orphans_come_to_us(void **state)
{
	struct loop *l = *state;
	struct death d = {0};
	bool adopted = false;
	char c;
	int gate[2];

	assert_int_equal(loop_own_descendants(l), 0);
	assert_true(l->reaper);
	l->on_stranger = on_stranger;
	l->arg = &adopted;
	assert_int_equal(fd_pipe(gate, false), 0);
	/* The orphan leaves the group, tells that it did, and ends when its parent is long dead. */
	loop_watch_child(
	    l, start_sh("setsid sh -c 'echo; kill -9 $PPID; exit 3' & wait", gate[1]), on_death, &d);
	fd_close(&gate[1]);
	assert_int_equal(fd_read(gate[0], &c, 1), 1);
	assert_int_equal(loop_wait(l, &d.seen, clock_now_ms() + LATE_MS), 0);
	assert_int_equal(loop_wait(l, &adopted, clock_now_ms() + LATE_MS), 0);
	fd_close(&gate[0]);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

static void
unwatched_is_not_told(void **state)
{
	struct loop *l = *state;
	struct death d = {0};
	pid_t pid = start_sh("exit 0", -1);

	loop_watch_child(l, pid, on_death, &d);
	loop_unwatch_child(l, pid);
	loop_unwatch_child(l, pid);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	loop_reap(l);
	assert_false(d.seen);
}

/* What the top level does now and then while it waits: here it waits itself, for what ends the outer wait
 * too. */

struct idler {
	struct loop *l;
	unsigned calls, depth;
	bool both, never;
	int inner;
};

static void
on_both(evutil_socket_t fd, short what, void *arg)
{
	struct idler *i = arg;

	(void)fd;
	(void)what;
	i->both = true;
}

static void
idle_waits(void *arg)
{
	struct idler *i = arg;

	assert_int_equal(i->depth++, 0);
	i->calls++;
	i->inner = loop_wait(i->l, &i->both, clock_now_ms() + LATE_MS);
	i->depth--;
}

static void
idle_may_wait_within_a_wait(void **state)
{
	struct loop *l = *state;
	struct idler i = {.l = l, .inner = 1};
	struct timeval soon = {.tv_usec = 20000};
	struct event *ev = evtimer_new(l->base, on_both, &i);

	loop_set_idle(l, 1, idle_waits, &i);
	evtimer_add(ev, &soon);
	assert_int_equal(loop_wait(l, &i.both, clock_now_ms() + LATE_MS), 0);
	assert_int_equal(i.calls, 1);
	assert_int_equal(i.inner, 0);
	event_free(ev);
}

static void
idle_counts(void *arg)
{
	struct idler *i = arg;

	if (++i->calls == 3)
		i->both = true;
}

static void
idle_comes_again_and_goes(void **state)
{
	struct loop *l = *state;
	struct idler i = {.l = l};

	loop_set_idle(l, 1, idle_counts, &i);
	assert_int_equal(loop_wait(l, &i.both, clock_now_ms() + LATE_MS), 0);
	assert_int_equal(i.calls, 3);
	l->stop_masked++;
	assert_int_equal(loop_wait(l, &i.never, clock_now_ms() + 20), -ETIMEDOUT);
	l->stop_masked--;
	loop_set_idle(l, 0, NULL, NULL);
	assert_int_equal(loop_wait(l, &i.never, clock_now_ms() + 20), -ETIMEDOUT);
	assert_int_equal(i.calls, 3);
}

#define LOOP_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    LOOP_TEST(deadline_ends_a_wait_and_not_before),
	    LOOP_TEST(what_is_done_needs_no_wait),
	    LOOP_TEST(stop_ends_waits_until_masked),
	    LOOP_TEST(signals_can_be_taken_over),
	    LOOP_TEST(every_death_is_told_once),
	    LOOP_TEST(group_ends_with_its_leader),
	    LOOP_TEST(orphans_come_to_us),
	    LOOP_TEST(unwatched_is_not_told),
	    LOOP_TEST(idle_may_wait_within_a_wait),
	    LOOP_TEST(idle_comes_again_and_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
