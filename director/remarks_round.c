/* remarks_round: who does what people said, and what they are answered (see remarks.h). */
#include "director/remarks.h"

#include "common/alloc.h"
#include "common/json.h"
#include "common/markdown.h"
#include "common/owns.h"
#include "common/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_BYTES 1000 /* of an answer, from one task */
#define PARTS_MAX 10     /* tasks whose words are in one */
#define HEAD_BYTES 64    /* of a remark's headline, but for the path */

static bool
is_done(const struct view_task *t)
{
	return strcmp(t->info->state, "integrated") == 0;
}

static bool
owns(const struct view_task *t, const char *path)
{
	char **patterns = NULL;
	bool yes = t->info->owns_json != NULL && json_to_strv(t->info->owns_json, &patterns, NULL) == 0 &&
		   owns_match_any((const char *const *)patterns, path);

	strv_free(patterns);
	return yes;
}

/* A task that a lead added itself owns a whole area: it is asked when no other is. */
static int
rank(const struct view_task *t)
{
	if (t->em == 0 || !is_done(t))
		return 0;
	if (t->worker == 0)
		return 1;
	return t->info->key != NULL && strncmp(t->info->key, "rework-", 7) == 0 ? 2 : 3;
}

/* The last one that was planned for it: what comes later in an order built on what was there. */
static const struct view_task *
owner_of(const struct view_run *run, const char *path)
{
	const struct view_task *best = NULL;

	for (size_t i = 0; i < run->count; i++) {
		const struct view_task *t = &run->tasks[i];

		if (rank(t) > 0 && (best == NULL || rank(t) >= rank(best)) && owns(t, path))
			best = t;
	}
	return best;
}

/* The only area whose work there is; NULL: none, or several. */
static const struct view_task *
only_area(const struct view_run *run)
{
	const struct view_task *one = NULL;

	for (size_t i = 0; i < run->count; i++) {
		const struct view_task *t = &run->tasks[i];

		if (t->em == 0 || t->worker != 0 || !is_done(t))
			continue;
		if (one != NULL)
			return NULL;
		one = t;
	}
	return one;
}

struct round {
	const struct view_run *run;
	json_t *tasks, *remarks; /* tasks: object by id while it grows */
	char *general;           /* for an area of its own; NULL: nothing */
	char key[32];
};

static void
append(char **text, const char *more)
{
	char *longer = xasprintf("%s%s", *text == NULL ? "" : *text, more);

	free(*text);
	*text = longer;
}

static char *
headed(const struct remark *r)
{
	if (r->review || r->path == NULL)
		return xasprintf("## On the whole\n\n%s\n", r->text);
	if (r->line == 0)
		return xasprintf("## On %s\n\n%s\n", r->path, r->text);
	return xasprintf("## On %s, line %" PRIu64 " as it was shown\n\n%s\n", r->path, r->line, r->text);
}

static void
give(struct round *n, json_t *to, const struct remark *r, const char *task)
{
	const char *has = json_string_value(json_object_get(n->tasks, task));
	char *text = headed(r), *all = has == NULL ? NULL : xstrdup(has);

	append(&all, text);
	json_object_set_new(n->tasks, task, json_string(all));
	json_array_append_new(to, json_string(task));
	free(text);
	free(all);
}

static void
give_to_own_area(struct round *n, const struct remark *r)
{
	char *text = headed(r);

	append(&n->general, text);
	free(text);
}

/* Tasks that have threads of the same review: its body is about what they do. */
static void
give_to_threads(struct round *n, json_t *to, const struct remarks *all, const struct remark *r)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct remark *x = &all->list[i];
		const struct view_task *t =
		    x->review || x->path == NULL || x->of != r->id ? NULL : owner_of(n->run, x->path);
		json_t *have;
		size_t k;
		bool twice = false;

		json_array_foreach (to, k, have)
			twice |= t != NULL && strcmp(json_string_value(have), t->info->task) == 0;
		if (t != NULL && !twice)
			give(n, to, r, t->info->task);
	}
}

static void
assign(struct round *n, const struct remarks *all, const struct remark *r)
{
	const struct view_task *t = r->path == NULL ? NULL : owner_of(n->run, r->path);
	json_t *to = json_array();

	if (t == NULL && r->review)
		give_to_threads(n, to, all, r);
	if (t == NULL && json_array_size(to) == 0)
		t = only_area(n->run);
	if (t != NULL)
		give(n, to, r, t->info->task);
	else if (json_array_size(to) == 0)
		give_to_own_area(n, r);
	json_array_append_new(n->remarks, json_pack("{s:b, s:I, s:I, s:o}", "review", r->review, "id",
					      (json_int_t)r->id, "upto", (json_int_t)r->upto, "tasks", to));
}

static json_t *
task_list(const struct round *n)
{
	json_t *list = json_array(), *text;
	const char *task;

	json_object_foreach (n->tasks, task, text) {
		char *all = xasprintf(
		    "People have reviewed the pull request that your work went into, and ask for what stands "
		    "below. Do it, as far as it is right and inside what you own. What you do not do, or "
		    "what "
		    "is only a question, needs an answer: say it in your last message, which they will "
		    "read.\n\n%s",
		    json_string_value(text));

		json_array_append_new(list, json_pack("{s:s, s:s}", "task", task, "text", all));
		free(all);
	}
	return list;
}

