/*
 * power: power cuts of a whole run. It is recorded once, with the scripted agent, git and all; then the disk
 * is rebuilt as a cut at any of its operations may have left it, and looked at: nothing that the world had
 * been told may be missing. From some of these points the run is gone on with, and has to end in the same
 * tree.
 */
#ifndef ORCH_TESTS_POWER_H
#define ORCH_TESTS_POWER_H

#include "tests/chaos/power/ops.h"
#include "tests/helper/lib/e2e.h"

#include <stdbool.h>

#define POWER_VARIANTS "ABCD"

struct power {
	/* By the caller. */
	uint64_t seed;
	unsigned looks;       /* points that are looked at, by chance; 0: all, in all variants */
	unsigned resumes;     /* points from which the run is gone on with */
	const char *variants; /* some of POWER_VARIANTS */
	const char *program;  /* for the line that repeats a point */
	const char *trace;    /* a file: go by this one instead of recording; NULL */
	long at;              /* only this operation; -1: by looks */
	bool verbose;

	/* Results. */
	unsigned looked, resumed, broken;

	struct e2e *e;
	struct ops ops;
	char tree[GIT_OID_HEX]; /* of the undisturbed run */
};

/* Does it all and prints the tally. 0: no law was broken. 77: processes cannot be traced here. */
int power_run(struct power *p);

/* power_check.c. Both look at a disk that was rebuilt as of the first n operations; what is wrong is added to
 * faults, a line each. */
void power_look(struct power *p, size_t n, bool heal_it, char **faults);
void power_resume(struct power *p, char variant, char **faults);
/* power_record.c: records a run into ops and tree. */
void power_record(struct power *p);
/* What the run is started with, up to NULL, and the file below the root to which its events are told. */
extern const char *const power_arguments[];
#define POWER_TOLD "told"

#endif
