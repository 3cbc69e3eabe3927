/* unit: the life of a process under a virtual clock, case by case, and a random walk that holds its
 * invariants. */
#include "tests/helper/lib/test.h"

#include "supervisor/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GRACE_MS 8000

static int64_t now;
static uint32_t noise;

static unsigned
step_code(struct unit *u, enum unit_event ev, int code)
{
	return unit_step(u, ev, now, code, noise);
}

static unsigned
step(struct unit *u, enum unit_event ev)
{
	return step_code(u, ev, -1);
}

static void
begin(struct unit *u)
{
	now = 1000000;
	noise = 0;
	unit_init(u);
	u->grace_ms = GRACE_MS;
}

static void
spawn(struct unit *u)
{
	assert_int_equal(step(u, UNIT_EV_SPAWNED), 0);
	assert_int_equal(u->state, UNIT_STARTING);
	assert_int_equal(u->timer_ms, now + UNIT_HELLO_MS);
}

/* From NONE to READY. */
static void
make_ready(struct unit *u)
{
	assert_int_equal(step(u, UNIT_EV_START), UNIT_DO_SPAWN);
	spawn(u);
	assert_int_equal(step(u, UNIT_EV_HELLO), 0);
	assert_int_equal(u->state, UNIT_READY);
	assert_int_equal(u->timer_ms, -1);
}

/* Its process dies and leaves nothing; what EMPTY asks for. */
static unsigned
die(struct unit *u, int code)
{
	assert_int_equal(step_code(u, UNIT_EV_EXIT, code), UNIT_DO_DRAIN);
	assert_int_equal(u->state, UNIT_DRAINING);
	return step(u, UNIT_EV_EMPTY);
}

/* To the timer that is due next. */
static unsigned
timer(struct unit *u)
{
	assert_true(u->timer_ms >= now);
	now = u->timer_ms;
	return step(u, UNIT_EV_TIMER);
}

static void
test_restarts_at_once_when_it_was_stable(void **state)
{
	struct unit u;

	(void)state;
	begin(&u);
	make_ready(&u);
	now += UNIT_STABLE_MS;
	assert_int_equal(die(&u, 1), UNIT_DO_SPAWN);
	assert_int_equal(u.restarts, 1);
	spawn(&u);
	/* Not 5 s, but one ms less: with backoff. */
	assert_int_equal(step(&u, UNIT_EV_HELLO), 0);
	now += UNIT_STABLE_MS - 1;
	assert_int_equal(die(&u, 1), 0);
	assert_int_equal(u.state, UNIT_BACKOFF);
	assert_true(u.timer_ms > now);
	assert_int_equal(u.restarts, 2);
}

/*
 * Lives that are too short to be stable and too long to be parked (six deaths take more than a minute): 9 s
 * until HELLO, 4 s ready.
 */
static void
test_backoff_doubles_to_its_end(void **state)
{
	static const uint32_t extremes[] = {0, UINT32_MAX, 1, 0x80000000u};
	struct unit u;
	int64_t base = UNIT_BACKOFF_MIN_MS;

	(void)state;
	begin(&u);
	assert_int_equal(step(&u, UNIT_EV_START), UNIT_DO_SPAWN);
	for (int nth = 1; nth <= 14; nth++) {
		int64_t wait;

		spawn(&u);
		now += 9000;
		step(&u, UNIT_EV_HELLO);
		now += 4000;
		noise = extremes[nth % 4] + (uint32_t)nth * 7919;
		assert_int_equal(die(&u, 1), 0);
		assert_int_equal(u.state, UNIT_BACKOFF);
		wait = u.timer_ms - now;
		assert_in_range(
		    wait, base * (100 - UNIT_JITTER_PERCENT) / 100, base * (100 + UNIT_JITTER_PERCENT) / 100);
		assert_true(wait <= UNIT_BACKOFF_MAX_MS);
		assert_int_equal(timer(&u), UNIT_DO_SPAWN);
		base = base * 2 < UNIT_BACKOFF_MAX_MS ? base * 2 : UNIT_BACKOFF_MAX_MS;
	}
}

