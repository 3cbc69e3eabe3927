/*
 * leak: does what an agent committed hold its token, or anything that has the form of a key (common/keylike)
 * and was not in that file before? Looked at before anything of it is known to orchd: all commits, with their
 * messages, and all files that are new since a commit.
 */
#ifndef ORCH_WORKER_LEAK_H
#define ORCH_WORKER_LEAK_H

#include "proto/role.h"

/*
 * *where is NULL, or says for the agent which key is where (caller frees). Files over 16 MiB are not looked
 * into. 0 or -errno.
 */
int leak_find(struct role *r, const char *from, const char *head, char **where, struct err *e);
/* Takes the commits since `from` off the branch of the worktree, whose files stay as they are: the next
 * commit is made without them. */
int leak_undo(struct role *r, const char *from, struct err *e);

#endif
