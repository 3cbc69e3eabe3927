/*
 * bench_restart: workers and EMs at work (stable for 5 s, so that the first restart comes at once) are killed
 * one by one by SIGKILL; the time from the kill until a watching client sees the replacement ready, which is
 * after its HELLO. Against fork + exec + one byte in the same run. The director is spared: it has no sibling.
 */
#include "common/alloc.h"
#include "common/clock.h"
#include "supervisor/unit.h"
#include "tests/bench/lib/sample.h"
#include "tests/bench/lib/team.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS UNIT_DEATHS_MAX /* one more within a minute would be parked */
#define STABLE_MS (UNIT_STABLE_MS + 100)
#define PAUSE_MS 250 /* after a restart: the new worker starts its agent */
#define BACK_MS 10000
#define FLOORS 6 /* per kill */

static void
pump(struct team *t, int64_t ms)
{
	bool never = false;

	if (loop_wait(&t->repo->loop, &never, clock_now_ms() + ms) == -ECANCELED)
		bench_die("stopped");
}

static double
fork_exec_byte(const char *program)
{
	int64_t begin = bench_ns();
	double ms;
	int fds[2];
	char byte;
	pid_t pid;

	if (pipe(fds) < 0 || (pid = fork()) < 0)
		bench_die("fork: %s", strerror(errno));
	if (pid == 0) {
		dup2(fds[1], 1);
		close(fds[0]);
		close(fds[1]);
		execl(program, program, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	if (read(fds[0], &byte, 1) != 1)
		bench_die("%s wrote nothing", program);
	ms = bench_ms_since(begin);
	close(fds[0]);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return ms;
}

static double
kill_and_await(struct team *t, struct member *o)
{
	int64_t stable_ns = o->ready_ns + (int64_t)STABLE_MS * 1000000, begin, now = bench_ns();
	pid_t old = o->pid;

	if (stable_ns > now)
		pump(t, (stable_ns - now) / 1000000 + 1);
	begin = bench_ns();
	if (kill(old, SIGKILL) < 0)
		bench_die("cannot kill the %s of %s: %s", o->role, o->task, strerror(errno));
	while (o->pid == old || o->ready_ns == 0) {
		t->news = false;
		team_wait(t, &t->news, BACK_MS, "the killed role is not back");
	}
	return (double)(o->ready_ns - begin) / 1e6;
}

int
main(void)
{
	struct samples workers = {0}, ems = {0}, floor = {0};
	struct team *t = team_new();
	char *program = team_program("orch-test-floor");

	team_script(t, 0, "say working\nhang\n");
	team_start(t);
	team_assemble(t);
	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < t->count; i++) {
			struct member *o = &t->members[i];
			bool is_worker = strcmp(o->role, "worker") == 0;

			if (strcmp(o->role, "director") == 0)
				continue;
			samples_add(is_worker ? &workers : &ems, kill_and_await(t, o));
			pump(t, PAUSE_MS);
			for (int n = 0; n < FLOORS; n++)
				samples_add(&floor, fork_exec_byte(program));
		}
	bench_row("restart of a killed worker, ms", samples_median(&workers), samples_at(&workers, 0.99),
	    samples_median(&floor), "<= 3 ms");
	bench_row("restart of a killed EM, ms", samples_median(&ems), samples_at(&ems, 0.99),
	    samples_median(&floor), "<= 3 ms");
	bench_row("  fork + exec + one byte, ms", samples_median(&floor), samples_at(&floor, 0.99), -1, "");
	bench_note("%zu workers and %zu EMs were killed", workers.count, ems.count);
	samples_clear(&workers);
	samples_clear(&ems);
	samples_clear(&floor);
	free(program);
	return 0;
}
