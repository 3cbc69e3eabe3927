/*
 * route: what roles report, a handler per message in one table. Every handler is idempotent: after a
 * reconnect a role repeats what was not acknowledged. Whom a message may speak of comes from the socket: its
 * own task, or a child of it.
 */
#include "supervisor/daemon.h"
#include "supervisor/token.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "proto/msg.h"
#include "supervisor/ask.h"
#include "supervisor/info.h"
#include "supervisor/review.h"
#include "supervisor/portable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHILDREN_MAX 128 /* 64 planned, and reworks of an area */

struct request {
	struct daemon *d;
	struct task *t; /* who speaks */
	struct peer *peer;
	const struct msg *m;
	char *ack_text;
	struct err err;
};

/* 0: acknowledged; -errno with err: ERROR. */
typedef int route_fn(struct request *q);

/* The sender's own task or a child of it. */
static struct task *
own_or_child(struct request *q, const char *id)
{
	struct task *t = run_find_task(q->t->run, id);

	if (t == q->t || (t != NULL && t->parent == q->t))
		return t;
	err_set(&q->err, -EPERM, "%s is neither the task of this %s nor a child of it", id, task_role(q->t));
	return NULL;
}

/* A lead cleans up behind its child's children, too, when the child could not. */
static struct task *
own_or_below(struct request *q, const char *id)
{
	struct task *t = run_find_task(q->t->run, id);

	for (struct task *up = t; up != NULL; up = up->parent)
		if (up == q->t)
			return t;
	err_set(&q->err, -EPERM, "%s is neither the task of this %s nor below it", id, task_role(q->t));
	return NULL;
}

static struct task *
child_of(struct request *q, const char *id)
{
	struct task *t = run_find_task(q->t->run, id);

	if (t != NULL && t->parent == q->t)
		return t;
	err_set(&q->err, -EPERM, "%s is not a child of %s", id, q->t->id);
	return NULL;
}

/* An overtaken report is acknowledged: there is nothing the sender could do about it. */
static int
feed(struct request *q, struct task *t, enum task_event ev, const char *reason)
{
	int rc = effect_task(q->d, t, ev, reason);

	if (rc == -EINVAL)
		return err_set(&q->err, rc, "%s is %s and cannot take \"%s\"", t->id,
		    task_state_name(task_state(t)), task_event_name(ev));
	return 0;
}

static int
on_plan(struct request *q)
{
	const struct msg_plan *m = &q->m->plan;

	xreplace(&q->t->plan, m->plan_json);
	if (m->branch != NULL)
		xreplace(&q->t->branch, m->branch);
	if (q->t->level == 0 && m->branch != NULL) {
		xreplace(&q->t->run->branch, m->branch);
		effect_mark_run(q->d, q->t->run);
	}
	gw_end_token(q->d, q->t); /* it plans no more */
	store_add_event(q->d->store, q->t->run->id, q->t->id, "plan", NULL, m->summary);
	effect_mark_task(q->d, q->t);
	return 0;
}

static unsigned
count_children(const struct task *parent)
{
	const struct task *t;
	unsigned n = 0;

	TAILQ_FOREACH (t, &parent->run->tasks, entry)
		n += t->parent == parent;
	return n;
}

static int
on_task_add(struct request *q)
{
	const struct msg_task_add *m = &q->m->task_add;
	struct task *t = run_find_child(q->t->run, q->t, m->key), *other;
	char id[TASKID_MAX];
	int rc;

	if (t != NULL) {
		q->ack_text = xstrdup(t->id);
		return 0;
	}
	snprintf(id, sizeof(id), "%s/%s%llu", q->t->id, q->t->level == 0 ? "em" : "w",
	    (unsigned long long)m->ordinal);
	other = run_find_task(q->t->run, id);
	if (!taskid_valid(id) || other != NULL)
		return err_set(&q->err, -EEXIST, "%s cannot be added as %s", m->key, id);
	if (count_children(q->t) >= CHILDREN_MAX)
		return err_set(&q->err, -E2BIG, "%s has %d children already", q->t->id, CHILDREN_MAX);
	t = task_new();
	t->id = xstrdup(id);
	t->run_id = xstrdup(q->t->run->id);
	t->parent_id = xstrdup(q->t->id);
	t->level = q->t->level + 1;
	t->ordinal = (int64_t)m->ordinal;
	t->key = xstrdup(m->key);
	t->title = xstrdup(m->title);
	t->goal = xstrdup(m->goal);
	t->owns = xstrdup(m->owns_json);
	t->needs = xstrdup(m->needs_json);
	t->after = xstrdup(m->after_json);
	t->acceptance = xstrdup(m->acceptance);
	t->plan = xstrdup(m->plan_json);
	t->branch = xstrdup(m->branch);
	t->merge_from = xstrdup(m->merge_from);
	t->verify = xstrdup(m->verify_json);
	t->guarded = xstrdup(m->guarded_json);
	t->state = TASK_QUEUED;
	t->created_at = t->changed_at = clock_wall_ms();
	rc = run_add_task(q->t->run, t, &q->err);
	if (rc < 0)
		return rc;
	store_add_event(q->d->store, t->run->id, t->id, "state", "queued", t->title);
	effect_mark_task(q->d, t);
	q->ack_text = xstrdup(id);
	return 0;
}

