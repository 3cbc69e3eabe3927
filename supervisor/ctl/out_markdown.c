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
		fprintf(f, "- cost: %s\n", line_money(text, sizeof(text), i->cost_uusd));
}

static void
put_task_row(FILE *f, const struct msg_task_info *t)
{
	fprintf(f, "| %s | ", t->task);
	put(f, t->title);
	fputs(" | ", f);
	put(f, t->state);
	fprintf(f, " | %llu | %llu | ", (unsigned long long)t->attempt, (unsigned long long)t->files);
	put(f, t->reason);
	fputs(" |\n", f);
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
out_markdown(struct out *o, const struct view *v, const struct view_run *r)
{
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
	fputs("\n| task | title | state | attempts | files | reason |\n|---|---|---|---|---|---|\n", o->f);
	for (size_t i = 0; i < r->count; i++)
		put_task_row(o->f, r->tasks[i].info);
	put_saved(o->f, r);
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
