/* report: see report.h. */
#include "supervisor/ctl/report.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "supervisor/ctl/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GATES_MAX 1000 /* per task */

const char *
report_what_name(enum report_what what)
{
	static const char *const names[] = {
#define S(NAME, name, fill, help) name,
	    REPORT_SPANS(S)
#undef S
	};

	return names[what];
}

bool
report_is_missing(const struct view_run *r, size_t at)
{
	const struct view_task *t = &r->tasks[at];

	if (strcmp(t->info->state, "integrated") == 0 || (t->em == 0 && t->worker == 0))
		return false;
	if (t->worker != 0)
		return true;
	for (size_t i = at + 1; i < r->count && r->tasks[i].em == t->em; i++)
		if (strcmp(r->tasks[i].info->state, "integrated") != 0)
			return false;
	return true;
}

/* What a task does in a state; -1: it has ended. sent_back: it has been before. */
static int
what_of(const char *state, bool sent_back)
{
	static const struct {
		const char *state;
		enum report_what what;
	} table[] = {{"queued", REPORT_QUEUED}, {"waiting", REPORT_WAITING}, {"rework", REPORT_BACK},
	    {"submitted", REPORT_MERGING}};

	if (strcmp(state, "running") == 0)
		return sent_back ? REPORT_AGAIN : REPORT_WORK;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(state, table[i].state) == 0)
			return (int)table[i].what;
	return -1;
}

/* One that is going on while the history is read. */
struct open_span {
	int what; /* -1: none */
	int64_t from;
	bool sent_back;
};

static void
close_span(struct report_task *t, struct open_span *o, int64_t at)
{
	if (o->what >= 0 && at > o->from) {
		t->spans = xrealloc(t->spans, (t->span_count + 1) * sizeof(*t->spans));
		t->spans[t->span_count++] = (struct report_span){(enum report_what)o->what, o->from, at};
		t->ms[o->what] += at - o->from;
	}
	o->what = -1;
}

static void
add_gate(struct report_task *t, const char *text)
{
	if (text == NULL || t->gate_count == GATES_MAX)
		return;
	t->gates = xrealloc(t->gates, (t->gate_count + 1) * sizeof(*t->gates));
	t->gates[t->gate_count++] = text;
}

static void
take_event(struct report_task *t, struct open_span *o, const struct msg_event_info *ev)
{
	const char *text = ev->text == NULL ? "" : ev->text;

	if (strcmp(ev->kind, "gate") == 0 || strcmp(ev->kind, "setup") == 0)
		add_gate(t, ev->text);
	if (strcmp(ev->kind, "state") != 0 || ev->state == NULL)
		return;
	if (strstr(text, "the gate (") != NULL || strstr(text, "the setup (") != NULL)
		add_gate(t, ev->text);
	close_span(t, o, (int64_t)ev->at);
	o->sent_back |= strcmp(ev->state, "rework") == 0;
	o->what = what_of(ev->state, o->sent_back);
	o->from = (int64_t)ev->at;
}

static size_t
index_of(const struct report *r, const char *task)
{
	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->tasks[i].task->info->task, task) == 0)
			return i;
	return r->count;
}

/* A run whose director ended has no event of its task's end. */
static int64_t
end_of(const struct report_task *t, const struct view_run *run, int64_t now)
{
	uint64_t end = t->task->info->ended_at != 0 ? t->task->info->ended_at : run->info->ended_at;

	return end != 0 ? (int64_t)end : now;
}

static void
find_bounds(struct report *r)
{
	for (size_t i = 0; i < r->count; i++)
		for (size_t n = 0; n < r->tasks[i].span_count; n++) {
			const struct report_span *s = &r->tasks[i].spans[n];

			if (r->from == 0 || s->from < r->from)
				r->from = s->from;
			if (s->to > r->to)
				r->to = s->to;
		}
}

