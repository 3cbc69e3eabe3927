/*
 * team: a repository of the bench's own with its orchd, and a scripted team of three areas with three tasks
 * each in it. When the process ends, however it comes to that but SIGKILL, all of it is stopped and removed.
 */
#ifndef ORCH_BENCH_TEAM_H
#define ORCH_BENCH_TEAM_H

#include "common/repo.h"
#include "proto/messages.h"
#include "supervisor/ctl/client.h"
#include "tests/helper/lib/testrepo.h"

#include <stdbool.h>
#include <sys/types.h>

#define TEAM_AREAS 3
#define TEAM_TASKS 3
#define TEAM_SIZE (1 + TEAM_AREAS + TEAM_AREAS * TEAM_TASKS)

/* One role as the last TASK_INFO told it. */
struct member {
	char task[64], role[16], unit[16], state[16];
	pid_t pid;
	int64_t ready_ns; /* bench_ns when it was first seen ready with this pid; 0: not yet */
	bool busy;        /* its agent was seen at work */
};

struct team {
	struct testrepo *repo;
	struct repo place;
	pid_t orchd;
	struct client *client;
	struct member members[TEAM_SIZE];
	size_t count;
	bool news; /* set by every TASK_INFO */
};

/* One for the process. The repository is there, orchd does not run. */
struct team *team_new(void);
/* Stops and removes everything; also done at exit. */
void team_end(void);

/* Writes the scripts: every planning agent plans after plan_ms; a worker does what worker says, in which each
 * %s becomes its file ("a1/f2"). */
void team_script(struct team *t, int plan_ms, const char *worker);

/* Starts orchd and waits until it answers. */
void team_start(struct team *t);
/* Runs orchctl with the arguments up to NULL, its output thrown away, to its end; returns its exit status. */
int team_orchctl(struct team *t, const char *arg, ...) __attribute__((sentinel));
/* Starts a run and watches it until every worker's agent is at work. The script must keep them there. */
void team_assemble(struct team *t);
/* Connects to whichever orchd answers now and watches the run; every member counts as not seen ready yet. */
void team_watch_again(struct team *t);
/* All of them ready again, with the processes that they had. */
bool team_is_back(const struct team *t);
/* Pumps the connection until *done; dies with what when that takes longer than ms. */
void team_wait(struct team *t, const bool *done, int64_t ms, const char *what);
/* The path of a program of the build, in fresh memory. */
char *team_program(const char *name);

#endif
