/*
 * The lives of roles under the real orchd: started, limited, restarted, parked, stopped, adopted, and nothing
 * of them left. The roles are fakes that do what a script says (tests/helper/fakerole.c).
 */
#include "tests/helper/lib/test.h"

#include "common/alloc.h"
#include "tests/helper/lib/orchdclient.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_GRACE "{\"stop_grace_ms\":300}"

static int
set_up(void **state)
{
	*state = orchd_new(ORCH_BIN_DIR);
	return 0;
}

static int
tear_down(void **state)
{
	orchd_free(*state);
	return 0;
}

/* A watcher that has submitted the run m1. */
static struct caller *
begin(struct orchd *o, const char *options)
{
	struct caller *c;

	orchd_start(o);
	c = caller_new(o);
	caller_watch(c);
	free(caller_submit(c, NULL, options));
	return c;
}

static struct caller *
watch_again(struct orchd *o, struct caller *old)
{
	struct caller *c = caller_new(o);

	caller_free(old);
	caller_watch(c);
	caller_rewind(c);
	return c;
}

static pid_t
await_ready(struct caller *c, const char *task)
{
	return (pid_t)caller_await_task(c, task, "running", "ready")->pid;
}

static pid_t
await_orphan(struct caller *c, const char *task)
{
	return (pid_t)atol(caller_await_event(c, "orphan", task, NULL)->text);
}

static void
test_one_that_crashes_at_once_is_parked(void **state)
{
	static const uint64_t least_ms[] = {0, 80, 160, 320, 640, 1280};
	struct orchd *o = *state;
	const struct msg_event_info *ev;
	struct caller *c;
	uint64_t last = 0;

	orchd_script(o, "m1", "say boom\nexit 3\n");
	c = begin(o, NULL);
	for (size_t i = 0; i < sizeof(least_ms) / sizeof(least_ms[0]); i++) {
		ev = caller_await_event(c, NULL, "m1", "boom");
		assert_string_equal(ev->kind, "death");
		assert_non_null(strstr(ev->text, "exited with status 3"));
		if (i > 0 && ev->at - last + 2 < least_ms[i]) /* two clocks of whole ms */
			fail_msg("death %zu comes after %llu ms", i + 1, (unsigned long long)(ev->at - last));
		last = ev->at;
	}
	ev = caller_await_event(c, "parked", "m1", "boom");
	assert_true(ev->at - last < 2000);
	assert_non_null(strstr(caller_await_task(c, "m1", "running", "parked")->doing, "boom"));
	caller_free(c);
}

static void
test_exit_78_parks_at_once(void **state)
{
	struct orchd *o = *state;
	struct caller *c;

	orchd_script(o, "m1", "exit 78\n");
	c = begin(o, NULL);
	caller_await_event(c, "death", "m1", "status 78");
	caller_await_event(c, "parked", "m1", NULL);
	assert_int_equal(caller_await_task(c, "m1", "running", "parked")->restarts, 1);
	caller_free(c);
}

static void
test_a_missing_program_parks(void **state)
{
	struct orchd *o = *state;
	char *path = xasprintf("%s/orch-director", o->bin);
	struct caller *c;

	assert_int_equal(remove(path), 0);
	c = begin(o, NULL);
	caller_await_event(c, "death", "m1", "orch-director is missing");
	caller_await_event(c, "parked", "m1", NULL);
	caller_free(c);
	free(path);
}

static void
test_one_that_never_says_hello_is_killed(void **state)
{
	struct orchd *o = *state;
	struct caller *c;
	pid_t pid;

	orchd_script(o, "m1", "deaf\nmute\n");
	c = begin(o, NULL);
	pid = (pid_t)caller_await_task(c, "m1", "running", "starting")->pid;
	caller_await_event(c, "death", "m1", "signal 9");
	assert_false(is_alive(pid));
	caller_await_task(c, "m1", "running", "backoff");
	caller_free(c);
}

