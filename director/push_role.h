/* push_role: pushing for a run, with what its director was assigned. */
#ifndef ORCH_DIRECTOR_PUSH_ROLE_H
#define ORCH_DIRECTOR_PUSH_ROLE_H

#include "director/push.h"
#include "proto/role.h"

/* What for; each has a bare repository of its own, because two may be open at the same time. */
#define PUSH_NAMES "names"
#define PUSH_PARTS "parts"
#define PUSH_STATE "state"
#define PUSH_UPSTREAM "upstream"
#define PUSH_WORK "work"

/* Opens p for the repository that --check fixed. -ENOENT with a sentence when the run has no token, or no
 * repository on GitHub. */
int push_open_role(struct push *p, struct role *r, const char *name, struct err *e);
/* Removes what a director that was killed has left of them. */
void push_sweep_role(const struct role *r);

#endif
