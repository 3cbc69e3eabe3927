/* view: see view.h. Messages are kept whole (msg_dup): what is new in the schema is here without a line. */
#include "proto/view.h"

#include "common/alloc.h"
#include "proto/msg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
view_init(struct view *v)
{
	memset(v, 0, sizeof(*v));
}

static void
run_free(struct view_run *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->tasks[i].msg);
	free(r->tasks);
	free(r->msg);
	free(r->id);
	free(r);
}

void
view_clear(struct view *v)
{
	for (size_t i = 0; i < v->run_count; i++)
		run_free(v->runs[i]);
	for (size_t i = 0; i < v->event_count; i++)
		free(v->events[i]);
	free(v->runs);
	free(v->events);
	free(v->daemon);
	memset(v, 0, sizeof(*v));
}

/* Room for one more of size bytes in a vector that doubles. */
static void *
grow(void *p, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return p;
	*room = *room == 0 ? 16 : *room * 2;
	return xrealloc(p, *room * size);
}

static struct view_run *
find_run(const struct view *v, const char *id)
{
	/* From the end: news is about the last one. */
	for (size_t i = v->run_count; i > 0; i--)
		if (strcmp(v->runs[i - 1]->id, id) == 0)
			return v->runs[i - 1];
	return NULL;
}

static struct view_run *
need_run(struct view *v, const char *id)
{
	struct view_run *r = find_run(v, id);

	if (r != NULL || v->run_count == VIEW_RUNS_MAX)
		return r;
	v->runs = grow(v->runs, v->run_count, &v->run_room, sizeof(struct view_run *));
	r = xcalloc(1, sizeof(*r));
	r->id = xstrdup(id);
	v->runs[v->run_count++] = r;
	return r;
}

static bool
same_text(const char *a, const char *b)
{
	return (a == NULL || b == NULL) ? a == b : strcmp(a, b) == 0;
}

static bool
put_run(struct view *v, const struct msg *m, struct view_change *ch)
{
	struct view_run *r = need_run(v, m->run_info.run);

	if (r == NULL)
		return false;
	ch->run = r;
	ch->fresh = r->msg == NULL;
	ch->state = ch->fresh || strcmp(r->info->state, m->run_info.state) != 0 ||
		    r->info->stopped != m->run_info.stopped ||
		    !same_text(r->info->question, m->run_info.question);
	free(r->msg);
	r->msg = msg_dup(m);
	r->info = &r->msg->run_info;
	return true;
}

/* Ordinals of "25/em1/w2", which give the order of the tree. */
static void
place(const char *id, int *em, int *worker)
{
	const char *slash = strchr(id, '/');

	*em = *worker = 0;
	if (slash != NULL && sscanf(slash, "/em%4d/w%4d", em, worker) < 1)
		*em = 0;
}

