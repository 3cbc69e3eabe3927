/* review: see review.h. */
#include "supervisor/review.h"

#include "common/alloc.h"
#include "common/json.h"
#include "common/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
review_ask(struct daemon *d, struct run *r, const struct msg_address *m, const char **done, struct err *e)
{
	bool ended = run_state_ended(run_state(r));

	if (!r->tokened)
		return err_set(e, -EINVAL,
		    "run %s was submitted without a token for GitHub: it has no pull request", r->id);
	if (ended && (r->director->plan == NULL || r->branch == NULL))
		return err_set(e, -EINVAL, "run %s is %s and has no work that could be reviewed", r->id,
		    run_state_name(run_state(r)));
	r->review_pull = (int64_t)m->pull;
	r->review_trust = m->trust;
	if (m->rounds > 0)
		r->review_max = (int64_t)m->rounds;
	if (ended)
		effect_reopen_run(d, r, "asked for by orchctl address");
	else
		r->review_asked = true;
	effect_mark_run(d, r);
	*done = ended ? "what was said of the pull request is taken up; orchctl status --watch shows it"
		      : "the run is at work: it takes up what was said of the pull request before it ends";
	return 0;
}

bool
review_goes_before_end(struct daemon *d, struct run *r)
{
	bool asked = r->review_asked && !r->cancelled && !r->epilogue;

	if (!asked)
		return false;
	r->review_asked = false;
	effect_mark_run(d, r);
	return true;
}

/* Has it handed in work that is part of the result? */
static struct task *
find_done(struct run *r, const json_t *item, struct err *e)
{
	const char *id = json_str(item, "task"), *text = json_str(item, "text");
	struct task *t = id == NULL ? NULL : run_find_task(r, id);

	if (t == NULL || t->level == 0 || text == NULL || strlen(text) > EVIDENCE_MAX)
		err_set(e, -EINVAL, "the review names no task, or says nothing or too much about it");
	else if (task_state(t) != TASK_INTEGRATED)
		err_set(e, -EINVAL, "%s is %s: nothing of it is there to be reviewed", t->id,
		    task_state_name(task_state(t)));
	else
		return t;
	return NULL;
}

static int
check_tasks(struct run *r, const json_t *tasks, struct err *e)
{
	const json_t *item;
	size_t i;

	json_array_foreach (tasks, i, item)
		if (find_done(r, item, e) == NULL)
			return -EINVAL;
	return 0;
}

static void
mark(struct daemon *d, struct task *t)
{
	t->review_round = t->run->review_round;
	xreplace(&t->review, NULL);
	xreplace(&t->review_said, NULL);
	xreplace(&t->kept_base, t->base);
	xreplace(&t->kept_head, t->head);
	effect_mark_task(d, t);
}

static void
send_back(struct daemon *d, struct task *t, const char *text)
{
	mark(d, t);
	xreplace(&t->review, text);
	xreplace(&t->evidence, text);
	t->rework = 0;
	effect_task(d, t, TASK_EV_REVIEW, "a review of the pull request asks for changes");
	for (struct task *up = t->parent; up->level > 0; up = up->parent)
		if (up->review_round != t->run->review_round && task_state(up) == TASK_INTEGRATED)
			mark(d, up);
	effect_reopen_above(d, t);
}

int
review_begin(struct daemon *d, struct run *r, uint64_t round, const char *json, struct err *e)
{
	json_t *j, *tasks, *item;
	char *text;
	size_t i;
	int rc;

	if (round <= (uint64_t)r->review_round)
		return 0;
	if (round != (uint64_t)r->review_round + 1 || r->review != NULL || json == NULL)
		return err_set(e, -EINVAL, "round %lld of reviews is not over", (long long)r->review_round);
	j = json_parse("review", json, strlen(json), e);
	if (j == NULL)
		return -EINVAL;
	tasks = json_object_get(j, "tasks");
	rc = check_tasks(r, tasks, e);
	if (rc == 0) {
		r->review_round++;
		xreplace(&r->review, json);
		/* Areas first: one that goes back to work itself is not just opened for its tasks. */
		for (int level = 1; level <= 2; level++)
			json_array_foreach (tasks, i, item) {
				struct task *t = run_find_task(r, json_str(item, "task"));

				if (t->level == level)
					send_back(d, t, json_str(item, "text"));
			}
		text = xasprintf("round %lld of reviews begins", (long long)r->review_round);
		store_add_event(d->store, r->id, NULL, "review", NULL, text);
		effect_mark_run(d, r);
		free(text);
	}
	json_decref(j);
	return rc;
}

void
review_over(struct daemon *d, struct run *r, uint64_t round)
{
	char *text;

	if (r->review == NULL || round != (uint64_t)r->review_round)
		return;
	xreplace(&r->review, NULL);
	text = xasprintf("round %lld of reviews is answered", (long long)r->review_round);
	store_add_event(d->store, r->id, NULL, "review", NULL, text);
	effect_mark_run(d, r);
	free(text);
}

bool
review_falls_back(const struct task *t)
{
	return t->review_round > 0 && t->run->review != NULL && t->review_round == t->run->review_round &&
	       task_state(t) != TASK_INTEGRATED;
}

void
review_fall_back(struct task *t)
{
	xreplace(&t->base, t->kept_base);
	xreplace(&t->head, t->kept_head);
}

void
review_keep_evidence(struct task *t, const char *evidence)
{
	static const char between[] = "\n\nThis is work on a review, which must still be done:\n\n";
	size_t room = EVIDENCE_MAX - sizeof(between);
	char *first, *all;

	if (!review_falls_back(t) || t->review == NULL || strlen(t->review) >= room) {
		xreplace(&t->evidence, evidence);
		return;
	}
	first = text_utf8(evidence, strlen(evidence), room - strlen(t->review) - 8);
	all = xasprintf("%s%s%s", first, between, t->review);
	xreplace(&t->evidence, all);
	free(first);
	free(all);
}

void
review_assign(const struct run *r, struct msg_assign *m)
{
	m->review_round = (uint64_t)r->review_round;
	m->review_max = r->review_max > 0 ? (uint64_t)r->review_max : r->conf.review_rounds;
	m->review_pull = (uint64_t)r->review_pull;
	m->review_trust = r->review_trust != 0;
}
