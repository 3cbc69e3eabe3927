/*
 * Whole runs on each rung by which agents' processes are kept together: tools that leave their session or
 * their parents, and workers killed above them, leave nothing behind (the teardown looks), and the run ends
 * as ever. A rung that is not to be had here is skipped, and says so.
 */
#include "common/alloc.h"
#include "common/fd.h"
#include "common/ptree.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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

/* 400 MB that nothing but the ceiling ends: sleep does not read what tail keeps for it. */
#define HOG "run setsid sh -c 'head -c 400m /dev/zero | tail -c 400m | sleep 1000'\n"

static void
assert_event(struct e2e *e, const char *task, const char *kind, const char *words)
{
	json_t *ev;
	size_t i;

	json_array_foreach (e->events, i, ev) {
		const char *text = json_string_value(json_object_get(ev, "text"));
		const char *t = json_string_value(json_object_get(ev, "task"));
		const char *k = json_string_value(json_object_get(ev, "kind"));

		if (t != NULL && strcmp(t, task) == 0 && strcmp(k, kind) == 0 && text != NULL &&
		    strstr(text, words) != NULL)
			return;
	}
	e2e_tell(e);
	fail_msg("no event %s of %s with \"%s\"", kind, task, words);
}

/* Ended, explained, tried once more without an attempt being counted, and what it had written is kept. */
static void
test_memory_ceiling(void **state)
{
	struct e2e *e = *state;

	need_rung();
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", "expect_prompt ceiling is 80 MB (agent_memory_mb)\n");
	e2e_script(e, "worker-a.one.1", "write a/one.txt <<EOF\nhalf\nEOF\n" HOG);
	e2e_begin(
	    e, "--tree", rung, "--agent-memory", "80", "--retry-delay", "0.05", "--max-attempts", "1", NULL);
	e2e_await(e, "m1/em1/w1", "saved", NULL);
	e2e_await(e, "m1/em1/w1", "state", "waiting");
	assert_int_equal(e2e_end(e), 0);
	e2e_assert_state(e, "m1", "complete");
	assert_event(e, "m1/em1/w1", "ceiling", "ceiling is 80 MB (agent_memory_mb)");
	assert_event(e, "m1/em1/w1", "ceiling", "Raise agent_memory_mb");
	assert_event(e, "m1/em1/w1", "saved", "refs/orch/wip/m1-em1-w1");
}

/* The second time it is the task's own doing, and the end of it. */
static void
test_memory_ceiling_twice(void **state)
{
	struct e2e *e = *state;
	char *kept;

	need_rung();
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one two");
	e2e_script(e, "worker-a.one", "write a/one.txt <<EOF\nhalf\nEOF\n" HOG);
	e2e_work(e, "a.two", "");
	e2e_begin(e, "--tree", rung, "--agent-memory", "80", "--retry-delay", "0.05", NULL);
	assert_int_equal(e2e_end(e), 1);
	e2e_assert_state(e, "m1/em1/w1", "failed");
	assert_int_equal(e2e_count(e, "m1/em1/w1", "ceiling", NULL), 2);
	assert_event(e, "m1/em1/w1", "state", "for the second time");
	kept = testrepo_git(e->repo, NULL, "show", "refs/orch/wip/m1-em1-w1:a/one.txt", NULL);
	assert_string_equal(kept, "half");
	free(kept);
}

static void
test_process_ceiling(void **state)
{
	struct e2e *e = *state;

	need_rung();
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", "");
	e2e_script(e, "worker-a.one.1", "run for i in $(seq 60); do setsid sleep 1000 & done; wait\n");
	e2e_begin(e, "--tree", rung, "--agent-max-processes", "50", "--retry-delay", "0.05", NULL);
	assert_int_equal(e2e_end(e), 0);
	assert_event(e, "m1/em1/w1", "ceiling", "the ceiling is 50 (agent_max_processes)");
}

/* A gate is somebody else's program too: over the ceiling it is red, with the reason as evidence. */
static void
test_gate_over_its_ceiling(void **state)
{
	struct e2e *e = *state;

	need_rung();
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", "");
	e2e_begin(e, "--tree", rung, "--agent-memory", "80", "--max-rework", "0", "--verify",
	    "test ! -e a/one.txt || head -c 400m /dev/zero | tail -c 400m | sleep 1000", NULL);
	assert_int_equal(e2e_end(e), 1);
	assert_event(e, "m1/em1/w1", "state", "ceiling is 80 MB (agent_memory_mb)");
}

/* All together take too much: the one that takes the most is ended, and only that. */
static void
test_total_ceiling(void **state)
{
	struct e2e *e = *state;

	need_rung();
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one two");
	e2e_work(e, "a.one", "");
	e2e_script(e, "worker-a.one.1", HOG);
	e2e_work(e, "a.two", "wait_file @/go\n");
	e2e_begin(e, "--tree", rung, "--total-memory", "300", NULL);
	e2e_await(e, "m1/em1/w1", "state", "waiting");
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
	assert_event(e, "m1/em1/w1", "ceiling", "the ceiling is 300 MB (total_memory_mb)");
	assert_int_equal(e2e_count(e, "m1/em1/w2", "ceiling", NULL), 0);
}

static int
oom_score(const char *path)
{
	char *text = NULL;
	int score;

	assert_int_equal(fd_read_file(path, 64, &text, NULL), 0);
	score = atoi(text);
	free(text);
	return score;
}

/* When memory is short the kernel takes an agent first and orchd last, as far as a user may say so. */
static void
test_order_of_oom(void **state)
{
	struct e2e *e = *state;
	char *agents = xasprintf("%s/oom", e->scripts), path[64];
	char *lines = xasprintf("run cat /proc/self/oom_score_adj > %s.new && mv %s.new %s\nwait_file @/go\n",
	    agents, agents, agents);
	int ours = oom_score("/proc/self/oom_score_adj"), orchds;

	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", lines);
	e2e_begin(e, NULL);
	e2e_await_file(e, "oom");
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)e2e_pid(e, NULL));
	orchds = oom_score(path);
	if (geteuid() != 0)
		assert_int_equal(orchds, ours);
	else if (orchds != ours) /* a container may keep even root from it */
		assert_int_equal(orchds, ours - 500);
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)e2e_pid(e, "m1/em1/w1"));
	assert_int_equal(oom_score(path), ours);
	assert_int_equal(oom_score(agents), ours + 300 < 1000 ? ours + 300 : 1000);
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
	free(lines);
	free(agents);
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
	    ON("walk", test_memory_ceiling),
	    ON("walk", test_memory_ceiling_twice),
	    ON("walk", test_process_ceiling),
	    ON("walk", test_gate_over_its_ceiling),
	    ON("walk", test_total_ceiling),
	    ON("walk", test_order_of_oom),
	};

	return cmocka_run_group_tests_name("test_run_trees", tests, NULL, NULL);
}