static void
test_jitter_uses_its_whole_width(void **state)
{
	int64_t least = INT64_MAX, most = 0;

	(void)state;
	for (uint32_t r = 0; r < 200; r++) {
		struct unit u;

		begin(&u);
		make_ready(&u);
		noise = r;
		die(&u, 1);
		least = u.timer_ms - now < least ? u.timer_ms - now : least;
		most = u.timer_ms - now > most ? u.timer_ms - now : most;
	}
	assert_int_equal(least, 80);
	assert_int_equal(most, 120);
}

static void
test_a_long_life_forgives(void **state)
{
	struct unit u;

	(void)state;
	begin(&u);
	make_ready(&u);
	for (int i = 0; i < 4; i++) {
		die(&u, 1);
		timer(&u);
		spawn(&u);
		step(&u, UNIT_EV_HELLO);
	}
	now += UNIT_FORGIVE_MS;
	assert_int_equal(die(&u, 1), UNIT_DO_SPAWN);
	spawn(&u);
	noise = 40; /* the middle of 200 ms +- 20 % */
	assert_int_equal(die(&u, 1), 0);
	assert_int_equal(u.timer_ms - now, 200);
}

/* The sixth death within a minute parks, also of lives that count as stable. */
static void
test_too_many_deaths_park(void **state)
{
	struct unit u;

	(void)state;
	for (int stable = 0; stable < 2; stable++) {
		begin(&u);
		make_ready(&u);
		for (int death = 1; death <= UNIT_DEATHS_MAX; death++) {
			now += stable ? UNIT_STABLE_MS : 10;
			if (die(&u, 1) == 0)
				assert_int_equal(timer(&u), UNIT_DO_SPAWN);
			spawn(&u);
			step(&u, UNIT_EV_HELLO);
		}
		assert_int_equal(die(&u, 1), UNIT_DO_PARKED);
		assert_int_equal(u.state, UNIT_PARKED);
		assert_int_equal(u.timer_ms, now + UNIT_PARKED_RETRY_MS);
		assert_false(unit_holds_slot(&u));
	}
}

static void
test_deaths_over_more_than_a_minute_do_not_park(void **state)
{
	struct unit u;

	(void)state;
	begin(&u);
	make_ready(&u);
	for (int death = 1; death <= 20; death++) {
		now += UNIT_DEATHS_MS / UNIT_DEATHS_MAX + 1;
		assert_int_equal(die(&u, 1), UNIT_DO_SPAWN);
		spawn(&u);
		step(&u, UNIT_EV_HELLO);
	}
}

/* What lives for 13 s, or for more than a minute, and dies, for ever: it is parked, and given up, all the
 * same. */
static void
dies_every(int64_t life_ms)
{
	int64_t began, parked_at = -1;
	struct unit u;
	unsigned act;

	begin(&u);
	make_ready(&u);
	began = now;
	for (int death = 1; parked_at < 0; death++) {
		assert_true(death <= UNIT_SLOW_DEATHS_MAX + 1);
		now += life_ms;
		act = die(&u, 1);
		if (act & UNIT_DO_PARKED)
			parked_at = now;
		else {
			assert_int_equal(act, UNIT_DO_SPAWN);
			spawn(&u);
			step(&u, UNIT_EV_HELLO);
		}
	}
	assert_true(parked_at - began <= UNIT_SLOW_DEATHS_MS + life_ms);
	for (;;) { /* said once; each try lives as long as those before */
		now = u.timer_ms;
		act = step(&u, UNIT_EV_TIMER);
		if (act == UNIT_DO_GIVE_UP)
			break;
		assert_int_equal(act, UNIT_DO_SPAWN);
		spawn(&u);
		step(&u, UNIT_EV_HELLO);
		now += life_ms;
		assert_int_equal(die(&u, 1), 0);
		assert_true(now - parked_at < 2 * UNIT_PARKED_GIVE_UP_MS);
	}
	assert_int_equal(u.state, UNIT_NONE);
	assert_int_equal(u.death_total, 0);
}

static void
test_slow_deaths_park_too(void **state)
{
	(void)state;
	dies_every(13000);
	dies_every(61000);
	dies_every(UNIT_SLOW_DEATHS_MS / UNIT_SLOW_DEATHS_MAX);
}

