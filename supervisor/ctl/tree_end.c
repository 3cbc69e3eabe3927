/* tree_end: the last words of a run (see tree.h). Every end says what is there, what is not, and what to do.
 */
#include "supervisor/ctl/tree.h"

#include "common/clock.h"
#include "common/taskid.h"
#include "supervisor/ctl/report.h"

#include <stdio.h>
#include <string.h>

#define COLUMN 10
#define MISSING_MAX 20 /* more are named by orchctl status */

static void
label(struct lines *out, const char *name)
{
	line_add(out, LINE_DIM, name);
	line_to(out, COLUMN);
}

static void
row(struct lines *out, const char *name, const char *value)
{
	label(out, name);
	line_wrap(out, LINE_PLAIN, value, COLUMN);
	line_end(out);
}

static void
add_branch(const struct msg_run_info *i, struct lines *out)
{
	if (i->branch == NULL)
		return;
	label(out, "branch");
	line_add(out, LINE_BOLD, i->branch);
	if (i->base_branch != NULL) {
		line_gap(out, 1);
		line_addf(out, LINE_DIM, "from %s", i->base_branch);
	}
	line_end(out);
}

static void
add_figures(const struct msg_run_info *i, struct lines *out)
{
	char text[128], a[32], b[32];

	snprintf(text, sizeof(text), "%llu done, %llu failed, of %llu", (unsigned long long)i->integrated,
	    (unsigned long long)i->failed, (unsigned long long)i->tasks);
	row(out, "tasks", text);
	if (i->files != 0) {
		snprintf(text, sizeof(text), "%llu file%s, +%llu -%llu lines", (unsigned long long)i->files,
		    i->files == 1 ? "" : "s", (unsigned long long)i->insertions,
		    (unsigned long long)i->deletions);
		row(out, "changes", text);
	}
	if (i->started_at != 0 && i->ended_at >= i->started_at)
		row(out, "time", clock_age(text, sizeof(text), (int64_t)(i->ended_at - i->started_at)));
	if (i->cost_uusd != 0 || i->tokens_in != 0 || i->tokens_out != 0) {
		size_t n = 0;

		if (i->cost_uusd != 0)
			n = (size_t)snprintf(
			    text, sizeof(text), "%s, ", line_money(a, sizeof(a), i->cost_uusd));
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s tokens in, %s out",
		    line_count(a, sizeof(a), i->tokens_in), line_count(b, sizeof(b), i->tokens_out));
		if (i->cost_uusd != 0 && i->prices != NULL)
			snprintf(text + n, sizeof(text) - n, " (prices of %s)", i->prices);
		row(out, "cost", text);
	}
}

static void
add_missing(const struct view_run *r, struct lines *out)
{
	size_t shown = 0, all = 0;

	for (size_t n = 0; n < r->count; n++) {
		const struct msg_task_info *i = r->tasks[n].info;

		if (!report_is_missing(r, n) || ++all > MISSING_MAX)
			continue;
		label(out, shown++ == 0 ? "missing" : "");
		line_addf(out, LINE_PLAIN, "%s ", i->task);
		line_gap(out, 1);
		line_add(out, tree_state_style(i->state), i->state);
		line_gap(out, 1);
		line_addf(out, LINE_PLAIN, "(%.200s)", i->title);
		if (i->reason != NULL) {
			line_add(out, LINE_PLAIN, ":");
			line_gap(out, 1);
			line_wrap(out, LINE_PLAIN, i->reason, COLUMN + 2);
		}
		line_end(out);
	}
	if (all > shown) {
		label(out, "");
		line_addf(out, LINE_DIM, "... and %zu more", all - shown);
		line_end(out);
	}
}

/* Work that no branch holds and that is easily overlooked. */
static void
add_saved(const struct view_run *r, struct lines *out)
{
	size_t shown = 0;

	for (size_t n = 0; n < r->count && shown < MISSING_MAX; n++) {
		const char *ref = r->tasks[n].info->saved;

		if (ref == NULL)
			continue;
		label(out, shown++ == 0 ? "saved" : "");
		line_addf(out, LINE_PLAIN, "%s ", r->tasks[n].info->task);
		line_gap(out, 1);
		line_add(out, LINE_PLAIN, ref);
		line_end(out);
	}
}

static const struct view_task *
first_failed(const struct view_run *r)
{
	for (size_t n = 0; n < r->count; n++)
		if (report_is_missing(r, n) && strcmp(r->tasks[n].info->state, "failed") == 0)
			return &r->tasks[n];
	return NULL;
}

static void
add_next(const struct view_run *r, struct lines *out)
{
	const struct msg_run_info *i = r->info;
	const struct view_task *failed = first_failed(r);
	size_t n = 0;

	if (failed != NULL) {
		label(out, n++ == 0 ? "next" : "");
		line_addf(out, LINE_PLAIN, "orchctl logs %s", failed->info->task);
		line_end(out);
		label(out, n++ == 0 ? "next" : "");
		line_addf(out, LINE_PLAIN, "orchctl retry %s", failed->info->task);
		line_end(out);
	}
	if (i->branch != NULL && i->integrated != 0 && view_run_ended(r)) {
		label(out, n++ == 0 ? "next" : "");
		line_addf(out, LINE_PLAIN, "git merge %s", i->branch);
		line_end(out);
	}
	if (n == 0 && !view_run_ended(r)) {
		label(out, "next");
		line_addf(out, LINE_PLAIN, "orchctl status %s --watch", r->id);
		line_end(out);
	} else if (n == 0) {
		label(out, "next");
		line_addf(out, LINE_PLAIN, "orchctl logs %s", r->id);
		line_end(out);
		if (strcmp(i->state, "failed") == 0) {
			label(out, "");
			line_addf(out, LINE_PLAIN, "orchctl retry %s", r->id);
			line_end(out);
		}
	}
}

void
tree_end(const struct view_run *r, struct lines *out)
{
	const struct msg_run_info *i = r->info;

	line_add(out, tree_state_style(i->state), i->state);
	line_add(out, LINE_PLAIN, ":");
	line_gap(out, 1);
	line_add(out, LINE_BOLD, i->title);
	line_end(out);
	if (i->reason != NULL && i->reason[0] != '\0')
		row(out, "reason", i->reason);
	add_branch(i, out);
	add_figures(i, out);
	add_missing(r, out);
	add_saved(r, out);
	add_next(r, out);
}
