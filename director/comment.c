/* comment: see comment.h. Written at falling levels of detail until it fits. */
#include "director/comment.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/markdown.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TITLE_MAX 120
#define REASON_MAX 1000
#define BAR_CELLS 20

/* What is left out, each with all before it. */
enum detail { ALL, NO_DONE_ROWS, SHORT_REASONS, NO_FOLDS, FEW_AREAS, VERDICT_ONLY };

#define AREAS_FEW 10

struct page {
	FILE *f;
	const struct view_run *r;
	const struct comment_facts *facts;
	enum detail detail;
	bool pull;      /* the body of a pull request */
	uint64_t issue; /* of it */
};

const char *const comment_labels[] = {
    "orch:running", "orch:needs-human", "orch:complete", "orch:partial", "orch:failed", NULL};

/* A cancelled run has failed, as far as a list of issues is concerned. */
const char *
comment_label(const struct view_run *r)
{
	if (view_run_ended(r) && r->info->question == NULL) {
		if (strcmp(r->info->state, "complete") == 0)
			return "orch:complete";
		return strcmp(r->info->state, "partial") == 0 ? "orch:partial" : "orch:failed";
	}
	return r->info->question != NULL ? "orch:needs-human" : "orch:running";
}

static size_t
reason_max(const struct page *p)
{
	return p->detail >= SHORT_REASONS ? 120 : REASON_MAX;
}

static void
put_link(FILE *f, const char *words, const char *url)
{
	if (url != NULL)
		fprintf(f, "[%s](<%s>)", words, url);
	else
		fputs(words, f);
}

/* Ours, but for what a server answered: nothing in it ends the link. */
static const char *
safe_url(const char *url)
{
	if (url == NULL || (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0))
		return NULL;
	return strpbrk(url, "<> \t\r\n\\") == NULL ? url : NULL;
}

static void
put_head(const struct page *p)
{
	const struct msg_run_info *i = p->r->info;

	if (p->pull && p->issue != 0)
		fprintf(p->f, "%s #%" PRIu64 ".\n\n",
		    strcmp(i->state, "complete") == 0 ? "Closes" : "Part of", p->issue);
	if (!p->pull)
		fprintf(p->f, "%s\n", COMMENT_MARKER);
	fprintf(p->f, "### orch: %s", i->stopped ? "stopped" : i->state);
	if (i->tasks > 0 && !view_run_ended(p->r))
		fprintf(p->f, ", %" PRIu64 " of %" PRIu64 " tasks done", i->integrated, i->tasks);
	fputs("\n\n", p->f);
}

static void
put_until(FILE *f, uint64_t until)
{
	char when[32];

	if (until != 0)
		fprintf(f, " until %s", clock_iso(when, sizeof(when), (int64_t)until / 1000 * 1000));
}

static void
put_person(const struct page *p)
{
	const struct msg_run_info *i = p->r->info;

	if (i->question != NULL && view_run_ended(p->r)) {
		fputs("> **This waits for a person:** ", p->f);
		markdown_text(p->f, i->question, TEXT_MAX);
		fputs("\n\n", p->f);
	} else if (i->question != NULL) {
		fputs("> **A question waits for an answer:** ", p->f);
		markdown_text(p->f, i->question, TEXT_MAX);
		fputs("\n>\n> Answer with a comment: `/orch answer` and your words.\n\n", p->f);
	}
	if (i->stopped && !view_run_ended(p->r))
		fputs("> **Somebody stopped it.** `/orch resume` goes on.\n\n", p->f);
	if (p->facts->problem != NULL) {
		fputs("> **GitHub:** ", p->f);
		markdown_text(p->f, p->facts->problem, REASON_MAX);
		fputs("\n\n", p->f);
	}
}

/* A limit holds the run up: said first, so that nobody looks for a fault. */
static void
put_limit(const struct page *p)
{
	const struct view_task *first;
	size_t n = view_run_ended(p->r) ? 0 : view_limited(p->r, &first);
	char when[32];

	if (n == 0)
		return;
	fprintf(p->f, "> **Waiting until %s** (%zu task%s, by itself): ",
	    first->info->wait_until > 0
		? clock_iso(when, sizeof(when), (int64_t)first->info->wait_until / 1000 * 1000)
		: "a person gives other keys",
	    n, n == 1 ? "" : "s");
	markdown_text(p->f, first->info->reason, REASON_MAX);
	fputs("\n\n", p->f);
}

