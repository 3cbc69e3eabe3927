/*
 * roster: what should run now. Looks at a run's tasks and units and says which task is next to get a process,
 * which can never be done because one that it needs failed, and when to look again. Pure: the caller starts,
 * fails and asks again until there is nothing more.
 */
#ifndef ORCH_SUPERVISOR_ROSTER_H
#define ORCH_SUPERVISOR_ROSTER_H

#include "supervisor/model.h"

/*
 * May t get a process now without breaking MAX_EMS or MAX_WORKERS_PER_EM? Counts the slots of every run in
 * memory: one that is being cancelled still holds its own until its trees are empty. The function that forks
 * asks this.
 */
bool roster_slot_free(const struct run_list *runs, const struct task *t);

/* The next task of r to start, or NULL: it is ready, has no process, and a slot is free. */
struct task *roster_next(const struct run_list *runs, struct run *r);

/* A task that is not ended and needs one that failed or was cancelled; *why (may be NULL) gets the one it
 * needs. NULL: none. */
struct task *roster_doomed(struct run *r, const struct task **why);

/* A waiting task whose time is over, or NULL. One without a time waits for a person. */
struct task *roster_woken(struct run *r, int64_t now);
/* The earliest wait_until of a waiting task, or -1. */
int64_t roster_wakes_at(const struct run *r);

/* Which sibling t has to wait for before it may start, or NULL: for status. */
const struct task *roster_waits_for(const struct task *t);

#endif
