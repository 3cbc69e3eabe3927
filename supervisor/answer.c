/* answer: see answer.h. Runs that have ended are read from the store for the answer and forgotten again. */
#include "supervisor/answer.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "common/sibling.h"
#include "supervisor/ask.h"
#include "supervisor/info.h"
#include "supervisor/review.h"
#include "supervisor/token.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* 0: the handler has answered or will; -errno with e: ERROR is sent. */
typedef int answer_fn(struct client *c, const struct msg *m, struct err *e);

static int
send_info(struct client *c, uint32_t request, struct msg *m)
{
	m->request = request;
	return peer_send(c->peer, m, NULL);
}

/* The one that status speaks of when none is named: the active run, else the newest unfinished one. */
struct run *
answer_current_run(struct daemon *d)
{
	struct run *r, *last = NULL;

	TAILQ_FOREACH (r, &d->runs, entry) {
		if (effect_is_active(r))
			return r;
		last = r;
	}
	return last;
}

/* From memory, or from the store: then *loaded is to be freed. */
static int
find_run(struct daemon *d, const char *id, struct run **run, struct run **loaded, struct err *e)
{
	int rc;

	*loaded = NULL;
	*run = id == NULL ? answer_current_run(d) : runs_find(&d->runs, id);
	if (*run != NULL)
		return 0;
	rc = store_load_run(d->store, id, loaded, e);
	if (rc == 0)
		(*loaded)->daemon = d;
	*run = *loaded;
	return rc;
}

void
answer_with_run(struct client *c, uint32_t request, const struct run *r, bool with_tasks)
{
	info_send_run(c->d, c->peer, request, r, with_tasks);
}

static int
send_all_runs(struct client *c, uint32_t request, struct err *e)
{
	char **ids;
	int rc = store_run_ids(c->d->store, &ids, e);

	for (size_t i = 0; rc == 0 && ids[i] != NULL; i++) {
		struct run *r, *loaded;

		rc = find_run(c->d, ids[i], &r, &loaded, e);
		if (rc == 0)
			answer_with_run(c, request, r, false);
		run_free(loaded);
	}
	for (size_t i = 0; rc == 0 && ids[i] != NULL; i++)
		free(ids[i]);
	if (rc == 0)
		free(ids);
	return rc;
}

static void
send_end(struct client *c, uint32_t request)
{
	struct msg m = {.id = MSG_END, .request = request};

	peer_send(c->peer, &m, NULL);
}

static int
on_status(struct client *c, const struct msg *m, struct err *e)
{
	struct run *r = NULL, *loaded = NULL;
	struct msg info;
	int rc;

	info_daemon(c->d, &info);
	send_info(c, m->request, &info);
	if (m->status.all) {
		rc = send_all_runs(c, m->request, e);
		if (rc < 0)
			return rc;
	} else {
		rc = find_run(c->d, m->status.run, &r, &loaded, e);
		if (rc < 0 && (rc != -ENOENT || m->status.run != NULL))
			return rc;
		if (r != NULL)
			answer_with_run(c, m->request, r, true);
	}
	send_end(c, m->request);
	if (m->status.watch) {
		c->watching = true;
		c->request = m->request;
		xreplace(&c->run, r == NULL ? m->status.run : r->id);
	}
	run_free(loaded);
	return 0;
}

struct event_stream {
	struct client *c;
	uint32_t request;
};

static bool
send_event(void *arg, const struct store_event *ev)
{
	struct event_stream *s = arg;
	struct msg m;

	info_event(ev, &m);
	return send_info(s->c, s->request, &m) == 0;
}

static int
on_events(struct client *c, const struct msg *m, struct err *e)
{
	const struct msg_events *q = &m->events;
	struct event_stream s = {.c = c, .request = m->request};
	int rc = store_each_event(
	    c->d->store, (int64_t)q->after_seq, q->run, q->task, (int64_t)q->limit, send_event, &s, e);

	if (rc < 0)
		return rc;
	send_end(c, m->request);
	if (q->follow) {
		c->following = true;
		c->request = m->request;
		xreplace(&c->run, q->run);
		xreplace(&c->task, q->task);
	}
	return 0;
}

