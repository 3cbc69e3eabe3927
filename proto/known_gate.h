/*
 * known_gate: how the gate stood on a lead's branch before the work that is judged now. A gate that is red on
 * the base already says nothing about a worker, until a merge has made it pass.
 *
 * Kept in git, as refs/orch/gate/<run>/<flat task id of the lead>, from the start of a run to its end: roles
 * hold no state of their own. A lead without an entry goes by its parent's; without any the gate counts as
 * green, which is the strict side.
 */
#ifndef ORCH_PROTO_KNOWN_GATE_H
#define ORCH_PROTO_KNOWN_GATE_H

#include "common/taskid.h"
#include "proto/role.h"

struct known_gate {
	bool found;
	int base; /* gate_code on the commit that the run started from */
	int now;  /* on the branch as it is */
};

/* What holds for the branch of a lead's task (the role's own, or a worker's parent). 0 or -errno. */
int known_gate_read(struct role *r, const char *task, struct known_gate *k, struct err *e);
int known_gate_write(struct role *r, const char *task, const struct known_gate *k, struct err *e);
/* All entries of the run. */
int known_gate_forget(struct role *r, struct err *e);

/* "25/em1/w2" -> "25/em1"; false for a run. */
bool known_gate_parent(char parent[TASKID_MAX], const char *task);

#endif