static void
put_verdict(const struct page *p)
{
	const struct msg_run_info *i = p->r->info;
	const char *pull = safe_url(p->facts->pull_url);

	if (i->reason != NULL) {
		fputs("**Why:** ", p->f);
		markdown_text(p->f, i->reason, TEXT_MAX);
		fputs("\n\n", p->f);
	}
	if (pull != NULL)
		fprintf(p->f, "**Result:** <%s>\n\n", pull);
}

static void
put_bar(const struct page *p)
{
	const struct msg_run_info *i = p->r->info;
	uint64_t cells = i->tasks == 0 ? 0 : i->integrated * BAR_CELLS / i->tasks;

	if (i->tasks == 0)
		return;
	fputc('`', p->f);
	for (uint64_t c = 0; c < BAR_CELLS; c++)
		fputs(c < cells ? "\xe2\x96\x88" : "\xe2\x96\x91", p->f);
	fprintf(p->f, "` %" PRIu64 " %%", i->integrated * 100 / i->tasks);
	if (i->failed > 0)
		fprintf(p->f, ", %" PRIu64 " failed", i->failed);
	fputs("\n\n", p->f);
}

/* What needs an eye, the worst first. */
static void
put_troubles(const struct page *p)
{
	static const char *const words[] = {"failed", "keeps crashing", "sent back", "waits"};
	bool any = false;

	for (int trouble = VIEW_FAILED; trouble < VIEW_FINE; trouble++) {
		for (size_t i = 0; i < p->r->count; i++) {
			const struct view_task *t = &p->r->tasks[i];

			if ((int)view_trouble(t) != trouble || t->info->reason == NULL || t->em == 0)
				continue;
			fprintf(p->f, "- `%s` %s", t->info->task, words[trouble]);
			if (trouble == VIEW_WAITING)
				put_until(p->f, t->info->wait_until);
			fputs(": ", p->f);
			markdown_text(p->f, t->info->reason, reason_max(p));
			fputc('\n', p->f);
			any = true;
		}
	}
	if (any)
		fputc('\n', p->f);
}

static const struct view_task *
next_of_area(const struct page *p, const struct view_task *t)
{
	const struct view_task *end = p->r->tasks + p->r->count;

	return t + 1 < end && t[1].em == t->em && t[1].worker != 0 ? t + 1 : NULL;
}

static void
count_area(const struct page *p, const struct view_task *em, size_t *done, size_t *all)
{
	*done = *all = 0;
	for (const struct view_task *t = next_of_area(p, em); t != NULL; t = next_of_area(p, t)) {
		*all += 1;
		*done += strcmp(t->info->state, "integrated") == 0;
	}
}

static void
put_areas(const struct page *p)
{
	size_t shown = 0, areas = 0;

	for (size_t i = 0; i < p->r->count; i++) {
		const struct view_task *t = &p->r->tasks[i];
		size_t done, all;

		if (t->em == 0 || t->worker != 0)
			continue;
		if (areas++ == 0)
			fputs("| area | state | tasks | files |\n|---|---|---|---|\n", p->f);
		if (p->detail >= FEW_AREAS && shown == AREAS_FEW)
			continue;
		shown++;
		count_area(p, t, &done, &all);
		fprintf(p->f, "| em%d ", t->em);
		markdown_text(p->f, t->info->title, TITLE_MAX);
		fprintf(
		    p->f, " | %s | %zu of %zu | %" PRIu64 " |\n", t->info->state, done, all, t->info->files);
	}
	if (areas > shown)
		fprintf(p->f, "\n%zu more areas.\n", areas - shown);
	if (areas > 0)
		fputc('\n', p->f);
}

static void
put_row(const struct page *p, const struct view_task *t)
{
	fprintf(p->f, "| w%d ", t->worker);
	markdown_text(p->f, t->info->title, TITLE_MAX);
	fprintf(p->f, " | %s", t->info->state);
	if (t->info->wait_until != 0)
		put_until(p->f, t->info->wait_until);
	fprintf(p->f, " | %" PRIu64 " | %" PRIu64 " | ", t->info->attempt, t->info->files);
	markdown_text(p->f, t->info->reason, reason_max(p));
	fputs(" |\n", p->f);
}

