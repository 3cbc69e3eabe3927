/* run: one run of chaos in this process (see chaos.h). Private to tests/chaos/lib. */
#ifndef ORCH_TESTS_CHAOS_RUN_H
#define ORCH_TESTS_CHAOS_RUN_H

#include "common/taskid.h"
#include "tests/chaos/lib/fault.h"

#define CHAOS_SHAPES 3
#define CHAOS_CHANGES_MAX 64

/* A change of state of a task or the run, the nth (from 0) of its kind. */
struct chaos_change {
	char task[TASKID_MAX], state[24];
	unsigned nth;
};

/* In memory that parent and child share. */
struct chaos_run {
	char trees[CHAOS_SHAPES][GIT_OID_HEX];       /* "" until an undisturbed run has said it */
	struct chaos_change seen[CHAOS_CHANGES_MAX]; /* by the last run, in their order */
	unsigned seen_count;
	/* What is to be done: one fault at one change when exact, else at percent of them (0: undisturbed).
	 */
	uint64_t seed;
	unsigned shape, percent;
	const char *only; /* of before the fork */
	bool exact;
	char disk[64]; /* an empty folder for a disk of the run's own; "": none */
	struct chaos_change at;
	enum fault fault;
	/* What was done. */
	unsigned done[FAULT_COUNT], missed_by[FAULT_COUNT], missed, changes, faults;
	char history[8192]; /* a line for each fault */
};

/* Bits that depend on all bits of x (splitmix64). */
uint64_t chaos_mix(uint64_t x);
/* For the next run; the trees stay. */
void chaos_run_clear(struct chaos_run *r);
/* 0: all laws held. Leaves nothing but what it says on stdout and stderr. */
int chaos_run(struct chaos_run *r);

#endif
