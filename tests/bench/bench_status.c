/*
 * bench_status: `orchctl status` of runs of 10 and 1,000 tasks by a running orchd, against /bin/true. One
 * pair is unfinished (stopped, so that nothing is started) and held in orchd's memory; one has ended and is
 * read from the store each time.
 */
#include "common/alloc.h"
#include "tests/bench/lib/bigrun.h"
#include "tests/bench/lib/sample.h"
#include "tests/bench/lib/team.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 60
#define AREA_TASKS 50

extern char **environ;

static void
fill_store(const struct repo *place)
{
	struct run_list runs = TAILQ_HEAD_INITIALIZER(runs);

	bigrun_add(&runs, "10", 10, AREA_TASKS, BIGRUN_STOPPED);
	bigrun_add(&runs, "1000", 1000, AREA_TASKS, BIGRUN_STOPPED);
	bigrun_add(&runs, "20", 10, AREA_TASKS, BIGRUN_ENDED);
	bigrun_add(&runs, "2000", 1000, AREA_TASKS, BIGRUN_ENDED);
	bigrun_store(&runs, place);
}

/* Milliseconds from the start of a program to its end, its output thrown away. */
static double
time_program(const char *const *argv)
{
	posix_spawn_file_actions_t out;
	int64_t begin;
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&out);
	posix_spawn_file_actions_addopen(&out, 1, "/dev/null", O_WRONLY, 0);
	begin = bench_ns();
	if (posix_spawn(&pid, argv[0], &out, NULL, (char *const *)argv, environ) != 0)
		bench_die("cannot start %s", argv[0]);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			bench_die("waitpid: %s", strerror(errno));
	posix_spawn_file_actions_destroy(&out);
	if (status != 0)
		bench_die("%s ended with status %d", argv[0], status);
	return bench_ms_since(begin);
}

int
main(void)
{
	static const struct {
		const char *run, *what, *aim;
	} kinds[] = {
	    {"10", "status, 10 tasks, ms", "<= 2 ms"},
	    {"1000", "status, 1,000 tasks, ms", "<= 5 ms"},
	    {"20", "status, 10 tasks of an ended run, ms", ""},
	    {"2000", "status, 1,000 tasks of an ended run, ms", ""},
	};
	struct samples times[4] = {{0}}, nothing = {0};
	struct team *t = team_new();
	char *orchctl = team_program("orchctl");

	fill_store(&t->place);
	team_start(t);
	if (chdir(t->repo->top) < 0)
		bench_die("%s: %s", t->repo->top, strerror(errno));
	for (int i = 0; i < ROUNDS; i++) {
		samples_add(&nothing, time_program((const char *[]){"/bin/true", NULL}));
		for (size_t k = 0; k < 4; k++)
			samples_add(
			    &times[k], time_program((const char *[]){orchctl, "status", kinds[k].run, NULL}));
	}
	for (size_t k = 0; k < 4; k++) {
		bench_row(kinds[k].what, samples_median(&times[k]), samples_at(&times[k], 0.99),
		    samples_median(&nothing), kinds[k].aim);
		samples_clear(&times[k]);
	}
	samples_clear(&nothing);
	if (chdir("/") < 0)
		bench_die("/: %s", strerror(errno));
	free(orchctl);
	return 0;
}
