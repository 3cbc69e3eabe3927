/*
 * view: what orchctl and a director know of orchd's runs: the last RUN_INFO and TASK_INFO of each id, and the
 * history when it was asked for. Fed with messages in any order, as often as they come. Pure.
 */
#ifndef ORCH_PROTO_VIEW_H
#define ORCH_PROTO_VIEW_H

#include "proto/messages.h"

#include <stdbool.h>
#include <stddef.h>

#define VIEW_RUNS_MAX 65536
#define VIEW_TASKS_MAX 8192 /* per run; a plan's bounds allow 4,161 */
#define VIEW_EVENTS_MAX 100000

struct view_task {
	struct msg *msg;
	const struct msg_task_info *info; /* in msg */
	int em, worker;                   /* ordinals from the id; 0: not below one */
};

struct view_run {
	struct msg *msg; /* NULL while only a task of it is known */
	const struct msg_run_info *info;
	char *id;
	struct view_task *tasks; /* the director's, then each EM's followed by its workers' */
	size_t count, room;
};

struct view {
	struct msg *daemon;     /* DAEMON_INFO; NULL until it came */
	struct view_run **runs; /* as they came */
	size_t run_count, run_room;
	struct msg **events; /* EVENT_INFO, by seq, each once */
	size_t event_count, event_room;
};

/* What a message changed; pointers are good until the next view_put. */
struct view_change {
	const struct view_run *run;
	const struct view_task *task; /* NULL: the run itself */
	bool fresh;                   /* not known before */
	bool state;                   /* fresh, or its state, its process's parking, or its question differ */
};

void view_init(struct view *v);
void view_clear(struct view *v);

/* Takes DAEMON_INFO, RUN_INFO, TASK_INFO and EVENT_INFO in; true and *ch (may be NULL) when a run or a task
 * differs from before. Others are ignored. */
bool view_put(struct view *v, const struct msg *m, struct view_change *ch);

const struct view_run *view_run(const struct view *v, const char *id);
/* The last run that came, which is the one that was asked for; NULL when there is none. */
const struct view_run *view_last(const struct view *v);
const struct view_task *view_task(const struct view_run *r, const char *id);

/* complete, partial, failed, cancelled. */
bool view_run_ended(const struct view_run *r);
bool view_task_ended(const struct view_task *t); /* integrated, failed, cancelled */

/* What needs a person's eye, the worst first; VIEW_FINE does not. */
enum view_trouble { VIEW_FAILED, VIEW_PARKED, VIEW_REWORK, VIEW_WAITING, VIEW_FINE };
enum view_trouble view_trouble(const struct view_task *t);

/* How many tasks of r wait for a key's or login's limit; *first: the one that goes on first. 0: none does. */
size_t view_limited(const struct view_run *r, const struct view_task **first);

#endif