void
report_make(struct report *r, const struct view *v, const struct view_run *run, int64_t now)
{
	struct open_span *open = xcalloc(run->count + 1, sizeof(*open));

	*r = (struct report){.run = run, .count = run->count};
	r->tasks = xcalloc(run->count + 1, sizeof(*r->tasks));
	for (size_t i = 0; i < run->count; i++) {
		r->tasks[i].task = &run->tasks[i];
		r->tasks[i].missing = report_is_missing(run, i);
		open[i].what = -1;
	}
	for (size_t i = 0; i < v->event_count; i++) {
		const struct msg_event_info *ev = &v->events[i]->event_info;
		size_t at = ev->task == NULL ? r->count : index_of(r, ev->task);

		if (at < r->count)
			take_event(&r->tasks[at], &open[at], ev);
	}
	for (size_t i = 0; i < r->count; i++)
		close_span(&r->tasks[i], &open[i], end_of(&r->tasks[i], run, now));
	find_bounds(r);
	free(open);
}

void
report_clear(struct report *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->tasks[i].spans);
		free(r->tasks[i].gates);
	}
	free(r->tasks);
	memset(r, 0, sizeof(*r));
}

static void
add_age(struct lines *out, size_t column, int64_t ms)
{
	char text[32];

	line_to(out, column);
	if (ms > 0)
		line_add(out, LINE_PLAIN, clock_age(text, sizeof(text), ms));
	else
		line_add(out, LINE_DIM, "-");
}

enum {
	STATE_AT = 16,
	TRIES_AT = 28,
	WORK_AT = 34,
	WAIT_AT = 43,
	FILES_AT = 52,
	COMMIT_AT = 69,
	COST_AT = 83,
	TITLE_AT = 92
};

static void
add_heading(struct lines *out)
{
	static const struct {
		size_t at;
		const char *name;
	} columns[] = {{0, "task"}, {STATE_AT, "state"}, {TRIES_AT, "tries"}, {WORK_AT, "work"},
	    {WAIT_AT, "waited"}, {FILES_AT, "changes"}, {COMMIT_AT, "commit"}, {COST_AT, "cost"},
	    {TITLE_AT, "title"}};

	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		if (i > 0)
			line_to(out, columns[i].at);
		line_add(out, LINE_DIM, columns[i].name);
	}
	line_end(out);
}

static void
add_row(struct lines *out, const struct report_task *t)
{
	const struct msg_task_info *i = t->task->info;
	char money[32];

	line_add(out, LINE_PLAIN, i->task);
	line_to(out, STATE_AT);
	line_add(out, tree_state_style(i->state), i->state);
	line_to(out, TRIES_AT);
	line_addf(out, i->rework > 0 ? LINE_WARN : LINE_PLAIN, "%llu", (unsigned long long)i->attempt);
	add_age(out, WORK_AT, t->ms[REPORT_WORK] + t->ms[REPORT_AGAIN]);
	add_age(out, WAIT_AT, t->ms[REPORT_QUEUED] + t->ms[REPORT_WAITING] + t->ms[REPORT_BACK]);
	line_to(out, FILES_AT);
	if (i->files > 0)
		line_addf(out, LINE_PLAIN, "%llu, +%llu -%llu", (unsigned long long)i->files,
		    (unsigned long long)i->insertions, (unsigned long long)i->deletions);
	else
		line_add(out, LINE_DIM, "-");
	line_to(out, COMMIT_AT);
	line_addf(out, LINE_PLAIN, "%.12s", i->head == NULL ? "-" : i->head);
	line_to(out, COST_AT);
	line_add(out, LINE_PLAIN, i->cost_uusd > 0 ? line_money(money, sizeof(money), i->cost_uusd) : "-");
	line_to(out, TITLE_AT);
	line_add(out, LINE_PLAIN, i->title);
	line_end(out);
	if (t->missing && t->gate_count > 0) {
		line_to(out, 2);
		line_wrap(out, LINE_DIM, t->gates[t->gate_count - 1], 2);
		line_end(out);
	}
}

void
report_table(const struct report *r, struct lines *out)
{
	add_heading(out);
	for (size_t i = 0; i < r->count; i++)
		add_row(out, &r->tasks[i]);
}
