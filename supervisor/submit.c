/*
 * submit: a new run: its id, its row and its director's task. One run per issue at a time; a container that
 * is started again with what it was started with before goes on with the run that it left.
 */
#include "supervisor/daemon.h"

#include "common/alloc.h"
#include "common/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_MAX 64

/* "25", again "25-2"; without an issue "m1", "m2". */
static char *
free_id(struct daemon *d, const char *issue)
{
	for (unsigned n = 1;; n++) {
		char *id = issue == NULL ? xasprintf("m%u", n)
			   : n == 1      ? xstrdup(issue)
					 : xasprintf("%s-%u", issue, n);

		if (!store_has_run(d->store, id) && runs_find(&d->runs, id) == NULL)
			return id;
		free(id);
	}
}

static int
check(struct daemon *d, const struct msg_run_submit *m, uint64_t *ahead, struct err *e)
{
	struct run *r;

	if (d->stopping || d->saving)
		return err_set(e, -ESHUTDOWN, "orchd is stopping: try again in a moment");
	if (m->issue != NULL && (m->issue[0] == '\0' || m->issue[0] == '0' || strlen(m->issue) > 18 ||
				    strspn(m->issue, "0123456789") != strlen(m->issue)))
		return err_set(e, -EINVAL, "an issue is a number, not \"%s\"", m->issue);
	*ahead = 0;
	TAILQ_FOREACH (r, &d->runs, entry) {
		if (run_state_ended(run_state(r)))
			continue;
		*ahead += !r->stopped && !run_lacks_keys(r) && !run_is_asking(r);
		if (m->issue != NULL && r->issue != NULL && strcmp(r->issue, m->issue) == 0)
			return err_set(e, -EEXIST,
			    "run %s works on issue %s already (state %s%s): see `orchctl status %s`, or end "
			    "it "
			    "with `orchctl cancel %s`",
			    r->id, r->issue, run_state_name(run_state(r)), r->stopped ? ", stopped" : "",
			    r->id, r->id);
	}
	if (*ahead >= QUEUE_MAX)
		return err_set(e, -EAGAIN, "%d runs are queued already", QUEUE_MAX);
	return 0;
}

/* One that is being cancelled is as good as ended. */
static struct run *
find_same(struct daemon *d, const struct msg_run_submit *m)
{
	struct run *r;

	TAILQ_FOREACH (r, &d->runs, entry) {
		if (run_state_ended(run_state(r)) || r->cancelled)
			continue;
		if (m->issue != NULL || r->issue != NULL) {
			if (m->issue != NULL && r->issue != NULL && strcmp(m->issue, r->issue) == 0)
				return r;
		} else if (strcmp(m->title, r->title) == 0 && strcmp(m->body, r->body) == 0) {
			return r;
		}
	}
	return NULL;
}

static void
go_on_with(struct daemon *d, struct run *r, struct configs *keys, struct msg_run_accepted *answer)
{
	struct run *o;

	if (r->stopped)
		effect_resume_run(d, r);
	if (keys->count > 0)
		secrets_give(d, r, keys);
	answer->run = r->id;
	answer->again = true;
	TAILQ_FOREACH (o, &d->runs, entry) {
		if (o == r)
			break;
		answer->ahead += !o->stopped && !run_lacks_keys(o) && !run_state_ended(run_state(o));
	}
}

static int
make_run(struct daemon *d, const struct msg_run_submit *m, struct run **out, struct err *e)
{
	struct run *r = run_new();
	struct task *t;
	int rc;

	r->daemon = d;
	r->options = xstrdup(m->options_json);
	rc = run_thaw(r, e);
	if (rc < 0) {
		run_free(r);
		return rc;
	}
	r->id = free_id(d, m->issue);
	r->issue = xstrdup(m->issue);
	r->title = xstrdup(m->title);
	r->body = xstrdup(m->body);
	r->base_branch = xstrdup(m->base_branch);
	r->base = xstrdup(m->base);
	r->checkout = xstrdup(m->checkout);
	r->approve = m->approve;
	r->plan_only = m->plan_only;
	r->state = RUN_QUEUED;
	r->created_at = clock_wall_ms();

	t = task_new();
	t->id = xstrdup(r->id);
	t->run_id = xstrdup(r->id);
	t->title = xstrdup(r->title);
	t->goal = xstrdup(r->body);
	t->base = xstrdup(r->base);
	t->plan = xstrdup(m->plan_json);
	t->state = TASK_QUEUED;
	t->created_at = t->changed_at = r->created_at;
	rc = run_add_task(r, t, e);
	if (rc < 0) {
		run_free(r);
		return rc;
	}
	*out = r;
	return 0;
}

int
submit_run(struct client *c, const struct msg_run_submit *m, struct msg_run_accepted *answer, struct err *e)
{
	struct daemon *d = c->d;
	struct run *r = m->again && !d->stopping ? find_same(d, m) : NULL;
	struct task *t;
	int rc;

	if (r != NULL) {
		go_on_with(d, r, &c->keys, answer);
		return 0;
	}
	rc = check(d, m, &answer->ahead, e);
	if (rc == 0)
		rc = m->restored ? restore_take(c, m, &r, e) : make_run(d, m, &r, e);
	if (rc < 0)
		return rc;
	r->serial = store_next_serial(d->store);
	if (!TAILQ_EMPTY(&d->runs) && TAILQ_LAST(&d->runs, run_list)->serial >= r->serial)
		r->serial = TAILQ_LAST(&d->runs, run_list)->serial + 1;
	TAILQ_INSERT_TAIL(&d->runs, r, entry);
	if (m->restored)
		effect_give_way(d, r);
	store_add_event(d->store, r->id, NULL, "state", run_state_name(run_state(r)), r->title);
	if (m->restored)
		store_add_event(d->store, r->id, NULL, "restore", NULL,
		    "goes on from the state that was saved elsewhere");
	TAILQ_FOREACH (t, &r->tasks, entry)
		effect_mark_task(d, t);
	effect_mark_run(d, r);
	if (c->keys.count > 0)
		secrets_give(d, r, &c->keys);
	answer->run = r->id;
	return 0;
}
