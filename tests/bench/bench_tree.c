/*
 * bench_tree: an agent with 50 stray descendants (each in a session of its own, every second orphaned by a
 * parent that left, one in five with a child) is ended: the time from the decision until nothing of its tree
 * is left, on each rung of common/ptree that this machine has. Against SIGKILL and wait of as many direct
 * children in the same run.
 */
#include "common/clock.h"
#include "common/cmd.h"
#include "common/fd.h"
#include "common/proc.h"
#include "common/ptree.h"
#include "tests/bench/lib/sample.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STRAYS 50
#define ROUNDS 20

static char self[4096]; /* this program; in a namespace /proc/self is somebody else */

static void __attribute__((noreturn)) stay(void)
{
	for (;;)
		pause();
}

/* One descendant that lives on; more of them on the way there do not. */
static void
make_stray(int i)
{
	pid_t pid = fork();

	if (pid < 0)
		bench_die("fork: %s", strerror(errno));
	if (pid > 0) {
		if (i % 2 == 1)
			waitpid(pid, NULL, 0);
		return;
	}
	setsid();
	if (i % 2 == 1 && fork() > 0)
		_exit(0);
	setsid();
	if (i % 5 == 0 && fork() == 0)
		stay();
	if (write(1, "x", 1) != 1)
		_exit(1);
	stay();
}

/* What this program is when it is the agent. */
static void __attribute__((noreturn)) be_agent(void)
{
	for (int i = 0; i < STRAYS; i++)
		make_stray(i);
	stay();
}

static void
await_strays(int fd)
{
	char buf[STRAYS];

	for (int n = 0; n < STRAYS;) {
		ssize_t got = fd_read(fd, buf, sizeof(buf));

		if (got <= 0)
			bench_die("the agent did not make its strays");
		n += (int)got;
	}
}

static double
end_one(struct loop *l, struct ptree_plan *plan)
{
	const char *argv[] = {self, "--agent", NULL};
	struct child_spec s;
	struct ptree *t;
	pid_t pid, *left = NULL;
	int out[2];
	int64_t begin;
	double ms;

	if (fd_pipe(out, false) < 0)
		bench_die("pipe: %s", strerror(errno));
	child_spec_init(&s);
	s.argv = argv;
	s.fd_out = out[1];
	s.session = true;
	t = ptree_new(l, plan, &s);
	if (child_spawn(&s, &pid, NULL, NULL) < 0)
		bench_die("cannot start the agent");
	ptree_started(t, pid, NULL);
	fd_close(&out[1]);
	await_strays(out[0]);
	begin = bench_ns();
	kill(-pid, SIGKILL);
	if (ptree_end(t) < 0)
		bench_die("the tree does not end");
	ms = bench_ms_since(begin);
	if (proc_children(getpid(), &left) != 0)
		bench_die("something is left");
	free(left);
	ptree_free(t);
	fd_close(&out[0]);
	return ms;
}

static double
end_children(void)
{
	pid_t pids[STRAYS];
	int64_t begin;

	for (int i = 0; i < STRAYS; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			bench_die("fork: %s", strerror(errno));
		if (pids[i] == 0)
			stay();
	}
	begin = bench_ns();
	for (int i = 0; i < STRAYS; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < STRAYS; i++)
		while (waitpid(pids[i], NULL, 0) < 0 && errno == EINTR)
			continue;
	return bench_ms_since(begin);
}

static void
measure(struct loop *l, const struct ptree_machine *m, enum ptree_rung rung, struct samples *floor)
{
	const struct ptree_limits limits = {0};
	struct samples took = {0};
	struct ptree_plan plan;
	char line[PTREE_PATH_MAX + 64], why[PTREE_WHY_MAX], what[80];

	ptree_machine_write(m, line, sizeof(line));
	setenv(PTREE_MACHINE_ENV, line, 1);
	ptree_plan_init(&plan, ptree_rung_name(rung), &limits, why);
	if (plan.rung != rung) {
		bench_note("%s is not to be had here, and not measured: %s", ptree_rung_name(rung), why);
		return;
	}
	for (int i = 0; i < ROUNDS; i++)
		samples_add(&took, end_one(l, &plan));
	snprintf(what, sizeof(what), "end of a tree with %d strays, %s, ms", STRAYS, ptree_rung_name(rung));
	bench_row(what, samples_median(&took), samples_at(&took, 0.99), samples_median(floor), "<= 100 ms");
	samples_clear(&took);
	ptree_plan_clear(&plan);
}

int
main(int argc, char **argv)
{
	struct samples floor = {0};
	struct ptree_machine m;
	struct loop l;
	char name[32];

	if (argc > 1 && strcmp(argv[1], "--agent") == 0)
		be_agent();
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		bench_die("/proc/self/exe: %s", strerror(errno));
	snprintf(name, sizeof(name), "bench-%d", (int)getpid());
	ptree_probe(&m, name, true);
	for (int i = 0; i < ROUNDS; i++)
		samples_add(&floor, end_children());
	if (loop_init(&l) < 0 || loop_own_descendants(&l) < 0)
		bench_die("no loop");
	for (int rung = 0; rung < PTREE_RUNG_COUNT; rung++)
		measure(&l, &m, (enum ptree_rung)rung, &floor);
	bench_row("  kill and wait of as many children, ms", samples_median(&floor), samples_at(&floor, 0.99),
	    -1, "");
	loop_clear(&l);
	samples_clear(&floor);
	ptree_probe_end(&m);
	return 0;
}
