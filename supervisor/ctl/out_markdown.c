/* out_markdown: a run's report as Markdown, for a comment or a file. */
#include "supervisor/ctl/out.h"

#include "common/clock.h"
#include "common/markdown.h"
#include "common/text.h"
#include "supervisor/ctl/line.h"

#include <stdlib.h>
#include <string.h>

static void
put(FILE *f, const char *text)
{
	markdown_text(f, text, TEXT_MAX);
}

static void
put_totals(FILE *f, const struct msg_run_info *i)
{
	char text[64];

	fprintf(f, "- tasks: %llu done, %llu failed, of %llu\n", (unsigned long long)i->integrated,
	    (unsigned long long)i->failed, (unsigned long long)i->tasks);
	fprintf(f, "- changes: %llu files, +%llu -%llu lines\n", (unsigned long long)i->files,
	    (unsigned long long)i->insertions, (unsigned long long)i->deletions);
	if (i->branch != NULL) {
		fputs("- branch: ", f);
		put(f, i->branch);
		fputc('\n', f);
	}
	if (i->started_at != 0 && i->ended_at >= i->started_at)
		fprintf(
		    f, "- time: %s\n", clock_age(text, sizeof(text), (int64_t)(i->ended_at - i->started_at)));
	if (i->cost_uusd != 0)
		fprintf(f, "- cost: %s", line_money(text, sizeof(text), i->cost_uusd));
	if (i->cost_uusd != 0 && i->prices != NULL)
		fprintf(f, " (prices of %s)", i->prices);
	if (i->cost_uusd != 0)
		fputc('\n', f);
}

static void
put_age(FILE *f, int64_t ms)
{
	char text[32];

	fprintf(f, "%s | ", ms > 0 ? clock_age(text, sizeof(text), ms) : "-");
}

static void
put_task_row(FILE *f, const struct report_task *r)
{
	const struct msg_task_info *t = r->task->info;
	char money[32];

	fprintf(f, "| %s | ", t->task);
	put(f, t->title);
	fputs(" | ", f);
	put(f, t->state);
	fprintf(f, " | %llu | %llu | ", (unsigned long long)t->attempt, (unsigned long long)t->rework);
	put_age(f, r->ms[REPORT_WORK] + r->ms[REPORT_AGAIN]);
	put_age(f, r->ms[REPORT_QUEUED] + r->ms[REPORT_WAITING] + r->ms[REPORT_BACK]);
	fprintf(f, "%llu, +%llu -%llu | %.12s | %s |\n", (unsigned long long)t->files,
	    (unsigned long long)t->insertions, (unsigned long long)t->deletions,
	    t->head == NULL ? "-" : t->head,
	    t->cost_uusd == 0 ? "-" : line_money(money, sizeof(money), t->cost_uusd));
}

static void
put_missing(FILE *f, const struct report *r)
{
	bool any = false;

	for (size_t i = 0; i < r->count; i++) {
		const struct msg_task_info *t = r->tasks[i].task->info;

		if (!r->tasks[i].missing)
			continue;
		fputs(any ? "" : "\n## Missing\n\n", f);
		any = true;
		fprintf(f, "- %s (", t->task);
		put(f, t->title);
		fputs("): ", f);
		put(f, t->state);
		if (t->reason != NULL) {
			fputs(", ", f);
			put(f, t->reason);
		}
		fputc('\n', f);
	}
}

static void
put_gates(FILE *f, const struct report *r)
{
	bool any = false;

	for (size_t i = 0; i < r->count; i++)
		for (size_t n = 0; n < r->tasks[i].gate_count; n++) {
			fputs(any ? "" : "\n## Gates\n\n", f);
			any = true;
			fprintf(f, "- %s: ", r->tasks[i].task->info->task);
			put(f, r->tasks[i].gates[n]);
			fputc('\n', f);
		}
}

static void
put_saved(FILE *f, const struct view_run *r)
{
	bool any = false;

	for (size_t i = 0; i < r->count; i++) {
		const struct msg_task_info *t = r->tasks[i].info;

		if (t->saved == NULL)
			continue;
		if (!any)
			fputs("\n## Saved work\n\nNo branch holds it.\n\n", f);
		any = true;
		fprintf(f, "- %s: ", t->task);
		put(f, t->saved);
		fputc('\n', f);
	}
}

void
out_markdown(struct out *o, const struct view *v, const struct report *rep)
{
	const struct view_run *r = rep->run;
	char when[32];

	fprintf(o->f, "# Run %s: ", r->id);
	put(o->f, r->info->title);
	fputs("\n\n**", o->f);
	put(o->f, r->info->state);
	fputs("**", o->f);
	if (r->info->reason != NULL) {
		fputs(": ", o->f);
		put(o->f, r->info->reason);
	}
	fputs("\n\n", o->f);
	put_totals(o->f, r->info);
	fputs("\n| task | title | state | attempts | sent back | work | waited | changes | commit | cost |\n"
	      "|---|---|---|---|---|---|---|---|---|---|\n",
	    o->f);
	for (size_t i = 0; i < rep->count; i++)
		put_task_row(o->f, &rep->tasks[i]);
	put_missing(o->f, rep);
	put_saved(o->f, r);
	put_gates(o->f, rep);
	fputs("\n## History\n\n", o->f);
	for (size_t i = 0; i < v->event_count; i++) {
		const struct msg_event_info *ev = &v->events[i]->event_info;

		fprintf(o->f, "- %s ", clock_iso(when, sizeof(when), (int64_t)ev->at));
		put(o->f, ev->task != NULL ? ev->task : ev->run);
		fputc(' ', o->f);
		put(o->f, ev->state != NULL ? ev->state : ev->kind);
		if (ev->text != NULL && ev->text[0] != '\0') {
			fputs(": ", o->f);
			put(o->f, ev->text);
		}
		fputc('\n', o->f);
	}
}
