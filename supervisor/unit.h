/*
 * unit: the process that serves a task, as a state machine: start, readiness, death, restart with backoff,
 * parking, stop. Takes an event and the time, gives actions; forks, signals and timers are the caller's
 * (supervisor/spawn). Pure.
 *
 * A slot is held from the fork until the process tree is empty, and through a backoff (at most 30 s).
 */
#ifndef ORCH_SUPERVISOR_UNIT_H
#define ORCH_SUPERVISOR_UNIT_H

#include <stdbool.h>
#include <stdint.h>

#define UNIT_HELLO_MS 10000     /* from fork to HELLO */
#define UNIT_LEAVE_MS 5000      /* from the end of its task to its own exit, before it is told to */
#define UNIT_STABLE_MS 5000     /* ready this long: restarted at once after a death */
#define UNIT_FORGIVE_MS 60000   /* ready this long: earlier deaths are forgotten */
#define UNIT_BACKOFF_MIN_MS 100 /* doubles ... */
#define UNIT_BACKOFF_MAX_MS 30000
#define UNIT_JITTER_PERCENT 20
#define UNIT_DEATHS_MAX 5 /* more of them in UNIT_DEATHS_MS: parked */
#define UNIT_DEATHS_MS 60000
#define UNIT_SLOW_DEATHS_MAX                                                                                 \
	20 /* more of them in UNIT_SLOW_DEATHS_MS, however long it lived: parked, too                        \
	    */
#define UNIT_SLOW_DEATHS_MS (30 * 60000)
/* A parked one that lives longer than this will not be parked for slow deaths again: forgiven. */
#define UNIT_HOLD_OUT_MS (UNIT_SLOW_DEATHS_MS / UNIT_SLOW_DEATHS_MAX)
#define UNIT_PARKED_RETRY_MS 60000
#define UNIT_PARKED_GIVE_UP_MS (30 * 60000)
#define UNIT_EXIT_CONFIG 78 /* EX_CONFIG: starting it again is no use */

/* S(NAME, name, holds a slot, has a process) */
#define UNIT_STATES(S)                                                                                       \
	S(NONE, "none", false, false)                                                                        \
	S(STARTING, "starting", true, true)                                                                  \
	S(READY, "ready", true, true)                                                                        \
	S(STOPPING, "stopping", true, true)                                                                  \
	S(KILLED, "killed", true, true)                                                                      \
	S(DRAINING, "draining", true, false)                                                                 \
	S(BACKOFF, "backoff", true, false)                                                                   \
	S(PARKED, "parked", false, false)

enum unit_state {
#define S(NAME, name, slot, process) UNIT_##NAME,
	UNIT_STATES(S)
#undef S
	    UNIT_STATE_COUNT
};

#define UNIT_EVENTS(E)                                                                                       \
	E(START, "start")               /* the roster wants it to run */                                     \
	E(SPAWNED, "spawned")           /* the fork asked for was done */                                    \
	E(ADOPTED, "adopted")           /* it is still there from before we started */                       \
	E(SPAWN_FAILED, "spawn failed") /* fork or exec failed */                                            \
	E(HELLO, "hello")                                                                                    \
	E(LOST, "lost") /* its socket closed, or its heartbeat stopped */                                    \
	E(EXIT, "exit")                                                                                      \
	E(EMPTY, "empty")     /* nothing of its tree is left */                                              \
	E(RELEASE, "release") /* its task no longer needs it: it should leave by itself */                   \
	E(STOP, "stop")                                                                                      \
	E(KILL, "kill")                                                                                      \
	E(TIMER, "timer")

enum unit_event {
#define E(NAME, name) UNIT_EV_##NAME,
	UNIT_EVENTS(E)
#undef E
	    UNIT_EVENT_COUNT
};

/* What the caller must do, in this order. */
enum unit_action {
	UNIT_DO_SPAWN = 1,    /* fork it, if a slot is free (answer: SPAWNED or SPAWN_FAILED) */
	UNIT_DO_TERM = 2,     /* TERM and CONT to it */
	UNIT_DO_KILL = 4,     /* KILL to its group */
	UNIT_DO_DRAIN = 8,    /* hunt what is left of its tree, then EMPTY */
	UNIT_DO_GIVE_UP = 16, /* parked for too long: its task fails */
	UNIT_DO_PARKED = 32,  /* say it loudly */
	UNIT_BUG = 64,        /* the table does not define this pair */
};

struct unit {
	enum unit_state state;
	bool wanted;                              /* its task needs a process: start it again when it dies */
	int64_t timer_ms;                         /* when TIMER is due (clock_now_ms time), -1: never */
	int64_t ready_ms;                         /* since when it is ready, -1 */
	int64_t parked_ms;                        /* since when it is parked, -1 */
	int64_t deaths[UNIT_SLOW_DEATHS_MAX + 1]; /* times of the last ones, ring */
	unsigned death_total;                     /* of its task */
	unsigned death_count;                     /* since it was last forgiven */
	unsigned restarts;                        /* in all, for status */
	int64_t grace_ms;          /* between TERM and KILL; set by the caller, as are the next two */
	int64_t parked_retry_ms;   /* between two tries while it is parked */
	int64_t parked_give_up_ms; /* parked so long: GIVE_UP */
};

void unit_init(struct unit *u);

/*
 * random: any 32 bits, for the jitter. exit_code: for EXIT, the exit status, or -1 when killed or unknown.
 * Returns unit_action bits.
 */
unsigned unit_step(struct unit *u, enum unit_event ev, int64_t now_ms, int exit_code, uint32_t random);

bool unit_holds_slot(const struct unit *u);
bool unit_has_process(const struct unit *u);
const char *unit_state_name(enum unit_state s);
const char *unit_event_name(enum unit_event ev);

#endif
