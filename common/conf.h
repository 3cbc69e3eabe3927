/*
 * conf: the options of a run and of this installation, from flags, environment and orchestrator.json (in this
 * order of strength), as one table: name, flag, variable, key, kind, bounds, default, help.
 *
 * The effective options of a run are frozen as one JSON object at its start and travel to every role.
 * Secrets are not options and never come here.
 */
#ifndef ORCH_COMMON_CONF_H
#define ORCH_COMMON_CONF_H

#include "common/agent.h"
#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * OPTION(kind, field, flag, env, json key, default, min, max, help)
 * kinds: u64 (whole number in min..max), str, cmd (a string for /bin/sh -c, or an array: argv), map (object
 * of strings), usd (field in thousandths, given in USD with fractions), args (array of strings; words in a
 * flag or variable), list (array of patterns as in owns; separated by commas in a flag or variable; the
 * default is JSON), lines (the same, of patterns as in .gitignore), prices (a table of common/prices; in a flag
 * or variable the file that holds it). Fields named *_ms are given in seconds
 * with fractions in the flag, variable and file when the json key ends in _s.
 *
 * An empty json key: orchestrator.json may not say it, because the repository must not choose where a secret
 * goes.
 *
 * PER_ROLE: an option of all agents, and after it one that stands for those of one role where it is given
 * (not 0). These have no help of their own.
 */
