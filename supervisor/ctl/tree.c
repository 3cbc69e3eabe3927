/* tree: see tree.h. */
#include "supervisor/ctl/tree.h"

#include "common/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define COLUMN_STATE 12 /* where the columns of a task's line begin */
#define COLUMN_AGE 23
#define COLUMN_TEXT 32
#define PROBLEMS_SHARE 3 /* problems take at most a third of a limited height */
#define PROBLEMS_LEAST 3
#define DAY_MS 86400000

enum line_style
tree_state_style(const char *state)
{
	static const struct {
		const char *state;
		enum line_style style;
	} styles[] = {
	    {"integrated", LINE_GOOD},
	    {"done", LINE_GOOD},
	    {"complete", LINE_GOOD},
	    {"running", LINE_BUSY},
	    {"planning", LINE_BUSY},
	    {"landing", LINE_BUSY},
	    {"submitted", LINE_BUSY},
	    {"rework", LINE_WARN},
	    {"waiting", LINE_WARN},
	    {"partial", LINE_WARN},
	    {"parked", LINE_BAD},
	    {"failed", LINE_BAD},
	    {"cancelled", LINE_DIM},
	    {"queued", LINE_DIM},
	};

	for (size_t i = 0; i < sizeof(styles) / sizeof(styles[0]); i++)
		if (strcmp(styles[i].state, state) == 0)
			return styles[i].style;
	return LINE_PLAIN;
}

/*
 * A word for the eye: a parked process matters more than what its task was doing, and the director's own task
 * is integrated into nothing.
 */
static const char *
shown_state(const struct view_task *t)
{
	if (view_trouble(t) == VIEW_PARKED)
		return "parked";
	if (strchr(t->info->task, '/') == NULL && strcmp(t->info->state, "integrated") == 0)
		return "done";
	return t->info->state;
}

static const char *
short_id(const char *task)
{
	const char *slash = strchr(task, '/');

	return slash == NULL ? "director" : slash + 1;
}

/* How long something has been as it is; for what has ended, how long it took. */
static int64_t
task_age(const struct view_task *t, int64_t now_ms)
{
	const struct msg_task_info *i = t->info;

	if (i->ended_at != 0)
		return i->started_at == 0 ? 0 : (int64_t)(i->ended_at - i->started_at);
	return now_ms - (int64_t)(i->changed_at != 0 ? i->changed_at : i->created_at);
}

static int64_t
run_age(const struct msg_run_info *r, int64_t now_ms)
{
	uint64_t from = r->started_at != 0 ? r->started_at : r->created_at;

	return (r->ended_at != 0 ? (int64_t)r->ended_at : now_ms) - (int64_t)from;
}

/* ", " between details; the first has none. */
static void
detail(struct lines *l, bool *first, enum line_style style, const char *text)
{
	if (!*first) {
		line_add(l, LINE_DIM, ",");
		line_gap(l, 1);
	}
	*first = false;
	line_add(l, style, text);
}

static void
add_usage(struct lines *l, bool *first, uint64_t in, uint64_t out, uint64_t uusd)
{
	char a[32], b[32], text[96];

	if (in != 0 || out != 0) {
		snprintf(text, sizeof(text), "%s + %s tokens", line_count(a, sizeof(a), in),
		    line_count(b, sizeof(b), out));
		detail(l, first, LINE_DIM, text);
	}
	if (uusd != 0)
		detail(l, first, LINE_DIM, line_money(a, sizeof(a), uusd));
}

static void
add_changes(struct lines *l, bool *first, uint64_t files, uint64_t insertions, uint64_t deletions)
{
	char text[96];
	int n;

	if (files == 0)
		return;
	n = snprintf(text, sizeof(text), "%llu file%s", (unsigned long long)files, files == 1 ? "" : "s");
	if (insertions != 0 || deletions != 0)
		snprintf(text + n, sizeof(text) - (size_t)n, " +%llu -%llu", (unsigned long long)insertions,
		    (unsigned long long)deletions);
	detail(l, first, LINE_PLAIN, text);
}

static void
draw_title(const struct view_run *r, struct lines *out)
{
	line_addf(out, LINE_BOLD, "%s", r->id);
	line_gap(out, 2);
	line_add(out, LINE_BOLD, r->info->title);
	line_end(out);
}

