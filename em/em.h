/*
 * em: serves one area: divides it into tasks, integrates what its workers submit, and submits its branch. The
 * craft is proto/lead's; here is what is an EM's own: its branch, and what happens when the area is sent
 * back.
 */
#ifndef ORCH_EM_EM_H
#define ORCH_EM_EM_H

#include "proto/role.h"

/* The work, as struct role_kind wants it. */
int em_run(struct role *r, struct err *e);

/* Pure decisions, for em.c and its tests. */

/* Key of the child that does the rework of the area's present attempt: reworks are counted anew after a
 * retry, attempts never are. */
void em_rework_key(char key[32], uint64_t attempt);

/*
 * How an area ends whose children have all ended: NULL when it is to be submitted, else why it has failed
 * (caller frees). rework_key: of the child that must have come through; NULL when the area was not sent back.
 * An area that was integrated before and is done again may add nothing new: its work is there all the same.
 */
char *em_failure(struct team *t, const char *rework_key);

#endif