/* A frozen process wakes to its TERM; one that ignores even that is killed when its grace is over. */
static void
test_one_that_hangs_is_replaced(void **state)
{
	struct orchd *o = *state;
	struct caller *c;
	pid_t pid;

	setenv("ORCH_HEARTBEAT", "0.2", 1);
	orchd_script(o, "m1", "hello\nfreeze\nserve\n");
	c = begin(o, SHORT_GRACE);
	pid = await_ready(c, "m1");
	caller_await_event(c, "death", "m1", "exited with status 0");
	assert_int_not_equal(await_ready(c, "m1"), pid);
	orchd_script(o, "m1", "hello\ndeaf\nfreeze\nserve\n");
	caller_await_event(c, "death", "m1", "signal 9");
	caller_free(c);
}

static void
test_a_killed_one_is_started_again(void **state)
{
	struct orchd *o = *state;
	const struct msg_task_info *t;
	struct caller *c = begin(o, NULL);
	pid_t pid = await_ready(c, "m1");

	kill(pid, SIGKILL);
	caller_await_event(c, "death", "m1", "signal 9");
	t = caller_await_task(c, "m1", "running", "ready");
	assert_int_not_equal(t->pid, pid);
	assert_int_equal(t->restarts, 1);
	caller_free(c);
}

static void
test_orphans_are_gone_before_the_replacement_starts(void **state)
{
	struct orchd *o = *state;
	struct caller *c;
	pid_t pid, orphans[3];

	orchd_script(o, "m1", "hello\norphan\norphan\norphan\nserve\n");
	c = begin(o, NULL);
	pid = await_ready(c, "m1");
	for (int i = 0; i < 3; i++) {
		orphans[i] = await_orphan(c, "m1");
		assert_true(is_alive(orphans[i]));
	}
	kill(pid, SIGKILL);
	assert_int_not_equal(caller_await_task(c, "m1", "running", "starting")->pid, pid);
	for (int i = 0; i < 3; i++)
		assert_false(is_alive(orphans[i]));
	caller_free(c);
}

/* Two areas, one of which needs the other, and room for one. */
static void
test_a_whole_run_within_its_limits(void **state)
{
	struct orchd *o = *state;
	const struct msg_run_info *r;
	struct caller *c;

	orchd_script(o, "m1",
	    "hello\nadd core1\nadd cli2 core1\nadd doc3\nintegrate core1\nintegrate cli2\n"
	    "integrate doc3\nfinish\n");
	orchd_script(
	    o, "m1/em1", "hello\nadd w1\nadd w2\nadd w3\nintegrate w1\nintegrate w2\nintegrate w3\nsubmit\n");
	for (int i = 1; i <= 3; i++) {
		char *em = xasprintf("m1/em%d", i), *w = xasprintf("m1/em1/w%d", i);

		if (i > 1)
			orchd_script(o, em, "hello\nsubmit\n");
		orchd_script(o, w, "hello\nsubmit\n");
		free(em);
		free(w);
	}
	c = begin(o, "{\"max_ems\":1,\"max_workers_per_em\":2}");
	do {
		r = caller_await_run(c, "m1", NULL);
		assert_true(r->ems <= 1);
		assert_true(r->workers <= 2);
	} while (strcmp(r->state, "complete") != 0);
	assert_int_equal(r->tasks, 6);
	assert_int_equal(r->integrated, 6);
	caller_rewind(c);
	caller_await_event(c, "state", "m1/em1", NULL); /* queued */
	caller_await_task(c, "m1/em1", "integrated", NULL);
	caller_await_task(c, "m1/em2", "running", NULL);
	caller_free(c);
}

/* Adoption. */

