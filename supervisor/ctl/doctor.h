/*
 * doctor: what orchctl doctor looks at besides the repository: keys and endpoints, and what the machine can
 * do to keep agents apart. Each adds its lines at f, at most room of them, and returns how many.
 */
#ifndef ORCH_CTL_DOCTOR_H
#define ORCH_CTL_DOCTOR_H

#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/finding.h"

/* Which configurations there are (never a value of theirs), and whether their endpoints answer. */
size_t doctor_keys(struct ctl *c, struct finding *f, size_t room);
/* cgroups, namespaces, pidfds, Landlock. */
size_t doctor_sandbox(struct ctl *c, struct finding *f, size_t room);
/* The agent's program and what version it says it is. */
void doctor_agent(struct ctl *c, struct finding *f);

#endif
