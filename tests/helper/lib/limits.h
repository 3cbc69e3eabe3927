/*
 * limits: a thread that looks at the process table while a run goes on, and remembers how many EMs and
 * workers it ever saw at once. It counts programs, not what orchd says: a process whose environment carries
 * the repository's mark and whose executable is orch-em or orch-worker.
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
	/* Private. */
	const char *instance, *run;
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
