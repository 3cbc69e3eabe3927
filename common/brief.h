/*
 * brief: what a worker's agent is told: its task in full, its bounds, and, when work comes back, the
 * evidence. brief_worker is pure; brief_context reads the project's documents.
 */
#ifndef ORCH_COMMON_BRIEF_H
#define ORCH_COMMON_BRIEF_H

#include <stdbool.h>
#include <stddef.h>

#define BRIEF_DOCUMENT_MAX (64 * 1024) /* bytes of each document that are shown */

struct brief {
	const char *run_title; /* what the whole run is about; NULL */
	const char *title, *goal;
	const char *acceptance;     /* NULL */
	const char *const *owns;    /* never NULL */
	const char *const *guarded; /* protected patterns; NULL: none */
	const char *branch;         /* the branch that is checked out in its worktree */
	const char *verify;         /* the gate's commands as text; NULL: no gate */
	bool red;                   /* it failed before this work already */
	const char *context;        /* from brief_context; NULL */
	const char *done;           /* what an earlier session left in the worktree, as git tells it; NULL */
	const char *evidence;       /* a rework: why it was sent back; NULL */
	const char *setback;        /* how the last attempt ended badly; NULL */
	const char *const *conflicts; /* paths that a merge left with conflict markers; NULL or empty: none */
	bool resumed;                 /* the session knows its task already: only what is new is said */
};

/* Caller frees. */
char *brief_worker(const struct brief *b);

/*
 * PROJECT_DIRECTION.md and CLAUDE.md of a folder as UTF-8 text, each under its name and cut at
 * BRIEF_DOCUMENT_MAX, said where that happened. NULL when there is none, or none that can be read. A link
 * that leads out of the folder is not followed: the repository is another party's, and what is read goes to
 * an agent. Caller frees.
 */
char *brief_context(const char *dir);

#endif
