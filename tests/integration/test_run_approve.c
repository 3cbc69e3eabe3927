/*
 * A person decides: plans that wait for a yes, questions that wait for an answer, and plans that are made and
 * not done. Nothing runs while a run waits, nothing is lost when everything is killed meanwhile, and nothing
 * is done that was not agreed to.
 */
#include "common/json.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void
team(struct e2e *e)
{
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", "");
}

/* Waits until m1 asks, and its director has left. */
static json_t *
await_question(struct e2e *e, size_t count)
{
	json_t *run;

	while (e2e_count(e, NULL, "question", NULL) < count)
		e2e_wait_news(e, "the question");
	run = e2e_status(e, "m1");
	assert_true(json_is_true(json_object_get(run, "asked")));
	assert_string_equal(json_str(e2e_task(run, "m1"), "state"), "waiting");
	assert_null(json_str(e2e_task(run, "m1"), "wait_until"));
	return run;
}

static void
assert_said(struct e2e *e, const char *text, const char *arg)
{
	struct ctlrun r;

	assert_int_equal(e2e_ctl(e, &r, arg, "m1", NULL), 0);
	if (strstr(r.out, text) == NULL)
		fail_msg("\"%s\" is not in what orchctl %s said:\n%s", text, arg, r.out);
	ctlrun_clear(&r);
}

static void
answer(struct e2e *e, const char *text, const char *done)
{
	struct ctlrun r;

	assert_int_equal(e2e_ctl(e, &r, "answer", "m1", text, NULL), 0);
	assert_string_equal(r.out, done);
	ctlrun_clear(&r);
}

#define IS_DONE "the plan is approved: it is being done\n"
#define IS_REFUSED "the plan is refused, and the run is cancelled\n"
#define IS_PASSED_ON "the answer goes to the planning agent\n"

static void
test_yes(void **state)
{
	struct e2e *e = *state;
	struct ctlrun r;
	json_t *run;

	team(e);
	e2e_begin(e, "--approve", NULL);
	run = await_question(e, 1);
	assert_string_equal(json_str(run, "state"), "approval");
	assert_non_null(strstr(json_str(run, "question"), "a (The a; a/"));
	assert_int_equal(json_array_size(json_object_get(run, "tasks")), 1);
	json_decref(run);
	assert_said(e, "orchctl answer m1 yes", "status");
	assert_int_equal(e2e_ctl(e, &r, "plan", "--show", "m1", NULL), 0);
	assert_non_null(strstr(r.out, "\"areas\""));
	ctlrun_clear(&r);
	answer(e, "Yes", IS_DONE);
	assert_int_equal(e2e_end(e), 0);
	assert_int_equal(e2e_ctl(e, &r, "answer", "m1", "yes", NULL), 1);
	assert_non_null(strstr(r.err, "run m1 asks nothing"));
	ctlrun_clear(&r);
}

static void
test_no(void **state)
{
	struct e2e *e = *state;
	json_t *run;

	team(e);
	e2e_begin(e, "--approve", "--verify", "true", NULL);
	json_decref(await_question(e, 1));
	answer(e, "no", IS_REFUSED);
	assert_int_equal(e2e_end(e), 1);
	run = e2e_status(e, "m1");
	assert_string_equal(json_str(run, "state"), "cancelled");
	assert_null(json_str(run, "question"));
	assert_null(json_str(run, "branch"));
	json_decref(run);
}

/* Other words go to the agent, in its session; it asks again. */
static void
test_words(void **state)
{
	struct e2e *e = *state;

	team(e);
	e2e_plan(e, "director.1", "refuse_prompt begin asked and answered\n", "a b");
	e2e_plan(e, "director.2", "expect_resumed\nexpect_prompt leave b alone\n", "a");
	e2e_begin(e, "--approve", NULL);
	json_decref(await_question(e, 1));
	answer(e, "leave b alone", IS_PASSED_ON);
	json_decref(await_question(e, 2));
	answer(e, "yes", IS_DONE);
	assert_int_equal(e2e_end(e), 0);
	assert_int_equal(e2e_count(e, "m1/em2", NULL, NULL), 0);
}

