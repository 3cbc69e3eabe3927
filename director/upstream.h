/*
 * upstream: the branch that a run began from, as it is on GitHub by now. What came there while the run worked
 * is taken into the work branch before that is delivered, and gated with it; where that is not possible the
 * work branch stays as it is, green, and a sentence says why.
 */
#ifndef ORCH_DIRECTOR_UPSTREAM_H
#define ORCH_DIRECTOR_UPSTREAM_H

#include "proto/lead.h"

struct upstream {
	char base[GIT_OID_HEX]; /* what the work is to be compared with now; "": as before */
	char *trouble;          /* a sentence: it conflicts, or is red together; NULL */
};

/*
 * name: the branch. Moves the work branch (ld->branch) when it is merged. What cannot be fetched is told as
 * an event, and changes nothing. 0 or -errno; nothing is remembered: it may be called again.
 */
int upstream_take_in(struct lead *ld, const char *name, struct upstream *u, struct err *e);
void upstream_clear(struct upstream *u);

/* "a.c, b.c and 3 more" of a conflict's evidence, or "" when it lists no files. Pure; caller frees. */
char *upstream_files(const char *evidence);

#endif
