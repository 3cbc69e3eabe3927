/*
 * daemon: orchd's whole state, and what its parts call of each other. One turn of the loop: callbacks change
 * the model; then daemon_turn() commits, lets the corked messages go, and starts or stops processes
 * accordingly.
 */
#ifndef ORCH_SUPERVISOR_DAEMON_H
#define ORCH_SUPERVISOR_DAEMON_H

#include "common/loop.h"
#include "common/redact.h"
#include "common/repo.h"
#include "common/ptree.h"
#include "proto/peer.h"
#include "supervisor/admit.h"
#include "supervisor/gw.h"
#include "supervisor/model.h"
#include "supervisor/notify.h"
#include "supervisor/probe.h"
#include "supervisor/store.h"

/* A connection that is not, or not yet, a role's: a person's orchctl, or a role that reconnects. */
struct client {
	struct daemon *d;
	struct peer *peer;
	pid_t pid;
	bool watching;       /* STATUS with watch */
	bool following;      /* EVENTS with follow */
	uint32_t request;    /* of the watch or follow */
	struct configs keys; /* for the run that it submits next */
	char *token;         /* for GitHub, likewise; NULL: none */
	struct run *restore; /* likewise, as far as RESTOREs have told of it; NULL: nothing */
	char *run, *task;    /* what it watches; run NULL: whichever is active */
	uint64_t lost;       /* updates not sent while it read too slowly */
	bool slow;
	bool asked_change;         /* since the last commit: its answers wait for the next */
	uint32_t shutdown_request; /* answered when everything has ended; 0: none */
	TAILQ_ENTRY(client) entry;
};
TAILQ_HEAD(client_list, client);

/* How much time roles get to save their work: all that their run gives them, enough for that alone, none. */
enum stop_how { STOP_ORDERLY, STOP_SOON, STOP_KILL };

struct daemon {
	struct loop loop;
	struct repo repo;
	struct store *store;
	struct run_list runs; /* unfinished, in order of submission */
	struct client_list clients;
	struct probes probes;
	struct gw gw;
	struct notify notify;     /* the service manager */
	struct event *turn_timer; /* the earliest thing to do by time */
	struct event *listen_ev;
	int listen_fd;
	int64_t started_at;         /* wall clock */
	int64_t lead_ms;            /* of the wall clock over the other one, see clock_moved */
	int64_t absent_ms;          /* clock_absent_ms() that was said already */
	struct ptree_machine trees; /* what there is to keep agents' processes by; told to every role */
	char oom_score[16];         /* what ours was before we lowered it: a role's; "": it is as it was */
	struct conf conf;           /* orchd's own: heartbeat, linger, grace; from its environment */

	struct admit admit;       /* agents that were started lately */
	struct admit_facts facts; /* as read at facts_at, clock_now_ms */
	int64_t facts_at;
	uint64_t used_mb; /* by all agents, as of used_at; 0: nobody asks */
	int64_t used_at;
	int64_t held_until; /* when to ask again for those that are held; -1: none is */
	char *log_path;     /* our own log, when it is a file of ours; NULL */
	uint64_t log_max;

	struct redact *redact; /* the secrets of all runs in memory; NULL: none */

	bool foreground; /* no leaving after the linger */
	bool stopping;   /* TERM or SHUTDOWN: nothing new is started */
	enum stop_how stop_how;
	bool finished;         /* the loop may end */
	bool saving;           /* SHUTDOWN with save: all is ended, then pushed, then we stop */
	int64_t save_ends;     /* clock_now_ms: not later */
	bool handover;         /* SHUTDOWN with keep: another program goes on in this process */
	bool drain_marked;     /* also those that are not below us but carry our mark */
	int64_t marked_since;  /* of drain_marked */
	bool draining;         /* orphans of dead roles are being hunted */
	char *trouble;         /* why nothing can be saved, for people; NULL: it can */
	int64_t trouble_since; /* clock_now_ms */
	bool is_init;          /* PID 1: strangers' orphans are not ours to kill */
	int64_t idle_since;    /* clock_now_ms since when there is neither a run nor a client; -1 */
	pid_t front_pid;       /* orchd run: the orchctl that shows it; 0 */
	int front_status;
};

