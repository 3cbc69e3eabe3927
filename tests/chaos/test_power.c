/*
 * Power cuts of a small run, at some points (see power/power.h; power_run looks at all). A machine that goes
 * down must not cost what had been told to anybody. Prints its seed; ORCH_SEED repeats it, as far as the same
 * can happen twice: a point that is broken is told with a recording and the line that repeats it from that.
 */
#include "tests/chaos/power/power.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int
main(void)
{
	const char *given = getenv("ORCH_SEED");
	struct power p = {.seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)clock_wall_ms(),
	    .looks = 24,
	    .resumes = 1,
	    .variants = POWER_VARIANTS,
	    .program = "power_run",
	    .at = -1};

	fprintf(stderr, "ORCH_SEED=%" PRIu64 "\n", p.seed);
	return power_run(&p);
}
