/*
 * stall: who takes too long, level by level: a role that gives no sign of life (proto/peer finds it), a
 * worker over the time of its task, a director or EM over that of planning. Each is told to the history with
 * what was seen and what is done. Agents that say nothing are the affair of the role that runs them.
 */
#include "supervisor/daemon.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"

#include <stdlib.h>

/* How long t's present process may take; 0: for ever. */
static int64_t
limit_ms(const struct task *t)
{
	const struct conf *c = &t->run->conf;

	if (t->level == 2)
		return (int64_t)c->task_timeout_ms;
	return t->plan == NULL && !t->run->cancelled && !t->run->epilogue ? (int64_t)c->plan_timeout_ms : 0;
}

/* When t is over its time; -1: never. */
static int64_t
ends_at(const struct task *t)
{
	int64_t limit = limit_ms(t);

	if (limit == 0 || task_state(t) != TASK_RUNNING || !t->unit.wanted || t->unit.state != UNIT_READY)
		return -1;
	return t->began_ms + limit;
}

static void
note(struct daemon *d, struct task *t, const char *text)
{
	log_warn("%s: %s", t->id, text);
	store_add_event(d->store, t->run->id, t->id, "stall", NULL, text);
}

/* Counted like an agent that ended badly; the process saves its work when it is told to leave. */
static void
end_attempt(struct daemon *d, struct task *t, int64_t now)
{
	char took[32], allowed[32], *text;

	clock_age(took, sizeof(took), now - t->began_ms);
	clock_age(allowed, sizeof(allowed), limit_ms(t));
	text = xasprintf(
	    "its %s has been at it for %s, and %s is allowed (%s): this attempt is ended. It was last "
	    "seen with: %s",
	    task_role(t), took, allowed, t->level == 2 ? "task_timeout_s" : "plan_timeout_s",
	    t->doing == NULL ? "nothing that it told" : t->doing);
	note(d, t, text);
	effect_task(d, t, TASK_EV_ATTEMPT_FAILED, text);
	spawn_step(d, t, UNIT_EV_STOP, -1);
	free(text);
}

void
stall_tick(struct daemon *d, int64_t now)
{
	struct run *r;
	struct task *t;

	TAILQ_FOREACH (r, &d->runs, entry)
		TAILQ_FOREACH (t, &r->tasks, entry) {
			int64_t at = ends_at(t);

			if (at >= 0 && at <= now)
				end_attempt(d, t, now);
		}
}

int64_t
stall_next(const struct daemon *d)
{
	const struct run *r;
	const struct task *t;
	int64_t first = -1;

	TAILQ_FOREACH (r, &d->runs, entry)
		TAILQ_FOREACH (t, &r->tasks, entry) {
			int64_t at = ends_at(t);

			if (at >= 0 && (first < 0 || at < first))
				first = at;
		}
	return first;
}

void
stall_silent(struct daemon *d, struct task *t, int64_t silent_ms)
{
	char age[32], *text;

	clock_age(age, sizeof(age), silent_ms);
	text = xasprintf(
	    "its %s gave no sign of life for %s, though it was asked: it is ended and started again",
	    task_role(t), age);
	note(d, t, text);
	effect_setback(d, t, text);
	free(text);
}
