/* rounds: see rounds.h. */
#include "director/rounds.h"

#include "common/alloc.h"
#include "common/json.h"
#include "common/log.h"
#include "director/review_read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_TRIES 3 /* when answers of GitHub are lost */

int
rounds_open(struct rounds *v, struct role *r, struct err *e)
{
	const struct msg_assign *a = r->assign;

	*v = (struct rounds){.role = r, .round = a->review_round, .look = a->review_pull != 0};
	if (r->review == NULL)
		return 0;
	v->open = json_parse("review", r->review, strlen(r->review), e);
	return v->open == NULL ? -EINVAL : 0;
}

void
rounds_clear(struct rounds *v)
{
	json_decref(v->open);
	free(v->question);
	memset(v, 0, sizeof(*v));
}

int
rounds_staff(struct rounds *v, struct lead *ld, struct err *e)
{
	const json_t *area = json_object_get(v->open, "area");
	const char *key = json_str(area, "key");
	uint64_t ordinal = team_next_ordinal(&ld->role->team);
	char *branch, *owns;
	struct msg_task_add task;
	int rc;

	if (key == NULL || team_find(&ld->role->team, key) != NULL)
		return 0;
	branch = xasprintf("%s%s%" PRIu64, ld->branch, ld->tag, ordinal);
	owns = json_text(json_object_get(area, "owns"));
	task = (struct msg_task_add){.ordinal = ordinal,
	    .key = key,
	    .title = json_str(area, "title"),
	    .goal = json_str(area, "goal"),
	    .owns_json = owns,
	    .branch = branch};
	rc = lead_add(ld, &task, e);
	free(branch);
	free(owns);
	return rc;
}

/* A comment that was deleted meanwhile needs no answer. */
static int
answer_one(
    struct rounds *v, struct publish *p, uint64_t pull, const json_t *remark, const char *head, struct err *e)
{
	struct github *gh = publish_github(p);
	const struct view_run *run = publish_view(p);
	bool review = json_is_true(json_object_get(remark, "review"));
	uint64_t at = (uint64_t)json_integer_value(json_object_get(remark, "id")), id;
	char *text;
	int rc;

	if (run == NULL)
		return err_set(e, -EAGAIN, "orchd does not tell how the run stands");
	text = remarks_answer(remark, run, v->round, head);
	rc = review ? github_comment_create(gh, pull, text, &id, e)
		    : github_review_reply(gh, pull, at, text, &id, e);
	free(text);
	if (rc == -ENOENT || rc == -EINVAL) {
		link_event(v->role->link, "review", "a remark could not be answered: %s", e->msg);
		rc = 0;
	}
	return rc;
}

/* Asks GitHub first what is answered already, by a process before us or in a request whose answer was lost.
 */
static int
answer_round(struct rounds *v, struct publish *p, uint64_t pull, const char *head, struct err *e)
{
	int rc = -EINPROGRESS;

	for (unsigned i = 0; i < ANSWER_TRIES && rc == -EINPROGRESS; i++) {
		struct remarks_source s = {0};
		const json_t *remark;
		size_t k;

		rc = review_read(publish_github(p), pull, &s, e);
		json_array_foreach (json_object_get(v->open, "remarks"), k, remark) {
			uint64_t id = (uint64_t)json_integer_value(json_object_get(remark, "id"));
			uint64_t upto = (uint64_t)json_integer_value(json_object_get(remark, "upto"));

			if (rc == 0 && !remarks_is_answered(
					   &s, json_is_true(json_object_get(remark, "review")), id, upto))
				rc = answer_one(v, p, pull, remark, head, e);
		}
		remarks_source_clear(&s);
	}
	return rc;
}

static int
tell_over(struct rounds *v, struct err *e)
{
	const struct msg m = {.id = MSG_REVIEW, .review = {.round = v->round, .done = true}};
	int rc = link_call(v->role->link, &m, NULL, e);

	if (rc == 0) {
		json_decref(v->open);
		v->open = NULL;
		v->look = true; /* people had time to say more */
	}
	return rc;
}

static int
begin(struct rounds *v, struct publish *p, const struct remarks *found, struct err *e)
{
	const struct view_run *run = publish_view(p);
	json_t *j = run == NULL ? NULL : remarks_round(found, run, v->round + 1);
	char *text;
	struct msg m = {.id = MSG_REVIEW};
	int rc;

	if (j == NULL)
		return 0;
	text = json_text(j);
	m.review.round = v->round + 1;
	m.review.review_json = text;
	log_info("round %" PRIu64 " of reviews: %zu remarks", v->round + 1,
	    json_array_size(json_object_get(j, "remarks")));
	rc = link_call(v->role->link, &m, NULL, e);
	free(text);
	if (rc < 0) {
		json_decref(j);
		return rc;
	}
	v->open = j;
	v->round++;
	return ROUNDS_MORE;
}

static void
leave_to_a_person(struct rounds *v, uint64_t pull, size_t count)
{
	free(v->question);
	v->question = xasprintf("%zu remark%s on pull request %" PRIu64 " %s not taken up, after %" PRIu64
				" of %" PRIu64 " rounds of reviews: see to it yourself, or let it go on with "
				"orchctl address %" PRIu64 " --rounds %" PRIu64,
	    count, count == 1 ? "" : "s", pull, count == 1 ? "is" : "are", v->round,
	    v->role->assign->review_max, pull, v->round + 1);
	link_event(v->role->link, "review", "%s", v->question);
}

static int
look(struct rounds *v, struct publish *p, uint64_t pull, struct remarks *found, struct err *e)
{
	struct remarks_source s = {0};
	int rc = review_read(publish_github(p), pull, &s, e);

	if (rc == 0)
		rc = review_read_resolved(publish_github(p), pull, &s, e);
	if (rc == 0)
		remarks_pick(&s, v->role->assign->review_trust, found);
	remarks_source_clear(&s);
	return rc;
}

/* -ECANCELED goes up; whatever else GitHub says no to is told. */
static int
forgive(struct publish *p, int rc, const struct err *why, struct err *e)
{
	if (rc == -ECANCELED)
		return err_set(e, rc, "%s", why->msg);
	publish_problem(p, why);
	return 0;
}

int
rounds_turn(struct rounds *v, struct publish *p, const struct publish_end *end, struct err *e)
{
	struct remarks found = {0};
	const struct view_run *run;
	struct err why = {""};
	uint64_t pull;
	int rc;

	if (end->cancelled || !publish_hand_over(p, end))
		return 0;
	run = publish_view(p);
	v->look |= run != NULL && run->info->pull_url != NULL;
	pull = publish_pull(p) != 0 ? publish_pull(p) : v->role->assign->review_pull;
	if (pull == 0)
		return 0;
	if (v->open != NULL) {
		link_doing(v->role->link, "answering the reviews");
		rc = answer_round(v, p, pull, end->head, &why);
		if (rc < 0)
			return forgive(p, rc, &why, e);
		rc = tell_over(v, e);
		if (rc < 0)
			return rc;
	}
	if (!v->look)
		return 0;
	link_doing(v->role->link, "reading the reviews");
	rc = look(v, p, pull, &found, &why);
	if (rc < 0)
		return forgive(p, rc, &why, e);
	if (found.count > 0 && v->round >= v->role->assign->review_max)
		leave_to_a_person(v, pull, found.count);
	else if (found.count > 0)
		rc = begin(v, p, &found, e);
	remarks_clear(&found);
	return rc;
}