/* One that dies now and then over a long day is started again each time. */
static void
test_rare_deaths_do_not_park(void **state)
{
	struct unit u;

	(void)state;
	begin(&u);
	make_ready(&u);
	for (int death = 0; death < 100; death++) {
		now += UNIT_SLOW_DEATHS_MS / UNIT_SLOW_DEATHS_MAX + 1;
		assert_int_equal(die(&u, 1), UNIT_DO_SPAWN);
		spawn(&u);
		step(&u, UNIT_EV_HELLO);
	}
}

static void
test_parked_tries_once_a_minute_and_gives_up(void **state)
{
	struct unit u;
	int64_t parked_at;
	int tries = 0;
	unsigned act;

	(void)state;
	begin(&u);
	make_ready(&u);
	assert_int_equal(die(&u, UNIT_EXIT_CONFIG), UNIT_DO_PARKED);
	parked_at = now;
	while ((act = timer(&u)) != UNIT_DO_GIVE_UP) {
		assert_int_equal(act, UNIT_DO_SPAWN);
		tries++;
		assert_true(tries <= 30);
		spawn(&u);
		now += 3;
		step(&u, UNIT_EV_HELLO);
		now += 10;
		assert_int_equal(die(&u, 1), 0); /* parked again, and said once only */
		assert_int_equal(u.state, UNIT_PARKED);
		assert_int_equal(u.timer_ms, now + UNIT_PARKED_RETRY_MS);
	}
	assert_in_range(tries, 28, 30);
	assert_true(now - parked_at >= UNIT_PARKED_GIVE_UP_MS);
	assert_int_equal(u.state, UNIT_NONE);
	assert_false(u.wanted);
	assert_int_equal(u.timer_ms, -1);
}

static void
test_parked_one_that_holds_out_is_forgiven(void **state)
{
	struct unit u;

	(void)state;
	begin(&u);
	make_ready(&u);
	die(&u, UNIT_EXIT_CONFIG);
	assert_int_equal(timer(&u), UNIT_DO_SPAWN);
	spawn(&u);
	assert_true(unit_holds_slot(&u));
	step(&u, UNIT_EV_HELLO);
	now += UNIT_PARKED_GIVE_UP_MS; /* no timer gives it up while it works */
	assert_int_equal(u.timer_ms, -1);
	assert_int_equal(die(&u, 1), UNIT_DO_SPAWN);
}

/* Without a slot the caller does nothing: the unit asks again, and waits no minute for it. */
static void
test_asks_again_without_a_slot(void **state)
{
	struct unit u;

	(void)state;
	begin(&u);
	make_ready(&u);
	die(&u, UNIT_EXIT_CONFIG);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(timer(&u), UNIT_DO_SPAWN);
		assert_int_equal(u.state, UNIT_PARKED);
		assert_int_equal(u.timer_ms, now + 1000);
	}
}

static void
test_spawn_failure_parks(void **state)
{
	struct unit u;

	(void)state;
	begin(&u);
	assert_int_equal(step(&u, UNIT_EV_START), UNIT_DO_SPAWN);
	assert_int_equal(step(&u, UNIT_EV_SPAWN_FAILED), UNIT_DO_PARKED);
	assert_int_equal(u.state, UNIT_PARKED);
	assert_int_equal(timer(&u), UNIT_DO_SPAWN);
	assert_int_equal(step(&u, UNIT_EV_SPAWN_FAILED), 0);
	assert_int_equal(u.timer_ms, now + UNIT_PARKED_RETRY_MS);
	begin(&u);
	make_ready(&u);
	die(&u, 1);
	assert_int_equal(timer(&u), UNIT_DO_SPAWN);
	assert_int_equal(step(&u, UNIT_EV_SPAWN_FAILED), UNIT_DO_PARKED);
}

static void
test_hello_timeout_kills_and_restarts(void **state)
{
	struct unit u;

	(void)state;
	begin(&u);
	assert_int_equal(step(&u, UNIT_EV_START), UNIT_DO_SPAWN);
	spawn(&u);
	assert_int_equal(timer(&u), UNIT_DO_KILL);
	assert_int_equal(u.state, UNIT_KILLED);
	assert_true(u.timer_ms > now); /* what does not die is killed again */
	assert_int_equal(timer(&u), UNIT_DO_KILL);
	assert_int_equal(step(&u, UNIT_EV_HELLO), 0); /* too late */
	assert_int_equal(die(&u, -1), 0);
	assert_int_equal(u.state, UNIT_BACKOFF);
}

