/*
 * director: serves a run: divides the issue into areas, integrates what their EMs submit into the work
 * branch, and tells the result. The craft is proto/lead's; here is what is a director's own: the work branch,
 * the run's states, and the end of a run that was cancelled.
 */
#ifndef ORCH_DIRECTOR_DIRECTOR_H
#define ORCH_DIRECTOR_DIRECTOR_H

#include "proto/role.h"

/* The work, as struct role_kind wants it. */
int director_run(struct role *r, struct err *e);
/*
 * The last word of a run whose director could not be kept running (--epilogue): nothing is planned or merged
 * any more; what is left of the team is tidied up where that can be done, and the result is told in any case.
 */
int director_epilogue(struct role *r, struct err *e);

/* Pure decisions, for director.c and its tests. */

/* "cco/25-build-a-calculator", with "-2" and so on from the second try on: a valid name whatever the title.
 * Caller frees. */
char *director_branch_name(const char *prefix, const char *run, const char *title, unsigned attempt);

struct director_end {
	bool failed;  /* nothing usable came of it */
	bool keep;    /* the work branch stays: something was merged */
	char *reason; /* NULL when there is nothing to say; caller frees */
};
/* merged: the work branch has moved from its base. */
void director_verdict(const struct team *t, bool cancelled, bool merged, struct director_end *end);
/* What else a person must know of it. */
void director_add_words(struct director_end *end, const char *what);
/* Says of a run that is kept that its gate was red before it began. base, now: gate codes, 0 when green. */
void director_add_gate(struct director_end *end, int base, int now);

#endif
