/*
 * agent: runs one attempt of an agent program and judges it. The only place that knows which program an agent
 * is and how it is called.
 *
 * Every attempt has its own session and process group, a private HOME and TMPDIR that its task keeps for
 * resumes, a scrubbed environment, the prompt on stdin (then closed), and ends by its result, its exit, the
 * silence timeout (counted only while no tool is open), the total timeout, or our stop; then its whole tree
 * is killed and the outcome says what happened and what to do.
 */
#ifndef ORCH_COMMON_AGENT_H
#define ORCH_COMMON_AGENT_H

#include "common/err.h"
#include "common/loop.h"
#include "common/stream.h"

#include <stdbool.h>
#include <stdint.h>

enum agent_access { AGENT_READ_ONLY, AGENT_FULL };

struct agent_spec {
	const char *program;    /* conf agent */
	const char *cwd;        /* the worktree */
	const char *home;       /* private folder of the task (made 0700): HOME is home/ in it */
	const char *const *env; /* from agent_env(); the scrubbed environment without HOME and TMPDIR */
	const char *prompt;
	enum agent_access access;
	const char *json_schema; /* planning: structured output wanted; NULL */
	const char *session;     /* a UUID: started with --session-id, or resumed */
	bool resume;
	const char *log_path; /* raw stream, appended; at most 64 MiB per file; NULL: not kept */
	int64_t timeout_ms, silence_ms;
	int64_t exit_grace_ms; /* how long it may live after its result; 0: 10 s */
	int64_t term_grace_ms; /* between TERM and KILL; 0: 3 s */
	void (*on_event)(void *arg, const struct stream_event *ev); /* optional */
	void *arg;
};

enum agent_end {
	AGENT_OK,           /* a result without error, and with structured output where a schema was given */
	AGENT_FAILED,       /* it said so, or its exit did */
	AGENT_NO_RESULT,    /* ended without a result line */
	AGENT_NO_STRUCTURE, /* result, but no structured output where it was wanted */
	AGENT_SESSION_GONE, /* resume: its session is not there; start afresh */
	AGENT_SILENT,       /* silence timeout */
	AGENT_TIMEOUT,      /* total timeout */
	AGENT_NOT_STARTED,  /* exec failed: do not repeat */
};

struct agent_outcome {
	enum agent_end end;
	char *reason;      /* a paragraph: what it was doing, what was seen, what to do; NULL for AGENT_OK */
	char *text;        /* its final words; NULL */
	char *structured;  /* JSON; NULL */
	char session[128]; /* as the agent reported it; "" when it did not */
	int status;
	uint64_t cost_uusd, tokens_in, tokens_out; /* cumulative over its session */
	bool has_usage;
	int64_t duration_ms;
};

/*
 * 0 with o filled; -ECANCELED when a stop interrupted it: then o has session, status and usage but no
 * strings, and need not be cleared. Where the loop owns its descendants, all of them are gone on return.
 */
int agent_run(struct loop *l, const struct agent_spec *s, struct agent_outcome *o, struct err *e);
void agent_outcome_clear(struct agent_outcome *o);
/* The TMPDIR that belongs to spec.home; whoever removes home removes it too. Caller frees. */
char *agent_tmpdir(const char *home);
const char *agent_end_name(enum agent_end end);

/*
 * The environment of agents and gates, complete but for HOME and TMPDIR: allow-listed variables of ours
 * (PATH, LANG, LC_*, TZ, TERM, USER, LOGNAME, SHELL, proxies, SSL_CERT_*), then extra ("NAME=value",
 * NULL-terminated, may be NULL), then conf's agent_env. Never GITHUB_TOKEN, GH_TOKEN, CLAUDE_CONFIGS,
 * CLAUDECODE*, ORCH_* but ORCH_AGENT_*, ORCH_INSTANCE, ORCH_TASK, ORCH_TASK_KEY, ORCH_ROLE.
 * GIT_CEILING_DIRECTORIES is set to ceiling. Fresh vector (strv_free).
 */
struct conf;
char **agent_env(const struct conf *c, const char *ceiling, const char *const *extra);

/* Checks that the program can be run. 0 or -errno with a sentence that says what to do. */
int agent_check(const char *program, struct err *e);
/* A random RFC 4122 version 4 UUID. */
void agent_new_session(char uuid[37]);

#endif