static void
draw_head(const struct view_run *r, int64_t now_ms, struct lines *out)
{
	const struct msg_run_info *i = r->info;
	char age[32];
	bool first = true;

	line_add(out, tree_state_style(i->state), i->stopped ? "stopped" : i->state);
	line_gap(out, 1);
	line_addf(out, LINE_PLAIN, "%s %s", i->ended_at != 0 ? "after" : "for",
	    clock_age(age, sizeof(age), run_age(i, now_ms)));
	if (i->branch != NULL) {
		line_add(out, LINE_DIM, ", branch");
		line_gap(out, 1);
		line_add(out, LINE_PLAIN, i->branch);
	}
	if (i->tokens_in != 0 || i->tokens_out != 0 || i->cost_uusd != 0) {
		first = false;
		add_usage(out, &first, i->tokens_in, i->tokens_out, i->cost_uusd);
	}
	line_end(out);
}

/* A limit holds the run up, and nobody has to do anything: before all else, so that nobody looks for a fault.
 */
static void
draw_limit(const struct view_run *r, int64_t now_ms, struct lines *out)
{
	const struct view_task *first;
	size_t n = view_limited(r, &first);
	char when[32] = "a person gives other keys", age[32];
	time_t at;
	struct tm tm;

	if (n == 0)
		return;
	if (first->info->wait_until > 0) {
		at = (time_t)(first->info->wait_until / 1000);
		localtime_r(&at, &tm);
		strftime(when, sizeof(when),
		    (int64_t)first->info->wait_until - now_ms < DAY_MS ? "%H:%M" : "%Y-%m-%d %H:%M", &tm);
	}
	line_addf(out, LINE_WARN, "waiting until %s", when);
	if (first->info->wait_until > (uint64_t)now_ms)
		line_addf(out, LINE_WARN, ", %s more",
		    clock_age(age, sizeof(age), (int64_t)first->info->wait_until - now_ms));
	line_addf(out, LINE_WARN, ", %zu task%s:", n, n == 1 ? "" : "s");
	line_gap(out, 1);
	line_wrap(out, LINE_PLAIN, first->info->reason != NULL ? first->info->reason : "a limit", 2);
	line_end(out);
}

/* How much of its budgets the run has used. */
static void
draw_budgets(const struct msg_run_info *i, int64_t now_ms, struct lines *out)
{
	char used[32], all[32];

	if (i->max_cost_uusd != 0)
		line_addf(out, i->cost_uusd * 10 >= i->max_cost_uusd * 9 ? LINE_BAD : LINE_PLAIN,
		    "; %s of %s", line_money(used, sizeof(used), i->cost_uusd),
		    line_money(all, sizeof(all), i->max_cost_uusd));
	if (i->max_tokens != 0)
		line_addf(out,
		    (i->tokens_in + i->tokens_out) / 9 >= i->max_tokens / 10 ? LINE_BAD : LINE_PLAIN,
		    "; %llu of %llu tokens", (unsigned long long)(i->tokens_in + i->tokens_out),
		    (unsigned long long)i->max_tokens);
	if (i->max_minutes != 0)
		line_addf(out, LINE_PLAIN, "; %s of %llu min",
		    clock_age(used, sizeof(used), run_age(i, now_ms)), (unsigned long long)i->max_minutes);
}

static void
draw_limits(const struct view_run *r, int64_t now_ms, struct lines *out)
{
	const struct msg_run_info *i = r->info;

	line_addf(out, LINE_PLAIN, "EMs %llu/%llu, workers %llu/%llu, waiting %llu",
	    (unsigned long long)i->ems, (unsigned long long)i->max_ems, (unsigned long long)i->workers,
	    (unsigned long long)(i->max_ems * i->max_workers_per_em), (unsigned long long)i->waiting);
	if (i->tasks != 0) {
		line_addf(out, LINE_PLAIN, "; done %llu of %llu", (unsigned long long)i->integrated,
		    (unsigned long long)i->tasks);
		if (i->failed != 0)
			line_addf(out, LINE_BAD, ", failed %llu", (unsigned long long)i->failed);
	}
	draw_budgets(i, now_ms, out);
	line_end(out);
}

static void
draw_problem(const struct view_task *t, int64_t now_ms, struct lines *out)
{
	const struct msg_task_info *i = t->info;
	char age[32];

	line_gap(out, 2);
	line_add(out, LINE_PLAIN, i->task);
	line_gap(out, 2);
	line_add(out, tree_state_style(shown_state(t)), shown_state(t));
	line_gap(out, 2);
	if (i->wait_until > (uint64_t)now_ms && strcmp(i->state, "waiting") == 0)
		line_addf(out, LINE_PLAIN,
		    "%s more: ", clock_age(age, sizeof(age), (int64_t)i->wait_until - now_ms));
	else
		line_addf(out, LINE_PLAIN, "%s: ",
		    clock_age(
			age, sizeof(age), now_ms - (int64_t)(i->changed_at ? i->changed_at : i->created_at)));
	line_gap(out, 1);
	line_add(out, LINE_PLAIN, i->reason != NULL ? i->reason : "no reason was given");
	line_end(out);
}

