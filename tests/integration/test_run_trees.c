/*
 * Whole runs on each rung by which agents' processes are kept together: tools that leave their session or
 * their parents, and workers killed above them, leave nothing behind (the teardown looks), and the run ends
 * as ever. A rung that is not to be had here is skipped, and says so.
 */
#include "common/ptree.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STRAYS                                                                                               \
	"run setsid sleep 1000 & (setsid sh -c '(sleep 1000 &) & exec sleep 1000' &) ; "                     \
	"(trap '' TERM HUP INT; sleep 1000 &) ; exit 0\n"

static char rung[16];

static int
setup(void **state)
{
	snprintf(rung, sizeof(rung), "%s", (const char *)*state);
	return e2e_setup(state);
}

static void
need_rung(void)
{
	struct ptree_machine m;
	char why[PTREE_WHY_MAX];

	ptree_probe(&m, "test", false);
	if (strcmp(ptree_rung_name(ptree_choose(&m, rung, why)), rung) == 0)
		return;
	print_message("NOT TESTED: no %s here: %s\n", rung, why);
	skip();
}

static void
test_strays(void **state)
{
	struct e2e *e = *state;

	need_rung();
	e2e_plan(e, "director", STRAYS, "a");
	e2e_plan(e, "em-a", STRAYS, "one two");
	e2e_work(e, "a.one", STRAYS);
	e2e_work(e, "a.two", STRAYS);
	e2e_begin(e, "--tree", rung, "--verify", "setsid sleep 1000 & exit 0", NULL);
	assert_int_equal(e2e_end(e), 0);
	e2e_assert_state(e, "m1", "complete");
}

static void
test_killed_worker(void **state)
{
	struct e2e *e = *state;

	need_rung();
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", "");
	e2e_script(e, "worker-a.one.1", STRAYS "touch @/at-work\nwait_file @/never\n");
	e2e_begin(e, "--tree", rung, NULL);
	e2e_await_file(e, "at-work");
	kill(e2e_pid(e, "m1/em1/w1"), SIGKILL);
	assert_int_equal(e2e_end(e), 0);
	e2e_assert_state(e, "m1", "complete");
	assert_int_equal(e2e_count(e, "m1/em1/w1", "death", NULL), 1);
}

#define ON(rung, fn)                                                                                         \
	{                                                                                                    \
#fn " [" rung "]", fn, setup, e2e_teardown, (char *)rung                                     \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    ON("walk", test_strays),
	    ON("pidns", test_strays),
	    ON("cgroup", test_strays),
	    ON("walk", test_killed_worker),
	    ON("pidns", test_killed_worker),
	    ON("cgroup", test_killed_worker),
	};

	return cmocka_run_group_tests_name("test_run_trees", tests, NULL, NULL);
}
