/* team: the table of children and the decisions that follow from it (see team.h). */
#include "proto/team.h"

#include "common/alloc.h"
#include "common/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOSSES_SHOWN 3
#define LOSS_REASON_BYTES 400

/* orchd's state names; what a lead need not tell apart is TEAM_OPEN. */
static const struct {
	const char *name;
	enum team_state state;
} states[] = {
    {"queued", TEAM_OPEN},
    {"running", TEAM_OPEN},
    {"waiting", TEAM_OPEN},
    {"rework", TEAM_OPEN},
    {"submitted", TEAM_SUBMITTED},
    {"integrated", TEAM_INTEGRATED},
    {"failed", TEAM_FAILED},
    {"cancelled", TEAM_CANCELLED},
};

static void
child_clear(struct team_child *c)
{
	free(c->task);
	free(c->key);
	free(c->title);
	free(c->owns_json);
	free(c->branch);
	free(c->base);
	free(c->head);
	free(c->reason);
}

void
team_clear(struct team *t)
{
	for (size_t i = 0; i < t->count; i++)
		child_clear(&t->list[i]);
	free(t->list);
	memset(t, 0, sizeof(*t));
}

static bool
parse_state(const char *name, enum team_state *state)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(states[i].name, name) != 0)
			continue;
		*state = states[i].state;
		return true;
	}
	return false;
}

static struct team_child *
find_task(struct team *t, const char *task)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->list[i].task, task) == 0)
			return &t->list[i];
	return NULL;
}

/* A fresh row at the place of its ordinal. */
static struct team_child *
insert(struct team *t, uint64_t ordinal)
{
	size_t at = t->count;

	t->list = xrealloc(t->list, (t->count + 1) * sizeof(*t->list));
	while (at > 0 && t->list[at - 1].ordinal > ordinal)
		at--;
	memmove(t->list + at + 1, t->list + at, (t->count - at) * sizeof(*t->list));
	memset(&t->list[at], 0, sizeof(t->list[at]));
	t->list[at].ordinal = ordinal;
	t->count++;
	return &t->list[at];
}

int
team_apply(struct team *t, const struct msg_child *m, struct err *e)
{
	struct team_child *c = find_task(t, m->task);
	enum team_state state;

	if (!parse_state(m->state, &state))
		return err_set(e, -EINVAL, "%s is in a state that is not known here: %s", m->task, m->state);
	if (c == NULL) {
		if (t->count >= TEAM_MAX)
			return err_set(e, -EINVAL, "more than %d children", TEAM_MAX);
		c = insert(t, m->ordinal);
	}
	xreplace(&c->task, m->task);
	xreplace(&c->key, m->key);
	xreplace(&c->title, m->title);
	xreplace(&c->owns_json, m->owns_json);
	xreplace(&c->branch, m->branch);
	xreplace(&c->base, m->base);
	xreplace(&c->head, m->head);
	xreplace(&c->reason, m->reason);
	/* A submission that was answered stays answered until the child submits again: a CHILD that was sent
	 * for another cause must not make us merge it twice. */
	if (state != TEAM_SUBMITTED || m->submitted_at != c->submitted_at)
		c->answered = false;
	c->submitted_at = m->submitted_at;
	if (state != c->state || m->alive)
		c->cleaned = false;
	c->state = state;
	c->alive = m->alive;
	t->changed = true;
	return 0;
}

struct team_child *
team_find(struct team *t, const char *key)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->list[i].key, key) == 0)
			return &t->list[i];
	return NULL;
}

uint64_t
team_next_ordinal(const struct team *t)
{
	return t->count == 0 ? 1 : t->list[t->count - 1].ordinal + 1;
}

static bool
ended(const struct team_child *c)
{
	return c->state == TEAM_INTEGRATED || c->state == TEAM_FAILED || c->state == TEAM_CANCELLED;
}

static struct team_child *
oldest_submission(struct team *t)
{
	struct team_child *oldest = NULL;

	for (size_t i = 0; i < t->count; i++) {
		struct team_child *c = &t->list[i];

		if (c->state != TEAM_SUBMITTED || c->answered)
			continue;
		if (oldest == NULL || c->submitted_at < oldest->submitted_at)
			oldest = c;
	}
	return oldest;
}

enum team_step
team_next(struct team *t, bool cancelled, struct team_child **child)
{
	bool all = true;

	*child = cancelled ? NULL : oldest_submission(t);
	if (*child != NULL)
		return TEAM_INTEGRATE;
	for (size_t i = 0; i < t->count; i++) {
		struct team_child *c = &t->list[i];

		if (c->cleaned)
			continue;
		all = false;
		if (!ended(c) || c->alive)
			continue;
		*child = c;
		return TEAM_CLEAN;
	}
	return all ? TEAM_DONE : TEAM_WAIT;
}

struct team_tally
team_count(const struct team *t)
{
	struct team_tally n = {0};

	for (size_t i = 0; i < t->count; i++) {
		switch (t->list[i].state) {
		case TEAM_INTEGRATED:
			n.integrated++;
			break;
		case TEAM_FAILED:
			n.failed++;
			break;
		case TEAM_CANCELLED:
			n.cancelled++;
			break;
		case TEAM_OPEN:
		case TEAM_SUBMITTED:
			n.open++;
			break;
		}
	}
	return n;
}

static const char *
short_name(const char *task)
{
	const char *slash = strrchr(task, '/');

	return slash == NULL ? task : slash + 1;
}

char *
team_losses(const struct team *t)
{
	char *text = NULL;
	size_t lost = 0;

	for (size_t i = 0; i < t->count; i++) {
		const struct team_child *c = &t->list[i];
		const char *why = c->reason;
		char *longer, *line;

		if (c->state != TEAM_FAILED && c->state != TEAM_CANCELLED)
			continue;
		if (++lost > LOSSES_SHOWN)
			continue;
		if (why == NULL || *why == '\0')
			why = c->state == TEAM_FAILED ? "failed without a reason" : "was cancelled";
		line = text_line(why, LOSS_REASON_BYTES);
		longer = xasprintf("%s%s%s: %s", text == NULL ? "" : text, text == NULL ? "" : "; ",
		    short_name(c->task), line);
		free(line);
		free(text);
		text = longer;
	}
	if (lost > LOSSES_SHOWN) {
		char *longer = xasprintf("%s; and %zu more", text, lost - LOSSES_SHOWN);

		free(text);
		text = longer;
	}
	return text;
}
