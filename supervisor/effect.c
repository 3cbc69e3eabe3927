/*
 * effect: changes of state and what follows from them, in one place: the history entry, the marks for saving
 * and telling, and what a change means for children, parents and processes.
 */
#include "supervisor/daemon.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "supervisor/review.h"
#include "supervisor/roster.h"

#include <errno.h>
#include <stdlib.h>

#define EPILOGUE_MS 120000
#define SAVE_TIME_MS 30000 /* so much of max_run_minutes a crash of ours may give back */

void
effect_mark_task(struct daemon *d, struct task *t)
{
	t->dirty = t->changed = true;
	t->run->changed = true;
	(void)d;
}

void
effect_mark_run(struct daemon *d, struct run *r)
{
	r->dirty = r->changed = true;
	(void)d;
}

void
effect_setback(struct daemon *d, struct task *t, const char *why)
{
	free(t->setback);
	t->setback = why == NULL ? NULL : text_utf8(why, strlen(why), TEXT_MAX - 1);
	effect_mark_task(d, t);
}

static bool
is_over_limit(const struct task *t, enum task_event ev)
{
	if (ev == TASK_EV_REWORK)
		return (uint64_t)t->rework >= t->run->conf.max_rework;
	if (ev == TASK_EV_ATTEMPT_FAILED)
		return (uint64_t)t->failures + 1 >= t->run->conf.max_attempts;
	return false;
}

/* Who must no longer run, and who is told to leave by itself. */
static void
settle_unit(struct daemon *d, struct task *t, enum task_state s)
{
	if (s == TASK_RUNNING)
		return;
	spawn_step(d, t, s == TASK_CANCELLED ? UNIT_EV_STOP : UNIT_EV_RELEASE, -1);
}

static void
end_children(struct daemon *d, struct task *parent, const char *reason)
{
	struct task *t;

	TAILQ_FOREACH (t, &parent->run->tasks, entry)
		if (t->parent == parent && !task_state_ended(task_state(t)))
			effect_task(d, t, TASK_EV_CANCEL, reason);
}

static void
next_attempt(struct task *t)
{
	t->attempt++;
	t->began_uusd = t->gw_cost_uusd;
}

/* The counters and times that go with a state. */
static void
enter_state(struct task *t, enum task_state s, enum task_event ev)
{
	int64_t now = clock_wall_ms();

	t->changed_at = now;
	if (s == TASK_RUNNING && t->started_at == 0)
		t->started_at = now;
	if (s == TASK_SUBMITTED) {
		t->submitted_at = now;
		t->failures = t->ceilings = 0;
	}
	if (s == TASK_REWORK) {
		t->rework++;
		next_attempt(t);
		t->failures = t->ceilings = 0;
		xreplace(&t->head, NULL);
	}
	if (ev == TASK_EV_ATTEMPT_FAILED) {
		t->failures++;
		if (s == TASK_WAITING) {
			t->wait_until = now + ((int64_t)t->run->conf.retry_delay_ms << (t->failures - 1));
			next_attempt(t);
		}
	}
	if (ev == TASK_EV_RETRY || ev == TASK_EV_REOPEN) {
		t->failures = t->rework = t->doomed = t->ceilings = 0;
		if (ev == TASK_EV_RETRY) {
			next_attempt(t);
			xreplace(&t->head, NULL);
			xreplace(&t->evidence, NULL);
		}
	}
	t->ended_at = task_state_ended(s) ? now : 0;
}

/* Somebody on GitHub waits for how it ended, and only a director can tell them. */
static bool
has_last_words(const struct task *t)
{
	const struct run *r = t->run;

	return t->level == 0 && r->issue != NULL && r->token != NULL && !r->epilogue && !r->cancelled &&
	       task_state(t) == TASK_RUNNING && run_state(r) != RUN_QUEUED;
}