static void
put_fold(const struct page *p, const struct view_task *em)
{
	size_t done, all, left_out = 0;

	count_area(p, em, &done, &all);
	if (all == 0)
		return;
	fprintf(p->f, "<details><summary>em%d: %zu of %zu tasks done</summary>\n\n", em->em, done, all);
	fputs("| task | state | attempts | files | note |\n|---|---|---|---|---|\n", p->f);
	for (const struct view_task *t = next_of_area(p, em); t != NULL; t = next_of_area(p, t)) {
		if (p->detail >= NO_DONE_ROWS && strcmp(t->info->state, "integrated") == 0)
			left_out++;
		else
			put_row(p, t);
	}
	if (left_out > 0)
		fprintf(p->f, "\n%zu that are done are not shown.\n", left_out);
	fputs("\n</details>\n\n", p->f);
}

static void
put_saved(const struct page *p)
{
	for (size_t i = 0; i < p->r->count; i++) {
		const struct msg_task_info *t = p->r->tasks[i].info;

		if (t->saved == NULL)
			continue;
		fprintf(p->f, "- Work of `%s` that no branch holds is in ", t->task);
		markdown_code(p->f, t->saved, REF_MAX);
		fputs(" of the machine that it ran on.\n", p->f);
	}
}

static void
put_foot(const struct page *p)
{
	const struct msg_run_info *i = p->r->info;
	const char *job = safe_url(p->facts->job_url);
	char text[32];

	if (i->branch != NULL) {
		fputs("Branch ", p->f);
		if (safe_url(p->facts->branch_url) != NULL)
			put_link(p->f, "on GitHub", safe_url(p->facts->branch_url));
		else
			markdown_code(p->f, i->branch, REF_MAX);
		fputs(". ", p->f);
	}
	if (i->files > 0)
		fprintf(p->f, "%" PRIu64 " files, +%" PRIu64 " -%" PRIu64 " lines. ", i->files, i->insertions,
		    i->deletions);
	if (i->cost_uusd > 0)
		fprintf(p->f, "$%" PRIu64 ".%02" PRIu64 ". ", i->cost_uusd / 1000000,
		    i->cost_uusd % 1000000 / 10000);
	if (i->ended_at != 0 && i->started_at != 0)
		fprintf(
		    p->f, "Took %s. ", clock_age(text, sizeof(text), (int64_t)(i->ended_at - i->started_at)));
	else if (i->started_at != 0)
		fprintf(
		    p->f, "Since %s. ", clock_iso(text, sizeof(text), (int64_t)i->started_at / 1000 * 1000));
	if (job != NULL) {
		put_link(p->f, "Log of the workflow", job);
		fputs(". ", p->f);
	}
	fprintf(p->f, "<sub>Run %s of orch%s.</sub>\n", p->r->id, p->pull ? "" : ", edited in place");
}

static void
put_page(const struct page *p)
{
	put_head(p);
	put_limit(p);
	put_person(p);
	put_verdict(p);
	if (p->detail < VERDICT_ONLY) {
		put_bar(p);
		put_troubles(p);
		put_areas(p);
		for (size_t i = 0; i < p->r->count && p->detail < NO_FOLDS; i++)
			if (p->r->tasks[i].em != 0 && p->r->tasks[i].worker == 0)
				put_fold(p, &p->r->tasks[i]);
		put_saved(p);
	}
	put_foot(p);
	if (p->detail > ALL)
		fputs("\n<sub>Shortened to what GitHub takes.</sub>\n", p->f);
}

static char *
render(struct page p, size_t max)
{
	for (;; p.detail++) {
		char *text = NULL;
		size_t size = 0;

		p.f = open_memstream(&text, &size);
		if (p.f == NULL)
			fatal("open_memstream: %s", strerror(errno));
		put_page(&p);
		fclose(p.f);
		if (size <= max || p.detail == VERDICT_ONLY)
			return text;
		free(text);
	}
}

char *
comment_render(const struct view_run *r, const struct comment_facts *facts, size_t max)
{
	return render((struct page){.r = r, .facts = facts}, max);
}

char *
comment_pull_text(const struct view_run *r, const struct comment_facts *facts, uint64_t issue, size_t max)
{
	return render((struct page){.r = r, .facts = facts, .pull = true, .issue = issue}, max);
}
