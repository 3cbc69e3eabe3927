/*
 * pulls: with prs=all, the pull requests of a run's parts: from each worker's branch into its EM's, from each
 * EM's into the work branch. A parent's branch is pushed after its merges: GitHub then shows as merged what
 * is in it. Before that, what is in it must have its pull request, for GitHub opens none without commits
 * between; so the order is: a parent's branch as it began, the child's branch, its pull request, the parent.
 *
 * Nothing is remembered that GitHub does not tell: what is there is looked at once, and adopted. Nothing of
 * the run depends on it. What does not work is told once; what waits for it goes on without it.
 */
#ifndef ORCH_DIRECTOR_PULLS_H
#define ORCH_DIRECTOR_PULLS_H

#include "director/github_api.h"
#include "proto/role.h"
#include "proto/view.h"

/* The decision, pure. */

enum pulls_state {
	PULLS_BUSY,  /* it may have commits, and is not to be looked at yet */
	PULLS_READY, /* handed in */
	PULLS_IN,    /* integrated */
	PULLS_LOST,  /* failed or cancelled */
};

struct pulls_part {
	char *task, *branch, *title, *reason, *base;
	char head[GIT_OID_HEX];  /* what the branch is to be at; "": nothing yet */
	char there[GIT_OID_HEX]; /* what it is at on GitHub; "": it is not there */
	int em, worker;          /* of the task, as in the view */
	int parent;              /* index; -1: it is the work branch */
	enum pulls_state state;
	bool ours;       /* what is there was pushed by us */
	bool in_there;   /* its head is in what its parent's branch is on GitHub */
	bool in_here;    /* ... in what its parent's branch is to be */
	bool over;       /* nothing more is done about it: it did not work, or its pull request was closed */
	uint64_t number; /* of its open pull request; 0: none yet */
	char *compared;  /* for which commits in_there and in_here were found out; NULL */
};

enum pulls_deed {
	PULLS_NOTHING,
	PULLS_MAKE,  /* makes the parent's branch, where the part began */
	PULLS_PUSH,  /* pushes head */
	PULLS_OPEN,  /* opens the pull request */
	PULLS_DROP,  /* closes that of a part that was lost */
	PULLS_REMADE /* closes that of a part whose commits are in its parent by other names */
};

/* What is to be done next, and for which part. Children come before their parent in parts. */
enum pulls_deed pulls_next(const struct pulls_part *parts, size_t count, size_t *which);

/* The work. */

struct pulls;

struct pulls *pulls_new(struct role *r, struct github *gh, uint64_t issue);
void pulls_free(struct pulls *p);

/* Notes where the branches are in the repository. Ask orchd for the state of the run after it and not before:
 * whatever is in a branch now has been handed in by then. 0 or -errno. */
int pulls_look(struct pulls *p, const char *work_branch, struct err *e);
/*
 * Does the next thing. 1: there may be more; 0: there is not now; -ECANCELED. run does not change meanwhile.
 * Not while anything else of this process runs a command: what it leaves behind is swept.
 */
int pulls_step(struct pulls *p, const struct view_run *run);
/* When a step makes sense again, clock_now_ms time. */
int64_t pulls_due(const struct pulls *p);
/* All that is left, with the patience of the end. 0 or -ECANCELED. */
int pulls_finish(struct pulls *p, const struct view_run *run);
/* What did not work, as a sentence; NULL. Borrowed. */
const char *pulls_problem(const struct pulls *p);

#endif