static void
test_lost_socket_stops_and_restarts(void **state)
{
	struct unit u;

	(void)state;
	begin(&u);
	make_ready(&u);
	assert_int_equal(step(&u, UNIT_EV_LOST), UNIT_DO_TERM);
	assert_int_equal(u.state, UNIT_STOPPING);
	assert_true(u.wanted);
	assert_int_equal(u.timer_ms, now + GRACE_MS);
	assert_int_equal(timer(&u), UNIT_DO_KILL);
	now += 5;
	assert_int_equal(die(&u, -1) & ~(unsigned)UNIT_DO_SPAWN, 0);
	assert_true(u.wanted);
}

static void
test_stop_is_term_grace_kill(void **state)
{
	struct unit u;

	(void)state;
	begin(&u);
	make_ready(&u);
	assert_int_equal(step(&u, UNIT_EV_STOP), UNIT_DO_TERM);
	assert_false(u.wanted);
	assert_int_equal(u.timer_ms, now + GRACE_MS);
	now += 100;
	assert_int_equal(step(&u, UNIT_EV_STOP), 0); /* asking twice gives no more time */
	assert_int_equal(u.timer_ms, now - 100 + GRACE_MS);
	assert_int_equal(timer(&u), UNIT_DO_KILL);
	assert_int_equal(die(&u, -1), 0);
	assert_int_equal(u.state, UNIT_NONE);
	begin(&u);
	make_ready(&u);
	assert_int_equal(step(&u, UNIT_EV_KILL), UNIT_DO_KILL);
	assert_int_equal(die(&u, -1), 0);
	assert_int_equal(u.state, UNIT_NONE);
}

static void
test_release_lets_it_leave_then_stops_it(void **state)
{
	struct unit u;

	(void)state;
	begin(&u);
	make_ready(&u);
	assert_int_equal(step(&u, UNIT_EV_RELEASE), 0);
	assert_int_equal(u.state, UNIT_READY);
	assert_int_equal(u.timer_ms, now + UNIT_LEAVE_MS);
	now += 100;
	assert_int_equal(die(&u, 0), 0);
	assert_int_equal(u.state, UNIT_NONE);
	assert_int_equal(u.restarts, 0);
	/* It does not leave. */
	begin(&u);
	make_ready(&u);
	step(&u, UNIT_EV_RELEASE);
	assert_int_equal(timer(&u), UNIT_DO_TERM);
	assert_int_equal(timer(&u), UNIT_DO_KILL);
	/* Its task ended while it started. */
	begin(&u);
	step(&u, UNIT_EV_START);
	spawn(&u);
	step(&u, UNIT_EV_RELEASE);
	assert_int_equal(step(&u, UNIT_EV_HELLO), 0);
	assert_int_equal(u.timer_ms, now + UNIT_LEAVE_MS);
}

static void
test_release_and_stop_end_the_states_without_a_process(void **state)
{
	static const enum unit_event ways[] = {UNIT_EV_RELEASE, UNIT_EV_STOP, UNIT_EV_KILL};
	struct unit u;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		begin(&u);
		make_ready(&u);
		die(&u, 1);
		assert_int_equal(u.state, UNIT_BACKOFF);
		assert_int_equal(step(&u, ways[i]), 0);
		assert_int_equal(u.state, UNIT_NONE);
		begin(&u);
		make_ready(&u);
		die(&u, UNIT_EXIT_CONFIG);
		assert_int_equal(u.state, UNIT_PARKED);
		assert_int_equal(step(&u, ways[i]), 0);
		assert_int_equal(u.state, UNIT_NONE);
		assert_false(u.wanted);
		assert_int_equal(u.timer_ms, -1);
		/* What it was parked for is forgotten with it. */
		make_ready(&u);
		assert_int_equal(die(&u, 1), 0);
		assert_int_equal(u.state, UNIT_BACKOFF);
		/* While its orphans are hunted. */
		begin(&u);
		make_ready(&u);
		step_code(&u, UNIT_EV_EXIT, 1);
		assert_int_equal(step(&u, ways[i]), 0);
		assert_int_equal(u.state, UNIT_DRAINING);
		assert_int_equal(step(&u, UNIT_EV_EMPTY), 0);
		assert_int_equal(u.state, UNIT_NONE);
	}
}

