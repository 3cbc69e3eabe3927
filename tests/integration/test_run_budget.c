/*
 * A run that uses up its budget lands with what it has: from 90 % on nothing new begins, at 100 % who is at
 * work saves it and stops, and the end says why it is partial.
 */
#include "common/alloc.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <stdlib.h>
#include <string.h>

static const char *
text_of(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s == NULL ? "" : s;
}

static void
assert_says(const char *text, const char *words)
{
	if (strstr(text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", text, words);
}

static void
test_nothing_new_begins_from_90_percent_on(void **state)
{
	struct e2e *e = *state;
	json_t *run;

	e2e_plan(e, "director", "tokens 5000 1000 0.01\n", "a");
	e2e_plan(e, "em-a", "tokens 5000 1000 0.01\n", "one two:one three:two");
	e2e_work(e, "a.one", "tokens 30000 3000 0.10\n");
	e2e_work(e, "a.two", "tokens 45000 5000 0.10\n");
	e2e_work(e, "a.three", "tokens 1 1 0.01\n");
	e2e_begin(e, "--max-run-tokens", "100000", "--max-run-usd", "50", NULL);
	assert_int_equal(e2e_end(e), 1);
	e2e_assert_state(e, "m1", "partial");
	e2e_assert_state(e, "m1/em1/w2", "integrated");
	e2e_assert_state(e, "m1/em1/w3", "cancelled");
	assert_int_equal(e2e_count(e, "m1/em1/w3", "state", "running"), 0);
	assert_int_equal(e2e_count(e, "m1", "budget", NULL), 2);
	run = e2e_status(e, "m1");
	assert_says(text_of(run, "reason"), "95 % of the run's budget of 100000 tokens are used");
	assert_says(text_of(e2e_task(run, "m1/em1/w3"), "reason"), "95 % of the run's budget");
	json_decref(run);
	e2e_assert_shows(e, "m1", "a/two.txt", "two");
}

static void
test_who_is_at_work_at_100_percent_saves_it(void **state)
{
	struct e2e *e = *state;
	char *saved;
	json_t *run;

	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one two");
	e2e_work(e, "a.one", "wait_file @/at-two\ntokens 100 20 2.50\n");
	e2e_work(e, "a.two", "write a/two-half.txt <<END\nhalf\nEND\ntouch @/at-two\nwait_file @/never\n");
	e2e_begin(e, "--max-run-usd", "2.5", NULL);
	assert_int_equal(e2e_end(e), 1);
	e2e_assert_state(e, "m1", "partial");
	e2e_assert_state(e, "m1/em1/w1", "integrated");
	e2e_assert_state(e, "m1/em1/w2", "cancelled");
	run = e2e_status(e, "m1");
	assert_says(text_of(run, "reason"), "100 % of the run's budget of 2.50 USD are used");
	json_decref(run);
	saved = testrepo_git(e->repo, NULL, "show", "refs/orch/wip/m1-em1-w2:a/two-half.txt", NULL);
	assert_string_equal(saved, "half");
	free(saved);
}

/* Without keys there is no gateway to count: a task that has used up its budget begins no other attempt. */
static void
test_a_task_that_used_up_its_own(void **state)
{
	struct e2e *e = *state;
	json_t *run;

	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one two");
	e2e_script(e, "worker-a.one", "tokens 900 200 0.10\nerror It broke\n");
	e2e_work(e, "a.two", "tokens 500 100 0.10\n");
	e2e_begin(e, "--max-task-tokens", "1000", NULL);
	assert_int_equal(e2e_end(e), 1);
	e2e_assert_state(e, "m1", "partial");
	e2e_assert_state(e, "m1/em1/w2", "integrated");
	assert_int_equal(e2e_count(e, "m1/em1/w1", "state", "running"), 1);
	run = e2e_status(e, "m1");
	assert_string_equal(text_of(e2e_task(run, "m1/em1/w1"), "reason"),
	    "its budget is used up: 1100 of 1000 tokens (max_task_tokens)");
	json_decref(run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		test_nothing_new_begins_from_90_percent_on, e2e_setup, e2e_teardown),
	    cmocka_unit_test_setup_teardown(
		test_who_is_at_work_at_100_percent_saves_it, e2e_setup, e2e_teardown),
	    cmocka_unit_test_setup_teardown(test_a_task_that_used_up_its_own, e2e_setup, e2e_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
