/* roster: see roster.h. */
#include "supervisor/roster.h"

#include <stddef.h>

bool
roster_slot_free(const struct run_list *runs, const struct task *t)
{
	struct run *r;
	struct task *o;
	uint64_t held = 0;
	uint64_t limit = t->level == 1 ? t->run->conf.max_ems : t->run->conf.max_workers_per_em;

	if (t->level == 0)
		return true;
	TAILQ_FOREACH (r, runs, entry)
		TAILQ_FOREACH (o, &r->tasks, entry)
			if (o != t && o->level == t->level && unit_holds_slot(&o->unit) &&
			    (t->level == 1 || o->parent == t->parent))
				held++;
	return held < limit;
}

static const struct task *
first_sibling(const struct task *t, char *const *keys, bool (*blocks)(const struct task *))
{
	for (size_t i = 0; keys != NULL && keys[i] != NULL; i++) {
		const struct task *o = run_find_child(t->run, t->parent, keys[i]);

		if (o != NULL && blocks(o))
			return o;
	}
	return NULL;
}

static bool
not_integrated(const struct task *t)
{
	return task_state(t) != TASK_INTEGRATED;
}

static bool
not_ended(const struct task *t)
{
	return !task_state_ended(task_state(t));
}

static bool
is_lost(const struct task *t)
{
	return task_state(t) == TASK_FAILED || task_state(t) == TASK_CANCELLED;
}

const struct task *
roster_waits_for(const struct task *t)
{
	const struct task *o = first_sibling(t, t->need_keys, not_integrated);

	return o != NULL ? o : first_sibling(t, t->after_keys, not_ended);
}

/* Children are added one by one, in the order of the plan: one that a task names may be yet to come. */
static bool
all_known(const struct task *t, char *const *keys)
{
	for (size_t i = 0; keys != NULL && keys[i] != NULL; i++)
		if (run_find_child(t->run, t->parent, keys[i]) == NULL)
			return false;
	return true;
}

static bool
may_start(const struct task *t)
{
	return all_known(t, t->need_keys) && all_known(t, t->after_keys) && roster_waits_for(t) == NULL;
}

/*
 * Lower is sooner; -1: not startable. What was running before a crash comes first, then rework: it holds
 * others up.
 */
static int
urgency(const struct task *t)
{
	if (t->unit.state != UNIT_NONE || t->unit.wanted || t->passed_over)
		return -1;
	switch (task_state(t)) {
	case TASK_RUNNING:
		return 0;
	case TASK_REWORK:
		return 1;
	case TASK_QUEUED:
		return may_start(t) ? 2 : -1;
	case TASK_WAITING:
	case TASK_SUBMITTED:
	case TASK_INTEGRATED:
	case TASK_FAILED:
	case TASK_CANCELLED:
	case TASK_STATE_COUNT:
		break;
	}
	return -1;
}

struct task *
roster_next(const struct run_list *runs, struct run *r)
{
	struct task *t, *best = NULL;
	int best_urgency = 3;

	if (run_state_ended(run_state(r)) || run_state(r) == RUN_QUEUED || r->stopped)
		return NULL;
	TAILQ_FOREACH (t, &r->tasks, entry) {
		int u = urgency(t);

		/* Cleaning up after a cancelled or lost run takes no agent. */
		if (run_lacks_keys(r) && !r->cancelled && !r->epilogue)
			return NULL;
		if (u < 0 || u >= best_urgency || ((r->cancelled || r->epilogue) && t->level > 0))
			continue;
		if (t->parent != NULL && task_state(t->parent) != TASK_RUNNING)
			continue;
		if (r->budget.stage != BUDGET_OPEN && task_needs_agent(t))
			continue;
		if (!roster_slot_free(runs, t))
			continue;
		best = t;
		best_urgency = u;
	}
	return best;
}

struct task *
roster_doomed(struct run *r, const struct task **why)
{
	struct task *t;

	TAILQ_FOREACH (t, &r->tasks, entry) {
		const struct task *o;

		if (task_state(t) != TASK_QUEUED && task_state(t) != TASK_WAITING)
			continue;
		o = first_sibling(t, t->need_keys, is_lost);
		if (o == NULL)
			continue;
		if (why != NULL)
			*why = o;
		return t;
	}
	return NULL;
}

struct task *
roster_woken(struct run *r, int64_t now)
{
	struct task *t;

	TAILQ_FOREACH (t, &r->tasks, entry)
		if (task_state(t) == TASK_WAITING && t->wait_until != 0 && t->wait_until <= now)
			return t;
	return NULL;
}

int64_t
roster_wakes_at(const struct run *r)
{
	struct task *t;
	int64_t at = -1;

	TAILQ_FOREACH (t, &r->tasks, entry)
		if (task_state(t) == TASK_WAITING && t->wait_until != 0 && (at < 0 || t->wait_until < at))
			at = t->wait_until;
	return at;
}
