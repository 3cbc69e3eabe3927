/*
 * loop: one event_base per process, its signals, and its children.
 *
 * Callbacks record what happened and never wait. Roles are straight-line
 * programs: their top level calls loop_wait(), the one place that pumps the
 * loop, until what they wait for is done, the time is over, or a stop was asked
 * for. Because only the top level waits, the loop is never entered twice
 * (asserted).
 */
#ifndef ORCH_COMMON_LOOP_H
#define ORCH_COMMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

struct event;
struct event_base;
struct ptree_plan;

/* status is what waitpid(2) gives. The child has been reaped; its group may be gone. */
typedef void child_exit_fn(void *arg, pid_t pid, int status);

#define LOOP_BUCKETS 64

struct child_watch {
	pid_t pid;
	child_exit_fn *fn;
	void *arg;
	TAILQ_ENTRY(child_watch) entry;
};

struct loop {
	struct event_base *base;
	struct event *sigs[4];
	struct event *tick; /* looks for dead children, whatever SIGCHLD said, and at the clock */
	int64_t tick_ms;
	bool watches; /* see loop_watch_absence */
	TAILQ_HEAD(, child_watch) children[LOOP_BUCKETS]; /* by pid */

	bool stop;       /* someone asked this process to end: waits return -ECANCELED */
	int stop_signal; /* the signal that asked, or 0 */
	int64_t stop_grace_ms; /* how long who asked waits before it kills us; 0: not known */
	int stop_masked; /* > 0 while the last work is saved: waits ignore stop */
	bool waiting;    /* inside loop_wait */
	struct ptree_plan
	    *trees;  /* how agents and gates are kept (common/ptree); NULL: as by the walk, no limits */
	bool reaper; /* every descendant is ours to kill: set by loop_own_descendants */

	/* See loop_set_idle. */
	void (*idle)(void *arg);
	void *idle_arg;
	int64_t idle_ms;
	struct event *idle_timer;
	bool idle_due, idling;

	/* Optional. A stop signal (TERM, INT) arrived, n-th time (1, 2 ...). Default: loop_stop. */
	void (*on_signal)(struct loop *, int sig, void *arg);
	/* Optional. A child nobody watched died: an adopted grandchild. */
	void (*on_stranger)(struct loop *, pid_t pid, int status, void *arg);
	void *arg;
};

/* Ignores SIGPIPE; takes SIGCHLD, SIGTERM, SIGINT and SIGHUP (HUP counts as TERM unless on_signal is set). 0
 * or -errno. */
int loop_init(struct loop *l);
void loop_clear(struct loop *l);

/*
 * For role processes: becomes a subreaper and declares that whatever lives below
 * this process was started by it. cmd_run() then leaves no stray behind. 0 or -errno.
 */
int loop_own_descendants(struct loop *l);

/*
 * Time in which this process does not run is no time from now on (clock_watch): the loop looks at the clock
 * often enough for deadlines of three times heartbeat_ms and longer. 0: for those of 10 s and longer.
 */
void loop_watch_absence(struct loop *l, int64_t heartbeat_ms);

/* Makes waits return -ECANCELED. Safe from callbacks. */
void loop_stop(struct loop *l, int sig);

/*
 * Runs callbacks until *done, then returns 0; -ETIMEDOUT when deadline_ms
 * (clock_now_ms time, < 0 for none) passes first; -ECANCELED when a stop was
 * asked for and stop_masked is 0.
 */
int loop_wait(struct loop *l, const bool *done, int64_t deadline_ms);

/*
 * While the top level waits for something, fn is called every ms milliseconds, between callbacks. fn itself
 * may wait, which lasts at the cost of the wait that it interrupts (callbacks go on): it bounds what it does.
 * It is not called from within itself, nor while stop_masked. NULL: no more.
 */
void loop_set_idle(struct loop *l, int64_t ms, void (*fn)(void *arg), void *arg);

/* Calls fn once when pid, a child of ours, has died. One watch per pid. */
void loop_watch_child(struct loop *l, pid_t pid, child_exit_fn *fn, void *arg);
void loop_unwatch_child(struct loop *l, pid_t pid);
/* Is anybody still to be told of pid's death? */
bool loop_watches_child(struct loop *l, pid_t pid);
/* Reaps what has died now; called on SIGCHLD, and by whoever has a hint (EOF on a child's socket). */
void loop_reap(struct loop *l);

#endif