/* Where the task is, or where it belongs: found by bisection. */
static size_t
task_slot(const struct view_run *r, int em, int worker, bool *found)
{
	size_t low = 0, high = r->count;

	*found = false;
	while (low < high) {
		size_t mid = (low + high) / 2;
		const struct view_task *t = &r->tasks[mid];
		int order = t->em != em ? t->em - em : t->worker - worker;

		if (order == 0) {
			*found = true;
			return mid;
		}
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool
is_parked(const struct msg_task_info *t)
{
	return strcmp(t->unit, "parked") == 0;
}

static bool
put_task(struct view *v, const struct msg *m, struct view_change *ch)
{
	struct view_run *r = need_run(v, m->task_info.run);
	struct view_task *t;
	int em, worker;
	bool found;
	size_t at;

	if (r == NULL)
		return false;
	place(m->task_info.task, &em, &worker);
	at = task_slot(r, em, worker, &found);
	if (!found) {
		if (r->count == VIEW_TASKS_MAX)
			return false;
		r->tasks = grow(r->tasks, r->count, &r->room, sizeof(*r->tasks));
		memmove(&r->tasks[at + 1], &r->tasks[at], (r->count - at) * sizeof(*r->tasks));
		r->tasks[at] = (struct view_task){.em = em, .worker = worker};
		r->count++;
	}
	t = &r->tasks[at];
	ch->run = r;
	ch->task = t;
	ch->fresh = !found;
	ch->state = !found || strcmp(t->info->state, m->task_info.state) != 0 ||
		    is_parked(t->info) != is_parked(&m->task_info);
	free(t->msg);
	t->msg = msg_dup(m);
	t->info = &t->msg->task_info;
	return true;
}

/* The history comes in order, but a follow after a reconnect may repeat some. */
static void
put_event(struct view *v, const struct msg *m)
{
	size_t at = v->event_count;

	while (at > 0 && v->events[at - 1]->event_info.seq > m->event_info.seq)
		at--;
	if ((at > 0 && v->events[at - 1]->event_info.seq == m->event_info.seq) ||
	    v->event_count == VIEW_EVENTS_MAX)
		return;
	v->events = grow(v->events, v->event_count, &v->event_room, sizeof(struct msg *));
	memmove(&v->events[at + 1], &v->events[at], (v->event_count - at) * sizeof(struct msg *));
	v->events[at] = msg_dup(m);
	v->event_count++;
}

bool
view_put(struct view *v, const struct msg *m, struct view_change *ch)
{
	struct view_change ignored;

	if (ch == NULL)
		ch = &ignored;
	memset(ch, 0, sizeof(*ch));
	if (m->id == MSG_RUN_INFO)
		return put_run(v, m, ch);
	if (m->id == MSG_TASK_INFO)
		return put_task(v, m, ch);
	if (m->id == MSG_EVENT_INFO)
		put_event(v, m);
	if (m->id == MSG_DAEMON_INFO) {
		free(v->daemon);
		v->daemon = msg_dup(m);
	}
	return false;
}

const struct view_run *
view_run(const struct view *v, const char *id)
{
	return find_run(v, id);
}

const struct view_run *
view_last(const struct view *v)
{
	for (size_t i = v->run_count; i > 0; i--)
		if (v->runs[i - 1]->msg != NULL)
			return v->runs[i - 1];
	return NULL;
}

const struct view_task *
view_task(const struct view_run *r, const char *id)
{
	bool found;
	int em, worker;
	size_t at;

	place(id, &em, &worker);
	at = task_slot(r, em, worker, &found);
	return found && strcmp(r->tasks[at].info->task, id) == 0 ? &r->tasks[at] : NULL;
}

static bool
is_one_of(const char *state, const char *const *names)
{
	for (; *names != NULL; names++)
		if (strcmp(state, *names) == 0)
			return true;
	return false;
}

bool
view_run_ended(const struct view_run *r)
{
	static const char *const ends[] = {"complete", "partial", "failed", "cancelled", NULL};

	return r->msg != NULL && is_one_of(r->info->state, ends);
}

bool
view_task_ended(const struct view_task *t)
{
	static const char *const ends[] = {"integrated", "failed", "cancelled", NULL};

	return is_one_of(t->info->state, ends);
}

enum view_trouble
view_trouble(const struct view_task *t)
{
	const char *state = t->info->state;

	if (strcmp(state, "failed") == 0)
		return VIEW_FAILED;
	if (is_parked(t->info))
		return VIEW_PARKED;
	if (strcmp(state, "rework") == 0)
		return VIEW_REWORK;
	/* In order of plan is no trouble; a wait that someone asked for has a reason. */
	if (strcmp(state, "waiting") == 0 && t->info->reason != NULL)
		return VIEW_WAITING;
	return VIEW_FINE;
}

size_t
view_limited(const struct view_run *r, const struct view_task **first)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++) {
		const struct msg_task_info *t = r->tasks[i].info;

		if (!t->limited || strcmp(t->state, "waiting") != 0)
			continue;
		if (n++ == 0 || t->wait_until < (*first)->info->wait_until)
			*first = &r->tasks[i];
	}
	return n;
}