/* A slot is held from the fork until the tree is empty, and through a backoff. */
static void
test_slot_is_held_until_empty(void **state)
{
	struct unit u;

	(void)state;
	begin(&u);
	assert_false(unit_holds_slot(&u));
	step(&u, UNIT_EV_START);
	spawn(&u);
	assert_true(unit_holds_slot(&u) && unit_has_process(&u));
	step(&u, UNIT_EV_HELLO);
	assert_true(unit_holds_slot(&u) && unit_has_process(&u));
	step(&u, UNIT_EV_STOP);
	assert_true(unit_holds_slot(&u) && unit_has_process(&u));
	timer(&u);
	assert_true(unit_holds_slot(&u) && unit_has_process(&u));
	step(&u, UNIT_EV_EXIT);
	assert_true(unit_holds_slot(&u));
	assert_false(unit_has_process(&u));
	step(&u, UNIT_EV_EMPTY);
	assert_false(unit_holds_slot(&u));
	make_ready(&u);
	die(&u, 1);
	assert_int_equal(u.state, UNIT_BACKOFF);
	assert_true(unit_holds_slot(&u));
}

/* The restart's time counts from the death; a drain that took longer starts it at once, never before the end
 * of it. */
static void
test_drains_before_it_restarts(void **state)
{
	struct unit u;

	(void)state;
	begin(&u);
	make_ready(&u);
	now += UNIT_STABLE_MS;
	assert_int_equal(step_code(&u, UNIT_EV_EXIT, 1), UNIT_DO_DRAIN);
	now += 5000;
	assert_int_equal(step(&u, UNIT_EV_TIMER), 0);
	assert_int_equal(u.state, UNIT_DRAINING);
	assert_int_equal(step(&u, UNIT_EV_EMPTY), UNIT_DO_SPAWN);
	spawn(&u);
	assert_int_equal(step_code(&u, UNIT_EV_EXIT, 1), UNIT_DO_DRAIN);
	now += 5000;
	assert_int_equal(step(&u, UNIT_EV_EMPTY), UNIT_DO_SPAWN);
}

static void
test_adopted_must_come_back(void **state)
{
	struct unit u;

	(void)state;
	begin(&u);
	assert_int_equal(step(&u, UNIT_EV_ADOPTED), 0);
	assert_int_equal(u.state, UNIT_STARTING);
	assert_true(u.wanted && unit_holds_slot(&u));
	assert_int_equal(timer(&u), UNIT_DO_KILL);
	begin(&u);
	step(&u, UNIT_EV_ADOPTED);
	assert_int_equal(step(&u, UNIT_EV_HELLO), 0);
	assert_int_equal(u.state, UNIT_READY);
}

/* Wanted again (orchctl retry) while the old process still goes: the next one comes after it. */
static void
test_wanted_again_while_it_ends(void **state)
{
	struct unit u;

	(void)state;
	begin(&u);
	make_ready(&u);
	step(&u, UNIT_EV_STOP);
	assert_int_equal(step(&u, UNIT_EV_START), 0);
	assert_true(u.wanted);
	assert_int_equal(u.state, UNIT_STOPPING);
	now += UNIT_STABLE_MS;
	assert_int_equal(die(&u, 0), UNIT_DO_SPAWN);
}

static void
test_undefined_pairs_are_bugs_and_change_nothing(void **state)
{
	static const struct {
		enum unit_state state;
		enum unit_event ev;
	} bad[] = {{UNIT_NONE, UNIT_EV_EXIT}, {UNIT_NONE, UNIT_EV_HELLO}, {UNIT_NONE, UNIT_EV_TIMER},
	    {UNIT_NONE, UNIT_EV_EMPTY}, {UNIT_READY, UNIT_EV_SPAWNED}, {UNIT_READY, UNIT_EV_EMPTY},
	    {UNIT_STARTING, UNIT_EV_ADOPTED}, {UNIT_DRAINING, UNIT_EV_HELLO}, {UNIT_DRAINING, UNIT_EV_EXIT},
	    {UNIT_BACKOFF, UNIT_EV_EXIT}, {UNIT_PARKED, UNIT_EV_EMPTY}};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct unit u, before;

		begin(&u);
		u.state = bad[i].state;
		before = u;
		assert_int_equal(step(&u, bad[i].ev), UNIT_BUG);
		assert_memory_equal(&u, &before, sizeof(u));
	}
}

