/*
 * limits: a thread that looks at the process table while a run goes on, and remembers how many EMs and
 * workers it ever saw at once, and whether two processes ever served one task. It counts programs, not what
 * orchd says: a process whose environment carries the repository's mark and whose executable is that of a
 * role or of the scripted agent.
 */
#ifndef ORCH_TESTS_LIMITS_H
#define ORCH_TESTS_LIMITS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

struct limits {
	unsigned samples;
	unsigned ems_max, workers_max, workers_per_em_max; /* ever seen at once */
	char twice[96]; /* a task with two EMs, workers or agents that lived side by side; "": none */
	/* Private. */
	const char *instance, *run;
	pid_t pair[2]; /* of one task, in the look before */
	long pause_ns;
	atomic_bool stop;
	pthread_t thread;
};

/* instance and run are borrowed until limits_end. every_ms: between two looks. */
void limits_begin(struct limits *l, const char *instance, const char *run, unsigned every_ms);
void limits_end(struct limits *l);

/* Is the executable of pid called name? */
bool limits_is_program(pid_t pid, const char *name);

#endif