/*
 * daemon.c: the turn, and what every part uses. listen_fd is a socket that listens already, or -1; keys_fd:
 * see handover.h, or -1.
 */
int daemon_start(struct daemon *d, int keys_fd, struct err *e);
int daemon_run(struct daemon *d); /* until finished */
void daemon_clear(struct daemon *d);
void daemon_stop(struct daemon *d, enum stop_how how, bool keep_stopped);

/* effect.c: the only functions that change states; they note events and mark what must be saved and told. */
void effect_mark_task(struct daemon *d, struct task *t);
void effect_mark_run(struct daemon *d, struct run *r);
/*
 * Feeds an event to a task. reason (may be NULL) is kept with the new state. 0, -ESTALE when it was
 * overtaken, -EINVAL when it is a bug (logged).
 */
int effect_task(struct daemon *d, struct task *t, enum task_event ev, const char *reason);
void effect_run_state(struct daemon *d, struct run *r, enum run_state s, const char *reason);
void effect_end_run(struct daemon *d, struct run *r, enum run_state s, const char *reason);
/* Something can be done for it now: not stopped, not queued, not ended, and not without its keys. */
bool effect_is_active(const struct run *r);
/* r can go on again: when another one has become active meanwhile, after that; then true. */
bool effect_give_way(struct daemon *d, struct run *r);
/* A stopped run goes on; when another one has become active meanwhile, after that. */
void effect_resume_run(struct daemon *d, struct run *r);
void effect_cancel_run(struct daemon *d, struct run *r, const char *reason);
/*
 * The director could not be kept running: everything below it is ended, and it is started once more, with
 * --epilogue, to tidy up and tell the result. When it cannot do that either, or takes two minutes, or was the
 * one of the epilogue already, the run ends with the reason alone.
 */
void effect_epilogue(struct daemon *d, struct run *r, const char *reason);
void effect_epilogue_over(struct daemon *d, struct run *r);
int64_t effect_epilogue_ends(const struct run *r); /* clock_now_ms time, -1 */
int effect_retry(struct daemon *d, struct task *t, struct err *e);
/* Everything above t is open again, so that t's work has somewhere to go. */
void effect_reopen_above(struct daemon *d, struct task *t);
/* A run that has ended is queued again, as it is. */
void effect_reopen_run(struct daemon *d, struct run *r, const char *reason);
/* Doomed and woken tasks, queued runs: until nothing changes. */
void effect_settle(struct daemon *d);

/* spawn.c: units and their processes. */
void spawn_step(struct daemon *d, struct task *t, enum unit_event ev, int exit_code);
void spawn_timers(struct daemon *d, int64_t now); /* TIMER for every unit that is due */
int64_t spawn_next_timer(const struct daemon *d); /* clock_now_ms time, -1 */
void spawn_adopt(struct daemon *d, const struct store_unit *u);
/* A role on the control socket says that it serves t: is it the process we know? */
bool spawn_recognise(const struct task *t, pid_t pid);
/* That role's new connection, accepted on the control socket, becomes its own. */
void spawn_take_over(struct daemon *d, struct task *t, struct peer *p);
bool spawn_any_process(const struct daemon *d);

/* hold.c: whether there is room for one more agent. */
/* True when t must not be started now: it is noted why, and when to ask again. */
bool hold_task(struct daemon *d, struct task *t);
void hold_started(struct daemon *d, const struct task *t);
void hold_tick(struct daemon *d, int64_t now);
int64_t hold_next(const struct daemon *d); /* clock_now_ms time, -1 */

/* What t's next agent is told of how this one, or the process that ran it, came to its end; NULL: nothing. */
void effect_setback(struct daemon *d, struct task *t, const char *why);