static int
on_run_submit(struct client *c, const struct msg *m, struct err *e)
{
	struct msg answer = {.id = MSG_RUN_ACCEPTED, .request = m->request};
	int rc = submit_run(c, &m->run_submit, &answer.run_accepted, e);

	if (rc < 0)
		return rc;
	if (c->token != NULL)
		token_give(c->d, runs_find(&c->d->runs, answer.run_accepted.run), c->token);
	peer_send(c->peer, &answer, NULL);
	return 0;
}

static int
on_shutdown(struct client *c, const struct msg *m, struct err *e)
{
	if (m->shutdown.keep) {
		char *path;
		int rc = c->d->stopping ? err_set(e, -ESHUTDOWN, "orchd is stopping already")
					: sibling_path("orchd", &path, e);

		if (rc < 0)
			return rc;
		free(path);
		c->shutdown_request = m->request;
		c->d->handover = true;
		return 0;
	}
	c->shutdown_request = m->request;
	if (m->shutdown.save && !c->d->stopping) {
		save_begin(c->d);
		return 0;
	}
	daemon_stop(c->d,
	    !m->shutdown.now                 ? STOP_ORDERLY
	    : c->d->stop_how == STOP_ORDERLY ? STOP_SOON
					     : STOP_KILL,
	    true);
	return 0;
}

static int
on_restore(struct client *c, const struct msg *m, struct err *e)
{
	int rc = restore_row(c, m->restore.row, e);

	if (rc == 0)
		peer_ack(c->peer, m->request, NULL);
	return rc;
}

static int
find_task(struct daemon *d, const char *id, struct task **task, struct run **loaded, struct err *e)
{
	char *run_id = xstrndup(id, strcspn(id, "/"));
	struct run *r;
	int rc = taskid_valid(id) ? find_run(d, run_id, &r, loaded, e)
				  : err_set(e, -EINVAL, "\"%s\" is no run and no task", id);

	free(run_id);
	if (rc < 0)
		return rc;
	*task = run_find_task(r, id);
	if (*task != NULL)
		return 0;
	run_free(*loaded);
	*loaded = NULL;
	return err_set(e, -ENOENT, "run %s has no task %s", r->id, id);
}

static int
on_cancel(struct client *c, const struct msg *m, struct err *e)
{
	struct run *loaded = NULL;
	struct task *t;
	int rc = find_task(c->d, m->cancel.target, &t, &loaded, e);

	if (rc < 0)
		return rc;
	if (loaded != NULL || task_state_ended(task_state(t)) || (t->level == 0 && t->run->cancelled)) {
		rc = err_set(e, -EALREADY, "%s is %s already", t->id,
		    t->level == 0 ? (t->run->cancelled && loaded == NULL ? "being cancelled"
									 : run_state_name(run_state(t->run)))
				  : task_state_name(task_state(t)));
		run_free(loaded);
		return rc;
	}
	if (t->level == 0)
		effect_cancel_run(c->d, t->run, "cancelled by orchctl cancel");
	else
		effect_task(c->d, t, TASK_EV_CANCEL, "cancelled by orchctl cancel");
	peer_ack(c->peer, m->request, NULL);
	return 0;
}

static int
on_retry(struct client *c, const struct msg *m, struct err *e)
{
	struct run *loaded = NULL;
	struct task *t;
	int rc = find_task(c->d, m->retry.target, &t, &loaded, e);

	if (rc < 0)
		return rc;
	rc = effect_retry(c->d, t, e);
	if (rc < 0) {
		run_free(loaded);
		return rc;
	}
	if (loaded != NULL)
		TAILQ_INSERT_TAIL(&c->d->runs, loaded, entry);
	if (c->keys.count > 0 && (m->retry.keyed || run_lacks_keys(t->run)))
		secrets_give(c->d, t->run, &c->keys);
	peer_ack(c->peer, m->request, NULL);
	return 0;
}

