/*
 * integrate: takes children's commits into their parent's branch: merged in memory, one on top of the other
 * (git merge-tree), gated on exactly the tree that would be kept, in a detached worktree, and only then kept,
 * by update-ref with the old value. A branch is never half-merged, and never red but as it was before its
 * first merge.
 *
 * Several are tried together: one run of the gate where all is well; else it is bisected which of them is to
 * blame (common/batch), and the others are kept. Nothing of this is written down: whoever begins anew with
 * those that are not in the branch yet does the next thing.
 */
#ifndef ORCH_COMMON_INTEGRATE_H
#define ORCH_COMMON_INTEGRATE_H

#include "common/batch.h"
#include "common/err.h"
#include "common/gate.h"
#include "common/git.h"

enum integrate_verdict {
	INTEGRATE_MERGED,   /* the branch holds it */
	INTEGRATE_CONFLICT, /* textual, with the branch as it is; the branch has not moved */
	INTEGRATE_RED,      /* merged into the branch as it is, it fails the gate; the branch has not moved */
};

struct integrate_spec {
	struct git *git;           /* of the repository */
	const char *branch;        /* the parent's, short name */
	const char *const *shared; /* patterns of files to which several may add; NULL: none */
	const char *worktree;      /* absolute path for the detached worktree; made when it is needed */
	const json_t *verify;      /* NULL: no gate, but for what more() says */
	/* *areas: commands that must pass on commit beside it (a fresh array, or NULL: none); NULL: never
	 * any. */
	int (*more)(void *arg, const char *commit, json_t **areas, struct err *e);
	const json_t *setup; /* before it, in the fresh worktree; NULL: none */
	const char *const *gate_env;
	int64_t gate_timeout_ms, setup_timeout_ms;
	int (*furnish)(
	    void *arg, struct err *e); /* puts what no commit holds into the worktree; NULL: nothing */
	/* Is item i still to be merged? Asked right before it is kept; NULL: always. */
	bool (*wanted)(void *arg, size_t i);
	void *arg;
	int gate_known; /* gate_code of the branch as it is: red in the same way is merged; 0: it is green.
			   What is red already cannot tell one culprit from another: no batches then */
};

struct integrate_item {
	const char *head;    /* the child's commit, as a full id */
	const char *message; /* of the merge commit */
};

struct integrate_result {
	enum integrate_verdict verdict;
	size_t item;            /* of whom this is said */
	char head[GIT_OID_HEX]; /* the branch's tip now */
	char *reason;           /* one sentence; NULL when merged */
	char *evidence;  /* for the rework: conflicting paths, or the gate's output; NULL when merged */
	char *note;      /* merged though the gate was flaky, or cannot tell: a sentence; else NULL */
	bool green;      /* the gate ran and passed on what the branch holds now */
	int64_t gate_ms; /* of all runs since the last result; 0: no gate ran */
};

struct integrate;

/* Takes in the items, oldest first. Both are borrowed until integrate_free(). */
struct integrate *integrate_new(
    const struct integrate_spec *s, const struct integrate_item *items, size_t count);
/*
 * The next verdict on one of them: 1 with r filled, 0 when there is none left (those that are not wanted any
 * more get none), -ECANCELED, or another -errno with e. It has happened when it is told: the branch has
 * moved.
 */
int integrate_next(struct integrate *in, struct integrate_result *r, struct err *e);
void integrate_free(struct integrate *in);
void integrate_result_clear(struct integrate_result *r);

#endif