static void
test_a_new_orchd_adopts_what_lives(void **state)
{
	struct orchd *o = *state;
	struct caller *c;
	pid_t director, em;

	orchd_script(o, "m1", "hello\nadd core1\nserve\n");
	c = begin(o, NULL);
	director = await_ready(c, "m1");
	em = await_ready(c, "m1/em1");
	orchd_kill(o, SIGKILL);
	assert_int_equal(orchd_await_exit(o), 128 + SIGKILL);
	orchd_start(o);
	c = watch_again(o, c);
	assert_int_equal(await_ready(c, "m1"), director);
	caller_rewind(c);
	assert_int_equal(await_ready(c, "m1/em1"), em);
	/* It is heard on its new connection, and it hears. */
	assert_int_equal(
	    caller_ask(c, (struct msg){.id = MSG_CANCEL, .cancel = {.target = "m1"}})->id, MSG_ACK);
	caller_await_run(c, "m1", "cancelled");
	await_gone(o, director);
	await_gone(o, em);
	caller_free(c);
}

static void
test_an_adopted_one_that_dies_is_replaced(void **state)
{
	struct orchd *o = *state;
	struct caller *c;
	pid_t pid, orphan;

	orchd_script(o, "m1", "hello\norphan\nserve\n");
	c = begin(o, NULL);
	pid = await_ready(c, "m1");
	orphan = await_orphan(c, "m1");
	orchd_kill(o, SIGKILL);
	orchd_await_exit(o);
	orchd_start(o);
	c = watch_again(o, c);
	assert_int_equal(await_ready(c, "m1"), pid);
	assert_true(is_alive(orphan)); /* an adopted role's own are left to it */
	kill(pid, SIGKILL);
	assert_int_not_equal(caller_await_task(c, "m1", "running", "starting")->pid, pid);
	assert_false(is_alive(orphan));
	caller_free(c);
}

static void
test_leftovers_without_a_role_are_killed(void **state)
{
	struct orchd *o = *state;
	struct caller *c;
	pid_t pid, orphan;

	orchd_script(o, "m1", "hello\norphan\nserve\n");
	c = begin(o, NULL);
	pid = await_ready(c, "m1");
	orphan = await_orphan(c, "m1");
	orchd_kill(o, SIGKILL);
	orchd_await_exit(o);
	kill(pid, SIGKILL);
	await_gone(o, pid);
	assert_true(is_alive(orphan));
	orchd_start(o);
	await_gone(o, orphan);
	c = watch_again(o, c);
	assert_int_not_equal(await_ready(c, "m1"), pid);
	caller_free(c);
}

/* One that was frozen when orchd died never comes back: killed after its 10 s, and replaced. */
static void
test_an_adopted_one_that_stays_silent_is_replaced(void **state)
{
	struct orchd *o = *state;
	struct caller *c;
	pid_t pid;

	c = begin(o, NULL);
	pid = await_ready(c, "m1");
	kill(pid, SIGSTOP);
	orchd_kill(o, SIGKILL);
	orchd_await_exit(o);
	orchd_start(o);
	c = watch_again(o, c);
	caller_await_event(c, "death", "m1", NULL);
	assert_false(is_alive(pid));
	assert_int_not_equal(await_ready(c, "m1"), pid);
	caller_free(c);
}

/* Stopping. */

static void
test_term_ends_the_whole_tree(void **state)
{
	struct orchd *o = *state;
	struct caller *c;
	pid_t pids[5];

	orchd_script(o, "m1", "hello\nadd core1\norphan\nserve\n");
	orchd_script(o, "m1/em1", "hello\nadd w1\nserve\n");
	orchd_script(o, "m1/em1/w1", "hello\ndeaf\norphan\nserve\n"); /* has to be killed */
	c = begin(o, SHORT_GRACE);
	pids[0] = await_ready(c, "m1/em1/w1");
	pids[1] = await_orphan(c, "m1/em1/w1");
	caller_rewind(c);
	pids[2] = await_ready(c, "m1");
	pids[3] = await_ready(c, "m1/em1");
	caller_rewind(c);
	pids[4] = await_orphan(c, "m1");
	orchd_kill(o, SIGTERM);
	assert_int_equal(orchd_await_exit(o), 0);
	for (size_t i = 0; i < 5; i++)
		assert_false(is_alive(pids[i]));
	caller_free(c);
}