static int
on_address(struct client *c, const struct msg *m, struct err *e)
{
	struct run *loaded = NULL;
	struct task *t;
	const char *done;
	int rc = find_task(c->d, m->address.run, &t, &loaded, e);

	if (rc == 0)
		rc = review_ask(c->d, t->run, &m->address, &done, e);
	if (rc < 0) {
		run_free(loaded);
		return rc;
	}
	if (loaded != NULL)
		TAILQ_INSERT_TAIL(&c->d->runs, loaded, entry);
	if (c->keys.count > 0 && (m->address.keyed || run_lacks_keys(t->run)))
		secrets_give(c->d, t->run, &c->keys);
	if (c->token != NULL)
		token_give(c->d, t->run, c->token);
	peer_ack(c->peer, m->request, done);
	return 0;
}

static int
on_resume(struct client *c, const struct msg *m, struct err *e)
{
	struct run *r;
	unsigned count = 0;

	TAILQ_FOREACH (r, &c->d->runs, entry) {
		if (!r->stopped || (m->resume.run != NULL && strcmp(r->id, m->resume.run) != 0))
			continue;
		effect_resume_run(c->d, r);
		count++;
	}
	if (count == 0 && !m->resume.keyed)
		return m->resume.run == NULL
			   ? err_set(e, -ENOENT, "no run is stopped: there is nothing to resume")
			   : err_set(e, -ENOENT, "run %s is not stopped: there is nothing to resume",
				 m->resume.run);
	peer_ack(c->peer, m->request, NULL);
	return 0;
}

static int
on_keys(struct client *c, const struct msg *m, struct err *e)
{
	const struct msg_keys *k = &m->keys;
	struct configs keys;
	struct run *r = NULL;
	char *text;
	int rc = secrets_parse(&keys, k->configs_json, e);

	if (rc < 0)
		return rc;
	if (k->pending) {
		configs_clear(&c->keys);
		c->keys = keys;
		peer_ack(c->peer, m->request, NULL);
		return 0;
	}
	r = k->run == NULL ? answer_current_run(c->d) : runs_find(&c->d->runs, k->run);
	if (k->if_missing && (r == NULL || !run_lacks_keys(r))) {
		configs_clear(&keys);
		peer_ack(c->peer, m->request, NULL);
		return 0;
	}
	if (r == NULL) {
		configs_clear(&keys);
		return k->run == NULL
			   ? err_set(e, -ENOENT, "no run is unfinished: there is nothing to give keys to")
			   : err_set(e, -ENOENT, "run %s is not unfinished: it needs no keys", k->run);
	}
	secrets_give(c->d, r, &keys);
	text = xasprintf("run %s has its keys", r->id);
	peer_ack(c->peer, m->request, text);
	free(text);
	return 0;
}

/* Of a run whose keys are not in use there is nothing but their names. */
static int
on_key_list(struct client *c, const struct msg *m, struct err *e)
{
	const struct gw *g = &c->d->gw;
	const char *id = m->key_list.run;
	struct run *r = id == NULL ? gw_current_run(c->d) : runs_find(&c->d->runs, id);
	bool in_use = r != NULL && g->rows.count > 0 && strcmp(g->rows.v[0]->gw_key_state.run, r->id) == 0;
	struct msg info = {.id = MSG_KEY_INFO};

	if (id != NULL && r == NULL)
		return err_set(e, -ENOENT, "run %s is not unfinished: it has no keys", id);
	for (size_t i = 0; in_use && i < g->rows.count; i++) {
		const struct msg_gw_key_state *k = &g->rows.v[i]->gw_key_state;

		info.key_info = (struct msg_key_info){.run = k->run,
		    .name = k->name,
		    .endpoint = k->endpoint,
		    .organisation = k->organisation,
		    .state = k->state,
		    .family = k->family,
		    .until = k->until,
		    .since = k->since,
		    .why = k->why,
		    .in_flight = k->in_flight,
		    .limit = k->limit,
		    .requests = k->requests,
		    .tokens_in = k->tokens_in,
		    .tokens_out = k->tokens_out,
		    .cost_uusd = k->cost_uusd,
		    .shared = k->shared,
		    .prices = run_prices_date(r)};
		send_info(c, m->request, &info);
	}
	for (size_t i = 0; r != NULL && !in_use && i < r->keys.count; i++) {
		info.key_info =
		    (struct msg_key_info){.run = r->id, .name = r->keys.v[i].name, .state = "unused"};
		send_info(c, m->request, &info);
	}
	send_end(c, m->request);
	return 0;
}

