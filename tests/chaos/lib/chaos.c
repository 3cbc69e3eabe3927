/* chaos: the runs one after the other, each in a process of its own (see chaos.h; one run is in run.c). */
#include "tests/chaos/lib/chaos.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/proc.h"
#include "tests/chaos/lib/run.h"
#include "tests/helper/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void
copy_out(int fd)
{
	char buf[8192];
	ssize_t n;

	lseek(fd, 0, SEEK_SET);
	while ((n = fd_read(fd, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, (size_t)n, stdout);
}

/* What a run that failed left, so that it cannot disturb the next. */
static void
clear_away(void)
{
	int status;

	while (proc_kill_descendants(NULL, NULL) > 0)
		while (waitpid(-1, &status, WNOHANG) > 0)
			;
	while (waitpid(-1, &status, WNOHANG) > 0)
		;
}

/* One run in a child; what it says is shown only when it failed. True when all laws held. */
static bool
run_apart(struct chaos_run *shared)
{
	int said = memfd_create("chaos", MFD_CLOEXEC), status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0 || said < 0) {
		printf("cannot fork: %s\n", strerror(errno));
		exit(70);
	}
	if (pid == 0) {
		dup2(said, 1);
		dup2(said, 2);
		exit(chaos_run(shared) == 0 ? 0 : 1);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	clear_away();
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		copy_out(said);
	fd_close(&said);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void
add_up(struct chaos_tally *t, const struct chaos_run *r)
{
	for (unsigned f = 0; f < FAULT_COUNT; f++) {
		t->done[f] += r->done[f];
		t->missed_by[f] += r->missed_by[f];
	}
	t->missed += r->missed;
	t->changes += r->changes;
	t->runs++;
}

static void
print_tally(const struct chaos_tally *t, int64_t ms)
{
	unsigned sum = 0;

	printf("   hit  nobody there\n");
	for (unsigned f = 0; f < FAULT_COUNT; f++) {
		if (t->done[f] + t->missed_by[f] > 0)
			printf("%6u  %6u  %s\n", t->done[f], t->missed_by[f], fault_name((enum fault)f));
		sum += t->done[f];
	}
	printf(
	    "%u runs, %u faults after %u changes of state (%u more found nobody), %u runs broken, %.1f s\n",
	    t->runs, sum, t->changes, t->missed, t->broken, (double)ms / 1000);
}

/* A run without faults of each shape says which tree is right. */
static bool
learn(struct chaos_run *shared)
{
	for (shared->shape = 0; shared->shape < CHAOS_SHAPES; shared->shape++) {
		chaos_run_clear(shared);
		if (!run_apart(shared)) {
			printf("an undisturbed run does not end as it should\n");
			return false;
		}
	}
	return true;
}

static void
tell_repeat(const struct chaos *c, const struct chaos_run *r)
{
	if (r->exact)
		printf("repeat: %s --matrix --seed %" PRIu64 " --only '%s' --at '%s %s %u'\n", c->program,
		    r->seed, fault_name(r->fault), r->at.task, r->at.state, r->at.nth);
	else
		printf("repeat: %s --seed %" PRIu64 " --runs 1 --percent %u%s%s%s\n", c->program, r->seed,
		    r->percent, c->only == NULL ? "" : " --only '", c->only == NULL ? "" : c->only,
		    c->only == NULL ? "" : "'");
}

/* The run that r describes. */
static void
run_one(const struct chaos *c, struct chaos_tally *t, struct chaos_run *r)
{
	int64_t at = clock_now_ms();

	chaos_run_clear(r);
	if (!run_apart(r)) {
		t->broken++;
		printf("BROKEN: seed %" PRIu64 ", after:\n%s", r->seed, r->history);
		tell_repeat(c, r);
	} else if (c->verbose && r->exact) {
		printf("%s %s %u, %s: %.1f s\n", r->at.task, r->at.state, r->at.nth,
		    r->faults > 0 ? fault_name(r->fault) : "nobody there",
		    (double)(clock_now_ms() - at) / 1000);
	} else if (c->verbose) {
		printf("seed %" PRIu64 ": %u faults, %.1f s\n%s", r->seed, r->faults,
		    (double)(clock_now_ms() - at) / 1000, r->history);
	}
	fflush(stdout);
	add_up(t, r);
}

static bool
is_time(const struct chaos *c, int64_t begin)
{
	return c->budget_ms == 0 || clock_now_ms() - begin < c->budget_ms;
}

static void
run_random(const struct chaos *c, struct chaos_tally *t, struct chaos_run *r, int64_t begin)
{
	for (unsigned i = 0; i < c->runs && is_time(c, begin); i++) {
		r->seed = c->seed + i;
		r->percent = c->percent;
		r->only = c->only;
		r->shape = (unsigned)(r->seed % CHAOS_SHAPES);
		run_one(c, t, r);
	}
}

static bool
is_cell(const struct chaos *c, const struct chaos_change *at, unsigned nth, enum fault f)
{
	uint64_t x = chaos_mix(chaos_mix(c->seed) + nth * FAULT_COUNT + f);
	char name[TASKID_MAX + 48];

	snprintf(name, sizeof(name), "%s %s %u", at->task, at->state, at->nth);
	return fault_target(f) < AT_SOCKET && (c->at == NULL || strcmp(c->at, name) == 0) &&
	       (c->only == NULL || strncmp(fault_name(f), c->only, strlen(c->only)) == 0) &&
	       (c->share == 0 || x % c->share == 0);
}

/* Every fault at every change of the undisturbed run that learn() did last; with little time, in an order
 * that does not stop at the run's beginning. */
static void
run_matrix(const struct chaos *c, struct chaos_tally *t, struct chaos_run *r, int64_t begin)
{
	struct chaos_change all[CHAOS_CHANGES_MAX];
	unsigned count = r->seen_count, cells = count * FAULT_COUNT, step = 7919; /* prime: visits all */

	memcpy(all, r->seen, sizeof(all));
	r->exact = true;
	for (unsigned i = 0; i < cells && is_time(c, begin); i++) {
		unsigned cell = (unsigned)((c->seed + (uint64_t)i * step) % cells);
		enum fault f = (enum fault)(cell % FAULT_COUNT);

		if (!is_cell(c, &all[cell / FAULT_COUNT], cell / FAULT_COUNT, f))
			continue;
		r->seed = c->seed;
		r->shape = CHAOS_SHAPES - 1;
		r->at = all[cell / FAULT_COUNT];
		r->fault = f;
		run_one(c, t, r);
	}
}

unsigned
chaos_runs(const struct chaos *c, struct chaos_tally *t)
{
	struct chaos_run *r =
	    mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const struct rlimit no_core = {0, 0};
	int64_t begin = clock_now_ms();

	memset(t, 0, sizeof(*t));
	if (r == MAP_FAILED || proc_become_subreaper() < 0)
		return t->broken = 1;
	setrlimit(RLIMIT_CORE, &no_core);
	snprintf(r->disk, sizeof(r->disk), "/tmp/orch-chaos-XXXXXX");
	if (mkdtemp(r->disk) == NULL)
		r->disk[0] = '\0';
	if (learn(r)) {
		(c->matrix ? run_matrix : run_random)(c, t, r, begin);
		print_tally(t, clock_now_ms() - begin);
	} else {
		t->broken = 1;
	}
	rmdir(r->disk);
	munmap(r, sizeof(*r));
	return t->broken;
}
