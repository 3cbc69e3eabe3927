/*
 * model: the runs and tasks that orchd holds in memory: all unfinished runs with their tasks. Ended runs are
 * in the store only. The column lists name what the store keeps of them; everything else is rebuilt. Pure.
 */
#ifndef ORCH_SUPERVISOR_MODEL_H
#define ORCH_SUPERVISOR_MODEL_H

#include "common/conf.h"
#include "common/configs.h"
#include "common/taskid.h"
#include "supervisor/budget.h"
#include "supervisor/process.h"
#include "supervisor/state.h"
#include "supervisor/unit.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

struct daemon;
struct peer;

/* C(kind, column): text is char * (NULL allowed), num is int64_t. Times are wall-clock ms, 0: not yet. */
#define RUN_COLUMNS(C)                                                                                       \
	C(text, id)                                                                                          \
	C(num, serial) /* order of submission */                                                             \
	C(text, issue)                                                                                       \
	C(text, title)                                                                                       \
	C(text, body)                                                                                        \
	C(num, state)                                                                                        \
	C(num, stopped)   /* by orchctl stop: waits for resume */                                            \
	C(num, cancelled) /* asked for; the director cleans up */                                            \
	C(text, question)                                                                                    \
	C(text, reason)                                                                                      \
	C(text, branch)                                                                                      \
	C(text, base_branch)                                                                                 \
	C(text, base)                                                                                        \
	C(text, head)                                                                                        \
	C(text, options)                                                                                     \
	C(num, created_at)                                                                                   \
	C(num, started_at)                                                                                   \
	C(num, ended_at)                                                                                     \
	C(num, files)                                                                                        \
	C(num, insertions)                                                                                   \
	C(num, deletions)                                                                                    \
	C(num, keyed)     /* it was given keys; they themselves are in memory only */                        \
	C(text, checkout) /* from which it was submitted */                                                  \
	C(num, epilogue)  /* its director could not be kept running: the next one only has the last word */  \
	C(num, tokened)   /* it was given a token for GitHub; that itself is in memory only */               \
	C(text, pull_url) /* of the pull request that it ended in */                                         \
	C(num, approve)   /* its plan waits for a yes, or will */                                            \
	C(num, plan_only) /* it ends when it has a plan */                                                   \
	C(num, asked_at)  /* since when it waits for a person's answer; 0: it does not */                    \
	C(num, worked_ms) /* for how long it was active, with an orchd that ran */                           \
	C(text, review)   /* the round of reviews that is not answered yet, in its director's words */       \
	C(num, review_round) /* rounds that began */                                                         \
	C(num, review_max)   /* rounds that there may be; 0: as its options say */                           \
	C(num, review_pull)  /* the pull request, when a person named it */                                  \
	C(num, review_trust) /* everybody's words count */                                                   \
	C(num, review_asked) /* before it ends, the reviews are to be looked at */

#define TASK_COLUMNS(C)                                                                                      \
	C(text, id)                                                                                          \
	C(text, run_id)                                                                                      \
	C(text, parent_id)                                                                                   \
	C(num, level)                                                                                        \
	C(num, ordinal)                                                                                      \
	C(text, key)                                                                                         \
	C(text, title)                                                                                       \
	C(text, goal)                                                                                        \
	C(text, owns)                                                                                        \
	C(text, needs)                                                                                       \
	C(text, after)                                                                                       \
	C(text, acceptance)                                                                                  \
	C(text, plan)                                                                                        \
	C(num, state)                                                                                        \
	C(num, attempt)  /* agents' rounds that began, from 1 */                                             \
	C(num, failures) /* attempts that ended badly since it was last handed in or sent back */            \
	C(num, rework)                                                                                       \
	C(num, doomed) /* failed because a task that it needs failed */                                      \
	C(text, branch)                                                                                      \
	C(text, base)                                                                                        \
	C(text, head)                                                                                        \
	C(text, session)                                                                                     \
	C(text, reason)                                                                                      \
	C(text, evidence)                                                                                    \
	C(text, merge_from)                                                                                  \
	C(text, gate)    /* how it stands on the lead's branch, in the lead's words */                       \
	C(text, verify)  /* commands of an area, beside the run's gate */                                    \
	C(text, guarded) /* what is protected for their sake */                                              \
	C(text, saved)   /* ref with work of it that no branch holds */                                      \
	C(text, setback) /* why its last attempt, or process, ended badly: told to the next agent */         \
	C(num, wait_until)                                                                                   \
	C(num, created_at)                                                                                   \
	C(num, started_at)                                                                                   \
	C(num, changed_at)                                                                                   \
	C(num, submitted_at)                                                                                 \
	C(num, ended_at)                                                                                     \
	C(num, files)                                                                                        \
	C(num, insertions)                                                                                   \
	C(num, deletions)                                                                                    \
	C(num, cost_uusd)                                                                                    \
	C(num, tokens_in)                                                                                    \
	C(num, tokens_out)                                                                                   \
	C(num, past_cost_uusd) /* of these, in sessions before the present one */                            \
	C(num, past_tokens_in)                                                                               \
	C(num, past_tokens_out)                                                                              \
	C(num, ceilings)    /* agents that were ended for what they took, since it was last handed in */     \
	C(num, gw_requests) /* as the gateway counted them; 0: it carried none */                            \
	C(num, gw_cost_uusd)                                                                                 \
	C(num, gw_tokens_in)                                                                                 \
	C(num, gw_tokens_out)                                                                                \
	C(num, began_uusd)   /* gw_cost_uusd when its present attempt began */                               \
	C(num, review_round) /* the last one that it was done again for; 0: none */                          \
	C(text, review)      /* what was asked of it then */                                                 \
	C(text, review_said) /* what its agent said to that */                                               \
	C(text, kept_base)   /* what it had handed in before: it stands when the review's work fails */      \
	C(text, kept_head)                                                                                   \
	C(num, limited) /* what it waits for is a key's or login's limit: other keys may wake it */

