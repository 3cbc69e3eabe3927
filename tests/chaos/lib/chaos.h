/*
 * chaos: whole runs with faults in them, and the laws that hold all the same. Which fault follows which
 * change of state is computed from the seed and from what the change is, not from when it comes, so that a
 * seed repeats a run as well as a machine with a scheduler can.
 */
#ifndef ORCH_TESTS_CHAOS_H
#define ORCH_TESTS_CHAOS_H

#include "tests/chaos/lib/fault.h"

struct chaos {
	uint64_t seed;       /* of the first run; the next one's is the next number */
	unsigned runs;       /* at most */
	bool matrix;         /* every fault at every change of state, one a run, in place of random ones */
	unsigned share;      /* of the matrix one cell in so many, chosen by the seed; 0: all */
	const char *at;      /* of the matrix only this change, "TASK STATE NTH"; NULL: all */
	int64_t budget_ms;   /* no run is begun after that; 0: none */
	unsigned percent;    /* of the changes of state that a fault follows */
	const char *only;    /* faults whose names begin so; NULL: all */
	bool verbose;        /* a line for each run */
	const char *program; /* for the line that repeats a run */
};

struct chaos_tally {
	unsigned runs, broken;
	unsigned done[FAULT_COUNT]; /* faults that hit */
	unsigned missed_by[FAULT_COUNT];
	unsigned missed;  /* whoever was to be hit was not there */
	unsigned changes; /* of state, that a fault might have followed */
};

/*
 * Runs them one after the other, each in a process of its own; says on stdout what is broken, how to repeat
 * it, and at the end the tally. Returns the number of runs in which a law was broken.
 */
unsigned chaos_runs(const struct chaos *c, struct chaos_tally *t);

#endif
