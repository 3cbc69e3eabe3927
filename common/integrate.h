/*
 * integrate: takes a child's commit into its parent's branch: merged in memory (git merge-tree), gated on
 * exactly that tree in a detached worktree, and only then kept, by update-ref with the old value. A branch is
 * never half-merged, and never red but as it was before its first merge.
 */
#ifndef ORCH_COMMON_INTEGRATE_H
#define ORCH_COMMON_INTEGRATE_H

#include "common/err.h"
#include "common/gate.h"
#include "common/git.h"

enum integrate_verdict {
	INTEGRATE_MERGED,   /* the branch has moved (or held the commit already) */
	INTEGRATE_CONFLICT, /* textual; the branch has not moved */
	INTEGRATE_RED,      /* the merged tree fails the gate; the branch has not moved */
};

struct integrate_spec {
	struct git *git;      /* of the repository */
	const char *branch;   /* the parent's, short name */
	const char *head;     /* the child's commit */
	const char *message;  /* of the merge commit */
	const char *worktree; /* absolute path for the detached worktree; made when it is needed */
	const json_t *verify; /* NULL: no gate */
	const json_t *setup;  /* before it, in the fresh worktree; NULL: none */
	const char *const *gate_env;
	int64_t gate_timeout_ms, setup_timeout_ms;
	int (*furnish)(
	    void *arg, struct err *e); /* puts what no commit holds into the worktree; NULL: nothing */
	void *arg;
	int gate_known; /* gate_code of the branch as it is: red in the same way is merged; 0: it is green */
};

struct integrate_result {
	enum integrate_verdict verdict;
	char head[GIT_OID_HEX]; /* the branch's tip now */
	char *reason;           /* one sentence; NULL when merged */
	char *evidence;  /* for the rework: conflicting paths, or the gate's output; NULL when merged */
	char *note;      /* merged though the gate was flaky, or cannot tell: a sentence; else NULL */
	bool green;      /* the gate ran and passed on what the branch holds now */
	int64_t gate_ms; /* 0: no gate ran */
};

/* 0 with r filled, -ECANCELED, or -errno with e. */
int integrate_run(const struct integrate_spec *s, struct integrate_result *r, struct err *e);
void integrate_result_clear(struct integrate_result *r);

#endif
