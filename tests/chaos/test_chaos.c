/*
 * A short piece of chaos: as many whole runs with faults in them as fit into 25 seconds. The seed is printed;
 * ORCH_SEED repeats one, and chaos_run goes on for longer.
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
	    .runs = 1000,
	    .budget_ms = 25000,
	    .percent = 15,
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
