/* ctlmodel: see ctlmodel.h. */
#include "tests/helper/lib/ctlmodel.h"

#include "common/taskid.h"

struct msg
ctlmodel_run(const char *state)
{
	struct msg m = {.id = MSG_RUN_INFO};

	m.run_info.run = "m1";
	m.run_info.title = "Build a functional calculator";
	m.run_info.state = state;
	m.run_info.created_at = CTLMODEL_NOW - 600000;
	m.run_info.started_at = CTLMODEL_NOW - 600000;
	m.run_info.max_ems = 3;
	m.run_info.max_workers_per_em = 3;
	return m;
}

struct msg
ctlmodel_task(const char *id, const char *title, const char *state)
{
	static const char *const roles[] = {"director", "em", "worker"};
	struct msg m = {.id = MSG_TASK_INFO};

	m.task_info.task = id;
	m.task_info.run = "m1";
	m.task_info.role = roles[taskid_level(id)];
	m.task_info.title = title;
	m.task_info.state = state;
	m.task_info.unit = "ready";
	m.task_info.attempt = 1;
	m.task_info.created_at = CTLMODEL_NOW - 600000;
	m.task_info.started_at = CTLMODEL_NOW - 500000;
	m.task_info.changed_at = CTLMODEL_NOW - 65000;
	return m;
}
