/* request: what stop, restart, cancel, retry and resume have in common. */
#ifndef ORCH_CTL_REQUEST_H
#define ORCH_CTL_REQUEST_H

#include "supervisor/ctl/ctl.h"

/* Connects, sends m and prints orchd's acknowledgement on stdout, or what when it has no words. An exit code.
 */
int request_send(struct ctl *c, struct msg *m, const char *what);

/* Ends all work and orchd, waiting until it has gone. The connection is open and is closed then. save: runs of issues
 * are pushed with their state before it goes. */
int request_shutdown(struct ctl *c, bool now, bool save);

#endif
