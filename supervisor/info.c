/* info: see info.h. */
#include "supervisor/info.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "supervisor/roster.h"
#include "supervisor/token.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
free_texts(struct info *i)
{
	free(i->path);
	free(i->reason);
	i->path = i->reason = NULL;
}

void
info_clear(struct info *i)
{
	free_texts(i);
	memset(i, 0, sizeof(*i));
}

void
info_daemon(const struct daemon *d, struct msg *m)
{
	struct run *r;

	m->id = MSG_DAEMON_INFO;
	m->daemon_info = (struct msg_daemon_info){
	    .version = ORCH_VERSION,
	    .pid = (uint64_t)getpid(),
	    .started_at = (uint64_t)d->started_at,
	    .now = (uint64_t)clock_wall_ms(),
	    .git_dir = d->repo.git_dir,
	    .state_dir = d->repo.worktrees,
	    .stopping = d->stopping,
	};
	TAILQ_FOREACH (r, &d->runs, entry)
		m->daemon_info.runs_queued += run_state(r) == RUN_QUEUED;
}

void
info_run(struct info *i, const struct daemon *d, const struct run *r, struct msg *m)
{
	struct run_counts c;

	free_texts(i);
	run_count(r, &c);
	i->path = xasprintf("%s/logs/%s", d->repo.state, r->id);
	i->reason = run_state_ended(run_state(r)) ? NULL
		    : d->trouble != NULL          ? xstrdup(d->trouble)
		    : run_lacks_keys(r)           ? secrets_why(r)
		    : token_is_missing(r)         ? token_why(r)
						  : NULL;
	m->id = MSG_RUN_INFO;
	m->run_info = (struct msg_run_info){
	    .run = r->id,
	    .issue = r->issue,
	    .title = r->title,
	    .state = run_state_name(run_state(r)),
	    .stopped = r->stopped,
	    .question = i->reason != NULL ? i->reason : r->question,
	    .asked = run_is_asking(r) && !run_state_ended(run_state(r)),
	    .reason = r->reason,
	    .branch = r->branch,
	    .base_branch = r->base_branch,
	    .base = r->base,
	    .head = r->head,
	    .created_at = (uint64_t)r->created_at,
	    .started_at = (uint64_t)r->started_at,
	    .ended_at = (uint64_t)r->ended_at,
	    .max_ems = r->conf.max_ems,
	    .max_workers_per_em = r->conf.max_workers_per_em,
	    .ems = c.ems,
	    .workers = c.workers,
	    .waiting = c.waiting,
	    .tasks = c.tasks,
	    .integrated = c.integrated,
	    .failed = c.failed,
	    .files = (uint64_t)r->files,
	    .insertions = (uint64_t)r->insertions,
	    .deletions = (uint64_t)r->deletions,
	    .cost_uusd = c.cost_uusd,
	    .tokens_in = c.tokens_in,
	    .tokens_out = c.tokens_out,
	    .log_dir = i->path,
	    .max_cost_uusd = r->conf.max_run_musd * 1000,
	    .max_tokens = r->conf.max_run_tokens,
	    .max_minutes = r->conf.max_run_minutes,
	    .pull_url = r->pull_url,
	    .prices = r->keyed ? run_prices_date(r) : NULL,
	};
}

/* Asked for t, which holds none. Counting slots goes over all tasks: once for all children of a parent. */
static bool
is_slot_free(struct info *i, const struct daemon *d, const struct task *t)
{
	if (t->parent == NULL || i->group != t->parent) {
		i->group = t->parent;
		i->slot_free = roster_slot_free(&d->runs, t);
	}
	return i->slot_free;
}

/* No room for its agent now. */
static bool
is_held(const struct task *t)
{
	return t->held != NULL && !unit_has_process(&t->unit) && !task_state_ended(task_state(t));
}

/* A queued task says what it waits for: every wait has a reason. */
static char *
wait_reason(struct info *i, const struct daemon *d, const struct task *t)
{
	const struct task *o;

	if (is_held(t))
		return xasprintf("waiting: %s", t->held);
	if (task_state(t) != TASK_QUEUED && task_state(t) != TASK_REWORK)
		return NULL;
	o = task_state(t) == TASK_QUEUED ? roster_waits_for(t) : NULL;
	if (o != NULL)
		return xasprintf("waits for %s (%s)", o->id, o->title);
	if (unit_holds_slot(&t->unit))
		return NULL;
	if (!is_slot_free(i, d, t))
		return t->level == 1 ? xasprintf("waits for a free EM (limit %llu)",
					   (unsigned long long)t->run->conf.max_ems)
				     : xasprintf("waits for a free worker (limit %llu per EM)",
					   (unsigned long long)t->run->conf.max_workers_per_em);
	return NULL;
}