#define PER_ROLE(OPTION, kind, field, flag, env, key, max, help)                                             \
	OPTION(kind, field, flag, env, key, CONF_UNSET_##kind, 0, max, help)                                 \
	OPTION(kind, field##_director, flag "-director", env "_DIRECTOR", key "_director",                   \
	    CONF_UNSET_##kind, 0, max, NULL)                                                                 \
	OPTION(kind, field##_em, flag "-em", env "_EM", key "_em", CONF_UNSET_##kind, 0, max, NULL)          \
	OPTION(kind, field##_worker, flag "-worker", env "_WORKER", key "_worker", CONF_UNSET_##kind, 0,     \
	    max, NULL)
#define CONF_UNSET_u64 0
#define CONF_UNSET_usd 0
#define CONF_UNSET_str NULL
#define CONF_UNSET_args NULL

#define CONF_OPTIONS(OPTION)                                                                                 \
	OPTION(u64, max_ems, "--max-ems", "MAX_EMS", "max_ems", 3, 1, 64,                                    \
	    "EMs (areas) at work at the same time")                                                          \
	OPTION(u64, max_workers_per_em, "--max-workers-per-em", "MAX_WORKERS_PER_EM", "max_workers_per_em",  \
	    3, 1, 64, "workers at work at the same time for one EM")                                         \
	OPTION(str, agent, "--agent", "ORCH_AGENT", "agent", "claude", 0, 0, "the agent program")            \
	OPTION(cmd, verify, "--verify", "ORCH_VERIFY", "verify", NULL, 0, 0,                                 \
	    "gate: the command that must pass on every tree that is kept")                                   \
	OPTION(cmd, setup, "--setup", "ORCH_SETUP", "setup", NULL, 0, 0,                                     \
	    "command that makes a fresh worktree ready to build, before agents and gates use it")            \
	OPTION(lines, copy_list, "--copy", "ORCH_COPY", "copy", "[]", 0, 0,                                  \
	    "untracked files of the checkout to copy into fresh worktrees, as in .gitignore (and what "      \
	    ".worktreeinclude lists)")                                                                       \
	OPTION(str, base, "--base", "ORCH_BASE", "base", NULL, 0, 0,                                         \
	    "branch to start from (default: the one checked out)")                                           \
	OPTION(str, state_dir, "--state-dir", "ORCH_STATE_DIR", "state_dir", NULL, 0, 0,                     \
	    "where orch keeps its state (default: .git/orch and $XDG_STATE_HOME/orch)")                      \
	OPTION(str, log, "--log", "ORCH_LOG", "log", "info", 0, 0, "log level: error, warn, info, debug")    \
	OPTION(u64, max_rework, "--max-rework", "ORCH_MAX_REWORK", "max_rework", 2, 0, 20,                   \
	    "how often a task may be sent back before it fails")                                             \
	OPTION(u64, max_attempts, "--max-attempts", "ORCH_MAX_ATTEMPTS", "max_attempts", 3, 1, 20,           \
	    "how often an agent that ends badly is started for one task")                                    \
	OPTION(ms, agent_timeout_ms, "--agent-timeout", "ORCH_AGENT_TIMEOUT", "agent_timeout_s", 3600000,    \
	    100, 604800000, "seconds an agent may take in all")                                              \
	OPTION(ms, agent_silence_ms, "--agent-silence", "ORCH_AGENT_SILENCE", "agent_silence_s", 300000,     \
	    100, 604800000, "seconds an agent may say nothing while no tool runs")                           \
	OPTION(ms, task_timeout_ms, "--task-timeout", "ORCH_TASK_TIMEOUT", "task_timeout_s", 14400000, 0,    \
	    604800000, "seconds a worker may take for one attempt, gate and all (0: no limit)")              \
	OPTION(ms, plan_timeout_ms, "--plan-timeout", "ORCH_PLAN_TIMEOUT", "plan_timeout_s", 7200000, 0,     \
	    604800000, "seconds a director or EM may take to plan (0: no limit)")                            \
	OPTION(ms, gate_timeout_ms, "--gate-timeout", "ORCH_GATE_TIMEOUT", "gate_timeout_s", 1800000, 100,   \
	    604800000, "seconds a gate may take")                                                            \
	OPTION(ms, setup_timeout_ms, "--setup-timeout", "ORCH_SETUP_TIMEOUT", "setup_timeout_s", 900000,     \
	    100, 604800000, "seconds the setup of one worktree may take")                                    \
	OPTION(u64, copy_max_mb, "--copy-max-mb", "ORCH_COPY_MAX_MB", "copy_max_mb", 1024, 1, 1048576,       \
	    "MiB that may be copied into one worktree")                                                      \
	OPTION(u64, port_base, "--port-base", "ORCH_FIRST_PORT", "port_base", 20000, 1024, 65000,            \
	    "first of the ports that agents, setups and gates are given (as ORCH_PORT_BASE)")                \
	OPTION(u64, port_step, "--port-step", "ORCH_PORT_STEP", "port_step", 10, 1, 1000,                    \
	    "ports that each of them has to itself")                                                         \
	OPTION(str, co_author, "--co-author", "ORCH_CO_AUTHOR", "co_author", NULL, 0, 0,                     \
	    "\"Name <mail>\" for a Co-authored-by line in every commit (authors are you)")                   \
	OPTION(ms, api_timeout_ms, NULL, "API_TIMEOUT_MS", "api_timeout_ms", 0, 0, 604800000,                \
	    "milliseconds the agent waits for an answer of its endpoint to begin (0: 120000)")               \
	PER_ROLE(OPTION, str, model, "--model", "ORCH_MODEL", "model", 0,                                    \
	    "the agents' model, in the agent's own words (by role: --model-director, -em, -worker)")         \
	PER_ROLE(OPTION, u64, max_turns, "--max-turns", "ORCH_MAX_TURNS", "max_turns", 1000000,              \
	    "turns an agent may take in one attempt (0: no limit; by role as --model)")                      \
	PER_ROLE(OPTION, usd, max_musd, "--max-usd", "ORCH_MAX_USD", "max_usd", 1000000000,                  \
	    "USD an agent may spend in one attempt (0: no limit; by role as --model)")                       \
	OPTION(usd, max_task_musd, "--max-task-usd", "ORCH_MAX_TASK_USD", "max_task_usd", 0, 0, 1000000000,  \
	    "USD that the agents of one task may spend, in all its attempts (0: no limit)")                  \
	OPTION(u64, max_task_tokens, "--max-task-tokens", "ORCH_MAX_TASK_TOKENS", "max_task_tokens", 0, 0,   \
	    1000000000000, "tokens that the agents of one task may use, in all its attempts (0: no limit)")  \
	PER_ROLE(OPTION, str, allowed_tools, "--allowed-tools", "ORCH_ALLOWED_TOOLS", "allowed_tools", 0,    \
	    "the only tools an agent may use, as the agent names them (by role as --model)")                 \
	PER_ROLE(OPTION, args, agent_args, "--agent-args", "ORCH_AGENT_ARGS", "agent_args", 0,               \
	    "more arguments for the agent program (by role as --model)")                                     \
	OPTION(u64, agent_memory_mb, "--agent-memory", "ORCH_AGENT_MEMORY", "agent_memory_mb", 0, 0,         \
	    100000000, "MB of memory that an agent or gate may take with its processes (0: no ceiling)")     \
	OPTION(u64, agent_max_processes, "--agent-max-processes", "ORCH_AGENT_MAX_PROCESSES",                \
	    "agent_max_processes", 4096, 0, 4000000,                                                         \
	    "processes that an agent or gate may have (0: no ceiling)")                                      \
	OPTION(u64, total_memory_mb, "--total-memory", "ORCH_TOTAL_MEMORY", "total_memory_mb", 0, 0,         \
	    100000000, "MB of memory that all agents may take together (0: no ceiling)")                     \
	OPTION(u64, max_agents, "--max-agents", "ORCH_MAX_AGENTS", "max_agents", 0, 0, 4096,                 \
	    "agents at work at the same time in all (0: as max_ems and max_workers_per_em allow)")           \
	OPTION(u64, min_free_memory_mb, "--min-free-memory", "ORCH_MIN_FREE_MEMORY", "min_free_memory_mb", 500, 0,          \
	    100000000, "MB of memory that must be available before an agent is started (0: any)")            \
	OPTION(u64, min_free_disk_mb, "--min-free-disk", "ORCH_MIN_FREE_MB", "min_free_disk_mb", 100, 0,     \
	    1000000000000,                                                                                   \
	    "MB that must be free on disk, at state and worktrees, before an agent is started (0: any)")     \
	OPTION(u64, start_burst, NULL, "ORCH_START_BURST", "start_burst", 4, 0, 1000,                        \
	    "agents that may be started at once; then one each start_interval_s (0: no limit)")              \
	OPTION(ms, start_interval_ms, NULL, "ORCH_START_INTERVAL", "start_interval_s", 250, 0, 3600000,      \
	    "seconds between two starts of agents, after start_burst of them")                               \
	OPTION(str, tree, "--tree", "ORCH_TREE", "tree", "auto", 0, 0,                                       \
	    "how agents' processes are kept together: auto, cgroup, pidns or walk")                          \
	OPTION(ms, retry_delay_ms, "--retry-delay", "ORCH_RETRY_DELAY", "retry_delay_s", 2000, 0, 3600000,   \
	    "seconds before a failed attempt is repeated; doubles")                                          \
	OPTION(ms, heartbeat_ms, NULL, "ORCH_HEARTBEAT", "heartbeat_s", 5000, 50, 3600000,                   \
	    "seconds between heartbeats; three missed ones mean a hang")                                     \
	OPTION(ms, stop_grace_ms, NULL, "ORCH_STOP_GRACE", "stop_grace_s", 8000, 100, 600000,                \
	    "seconds a process has to save its work before it is killed")                                    \
	OPTION(ms, parked_retry_ms, NULL, "ORCH_PARKED_RETRY", "parked_retry_s", 60000, 10, 3600000,         \
	    "seconds between two tries to start a process that keeps dying")                                 \
	OPTION(ms, parked_ms, NULL, "ORCH_PARKED", "parked_s", 1800000, 10, 86400000,                        \
	    "seconds after which a process that keeps dying is given up, and its task fails")                \
	OPTION(ms, linger_ms, NULL, "ORCH_LINGER", "linger_s", 60000, 0, 86400000,                           \
	    "seconds orchd stays after its last run and client")                                             \
	OPTION(u64, log_max_mb, NULL, "ORCH_LOG_MAX", "log_max_mb", 8, 1, 4096,                              \
	    "MiB after which a log of orchd or of a task is kept as .1 and begun anew")                      \
	OPTION(u64, max_events, NULL, "ORCH_MAX_EVENTS", "max_events", 100000, 100, 100000000,               \
	    "events that the history keeps; the oldest go first")                                            \
	OPTION(usd, max_run_musd, "--max-run-usd", "ORCH_MAX_RUN_USD", "max_run_usd", 0, 0, 1000000000,      \
	    "USD that all agents of a run may spend (0: no limit)")                                          \
	OPTION(u64, max_run_tokens, "--max-run-tokens", "ORCH_MAX_RUN_TOKENS", "max_run_tokens", 0, 0,       \
	    1000000000000, "tokens that all agents of a run may use (0: no limit)")                          \
	OPTION(u64, max_run_minutes, "--max-run-minutes", "ORCH_MAX_RUN_MINUTES", "max_run_minutes", 0, 0,   \
	    525600, "minutes that a run may take (0: no limit)")                                             \
	OPTION(u64, max_job_minutes, "--max-job-minutes", "ORCH_MAX_JOB_MINUTES", "max_job_minutes", 0, 0, 525600, \
	    "minutes after which orchd run stops and pushes what it has (0: never; in GitHub Actions 345)")  \
	OPTION(list, protected_paths, "--protected", "ORCH_PROTECTED", "protected",                          \
	    "[\".github/**\",\".gitlab-ci.yml\",\".ci/**\",\"orchestrator.json\"]", 0, 0,                    \
	    "paths that nobody may change unless the plan names the very file (default: CI's files)")        \
	OPTION(str, repo_owner, "--repo-owner", "REPO_OWNER", "repo_owner", NULL, 0, 0,                      \
	    "owner of the repository on GitHub (default: as the remote origin says)")                        \
	OPTION(str, repo_name, "--repo-name", "REPO_NAME", "repo_name", NULL, 0, 0, "its name there")        \
	OPTION(str, prs, "--prs", "ORCH_PRS", "prs", "final", 0, 0,                                          \
	    "pull requests for an issue's run: final (one, from the work branch), all (also one for each "   \
	    "area and task) or none")                                                                        \
	OPTION(str, branch_prefix, "--branch-prefix", "ORCH_BRANCH_PREFIX", "branch_prefix", "cco/", 0, 0,   \
	    "what the names of the work branches begin with")                                                \
	OPTION(u64, review_rounds, "--review-rounds", "ORCH_REVIEW_ROUNDS", "review_rounds", 3, 0, 100,      \
	    "how often a run does what people say of its pull request")                                      \
	OPTION(str, trigger_label, "--trigger-label", "ORCH_TRIGGER_LABEL", "trigger_label", "orchestrator", 0, 0, \
	    "the label on an issue that starts a run (run --event)")                                         \
	OPTION(str, github_api_url, "--github-api-url", "GITHUB_API_URL", "", NULL, 0, 0,                    \
	    "base of GitHub's API (default: that of github.com)")                                            \
	OPTION(str, github_server_url, "--github-server-url", "GITHUB_SERVER_URL", "", NULL, 0, 0,           \
	    "where git fetches from and pushes to (default: what belongs to the API)")                       \
	OPTION(str, github_ca, "--github-ca", "ORCH_GITHUB_CA", "", NULL, 0, 0,                              \
	    "file with the certificates to trust for GitHub (default: $SSL_CERT_FILE, else the system's)")   \
	OPTION(ms, github_write_gap_ms, NULL, "ORCH_GITHUB_WRITE_GAP", "", 1000, 0, 60000,                   \
	    "milliseconds between two writes to GitHub")                                                     \
	OPTION(ms, github_second_ms, NULL, "ORCH_GITHUB_SECOND", "", 1000, 1, 1000,                          \
	    "milliseconds that a second of its limits and pauses lasts: less in tests")                      \
	OPTION(prices, prices, "--prices", "ORCH_PRICES", "prices", NULL, 0, 0,                              \
	    "file with what models cost (docs/gateway.md), in place of rows of the built-in table")          \
	OPTION(map, agent_env, NULL, NULL, "agent_env", NULL, 0, 0,                                          \
	    "variables for the agents (names may not start with ORCH_ but ORCH_AGENT_)")

typedef uint64_t conf_kind_u64;
typedef uint64_t conf_kind_ms;
typedef char *conf_kind_str;
typedef json_t *conf_kind_cmd; /* NULL, a JSON string or a JSON array of strings */
typedef json_t *conf_kind_map; /* NULL or an object of strings */
typedef uint64_t conf_kind_usd;
typedef json_t *conf_kind_list;  /* an array of strings, never NULL */
typedef json_t *conf_kind_lines; /* the same */
typedef json_t *conf_kind_args;   /* NULL or an array of strings */
typedef json_t *conf_kind_prices; /* NULL or an object as prices_read takes it */

struct conf {
#define OPTION(kind, field, flag, env, key, def, min, max, help) conf_kind_##kind field;
	CONF_OPTIONS(OPTION)
#undef OPTION
};

/* All defaults. */
void conf_init(struct conf *c);
void conf_clear(struct conf *c);

/*
 * Reads a file's text over c. Unknown keys are refused with the nearest name, values with key and bounds, bad
 * JSON with line and column; c is unchanged then. name is for messages ("orchestrator.json").
 */
int conf_from_file(struct conf *c, const char *name, const char *text, size_t size, struct err *e);
/* Variables that are set and not empty; API_TIMEOUT_MS is in ms, the ORCH_ ones in seconds. ORCH_AGENT_*
 * become entries of agent_env, but ORCH_AGENT itself and those of the table. */
int conf_from_env(struct conf *c, struct err *e);
/*
 * Tries argv[*i] (and argv[*i + 1]) as an option's flag, also --flag=value; 1 when it was one (then *i is
 * moved past it), 0 when not, -EINVAL with a sentence.
 */
int conf_from_flag(struct conf *c, int argc, char *const *argv, int *i, struct err *e);

/* The frozen form: every option that differs from its default, keyed by field name, times in ms. Caller
 * frees. */
char *conf_freeze(const struct conf *c);
/*
 * Replaces c, which conf_init made (or which is all zero), by defaults and a frozen form. Fields that this
 * version does not know are passed over. -EINVAL with a sentence, and c as it was.
 */
int conf_thaw(struct conf *c, const char *json, struct err *e);

/* What the options say of the agents of one role, the role's own before those of all. Borrowed from c. */
enum conf_role { CONF_DIRECTOR, CONF_EM, CONF_WORKER };
void conf_agent_options(const struct conf *c, enum conf_role role, struct agent_options *o);

/* Calls fn for every option, for --help. flag may be NULL, and help of what stands for one role is. */
void conf_each(
    void (*fn)(void *arg, const char *flag, const char *env, const char *key, const char *help), void *arg);

#endif
