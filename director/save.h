/*
 * save: --save: pushes what a run that was stopped has, so that another machine goes on with it; and the end
 * of that, when a run has ended.
 */
#ifndef ORCH_DIRECTOR_SAVE_H
#define ORCH_DIRECTOR_SAVE_H

#include "proto/role.h"

/* The work of a director with --save, as struct role_kind wants it. Whether it could be pushed is told as an
 * event. */
int director_save(struct role *r, struct err *e);

/* The run, of this branch, has ended with a pull request. In a workflow its state is pushed all the same: the
 * machine that is to answer a review of it is another one. False where that is not so or failed (told). */
bool save_ended(struct role *r, const char *branch);

/* The run has ended: the state that it went on from, or was saved in, is removed here and on GitHub. Failures
 * are told. */
void save_drop(struct role *r);

#endif
