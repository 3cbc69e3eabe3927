/* limits: see limits.h. */
#include "tests/helper/lib/limits.h"

#include "common/fd.h"
#include "common/proc.h"
#include "common/taskid.h"
#include "tests/helper/lib/test.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SEEN_MAX 64
#define EMS_MAX 5 /* areas that a test may have */
#define ENVIRON_MAX (4 << 20)

enum kind { DIRECTOR, EM, WORKER, AGENT, KINDS };

static const char *const programs[KINDS] = {"orch-director", "orch-em", "orch-worker", "orch-test-agent"};

/* One look at the table. */
struct look {
	const struct limits *l;
	struct seen {
		pid_t pid;
		enum kind kind;
		char task[TASKID_MAX];
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

static enum kind
kind_of(pid_t pid)
{
	int k = 0;

	while (k < KINDS && !limits_is_program(pid, programs[k]))
		k++;
	return (enum kind)k;
}

/* The task in the environment that pid was started with, if that has our mark. */
static bool
read_task(pid_t pid, const char *instance, char task[TASKID_MAX])
{
	char path[64], *data;
	bool ours = false;
	size_t size;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	if (fd_read_file(path, ENVIRON_MAX, &data, &size) < 0)
		return false;
	task[0] = '\0';
	for (size_t i = 0; i < size; i += strlen(data + i) + 1) {
		if (strncmp(data + i, "ORCH_INSTANCE=", 14) == 0)
			ours = strcmp(data + i + 14, instance) == 0;
		else if (strncmp(data + i, "ORCH_TASK=", 10) == 0)
			snprintf(task, TASKID_MAX, "%s", data + i + 10);
	}
	free(data);
	return ours && taskid_valid(task);
}

/*
 * A role or agent that forks is there twice until its child has become something else: that one does not
 * count, nor does what an agent left behind in somebody else's session.
 */
static bool
look_at(void *arg, pid_t pid)
{
	struct look *k = arg;
	enum kind kind = kind_of(pid);
	struct seen *s = &k->seen[k->count];

	if (kind == KINDS || k->count == SEEN_MAX || !read_task(pid, k->l->instance, s->task) ||
	    limits_is_program(proc_parent(pid), programs[kind]) || (kind == AGENT && getsid(pid) != pid))
		return true;
	s->pid = pid;
	s->kind = kind;
	k->count++;
	return true;
}

/* Those that were seen and have ended since are taken out. */
static void
keep_living(struct look *k)
{
	uint64_t ticks;
	unsigned n = 0;

	for (unsigned i = 0; i < k->count; i++)
		if (proc_start_time(k->seen[i].pid, &ticks) == 0 &&
		    limits_is_program(k->seen[i].pid, programs[k->seen[i].kind]))
			k->seen[n++] = k->seen[i];
	k->count = n;
}

/* In two looks the same two: what is only just dying, or only just born, is not serving. */
static void
look_for_pair(struct limits *l, const struct look *k)
{
	pid_t pair[2] = {0};

	for (unsigned i = 0; i < k->count; i++)
		for (unsigned j = i + 1; j < k->count; j++) {
			const struct seen *a = &k->seen[i], *b = &k->seen[j];

			if (a->kind != b->kind || strcmp(a->task, b->task) != 0)
				continue;
			pair[0] = a->pid;
			pair[1] = b->pid;
			if (pair[0] == l->pair[0] && pair[1] == l->pair[1])
				snprintf(l->twice, sizeof(l->twice), "%s (%s %d and %d)", a->task,
				    programs[a->kind], (int)a->pid, (int)b->pid);
		}
	memcpy(l->pair, pair, sizeof(pair));
}

/*
 * Who was seen early may have ended before the last was seen. Those that live after the look have all lived
 * at its end, at one moment.
 */
static void
count_living(struct limits *l, struct look *k)
{
	unsigned ems = 0, workers = 0, of_em[EMS_MAX + 1] = {0}, em;
	size_t n = strlen(l->run);

	keep_living(k);
	for (unsigned i = 0; i < k->count; i++) {
		const struct seen *s = &k->seen[i];

		ems += s->kind == EM;
		workers += s->kind == WORKER;
		if (s->kind == WORKER && strncmp(s->task, l->run, n) == 0 &&
		    sscanf(s->task + n, "/em%u", &em) == 1)
			of_em[em <= EMS_MAX ? em : 0]++;
	}
	l->samples++;
	l->ems_max = ems > l->ems_max ? ems : l->ems_max;
	l->workers_max = workers > l->workers_max ? workers : l->workers_max;
	for (unsigned i = 0; i <= EMS_MAX; i++)
		l->workers_per_em_max = of_em[i] > l->workers_per_em_max ? of_em[i] : l->workers_per_em_max;
	look_for_pair(l, k);
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
