/* ctlmodel: messages about an imaginary run, for tests of what orchctl makes of them. */
#ifndef ORCH_TESTS_CTLMODEL_H
#define ORCH_TESTS_CTLMODEL_H

#include "proto/messages.h"

#define CTLMODEL_NOW 1800000600000u /* wall clock of the tests: the run began ten minutes before */

/* Run m1 in state, with limits 3 x 3; no branch, no figures. */
struct msg ctlmodel_run(const char *state);
/* A task of m1: role and parent follow from its id; changed 65 s before now. */
struct msg ctlmodel_task(const char *id, const char *title, const char *state);

#endif
