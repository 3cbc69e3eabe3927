/*
 * sibling: where our other programs are. A build has all of them in one folder, an install has orchd and
 * orchctl in bin and the roles in libexec; both can be moved, so everything is relative to this executable.
 */
#ifndef ORCH_COMMON_SIBLING_H
#define ORCH_COMMON_SIBLING_H

#include "common/err.h"

/*
 * The full path of one of our programs ("orch-em") in *path (the caller frees it): beside this executable,
 * else in the install's libexec folder, else in its bin folder. PATH is never searched: another version would
 * not speak our protocol. -ENOENT with a sentence in e that names the places.
 */
int sibling_path(const char *program, char **path, struct err *e);

#endif