/* Absent: as it was; empty: cleared. */
static void
note_text(char **slot, const char *value)
{
	if (value != NULL)
		xreplace(slot, value[0] == '\0' ? NULL : value);
}

static int
on_note(struct request *q)
{
	const struct msg_note *m = &q->m->note;
	struct task *t = q->t;

	/* A worker tells what its agent used when that has ended. */
	if (m->cost_uusd > 0 || m->tokens_in > 0 || m->tokens_out > 0)
		t->agent_done = true;
	note_text(&t->base, m->base);
	note_text(&t->head, m->head);
	if (m->session != NULL && (t->session == NULL || strcmp(t->session, m->session) != 0)) {
		t->past_cost_uusd = t->cost_uusd;
		t->past_tokens_in = t->tokens_in;
		t->past_tokens_out = t->tokens_out;
		t->agent_done = false; /* what was told was of a session that is lost */
	}
	note_text(&t->session, m->session);
	note_text(&t->branch, m->branch);
	note_text(&t->gate, m->gate);
	if (m->merged)
		xreplace(&t->merge_from, NULL);
	if (m->cost_uusd > 0)
		t->cost_uusd = (int64_t)m->cost_uusd;
	if (m->tokens_in > 0)
		t->tokens_in = (int64_t)m->tokens_in;
	if (m->tokens_out > 0)
		t->tokens_out = (int64_t)m->tokens_out;
	effect_mark_task(q->d, t);
	return 0;
}

static int
on_submit(struct request *q)
{
	const struct msg_submit *m = &q->m->submit;
	struct task *t = q->t;

	if (task_state(t) != TASK_RUNNING)
		return feed(q, t, TASK_EV_SUBMIT, NULL);
	xreplace(&t->base, m->base);
	xreplace(&t->head, m->head);
	t->files = (int64_t)m->files;
	t->insertions = (int64_t)m->insertions;
	t->deletions = (int64_t)m->deletions;
	if (t->review_round > 0)
		xreplace(&t->review_said, m->summary);
	return feed(q, t, TASK_EV_SUBMIT, m->summary);
}

static int
on_integrated(struct request *q)
{
	struct task *t = child_of(q, q->m->integrated.task);

	if (t == NULL)
		return -EPERM;
	return feed(q, t, TASK_EV_INTEGRATE, NULL);
}

static int
on_rework(struct request *q)
{
	const struct msg_rework *m = &q->m->rework;
	struct task *t = own_or_child(q, m->task);

	if (t == NULL)
		return -EPERM;
	if (task_state(t) != TASK_RUNNING && task_state(t) != TASK_SUBMITTED)
		return feed(q, t, TASK_EV_REWORK, NULL);
	review_keep_evidence(t, m->evidence);
	if (m->merge_from != NULL)
		xreplace(&t->merge_from, m->merge_from);
	return feed(q, t, TASK_EV_REWORK, m->reason);
}