int
effect_task(struct daemon *d, struct task *t, enum task_event ev, const char *reason)
{
	enum task_state from = task_state(t), to, then;

	switch (task_step(from, ev, is_over_limit(t, ev), &to)) {
	case STEP_BUG:
		log_error("BUG: %s is %s and cannot take \"%s\"", t->id, task_state_name(from),
		    task_event_name(ev));
		return -EINVAL;
	case STEP_STALE:
		log_debug(
		    "%s is %s: \"%s\" comes too late", t->id, task_state_name(from), task_event_name(ev));
		return -ESTALE;
	case STEP_OK:
		break;
	}
	if (to == from)
		return 0;
	if (to == TASK_FAILED && has_last_words(t)) {
		effect_epilogue(d, t->run, reason);
		spawn_step(d, t, UNIT_EV_RELEASE, -1);
		return 0;
	}
	then = to;
	if ((to == TASK_FAILED || to == TASK_CANCELLED) && review_falls_back(t)) {
		to = TASK_INTEGRATED;
		review_fall_back(t);
	}
	t->state = to;
	enter_state(t, to, ev);
	/* A reason is why it is in the state it is in: it goes with the next one. */
	xreplace(&t->reason, to == TASK_RUNNING || then == TASK_INTEGRATED ? NULL : reason);
	if (ev == TASK_EV_ATTEMPT_FAILED)
		effect_setback(d, t, reason);
	else if (to == TASK_SUBMITTED || to == TASK_REWORK || ev == TASK_EV_RETRY)
		effect_setback(d, t, NULL); /* its agent did well since, or hears of something else */
	store_add_event(d->store, t->run->id, t->id, "state", task_state_name(to), reason);
	effect_mark_task(d, t);
	if (to == TASK_RUNNING)
		return 0;
	xreplace(&t->doing, NULL);
	gw_end_token(d, t);
	settle_unit(d, t, then);
	if (then == TASK_FAILED || then == TASK_CANCELLED)
		end_children(d, t, then == TASK_FAILED ? "the task above it failed" : reason);
	if (t->level == 0 && to == TASK_FAILED)
		effect_end_run(d, t->run, RUN_FAILED, reason);
	return 0;
}

void
effect_run_state(struct daemon *d, struct run *r, enum run_state s, const char *reason)
{
	if (run_state(r) == s)
		return;
	r->state = s;
	if (reason != NULL)
		xreplace(&r->reason, reason);
	if (s != RUN_QUEUED && r->started_at == 0)
		r->started_at = clock_wall_ms();
	store_add_event(d->store, r->id, NULL, "state", run_state_name(s), reason);
	effect_mark_run(d, r);
}

void
effect_end_run(struct daemon *d, struct run *r, enum run_state s, const char *reason)
{
	struct task *t;

	if (run_state_ended(run_state(r)))
		return;
	r->ended_at = clock_wall_ms();
	TAILQ_FOREACH (t, &r->tasks, entry) {
		if (t->level > 0 && !task_state_ended(task_state(t)))
			effect_task(d, t, TASK_EV_CANCEL, "the run has ended");
		else if (t->unit.state != UNIT_NONE)
			spawn_step(d, t, UNIT_EV_RELEASE, -1);
	}
	t = r->director;
	if (!task_state_ended(task_state(t))) {
		t->state = s == RUN_CANCELLED ? TASK_CANCELLED
			   : s == RUN_FAILED  ? TASK_FAILED
					      : TASK_INTEGRATED;
		t->ended_at = t->changed_at = r->ended_at;
		xreplace(&t->doing, NULL);
		if (s == RUN_FAILED)
			xreplace(&t->reason, reason);
		effect_mark_task(d, t);
	}
	r->asked_at = 0;
	xreplace(&r->question, NULL);
	effect_run_state(d, r, s, reason);
}

void
effect_cancel_run(struct daemon *d, struct run *r, const char *reason)
{
	bool started = r->started_at != 0; /* one that is queued again has something to clean up, too */

	r->cancelled = true;
	r->stopped = false;
	effect_mark_run(d, r);
	end_children(d, r->director, reason);
	store_add_event(d->store, r->id, NULL, "cancel", NULL, reason);
	if (!started) {
		effect_end_run(d, r, RUN_CANCELLED, reason);
		return;
	}
	xreplace(&r->reason, reason);
	xreplace(&r->question, NULL);
	if (task_state(r->director) ==
	    TASK_WAITING) /* for a person, or for time: cleaning up needs neither */
		effect_task(d, r->director, TASK_EV_TIME_OVER, NULL);
	if (r->director->unit.state == UNIT_PARKED) {
		spawn_step(d, r->director, UNIT_EV_STOP, -1);
		effect_epilogue(d, r, reason);
		return;
	}
	if (r->director->peer != NULL) {
		struct msg m = {.id = MSG_STOP, .stop = {.reason = reason, .cancelled = true}};

		peer_send(r->director->peer, &m, NULL);
	}
}

void
effect_epilogue_over(struct daemon *d, struct run *r)
{
	char *reason;

	if (!r->epilogue)
		return;
	reason = xstrdup(r->reason); /* which the end replaces */
	effect_end_run(d, r, r->cancelled ? RUN_CANCELLED : RUN_FAILED, reason);
	free(reason);
}

void
effect_epilogue(struct daemon *d, struct run *r, const char *reason)
{
	if (r->epilogue) {
		effect_epilogue_over(d, r);
		return;
	}
	r->epilogue = true;
	xreplace(&r->reason, reason);
	effect_mark_run(d, r);
	end_children(d, r->director, reason);
	store_add_event(d->store, r->id, r->id, "epilogue", NULL,
	    "the director is started once more, to tidy up and to tell the result");
}

