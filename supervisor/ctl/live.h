/*
 * live: shows a run until it has ended: redrawn in place on a terminal, one line per change elsewhere. Keeps
 * going when the connection is lost (starting orchd again), and knows what Ctrl-C means.
 */
#ifndef ORCH_CTL_LIVE_H
#define ORCH_CTL_LIVE_H

#include "supervisor/ctl/ctl.h"
#include "proto/view.h"

struct live_opts {
	const char *run;      /* NULL: the active run, else the last one */
	bool owner;           /* orchctl run: a second Ctrl-C stops the work. status --watch just looks */
	bool print_end;       /* the last words on stdout once it has ended */
	int64_t stop_at_ms;   /* clock_now_ms: the run is stopped then, and pushed with its state; 0: never */
	bool stop_when_asked; /* also when it asks a person something: the answer comes to another job */
	bool *stopped;        /* becomes true when it was; may be NULL */
	bool *asked;          /* and true when it was for a question; may be NULL */
};

/*
 * The connection is open. Returns the run's exit code once it has ended or was stopped (CTL_OK for complete),
 * CTL_INTERRUPTED, CTL_UNREACHABLE, or another one after saying why. *found (may be NULL): there was such a
 * run.
 */
int live_show(struct ctl *c, const struct live_opts *o, bool *found);

#endif