static int
on_forget(struct client *c, const struct msg *m, struct err *e)
{
	const char *id = m->forget.run;
	const struct run *r;
	char *dir;
	int rc;

	if (taskid_level(id) != 0 || !store_has_run(c->d->store, id))
		return err_set(e, -ENOENT, "there is no run %s", id);
	r = runs_find(&c->d->runs, id);
	if (r != NULL && run_state_ended(run_state(r)))
		return err_set(e, -EBUSY, "the processes of run %s are still leaving: try again", id);
	if (r != NULL)
		return err_set(e, -EBUSY, "run %s has not ended: `orchctl cancel %s` first", id, id);
	rc = store_forget_run(c->d->store, id, e);
	if (rc < 0)
		return rc;
	dir = xasprintf("%s/logs/%s", c->d->repo.state, id);
	fd_remove_tree(dir); /* what stays of its logs harms nobody */
	free(dir);
	peer_ack(c->peer, m->request, NULL);
	return 0;
}

static int
on_probe(struct client *c, const struct msg *m, struct err *e)
{
	struct task *t = runs_find_task(&c->d->runs, m->probe.task);

	if (t == NULL)
		return err_set(e, -ENOENT, "no unfinished run has a task %s", m->probe.task);
	return probe_send(&c->d->probes, c, t, m, e);
}

static int
on_answer(struct client *c, const struct msg *m, struct err *e)
{
	const char *done;
	int rc = ask_answer(c->d, m->answer.run, m->answer.text, &done, e);

	if (rc == 0)
		peer_ack(c->peer, m->request, done);
	return rc;
}

static int
on_plan_get(struct client *c, const struct msg *m, struct err *e)
{
	struct msg answer = {.id = MSG_PLAN_INFO};
	struct run *r, *loaded;
	int rc = find_run(c->d, m->plan_get.run, &r, &loaded, e);

	if (rc < 0)
		return rc;
	if (r->director->plan == NULL) {
		rc = err_set(
		    e, -ENOENT, "run %s has no plan%s", r->id, run_state_ended(run_state(r)) ? "" : " yet");
	} else {
		answer.plan_info = (struct msg_plan_info){.run = r->id, .plan_json = r->director->plan};
		send_info(c, m->request, &answer);
		send_end(c, m->request);
	}
	run_free(loaded);
	return rc;
}

static const struct {
	enum msg_id id;
	answer_fn *fn;
} requests[] = {
    {MSG_STATUS, on_status},
    {MSG_EVENTS, on_events},
    {MSG_RUN_SUBMIT, on_run_submit},
    {MSG_RESTORE, on_restore},
    {MSG_SHUTDOWN, on_shutdown},
    {MSG_CANCEL, on_cancel},
    {MSG_RETRY, on_retry},
    {MSG_RESUME, on_resume},
    {MSG_FORGET, on_forget},
    {MSG_KEYS, on_keys},
    {MSG_TOKEN, token_request},
    {MSG_KEY_LIST, on_key_list},
    {MSG_PROBE, on_probe},
    {MSG_ANSWER, on_answer},
    {MSG_PLAN_GET, on_plan_get},
    {MSG_ADDRESS, on_address},
};

void
answer_request(struct client *c, const struct msg *m)
{
	struct err e = {""};

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		int rc;

		if (requests[i].id != m->id)
			continue;
		c->asked_change |= m->id != MSG_STATUS && m->id != MSG_EVENTS && m->id != MSG_PROBE;
		rc = requests[i].fn(c, m, &e);
		if (rc < 0)
			peer_error(c->peer, m->request, -rc, "%s", e.msg);
		return;
	}
	peer_error(c->peer, m->request, ENOSYS, "orchd takes no such request");
}
