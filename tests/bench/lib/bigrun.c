/* bigrun: see bigrun.h. */
#include "tests/bench/lib/bigrun.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "supervisor/store.h"
#include "tests/bench/lib/sample.h"

#include <stdlib.h>

static const enum task_state task_states[] = {
    [BIGRUN_STOPPED] = TASK_QUEUED, [BIGRUN_ENDED] = TASK_INTEGRATED, [BIGRUN_RUNNING] = TASK_RUNNING};

static struct task *
add_task(struct run *r, const char *parent, int ordinal, int level, enum bigrun_state state, int *clock)
{
	struct task *t = task_new();
	struct err e = {""};

	t->id =
	    parent == NULL ? xstrdup(r->id) : xasprintf("%s/%s%d", parent, level == 1 ? "em" : "w", ordinal);
	t->run_id = xstrdup(r->id);
	t->parent_id = xstrdup(parent);
	t->level = level;
	t->ordinal = ordinal;
	t->key = xasprintf("part-%d", ordinal);
	t->title = xasprintf("Part %d of the calculator: lexer, parser and evaluator", ordinal);
	t->goal = xstrdup("Write the part that the title names, with tests, as its acceptance says.");
	t->owns =
	    xasprintf("[\"src/part%d.c\",\"src/part%d.h\",\"tests/part%d/**\"]", ordinal, ordinal, ordinal);
	t->branch = xasprintf("cco/%s-em%d-w%d", r->id, level, ordinal);
	t->base = xstrdup(r->base);
	t->state = task_states[state];
	t->created_at = t->changed_at =
	    r->created_at + *clock; /* their order in the store is that of creation */
	*clock += 1;
	t->started_at = state != BIGRUN_STOPPED ? r->created_at : 0;
	t->ended_at = state == BIGRUN_ENDED ? r->created_at + 1000 : 0;
	t->dirty = true;
	if (run_add_task(r, t, &e) < 0)
		bench_die("%s", e.msg);
	return t;
}

void
bigrun_add(struct run_list *runs, const char *id, int tasks, int area_tasks, enum bigrun_state state)
{
	const struct run *last = TAILQ_LAST(runs, run_list);
	struct run *r = run_new();
	struct task *director, *em = NULL;
	int clock = 0;

	r->id = xstrdup(id);
	r->serial = last == NULL ? 1 : last->serial + 1;
	r->title = xstrdup("Build a functional calculator");
	r->body = xstrdup("Build a functional calculator, with tests.");
	r->base_branch = xstrdup("main");
	r->base = xstrdup("1111111111111111111111111111111111111111");
	r->branch = xasprintf("cco/%s-build-a-functional-calculator", id);
	r->options = xstrdup(
	    state == BIGRUN_RUNNING ? "{\"max_ems\":64,\"max_workers_per_em\":64,\"start_burst\":0}" : "{}");
	r->state = state == BIGRUN_ENDED ? RUN_COMPLETE : RUN_RUNNING;
	r->stopped = state == BIGRUN_STOPPED;
	r->created_at = r->started_at = clock_wall_ms();
	r->ended_at = state == BIGRUN_ENDED ? r->created_at + 1000 : 0;
	r->dirty = true;
	director = add_task(r, NULL, 0, 0, state, &clock);
	for (int n = 0, areas = 0; n < tasks; n++) {
		int in_area = n % (area_tasks + 1);

		if (in_area == 0)
			em = add_task(r, director->id, ++areas, 1, state, &clock);
		else
			add_task(r, em->id, in_area, 2, state, &clock);
	}
	TAILQ_INSERT_TAIL(runs, r, entry);
}

void
bigrun_store(struct run_list *runs, const struct repo *place)
{
	struct store_event_list done = TAILQ_HEAD_INITIALIZER(done);
	char *path = xasprintf("%s/orch.db", place->state);
	struct store *s;
	struct run *r;
	struct err e = {""};

	if (store_open(&s, path, &e) < 0 || store_commit(s, runs, &done, &e) < 0)
		bench_die("%s", e.msg);
	store_close(s);
	while ((r = TAILQ_FIRST(runs)) != NULL) {
		TAILQ_REMOVE(runs, r, entry);
		run_free(r);
	}
	free(path);
}
