/*
 * rolehost: orchd for the tests of one role program: it starts the real program with a socket on fd 3,
 * gives it its task, keeps what it reports as the real one would, and can kill it at any report. Faults abort
 * the test.
 */
#ifndef ORCH_TESTS_ROLEHOST_H
#define ORCH_TESTS_ROLEHOST_H

#include "proto/messages.h"
#include "tests/helper/lib/testrepo.h"

#include <stdbool.h>

#define HOST_CHILDREN 16
#define HOST_STATE_DIR "state" /* below the repository's root: worktrees and homes */

struct host_child {
	char *task, *key, *title, *goal, *state, *branch, *base, *head, *owns, *merge_from, *reason, *plan,
	    *needs;
	uint64_t ordinal, rework, submitted_at;
	bool alive;
};

struct rolehost {
	struct testrepo *repo;
	enum proto_who who;
	char *program;       /* path of the role's program */
	struct msg_assign a; /* what orchd knows of the task; its strings belong to the host */
	struct host_child children[HOST_CHILDREN];
	size_t child_count;
	const struct msg *last[64]; /* the last message of each id; NULL */
	char *story;                /* names of all requests but PROGRESS and EVENT, " NOTE SUBMIT" */
	unsigned requests;          /* in this start of the program */

	/* Kills the program when it makes its n-th request; 0: never. */
	unsigned kill_at;
	bool kill_after; /* the request is carried out first, but not acknowledged */
	bool killed;

	/* Optional: a request has been carried out and acknowledged; may run git, change children. */
	void (*on_request)(struct rolehost *f, const struct msg *m);
	/* Optional: a message without acknowledgement (PROGRESS, EVENT). */
	void (*on_report)(struct rolehost *f, const struct msg *m);

	/* private */
	struct peer *peer;
	struct msg *queue[512];
	size_t queued;
	bool event, greeted, closed, exited;
	int pid, status;
};

/* program: "orch-worker" and so on. agent and verify go into the options. Scripts of the agent:
 * host_script(). */
struct rolehost *host_new(
    enum proto_who who, const char *bin_dir, const char *task, const char *key, const char *verify);
void host_free(struct rolehost *f);

/* Sets a string of the assignment. */
void host_set(const char **slot, const char *value);
void host_script(struct rolehost *f, const char *name, const char *text);

/* Starts the program and serves it to its end; returns its exit status, or -signal. Whatever it left running
 * is killed. */
int host_run(struct rolehost *f);

/* To be used in on_request: sends to the program. */
void host_send(struct rolehost *f, const struct msg *m);
struct host_child *host_child_add(struct rolehost *f, const struct msg_task_add *m);
/* Tells the program how the child is now. */
void host_child_tell(struct rolehost *f, const struct host_child *c);
struct host_child *host_child_find_key(struct rolehost *f, const char *key);
/* The child ends in a state, and its processes with it. */
void host_child_ends(struct rolehost *f, struct host_child *c, const char *state, const char *reason);
struct host_child *host_child_find(struct rolehost *f, const char *task);
/* The child commits text as path on its branch (made at the parent's tip when there is none) and submits. */
void host_child_submits(struct rolehost *f, struct host_child *c, const char *path, const char *text);

#endif
