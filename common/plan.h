/*
 * plan: the JSON a planning agent must return, its schema for the agent, its validation, and what follows
 * from it by computation: order, dependencies, which tasks must not run side by side. Director and EM are the
 * same craft at two levels. Pure.
 */
#ifndef ORCH_COMMON_PLAN_H
#define ORCH_COMMON_PLAN_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_ITEMS_MAX 64
#define PLAN_TITLE_MAX 200
#define PLAN_VERIFY_MAX 4000 /* bytes of an area's verify as JSON */
#define PLAN_QUESTION_MAX 3000
#define PLAN_BYTES_MAX (256 * 1024) /* of the JSON; PLAN_MAX of the protocol */
#define PLAN_OWNS_BYTES_MAX                                                                                  \
	(16 * 1024) /* all patterns of a list of items: all pairs of them are compared                       \
		     */

enum plan_level { PLAN_AREAS, PLAN_TASKS };

struct plan_item {
	char *id, *title, *goal;
	char *acceptance;  /* tasks; NULL when absent */
	char **owns;       /* NULL-terminated */
	char **needs;      /* depends_on: ids of the same plan without which this one fails */
	char **after;      /* ids of items that must have ended first, however: the soft ones of depends_on;
			      computed for tasks also those that come first in an order that respects both,
			      whose owns overlap, and that this one does not need anyway */
	uint64_t soft;     /* while it is read: bits of needs that are soft; 0 in a plan that is done */
	char *verify_json; /* areas: what must pass beside the run's gate, as a JSON array of commands (each a
			      string or an array of strings); NULL when absent */
	char *tasks_json; /* areas: a plan of tasks given beforehand, {"summary","tasks"}; NULL when absent */
};

struct plan {
	enum plan_level level;
	char *summary;
	char *question; /* areas: what a person must answer before anything is done; NULL */
	char **shared;  /* what every item may change beside its owns, side by side; never NULL */
	struct plan_item *items;
	size_t count;
};

/*
 * Parses and validates. within: patterns that all owns must be contained in (an EM's tasks within their
 * area), or NULL. On a fault -EINVAL, and e says exactly what, where, and what would be right
 * ("tasks[2].owns[0]: src/lex.c is not inside what the area owns (src/eval/...)"): it goes back to the agent
 * as it is. Faults: bad JSON (line, column), unknown field by name, wrong kind, missing or empty field, id
 * not [a-z0-9-]{1,32} or not unique, no items, over one of the bounds above, bad pattern, areas that overlap,
 * unknown, self, double or cyclic dependency. Optional are only question (of areas), shared, depends_on,
 * acceptance and an area's verify and tasks. An entry of depends_on is an id, or {"id", "soft": true}.
 * *p is written on success alone.
 */
int plan_parse(struct plan *p, enum plan_level level, const char *json, size_t size,
    const char *const *within, struct err *e);
void plan_clear(struct plan *p);

/* All that an item may change: its owns and what the plan shares; strv_free. */
char **plan_item_owns(const struct plan *p, const struct plan_item *item);

/* The JSON Schema for --json-schema. Static text. */
const char *plan_schema(enum plan_level level);

/* The prompt for the planning agent. Everything is quoted as data. Caller frees. */
struct plan_prompt {
	enum plan_level level;
	const char *run_title;    /* what the whole run is about */
	const char *title, *goal; /* of the issue, or of the area: given in full */
	const char *acceptance;
	const char *const *owns;    /* of the area; NULL for the director */
	const char *const *guarded; /* protected patterns; NULL */
	const char *context;        /* PROJECT_DIRECTION.md and CLAUDE.md; NULL */
	const char *answers;        /* what was asked and answered about earlier plans; NULL */
	size_t max_items;
	size_t parallel; /* how many can work at the same time */
};
char *plan_prompt(const struct plan_prompt *q);
/* What goes back to the agent after a fault. Caller frees. */
char *plan_fault_prompt(enum plan_level level, const char *fault);
/* What goes back to the agent when a person has answered its question or its plan. Caller frees. */
char *plan_answer_prompt(enum plan_level level, const char *answers);

/* A plan of areas for a person, in a sentence: what it comes to and who does what. Caller frees. */
char *plan_words(const struct plan *p, size_t max);

#endif
