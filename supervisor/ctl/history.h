/* history: fetches and prints events, for logs, events and report. */
#ifndef ORCH_CTL_HISTORY_H
#define ORCH_CTL_HISTORY_H

#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/out.h"

/*
 * Prints the history of run or task (both NULL: everything) with ops, as lines and follow of the arguments
 * say. An exit code; with follow it ends by Ctrl-C, when nobody reads stdout any more, or when orchd was
 * stopped; an orchd that is restarted or crashes is waited for (and started), and no event is lost or
 * repeated.
 */
int history_print(struct ctl *c, const char *run, const char *task, const struct out_ops *ops);

#endif
