/*
 * lead: the craft that director and EM share at two levels: get a plan, have a child task added for each of
 * its items, take what the children submit into the own branch, clean up behind those that have ended.
 *
 * Every step looks at what is there (children, git) and may be repeated; nothing is remembered between two
 * runs of the process.
 */
#ifndef ORCH_PROTO_LEAD_H
#define ORCH_PROTO_LEAD_H

#include "common/integrate.h"
#include "common/plan.h"
#include "proto/role.h"

struct lead {
	struct role *role;
	enum plan_level level; /* of the plan for its children */
	const char *tag;       /* between own branch and a child's ordinal: "-em" or "-w" */
	const char *branch;    /* own */
	char base[GIT_OID_HEX];
	struct plan plan;
	char *plan_json; /* as parsed */
	bool cancelled;  /* nothing is integrated any more */
	/*
	 * Optional: called by lead_serve when there is nothing to merge and nothing to clean up, and no
	 * command of this process runs. It may do a little of its own, and says when it wants to be called
	 * again (clock_now_ms time; -1: when a child changes).
	 */
	int64_t (*spare)(void *arg);
	void *spare_arg;
};

void lead_clear(struct lead *ld);

/*
 * Fills plan and plan_json from what orchd has, or from the planning agent, which reads commit in a detached
 * worktree. 0; ROLE_OVER when there is none to be had and orchd knows it; -errno.
 */
int lead_plan(struct lead *ld, const char *commit, struct err *e);

/*
 * Runs setup and gate on commit, when there is one and this has not been done yet, and keeps the result for
 * all roles of the run (known_gate). Red is told as an event, and is no fault. When the setup fails, or what
 * is to be copied cannot be, the task FAILs and ROLE_OVER is returned.
 */
int lead_try_base(struct lead *ld, const char *commit, struct err *e);

/* Stores the plan. branch: goes with it; NULL. */
int lead_store_plan(struct lead *ld, const char *branch, struct err *e);
/* Adds the plan's children that do not exist yet, in order. */
int lead_staff(struct lead *ld, struct err *e);
/* Adds one child beside the plan. */
int lead_add(struct lead *ld, const struct msg_task_add *task, struct err *e);

/*
 * Integrates and cleans up until every child has ended and nothing is left of any; then removes the own
 * worktree. 0 or -errno; -ECANCELED also for the run's cancellation: see role->cancel_asked.
 */
int lead_serve(struct lead *ld, struct err *e);

/*
 * Takes in all that is handed in now, in one trial where it can be, and answers for each: integrated, or back
 * to work with the evidence. Whatever is interrupted is done anew by the next call. 0 or -errno.
 */
int lead_merge(struct lead *ld, struct err *e);
/*
 * Takes a commit that is no child's into the own branch, by the same rules: merged in memory, gated with what
 * all areas in it ask for, kept when green. 0 with what became of it in *res (integrate_result_clear), or
 * -errno; -ENOSPC when the gate may have been red for want of room. The worktree stays.
 */
int lead_take_in(
    struct lead *ld, const char *commit, const char *message, struct integrate_result *res, struct err *e);
/*
 * Is what a child hands in, from its base to its head, within what it owns, and clear of what is protected?
 * The worker has asked the same of itself; here it is asked by who keeps the result. 1; 0 with *reason and
 * *evidence (the caller's); -errno.
 */
int lead_check(struct lead *ld, const char *task, const char *base, const char *head, const char *owns_json,
    char **reason, char **evidence, struct err *e);

/* Removes the own worktree: planner's and gates' droppings, nobody's work. */
int lead_remove_worktree(struct lead *ld, struct err *e);

/*
 * Removes worktrees and branches of a child that has ended and of all below it. Work that no branch holds is
 * kept as refs/orch/wip/<flat task id>.
 */
int lead_sweep(struct role *r, const struct team_child *c, struct err *e);

/* Saves what the worktrees of the run's workers, none of whom lives, hold and no commit does. They stay. */
int lead_save_worktrees(struct role *r, struct err *e);

#endif
