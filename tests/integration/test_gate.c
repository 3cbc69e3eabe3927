/* The gate: string and array commands, their environment, output, end and stray children. */
#include "tests/helper/lib/testrepo.h"

#include "common/alloc.h"
#include "common/gate.h"
#include "common/text.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "ORCH_TASK=1/em1", NULL};

static int
gate(struct testrepo *t, const char *json, int64_t timeout_ms, struct gate_result *r)
{
	json_t *verify = json_loads(json, JSON_DECODE_ANY, NULL);
	int rc;

	assert_non_null(verify);
	rc = gate_run(&t->loop, verify, t->top, env, timeout_ms, r, &t->e);
	json_decref(verify);
	return rc;
}

static void
a_string_is_for_the_shell(void **state)
{
	struct testrepo *t = *state;
	struct gate_result r;

	testrepo_ok(t, gate(t, "\"cat README; echo $ORCH_TASK $HOME; echo bad >&2\"", 60000, &r));
	assert_true(r.passed);
	assert_string_equal(r.output, "hello\n1/em1\nbad\n");
	gate_result_clear(&r);
}

static void
an_array_is_argv(void **state)
{
	struct testrepo *t = *state;
	struct gate_result r;

	testrepo_ok(t, gate(t, "[\"printf\", \"%s|\", \"a b\", \"$HOME\", \"; exit 1\"]", 60000, &r));
	assert_true(r.passed);
	assert_string_equal(r.output, "a b|$HOME|; exit 1|");
	gate_result_clear(&r);
}

static void
red_says_how(void **state)
{
	struct testrepo *t = *state;
	struct gate_result r;
	json_t *verify = json_string("make\ntest");
	char *text;

	testrepo_ok(t, gate(t, "\"echo no; exit 2\"", 60000, &r));
	assert_false(r.passed);
	assert_false(r.timed_out);
	assert_string_equal(r.output, "no\n");
	r.duration_ms = 3000;
	text = gate_summary(verify, &r);
	assert_string_equal(text, "the gate (make test) exited with status 2 after 3s");
	free(text);
	gate_result_clear(&r);
	testrepo_ok(t, gate(t, "\"kill -9 $$\"", 60000, &r));
	assert_false(r.passed);
	text = gate_summary(verify, &r);
	assert_non_null(strstr(text, "killed by signal 9"));
	free(text);
	gate_result_clear(&r);
	json_decref(verify);
}

static void
late_is_red_and_dead(void **state)
{
	struct testrepo *t = *state;
	struct gate_result r;
	json_t *verify = json_string("sleep");
	char *text, *pid;

	assert_int_equal(loop_own_descendants(&t->loop), 0); /* as roles do */
	testrepo_ok(t, gate(t, "\"sleep 1000 & echo $! > pid; echo begun; wait\"", 1000, &r));
	assert_false(r.passed);
	assert_true(r.timed_out);
	assert_string_equal(r.output, "begun\n");
	text = gate_summary(verify, &r);
	assert_non_null(strstr(text, "did not end within 1s"));
	free(text);
	gate_result_clear(&r);
	json_decref(verify);
	pid = testrepo_read(t, "repo/pid");
	assert_non_null(pid);
	assert_int_equal(kill((pid_t)atoi(pid), 0), -1);
	assert_int_equal(errno, ESRCH);
	free(pid);
}

static void
output_is_bounded_and_text(void **state)
{
	struct testrepo *t = *state;
	struct gate_result r;

	testrepo_ok(
	    t, gate(t, "\"yes line | head -c 1000000; printf '\\\\377\\\\033end'; exit 1\"", 60000, &r));
	assert_false(r.passed);
	assert_true(strlen(r.output) <= GATE_OUTPUT_MAX);
	assert_true(strlen(r.output) > GATE_OUTPUT_MAX / 2);
	assert_true(text_is_utf8(r.output, strlen(r.output)));
	assert_string_equal(r.output + strlen(r.output) - 3, "end");
	gate_result_clear(&r);
}

static void
what_cannot_start_is_an_error(void **state)
{
	struct testrepo *t = *state;
	struct gate_result r;

	assert_int_equal(gate(t, "[\"./no-such-program\"]", 60000, &r), -ENOENT);
	assert_non_null(strstr(t->e.msg, "no-such-program"));
	assert_int_equal(gate(t, "[]", 60000, &r), -EINVAL);
	assert_int_equal(gate(t, "[\"a\", 1]", 60000, &r), -EINVAL);
	assert_int_equal(gate(t, "1", 60000, &r), -EINVAL);
	loop_stop(&t->loop, 0);
	assert_int_equal(gate(t, "\"sleep 1000\"", 60000, &r), -ECANCELED);
	t->loop.stop = false;
}

static unsigned freshened;

static int
freshen(void *arg, struct err *e)
{
	(void)arg;
	(void)e;
	freshened++;
	return 0;
}

/* The gate appends a line to "runs" and ends by command; how often it ran is checked. */
static enum gate_verdict
judged(struct testrepo *t, const char *command, int known, int64_t timeout_ms, unsigned runs, char **note)
{
	char *whole = xasprintf("echo >> runs; n=$(wc -l < runs); %s", command), *lines;
	json_t *verify = json_string(whole);
	const struct gate_trial trial = {.verify = verify,
	    .dir = t->top,
	    .env = env,
	    .timeout_ms = timeout_ms,
	    .known = known,
	    .fresh = freshen};
	struct gate_result r;
	enum gate_verdict v;

	freshened = 0;
	testrepo_file(t, "runs", "");
	testrepo_ok(t, gate_judge(&t->loop, &trial, &v, &r, note, &t->e));
	gate_result_clear(&r);
	lines = testrepo_read(t, "repo/runs");
	assert_int_equal(strlen(lines), runs);
	assert_int_equal(freshened, runs);
	free(lines);
	free(whole);
	json_decref(verify);
	return v;
}

static void
red_is_tried_once_more_unless_it_was_known(void **state)
{
	struct testrepo *t = *state;
	char *note;

	assert_int_equal(judged(t, "true", 0, 60000, 1, &note), GATE_GREEN);
	assert_null(note);
	assert_int_equal(judged(t, "exit 3", 0, 60000, 2, &note), GATE_RED);
	assert_null(note);
	assert_int_equal(judged(t, "test $n = 2", 0, 60000, 2, &note), GATE_FLAKY);
	assert_non_null(strstr(note, "exited with status 1"));
	assert_non_null(strstr(note, "it is flaky"));
	free(note);
	assert_int_equal(judged(t, "exit 3", 3 << 8, 60000, 1, &note), GATE_UNKNOWN);
	assert_non_null(strstr(note, "it cannot tell"));
	free(note);
	assert_int_equal(judged(t, "exit 4", 3 << 8, 60000, 2, &note), GATE_RED);
	assert_null(note);
	assert_int_equal(judged(t, "true", 3 << 8, 60000, 1, &note), GATE_GREEN);
	assert_null(note);
	/* Killed for its time: not again. */
	assert_int_equal(judged(t, "sleep 1000", 0, 300, 1, &note), GATE_RED);
	assert_null(note);
	assert_int_equal(judged(t, "sleep 1000", -1, 300, 1, &note), GATE_UNKNOWN);
	free(note);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, testrepo_setup, testrepo_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_string_is_for_the_shell),
	    TEST(an_array_is_argv),
	    TEST(red_says_how),
	    TEST(late_is_red_and_dead),
	    TEST(output_is_bounded_and_text),
	    TEST(what_cannot_start_is_an_error),
	    TEST(red_is_tried_once_more_unless_it_was_known),
	};

	return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