/* The random walk: a caller that does what spawn.c does, in any order that the world may choose. */

struct world {
	struct unit u;
	uint64_t rng;
	unsigned long steps;
	unsigned spawned, given_up;
};

static uint32_t
rnd(struct world *w)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (uint32_t)(w->rng >> 16);
}

static void
check_invariants(const struct world *w, enum unit_event ev)
{
	const struct unit *u = &w->u;
	bool timed = u->timer_ms >= 0 && u->timer_ms < INT64_MAX;
	const char *broken = NULL;

	switch (u->state) {
	case UNIT_NONE:
		broken = u->timer_ms != -1 ? "a timer in none" : u->wanted ? "wanted and idle" : NULL;
		break;
	case UNIT_STARTING:
	case UNIT_STOPPING:
	case UNIT_KILLED:
		broken = !timed ? "no timer" : NULL;
		break;
	case UNIT_BACKOFF:
	case UNIT_PARKED:
		broken = !timed ? "no timer" : !u->wanted ? "unwanted and not forgotten" : NULL;
		if (u->timer_ms > now + UNIT_PARKED_RETRY_MS)
			broken = "its timer is too far away";
		if (u->state == UNIT_BACKOFF && u->timer_ms > now + UNIT_BACKOFF_MAX_MS)
			broken = "a slot is held through a long backoff";
		break;
	case UNIT_READY:
		broken = !u->wanted && !timed ? "unwanted and nothing ends it" : NULL;
		if (u->ready_ms < 0)
			broken = "ready since never";
		break;
	case UNIT_DRAINING:
	case UNIT_STATE_COUNT:
		break;
	}
	if (broken != NULL)
		fail_msg("step %lu: after \"%s\" the unit is %s: %s", w->steps, unit_event_name(ev),
		    unit_state_name(u->state), broken);
}

static void
feed(struct world *w, enum unit_event ev)
{
	enum unit_state before = w->u.state;
	int code = rnd(w) % 50 == 0 ? UNIT_EXIT_CONFIG : (int)(rnd(w) % 3) - 1;
	unsigned act = unit_step(&w->u, ev, now, code, rnd(w));

	if (act & UNIT_BUG)
		fail_msg("step %lu: %s cannot take \"%s\"", w->steps, unit_state_name(before),
		    unit_event_name(ev));
	if (act & UNIT_DO_GIVE_UP) {
		assert_int_equal(w->u.state, UNIT_NONE);
		w->given_up++;
	}
	if (act & UNIT_DO_SPAWN) {
		assert_false(unit_has_process(&w->u));
		if (w->u.state != UNIT_NONE && rnd(w) % 10 == 0) {
			check_invariants(w, ev); /* no slot: asks again */
			return;
		}
		w->spawned++;
		feed(w, rnd(w) % 20 == 0 ? UNIT_EV_SPAWN_FAILED : UNIT_EV_SPAWNED);
		return;
	}
	if (act & UNIT_DO_DRAIN)
		assert_int_equal(w->u.state, UNIT_DRAINING);
	check_invariants(w, ev);
}

/*
 * What may happen next in this state; most often time passes. In every second era nobody stops it and no
 * process lives long, so that it is also parked until it is given up.
 */
