/* target: which run or task a person means, asked of orchd. */
#ifndef ORCH_CTL_TARGET_H
#define ORCH_CTL_TARGET_H

#include "common/taskid.h"
#include "supervisor/ctl/ctl.h"
#include "proto/view.h"

struct target {
	struct view view;
	const struct view_run *run;   /* in view */
	const struct view_task *task; /* in view; NULL: typed names the run itself */
	char id[TASKID_MAX];          /* of the task, or of the run */
};

/*
 * typed: a run, a task in full, or its short form within the current run; NULL: the current run. CTL_OK, or
 * an exit code after saying why, with a near name where there is one. Clear it in both cases.
 */
int target_find(struct target *t, struct ctl *c, const char *typed);
void target_clear(struct target *t);

#endif
