/*
 * merge: brings the parent's work into a task's branch before the agent goes on with it.
 *
 * The merge is made in memory and committed at once, with conflict markers where there are any: a merge that
 * is going on in a worktree would be lost with the index, a commit survives everything. When the agent has
 * resolved them, merge_close() makes one merge commit of both, so that no commit with markers is left in the
 * history.
 */
#ifndef ORCH_WORKER_MERGE_H
#define ORCH_WORKER_MERGE_H

#include "proto/role.h"

struct merge {
	char first[GIT_OID_HEX],
	    second[GIT_OID_HEX]; /* its parents: ours, theirs; "" when there was no merge */
	char commit[GIT_OID_HEX];
	bool unresolved;  /* commit is as the merge left it, with conflicts */
	char **conflicts; /* paths that could not be merged by git; NULL-terminated, or NULL */
};

/*
 * Does what ASSIGN.merge_from asks for, if that has not been done: merges it, makes it the base (also in
 * *base) and notes both.
 */
int merge_begin(struct role *r, char base[GIT_OID_HEX], struct err *e);
/* The merge with base that the branch at tip holds; zeroed m when there is none. */
int merge_find(struct role *r, const char *base, const char *tip, struct merge *m, struct err *e);
void merge_clear(struct merge *m);

/* Where the agent resolved conflicts: one merge commit in place of the two; *head moves with the branch. */
int merge_close(struct role *r, const struct merge *m, char head[GIT_OID_HEX], struct err *e);
/* Which of the conflicting files still have markers in commit head; strv_free. */
int merge_marked(struct role *r, const struct merge *m, const char *head, char ***paths, struct err *e);

#endif