typedef char *column_text;
typedef int64_t column_num;

struct task {
#define C(kind, name) column_##kind name;
	TASK_COLUMNS(C)
#undef C
	struct run *run;
	struct task *parent;            /* NULL for the director's */
	char **need_keys, **after_keys; /* parsed from needs and after; NULL: none */
	bool dirty;                     /* to be saved at the end of this turn */
	bool changed;                   /* to be told to its parent's process and to watchers */

	/* Its process. */
	struct unit unit;
	struct peer *peer; /* NULL: not connected */
	struct process process;
	off_t log_start; /* where this process's stderr begins in its log */
	int exit_status; /* of the last process, as waitpid gave it */
	bool unit_dirty; /* pid and start time are to be saved or removed */

	char *held;       /* why it may not be started now; NULL: it may, or nobody asked */
	int held_why;     /* enum admit_why, with held */
	bool passed_over; /* in this turn */
	int64_t began_ms; /* its process, clock_now_ms */
	bool last_words;  /* its process is a director that was started for the epilogue */

	char *token;             /* a secret: what opens the gateway to its agent; NULL: none */
	int64_t gap_in, gap_out; /* tokens that the gateway counted and its agents did not, as last told */
	bool agent_done; /* this process has run its agent: what is left is to commit, gate and hand in */

	/* What it says it does. */
	char *doing;
	int64_t doing_at;
	int64_t files_now;

	TAILQ_ENTRY(task) entry;
};
TAILQ_HEAD(task_list, task);

struct run {
#define C(kind, name) column_##kind name;
	RUN_COLUMNS(C)
#undef C
	struct daemon *daemon;  /* whom callbacks of its tasks belong to; not looked into here */
	struct conf conf;       /* thawed from options */
	struct configs keys;    /* none: its agents use the login of whoever runs them */
	char *token;            /* for GitHub; NULL: none. Wiped when it is freed */
	struct task *director;  /* the run's own task */
	struct task_list tasks; /* all of them, the director's first, then in order of creation */
	struct budget budget;   /* as of this turn */
	int64_t epilogue_began; /* clock_now_ms, as this process saw it; 0: not yet */
	unsigned epilogue_kills;
	int64_t counted_at;      /* to when worked_ms counts, clock_now_ms; 0: it stands still */
	int64_t worked_saved_ms; /* worked_ms when it was last to be saved for its own sake */
	bool lack_told;          /* that its keys are gone */
	bool saver, saved;       /* its director's process only saves it for another machine; has done so */
	bool dirty, changed;
	TAILQ_ENTRY(run) entry;
};
TAILQ_HEAD(run_list, run);

struct run *run_new(void);
void run_free(struct run *r);
/* Thaws r->options into r->conf. */
int run_thaw(struct run *r, struct err *e);

/* A task with nothing set but its unit; run_add_task links it, finds its parent by parent_id and parses needs
 * and after. */
struct task *task_new(void);
void task_free(struct task *t); /* one that was not added */
int run_add_task(struct run *r, struct task *t, struct err *e);

/* It waits for `orchctl answer`: no process of it runs, and other runs may. */
bool run_is_asking(const struct run *r);

/* It was given keys, and they were in the memory of an orchd that ended. */
bool run_lacks_keys(const struct run *r);

/* Its process may still start an agent: a lead that has its plan does not. */
bool task_wants_token(const struct task *t);

/* An agent is at work for t, or would have to be: what t has to do is not done, or not planned, yet. */
bool task_needs_agent(const struct task *t);

struct task *run_find_task(const struct run *r, const char *id);
/* A child of parent by its plan id. */
struct task *run_find_child(const struct run *r, const struct task *parent, const char *key);
struct run *runs_find(const struct run_list *runs, const char *id);
struct task *runs_find_task(const struct run_list *runs, const char *id);

const char *task_role(const struct task *t); /* "director", "em", "worker" */
enum task_state task_state(const struct task *t);
enum run_state run_state(const struct run *r);
/* Something of it, or below it, may still touch its worktree. */
bool task_alive(const struct task *t);

/* What its agents used so far: as the gateway counted it, or where it carried nothing, as they said. */
struct task_use {
	uint64_t cost_uusd, tokens_in, tokens_out;
};
struct task_use task_use(const struct task *t);
/* The date of the prices by which the gateway counts r's cost. Borrowed. */
const char *run_prices_date(const struct run *r);
/* What the gateway may have counted for t when its present attempt has to end, by max_usd of its role and by
 * max_task_usd; 0: no limit. */
uint64_t task_max_uusd(const struct task *t);
/* Its budget (max_task_usd, max_task_tokens) is used up: a sentence, which the caller frees. NULL: it is not.
 */
char *task_over_budget(const struct task *t);

struct run_counts {
	uint64_t ems, workers; /* slots held */
	uint64_t waiting;      /* not ended, without a process */
	uint64_t tasks, integrated, failed;
	uint64_t cost_uusd, tokens_in, tokens_out;
};
void run_count(const struct run *r, struct run_counts *c);

/* The wall clock was set back by ms: what waits by it would wait that much too long. */
void run_clock_set_back(struct run *r, int64_t ms);

/* The end of a run, computed from its tasks: complete, partial, failed or cancelled. */
enum run_state run_verdict(const struct run *r, bool director_says_failed);

#endif
