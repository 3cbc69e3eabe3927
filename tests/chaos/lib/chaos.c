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
	for (unsigned f = 0; f < FAULT_COUNT; f++)
		t->done[f] += r->done[f];
	t->missed += r->missed;
	t->changes += r->changes;
	t->runs++;
}

static void
print_tally(const struct chaos_tally *t, int64_t ms)
{
	unsigned sum = 0;

	for (unsigned f = 0; f < FAULT_COUNT; f++) {
		printf("%6u  %s\n", t->done[f], fault_name((enum fault)f));
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
	for (shared->shape = 0; shared->shape < CHAOS_SHAPES; shared->shape++)
		if (!run_apart(shared)) {
			printf("an undisturbed run does not end as it should\n");
			return false;
		}
	return true;
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
	if (!learn(r))
		return t->broken = 1;
	for (unsigned i = 0; i < c->runs; i++) {
		int64_t at = clock_now_ms();

		if (c->budget_ms > 0 && at - begin >= c->budget_ms)
			break;
		chaos_run_clear(r);
		r->seed = c->seed + i;
		r->percent = c->percent;
		r->only = c->only;
		r->shape = (unsigned)(r->seed % CHAOS_SHAPES);
		if (!run_apart(r)) {
			t->broken++;
			printf("BROKEN: seed %" PRIu64 ", after:\n%s", r->seed, r->history);
			printf("repeat: %s --seed %" PRIu64 " --runs 1 --percent %u%s%s%s\n", c->program,
			    r->seed, r->percent, c->only == NULL ? "" : " --only '",
			    c->only == NULL ? "" : c->only, c->only == NULL ? "" : "'");
		} else if (c->verbose) {
			printf("seed %" PRIu64 ": %u faults, %.1f s\n%s", r->seed, r->faults,
			    (double)(clock_now_ms() - at) / 1000, r->history);
		}
		fflush(stdout);
		add_up(t, r);
	}
	print_tally(t, clock_now_ms() - begin);
	munmap(r, sizeof(*r));
	return t->broken;
}