/* orchd was killed while it stopped for a person: what it had not ended yet must not go on as if nobody had
 * said so. */
static void
test_a_stopped_run_stays_stopped_when_adopted(void **state)
{
	struct orchd *o = *state;
	struct caller *c;
	pid_t pid;

	orchd_script(o, "m1", "hello\ndeaf\nserve\n");
	c = begin(o, "{\"stop_grace_ms\":5000}");
	pid = await_ready(c, "m1");
	caller_send(c, (struct msg){.id = MSG_SHUTDOWN});
	caller_await_task(c, "m1", "running", "stopping");
	assert_true(caller_await_run(c, "m1", NULL)->stopped);
	orchd_kill(o, SIGKILL);
	orchd_await_exit(o);
	assert_true(is_alive(pid));
	orchd_start(o);
	await_gone(o, pid);
	c = watch_again(o, c);
	assert_true(caller_await_run(c, "m1", NULL)->stopped);
	caller_rewind(c);
	caller_await_task(c, "m1", "running", "none");
	caller_free(c);
}

static void
test_shutdown_now_waits_for_no_grace(void **state)
{
	struct orchd *o = *state;
	struct caller *c;
	pid_t pid;

	orchd_script(o, "m1", "hello\ndeaf\nserve\n");
	c = begin(o, "{\"stop_grace_ms\":600000}");
	pid = await_ready(c, "m1");
	assert_int_equal(
	    caller_ask(c, (struct msg){.id = MSG_SHUTDOWN, .shutdown = {.now = true}})->id, MSG_ACK);
	assert_false(is_alive(pid));
	assert_int_equal(orchd_await_exit(o), 0);
	caller_free(c);
}

/* An area is cancelled: its EM and its workers go, the rest stays. */
static void
test_cancel_of_a_task_ends_what_is_below(void **state)
{
	struct orchd *o = *state;
	struct caller *c;
	pid_t director, worker;

	orchd_script(o, "m1", "hello\nadd core1\nserve\n");
	orchd_script(o, "m1/em1", "hello\nadd w1\nserve\n");
	c = begin(o, NULL);
	director = await_ready(c, "m1");
	worker = await_ready(c, "m1/em1/w1");
	assert_int_equal(
	    caller_ask(c, (struct msg){.id = MSG_CANCEL, .cancel = {.target = "m1/em1"}})->id, MSG_ACK);
	caller_await_task(c, "m1/em1", "cancelled", "none");
	caller_rewind(c);
	caller_await_task(c, "m1/em1/w1", "cancelled", "none");
	assert_false(is_alive(worker));
	assert_true(is_alive(director));
	caller_free(c);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    T(test_one_that_crashes_at_once_is_parked),
	    T(test_exit_78_parks_at_once),
	    T(test_a_missing_program_parks),
	    T(test_one_that_never_says_hello_is_killed),
	    T(test_one_that_hangs_is_replaced),
	    T(test_a_killed_one_is_started_again),
	    T(test_orphans_are_gone_before_the_replacement_starts),
	    T(test_a_whole_run_within_its_limits),
	    T(test_a_new_orchd_adopts_what_lives),
	    T(test_an_adopted_one_that_dies_is_replaced),
	    T(test_leftovers_without_a_role_are_killed),
	    T(test_an_adopted_one_that_stays_silent_is_replaced),
	    T(test_term_ends_the_whole_tree),
	    T(test_a_stopped_run_stays_stopped_when_adopted),
	    T(test_shutdown_now_waits_for_no_grace),
	    T(test_cancel_of_a_task_ends_what_is_below),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
