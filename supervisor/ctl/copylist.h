/* copylist: what .worktreeinclude in the user's checkout names is copied like what the option copy names. */
#ifndef ORCH_CTL_COPYLIST_H
#define ORCH_CTL_COPYLIST_H

#include "common/conf.h"

/* Puts the file's patterns before those of the option: of two that contradict, git takes the last. 0, also
 * without a file, or -errno with a sentence. */
int copylist_add(struct conf *c, const char *top, struct err *e);

/* The lines of such a file that say something, as a new JSON array; NULL: it is not UTF-8. Pure. */
json_t *copylist_parse(const char *text);

#endif
