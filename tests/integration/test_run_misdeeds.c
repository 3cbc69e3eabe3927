/*
 * What agents do besides their work, and what comes of it: commits, branches, a removed .git, nothing at all,
 * files of others; plans that break a rule; work that is green alone and red together. Done is computed,
 * never claimed (law 2).
 */
#include "common/alloc.h"
#include "common/json.h"
#include "common/plan.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <stdlib.h>
#include <string.h>

/* The task's reason holds the words. */
static void
assert_reason(struct e2e *e, const char *task, const char *words)
{
	json_t *run = e2e_status(e, "m1");
	const char *reason = json_str(strchr(task, '/') == NULL ? run : e2e_task(run, task), "reason");

	if (reason == NULL || strstr(reason, words) == NULL)
		fail_msg("%s: the reason is \"%s\" and does not say \"%s\"", task,
		    reason == NULL ? "" : reason, words);
	json_decref(run);
}

static void
test_what_agents_do_to_git(void **state)
{
	struct e2e *e = *state;

	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "commits half switches rmgit detaches resets");
	e2e_work(e, "a.half", "write a/half.c <<EOF\nint half;\nEOF\ncommit half of it\n");
	e2e_script(e, "worker-a.commits", "write a/commits.txt <<EOF\ncommits\nEOF\ncommit all by myself\n");
	e2e_script(e, "worker-a.switches",
	    "branch feature\nwrite a/switches.txt <<EOF\nswitches\nEOF\ncommit on another branch\n");
	e2e_work(e, "a.rmgit", "rmgit\n");
	e2e_script(e, "worker-a.detaches",
	    "run git checkout -q --detach\nwrite a/detaches.txt <<EOF\ndetaches\nEOF\ncommit on no branch\n");
	e2e_work(e, "a.resets", "run git commit -q --allow-empty -m x; git reset -q --hard HEAD~1\n");
	e2e_begin(e, NULL);
	assert_int_equal(e2e_end(e), 0);
	e2e_assert_shows(e, "m1", "a/half.txt", "half");
	e2e_assert_shows(e, "m1", "a/half.c", "int half;");
	e2e_assert_shows(e, "m1", "a/commits.txt", "commits");
	e2e_assert_shows(e, "m1", "a/switches.txt", "switches");
	e2e_assert_shows(e, "m1", "a/rmgit.txt", "rmgit");
	e2e_assert_shows(e, "m1", "a/detaches.txt", "detaches");
	e2e_assert_shows(e, "m1", "a/resets.txt", "resets");
	/* What the agent named is the user's namespace now: the branch may stay, and nothing else. */
	assert_int_equal(testrepo_try(e->repo, NULL, "update-ref", "-d", "refs/heads/feature", NULL), 0);
}

/* Two tasks that are not done, whatever their agents say, beside one that is. */
static void
test_idle_and_breach(void **state)
{
	struct e2e *e = *state;

	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "good idle breach");
	e2e_work(e, "a.good", "");
	e2e_script(e, "worker-a.idle", "say It is all done, trust me\n");
	e2e_script(e, "worker-a.idle.2", "expect_resumed\nexpect_prompt Nothing in the worktree differs\n");
	e2e_work(e, "a.breach", "write README <<EOF\nI was here\nEOF\n");
	e2e_begin(e, "--max-rework", "1", NULL);
	assert_int_equal(e2e_end(e), 1);
	e2e_assert_state(e, "m1", "partial");
	e2e_assert_state(e, "m1/em1", "integrated");
	e2e_assert_state(e, "m1/em1/w1", "integrated");
	e2e_assert_state(e, "m1/em1/w2", "failed");
	assert_reason(e, "m1/em1/w2", "changed nothing");
	e2e_assert_state(e, "m1/em1/w3", "failed");
	assert_reason(e, "m1/em1/w3", "README");
	e2e_assert_shows(e, "m1", "a/good.txt", "good");
	e2e_assert_shows(e, "m1", "a/breach.txt", NULL);
	e2e_assert_shows(e, "m1", "README", "hello");
	assert_int_equal(e2e_count(e, "m1/em1/w2", "state", "rework"), 1);
	assert_int_equal(e2e_count(e, "m1/em1/w3", "state", "rework"), 1);
	/* What was wrong is told, and what was made is kept. */
	assert_int_equal(
	    testrepo_try(e->repo, NULL, "rev-parse", "-q", "--verify", "refs/orch/wip/m1-em1-w3", NULL), 0);
	assert_non_null(strstr(e->run.out, "missing"));
}

