/* state: the table of tasks (see state.h). */
#include "supervisor/state.h"

#include <stddef.h>
#include <string.h>

/* What a cell of the table says. 0 is "not defined": a bug. */
enum cell {
	BUG = 0,
	STALE,           /* overtaken: no effect */
	SAME,            /* stays */
	TO_LIMIT_REWORK, /* rework, or failed over the limit */
	TO_LIMIT_WAIT,   /* waiting, or failed over the limit */
	TO_BASE,         /* TO_BASE + state */
};
#define TO(NAME) (TO_BASE + TASK_##NAME)

/*
 * A worker may report what it did just after a person cancelled or its parent failed it, so reports in an
 * ended state are stale, not bugs. A report repeated after a reconnect meets the state it made: SAME. A
 * parent may merge what orchctl retry has just reopened: its INTEGRATED is overtaken.
 */
static const unsigned char table[TASK_STATE_COUNT][TASK_EVENT_COUNT] = {
    [TASK_QUEUED] = {[TASK_EV_START] = TO(RUNNING),
	[TASK_EV_FAIL] = TO(FAILED),
	[TASK_EV_CANCEL] = TO(CANCELLED),
	[TASK_EV_ATTEMPT_FAILED] = STALE,
	[TASK_EV_WAIT] = STALE,
	[TASK_EV_SUBMIT] = STALE,
	[TASK_EV_INTEGRATE] = STALE,
	[TASK_EV_REWORK] = STALE,
	[TASK_EV_REOPEN] = SAME},
    [TASK_WAITING] = {[TASK_EV_TIME_OVER] = TO(QUEUED),
	[TASK_EV_FAIL] = TO(FAILED),
	[TASK_EV_CANCEL] = TO(CANCELLED),
	[TASK_EV_RETRY] = TO(QUEUED),
	[TASK_EV_ATTEMPT_FAILED] = SAME,
	[TASK_EV_WAIT] = SAME,
	[TASK_EV_SUBMIT] = STALE,
	[TASK_EV_INTEGRATE] = STALE,
	[TASK_EV_REWORK] = STALE,
	[TASK_EV_REOPEN] = SAME},
    [TASK_RUNNING] = {[TASK_EV_START] = SAME,
	[TASK_EV_SUBMIT] = TO(SUBMITTED),
	[TASK_EV_INTEGRATE] = STALE,
	[TASK_EV_REWORK] = TO_LIMIT_REWORK,
	[TASK_EV_ATTEMPT_FAILED] = TO_LIMIT_WAIT,
	[TASK_EV_WAIT] = TO(WAITING),
	[TASK_EV_FAIL] = TO(FAILED),
	[TASK_EV_CANCEL] = TO(CANCELLED),
	[TASK_EV_REOPEN] = SAME},
    [TASK_SUBMITTED] = {[TASK_EV_SUBMIT] = SAME,
	[TASK_EV_INTEGRATE] = TO(INTEGRATED),
	[TASK_EV_REWORK] = TO_LIMIT_REWORK,
	[TASK_EV_FAIL] = TO(FAILED),
	[TASK_EV_CANCEL] = TO(CANCELLED),
	[TASK_EV_REOPEN] = TO(QUEUED)},
    [TASK_REWORK] = {[TASK_EV_START] = TO(RUNNING),
	[TASK_EV_REWORK] = SAME,
	[TASK_EV_INTEGRATE] = STALE,
	[TASK_EV_FAIL] = TO(FAILED),
	[TASK_EV_CANCEL] = TO(CANCELLED),
	[TASK_EV_SUBMIT] = STALE,
	[TASK_EV_ATTEMPT_FAILED] = STALE,
	[TASK_EV_WAIT] = STALE,
	[TASK_EV_REOPEN] = SAME,
	[TASK_EV_REVIEW] = SAME},
    [TASK_INTEGRATED] = {[TASK_EV_INTEGRATE] = SAME,
	[TASK_EV_SUBMIT] = STALE,
	[TASK_EV_REWORK] = STALE,
	[TASK_EV_FAIL] = STALE,
	[TASK_EV_CANCEL] = STALE,
	[TASK_EV_REOPEN] = TO(QUEUED),
	[TASK_EV_REVIEW] = TO(REWORK)},
    [TASK_FAILED] = {[TASK_EV_FAIL] = SAME,
	[TASK_EV_SUBMIT] = STALE,
	[TASK_EV_INTEGRATE] = STALE,
	[TASK_EV_REWORK] = STALE,
	[TASK_EV_ATTEMPT_FAILED] = STALE,
	[TASK_EV_WAIT] = STALE,
	[TASK_EV_CANCEL] = STALE,
	[TASK_EV_RETRY] = TO(QUEUED),
	[TASK_EV_REOPEN] = TO(QUEUED)},
    [TASK_CANCELLED] = {[TASK_EV_CANCEL] = SAME,
	[TASK_EV_FAIL] = STALE,
	[TASK_EV_SUBMIT] = STALE,
	[TASK_EV_INTEGRATE] = STALE,
	[TASK_EV_REWORK] = STALE,
	[TASK_EV_ATTEMPT_FAILED] = STALE,
	[TASK_EV_WAIT] = STALE,
	[TASK_EV_RETRY] = TO(QUEUED),
	[TASK_EV_REOPEN] = TO(QUEUED)},
};

struct state_row {
	const char *name;
	bool ended;
};

#define S(NAME, n, e) {n, e},
static const struct state_row task_states[] = {TASK_STATES(S)};
static const struct state_row run_states[] = {RUN_STATES(S)};
#undef S

#define E(NAME, name) name,
static const char *const event_names[] = {TASK_EVENTS(E)};
#undef E

enum step_result
task_step(enum task_state from, enum task_event ev, bool over_limit, enum task_state *to)
{
	unsigned cell = table[from][ev];

	switch (cell) {
	case BUG:
		return STEP_BUG;
	case STALE:
		return STEP_STALE;
	case SAME:
		*to = from;
		return STEP_OK;
	case TO_LIMIT_REWORK:
		*to = over_limit ? TASK_FAILED : TASK_REWORK;
		return STEP_OK;
	case TO_LIMIT_WAIT:
		*to = over_limit ? TASK_FAILED : TASK_WAITING;
		return STEP_OK;
	}
	*to = (enum task_state)(cell - TO_BASE);
	return STEP_OK;
}

const char *
task_state_name(enum task_state s)
{
	return task_states[s].name;
}

const char *
task_event_name(enum task_event ev)
{
	return event_names[ev];
}

const char *
run_state_name(enum run_state s)
{
	return run_states[s].name;
}

int
task_state_parse(const char *name)
{
	for (int i = 0; i < TASK_STATE_COUNT; i++)
		if (strcmp(task_states[i].name, name) == 0)
			return i;
	return -1;
}

int
run_state_parse(const char *name)
{
	for (int i = 0; i < RUN_STATE_COUNT; i++)
		if (strcmp(run_states[i].name, name) == 0)
			return i;
	return -1;
}

bool
task_state_ended(enum task_state s)
{
	return task_states[s].ended;
}

bool
run_state_ended(enum run_state s)
{
	return run_states[s].ended;
}
