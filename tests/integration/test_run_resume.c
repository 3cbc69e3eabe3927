/*
 * A run that was interrupted goes on where it was: what is finished is not done again, the plans neither,
 * what was at work is taken up in its session, and nothing is paid for twice. Once after a stop, once after
 * everything was killed in the same moment.
 */
#include "common/alloc.h"
#include "common/fd.h"
#include "common/json.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define EACH 250000 /* millionths of a USD, of every agent that comes to its end */

#define COSTS "tokens 10 5 0.25\n"
/* An agent writes down that it was started: a line in a file of its name. */
#define STARTED(name) "run echo started >>$ORCH_AGENT_SCRIPTS/of-" name "\n" COSTS

/* A planning agent runs nothing: its second start says so by itself. */
#define TWICE "touch @/planned-twice\nerror That was planned already.\n"

static size_t
count_starts(struct e2e *e, const char *name)
{
	char *path = xasprintf("%s/of-%s", e->scripts, name), *text = NULL;
	size_t size = 0, n = 0;

	if (fd_read_file(path, 1 << 16, &text, &size) < 0)
		fail_msg("%s is missing", path);
	for (size_t i = 0; i < size; i++)
		n += text[i] == '\n';
	free(text);
	free(path);
	return n;
}

static json_int_t
number_of(json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

/* One task is integrated, the other at work with half a file, and its agent has said so. */
static void
begin(struct e2e *e)
{
	e2e_plan(e, "director.1", COSTS, "a");
	e2e_script(e, "director.2", TWICE);
	e2e_plan(e, "em-a.1", COSTS, "one two");
	e2e_script(e, "em-a.2", TWICE);
	e2e_work(e, "a.one", STARTED("one"));
	e2e_script(e, "worker-a.two.1",
	    STARTED("two") "write a/two.txt <<EOF\nhalf\nEOF\n"
			   "run echo $PPID >$ORCH_AGENT_SCRIPTS/agent\ntouch @/at-work\nwait_file @/never\n");
	e2e_script(e, "worker-a.two.2",
	    STARTED("two") "expect_resumed\nwrite a/two.txt <<EOF\nwhole\nEOF\nsay Two is done.\n");
	e2e_begin(e, "--detach", NULL);
	e2e_await(e, "m1/em1/w1", "state", "integrated");
	e2e_await_file(e, "at-work");
}

static void
assert_went_on(struct e2e *e)
{
	json_t *run;

	e2e_await(e, "m1", "state", "complete");
	e2e_assert_shows(e, "m1", "a/one.txt", "one");
	e2e_assert_shows(e, "m1", "a/two.txt", "whole");
	assert_false(e2e_has_file(e, "planned-twice"));
	assert_int_equal(count_starts(e, "one"), 1);
	assert_int_equal(count_starts(e, "two"), 2);
	run = e2e_status(e, "m1");
	assert_int_equal(number_of(e2e_task(run, "m1/em1/w1"), "cost_uusd"), EACH);
	assert_int_equal(number_of(e2e_task(run, "m1/em1"), "cost_uusd"), EACH);
	assert_int_equal(number_of(e2e_task(run, "m1/em1/w2"), "cost_uusd"), EACH);
	assert_int_equal(number_of(run, "cost_uusd"), 4 * EACH);
	assert_int_equal(number_of(e2e_task(run, "m1/em1/w2"), "attempt"), 1);
	json_decref(run);
}

static void
test_after_a_stop(void **state)
{
	struct e2e *e = *state;

	begin(e);
	e2e_ctl_ok(e, "stop", NULL);
	e2e_ctl_ok(e, "resume", "m1", NULL);
	e2e_follow(e);
	assert_went_on(e);
}

/* As when the power goes: nobody has time to say or to save anything. */
static void
test_after_all_was_killed(void **state)
{
	static const char *const who[] = {NULL, "m1", "m1/em1", "m1/em1/w2"};
	struct e2e *e = *state;
	pid_t pids[5];
	size_t n = 0;

	begin(e);
	for (; n < 4; n++)
		pids[n] = e2e_pid(e, who[n]);
	pids[n++] = e2e_file_pid(e, "agent");
	for (size_t i = 0; i < n; i++)
		kill(pids[i], SIGSTOP); /* so that none sees another die */
	for (size_t i = 0; i < n; i++)
		kill(pids[i], SIGKILL);
	for (size_t i = 0; i < n; i++)
		e2e_await_gone(e, pids[i]);
	json_decref(e2e_status(e, "m1")); /* starts the next orchd, which goes on by itself */
	e2e_follow(e);
	assert_went_on(e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_after_a_stop, e2e_setup, e2e_teardown),
	    cmocka_unit_test_setup_teardown(test_after_all_was_killed, e2e_setup, e2e_teardown),
	};

	return cmocka_run_group_tests_name("test_run_resume", tests, NULL, NULL);
}
