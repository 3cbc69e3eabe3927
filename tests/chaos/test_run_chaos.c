/*
 * Law 1 at any moment: a run of three areas and nine tasks, while orchd and roles are killed with SIGKILL at
 * places that the seed chooses: after so many events, whoever then lives. It ends in the tree that the plan
 * says, with nothing left. No task's process is killed more than three times: the sixth death in a minute
 * parks it, which is right and would take a minute.
 *
 * The seed is printed; ORCH_TEST_SEED repeats one (as far as the machine's own order allows).
 */
#include "common/alloc.h"
#include "common/json.h"
#include "common/proc.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RUNS 4
#define KILLS 12
#define KILLS_PER_TASK 3

static unsigned seed;

static unsigned
pick(unsigned below)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % below;
}

static void
write_scripts(struct e2e *e)
{
	char name[32];

	e2e_plan(e, "director", "wait_ms 60\n", "a b c:a");
	for (char area = 'a'; area <= 'c'; area++) {
		snprintf(name, sizeof(name), "em-%c", area);
		e2e_plan(e, name, "wait_ms 40\n", "x y z:x");
		for (char task = 'x'; task <= 'z'; task++) {
			snprintf(name, sizeof(name), "%c.%c", area, task);
			e2e_work(e, name, "stray @/stray\nwait_ms 60\n");
		}
	}
}

/* Whoever lives of the run's tasks and was not killed too often; 0: nobody. */
static pid_t
choose(struct e2e *e, unsigned killed[16])
{
	json_t *run = e2e_status(e, "m1"), *tasks = json_object_get(run, "tasks");
	size_t n = json_array_size(tasks), from = pick((unsigned)n);
	pid_t pid = 0;

	for (size_t i = 0; i < n && pid == 0; i++) {
		size_t at = (from + i) % n;

		if (killed[at] >= KILLS_PER_TASK)
			continue;
		pid = (pid_t)json_integer_value(json_object_get(json_array_get(tasks, at), "pid"));
		killed[at] += pid != 0;
	}
	json_decref(run);
	return pid;
}

static bool
has_ended(struct e2e *e)
{
	return e2e_find(e, 0, "m1", "state", "complete") >= 0 ||
	       e2e_find(e, 0, "m1", "state", "partial") >= 0 || e2e_find(e, 0, "m1", "state", "failed") >= 0;
}

static void
kill_somebody(struct e2e *e, unsigned killed[16])
{
	pid_t pid;

	if (pick(6) == 0) {
		pid = e2e_pid(e, NULL);
		kill(pid, SIGKILL);
		e2e_await_gone(e, pid);
		e2e_follow(e);
		return;
	}
	pid = choose(e, killed);
	if (pid > 1) /* may have ended since: then the pid is nobody's for a long time */
		kill(pid, SIGKILL);
}

static void
test_chaos(void **state)
{
	struct e2e *e = *state;
	unsigned killed[16] = {0};

	print_message("ORCH_TEST_SEED=%u\n", seed);
	write_scripts(e);
	e2e_begin(e, "--detach", NULL);
	for (unsigned i = 0; i < KILLS && !has_ended(e); i++) {
		size_t until = json_array_size(e->events) + 1 + pick(6);

		while (json_array_size(e->events) < until && !has_ended(e))
			e2e_wait_news(e, "the next victim");
		kill_somebody(e, killed);
	}
	e2e_await(e, "m1", "state", "complete");
	for (char area = 'a'; area <= 'c'; area++)
		for (char task = 'x'; task <= 'z'; task++) {
			char path[16] = {area, '/', task, '.', 't', 'x', 't', '\0'}, text[2] = {task, '\0'};

			e2e_assert_shows(e, "m1", path, text);
		}
}

int
main(void)
{
	const char *given = getenv("ORCH_TEST_SEED");
	struct CMUnitTest tests[RUNS];

	seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
	for (size_t i = 0; i < RUNS; i++)
		tests[i] =
		    (struct CMUnitTest)cmocka_unit_test_setup_teardown(test_chaos, e2e_setup, e2e_teardown);
	return cmocka_run_group_tests_name("test_run_chaos", tests, NULL, NULL);
}
