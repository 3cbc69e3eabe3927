/*
 * Fresh worktrees that can build: what the user's checkout has and no commit, a setup command, and ports, for
 * agents and for gates at every level; none of it ever becomes part of the result.
 */
#include "common/alloc.h"
#include "common/json.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
begin_with_env(struct e2e *e)
{
	testrepo_file(e->repo, ".env", "KEY=users-own\n");
	testrepo_file(e->repo, ".worktreeinclude", "# for fresh worktrees\n.env\n");
}

/* Agents and gates at every level find the file; an agent that adds it by force does not publish it. */
static void
test_copied_and_never_committed(void **state)
{
	struct e2e *e = *state;
	char *all;

	begin_with_env(e);
	testrepo_file(e->repo, "deps/lib.txt", "lib\n");
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one two");
	e2e_work(e, "a.one",
	    "run mkdir -p a; test -f deps/lib.txt && cp .env a/one.seen\nrun git add -f .env && git commit "
	    "-qm x\n");
	e2e_work(e, "a.two", "");
	e2e_begin(e, "--copy", "deps/", "--verify", "test -f .env && test -f deps/lib.txt", NULL);
	assert_int_equal(e2e_end(e), 0);
	e2e_assert_shows(e, "m1", "a/one.seen", "KEY=users-own");
	assert_null(e2e_show(e, "m1", ".env"));
	assert_null(e2e_show(e, "m1", "deps/lib.txt"));
	all = testrepo_git(e->repo, NULL, "log", "--all", "--format=%H", "--", ".env", NULL);
	assert_string_equal(all, "");
	free(all);
}

/* The setup runs before agents and before gates; what it changes or leaves is nobody's work. */
static void
test_set_up(void **state)
{
	struct e2e *e = *state;
	char *branch, *who;

	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", "run mkdir -p a; test -f built && cat built > a/one.seen\n");
	e2e_begin(e, "--setup", "echo ready > built; echo x >> README", "--verify", "test -f built",
	    "--co-author", "Orch Bot <bot@example.org>", NULL);
	assert_int_equal(e2e_end(e), 0);
	branch = e2e_branch(e, "m1");
	who = testrepo_git(e->repo, NULL, "log", "-1", "--topo-order", "--no-merges",
	    "--format=%an|%(trailers:key=Orch-Task,valueonly,separator=%x2C)|%(trailers:key=Co-authored-by,"
	    "valueonly,"
	    "separator=%x2C)",
	    branch, NULL);
	assert_string_equal(who, "Test User|m1/em1/w1|Orch Bot <bot@example.org>");
	free(who);
	free(branch);
	e2e_assert_shows(e, "m1", "a/one.seen", "ready");
	assert_null(e2e_show(e, "m1", "built"));
	assert_int_equal(e2e_count(e, "m1/em1/w1", "state", "rework"), 0);
	assert_int_equal(e2e_count(e, "m1/em1/w1", "setup", NULL), 2);
}

/* Done once for a worktree: what comes back for rework is as it was left. */
static void
test_rework_finds_it_done(void **state)
{
	struct e2e *e = *state;

	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_script(e, "worker-a.one.1", "say nothing is done\n");
	e2e_work(e, "a.one", "");
	e2e_begin(e, "--setup", "echo x >> \"$ORCH_AGENT_SCRIPTS/setups.$ORCH_ROLE\"", NULL);
	assert_int_equal(e2e_end(e), 0);
	assert_int_equal(e2e_count(e, "m1/em1/w1", "state", "rework"), 1);
	assert_int_equal(e2e_count(e, "m1/em1/w1", "setup", NULL), 1);
}

/* A base that cannot be set up ends the run before it has cost anything. */
static void
test_a_setup_that_fails(void **state)
{
	struct e2e *e = *state;
	json_t *run;
	const char *reason;

	e2e_plan(e, "director", "", "a");
	e2e_begin(e, "--setup", "echo no such package; exit 3", NULL);
	assert_int_equal(e2e_end(e), 1);
	run = e2e_status(e, "m1");
	reason = json_str(run, "reason");
	assert_non_null(
	    strstr(reason, "the base cannot be set up: the setup (echo no such package; exit 3)"));
	assert_non_null(strstr(reason, "status 3"));
	assert_non_null(strstr(reason, "no such package"));
	json_decref(run);
}

/* Only in a worker's worktree: an attempt that failed, with its own words, and repeated. */
static void
test_a_setup_that_fails_once(void **state)
{
	struct e2e *e = *state;

	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", "");
	e2e_begin(e, "--retry-delay", "0.1", "--setup",
	    "test $ORCH_ROLE != worker || test -f \"$ORCH_AGENT_SCRIPTS/tried\" || "
	    "{ touch \"$ORCH_AGENT_SCRIPTS/tried\"; echo the registry is down; exit 1; }",
	    NULL);
	assert_int_equal(e2e_end(e), 0);
	assert_int_equal(e2e_count(e, "m1/em1/w1", "state", "waiting"), 1);
}

static void
test_too_much_to_copy(void **state)
{
	struct e2e *e = *state;
	char *big = xmalloc((2 << 20) + 1);
	json_t *run;

	memset(big, 'x', 2 << 20);
	big[2 << 20] = '\0';
	testrepo_file(e->repo, "big", big);
	free(big);
	e2e_plan(e, "director", "", "a");
	e2e_begin(e, "--copy", "big", "--copy-max-mb", "1", "--verify", "true", NULL);
	assert_int_equal(e2e_end(e), 1);
	run = e2e_status(e, "m1");
	assert_non_null(strstr(json_str(run, "reason"), "copy_max_mb"));
	json_decref(run);
}

/* Two workers at the same time, and a gate: nobody shares a port, and all are in the range. */
static void
test_ports(void **state)
{
	struct e2e *e = *state;
	static const char ask[] =
	    "run mkdir -p a; echo $ORCH_PORT_BASE $ORCH_PORT_COUNT > a/%s.seen\ntouch @/%s\nwait_file @/%s\n";
	char lines[256], *one, *two;
	unsigned long a, b;

	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one two");
	snprintf(lines, sizeof(lines), ask, "one", "one", "two");
	e2e_work(e, "a.one", lines);
	snprintf(lines, sizeof(lines), ask, "two", "two", "one");
	e2e_work(e, "a.two", lines);
	e2e_begin(e, "--port-base", "30000", "--port-step", "7", "--verify", "test $ORCH_PORT_BASE -ge 30000",
	    NULL);
	assert_int_equal(e2e_end(e), 0);
	one = e2e_show(e, "m1", "a/one.seen");
	two = e2e_show(e, "m1", "a/two.seen");
	a = strtoul(one, NULL, 10);
	b = strtoul(two, NULL, 10);
	assert_non_null(strstr(one, " 7"));
	assert_in_range(a, 30000, 32760);
	assert_in_range(b, 30000, 32760);
	assert_true(a + 7 <= b || b + 7 <= a);
	free(one);
	free(two);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, e2e_setup, e2e_teardown)
	    TEST(test_copied_and_never_committed),
	    TEST(test_set_up),
	    TEST(test_rework_finds_it_done),
	    TEST(test_a_setup_that_fails),
	    TEST(test_a_setup_that_fails_once),
	    TEST(test_too_much_to_copy),
	    TEST(test_ports),
	};

	return cmocka_run_group_tests_name("test_run_fresh", tests, NULL, NULL);
}
