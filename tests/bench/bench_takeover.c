/*
 * bench_takeover: orchctl restart under nine workers at work: from the request until orchd has all thirteen
 * processes of the team back, as a client sees it that connects to the new one. No agent may have been
 * started again.
 */
#include "common/clock.h"
#include "tests/bench/lib/sample.h"
#include "tests/bench/lib/team.h"

#include <stdlib.h>

#define ROUNDS 15
#define BACK_MS 10000
#define PAUSE_MS 300

int
main(void)
{
	struct samples all = {0}, answer = {0};
	struct team *t = team_new();
	bool never = false;

	team_script(t, 0, "say working\nhang\n");
	team_start(t);
	team_assemble(t);
	for (int round = 0; round < ROUNDS; round++) {
		struct msg m = {.id = MSG_SHUTDOWN, .shutdown = {.keep = true}};
		struct err e = {""};
		pid_t pids[TEAM_SIZE];
		bool gone = false;
		int64_t begin;

		for (size_t i = 0; i < t->count; i++)
			pids[i] = t->members[i].pid;
		begin = bench_ns();
		if (client_call(t->client, &m, NULL, NULL, BACK_MS, &e) < 0)
			bench_die("%s", e.msg);
		client_on_lost(t->client, &gone);
		loop_wait(&t->repo->loop, &gone, clock_now_ms() + BACK_MS);
		team_watch_again(t);
		samples_add(&answer, bench_ms_since(begin));
		while (!team_is_back(t)) {
			t->news = false;
			team_wait(t, &t->news, BACK_MS, "the team is not back");
		}
		samples_add(&all, bench_ms_since(begin));
		for (size_t i = 0; i < t->count; i++)
			if (t->members[i].pid != pids[i])
				bench_die("%s was started again", t->members[i].task);
		loop_wait(&t->repo->loop, &never, clock_now_ms() + PAUSE_MS);
	}
	bench_row("restart of orchd until it answers, ms", samples_median(&answer), samples_at(&answer, 0.99),
	    -1, "");
	bench_row(
	    "  until it has a team of 13 back, ms", samples_median(&all), samples_at(&all, 0.99), -1, "");
	samples_clear(&answer);
	samples_clear(&all);
	return 0;
}