static void
walk(struct world *w)
{
	const struct unit *u = &w->u;
	bool doomed = w->steps / 2000 % 2 == 1;
	uint32_t die_roll = doomed ? 5 + rnd(w) % 95 : rnd(w) % 100;

	now += rnd(w) % (rnd(w) % 8 == 0 && (!doomed || u->state == UNIT_PARKED) ? 90000 : 900);
	if (u->timer_ms >= 0 && u->timer_ms <= now && u->state != UNIT_DRAINING)
		feed(w, UNIT_EV_TIMER);
	else if (die_roll < 2)
		feed(w, UNIT_EV_RELEASE);
	else if (die_roll < 4)
		feed(w, UNIT_EV_STOP);
	else if (die_roll < 5)
		feed(w, UNIT_EV_KILL);
	else if (die_roll < 8)
		feed(w, UNIT_EV_LOST);
	else if (u->state == UNIT_NONE)
		feed(w, die_roll < 20 ? UNIT_EV_ADOPTED : UNIT_EV_START);
	else if (u->state == UNIT_DRAINING)
		feed(w, UNIT_EV_EMPTY);
	else if (unit_has_process(u) && die_roll < 40)
		feed(w, UNIT_EV_EXIT);
	else if (unit_has_process(u) && die_roll < 80)
		feed(w, UNIT_EV_HELLO);
	else if (die_roll < 82)
		feed(w, UNIT_EV_START);
}

/* From wherever it is: told to stop, it ends, by timers, its process's death by KILL, and the drain alone. */
static void
must_reach_none(const struct world *w)
{
	struct world c = *w;
	int64_t at = now;
	bool killed = c.u.state == UNIT_KILLED;

	feed(&c, UNIT_EV_STOP);
	for (int i = 0; i < 8 && c.u.state != UNIT_NONE; i++) {
		if (c.u.state == UNIT_DRAINING) {
			feed(&c, UNIT_EV_EMPTY);
		} else if (killed) {
			feed(&c, UNIT_EV_EXIT);
		} else {
			now = c.u.timer_ms > now ? c.u.timer_ms : now;
			feed(&c, UNIT_EV_TIMER);
			killed = c.u.state == UNIT_KILLED;
		}
	}
	if (c.u.state != UNIT_NONE)
		fail_msg("step %lu: told to stop while %s, it ends as %s", w->steps,
		    unit_state_name(w->u.state), unit_state_name(c.u.state));
	now = at;
}

static void
test_random_walk(void **state)
{
	const char *given = getenv("ORCH_TEST_SEED");
	uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
	struct world w = {.rng = seed * 2654435761u + 1};

	(void)state;
	printf("seed %llu (ORCH_TEST_SEED repeats it)\n", (unsigned long long)seed);
	begin(&w.u);
	for (w.steps = 0; w.steps < 100000; w.steps++) {
		walk(&w);
		must_reach_none(&w);
	}
	assert_true(w.spawned > 1000);
	assert_true(w.given_up > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_restarts_at_once_when_it_was_stable),
	    cmocka_unit_test(test_backoff_doubles_to_its_end),
	    cmocka_unit_test(test_jitter_uses_its_whole_width),
	    cmocka_unit_test(test_a_long_life_forgives),
	    cmocka_unit_test(test_too_many_deaths_park),
	    cmocka_unit_test(test_deaths_over_more_than_a_minute_do_not_park),
	    cmocka_unit_test(test_slow_deaths_park_too),
	    cmocka_unit_test(test_rare_deaths_do_not_park),
	    cmocka_unit_test(test_parked_tries_once_a_minute_and_gives_up),
	    cmocka_unit_test(test_parked_one_that_holds_out_is_forgiven),
	    cmocka_unit_test(test_asks_again_without_a_slot),
	    cmocka_unit_test(test_spawn_failure_parks),
	    cmocka_unit_test(test_hello_timeout_kills_and_restarts),
	    cmocka_unit_test(test_lost_socket_stops_and_restarts),
	    cmocka_unit_test(test_stop_is_term_grace_kill),
	    cmocka_unit_test(test_release_lets_it_leave_then_stops_it),
	    cmocka_unit_test(test_release_and_stop_end_the_states_without_a_process),
	    cmocka_unit_test(test_slot_is_held_until_empty),
	    cmocka_unit_test(test_drains_before_it_restarts),
	    cmocka_unit_test(test_adopted_must_come_back),
	    cmocka_unit_test(test_wanted_again_while_it_ends),
	    cmocka_unit_test(test_undefined_pairs_are_bugs_and_change_nothing),
	    cmocka_unit_test(test_random_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