static void
test_rework_with_evidence(void **state)
{
	struct e2e *e = *state;

	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_script(e, "worker-a.one.1", "expect_fresh\nwrite a/one.txt <<EOF\nbad\nEOF\n");
	e2e_script(e, "worker-a.one.2",
	    "expect_resumed\nexpect_prompt the word good is missing from one.txt\n"
	    "write a/one.txt <<EOF\ngood\nEOF\n");
	e2e_begin(e, "--verify",
	    "if test -e a/one.txt && ! grep -q good a/one.txt; then echo the word good is missing from "
	    "one.txt; "
	    "exit 1; fi",
	    NULL);
	assert_int_equal(e2e_end(e), 0);
	e2e_assert_shows(e, "m1", "a/one.txt", "good");
	assert_int_equal(e2e_count(e, "m1/em1/w1", "state", "rework"), 1);
	assert_int_equal(e2e_count(e, "m1/em1/w1", "state", "running"), 2);
}

/* Both are begun before either is merged; whichever comes second is sent back and fixes it. */
static void
test_green_alone_red_together(void **state)
{
	struct e2e *e = *state;

	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one two");
	e2e_work(e, "a.one.1", "touch @/at-one\nwait_file @/at-two\n");
	e2e_work(e, "a.two.1", "touch @/at-two\nwait_file @/at-one\n");
	e2e_script(e, "worker-a.one.2", "expect_prompt they clash\nwrite a/one.fix <<EOF\nfixed\nEOF\n");
	e2e_script(e, "worker-a.two.2", "expect_prompt they clash\nwrite a/two.fix <<EOF\nfixed\nEOF\n");
	e2e_begin(e, "--verify",
	    "test ! -e a/one.txt || test ! -e a/two.txt || test -e a/one.fix || test -e a/two.fix || "
	    "{ echo they clash; exit 1; }",
	    NULL);
	assert_int_equal(e2e_end(e), 0);
	e2e_assert_shows(e, "m1", "a/one.txt", "one");
	e2e_assert_shows(e, "m1", "a/two.txt", "two");
	assert_int_equal(
	    e2e_count(e, "m1/em1/w1", "state", "rework") + e2e_count(e, "m1/em1/w2", "state", "rework"), 1);
}

/* The same between two areas: the EM of the second gets a rework task, with the other area merged in. */
static void
test_areas_red_together(void **state)
{
	struct e2e *e = *state;
	const char *second;

	e2e_plan(e, "director", "", "a b");
	e2e_plan(e, "em-a", "touch @/at-a\nwait_file @/at-b\n", "one");
	e2e_plan(e, "em-b", "touch @/at-b\nwait_file @/at-a\n", "two");
	e2e_work(e, "a.one", "");
	e2e_work(e, "b.two", "");
	e2e_script(e, "worker-a.rework-2", "expect_prompt they clash\nwrite a/fix <<EOF\nfixed\nEOF\n");
	e2e_script(e, "worker-b.rework-2", "expect_prompt they clash\nwrite b/fix <<EOF\nfixed\nEOF\n");
	e2e_begin(e, "--verify",
	    "test ! -e a/one.txt || test ! -e b/two.txt || test -e a/fix || test -e b/fix || "
	    "{ echo they clash; exit 1; }",
	    NULL);
	assert_int_equal(e2e_end(e), 0);
	e2e_assert_shows(e, "m1", "a/one.txt", "one");
	e2e_assert_shows(e, "m1", "b/two.txt", "two");
	second = e2e_count(e, "m1/em1", "state", "rework") == 1 ? "m1/em1" : "m1/em2";
	assert_int_equal(e2e_count(e, second, "state", "rework"), 1);
	e2e_assert_shows(e, "m1", second[4] == 'm' && second[5] == '1' ? "a/fix" : "b/fix", "fixed");
}

/* Two tasks that own the same file never run side by side, and the later one builds on the earlier. */
static void
test_overlapping_owns_take_turns(void **state)
{
	static const char plan[] =
	    "plan <<EOF\n{\"summary\":\"s\",\"tasks\":["
	    "{\"id\":\"x\",\"title\":\"x\",\"goal\":\"x\",\"owns\":[\"a/log.txt\"]},"
	    "{\"id\":\"y\",\"title\":\"y\",\"goal\":\"y\",\"owns\":[\"a/\"]},"
	    "{\"id\":\"z\",\"title\":\"z\",\"goal\":\"z\",\"owns\":[\"a/*.txt\"]}]}\nEOF\n";
	struct e2e *e = *state;
	const char *busy = NULL;
	char *text;

	e2e_plan(e, "director", "", "a");
	e2e_script(e, "em-a", "%s", plan);
	e2e_script(e, "worker-a.x", "append a/log.txt <<EOF\nx\nEOF\n");
	e2e_script(e, "worker-a.y", "append a/log.txt <<EOF\ny\nEOF\n");
	e2e_script(e, "worker-a.z", "append a/log.txt <<EOF\nz\nEOF\n");
	e2e_begin(e, NULL);
	assert_int_equal(e2e_end(e), 0);
	for (size_t i = 0; i < json_array_size(e->events); i++) {
		json_t *ev = json_array_get(e->events, i);
		const char *task = json_str(ev, "task"), *to = json_str(ev, "state");

		if (task == NULL || to == NULL || strncmp(task, "m1/em1/", 7) != 0)
			continue;
		if (strcmp(to, "running") == 0) {
			assert_true(busy == NULL);
			busy = task;
		} else if (strcmp(to, "integrated") == 0) {
			assert_string_equal(busy, task);
			busy = NULL;
		}
	}
	assert_null(busy);
	text = e2e_show(e, "m1", "a/log.txt");
	assert_int_equal(strlen(text), strlen("x\ny\nz"));
	free(text);
}

