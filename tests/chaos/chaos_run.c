/*
 * chaos_run: the chaos driver by hand.
 *
 *     chaos_run [--runs N] [--seed S] [--percent P] [--seconds T] [--only NAME] [--quiet]
 *     chaos_run --matrix [--share N] [--at "TASK STATE NTH"] [--seed S] [--seconds T] [--only NAME] [--quiet]
 *
 * N whole runs with the scripted agent, the seeds S, S+1 ...; after P percent of the changes of state a
 * fault, one whose name begins with NAME. Or the matrix: every fault of that name at every change of state of
 * a run, one in a run of its own; of its cells one in N. A run in which a law was broken is told with all
 * that is known of it and the line that repeats it. Exit 0 when every law held, 1 when not.
 */
#include "common/clock.h"
#include "tests/chaos/lib/chaos.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t
number(const char *name, const char *text)
{
	char *end;
	uint64_t n;

	if (text == NULL || *text == '\0')
		goto bad;
	n = strtoull(text, &end, 10);
	if (*end == '\0')
		return n;
bad:
	fprintf(stderr, "chaos_run: %s wants a number\n", name);
	exit(2);
}

int
main(int argc, char **argv)
{
	struct chaos c = {.seed = (uint64_t)clock_wall_ms(),
	    .runs = 10,
	    .percent = 15,
	    .verbose = true,
	    .program = argv[0]};
	struct chaos_tally t;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quiet") == 0) {
			c.verbose = false;
			continue;
		}
		if (strcmp(argv[i], "--matrix") == 0) {
			c.matrix = true;
			continue;
		}
		if (strcmp(argv[i], "--runs") == 0)
			c.runs = (unsigned)number(argv[i], argv[i + 1]);
		else if (strcmp(argv[i], "--seed") == 0)
			c.seed = number(argv[i], argv[i + 1]);
		else if (strcmp(argv[i], "--percent") == 0)
			c.percent = (unsigned)number(argv[i], argv[i + 1]);
		else if (strcmp(argv[i], "--only") == 0 && argv[i + 1] != NULL &&
			 fault_pick(0, argv[i + 1]) != FAULT_COUNT)
			c.only = argv[i + 1];
		else if (strcmp(argv[i], "--share") == 0)
			c.share = (unsigned)number(argv[i], argv[i + 1]);
		else if (strcmp(argv[i], "--at") == 0 && argv[i + 1] != NULL)
			c.at = argv[i + 1];
		else if (strcmp(argv[i], "--seconds") == 0)
			c.budget_ms = (int64_t)number(argv[i], argv[i + 1]) * 1000;
		else {
			fprintf(stderr, "usage: chaos_run [--runs N] [--seed S] [--percent P] [--seconds T] "
					"[--only NAME] [--quiet]\n"
					"       chaos_run --matrix [--share N] [--at 'TASK STATE NTH'] "
					"[--seed S] [--seconds T] [--only NAME] [--quiet]\n");
			return 2;
		}
		i++;
	}
	printf("seed %" PRIu64 "\n", c.seed);
	return chaos_runs(&c, &t) == 0 ? 0 : 1;
}
