/* unit: a table of tiny functions, one per state and event (see unit.h). */
#include "supervisor/unit.h"

#include <stddef.h>
#include <string.h>

#define DEATHS (UNIT_SLOW_DEATHS_MAX + 1)

struct step {
	int64_t now;
	int exit_code;
	uint32_t random;
};

typedef unsigned step_fn(struct unit *u, const struct step *s);

static void
enter(struct unit *u, enum unit_state state, int64_t timer_ms)
{
	u->state = state;
	u->timer_ms = timer_ms;
}

/* More than max deaths of the count that there were, all within ms? */
static bool
died_within(const struct unit *u, unsigned count, unsigned max, int64_t ms, int64_t now)
{
	return count > max && now - u->deaths[(u->death_total - max - 1) % DEATHS] <= ms;
}

/* Who lives for a while each time, and does so for ever, gets nowhere either. */
static bool
dies_for_ever(const struct unit *u, int64_t now)
{
	return died_within(u, u->death_total, UNIT_SLOW_DEATHS_MAX, UNIT_SLOW_DEATHS_MS, now);
}

static bool
died_too_often(const struct unit *u, int64_t now)
{
	return died_within(u, u->death_count, UNIT_DEATHS_MAX, UNIT_DEATHS_MS, now) || dies_for_ever(u, now);
}

static int64_t
backoff_ms(unsigned nth, uint32_t random)
{
	int64_t ms = UNIT_BACKOFF_MIN_MS, spread;

	for (unsigned i = 1; i < nth && ms < UNIT_BACKOFF_MAX_MS; i++)
		ms *= 2;
	spread = ms * UNIT_JITTER_PERCENT / 100;
	ms += (int64_t)(random % (uint32_t)(2 * spread + 1)) - spread;
	return ms < UNIT_BACKOFF_MAX_MS ? ms : UNIT_BACKOFF_MAX_MS;
}

static unsigned
park(struct unit *u, int64_t now)
{
	bool first = u->parked_ms < 0;

	if (first)
		u->parked_ms = now;
	enter(u, UNIT_PARKED, now + u->parked_retry_ms);
	return first ? UNIT_DO_PARKED : 0;
}

static void
count_death(struct unit *u, int64_t now)
{
	u->deaths[u->death_total++ % DEATHS] = now;
	if (u->ready_ms >= 0 && now - u->ready_ms >= UNIT_FORGIVE_MS && !dies_for_ever(u, now) &&
	    (u->parked_ms < 0 || now - u->ready_ms > UNIT_HOLD_OUT_MS)) {
		u->death_count = 0;
		u->parked_ms = -1;
	}
	u->death_count++;
}

static unsigned
do_start(struct unit *u, const struct step *s)
{
	(void)s;
	u->wanted = true;
	return UNIT_DO_SPAWN;
}

static unsigned
do_want(struct unit *u, const struct step *s)
{
	(void)s;
	u->wanted = true;
	return 0;
}

static unsigned
do_spawned(struct unit *u, const struct step *s)
{
	u->ready_ms = -1;
	enter(u, UNIT_STARTING, s->now + UNIT_HELLO_MS);
	return 0;
}

static unsigned
do_adopted(struct unit *u, const struct step *s)
{
	u->wanted = true;
	return do_spawned(u, s);
}

/* Fork or exec failed: the machine or the installation is at fault, and hammering helps neither. */
static unsigned
do_spawn_failed(struct unit *u, const struct step *s)
{
	return park(u, s->now);
}

static unsigned
do_hello(struct unit *u, const struct step *s)
{
	u->ready_ms = s->now;
	enter(u, UNIT_READY, u->wanted ? -1 : s->now + UNIT_LEAVE_MS);
	return 0;
}

static unsigned
do_stop(struct unit *u, const struct step *s)
{
	enter(u, UNIT_STOPPING, s->now + u->grace_ms);
	return UNIT_DO_TERM;
}

static unsigned
do_stop_unwanted(struct unit *u, const struct step *s)
{
	u->wanted = false;
	return do_stop(u, s);
}