/* What keeps the whole run from starting anything goes before what t alone waits for. */
static char *
block_reason(const struct task *t)
{
	const struct run *r = t->run;

	if (t->unit.state != UNIT_NONE || task_state_ended(task_state(t)) || task_state(t) == TASK_SUBMITTED)
		return NULL;
	if (run_lacks_keys(r))
		return secrets_why(r);
	if (r->budget.stage != BUDGET_OPEN && task_needs_agent(t))
		return xasprintf("%s: no new attempt begins", r->budget.text);
	return NULL;
}

void
info_task(struct info *i, const struct daemon *d, const struct task *t, struct msg *m)
{
	char *dir = xasprintf("%s/logs/%s", d->repo.state, t->run->id);
	struct task_use use = task_use(t);
	bool live = task_state(t) == TASK_RUNNING && t->files_now > 0; /* else what was handed in last */
	const char *own;

	free_texts(i);
	i->path = taskid_log(dir, t->id);
	i->reason = block_reason(t);
	own = i->reason == NULL ? t->reason : NULL;
	if (i->reason == NULL)
		i->reason = wait_reason(i, d, t);
	free(dir);
	m->id = MSG_TASK_INFO;
	m->task_info = (struct msg_task_info){
	    .task = t->id,
	    .run = t->run->id,
	    .parent = t->parent_id,
	    .role = task_role(t),
	    .ordinal = (uint64_t)t->ordinal,
	    .key = t->key,
	    .title = t->title,
	    .state = task_state_name(task_state(t)),
	    .attempt = (uint64_t)t->attempt,
	    .rework = (uint64_t)t->rework,
	    .reason = own != NULL ? own : i->reason,
	    .wait_until = task_state(t) == TASK_WAITING ? (uint64_t)t->wait_until : 0,
	    .limited = task_state(t) == TASK_WAITING && t->limited,
	    .needs_json = t->needs,
	    .owns_json = t->owns,
	    .branch = t->branch,
	    .base = t->base,
	    .head = t->head,
	    .session = t->session,
	    .unit = unit_state_name(t->unit.state),
	    .pid = (uint64_t)t->process.pid,
	    .restarts = t->unit.restarts,
	    .doing = is_held(t) ? i->reason : t->doing,
	    .doing_at = is_held(t) ? 0 : (uint64_t)t->doing_at,
	    .created_at = (uint64_t)t->created_at,
	    .started_at = (uint64_t)t->started_at,
	    .changed_at = (uint64_t)t->changed_at,
	    .ended_at = (uint64_t)t->ended_at,
	    .files = (uint64_t)(live ? t->files_now : t->files),
	    .insertions = live ? 0 : (uint64_t)t->insertions,
	    .deletions = live ? 0 : (uint64_t)t->deletions,
	    .cost_uusd = use.cost_uusd,
	    .tokens_in = use.tokens_in,
	    .tokens_out = use.tokens_out,
	    .saved = t->saved,
	    .review_round = (uint64_t)t->review_round,
	    .said = t->review_said,
	    .log = i->path,
	};
}

void
info_event(const struct store_event *ev, struct msg *m)
{
	m->id = MSG_EVENT_INFO;
	m->event_info = (struct msg_event_info){
	    .seq = (uint64_t)ev->seq,
	    .at = (uint64_t)ev->at,
	    .run = ev->run,
	    .task = ev->task,
	    .kind = ev->kind,
	    .state = ev->state,
	    .text = ev->text,
	};
}

void
info_send_run(const struct daemon *d, struct peer *p, uint32_t request, const struct run *r, bool with_tasks)
{
	struct info i = {0};
	struct msg m;
	struct task *t;

	info_run(&i, d, r, &m);
	m.request = request;
	peer_send(p, &m, NULL);
	if (with_tasks)
		TAILQ_FOREACH (t, &r->tasks, entry) {
			info_task(&i, d, t, &m);
			m.request = request;
			peer_send(p, &m, NULL);
		}
	info_clear(&i);
}
