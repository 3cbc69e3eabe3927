/* ask: see ask.h. */
#include "supervisor/ask.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PLAN_SHOWN_MAX (32 * 1024) /* bytes of a plan that go to an agent that did not write it */

void
ask_person(struct daemon *d, struct run *r, const char *question, bool approval)
{
	xreplace(&r->question, question);
	r->asked_at = clock_wall_ms();
	r->director->wait_until = 0;
	store_add_event(d->store, r->id, NULL, "question", NULL, question);
	if (approval)
		effect_run_state(d, r, RUN_APPROVAL, NULL);
	effect_mark_run(d, r);
}

static int
find_asking(struct daemon *d, const char *id, struct run **found, struct err *e)
{
	struct run *r, *one = NULL;
	unsigned count = 0;

	TAILQ_FOREACH (r, &d->runs, entry)
		if (run_is_asking(r) && (id == NULL || strcmp(r->id, id) == 0)) {
			one = r;
			count++;
		}
	if (count > 1)
		return err_set(e, -EINVAL, "%u runs ask: name the one that is meant", count);
	if (count == 0)
		return id == NULL
			   ? err_set(e, -ENOENT, "no run asks anything")
			   : err_set(e, -ENOENT, "run %s asks nothing: see `orchctl status %s`", id, id);
	*found = one;
	return 0;
}

/* One more entry of what was asked and answered; when it gets too long, the oldest go. */
static void
remember(struct task *t, const char *question, const char *text, bool approval)
{
	const char *plan =
	    approval && t->session == NULL && t->plan != NULL && strlen(t->plan) <= PLAN_SHOWN_MAX ? t->plan
												   : NULL;
	char *all = xasprintf("%s%s%s%s%s: %s\nThe person: %s\n", t->evidence == NULL ? "" : t->evidence,
	    t->evidence == NULL ? "" : "\n", plan == NULL ? "" : "The plan was: ", plan == NULL ? "" : plan,
	    plan == NULL ? (approval ? "You asked whether your plan is right" : "You asked")
			 : "\nIt was asked",
	    question == NULL ? "" : question, text);
	char *kept = text_tail(all, strlen(all), EVIDENCE_MAX - 1);

	xreplace(&t->evidence, kept);
	free(kept);
	free(all);
}

/* The director is wanted again. */
static void
go_on(struct daemon *d, struct run *r, enum run_state s)
{
	r->asked_at = 0;
	xreplace(&r->question, NULL);
	if (!effect_give_way(d, r))
		effect_run_state(d, r, s, NULL);
	if (task_state(r->director) == TASK_WAITING)
		effect_task(d, r->director, TASK_EV_TIME_OVER, NULL);
	effect_mark_run(d, r);
}

static bool
is_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	text += strspn(text, " \t\n");
	return strncasecmp(text, word, n) == 0 && text[n + strspn(text + n, " \t\n.!")] == '\0';
}

int
ask_answer(struct daemon *d, const char *run, const char *text, const char **done, struct err *e)
{
	struct run *r = NULL;
	bool approval;
	char *line;
	int rc = find_asking(d, run, &r, e);

	if (rc < 0)
		return rc;
	if (text[strspn(text, " \t\r\n")] == '\0')
		return err_set(e, -EINVAL, "the answer is empty");
	approval = r->approve != 0 && r->director->plan != NULL; /* one with a question was not stored */
	line = text_line(text, TEXT_MAX - 1);
	store_add_event(d->store, r->id, NULL, "answer", NULL, line);
	free(line);
	if (approval && is_word(text, "no")) {
		effect_cancel_run(d, r, "its plan was refused (orchctl answer no)");
		*done = "the plan is refused, and the run is cancelled";
	} else if (approval && (is_word(text, "yes") || is_word(text, "y"))) {
		r->approve = 0;
		go_on(d, r, RUN_RUNNING);
		*done = "the plan is approved: it is being done";
	} else {
		remember(r->director, r->question, text, approval);
		xreplace(&r->director->plan, NULL);
		effect_mark_task(d, r->director);
		go_on(d, r, RUN_PLANNING);
		*done = "the answer goes to the planning agent";
	}
	return 0;
}
