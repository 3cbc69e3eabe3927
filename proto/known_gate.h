/*
 * known_gate: how the gate stood on a lead's branch before the work that is judged now. A gate that is red on
 * the base already says nothing about a worker, until a merge has made it pass.
 *
 * Kept by orchd, with the lead's task, where no agent can write. A lead without its own goes by its parent's;
 * without any the gate counts as green, which is the strict side.
 */
#ifndef ORCH_PROTO_KNOWN_GATE_H
#define ORCH_PROTO_KNOWN_GATE_H

#include "common/err.h"

#include <stdbool.h>

#define KNOWN_GATE_TEXT 64

struct role;

struct known_gate {
	bool found;
	bool own; /* of this lead's branch; else its parent's */
	int base; /* gate_code on the commit that the work started from */
	int now;  /* on the branch as it is */
};

/* As ASSIGN has it; what is not two numbers is no entry. Pure. */
void known_gate_parse(struct known_gate *k, const char *text, bool own);
/* Tells orchd how it stands on the branch of the role's own task; NULL: it is not known any more. 0 or
 * -errno. */
int known_gate_note(struct role *r, const struct known_gate *k, struct err *e);

#endif
