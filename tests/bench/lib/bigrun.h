/* bigrun: runs of any size, written into the store of a repository before its orchd starts. */
#ifndef ORCH_BENCH_BIGRUN_H
#define ORCH_BENCH_BIGRUN_H

#include "common/repo.h"
#include "supervisor/model.h"

enum bigrun_state {
	BIGRUN_STOPPED, /* unfinished, and nothing of it is started */
	BIGRUN_ENDED,   /* read from the store each time */
	BIGRUN_RUNNING, /* all of it is to be started at once; 64 of each kind may be at work */
};

/* Appends a run with that many tasks besides the director's own: areas of area_tasks tasks each. */
void bigrun_add(struct run_list *runs, const char *id, int tasks, int area_tasks, enum bigrun_state state);
/* Writes and frees them. */
void bigrun_store(struct run_list *runs, const struct repo *place);

#endif
