/*
 * attempt: one run of the agent for a role's own task, with what orchd is told meanwhile: the session before
 * it starts, what it is doing (at most four times a second), its first retry, tokens and cost at its end.
 */
#ifndef ORCH_PROTO_ATTEMPT_H
#define ORCH_PROTO_ATTEMPT_H

#include "common/agent.h"
#include "proto/role.h"

struct attempt {
	const char *cwd;
	enum agent_access access;
	const char *json_schema; /* NULL: none */
	const char *prompt;      /* for a session that knows the task, and for a new one when fresh is NULL */
	const char *fresh;       /* for a new session: the whole brief */
};

/*
 * Runs it in the task's session, or a new one when there is none or the agent has lost it. 0 with o filled
 * (agent_outcome_clear), whatever the outcome; -errno with e, and o empty; -ECANCELED when a stop was asked
 * for.
 */
int attempt_run(struct role *r, const struct attempt *a, struct agent_outcome *o, struct err *e);

/*
 * Reports an outcome that is not AGENT_OK: ATTEMPT_FAILED, WAIT where only time is needed, or FAIL where
 * repeating is of no use. ROLE_OVER or -errno.
 */
int attempt_report(struct role *r, const struct agent_outcome *o, struct err *e);

#endif