/* All that any area may change. */
static json_t *
all_owned(const struct view_run *run)
{
	json_t *list = json_array();

	for (size_t i = 0; i < run->count; i++) {
		char **patterns = NULL;

		if (run->tasks[i].em == 0 || run->tasks[i].worker != 0 ||
		    run->tasks[i].info->owns_json == NULL ||
		    json_to_strv(run->tasks[i].info->owns_json, &patterns, NULL) < 0)
			continue;
		for (char **p = patterns; *p != NULL; p++) {
			bool twice = false;

			for (size_t k = 0; k < json_array_size(list); k++)
				twice |= strcmp(json_string_value(json_array_get(list, k)), *p) == 0;
			if (!twice && json_array_size(list) < OWNS_PATTERNS_MAX)
				json_array_append_new(list, json_string(*p));
		}
		strv_free(patterns);
	}
	return list;
}

static json_t *
finish(struct round *n, uint64_t round)
{
	json_t *j = json_pack("{s:o, s:O}", "tasks", task_list(n), "remarks", n->remarks);
	char *goal;

	if (n->general == NULL)
		return j;
	goal = xasprintf(
	    "People have reviewed the pull request that all areas' work went into, and ask for what "
	    "stands below. Plan as few tasks as it takes, one if it can be.\n\n%s",
	    n->general);
	snprintf(n->key, sizeof(n->key), REMARKS_AREA "%" PRIu64, round);
	json_object_set_new(j, "area",
	    json_pack("{s:s, s:s, s:s, s:o}", "key", n->key, "title", "What the review says of the whole",
		"goal", goal, "owns", all_owned(n->run)));
	free(goal);
	return j;
}

static json_t *
make(const struct remarks *r, const struct view_run *run, uint64_t round)
{
	struct round n = {.run = run, .tasks = json_object(), .remarks = json_array()};
	json_t *j;

	for (size_t i = 0; i < r->count; i++)
		assign(&n, r, &r->list[i]);
	j = finish(&n, round);
	json_decref(n.tasks);
	json_decref(n.remarks);
	free(n.general);
	return j;
}

static bool
fits(const json_t *j)
{
	char *text = json_text(j);
	bool yes = strlen(text) < REVIEW_MAX;

	free(text);
	return yes;
}

json_t *
remarks_round(const struct remarks *r, const struct view_run *run, uint64_t round)
{
	struct remarks some = *r;
	size_t bytes = 0;
	bool any = false;

	for (size_t i = 0; i < run->count; i++)
		any |= rank(&run->tasks[i]) > 0;
	if (!any)
		return NULL;
	for (some.count = 0; some.count < r->count && some.count < REMARKS_MAX; some.count++) {
		const struct remark *x = &r->list[some.count];

		bytes += strlen(x->text) + (x->path == NULL ? 0 : strlen(x->path)) + HEAD_BYTES;
		if (some.count > 0 && bytes > REMARKS_BYTES)
			break;
	}
	for (;; some.count--) {
		json_t *j = make(&some, run, round);

		if (some.count <= 1 || fits(j))
			return j;
		json_decref(j);
	}
}

static const struct view_task *
find_key(const struct view_run *run, const char *key)
{
	for (size_t i = 0; i < run->count; i++)
		if (run->tasks[i].worker == 0 && run->tasks[i].em != 0 && run->tasks[i].info->key != NULL &&
		    strcmp(run->tasks[i].info->key, key) == 0)
			return &run->tasks[i];
	return NULL;
}

/* Why a task's part of it is not in what was pushed; NULL: it is. */
static const char *
why_not(const struct view_run *run, const struct view_task *t, uint64_t round)
{
	const struct view_task *up;

	if (t == NULL)
		return "its task is gone";
	if (!is_done(t) || (t->info->review_round == round && t->info->reason != NULL))
		return t->info->reason == NULL ? "it was not finished" : t->info->reason;
	if (t->worker == 0 || t->info->review_round != round)
		return NULL;
	up = t->info->parent == NULL ? NULL : view_task(run, t->info->parent);
	return up == NULL || !is_done(up) || up->info->review_round != round ? NULL : up->info->reason;
}

static void
put_part(FILE *f, const struct view_run *run, const struct view_task *t, uint64_t round, const char *head)
{
	const char *why = why_not(run, t, round);

	if (why == NULL)
		fprintf(f, "Done in %s.", head);
	else
		fputs("Not done, because: ", f);
	if (why == NULL && t->info->said != NULL)
		fputc(' ', f);
	markdown_text(f, why != NULL ? why : t->info->said, WORDS_BYTES);
	fputs("\n\n", f);
}

char *
remarks_answer(const json_t *remark, const struct view_run *run, uint64_t round, const char *head)
{
	const json_t *tasks = json_object_get(remark, "tasks"), *id;
	bool review = json_is_true(json_object_get(remark, "review"));
	char *text = NULL, key[32];
	size_t size = 0, i;
	FILE *f = open_memstream(&text, &size);

	assert(f != NULL);
	json_array_foreach (tasks, i, id)
		if (i < PARTS_MAX)
			put_part(f, run, view_task(run, json_string_value(id)), round, head);
	if (i > PARTS_MAX)
		fprintf(f, "%zu more tasks had it to do, too.\n\n", i - PARTS_MAX);
	if (json_array_size(tasks) == 0) {
		snprintf(key, sizeof(key), REMARKS_AREA "%" PRIu64, round);
		put_part(f, run, find_key(run, key), round, head);
	}
	fprintf(f, REMARK_MARKER "%c%" JSON_INTEGER_FORMAT " -->\n", review ? 'r' : 'c',
	    json_integer_value(json_object_get(remark, review ? "id" : "upto")));
	fclose(f);
	return text;
}
