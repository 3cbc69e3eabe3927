/*
 * worker: serves one task: worktree, agent, commit, ownership check, gate, submission. Started again at any
 * point it goes on by what ASSIGN says and by what is in the worktree.
 */
#ifndef ORCH_WORKER_WORKER_H
#define ORCH_WORKER_WORKER_H

#include "proto/role.h"

/* As struct role_kind wants them. */
int worker_run(struct role *r, struct err *e);
void worker_stopped(struct role *r);

#endif
