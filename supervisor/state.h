/*
 * state: the states a task and a run can be in, what may happen to a task, and which state follows.
 * One table; a pair of state and event that it does not define is a bug, logged in production and fatal in
 * tests. Pure.
 */
#ifndef ORCH_SUPERVISOR_STATE_H
#define ORCH_SUPERVISOR_STATE_H

#include <stdbool.h>

/* S(NAME, name, ended) */
#define TASK_STATES(S)                                                                                       \
	S(QUEUED, "queued", false)                                                                           \
	S(WAITING, "waiting", false)                                                                         \
	S(RUNNING, "running", false)                                                                         \
	S(SUBMITTED, "submitted", false)                                                                     \
	S(REWORK, "rework", false)                                                                           \
	S(INTEGRATED, "integrated", true)                                                                    \
	S(FAILED, "failed", true)                                                                            \
	S(CANCELLED, "cancelled", true)

#define RUN_STATES(S)                                                                                        \
	S(QUEUED, "queued", false)                                                                           \
	S(PLANNING, "planning", false)                                                                       \
	S(APPROVAL, "approval", false)                                                                       \
	S(RUNNING, "running", false)                                                                         \
	S(LANDING, "landing", false)                                                                         \
	S(COMPLETE, "complete", true)                                                                        \
	S(PARTIAL, "partial", true)                                                                          \
	S(FAILED, "failed", true)                                                                            \
	S(CANCELLED, "cancelled", true)

enum task_state {
#define S(NAME, name, ended) TASK_##NAME,
	TASK_STATES(S)
#undef S
	    TASK_STATE_COUNT
};

enum run_state {
#define S(NAME, name, ended) RUN_##NAME,
	RUN_STATES(S)
#undef S
	    RUN_STATE_COUNT
};

/*
 * What happens to a task: a process was started for it; its worker or EM handed it in; its parent merged
 * it; it was sent back; its agent ended badly; it asked to wait; its time to wait is over; it cannot be done;
 * a person cancelled or repeats it; a child of it is to be done again; a review asks for more.
 */
#define TASK_EVENTS(E)                                                                                       \
	E(START, "start")                                                                                    \
	E(SUBMIT, "submit")                                                                                  \
	E(INTEGRATE, "integrate")                                                                            \
	E(REWORK, "rework")                                                                                  \
	E(ATTEMPT_FAILED, "attempt failed")                                                                  \
	E(WAIT, "wait")                                                                                      \
	E(TIME_OVER, "time over")                                                                            \
	E(FAIL, "fail")                                                                                      \
	E(CANCEL, "cancel")                                                                                  \
	E(RETRY, "retry")                                                                                    \
	E(REOPEN, "reopen")                                                                                  \
	E(REVIEW, "review")

enum task_event {
#define E(NAME, name) TASK_EV_##NAME,
	TASK_EVENTS(E)
#undef E
	    TASK_EVENT_COUNT
};

enum step_result {
	STEP_OK,    /* *to is the new state (it may be the same: nothing happens) */
	STEP_STALE, /* a message that was overtaken (submitted after cancelled): defined, and without effect
		     */
	STEP_BUG,   /* the table does not define this pair */
};

/*
 * over_limit: this was the last rework or attempt allowed, so that REWORK and ATTEMPT_FAILED end in failed.
 */
enum step_result task_step(enum task_state from, enum task_event ev, bool over_limit, enum task_state *to);

const char *task_state_name(enum task_state s);
const char *task_event_name(enum task_event ev);
const char *run_state_name(enum run_state s);
/* -1 for an unknown name. */
int task_state_parse(const char *name);
int run_state_parse(const char *name);
bool task_state_ended(enum task_state s);
bool run_state_ended(enum run_state s);

#endif