static int
on_attempt_failed(struct request *q)
{
	const struct msg_attempt_failed *m = &q->m->attempt_failed;
	struct task *t = q->t;
	char *reason;
	int rc;

	if (!m->ceiling || task_state(t) != TASK_RUNNING)
		return feed(q, t, TASK_EV_ATTEMPT_FAILED, m->reason);
	store_add_event(q->d->store, t->run->id, t->id, "ceiling", NULL, m->reason);
	/* The first time may be bad luck, or somebody else's doing: it is tried again, and counts for
	 * nothing. */
	effect_setback(q->d, t, m->reason);
	if (t->ceilings++ == 0) {
		t->wait_until = clock_wall_ms() + (int64_t)t->run->conf.retry_delay_ms;
		return feed(q, t, TASK_EV_WAIT, m->reason);
	}
	reason = xasprintf("for the second time: %.3900s", m->reason);
	rc = feed(q, t, TASK_EV_FAIL, reason);
	free(reason);
	return rc;
}

static int
on_wait(struct request *q)
{
	if (task_state(q->t) == TASK_RUNNING) {
		q->t->wait_until = q->m->wait.until > 0 ? (int64_t)q->m->wait.until : 1;
		q->t->limited = q->m->wait.limit;
	}
	return feed(q, q->t, TASK_EV_WAIT, q->m->wait.reason);
}

static int
on_fail(struct request *q)
{
	struct task *t = own_or_child(q, q->m->fail.task);

	return t == NULL ? -EPERM : feed(q, t, TASK_EV_FAIL, q->m->fail.reason);
}

static int
on_finish(struct request *q)
{
	const struct msg_finish *m = &q->m->finish;
	struct run *r = q->t->run;
	enum run_state verdict;
	char *reason = NULL;

	if (run_state_ended(run_state(r)))
		return 0;
	if (review_goes_before_end(q->d, r)) {
		q->ack_text = xstrdup("the reviews are to be looked at first");
		return 0;
	}
	note_text(&r->head, m->head);
	note_text(&r->base, m->base);
	note_text(&r->pull_url, m->pull_url);
	if (r->epilogue) {
		reason = xasprintf("%s%s%.3000s", r->reason, m->reason == NULL ? "" : "; ",
		    m->reason == NULL ? "" : m->reason);
		xreplace(&r->reason, reason);
	} else {
		note_text(&r->reason, m->reason);
	}
	r->files = (int64_t)m->files;
	r->insertions = (int64_t)m->insertions;
	r->deletions = (int64_t)m->deletions;
	verdict = r->plan_only && !m->failed && !r->cancelled ? RUN_COMPLETE : run_verdict(r, m->failed);
	if (reason == NULL && r->budget.stage != BUDGET_OPEN && verdict != RUN_COMPLETE &&
	    verdict != RUN_CANCELLED) {
		reason = xasprintf("%s%s%.3500s", r->budget.text, m->reason == NULL ? "" : "; ",
		    m->reason == NULL ? "" : m->reason);
		xreplace(&r->reason, reason);
	}
	effect_end_run(q->d, r, verdict, reason == NULL ? m->reason : reason);
	xreplace(&r->question, m->question);
	free(reason);
	return 0;
}

static int
on_event(struct request *q)
{
	const struct msg_event *m = &q->m->event;
	struct task *t = m->task == NULL ? q->t : own_or_below(q, m->task);

	if (t == NULL)
		return -EPERM;
	if (m->saved != NULL) {
		note_text(&t->saved, m->saved);
		effect_mark_task(q->d, t);
	}
	store_add_event(q->d->store, t->run->id, t->id, m->kind, NULL, m->text);
	return 0;
}

static int
on_progress(struct request *q)
{
	const struct msg_progress *m = &q->m->progress;
	struct task *t = q->t;

	xreplace(&t->doing, m->doing);
	t->doing_at = clock_wall_ms();
	if (m->files > 0)
		t->files_now = (int64_t)m->files;
	if (m->cost_uusd > 0)
		t->cost_uusd = (int64_t)m->cost_uusd;
	if (m->tokens_in > 0)
		t->tokens_in = (int64_t)m->tokens_in;
	if (m->tokens_out > 0)
		t->tokens_out = (int64_t)m->tokens_out;
	t->changed = t->run->changed = true; /* to watchers, not to the store */
	return 0;
}

static int
on_run_state(struct request *q)
{
	const struct msg_run_state *m = &q->m->run_state;
	int s = run_state_parse(m->state);

	if (s != RUN_RUNNING && s != RUN_LANDING)
		return err_set(&q->err, -EINVAL, "a director cannot put its run into state %s", m->state);
	if (run_state_ended(run_state(q->t->run)))
		return 0;
	if (m->branch != NULL)
		xreplace(&q->t->run->branch, m->branch);
	effect_run_state(q->d, q->t->run, (enum run_state)s, NULL);
	return 0;
}

