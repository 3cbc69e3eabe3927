/* limits: see limits.h. */
#include "tests/helper/lib/limits.h"

#include "common/proc.h"
#include "common/taskid.h"
#include "tests/helper/lib/test.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SEEN_MAX 64
#define EMS_MAX 5 /* areas, and workers of each, that a test may have */

/* One look at the table. */
struct look {
	const struct limits *l;
	struct role_seen {
		pid_t pid;
		bool em;
		unsigned of_em; /* a worker of em1 ... */
	} seen[SEEN_MAX];
	unsigned count;
};

bool
limits_is_program(pid_t pid, const char *name)
{
	char path[64], exe[512], *base;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	base = strrchr(exe, '/');
	return base != NULL && strcmp(base + 1, name) == 0;
}

static unsigned
em_of_worker(const struct limits *l, pid_t pid)
{
	char task[TASKID_MAX];

	for (unsigned em = 1; em <= EMS_MAX; em++)
		for (unsigned w = 1; w <= EMS_MAX; w++) {
			snprintf(task, sizeof(task), "%s/em%u/w%u", l->run, em, w);
			if (proc_has_env(pid, "ORCH_TASK", task))
				return em;
		}
	return 0;
}

/* A role that forks is there twice until its child has become git or the agent: that one is no role. */
static bool
look_at(void *arg, pid_t pid)
{
	struct look *k = arg;
	bool em = limits_is_program(pid, "orch-em");
	const char *name = em ? "orch-em" : "orch-worker";

	if ((!em && !limits_is_program(pid, name)) || k->count == SEEN_MAX ||
	    !proc_has_env(pid, "ORCH_INSTANCE", k->l->instance) || limits_is_program(proc_parent(pid), name))
		return true;
	k->seen[k->count++] = (struct role_seen){pid, em, em ? 0 : em_of_worker(k->l, pid)};
	return true;
}

/*
 * Who was seen early may have ended before the last was seen. Those that live after the look have all lived
 * at its end, at one moment.
 */
static void
count_living(struct limits *l, const struct look *k)
{
	unsigned ems = 0, workers = 0, of_em[EMS_MAX + 1] = {0};
	uint64_t ticks;

	for (unsigned i = 0; i < k->count; i++) {
		const struct role_seen *r = &k->seen[i];

		if (proc_start_time(r->pid, &ticks) < 0 ||
		    !limits_is_program(r->pid, r->em ? "orch-em" : "orch-worker"))
			continue;
		ems += r->em;
		workers += !r->em;
		of_em[r->of_em] += !r->em;
	}
	l->samples++;
	l->ems_max = ems > l->ems_max ? ems : l->ems_max;
	l->workers_max = workers > l->workers_max ? workers : l->workers_max;
	for (unsigned i = 0; i <= EMS_MAX; i++)
		l->workers_per_em_max = of_em[i] > l->workers_per_em_max ? of_em[i] : l->workers_per_em_max;
}

static void *
look_until_stopped(void *arg)
{
	struct limits *l = arg;
	const struct timespec pause = {.tv_nsec = l->pause_ns};

	while (!atomic_load(&l->stop)) {
		struct look k = {.l = l};

		proc_each(look_at, &k);
		count_living(l, &k);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

void
limits_begin(struct limits *l, const char *instance, const char *run, unsigned every_ms)
{
	memset(l, 0, sizeof(*l));
	l->instance = instance;
	l->run = run;
	l->pause_ns = (long)every_ms * 1000000;
	assert_int_equal(pthread_create(&l->thread, NULL, look_until_stopped, l), 0);
}

void
limits_end(struct limits *l)
{
	atomic_store(&l->stop, true);
	pthread_join(l->thread, NULL);
}
