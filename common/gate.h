/*
 * gate: runs the user's verify command in a folder and says whether the tree in it passed.
 *
 * A string runs by /bin/sh -c, an array is argv; both come from the user's own options, frozen at the start
 * of the run. Own session, killed as a whole tree, output bounded. The environment is that of agents without
 * keys (agent_env), plus ORCH_TASK. It is kept as loop->trees says, below the ceilings of an agent.
 */
#ifndef ORCH_COMMON_GATE_H
#define ORCH_COMMON_GATE_H

#include "common/err.h"
#include "common/loop.h"
#include "common/ptree.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define GATE_OUTPUT_MAX (48 * 1024) /* bytes of its last output that are kept: they must fit in evidence */

struct gate_result {
	bool passed;
	bool timed_out;
	struct ptree_over over; /* ended for this */
	int status;
	const json_t
	    *setup; /* it was this command that failed, and the gate did not run; else NULL. Borrowed */
	const json_t *area; /* it was this one of an area's own that failed; else NULL. Borrowed */
	size_t area_index;
	char *output; /* UTF-8, the tail; never NULL */
	int64_t duration_ms;
};

/* verify: conf's value, not NULL. 0 when it ran to an end (look at r), -ECANCELED when a stop interrupted it,
 * other -errno with e when it could not be started. */
int gate_run(struct loop *l, const json_t *verify, const char *dir, const char *const *env,
    int64_t timeout_ms, struct gate_result *r, struct err *e);
void gate_result_clear(struct gate_result *r);

/* How it ended as one number, to compare with another time: 0 passed, -1 killed for its time, else the
 * status. */
int gate_code(const struct gate_result *r);

struct gate_trial {
	const json_t *verify; /* NULL with a setup, or with areas: those alone are tried */
	const json_t *areas;  /* commands that are run after it, each of which must pass; NULL: none */
	const json_t *setup;  /* run before each try; NULL: none. A tree whose setup fails is red */
	const char *dir;
	const char *const *env;
	int64_t timeout_ms, setup_timeout_ms;
	int known; /* gate_code before the work that is judged; 0: it passed, or nobody knows */
	bool once; /* what is red is not tried again: another run will */
	int (*fresh)(
	    void *arg, struct err *e); /* makes dir exactly the tree that is judged; before each try */
	void *arg;
};

enum gate_verdict {
	GATE_GREEN,
	GATE_RED,
	GATE_FLAKY,   /* red, and green on the very same tree right after */
	GATE_UNKNOWN, /* red as it was before: it cannot tell whether the work is good */
};

/*
 * Judges a tree: what is red, but neither for its time nor as it was before, is tried once more (but: once).
 * 0 with *v, r (of the last try) and *note: a sentence for an event when it was flaky or cannot tell, else
 * NULL; caller frees. -errno as gate_run and fresh have it.
 */
int gate_judge(struct loop *l, const struct gate_trial *t, enum gate_verdict *v, struct gate_result *r,
    char **note, struct err *e);
/* The commands of a gate as lines for who must make them pass; NULL when there is none. Caller frees. */
char *gate_text(const json_t *verify, const json_t *areas);
/* "the gate (make test) exited with status 2 after 3s" */
char *gate_summary(const json_t *verify, const struct gate_result *r);

#endif
