/*
 * role: what director, em and worker have in common as programs: options, the link to orchd, the run's
 * options, the repository, and the few requests that all of them make. A role's own main.c names its kind and
 * nothing more.
 */
#ifndef ORCH_PROTO_ROLE_H
#define ORCH_PROTO_ROLE_H

#include "common/conf.h"
#include "common/err.h"
#include "common/git.h"
#include "common/loop.h"
#include "common/ptree.h"
#include "proto/known_gate.h"
#include "proto/link.h"
#include "proto/messages.h"
#include "proto/team.h"
#include "proto/view.h"

#include <stdbool.h>

/* What a role's run() returns when orchd has been told how its task stands and nothing is left to do. */
#define ROLE_OVER 1

struct role;

struct usage {
	uint64_t cost_uusd, tokens_in, tokens_out;
};

struct role_kind {
	const char *program; /* "orch-em" */
	enum proto_who who;
	const char *usage; /* the whole text of --help */
	/*
	 * The work. 0 or ROLE_OVER: exit 0. -ECANCELED: asked to stop; stopped() and exit 0. Any other
	 * -errno: e is logged, exit 1, and orchd starts the role again.
	 */
	int (*run)(struct role *r, struct err *e);
	void (*stopped)(struct role *r); /* optional: saves the work; runs with the stop masked */
};

struct role {
	const struct role_kind *kind;
	struct loop loop;
	struct link_ops ops; /* of the link, which keeps a pointer to it */
	struct link *link;
	const struct msg_assign *assign; /* owned by the link */
	struct conf conf;
	struct ptree_plan trees; /* how its agents and gates are kept */
	struct git git;          /* of the repository */
	char **owns;             /* what the task may change */
	char **guarded;          /* protected patterns: only who names a file may change it */
	json_t *areas; /* commands that must pass beside the run's gate (an area's own); NULL: none */
	struct known_gate known; /* how the gate stood before what is judged now */
	char **env;              /* of agents: with the keys, where there are any */
	char **gate_env;         /* of gates: without them */
	char **keys;             /* variables of the API configuration; NULL: none */
	char *keys_name;         /* which configuration they are */
	char *token;             /* for GitHub; only a director has one. NULL: none */
	struct redact *redact;   /* what must not leave this process but for its agent; NULL: nothing */
	char *author_name, *author_mail; /* of an agent's own commits, in workers; NULL: git knows nobody */
	char *worktree;                  /* the task's own */
	int port_lock;                   /* held while the ports are ours; -1: none */
	uint64_t port_base;              /* 0: none */
	struct team team;
	char *review;      /* a director's: the round of reviews that is not answered, as JSON; NULL: none */
	char *dump;        /* the rows that answer DUMP, a line each; NULL: nobody asked */
	size_t dump_size;
	struct view *view; /* what an answer to STATUS is put into; NULL: nobody asks */
	bool keyed;        /* SECRETS came */
	unsigned keyings;  /* how often */
	int64_t answer_ms, idle_ms; /* how long the gateway may take to answer, and be silent in an answer */
	bool tokened;               /* ROLE_TOKEN came */
	struct {
		char kind[32], text[TEXT_MAX]; /* kind "": nothing */
		uint64_t until;
	} seen;                 /* by the gateway, of the present attempt: what tells most */
	bool cancel_asked;      /* the last STOP was the run's cancellation */
	bool cancel_interrupts; /* it ends the wait that it comes into, with -ECANCELED */

	/* Of the agent and its session: see proto/attempt. */
	bool agent_checked;
	bool no_room; /* when its agent ended badly, a disk was full: room says which */
	struct err room;
	char session[NAME_MAX_BYTES];
	struct usage past, spent; /* of the task: in sessions before the present one, in all */
};

/* The program, from options to exit status: 0, 1 (orchd is to try again), 2 (wrong usage). */
int role_main(int argc, char **argv, const struct role_kind *kind);

/* Does what the gateway saw of the present attempt decide how it has ended? */
bool role_seen_decides(const struct role *r);

/* Is there anything that must pass before work is kept? */
bool role_has_gate(const struct role *r);

/* Waits (10 s) until orchd has told all children that exist. */
int role_await_team(struct role *r, struct err *e);

/*
 * Ports for what this process starts: port_step of them from port_base on, which no other role of this user
 * has at the same time, in whatever repository. The same task gets the same ones where they are free.
 */
void role_take_ports(struct role *r);

/*
 * Fresh worktrees hold what a commit holds; these bring the rest (role_tree.c).
 *
 * role_furnish_open makes known to git what is copied, so that it is never committed. role_furnish_lead
 * copies into the own worktree of a lead, for gates; the setup is the gate's first part then. role_furnish
 * copies into a worker's worktree and runs the setup, once for each value of state; when that is not possible
 * orchd is told, and ROLE_OVER returned.
 */
int role_furnish_open(struct role *r, struct err *e);
int role_furnish_lead(void *role, struct err *e);
int role_furnish(struct role *r, const char *state, struct err *e);

/* Removes the private TMPDIR of a task's agents; its home stays, for a retry. Failures do not matter. */
void role_remove_tmp(struct role *r, const char *task);

/*
 * Requests about tasks; texts are cut to what the schema allows and may be any bytes. All return as
 * link_call() does. session: also the one that SUBMITs and NOTEs speak of.
 */
int role_note(struct role *r, const struct msg_note *note, struct err *e);
int role_fail(struct role *r, const char *task, const char *reason, struct err *e);
int role_rework(struct role *r, const char *task, const char *reason, const char *evidence,
    const char *merge_from, struct err *e);
/* until_ms: wall clock; limit: of a key or login. The process is ended after it, and another one started
 * then. */
int role_wait(struct role *r, uint64_t until_ms, bool limit, const char *reason, struct err *e);
/* ceiling: its agent was ended for what it took. */
int role_attempt_failed(struct role *r, const char *reason, bool ceiling, struct err *e);
/*
 * For a failure that may be the disk's and not the task's: 0, or -ENOSPC with a sentence when a disk that the
 * role works on is full. Returned by run(), that is no failure: the task waits until there is room.
 */
int role_check_room(const struct role *r, struct err *e);

/*
 * Where work of a task is that no branch holds; ref "": nowhere any more. text says it for the history.
 * role_saved waits for orchd; role_post_saved, for a role that must leave, does not, and may be lost.
 */
int role_saved(struct role *r, const char *task, const char *ref, const char *text, struct err *e);
void role_post_saved(struct role *r, const char *task, const char *ref, const char *text);

/* The tip of a branch; -ENOENT (and no sentence) when there is no such branch. */
int role_branch_tip(struct role *r, const char *branch, char oid[GIT_OID_HEX], struct err *e);

/*
 * Opens the task's own branch: found with the base that orchd knows, or made at the tip of the parent's
 * branch, with that tip noted as the base first. A branch that is there without a known base is somebody
 * else's: the task FAILs with a sentence and ROLE_OVER is returned.
 */
int role_open_branch(struct role *r, char base[GIT_OID_HEX], struct err *e);

#endif