static size_t
count_trouble(const struct view_run *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++)
		n += view_trouble(&r->tasks[i]) != VIEW_FINE;
	return n;
}

/* What to type. */
static void
add_how(const struct msg_run_info *i, struct lines *out)
{
	if (!i->asked)
		return;
	line_gap(out, 2);
	line_add(out, LINE_DIM, "answer with");
	line_gap(out, 1);
	if (strcmp(i->state, "approval") == 0) {
		line_addf(out, LINE_BOLD, "orchctl answer %s yes", i->run);
		line_add(out, LINE_DIM, "; no ends the run, other words go to the planning agent");
		line_end(out);
		line_gap(out, 2);
		line_add(out, LINE_DIM, "the whole plan:");
		line_gap(out, 1);
		line_addf(out, LINE_PLAIN, "orchctl plan --show %s", i->run);
	} else {
		line_addf(out, LINE_BOLD, "orchctl answer %s \"YOUR WORDS\"", i->run);
	}
	line_end(out);
}

static void
draw_problems(const struct view_run *r, size_t height, int64_t now_ms, struct lines *out)
{
	size_t all = count_trouble(r), max = all, shown = 0;

	if (r->info->question != NULL) {
		line_add(out, LINE_BAD, "asks you:");
		line_gap(out, 1);
		line_wrap(out, LINE_PLAIN, r->info->question, 2);
		line_end(out);
		add_how(r->info, out);
	}
	if (r->info->reason != NULL && all == 0) {
		line_add(out, LINE_WARN, r->info->reason);
		line_end(out);
	}
	if (all == 0 || (all == 1 && r->info->asked)) /* its director waits, as was said */
		return;
	if (height != 0 && max > height / PROBLEMS_SHARE)
		max = height / PROBLEMS_SHARE < PROBLEMS_LEAST ? PROBLEMS_LEAST : height / PROBLEMS_SHARE;
	line_add(out, LINE_BOLD, "problems");
	line_end(out);
	for (int trouble = VIEW_FAILED; trouble < VIEW_FINE; trouble++)
		for (size_t i = 0; i < r->count && shown < max; i++)
			if ((int)view_trouble(&r->tasks[i]) == trouble) {
				draw_problem(&r->tasks[i], now_ms, out);
				shown++;
			}
	if (shown < all) {
		line_gap(out, 2);
		line_addf(out, LINE_DIM, "... and %zu more problems", all - shown);
		line_end(out);
	}
}

/* What it is doing, with the age of that news once it is not fresh. */
static void
add_doing(struct lines *l, bool *first, const struct msg_task_info *i, int64_t now_ms)
{
	int64_t age_ms = now_ms - (int64_t)i->doing_at;
	char age[32];

	if (i->doing == NULL || i->doing[0] == '\0')
		return;
	detail(l, first, LINE_PLAIN, i->doing);
	if (i->doing_at != 0 && age_ms >= 10000) {
		line_gap(l, 1);
		line_addf(l, LINE_DIM, "(%s)", clock_age(age, sizeof(age), age_ms));
	}
}

static void
draw_task(const struct view_task *t, int64_t now_ms, struct lines *out)
{
	const struct msg_task_info *i = t->info;
	size_t indent = t->worker != 0 ? 4 : t->em != 0 ? 2 : 0;
	bool first = false;
	char text[64];

	line_gap(out, indent);
	/* Below its parent the last part names it. */
	line_add(out, t->worker == 0 ? LINE_BOLD : LINE_PLAIN,
	    t->worker != 0 ? strrchr(i->task, '/') + 1 : short_id(i->task));
	line_to(out, COLUMN_STATE);
	line_add(out, tree_state_style(shown_state(t)), shown_state(t));
	line_to(out, COLUMN_AGE);
	line_add(out, LINE_DIM, clock_age(text, sizeof(text), task_age(t, now_ms)));
	line_to(out, COLUMN_TEXT);
	line_add(out, LINE_PLAIN, i->title);
	if (i->attempt > 1) {
		snprintf(text, sizeof(text), "attempt %llu", (unsigned long long)i->attempt);
		detail(out, &first, LINE_WARN, text);
	}
	if (strcmp(i->unit, "backoff") == 0)
		detail(out, &first, LINE_WARN, "restarting");
	if (!view_task_ended(t))
		add_doing(out, &first, i, now_ms);
	add_changes(out, &first, i->files, i->insertions, i->deletions);
	add_usage(out, &first, i->tokens_in, i->tokens_out, i->cost_uusd);
	if (i->saved != NULL && strcmp(i->unit, "none") == 0) { /* nobody works on from there yet */
		detail(out, &first, LINE_WARN, "saved as");
		line_gap(out, 1);
		line_add(out, LINE_PLAIN, i->saved);
	}
	line_end(out);
}