/* stall.c: who takes too long. */
void stall_tick(struct daemon *d, int64_t now);
int64_t stall_next(const struct daemon *d); /* clock_now_ms time, -1 */
/* t's role gave no sign of life: says so, before its unit hears of it. */
void stall_silent(struct daemon *d, struct task *t, int64_t silent_ms);

/* drain.c: what dead roles left behind. */
void drain_start(struct daemon *d); /* with the next turn, for all that died by then */
/* Kills what is left and feeds EMPTY to draining units when nothing is; true while something is left. */
bool drain_step(struct daemon *d);
/*
 * Also what carries our mark and belongs to no role that lives: at start, and when an adopted role has died,
 * whose tree was never below us.
 */
void drain_leftovers(struct daemon *d);
bool drain_descends_from_role(const struct daemon *d, pid_t pid);

/* route.c: what roles say. */
void route_message(struct daemon *d, struct task *t, struct peer *p, const struct msg *m);
void route_assign(struct daemon *d, struct task *t);
void route_tell_parent(struct task *t); /* CHILD to its parent's process */

/* control.c: what clients ask. */
int control_listen(struct daemon *d, struct err *e);
/*
 * Ends all connections once what is queued for them is written (1 s at most): the last answer must arrive.
 * Before a handover listen_fd stays open.
 */
void control_farewell(struct daemon *d);
void control_close(struct daemon *d);
void control_push(struct daemon *d, struct store_event_list *events); /* to watchers, after a commit */
void control_uncork(struct daemon *d);
/* Nothing can be saved, or it can again: tells watchers. */
void control_tell_trouble(struct daemon *d);
/* While nothing can be saved: whoever only looks gets his answers all the same. */
void control_uncork_lookers(struct daemon *d);
void control_stopped(struct daemon *d); /* answers SHUTDOWN */

/* secrets.c: the keys of runs, and what must not come out of us. */
/* Parses keys for a run: 0, or -errno with a sentence that holds none of them. */
int secrets_parse(struct configs *c, const char *text, struct err *e);
/* They become r's, in place of what it had: wiped here, sent to the gateway. Its living roles get the way
 * there. */
void secrets_give(struct daemon *d, struct run *r, struct configs *keys);
/* Says of every run that lacks its keys, once, what to do about it. */
void secrets_lost(struct daemon *d);
/* Roles at work are told the way to the gateway: those that have no token, or (moved) all of them. */
void secrets_resend(struct daemon *d, bool moved);
/* SIGHUP: refused keys are tried again. Other keys come by message alone (orchctl keys --reload FILE). */
void secrets_reload(struct daemon *d);
/* SECRETS to the role of t, behind its ASSIGN: the gateway's address and the token of its attempt. */
void secrets_send(struct task *t);
/* After a run with keys was loaded or dropped. */
void secrets_changed(struct daemon *d);
/* Why nothing of r is started; r lacks its keys. Caller frees. */
char *secrets_why(const struct run *r);

/* save.c: leaving with the state of runs pushed, so that another machine goes on. */
void save_begin(struct daemon *d);
void save_step(struct daemon *d);          /* each turn, before the commit */
void save_start(struct daemon *d);         /* and after it */
int64_t save_next(const struct daemon *d); /* clock_now_ms time, -1 */

/* restore.c: going on with what another machine has saved. */
/* A line of it; on -errno with a sentence all that came before is forgotten. */
int restore_row(struct client *c, const char *row, struct err *e);
/* c's becomes a run of this orchd, as m submits it; it is in no list yet. */
int restore_take(struct client *c, const struct msg_run_submit *m, struct run **out, struct err *e);

/* submit.c: new runs. */
/* c's keys: taken over when the run is accepted; none: the agents' own login. answer points into the run. */
int submit_run(
    struct client *c, const struct msg_run_submit *m, struct msg_run_accepted *answer, struct err *e);

#endif