/* What plan_parse says of it: the prompt must hold it word for word. */
static char *
fault_of(enum plan_level level, const char *plan)
{
	struct err fault = {""};
	struct plan p;

	assert_true(plan_parse(&p, level, plan, strlen(plan), NULL, &fault) < 0);
	return xstrdup(fault.msg);
}

static const char overlap[] =
    "{\"summary\":\"s\",\"areas\":[{\"id\":\"a\",\"title\":\"a\",\"goal\":\"a\",\"owns\":[\"src/\"]},"
    "{\"id\":\"b\",\"title\":\"b\",\"goal\":\"b\",\"owns\":[\"src/b.c\"]}]}";
static const char cycle[] =
    "{\"summary\":\"s\",\"areas\":[{\"id\":\"a\",\"title\":\"a\",\"goal\":\"a\",\"owns\":[\"a/\"],"
    "\"depends_on\":[\"b\"]},{\"id\":\"b\",\"title\":\"b\",\"goal\":\"b\",\"owns\":[\"b/\"],"
    "\"depends_on\":[\"a\"]}]}";

static void
test_plan_is_put_right(void **state)
{
	struct e2e *e = *state;
	char *first = fault_of(PLAN_AREAS, overlap), *second = fault_of(PLAN_AREAS, cycle), *lines;

	e2e_script(e, "director.1", "expect_fresh\nplan <<EOF\n%s\nEOF\n", overlap);
	e2e_script(e, "director.2", "expect_resumed\nexpect_prompt %s\nplan <<EOF\n%s\nEOF\n", first, cycle);
	lines = xasprintf("expect_resumed\nexpect_prompt %s\n", second);
	e2e_plan(e, "director.3", lines, "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", "");
	e2e_begin(e, NULL);
	assert_int_equal(e2e_end(e), 0);
	assert_int_equal(e2e_count(e, "m1", "plan", NULL), 3); /* two faults, one plan */
	free(lines);
	free(first);
	free(second);
}

static void
test_plan_stays_wrong(void **state)
{
	struct e2e *e = *state;
	char *fault = fault_of(PLAN_AREAS, cycle);

	e2e_script(e, "director", "plan <<EOF\n%s\nEOF\n", cycle);
	e2e_begin(e, NULL);
	assert_int_equal(e2e_end(e), 1);
	e2e_assert_state(e, "m1", "failed");
	assert_reason(e, "m1", "broke a rule three times");
	assert_reason(e, "m1", fault);
	free(fault);
}

/* A plan without children, an agent that gives none, and one that is not even there. */
static void
test_em_without_a_plan(void **state)
{
	struct e2e *e = *state;

	e2e_plan(e, "director", "", "a b c");
	e2e_script(e, "em-a", "plan <<EOF\n{\"summary\":\"s\",\"tasks\":[]}\nEOF\n");
	e2e_script(e, "em-b", "say I forgot the plan\n");
	e2e_plan(e, "em-c", "", "one");
	e2e_work(e, "c.one", "");
	e2e_begin(e, "--max-attempts", "2", NULL);
	assert_int_equal(e2e_end(e), 1);
	e2e_assert_state(e, "m1", "partial");
	e2e_assert_state(e, "m1/em1", "failed");
	assert_reason(e, "m1/em1", "broke a rule three times");
	e2e_assert_state(e, "m1/em2", "failed");
	e2e_assert_state(e, "m1/em3", "integrated");
}

int
main(void)
{
#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, e2e_setup, e2e_teardown)
	const struct CMUnitTest tests[] = {
	    RUN_TEST(test_what_agents_do_to_git),
	    RUN_TEST(test_idle_and_breach),
	    RUN_TEST(test_rework_with_evidence),
	    RUN_TEST(test_green_alone_red_together),
	    RUN_TEST(test_areas_red_together),
	    RUN_TEST(test_overlapping_owns_take_turns),
	    RUN_TEST(test_plan_is_put_right),
	    RUN_TEST(test_plan_stays_wrong),
	    RUN_TEST(test_em_without_a_plan),
	};

	return cmocka_run_group_tests_name("test_run_misdeeds", tests, NULL, NULL);
}