static bool
is_done(const struct view_task *t)
{
	return strcmp(t->info->state, "integrated") == 0;
}

/* Fewer lines than tasks: what is done goes first, then whatever comes last. */
static void
draw_some(const struct view_run *r, size_t room, int64_t now_ms, struct lines *out)
{
	size_t left = r->count, open = 0, done_room;

	for (size_t i = 0; i < r->count; i++)
		open += !is_done(&r->tasks[i]);
	room = room > 0 ? room - 1 : 0;
	done_room = room > open ? room - open : 0;
	for (size_t i = 0; i < r->count && room > 0; i++) {
		if (is_done(&r->tasks[i]) && done_room == 0)
			continue;
		done_room -= is_done(&r->tasks[i]);
		draw_task(&r->tasks[i], now_ms, out);
		room--;
		left--;
	}
	line_addf(out, LINE_DIM, "... and %zu more", left);
	line_end(out);
}

void
tree_draw(const struct view_run *r, size_t height, int64_t now_ms, struct lines *out)
{
	size_t room, first = out->count;

	if (r->msg == NULL)
		return;
	draw_title(r, out);
	if (!view_run_ended(r))
		draw_limit(r, now_ms, out);
	draw_head(r, now_ms, out);
	draw_limits(r, now_ms, out);
	if (!view_run_ended(r)) /* the last words tell what is missing */
		draw_problems(r, height, now_ms, out);
	room = height > out->count - first ? height - (out->count - first) : 1;
	if (height != 0 && r->count > room) {
		draw_some(r, room, now_ms, out);
		return;
	}
	for (size_t i = 0; i < r->count; i++)
		draw_task(&r->tasks[i], now_ms, out);
}

void
tree_change(const struct view_change *ch, int64_t at_ms, struct lines *out)
{
	const char *state, *reason;
	time_t at = (time_t)(at_ms / 1000);
	struct tm tm;

	localtime_r(&at, &tm);
	line_addf(out, LINE_DIM, "%02d:%02d:%02d", tm.tm_hour, tm.tm_min, tm.tm_sec);
	line_gap(out, 1);
	if (ch->task != NULL) {
		state = shown_state(ch->task);
		reason = ch->task->info->reason;
		line_add(out, LINE_PLAIN, ch->task->info->task);
	} else {
		state = ch->run->info->stopped ? "stopped" : ch->run->info->state;
		reason = ch->run->info->question != NULL ? ch->run->info->question : ch->run->info->reason;
		line_addf(out, LINE_PLAIN, "run %s", ch->run->id);
	}
	line_gap(out, 1);
	line_add(out, tree_state_style(state), state);
	if (ch->task != NULL && ch->fresh && reason == NULL)
		reason = ch->task->info->title;
	if (reason != NULL && reason[0] != '\0') {
		line_add(out, LINE_PLAIN, ":");
		line_gap(out, 1);
		line_add(out, LINE_PLAIN, reason);
	}
	line_end(out);
	if (ch->task == NULL)
		add_how(ch->run->info, out);
}

void
tree_run_row(const struct view_run *r, int64_t now_ms, struct lines *out)
{
	const struct msg_run_info *i = r->info;
	char age[32];

	if (r->msg == NULL)
		return;
	line_add(out, LINE_BOLD, r->id);
	line_to(out, 8);
	line_add(out, tree_state_style(i->state), i->stopped ? "stopped" : i->state);
	line_to(out, 19);
	line_add(out, LINE_DIM, clock_age(age, sizeof(age), run_age(i, now_ms)));
	line_to(out, 28);
	line_addf(
	    out, LINE_PLAIN, "%llu/%llu", (unsigned long long)i->integrated, (unsigned long long)i->tasks);
	line_to(out, 36);
	line_add(out, LINE_PLAIN, i->title);
	line_end(out);
}