/* A question of the plan; "no" is an answer like any other. Nobody has died: nothing is left running. */
static void
test_a_question(void **state)
{
	struct e2e *e = *state;
	json_t *run;

	team(e);
	e2e_script(e, "director.1",
	    "plan <<END\n{\"summary\":\"s\",\"question\":\"With tabs?\",\"areas\":[{\"id\":\"x\","
	    "\"title\":\"t\",\"goal\":\"g\",\"owns\":[\"x/\"],\"depends_on\":[]}]}\nEND\n");
	e2e_plan(e, "director.2", "expect_prompt You asked: With tabs?\nexpect_prompt The person: no\n", "a");
	e2e_begin(e, NULL);
	run = await_question(e, 1);
	assert_string_equal(json_str(run, "state"), "planning");
	assert_string_equal(json_str(run, "question"), "With tabs?");
	json_decref(run);
	assert_said(e, "orchctl answer m1 \"YOUR WORDS\"", "status");
	answer(e, "no", IS_PASSED_ON);
	assert_int_equal(e2e_end(e), 0);
	assert_int_equal(e2e_count(e, "m1", "death", NULL), 0);
}

/* All of orch is killed while it waits; the answer starts it again. */
static void
test_killed_while_it_waits(void **state)
{
	struct e2e *e = *state;
	json_t *run;
	pid_t orchd;

	team(e);
	e2e_begin(e, "--approve", "--detach", NULL);
	json_decref(await_question(e, 1));
	orchd = e2e_pid(e, NULL);
	kill(orchd, SIGKILL);
	e2e_await_gone(e, orchd);
	run = e2e_status(e, "m1");
	assert_string_equal(json_str(run, "state"), "approval");
	assert_true(json_is_true(json_object_get(run, "asked")));
	json_decref(run);
	e2e_follow(e);
	answer(e, "yes", IS_DONE);
	e2e_await(e, "m1", "state", "complete");
}

static void
test_cancelled_while_it_waits(void **state)
{
	struct e2e *e = *state;

	team(e);
	e2e_begin(e, "--approve", NULL);
	json_decref(await_question(e, 1));
	e2e_ctl_ok(e, "cancel", "m1", NULL);
	assert_int_equal(e2e_end(e), 1);
	e2e_assert_state(e, "m1", "cancelled");
}

/* The next run need not wait for a person; the first goes on behind it. */
static void
test_others_go_on(void **state)
{
	struct e2e *e = *state;
	struct ctlrun r;

	team(e);
	e2e_begin(e, "--approve", "--detach", NULL);
	json_decref(await_question(e, 1));
	assert_int_equal(e2e_ctl(e, &r, "run", "-m", "Something else", NULL), 0);
	ctlrun_clear(&r);
	e2e_assert_state(e, "m1", "approval");
	answer(e, "yes", IS_DONE);
	e2e_await(e, "m1", "state", "complete");
}

static void
test_ctrl_c(void **state)
{
	struct e2e *e = *state;

	team(e);
	e2e_begin(e, "--approve", NULL);
	json_decref(await_question(e, 1));
	kill(e->run.pid, SIGINT);
	assert_int_equal(e2e_end(e), 130);
	e2e_assert_state(e, "m1", "approval");
	answer(e, "yes", IS_DONE);
	e2e_await(e, "m1", "state", "complete");
}

/* A plan is printed, nothing is done, and the plan can be done later; changed by hand it is checked. */
static void
test_plan_only(void **state)
{
	struct e2e *e = *state;
	struct ctlrun r;
	char *refs, *file = testrepo_path(e->repo, "plan.json"), *at;

	team(e);
	assert_int_equal(e2e_ctl(e, &r, "plan", "-m", "Build it", NULL), 0);
	testrepo_write(e->repo, "plan.json", r.out);
	at = strstr(r.out, "\"a/");
	assert_non_null(at);
	memcpy(at, "\"..", 3);
	testrepo_write(e->repo, "bad.json", r.out);
	ctlrun_clear(&r);
	refs = testrepo_git(e->repo, NULL, "for-each-ref", "--format=%(refname)", NULL);
	assert_string_equal(refs, "refs/heads/main");
	free(refs);
	at = testrepo_path(e->repo, "bad.json");
	assert_int_equal(e2e_ctl(e, &r, "run", "-m", "Build it", "--plan", at, NULL), 2);
	assert_non_null(strstr(r.err, "areas[0].owns[0]"));
	ctlrun_clear(&r);
	e2e_unlink(e, "director");
	e2e_begin(e, "--plan", file, NULL);
	assert_int_equal(e2e_end(e), 0);
	free(file);
	free(at);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, e2e_setup, e2e_teardown)
	    TEST(test_yes),
	    TEST(test_no),
	    TEST(test_words),
	    TEST(test_a_question),
	    TEST(test_killed_while_it_waits),
	    TEST(test_cancelled_while_it_waits),
	    TEST(test_others_go_on),
	    TEST(test_ctrl_c),
	    TEST(test_plan_only),
	};

	return cmocka_run_group_tests_name("test_run_approve", tests, NULL, NULL);
}