int64_t
effect_epilogue_ends(const struct run *r)
{
	return r->epilogue_began == 0 || run_state_ended(run_state(r)) ? -1 : r->epilogue_began + EPILOGUE_MS;
}

static void
keep_epilogue(struct daemon *d, struct run *r)
{
	int64_t now = clock_now_ms(), ends;

	if (!r->epilogue || r->stopped || run_state(r) == RUN_QUEUED)
		return;
	if (r->epilogue_began == 0)
		r->epilogue_began = now;
	ends = effect_epilogue_ends(r);
	if (ends >= 0 && now >= ends)
		effect_epilogue_over(d, r);
}

void
effect_reopen_above(struct daemon *d, struct task *t)
{
	for (t = t->parent; t != NULL; t = t->parent)
		if (task_state(t) != TASK_RUNNING && task_state(t) != TASK_QUEUED)
			effect_task(d, t, TASK_EV_REOPEN, "a task of it is done again");
}

void
effect_reopen_run(struct daemon *d, struct run *r, const char *reason)
{
	if (!run_state_ended(run_state(r)))
		return;
	r->ended_at = 0;
	r->cancelled = r->stopped = r->epilogue = false;
	r->epilogue_began = 0;
	r->epilogue_kills = 0;
	xreplace(&r->reason, NULL);
	xreplace(&r->question, NULL);
	r->director->state = TASK_QUEUED;
	r->director->ended_at = 0;
	effect_mark_task(d, r->director);
	effect_run_state(d, r, RUN_QUEUED, reason);
	xreplace(&r->reason, NULL); /* it is why it goes on, and not why it ends as it will */
}

int
effect_retry(struct daemon *d, struct task *t, struct err *e)
{
	struct run *r = t->run;
	struct task *o;

	if (t->level == 0) {
		bool any = false;

		TAILQ_FOREACH (o, &r->tasks, entry)
			if (o->level > 0 &&
			    (task_state(o) == TASK_FAILED || task_state(o) == TASK_CANCELLED)) {
				any = true;
				effect_task(d, o, TASK_EV_RETRY, "asked for by orchctl retry");
				effect_reopen_above(d, o);
			}
		if (!any && task_state(t) != TASK_FAILED && task_state(t) != TASK_CANCELLED)
			return err_set(
			    e, -EINVAL, "nothing in run %s has failed: there is nothing to retry", r->id);
	} else if (task_state(t) != TASK_FAILED && task_state(t) != TASK_CANCELLED) {
		return err_set(e, -EINVAL, "%s is %s: only a failed or cancelled task can be retried", t->id,
		    task_state_name(task_state(t)));
	} else {
		effect_task(d, t, TASK_EV_RETRY, "asked for by orchctl retry");
		effect_reopen_above(d, t);
	}
	TAILQ_FOREACH (o, &r->tasks, entry)
		if (o->doomed && task_state(o) == TASK_FAILED)
			effect_task(d, o, TASK_EV_RETRY, "what it needs is done again");
	effect_reopen_run(d, r, "asked for by orchctl retry");
	return 0;
}

static bool
doom_one(struct daemon *d, struct run *r)
{
	const struct task *why;
	struct task *t = roster_doomed(r, &why);
	char *reason, *title;

	if (t == NULL)
		return false;
	title = text_line(why->title, 200); /* a title alone may fill the reason's field */
	reason = xasprintf("needs %s (%s), which %s", why->id, title,
	    task_state(why) == TASK_FAILED ? "failed" : "was cancelled");
	t->doomed = true;
	effect_task(d, t, TASK_EV_FAIL, reason);
	free(title);
	free(reason);
	return true;
}

bool
effect_is_active(const struct run *r)
{
	return !r->stopped && !run_lacks_keys(r) && !run_is_asking(r) && run_state(r) != RUN_QUEUED &&
	       !run_state_ended(run_state(r));
}

/* The oldest run that can go on becomes the active one when there is none. */
static bool
start_queued_run(struct daemon *d)
{
	struct run *r, *next = NULL;

	TAILQ_FOREACH (r, &d->runs, entry) {
		if (effect_is_active(r))
			return false;
		if (next == NULL && !r->stopped && !run_lacks_keys(r) && run_state(r) == RUN_QUEUED)
			next = r;
	}
	if (next == NULL)
		return false;
	effect_run_state(d, next, next->director->plan == NULL ? RUN_PLANNING : RUN_RUNNING, NULL);
	return true;
}

