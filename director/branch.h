/*
 * branch: a run's work branch: a name that nothing of somebody else's has, neither in the repository nor on
 * GitHub.
 */
#ifndef ORCH_DIRECTOR_BRANCH_H
#define ORCH_DIRECTOR_BRANCH_H

#include "proto/role.h"

/*
 * Takes the first name that is free, with the names of the EMs' and workers' branches below it. What an
 * earlier run of the same name left is not ours, but where it holds nothing that the run's base does not
 * have. remote: look on GitHub too; what cannot be seen there is told as an event, and left to the push,
 * which moves nobody's branch. 0 with *branch (the caller's); -errno.
 */
int branch_choose(struct role *r, bool remote, char **branch, struct err *e);

#endif
