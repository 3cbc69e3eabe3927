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

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum agent_access { AGENT_READ_ONLY, AGENT_FULL };

/* What a run's options say of the agents of one role. All may be zero. Strings are borrowed. */
struct agent_options {
	const char *model;         /* in the agent's own words */
	uint64_t max_turns;        /* 0: no limit */
	uint64_t max_musd;         /* thousandths of a USD; 0: no limit */
	const char *allowed_tools; /* only these, in the agent's own words; NULL: what the access allows */
	const json_t *args;        /* array of more arguments for the program */
};

/*
 * How long the program may wait for its endpoint by itself. The worst silence is two stalled streams (the
 * second is asked for without a word) and one wait for an answer in one piece; it must end before silence_ms
 * does: so every failure of an endpoint comes as a result with a reason, and the silence timeout is for what
 * really hangs.
 */
struct agent_patience {
	int64_t silence_ms; /* the silence timeout that fits */
	int64_t answer_ms;  /* until an answer begins */
	int64_t idle_ms;    /* inside an answer */
	unsigned retries;
};

/* The type of the error with which our gateway answers 402 when a budget of ours is spent. The API's own 402
 * is a "billing_error": the account has to be paid, and another budget changes nothing. */
#define AGENT_BUDGET_TYPE "orch_budget"

struct redact;

struct agent_spec {
	const char *program;    /* conf agent */
	const char *cwd;        /* the worktree */
	const char *home;       /* private folder of the task (made 0700): HOME is home/ in it */
	const char *const *env; /* from agent_env(); the scrubbed environment without HOME and TMPDIR */
	const char *prompt;
	enum agent_access access;
	struct agent_options options;
	struct agent_patience patience; /* all zero: the program's own */
	const char *json_schema;        /* planning: structured output wanted; NULL */
	const char *session;            /* a UUID: started with --session-id, or resumed */
	bool resume;
	const char *label;           /* whom it works for, in words: "25/em1/w2, attempt 2"; NULL */
	const struct redact *redact; /* what neither log nor outcome may hold; NULL: nothing */
	const char *log_path;        /* its lines, appended; at most 64 MiB per file; NULL: not kept */
	const char *debug_path;      /* the program's own log, appended; NULL: none */
	int64_t timeout_ms, silence_ms;
	int64_t exit_grace_ms; /* how long it may live after its result; 0: 10 s */
	int64_t term_grace_ms; /* between TERM and KILL; 0: 3 s */
	void (*on_event)(void *arg, const struct stream_event *ev); /* optional */
	void *arg;
};

/* What whoever started an attempt does about its end. */
enum agent_next {
	AGENT_GO_ON,   /* use what it did */
	AGENT_REPEAT,  /* it may do better: an attempt is used up */
	AGENT_AFRESH,  /* its session is of no use any more: a new one may do better */
	AGENT_WAIT,    /* not now: until o.until_ms; no attempt is used up */
	AGENT_GIVE_UP, /* a person has to change something first */
};

/* E(NAME, name, next): how an attempt ended. */
#define AGENT_ENDS(E)                                                                                        \
	/* a result without error, and with structured output where a schema was given */                    \
	E(OK, "ok", GO_ON)                                                                                   \
	/* it said so, or its exit did */                                                                    \
	E(FAILED, "failed", REPEAT)                                                                          \
	/* ended without a result line */                                                                    \
	E(NO_RESULT, "no-result", REPEAT)                                                                    \
	/* a result, but no structured output where it was wanted */                                         \
	E(NO_STRUCTURE, "no-structure", REPEAT)                                                              \
	/* silence timeout */                                                                                \
	E(SILENT, "silent", REPEAT)                                                                          \
	/* total timeout */                                                                                  \
	E(TIMEOUT, "timeout", REPEAT)                                                                        \
	/* its processes took more than they may of memory, or were too many */                              \
	E(CEILING, "ceiling", REPEAT)                                                                        \
	/* its endpoint cannot be reached, is overloaded or broken */                                        \
	E(ENDPOINT, "endpoint", REPEAT)                                                                      \
	/* its turns are used up; resumed, it goes on where it was */                                        \
	E(MAX_TURNS, "max-turns", REPEAT)                                                                    \
	/* resume: its session is not there */                                                               \
	E(SESSION_GONE, "session-gone", AFRESH)                                                              \
	/* what it has to send is more than the model or its endpoint takes */                               \
	E(TOO_LONG, "too-long", AFRESH)                                                                      \
	/* rate limit */                                                                                     \
	E(LIMITED, "limited", WAIT)                                                                          \
	/* its money is used up */                                                                           \
	E(BUDGET, "budget", GIVE_UP)                                                                         \
	/* no login, or the endpoint refuses it */                                                           \
	E(AUTH, "auth", GIVE_UP)                                                                             \
	/* program, its version, its configuration or its model */                                           \
	E(CONFIG, "config", GIVE_UP)                                                                         \
	/* exec failed */                                                                                    \
	E(NOT_STARTED, "not-started", GIVE_UP)

