/*
 * A seeded tenth of the crash matrix, as much of it as fits into 35 seconds: every kind of end, hang and
 * garbage, for orchd, each role, the agent and its tool, at every change of state of a run. All of it:
 * chaos_run --matrix.
 */
#include "common/clock.h"
#include "tests/chaos/lib/chaos.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int
main(void)
{
	const char *given = getenv("ORCH_SEED");
	struct chaos c = {.seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)clock_wall_ms(),
	    .matrix = true,
	    .share = 10,
	    .budget_ms = 35000,
	    .verbose = true,
	    .program = "chaos_run"};
	struct chaos_tally t;

	printf("ORCH_SEED=%" PRIu64 "\n", c.seed);
	if (chaos_runs(&c, &t) > 0)
		return 1;
	if (t.runs == 0) {
		printf("no run fitted into the time: nothing was proved\n");
		return 1;
	}
	return 0;
}