/* A director writes about its run for people, who want to know of all its tasks. */
static int
on_status(struct request *q)
{
	info_send_run(q->d, q->peer, q->m->request, q->t->run, true);
	return 0;
}

static int
send_row(struct request *q, char *row)
{
	struct msg m = {.id = MSG_SAVED_ROW, .saved_row = {.row = row}};
	int rc = strlen(row) > ROW_MAX
		     ? err_set(&q->err, -EFBIG, "a task of it is over %d KiB", ROW_MAX / 1024)
		     : peer_send(q->peer, &m, &q->err);

	free(row);
	return rc;
}

/* For another machine: a director pushes it. */
static int
on_dump(struct request *q)
{
	const struct run *r = q->t->run;
	struct task *t;
	int rc = send_row(q, portable_run(r));

	TAILQ_FOREACH (t, &r->tasks, entry)
		if (rc == 0)
			rc = send_row(q, portable_task(t));
	return rc;
}

static int
on_has_token(struct request *q)
{
	token_take_back(q->d, q->t->run, q->m->has_token.token);
	return 0;
}

static int
on_ask(struct request *q)
{
	if (task_state(q->t) == TASK_RUNNING)
		ask_person(q->d, q->t->run, q->m->ask.question, q->m->ask.approval);
	return feed(q, q->t, TASK_EV_WAIT,
	    q->m->ask.approval ? "its plan waits for a yes" : "its question waits for an answer");
}

static int
on_review(struct request *q)
{
	const struct msg_review *m = &q->m->review;

	if (!m->done)
		return review_begin(q->d, q->t->run, m->round, m->review_json, &q->err);
	review_over(q->d, q->t->run, m->round);
	return 0;
}

/* Who may send what is the schema's affair (proto/perms); what it does is here. */
static const struct {
	enum msg_id id;
	route_fn *fn;
} routes[] = {
    {MSG_DUMP, on_dump},
    {MSG_PLAN, on_plan},
    {MSG_TASK_ADD, on_task_add},
    {MSG_NOTE, on_note},
    {MSG_SUBMIT, on_submit},
    {MSG_INTEGRATED, on_integrated},
    {MSG_REWORK, on_rework},
    {MSG_ATTEMPT_FAILED, on_attempt_failed},
    {MSG_WAIT, on_wait},
    {MSG_FAIL, on_fail},
    {MSG_FINISH, on_finish},
    {MSG_EVENT, on_event},
    {MSG_PROGRESS, on_progress},
    {MSG_RUN_STATE, on_run_state},
    {MSG_STATUS, on_status},
    {MSG_HAS_TOKEN, on_has_token},
    {MSG_ASK, on_ask},
    {MSG_REVIEW, on_review},
};

static void
dispatch(struct daemon *d, struct task *t, struct peer *p, const struct msg *m)
{
	struct request q = {.d = d, .t = t, .peer = p, .m = m};

	if (m->id == MSG_ERROR) {
		log_warn("%s: its %s answered: %s", t->id, task_role(t), m->error.text);
		return;
	}
	if (m->id == MSG_ROLE_PROBED) {
		probe_answer(&d->probes, m);
		return;
	}
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		int rc;

		if (routes[i].id != m->id)
			continue;
		rc = routes[i].fn(&q);
		if (rc == 0) {
			peer_ack(p, m->request, q.ack_text);
		} else {
			log_warn("%s: refused a message of its %s: %s", t->id, task_role(t), q.err.msg);
			peer_error(p, m->request, -rc, "%s", q.err.msg);
		}
		free(q.ack_text);
		return;
	}
	peer_error(p, m->request, ENOSYS, "orchd takes no such message");
}

/* Roles take the secrets out themselves; what is stored does not depend on it. */
void
route_message(struct daemon *d, struct task *t, struct peer *p, const struct msg *m)
{
	struct msg *clean = msg_redact(m, d->redact);

	dispatch(d, t, p, clean == NULL ? m : clean);
	free(clean);
}

