/*
 * team: the children of the task that a director or an EM serves, as orchd tells them (CHILD messages), and
 * what follows from their states: what the lead does next, and how it ends. Pure: no sockets, no git, no
 * clock.
 *
 * A lead holds no other state. Started again it gets the same CHILDs and does the next thing; every step may
 * therefore be done twice.
 */
#ifndef ORCH_PROTO_TEAM_H
#define ORCH_PROTO_TEAM_H

#include "common/err.h"
#include "common/plan.h"
#include "proto/messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEAM_MAX 256 /* children of one task: a plan's and their reworks */

enum team_state {
	TEAM_OPEN, /* queued, running, waiting, rework: not ours to touch */
	TEAM_SUBMITTED,
	TEAM_INTEGRATED,
	TEAM_FAILED,
	TEAM_CANCELLED,
};

struct team_child {
	char *task, *key, *title, *owns_json, *branch, *base, *head, *reason;
	uint64_t ordinal, submitted_at;
	enum team_state state;
	bool alive;    /* a process of its tree lives: its worktree is not ours yet */
	bool answered; /* its submission has been answered; orchd's next CHILD tells what became of it */
	bool cleaned;  /* worktree and branches are gone */
};

struct team {
	struct team_child *list; /* by ordinal */
	size_t count;
	bool complete; /* END came: every child that existed at the start is known */
	bool changed;  /* set by every message; the waiter clears it */
};

void team_clear(struct team *t);

/* Takes a CHILD. -EINVAL when it is not one (unknown state, too many children); then nothing has changed. */
int team_apply(struct team *t, const struct msg_child *m, struct err *e);
struct team_child *team_find(struct team *t, const char *key);
/* For the child with the highest ordinal plus one. */
uint64_t team_next_ordinal(const struct team *t);

enum team_step {
	TEAM_WAIT,      /* until a CHILD comes */
	TEAM_INTEGRATE, /* *child: the oldest submission; there may be more */
	TEAM_CLEAN,     /* *child: ended and dead, its worktree and branches are to go */
	TEAM_DONE,      /* all have ended and are clean */
};

/* What is to be done now. With cancelled nothing is integrated any more. Submissions go before cleaning. */
enum team_step team_next(struct team *t, bool cancelled, struct team_child **child);

struct team_tally {
	size_t integrated, failed, cancelled, open;
};
struct team_tally team_count(const struct team *t);

/*
 * "em1: reason; em2: reason" of the children that failed or were cancelled: at most the first three, then how
 * many more. NULL when there is none. Caller frees.
 */
char *team_losses(const struct team *t);

#endif
