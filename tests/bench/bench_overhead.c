/*
 * bench_overhead: what orch adds to the time of its agents. Three areas with three tasks each, every scripted
 * agent takes exactly 1 s, so that the critical path is plan + plan + work = 3 s; the wall time of `orchctl
 * run` against it. In the same run the same agents are started bare, three times one after the other with as
 * many beside each other as in the run: what processes and a busy machine cost without any orchestration.
 */
#include "common/alloc.h"
#include "tests/bench/lib/sample.h"
#include "tests/bench/lib/team.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUNS 3
#define STEP_MS 1000
#define CRITICAL_MS (3 * STEP_MS)

static void
reap(int count)
{
	while (count-- > 0)
		while (wait(NULL) < 0)
			if (errno != EINTR)
				bench_die("wait: %s", strerror(errno));
}

/* count processes beside each other that each sleep a second, as the agents do. */
static void
bare_step(int count)
{
	for (int i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid < 0)
			bench_die("fork: %s", strerror(errno));
		if (pid == 0) {
			execl("/bin/sleep", "sleep", "1", (char *)NULL);
			_exit(127);
		}
	}
	reap(count);
}

static double
bare_run(void)
{
	int64_t begin = bench_ns();

	bare_step(1);
	bare_step(TEAM_AREAS);
	bare_step(TEAM_AREAS * TEAM_TASKS);
	return bench_ms_since(begin);
}

int
main(void)
{
	struct samples runs = {0}, bare = {0};
	struct team *t = team_new();
	char *agent = team_program("orch-test-agent");

	team_script(t, STEP_MS, "wait_ms 1000\nwrite %s <<EOF\nThe work.\nEOF\nsay done\n");
	team_start(t);
	for (int i = 0; i < RUNS; i++) {
		int64_t begin = bench_ns();

		if (team_orchctl(t, "run", "-m", "Write nine files", "--agent", agent, NULL) != 0)
			bench_die("orchctl run did not end well");
		samples_add(&runs, bench_ms_since(begin));
		samples_add(&bare, bare_run());
	}
	bench_row("run of 13 agents of 1 s each, ms (critical path)", samples_median(&runs),
	    samples_at(&runs, 1), CRITICAL_MS, "<= 1.15 x");
	bench_row("  the same against sleep 1 in three bare steps", samples_median(&runs),
	    samples_at(&runs, 1), samples_median(&bare), "");
	samples_clear(&runs);
	samples_clear(&bare);
	free(agent);
	return 0;
}