static void
fill_child(const struct task *t, struct msg *m)
{
	m->id = MSG_CHILD;
	m->request = 0;
	m->child = (struct msg_child){
	    .task = t->id,
	    .ordinal = (uint64_t)t->ordinal,
	    .key = t->key,
	    .title = t->title,
	    .owns_json = t->owns,
	    .state = task_state_name(task_state(t)),
	    .branch = t->branch,
	    .base = t->base,
	    .head = t->head,
	    .attempt = (uint64_t)t->attempt,
	    .rework = (uint64_t)t->rework,
	    .submitted_at = (uint64_t)t->submitted_at,
	    .alive = task_alive(t),
	    .reason = t->reason,
	};
}

static void
send_to_role(struct task *t, const struct msg *m)
{
	struct err e = {""};
	int rc = peer_send(t->peer, m, &e);

	if (rc < 0 && rc != -EPIPE)
		log_error("BUG: cannot tell %s: %s", t->id, e.msg);
}

void
route_tell_parent(struct task *t)
{
	struct msg m;

	if (t->parent == NULL || t->parent->peer == NULL || t->parent->unit.state != UNIT_READY)
		return;
	fill_child(t, &m);
	send_to_role(t->parent, &m);
}

/* "core.parser": the plan ids from the area down. */
static char *
full_key(const struct task *t)
{
	if (t->level == 0)
		return xstrdup("");
	return t->level == 1 ? xstrdup(t->key) : xasprintf("%s.%s", t->parent->key, t->key);
}

void
route_assign(struct daemon *d, struct task *t)
{
	char *key = full_key(t), *logs = xasprintf("%s/logs/%s", d->repo.state, t->run->id);
	const struct task *area = t->level < 2 ? t : t->parent, *judge = t;
	const struct run *r = t->run;
	unsigned count = 0;
	struct task *c;
	struct msg m = {.id = MSG_ASSIGN,
	    .assign = {
		.run = r->id,
		.task = t->id,
		.key = key,
		.title = t->title,
		.goal = t->goal,
		.run_title = r->title,
		.owns_json = t->owns,
		.acceptance = t->acceptance,
		.plan_json = t->plan,
		.state = task_state_name(task_state(t)),
		.attempt = (uint64_t)t->attempt,
		.rework = (uint64_t)t->rework,
		.evidence = t->evidence,
		.setback = t->setback,
		.merge_from = t->merge_from,
		.verify_json = area->verify,
		.guarded_json = area->guarded,
		.branch = t->branch,
		.parent_branch = t->parent == NULL ? r->base_branch : t->parent->branch,
		.base = t->base,
		.head = t->head,
		.session = t->session,
		.git_dir = d->repo.git_dir,
		.state_dir = d->repo.worktrees,
		.log_dir = logs,
		.options_json = r->options,
		.cancelled = r->cancelled,
		.secrets = r->keys.count > 0 && task_wants_token(t),
		.token = t->level == 0 && r->token != NULL,
		.cost_uusd = (uint64_t)t->cost_uusd,
		.tokens_in = (uint64_t)t->tokens_in,
		.tokens_out = (uint64_t)t->tokens_out,
		.past_cost_uusd = (uint64_t)t->past_cost_uusd,
		.past_tokens_in = (uint64_t)t->past_tokens_in,
		.past_tokens_out = (uint64_t)t->past_tokens_out,
		.checkout = r->checkout,
		.approve = r->approve != 0,
		.plan_only = r->plan_only != 0,
		.reviewed = review_falls_back(t),
	    }};

	while (judge != NULL && judge->gate == NULL)
		judge = judge->parent;
	if (t->level == 0)
		review_assign(r, &m.assign);
	if (judge != NULL) {
		m.assign.gate = judge->gate;
		m.assign.gate_own = judge == t;
	}
	send_to_role(t, &m);
	if (r->keys.count > 0 && task_wants_token(t))
		secrets_send(t);
	if (t->level == 0 && r->tokened)
		token_send(t);
	if (t->level == 0 && r->review != NULL) {
		m = (struct msg){.id = MSG_ROUND, .round = {.review_json = r->review}};
		send_to_role(t, &m);
	}
	if (t->level < 2) {
		TAILQ_FOREACH (c, &r->tasks, entry) {
			if (c->parent != t)
				continue;
			fill_child(c, &m);
			send_to_role(t, &m);
			count++;
		}
		m = (struct msg){.id = MSG_END, .end = {.count = count}};
		send_to_role(t, &m);
	}
	free(key);
	free(logs);
}
