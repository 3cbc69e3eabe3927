/* push_role: pushing for a run, with what its director was assigned. */
#ifndef ORCH_DIRECTOR_PUSH_ROLE_H
#define ORCH_DIRECTOR_PUSH_ROLE_H

#include "director/push.h"
#include "proto/role.h"

/* Opens p for the repository that --check fixed. -ENOENT with a sentence when the run has no token, or no
 * repository on GitHub. */
int push_open_role(struct push *p, struct role *r, struct err *e);

#endif