static unsigned
do_kill(struct unit *u, const struct step *s)
{
	enter(u, UNIT_KILLED, s->now + 1000);
	return UNIT_DO_KILL;
}

static unsigned
do_kill_unwanted(struct unit *u, const struct step *s)
{
	u->wanted = false;
	return do_kill(u, s);
}

static unsigned
do_release_ready(struct unit *u, const struct step *s)
{
	u->wanted = false;
	u->timer_ms = s->now + UNIT_LEAVE_MS;
	return 0;
}

static unsigned
do_release(struct unit *u, const struct step *s)
{
	(void)s;
	u->wanted = false;
	return 0;
}

static unsigned
do_forget(struct unit *u, const struct step *s)
{
	(void)s;
	u->wanted = false;
	u->death_count = u->death_total = 0;
	u->parked_ms = u->ready_ms = -1;
	enter(u, UNIT_NONE, -1);
	return 0;
}

/*
 * The restart's time is set now, while it is known how long the process had been ready, and served once its
 * tree is empty. INT64_MAX stands for parking.
 */
static unsigned
do_exit(struct unit *u, const struct step *s)
{
	bool stable = u->ready_ms >= 0 && s->now - u->ready_ms >= UNIT_STABLE_MS;
	int64_t due = s->now;

	if (u->wanted) {
		count_death(u, s->now);
		if (s->exit_code == UNIT_EXIT_CONFIG || u->parked_ms >= 0 || died_too_often(u, s->now))
			due = INT64_MAX;
		else if (!stable)
			due = s->now + backoff_ms(u->death_count, s->random);
	}
	u->ready_ms = -1;
	enter(u, UNIT_DRAINING, due);
	return UNIT_DO_DRAIN;
}

static unsigned
do_empty(struct unit *u, const struct step *s)
{
	int64_t due = u->timer_ms;

	if (!u->wanted)
		return do_forget(u, s);
	u->restarts++;
	if (due == INT64_MAX)
		return park(u, s->now);
	enter(u, UNIT_BACKOFF, due > s->now ? due : s->now + 1000);
	return due > s->now ? 0 : UNIT_DO_SPAWN;
}

static unsigned
do_retry(struct unit *u, const struct step *s)
{
	u->timer_ms = s->now + 1000; /* in case the caller finds no slot */
	return UNIT_DO_SPAWN;
}

static unsigned
do_parked_timer(struct unit *u, const struct step *s)
{
	if (s->now - u->parked_ms >= u->parked_give_up_ms) {
		do_forget(u, s);
		return UNIT_DO_GIVE_UP;
	}
	return do_retry(u, s);
}

static unsigned
do_nothing(struct unit *u, const struct step *s)
{
	(void)u;
	(void)s;
	return 0;
}

