/*
 * MAX_EMS and MAX_WORKERS_PER_EM hold at every moment: five areas of two tasks each with MAX_EMS=2 and
 * MAX_WORKERS_PER_EM=1, while a thread looks at the process table a thousand times a second. It counts
 * programs, not what orchd says: a process whose environment carries this repository's mark and whose
 * executable is orch-em or orch-worker. A second run with a death of every kind in it shows that replacements
 * take no second slot.
 */
#include "common/alloc.h"
#include "common/proc.h"
#include "common/taskid.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_EMS 2
#define SAMPLES_LEAST 200
#define SEEN_MAX 64

struct sampler {
	const char *instance;
	atomic_bool stop;
	pthread_t thread;
	unsigned samples;
	unsigned ems_max, workers_max, workers_per_em_max; /* ever seen at once */
};

/* One look at the table. */
struct sample {
	const struct sampler *s;
	struct role_seen {
		pid_t pid;
		bool em;
		unsigned of_em; /* a worker of em1 ... */
	} seen[SEEN_MAX];
	unsigned count;
};

static bool
is_program(pid_t pid, const char *name)
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
em_of_worker(pid_t pid)
{
	char task[TASKID_MAX];

	for (unsigned em = 1; em <= 5; em++)
		for (unsigned w = 1; w <= 2; w++) {
			snprintf(task, sizeof(task), "m1/em%u/w%u", em, w);
			if (proc_has_env(pid, "ORCH_TASK", task))
				return em;
		}
	return 0;
}

/* A role that forks is there twice until its child has become git or the agent: that one is no role. */
static bool
look_at(void *arg, pid_t pid)
{
	struct sample *p = arg;
	bool em = is_program(pid, "orch-em");
	const char *name = em ? "orch-em" : "orch-worker";

	if ((!em && !is_program(pid, name)) || p->count == SEEN_MAX ||
	    !proc_has_env(pid, "ORCH_INSTANCE", p->s->instance) || is_program(proc_parent(pid), name))
		return true;
	p->seen[p->count++] = (struct role_seen){pid, em, em ? 0 : em_of_worker(pid)};
	return true;
}

/*
 * Who was seen early may have ended before the last was seen. Those that live after the look have all lived
 * at its end, at one moment.
 */
static void
count_living(struct sampler *s, const struct sample *p)
{
	unsigned ems = 0, workers = 0, of_em[6] = {0};
	uint64_t ticks;

	for (unsigned i = 0; i < p->count; i++) {
		const struct role_seen *r = &p->seen[i];

		if (proc_start_time(r->pid, &ticks) < 0 ||
		    !is_program(r->pid, r->em ? "orch-em" : "orch-worker"))
			continue;
		ems += r->em;
		workers += !r->em;
		of_em[r->of_em] += !r->em;
	}
	s->samples++;
	s->ems_max = ems > s->ems_max ? ems : s->ems_max;
	s->workers_max = workers > s->workers_max ? workers : s->workers_max;
	for (unsigned i = 0; i < 6; i++)
		s->workers_per_em_max = of_em[i] > s->workers_per_em_max ? of_em[i] : s->workers_per_em_max;
}

static void *
sample_until_stopped(void *arg)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	struct sampler *s = arg;

	while (!atomic_load(&s->stop)) {
		struct sample p = {.s = s};

		proc_each(look_at, &p);
		count_living(s, &p);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void
start_sampling(struct sampler *s, struct e2e *e)
{
	memset(s, 0, sizeof(*s));
	s->instance = e->where.instance;
	assert_int_equal(pthread_create(&s->thread, NULL, sample_until_stopped, s), 0);
}

/* The limits were reached, or nothing was proved, and never exceeded. */
static void
end_sampling(struct sampler *s)
{
	atomic_store(&s->stop, true);
	pthread_join(s->thread, NULL);
	print_message("%u samples: at most %u EMs, %u workers, %u of one EM\n", s->samples, s->ems_max,
	    s->workers_max, s->workers_per_em_max);
	assert_true(s->samples >= SAMPLES_LEAST);
	assert_int_equal(s->ems_max, MAX_EMS);
	assert_int_equal(s->workers_per_em_max, 1);
}

static void
write_scripts(struct e2e *e)
{
	char name[32];

	e2e_plan(e, "director", "", "a b c d e");
	for (char area = 'a'; area <= 'e'; area++) {
		snprintf(name, sizeof(name), "em-%c", area);
		e2e_plan(e, name, "", "one two");
		snprintf(name, sizeof(name), "%c.one", area);
		e2e_work(e, name, "");
		snprintf(name, sizeof(name), "%c.two", area);
		e2e_work(e, name, "");
	}
}

static void
test_limits(void **state)
{
	struct e2e *e = *state;
	struct sampler s;
	json_t *run;

	write_scripts(e);
	start_sampling(&s, e);
	e2e_begin(e, "--max-ems", "2", "--max-workers-per-em", "1", NULL);
	assert_int_equal(e2e_end(e), 0);
	end_sampling(&s);
	run = e2e_status(e, "m1");
	assert_int_equal(json_integer_value(json_object_get(run, "integrated")), 15);
	json_decref(run);
}

/* An EM that is dead leaves its worker running; both hold their slots, and so do their replacements. */
static void
test_limits_with_deaths(void **state)
{
	struct e2e *e = *state;
	struct sampler s;

	write_scripts(e);
	e2e_work(e, "a.one", "touch @/at-one\nwait_file @/go\n");
	e2e_work(e, "b.one.1", "exit 9\n");
	e2e_work(e, "c.one.1", "say Nothing\n");
	start_sampling(&s, e);
	e2e_begin(e, "--max-ems", "2", "--max-workers-per-em", "1", NULL);
	e2e_await_file(e, "at-one");
	assert_int_equal(kill(e2e_pid(e, "m1/em1"), SIGKILL), 0);
	e2e_await(e, "m1/em1", "death", NULL);
	assert_int_equal(kill(e2e_pid(e, "m1/em1/w1"), SIGKILL), 0);
	e2e_await(e, "m1/em1/w1", "death", NULL);
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
	end_sampling(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_limits, e2e_setup, e2e_teardown),
	    cmocka_unit_test_setup_teardown(test_limits_with_deaths, e2e_setup, e2e_teardown),
	};

	return cmocka_run_group_tests_name("test_run_limits", tests, NULL, NULL);
}
