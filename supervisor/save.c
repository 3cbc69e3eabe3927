/*
 * save: leaving so that another machine can go on: every process is ended as by orchctl stop, which saves its
 * work in git; then the director of each run that has a token is started once more with --save, which pushes
 * branches, work and state; then orchd stops. What cannot be pushed is kept here as it always is.
 */
#include "supervisor/daemon.h"

#include "common/clock.h"
#include "common/log.h"

#define SAVE_MS 300000

void
save_begin(struct daemon *d)
{
	struct run *r;

	if (d->saving)
		return;
	log_info("stopping, with the state of all runs pushed");
	d->saving = true;
	d->save_ends = clock_now_ms() + SAVE_MS;
	TAILQ_FOREACH (r, &d->runs, entry) {
		if (r->stopped || run_state_ended(run_state(r)))
			continue;
		r->stopped = true;
		store_add_event(d->store, r->id, NULL, "stop", NULL, "stopped, to go on elsewhere");
		effect_mark_run(d, r);
	}
}

/* One that has not begun is begun elsewhere by whoever asked for it. */
static bool
wants_saving(const struct run *r)
{
	return r->token != NULL && !r->saved && r->started_at != 0 && !r->cancelled && !r->plan_only &&
	       !run_state_ended(run_state(r));
}

static void
stop_team(struct daemon *d)
{
	struct run *r;
	struct task *t;

	TAILQ_FOREACH (r, &d->runs, entry)
		TAILQ_FOREACH (t, &r->tasks, entry) {
			enum unit_state s = t->unit.state;

			if (t->level == 0 && r->saver)
				continue;
			if (s == UNIT_STARTING || s == UNIT_READY || s == UNIT_BACKOFF || s == UNIT_PARKED)
				spawn_step(d, t, UNIT_EV_STOP, -1);
		}
}

/* A saver that could not be started is not tried again: time is what there is none of. */
static void
give_up(struct daemon *d, struct run *r)
{
	enum unit_state s = r->director->unit.state;

	if (!r->saver || (s != UNIT_BACKOFF && s != UNIT_PARKED && s != UNIT_NONE))
		return;
	log_error("run %s could not be saved for another machine", r->id);
	r->saver = false;
	r->saved = true;
	if (s != UNIT_NONE)
		spawn_step(d, r->director, UNIT_EV_STOP, -1);
}

void
save_step(struct daemon *d)
{
	bool left = false;
	struct run *r;

	if (!d->saving || d->stopping)
		return;
	stop_team(d);
	TAILQ_FOREACH (r, &d->runs, entry) {
		give_up(d, r);
		left |= wants_saving(r);
	}
	if (clock_now_ms() >= d->save_ends || (!left && !spawn_any_process(d)))
		daemon_stop(d, STOP_ORDERLY, true);
}

void
save_start(struct daemon *d)
{
	struct run *r;

	if (spawn_any_process(d))
		return;
	TAILQ_FOREACH (r, &d->runs, entry) {
		if (!wants_saving(r))
			continue;
		r->saver = true;
		spawn_step(d, r->director, UNIT_EV_START, -1);
		return;
	}
}

int64_t
save_next(const struct daemon *d)
{
	return d->saving && !d->stopping ? d->save_ends : -1;
}
