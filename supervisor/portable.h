/*
 * portable: a run and its tasks as lines of JSON that another orchd goes on with on another machine: what was
 * planned and done, and how often it was tried. No options (they are the other checkout's), no secrets, no
 * processes, no paths. Pure.
 *
 * What is read is somebody else's: ids, states, names of branches, commits, plans and sizes are checked, and
 * a run that passed is one that this program could have written. Nothing of it is executed but an area's own
 * verify, which a plan brings with it in any case.
 */
#ifndef ORCH_SUPERVISOR_PORTABLE_H
#define ORCH_SUPERVISOR_PORTABLE_H

#include "common/err.h"
#include "supervisor/model.h"

#define PORTABLE_TASKS_MAX (1 + 64 + 64 * 64)

/* One line, without its end; caller frees. */
char *portable_run(const struct run *r);
char *portable_task(const struct task *t);

/*
 * Reads such a line: of a run first (*r becomes a new one, without options), then of its tasks in order, the
 * director's first. 0, or -EINVAL with a sentence; *r is then the caller's as it was.
 */
int portable_read(struct run **r, const char *line, struct err *e);
/* Is it whole? After the last line. */
int portable_check(const struct run *r, struct err *e);
/* Are all its branches ones that this checkout's runs of the issue have? prefix: its branch_prefix. */
int portable_check_branches(const struct run *r, const char *prefix, struct err *e);

#endif