enum agent_end {
#define E(NAME, name, next) AGENT_##NAME,
	AGENT_ENDS(E)
#undef E
};

struct agent_outcome {
	enum agent_end end;
	char *reason;      /* a paragraph: what was tried, what was seen, what to do; NULL for AGENT_OK */
	char *text;        /* its final words; NULL */
	char *structured;  /* JSON; NULL */
	char *denied;      /* tools that it was not allowed to use: "Bash, Write"; NULL */
	char session[128]; /* as the agent reported it; "" when it did not */
	int status;
	int64_t until_ms;                          /* AGENT_LIMITED: wall clock; 0: not known */
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
enum agent_next agent_end_next(enum agent_end end);

/*
 * The environment of agents and gates, complete but for HOME and TMPDIR: allow-listed variables of ours
 * (PATH, LANG, LC_*, TZ, TERM, USER, LOGNAME, SHELL, proxies, SSL_CERT_*), then extra ("NAME=value",
 * NULL-terminated, may be NULL), then conf's agent_env. Never GITHUB_TOKEN, GH_TOKEN, CLAUDE_CONFIGS,
 * CLAUDECODE*, ORCH_* but ORCH_AGENT_*, ORCH_INSTANCE, ORCH_RUN, ORCH_TASK, ORCH_TASK_KEY, ORCH_ROLE,
 * ORCH_PORT_BASE, ORCH_PORT_COUNT, ORCH_CHECKOUT.
 * GIT_CEILING_DIRECTORIES is set to ceiling. Fresh vector (configs_wipe_strv where keys are in it).
 *
 * An attempt adds that its git has no login and pushes nowhere but into folders, and says so; an agent_env with
 * GIT_CONFIG_COUNT in it (say "0") does without that.
 *
 * keys: the way to the gateway with the token of the attempt, and what else the API configurations say, or
 * NULL. They come last and win; with them, no option of the run may say where agents ask (ANTHROPIC_*), and
 * 127.0.0.1 is asked without a proxy.
 */
struct conf;
char **agent_env(
    const struct conf *c, const char *ceiling, const char *const *extra, const char *const *keys);

/* answer_ms, idle_ms: how long the gateway may take until it answers, and be silent in an answer; the program
 * waits longer than that, so that the gateway is first to give up and says why. 0: there is none. */
void agent_patience(const struct conf *c, int64_t answer_ms, int64_t idle_ms, struct agent_patience *p);
/* A word of extra arguments that would break how we call the program, or that an option of ours is for; NULL
 * when there is none. */
const char *agent_refused_arg(const json_t *args);

/* Checks that the program can be run. 0 or -errno with a sentence that says what to do. */
int agent_check(const char *program, struct err *e);
/*
 * Asks the program for its version, pumping the loop. -ENOTSUP with a sentence that says what to do when it
 * is one that cannot work; 0 when it can, or when its answer says nothing; -ECANCELED.
 */
int agent_check_version(struct loop *l, const char *program, struct err *e);
/* A random RFC 4122 version 4 UUID. */
void agent_new_session(char uuid[37]);

#endif