bool
effect_give_way(struct daemon *d, struct run *r)
{
	struct run *o;
	bool busy = false;

	if (run_is_asking(r)) /* it stays as it is until it is answered */
		return false;
	TAILQ_FOREACH (o, &d->runs, entry)
		busy |= o != r && effect_is_active(o);
	if (busy)
		effect_run_state(d, r, RUN_QUEUED, NULL);
	return busy;
}

void
effect_resume_run(struct daemon *d, struct run *r)
{
	effect_give_way(d, r);
	r->stopped = false;
	store_add_event(d->store, r->id, NULL, "resume", NULL, "asked for by orchctl resume");
	effect_mark_run(d, r);
}

/* Only the time that we see pass while it can go on; it outlives us by what is saved of it. */
static void
keep_time(struct run *r)
{
	int64_t now = clock_now_ms();
	bool active = effect_is_active(r);

	if (active && r->counted_at > 0)
		r->worked_ms += now - r->counted_at;
	r->counted_at = active ? now : 0;
	if (r->conf.max_run_minutes > 0 && r->worked_ms - r->worked_saved_ms >= SAVE_TIME_MS) {
		r->worked_saved_ms = r->worked_ms;
		r->dirty = true;
	}
}

static void
look_at_budget(struct run *r)
{
	struct run_counts c;

	run_count(r, &c);
	budget_judge(&r->budget, &r->conf,
	    &(struct budget_use){
		.cost_uusd = c.cost_uusd, .tokens = c.tokens_in + c.tokens_out, .elapsed_ms = r->worked_ms});
}

/* An agent is at work, or one that has ended is still being dealt with: more may come to land by itself. */
static bool
is_landing(const struct run *r)
{
	const struct task *t;

	TAILQ_FOREACH (t, &r->tasks, entry)
		if (t->level > 0 && t->unit.state != UNIT_NONE && task_state(t) == TASK_RUNNING &&
		    (t->level == 2 || t->plan == NULL))
			return true;
	return false;
}

static void
end_agents(struct daemon *d, struct run *r)
{
	char *reason = xasprintf("%s%s", r->budget.text,
	    r->budget.stage == BUDGET_SPENT ? "" : ", and no new attempt is begun with what is left");
	struct task *t;
	bool any = false;

	TAILQ_FOREACH (t, &r->tasks, entry)
		if (t->level > 0 && !task_state_ended(task_state(t)) && task_state(t) != TASK_SUBMITTED &&
		    task_needs_agent(t))
			any |= effect_task(d, t, TASK_EV_CANCEL, reason) == 0;
	if (any)
		store_add_event(d->store, r->id, NULL, "budget", NULL, reason);
	free(reason);
}

/*
 * From 90 % on nothing new begins (the roster sees to that); when the last agent has landed, or at 100 %,
 * what is not done is cancelled: its work is saved, and the run lands with what it has.
 */
static void
keep_budget(struct daemon *d, struct run *r)
{
	enum budget_stage before = r->budget.stage;

	if (run_state_ended(run_state(r)) || run_state(r) == RUN_QUEUED || r->cancelled || run_is_asking(r))
		return;
	look_at_budget(r);
	if (r->budget.stage == BUDGET_OPEN)
		return;
	if (before == BUDGET_OPEN) {
		log_info("run %s: %s", r->id, r->budget.text);
		store_add_event(d->store, r->id, NULL, "budget", NULL, r->budget.text);
		effect_mark_run(d, r);
	}
	if (r->budget.stage == BUDGET_SPENT || !is_landing(r))
		end_agents(d, r);
}

/* With nothing left of its budget no other attempt of the task begins; one that is at work the gateway ends.
 */
static void
keep_task_budgets(struct daemon *d, struct run *r)
{
	struct task *t;

	if (r->conf.max_task_musd == 0 && r->conf.max_task_tokens == 0)
		return;
	TAILQ_FOREACH (t, &r->tasks, entry) {
		char *reason;

		if (task_state_ended(task_state(t)) || task_state(t) == TASK_RUNNING || !task_needs_agent(t))
			continue;
		reason = task_over_budget(t);
		if (reason != NULL && effect_task(d, t, TASK_EV_FAIL, reason) == 0)
			store_add_event(d->store, r->id, t->id, "budget", NULL, reason);
		free(reason);
	}
}

void
effect_settle(struct daemon *d)
{
	int64_t now = clock_wall_ms();
	struct run *r;
	struct task *t;

	while (start_queued_run(d))
		;
	TAILQ_FOREACH (r, &d->runs, entry) {
		while ((t = roster_woken(r, now)) != NULL)
			effect_task(d, t, TASK_EV_TIME_OVER, NULL);
		keep_time(r);
		keep_budget(d, r);
		keep_task_budgets(d, r);
		keep_epilogue(d, r);
		while (doom_one(d, r))
			;
	}
}
