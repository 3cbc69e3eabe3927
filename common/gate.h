/*
 * gate: runs the user's verify command in a folder and says whether the tree in it passed.
 *
 * A string runs by /bin/sh -c, an array is argv; both come from the user's own options, frozen at the start
 * of the run. Own session, killed as a whole tree, output bounded. The environment is that of agents without
 * keys (agent_env), plus ORCH_TASK.
 */
#ifndef ORCH_COMMON_GATE_H
#define ORCH_COMMON_GATE_H

#include "common/err.h"
#include "common/loop.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define GATE_OUTPUT_MAX (48 * 1024) /* bytes of its last output that are kept: they must fit in evidence */

struct gate_result {
	bool passed;
	bool timed_out;
	int status;
	char *output; /* UTF-8, the tail; never NULL */
	int64_t duration_ms;
};

/* verify: conf's value, not NULL. 0 when it ran to an end (look at r), -ECANCELED when a stop interrupted it,
 * other -errno with e when it could not be started. */
int gate_run(struct loop *l, const json_t *verify, const char *dir, const char *const *env,
    int64_t timeout_ms, struct gate_result *r, struct err *e);
void gate_result_clear(struct gate_result *r);
/* "the gate (make test) exited with status 2 after 3s" */
char *gate_summary(const json_t *verify, const struct gate_result *r);

#endif
