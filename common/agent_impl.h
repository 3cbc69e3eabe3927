/* agent_impl: what the files of the agent runner share; for nobody else. */
#ifndef ORCH_COMMON_AGENT_IMPL_H
#define ORCH_COMMON_AGENT_IMPL_H

#include "common/agent.h"
#include "common/ptree.h"

#define AGENT_STDERR_MAX 4096

/* Why we ended it, or did not have to. */
enum agent_stop {
	AGENT_STOP_NONE, /* it ended by itself */
	AGENT_STOP_LINGER,
	AGENT_STOP_SILENT,
	AGENT_STOP_TIMEOUT,
	AGENT_STOP_CEILING, /* by us or by the kernel */
	AGENT_STOP_CANCEL,
};

/* What was seen of an attempt that is over; judged and explained from this alone. */
struct agent_record {
	struct stream stream;
	int status; /* as waitpid gave it */
	enum agent_stop stopped;
	bool killed;            /* TERM was not enough */
	struct ptree_over over; /* AGENT_STOP_CEILING */
	int64_t start_ms, last_ms, end_ms;
	char last[256]; /* its last event, in words */
	uint64_t retry_attempt, retry_max;
	char retry_error[64];
	char err[AGENT_STDERR_MAX + 1]; /* stderr's tail */
	size_t err_size;
};

/* How it is called: argv and environment for one attempt, both fresh vectors, and its folders made. 0, or
 * -errno with a sentence. */
int agent_prepare(const struct agent_spec *s, char ***argv, char ***env, struct err *e);

/* The second step of the environment: for one attempt, with its folders; login: what agent_share_login gave.
 * Fresh vector. */
char **agent_attempt_env(const struct agent_spec *s, const char *home, const char *tmp, const char *login);

/*
 * Makes the user's own login usable from home, unless the environment has a key. *pair: the variable to set,
 * in fresh memory; NULL: none. 0 or -errno with a sentence.
 */
int agent_share_login(const struct agent_spec *s, const char *home, char **pair, struct err *e);

/* Appends to a vector that grows; room follows from the count. Takes over item. */
void agent_push(char ***v, size_t *n, char *item);

/* Fills all of o but its reason. */
void agent_judge(const struct agent_spec *s, const struct agent_record *r, struct agent_outcome *o);

/* The paragraph about a bad end. probe: what a look at the endpoint found, a sentence; NULL: none was taken.
 * Caller frees. */
char *agent_explain(
    const struct agent_spec *s, const struct agent_record *r, enum agent_end end, const char *probe);

/* Where it sends its requests: as its environment says (*chosen), else the program's own place. Borrowed. */
const char *agent_base_url(const char *const *env, bool *chosen);

/* The text by which a program says that a session to resume is not there. */
const char *agent_gone_text(void);

#endif
