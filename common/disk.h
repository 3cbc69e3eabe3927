/* disk: is there room? For whoever failed, to tell whether it was the disk's fault. */
#ifndef ORCH_COMMON_DISK_H
#define ORCH_COMMON_DISK_H

#include "common/err.h"

#include <stdbool.h>

#define DISK_FULL_KIB 1024 /* with less than that nobody's work can be judged */

/* True, with a sentence in why, when the disk of path has hardly a byte left for us, or no inode. False when
 * path cannot be looked at. */
bool disk_is_full(const char *path, struct err *why);
/* Does a failure say that the disk was full? rc: its -errno; words: our own and git's sentence. */
bool disk_is_blamed(int rc, const char *words);

#endif