static step_fn *const table[UNIT_STATE_COUNT][UNIT_EVENT_COUNT] = {
    [UNIT_NONE] = {[UNIT_EV_START] = do_start,
	[UNIT_EV_SPAWNED] = do_spawned,
	[UNIT_EV_ADOPTED] = do_adopted,
	[UNIT_EV_SPAWN_FAILED] = do_spawn_failed,
	[UNIT_EV_LOST] = do_nothing,
	[UNIT_EV_RELEASE] = do_release,
	[UNIT_EV_STOP] = do_release,
	[UNIT_EV_KILL] = do_release},
    [UNIT_STARTING] = {[UNIT_EV_START] = do_want,
	[UNIT_EV_HELLO] = do_hello,
	[UNIT_EV_LOST] = do_nothing, /* it dies, or its HELLO is late */
	[UNIT_EV_EXIT] = do_exit,
	[UNIT_EV_RELEASE] = do_release,
	[UNIT_EV_STOP] = do_stop_unwanted,
	[UNIT_EV_KILL] = do_kill_unwanted,
	[UNIT_EV_TIMER] = do_kill},
    [UNIT_READY] = {[UNIT_EV_START] = do_want,
	[UNIT_EV_HELLO] = do_hello,
	[UNIT_EV_LOST] = do_stop,
	[UNIT_EV_EXIT] = do_exit,
	[UNIT_EV_RELEASE] = do_release_ready,
	[UNIT_EV_STOP] = do_stop_unwanted,
	[UNIT_EV_KILL] = do_kill_unwanted,
	[UNIT_EV_TIMER] = do_stop},
    [UNIT_STOPPING] = {[UNIT_EV_START] = do_want,
	[UNIT_EV_HELLO] = do_nothing,
	[UNIT_EV_LOST] = do_nothing,
	[UNIT_EV_EXIT] = do_exit,
	[UNIT_EV_RELEASE] = do_release,
	[UNIT_EV_STOP] = do_release,
	[UNIT_EV_KILL] = do_kill_unwanted,
	[UNIT_EV_TIMER] = do_kill},
    [UNIT_KILLED] = {[UNIT_EV_START] = do_want,
	[UNIT_EV_HELLO] = do_nothing,
	[UNIT_EV_LOST] = do_nothing,
	[UNIT_EV_EXIT] = do_exit,
	[UNIT_EV_RELEASE] = do_release,
	[UNIT_EV_STOP] = do_release,
	[UNIT_EV_KILL] = do_release,
	[UNIT_EV_TIMER] = do_kill},
    [UNIT_DRAINING] = {[UNIT_EV_START] = do_want,
	[UNIT_EV_LOST] = do_nothing,
	[UNIT_EV_EMPTY] = do_empty,
	[UNIT_EV_RELEASE] = do_release,
	[UNIT_EV_STOP] = do_release,
	[UNIT_EV_KILL] = do_release,
	[UNIT_EV_TIMER] = do_nothing},
    [UNIT_BACKOFF] = {[UNIT_EV_START] = do_want,
	[UNIT_EV_SPAWNED] = do_spawned,
	[UNIT_EV_SPAWN_FAILED] = do_spawn_failed,
	[UNIT_EV_LOST] = do_nothing,
	[UNIT_EV_RELEASE] = do_forget,
	[UNIT_EV_STOP] = do_forget,
	[UNIT_EV_KILL] = do_forget,
	[UNIT_EV_TIMER] = do_retry},
    [UNIT_PARKED] = {[UNIT_EV_START] = do_want,
	[UNIT_EV_SPAWNED] = do_spawned,
	[UNIT_EV_SPAWN_FAILED] = do_spawn_failed,
	[UNIT_EV_LOST] = do_nothing,
	[UNIT_EV_RELEASE] = do_forget,
	[UNIT_EV_STOP] = do_forget,
	[UNIT_EV_KILL] = do_forget,
	[UNIT_EV_TIMER] = do_parked_timer},
};

static const struct {
	const char *name;
	bool slot, process;
} states[] = {
#define S(NAME, n, s, p) {n, s, p},
    UNIT_STATES(S)
#undef S
};

static const char *const event_names[] = {
#define E(NAME, name) name,
    UNIT_EVENTS(E)
#undef E
};

void
unit_init(struct unit *u)
{
	memset(u, 0, sizeof(*u));
	u->state = UNIT_NONE;
	u->timer_ms = u->ready_ms = u->parked_ms = -1;
	u->grace_ms = 8000;
	u->parked_retry_ms = UNIT_PARKED_RETRY_MS;
	u->parked_give_up_ms = UNIT_PARKED_GIVE_UP_MS;
}

unsigned
unit_step(struct unit *u, enum unit_event ev, int64_t now_ms, int exit_code, uint32_t random)
{
	struct step s = {.now = now_ms, .exit_code = exit_code, .random = random};
	step_fn *fn = table[u->state][ev];

	return fn == NULL ? UNIT_BUG : fn(u, &s);
}

bool
unit_holds_slot(const struct unit *u)
{
	return states[u->state].slot;
}

bool
unit_has_process(const struct unit *u)
{
	return states[u->state].process;
}

const char *
unit_state_name(enum unit_state s)
{
	return states[s].name;
}

const char *
unit_event_name(enum unit_event ev)
{
	return event_names[ev];
}
