/*
 * bench_memory: proportional set size (PSS: private pages, and each shared page divided by those who share
 * it) of orchd and its roles while nine agents hang, without the agents, against one idle node.
 */
#include "common/child.h"
#include "common/clock.h"
#include "tests/bench/lib/sample.h"
#include "tests/bench/lib/team.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NODE_SETTLE_MS 1000

/* KiB of an idle node; -1: there is none. */
static double
measure_node(struct team *t)
{
	const char *argv[] = {"node", "-e", "setTimeout(()=>{},1e6)", NULL};
	struct child_spec s;
	struct err e = {""};
	bool never = false;
	double kib;
	pid_t pid;

	child_spec_init(&s);
	s.argv = argv;
	s.death_signal = SIGKILL;
	if (child_spawn(&s, &pid, NULL, &e) < 0)
		return -1;
	loop_wait(&t->repo->loop, &never, clock_now_ms() + NODE_SETTLE_MS);
	kib = bench_pss(pid);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return kib;
}

static void
measure_roles(struct team *t, const char *role, double node, double *total)
{
	struct samples s = {0};
	char what[64];

	for (size_t i = 0; i < t->count; i++) {
		double kib;

		if (strcmp(t->members[i].role, role) != 0)
			continue;
		kib = bench_pss(t->members[i].pid);
		samples_add(&s, kib);
		*total += kib;
	}
	snprintf(what, sizeof(what), "memory of %s%s, KiB PSS", s.count > 1 ? "each " : "", role);
	bench_row(what, samples_median(&s), samples_at(&s, 1), node, "");
	samples_clear(&s);
}

int
main(void)
{
	struct team *t = team_new();
	double total, node;

	team_script(t, 0, "say working\nhang\n");
	team_start(t);
	team_assemble(t);
	node = measure_node(t);
	total = bench_pss(t->orchd);
	bench_row("memory of orchd, KiB PSS", total, -1, node, "");
	measure_roles(t, "director", node, &total);
	measure_roles(t, "em", node, &total);
	measure_roles(t, "worker", node, &total);
	bench_row("memory of all 14 processes, KiB PSS", total, -1, node, "< 1 x node");
	if (node < 0)
		bench_note("node is not installed here: there is nothing to compare the memory with");
	return 0;
}
