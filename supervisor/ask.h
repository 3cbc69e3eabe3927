/*
 * ask: a run that waits for a person. Its director has left; nothing of it runs until `orchctl answer`,
 * through every restart, and other runs may.
 */
#ifndef ORCH_SUPERVISOR_ASK_H
#define ORCH_SUPERVISOR_ASK_H

#include "supervisor/daemon.h"

/* The director asks: for a yes to its plan (approval), or what it must know to make one. */
void ask_person(struct daemon *d, struct run *r, const char *question, bool approval);

/*
 * The person answers. run NULL: the only run that asks. 0 and *done: what follows from it, for the person;
 * -ENOENT, -EINVAL with a sentence. See MSG_ANSWER.
 */
int ask_answer(struct daemon *d, const char *run, const char *text, const char **done, struct err *e);

#endif
