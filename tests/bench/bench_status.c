/*
 * bench_status: `orchctl status` of runs of 10 and 1,000 tasks by a running orchd, against /bin/true. One
 * pair is unfinished (stopped, so that nothing is started) and held in orchd's memory; one has ended and is
 * read from the store each time.
 */
#include "common/alloc.h"
#include "common/clock.h"
#include "supervisor/store.h"
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

static struct task *
add_task(struct run *r, const char *parent, int ordinal, int level, bool ended, int *clock)
{
	struct task *t = task_new();
	struct err e = {""};

	t->id =
	    parent == NULL ? xstrdup(r->id) : xasprintf("%s/%s%d", parent, level == 1 ? "em" : "w", ordinal);
	t->run_id = xstrdup(r->id);
	t->parent_id = xstrdup(parent);
	t->level = level;
	t->ordinal = ordinal;
	t->key = xasprintf("part-%d", ordinal);
	t->title = xasprintf("Part %d of the calculator: lexer, parser and evaluator", ordinal);
	t->goal = xstrdup("Write the part that the title names, with tests, as its acceptance says.");
	t->owns =
	    xasprintf("[\"src/part%d.c\",\"src/part%d.h\",\"tests/part%d/**\"]", ordinal, ordinal, ordinal);
	t->branch = xasprintf("cco/%s-em%d-w%d", r->id, level, ordinal);
	t->base = xstrdup(r->base);
	t->state = ended ? TASK_INTEGRATED : TASK_QUEUED;
	t->created_at = t->changed_at =
	    r->created_at + *clock; /* their order in the store is that of creation */
	*clock += 1;
	t->started_at = ended ? r->created_at : 0;
	t->ended_at = ended ? r->created_at + 1000 : 0;
	t->dirty = true;
	if (run_add_task(r, t, &e) < 0)
		bench_die("%s", e.msg);
	return t;
}

/* A run of that many tasks besides the director's own: areas of AREA_TASKS tasks each. */
static struct run *
make_run(const char *id, int serial, int tasks, bool ended)
{
	struct run *r = run_new();
	struct task *director, *em = NULL;
	int clock = 0;

	r->id = xstrdup(id);
	r->serial = serial;
	r->title = xstrdup("Build a functional calculator");
	r->body = xstrdup("Build a functional calculator, with tests.");
	r->base_branch = xstrdup("main");
	r->base = xstrdup("1111111111111111111111111111111111111111");
	r->branch = xasprintf("cco/%s-build-a-functional-calculator", id);
	r->options = xstrdup("{}");
	r->state = ended ? RUN_COMPLETE : RUN_RUNNING;
	r->stopped = !ended;
	r->created_at = r->started_at = clock_wall_ms();
	r->ended_at = ended ? r->created_at + 1000 : 0;
	r->dirty = true;
	director = add_task(r, NULL, 0, 0, ended, &clock);
	for (int n = 0, areas = 0; n < tasks; n++) {
		int in_area = n % (AREA_TASKS + 1);

		if (in_area == 0)
			em = add_task(r, director->id, ++areas, 1, ended, &clock);
		else
			add_task(r, em->id, in_area, 2, ended, &clock);
	}
	return r;
}

static void
add_run(struct run_list *runs, const char *id, int tasks, bool ended)
{
	const struct run *last = TAILQ_LAST(runs, run_list);
	struct run *r = make_run(id, last == NULL ? 1 : (int)last->serial + 1, tasks, ended);

	TAILQ_INSERT_TAIL(runs, r, entry);
}

static void
fill_store(const struct repo *place)
{
	struct store_event_list done = TAILQ_HEAD_INITIALIZER(done);
	struct run_list runs = TAILQ_HEAD_INITIALIZER(runs);
	char *path = xasprintf("%s/orch.db", place->state);
	struct store *s;
	struct run *r;
	struct err e = {""};

	if (store_open(&s, path, &e) < 0)
		bench_die("%s", e.msg);
	add_run(&runs, "10", 10, false);
	add_run(&runs, "1000", 1000, false);
	add_run(&runs, "20", 10, true);
	add_run(&runs, "2000", 1000, true);
	if (store_commit(s, &runs, &done, &e) < 0)
		bench_die("%s", e.msg);
	store_close(s);
	while ((r = TAILQ_FIRST(&runs)) != NULL) {
		TAILQ_REMOVE(&runs, r, entry);
		run_free(r);
	}
	free(path);
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
