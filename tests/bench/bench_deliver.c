/*
 * bench_deliver: from the last merge of a run to its open pull request, at the pace that GitHub asks for (a
 * second between writes). GitHub is the fake one, on this machine, with real git over HTTP: what is measured
 * is orch's own time and its manners. A run with one area and one task, and one with three times three, whose
 * parts have pull requests of their own (prs=all).
 */
#include "common/json.h"
#include "tests/bench/lib/sample.h"
#include "tests/helper/lib/githubrun.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS 3

/* Time of the last event of the run's history with that kind, and (NULL: any) that state or beginning. */
static double
last_at(struct e2e *e, const char *kind, const char *state, const char *text)
{
	double at = -1;
	json_t *one;
	size_t i;

	json_array_foreach (e->events, i, one) {
		const char *said = json_str(one, "text"), *as = json_str(one, "state");

		if (strcmp(json_str(one, "kind"), kind) != 0 ||
		    (state != NULL && (as == NULL || strcmp(as, state) != 0)) ||
		    (text != NULL && (said == NULL || strncmp(said, text, strlen(text)) != 0)))
			continue;
		at = (double)json_integer_value(json_object_get(one, "at"));
	}
	if (at < 0)
		bench_die("the run has no event %s", kind);
	return at;
}

static void
plan_nine(struct e2e *e)
{
	static const char *const areas[] = {"a", "b", "c"}, *const tasks[] = {"one", "two", "three"};

	e2e_plan(e, "director", "", "a b c");
	for (int i = 0; i < 3; i++) {
		char name[32];

		snprintf(name, sizeof(name), "em-%s", areas[i]);
		e2e_plan(e, name, "", "one two three");
		for (int k = 0; k < 3; k++) {
			snprintf(name, sizeof(name), "%s.%s", areas[i], tasks[k]);
			e2e_work(e, name, "");
		}
	}
}

static void
measure(const char *prs, struct samples *s, unsigned *requests, unsigned *writes)
{
	void *state;
	struct e2e *e;

	if (githubrun_setup(&state) != 0)
		bench_die("the run cannot be set up");
	e = state;
	unsetenv("ORCH_GITHUB_WRITE_GAP");
	unsetenv("ORCH_GITHUB_SECOND");
	setenv("ORCH_PRS", prs, 1);
	if (strcmp(prs, "all") == 0)
		plan_nine(e);
	else
		e2e_work(e, "a.one", "");
	githubrun_serve_git(e);
	githubrun_begin(e, NULL);
	e2e_await(e, "25", "state", "complete");
	samples_add(s, last_at(e, "pull", NULL, "http") - last_at(e, "state", "integrated", NULL));
	*requests = hub.requests;
	*writes = hub.writes;
	unsetenv("ORCH_PRS");
	githubrun_teardown(&state);
}

int
main(void)
{
	static const char *const kinds[] = {"final", "all"};
	static const char *const lines[] = {
	    "last merge to open pull request, ms", "  the same, prs=all, 3 x 3 tasks (12 more of them), ms"};

	for (size_t k = 0; k < 2; k++) {
		unsigned requests = 0, writes = 0;
		struct samples s = {0};

		for (int i = 0; i < RUNS; i++)
			measure(kinds[k], &s, &requests, &writes);
		bench_row(lines[k], samples_median(&s), samples_at(&s, 1), -1, "");
		bench_note("prs=%s: %u requests to the API, %u of them writes (git not counted)", kinds[k],
		    requests, writes);
		samples_clear(&s);
	}
	return 0;
}
