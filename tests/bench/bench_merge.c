/*
 * bench_merge: what merging costs where each gate takes 2 s. Three areas with three tasks each, every
 * scripted agent takes exactly 1 s. The critical path has the gate on the base, plan, plan, work, and one
 * gate each in the worker, in the EM and in the director: 11 s. One by one the EM and the director would gate
 * three times: 19 s.
 */
#include "common/alloc.h"
#include "tests/bench/lib/sample.h"
#include "tests/bench/lib/team.h"

#include <stdlib.h>

#define RUNS 3
#define STEP_MS 1000
#define GATE_MS 2000
#define CRITICAL_MS (3 * STEP_MS + 4 * GATE_MS)
#define LINEAR_MS (3 * STEP_MS + 2 * GATE_MS + (TEAM_TASKS + TEAM_AREAS) * GATE_MS)

int
main(void)
{
	struct samples runs = {0};
	struct team *t = team_new();
	char *agent = team_program("orch-test-agent");

	team_script(t, STEP_MS, "wait_ms 1000\nwrite %s <<EOF\nThe work.\nEOF\nsay done\n");
	team_start(t);
	for (int i = 0; i < RUNS; i++) {
		int64_t begin = bench_ns();

		if (team_orchctl(t, "run", "-m", "Write nine files", "--agent", agent, "--verify", "sleep 2",
			NULL) != 0)
			bench_die("orchctl run did not end well");
		samples_add(&runs, bench_ms_since(begin));
	}
	bench_row("run of 3x3 with gates of 2 s, ms (critical path)", samples_median(&runs),
	    samples_at(&runs, 1), CRITICAL_MS, "");
	bench_row("  the same against gates one by one", samples_median(&runs), samples_at(&runs, 1),
	    LINEAR_MS, "< 1");
	samples_clear(&runs);
	free(agent);
	return 0;
}
