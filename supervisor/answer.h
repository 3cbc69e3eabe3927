/* answer: what clients ask for, a handler per request in one table. */
#ifndef ORCH_SUPERVISOR_ANSWER_H
#define ORCH_SUPERVISOR_ANSWER_H

#include "supervisor/daemon.h"

/* Answers m, now or later; what it does not know is an ERROR. */
void answer_request(struct client *c, const struct msg *m);
/* A run with its tasks, as a STATUS answer has it. */
void answer_with_run(struct client *c, uint32_t request, const struct run *r, bool with_tasks);
/* The run that is meant when none is named: the active one, else the newest unfinished one. */
struct run *answer_current_run(struct daemon *d);

#endif
