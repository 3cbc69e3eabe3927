/*
 * bench_github: what a run for an issue costs of GitHub's limits, at GitHub's own pace: 1, 10 and 50 workers,
 * eight at a time, agents of five seconds; and the memory of the director of an issue with 5,000 comments of
 * 1 KB. GitHub counts points a minute (a read 1, a write 5; a 304 costs none of the hourly requests); it
 * allows 900 of them, 80 writes of content a minute, and 1,000 requests an hour with the token of Actions.
 */
#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/json.h"
#include "tests/bench/lib/sample.h"
#include "tests/helper/lib/githubrun.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMENTS 5000
#define MINUTE_MS 60000

struct watch {
	pid_t orchd;
	int64_t pull_ms; /* wall clock of the POST that opened the pull request */
	size_t peak_kb;  /* of the director */
};

static size_t
peak_of(pid_t pid)
{
	char path[64], *text = NULL, *at;
	size_t kb = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (fd_read_file(path, 1 << 16, &text, NULL) == 0 && (at = strstr(text, "VmHWM:")) != NULL)
		kb = strtoul(at + 6, NULL, 10);
	free(text);
	return kb;
}

static void
look(struct fakegithub *g, const char *method, const char *path, void *arg)
{
	struct watch *w = arg;
	pid_t director;
	size_t kb;

	(void)g;
	if (strcmp(method, "POST") == 0 && strstr(path, "/pulls") != NULL)
		w->pull_ms = clock_wall_ms();
	if (strcmp(method, "GET") == 0 || w->orchd == 0)
		return;
	director = githubrun_director(w->orchd);
	kb = director > 0 ? peak_of(director) : 0;
	if (kb > w->peak_kb)
		w->peak_kb = kb;
}

static struct e2e *
begin(struct watch *w, unsigned workers, void **fixture)
{
	char *list = xstrdup("");
	struct e2e *e;

	if (githubrun_setup(fixture) != 0)
		bench_die("no fixture");
	e = *fixture;
	setenv("ORCH_GITHUB_SECOND", "1000", 1);
	setenv("ORCH_GITHUB_WRITE_GAP", "1000", 1);
	githubrun_serve_git(e);
	for (unsigned i = 1; i <= workers; i++) {
		char *key = xasprintf("a.w%u", i), *longer = xasprintf("%s%sw%u", list, i > 1 ? " " : "", i);

		e2e_work(e, key, "wait_ms 5000\n");
		free(key);
		free(list);
		list = longer;
	}
	e2e_plan(e, "em-a", "", list);
	free(list);
	memset(w, 0, sizeof(*w));
	hub.before = look;
	hub.arg = w;
	return e;
}

/* The most that any 60 s had: requests, or their points. */
static unsigned
worst_minute(bool points)
{
	unsigned worst = 0;
	json_t *from, *to;
	size_t i, k;

	json_array_foreach (hub.log, i, from) {
		unsigned n = 0;

		json_array_foreach (hub.log, k, to) {
			json_int_t after = json_integer_value(json_object_get(to, "ms")) -
					   json_integer_value(json_object_get(from, "ms"));

			if (after >= 0 && after < MINUTE_MS)
				n += points && strcmp(json_str(to, "method"), "GET") != 0 ? 5 : 1;
		}
		worst = n > worst ? n : worst;
	}
	return worst;
}

/* Wall clock of the last area's merge. */
static int64_t
merged_ms(struct e2e *e)
{
	int at = e2e_find(e, 0, "25/em1", "state", "integrated");

	return at < 0 ? 0 : json_integer_value(json_object_get(json_array_get(e->events, (size_t)at), "at"));
}

static void
measure(unsigned workers)
{
	void *fixture;
	struct watch w;
	struct e2e *e = begin(&w, workers, &fixture);
	int64_t began = clock_now_ms();
	unsigned edits;

	githubrun_begin(e, "--max-workers-per-em", "8", NULL);
	w.orchd = e2e_pid(e, NULL);
	githubrun_await_state(e, "complete");
	githubrun_assert_pull(e);
	edits = fakegithub_count(&hub, "PATCH", "/issues/comments/", 0);
	printf("| %u | %lld s | %u | %u | %u | %u | %u | %u | %.1f s |\n", workers,
	    (long long)(clock_now_ms() - began) / 1000, hub.requests - hub.writes, hub.not_modified,
	    hub.writes, edits, worst_minute(false), worst_minute(true),
	    (double)(w.pull_ms - merged_ms(e)) / 1000);
	fflush(stdout);
	githubrun_teardown(&fixture);
}

static void
measure_memory(unsigned comments)
{
	void *fixture;
	struct watch w;
	struct e2e *e = begin(&w, 1, &fixture);
	char text[1025];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (unsigned i = 0; i < comments; i++)
		fakegithub_comment(&hub, "25", "ada", text);
	githubrun_begin(e, NULL);
	w.orchd = e2e_pid(e, NULL);
	githubrun_await_state(e, "complete");
	printf("director, %u comments: %.1f MB resident at most, %u reads, %u of them 304, %u writes\n",
	    comments, (double)w.peak_kb / 1024, hub.requests - hub.writes, hub.not_modified, hub.writes);
	fflush(stdout);
	githubrun_teardown(&fixture);
}

int
main(void)
{
	puts("| workers | run | reads | 304 | writes | comment edits | requests in a minute | points in a "
	     "minute | merged to "
	     "pull request |\n|---|---|---|---|---|---|---|---|---|");
	measure(1);
	measure(10);
	measure(50);
	measure_memory(0);
	measure_memory(COMMENTS);
	return 0;
}
