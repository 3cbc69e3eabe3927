/*
 * gw: orchd's side of the gateway: a unit without a task, wanted as long as a run has keys. orchd binds the
 * port that agents are told, once for its life; whoever is the gateway serves it. What the gateway holds in
 * memory (keys, tokens, budgets, what is known of keys) orchd holds too, so that either can be replaced.
 */
#ifndef ORCH_SUPERVISOR_GW_H
#define ORCH_SUPERVISOR_GW_H

#include "proto/peer.h"
#include "supervisor/process.h"
#include "supervisor/store.h"
#include "supervisor/unit.h"

#define GW_ROWS_MAX 1024 /* 64 keys with a few benched families each */

struct daemon;
struct run;
struct task;

/* GW_KEY_STATE messages. */
struct gw_rows {
	struct msg **v;
	size_t count;
};

struct gw {
	struct daemon *d;
	struct unit unit;
	struct process process;
	struct peer *peer;   /* NULL: not connected */
	bool adopted;        /* of an earlier orchd, which has not told all that it holds */
	bool ready;          /* it serves, and has been told everything */
	int listen_fd;       /* -1: none was bound, or a gateway that we adopted has it */
	unsigned port;       /* 0: not known yet */
	uint64_t serial;     /* of the last request that was counted */
	char *current;       /* the run whose keys it was told to use */
	off_t log_start;     /* where this process's stderr begins in its log */
	struct gw_rows rows; /* what is known of current's keys */
	struct gw_rows coming;
};

/* gw.c: its process. */
void gw_init(struct daemon *d);
void gw_clear(struct daemon *d);
/* At start, what the store says: an earlier orchd's gateway may be alive. */
void gw_adopt(struct daemon *d, const struct store_gateway *g);
bool gw_recognise(const struct daemon *d, pid_t pid);
void gw_take_over(struct daemon *d, struct peer *p);
/* Starts or stops it as runs with keys come and go; once a turn, after the commit. */
void gw_settle(struct daemon *d);
void gw_step(struct daemon *d, enum unit_event ev, int exit_code);
void gw_timers(struct daemon *d, int64_t now);
int64_t gw_next_timer(const struct daemon *d); /* clock_now_ms time, -1 */
bool gw_has_process(const struct daemon *d);
void gw_uncork(struct daemon *d);
/* The port as agents are told it: bound now, if it is not. 0 or -errno. */
int gw_bind(struct daemon *d, struct err *e);

/* Whose keys are to be used: the active run's, else another's, which may still have a process. NULL:
 * nobody's. */
struct run *gw_current_run(struct daemon *d);
/* The request of that serial is counted: as durable as the count. */
void gw_count(struct daemon *d, uint64_t serial);

/* gw_talk.c: what is said to it, and by it. Nothing is said when it is not there. */
void gw_tell_all(struct daemon *d);
void gw_tell_keys(struct daemon *d, const struct run *r);
void gw_tell_token(struct daemon *d, const struct task *t);
/* r's keys are the ones to use now. */
void gw_use(struct daemon *d, const struct run *r);
/* The attempt of t has ended: its token, if it had one, opens nothing more. */
void gw_end_token(struct daemon *d, struct task *t);
/* The process of t has ended: do its agents' own numbers and the gateway's agree? If not, the history says
 * so, once for each difference. */
void gw_reconcile(struct daemon *d, struct task *t);
void gw_message(struct daemon *d, struct peer *p, const struct msg *m);
void gw_rows_clear(struct gw_rows *rows);

#endif
