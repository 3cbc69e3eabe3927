/*
 * front: the orchctl of "orchd run", which reads the task, checks everything, shows the run and knows its
 * result. It is started before anything is made: when it refuses, nothing of ours is in the repository.
 */
#ifndef ORCH_SUPERVISOR_FRONT_H
#define ORCH_SUPERVISOR_FRONT_H

#include "supervisor/daemon.h"

/*
 * Starts it with our standard files and waits until it has checked what it was asked for. TERM, INT, HUP and
 * CHLD are blocked from here on (front_watch); the first three end it meanwhile. 0 with *link, an fd on which
 * it waits; -ECANCELED when it has ended, with its exit status in d->front_status; other -errno with e.
 */
int front_start(struct daemon *d, char **run_args, int *link, struct err *e);
/* orchd serves: it may connect. Closes *link. */
void front_go(int *link);
/* Once the loop is there: its end stops d, with its exit status as ours. Unblocks the signals. */
void front_watch(struct daemon *d);

/* A front that asked for its run to be saved has its answer, and ends with what that means. */
void front_wait(struct daemon *d);

/* Are we a job of GitHub Actions, whose machine is thrown away behind us? */
bool front_is_job(const struct daemon *d);

#endif
