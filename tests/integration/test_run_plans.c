/*
 * Twenty plans of random shape: areas, tasks and what they need of each other, with agents that work, fail,
 * stay silent, change nothing, breach what they own, or do well only the second time. Each run must end in
 * the outcome that follows from the plan: computed here beforehand, by rules that are written down here once
 * more and not taken from the programs.
 *
 * The seed is printed; ORCH_TEST_SEED repeats one.
 */
#include "common/alloc.h"
#include "common/json.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PLANS 20
#define AREAS_MAX 4
#define TASKS_MAX 5

enum kind { WORKS, COMMITS, NOISY, FLAKY, LATE, FAILS, CRASHES, SILENT, IDLE, BREACHES, KINDS };

/* first: what its agent does at first; always: whenever it is started later. */
static const struct {
	bool good;
	unsigned weight;
	const char *first, *always;
} kinds[KINDS] = {
    [WORKS] = {true, 50, NULL, ""},
    [COMMITS] = {true, 6, NULL, ""}, /* by itself: see write_worker */
    [NOISY] = {true, 4, NULL, "garbage\nflood 70000\nstderr what a mess\n"},
    [FLAKY] = {true, 6, "error Not today\n", ""},
    [LATE] = {true, 4, "say Nothing to do\n", ""},
    [FAILS] = {false, 10, NULL, "error This cannot be done\n"},
    [CRASHES] = {false, 5, NULL, "exit 3\n"},
    [SILENT] = {false, 3, NULL, "hang\n"},
    [IDLE] = {false, 5, NULL, "say I looked at it\n"},
    [BREACHES] = {false, 5, NULL, "write elsewhere.txt <<EOF\nmine\nEOF\n"},
};

struct gen_task {
	char id[8];
	unsigned needs; /* bits of earlier tasks */
	enum kind kind;
	bool wide; /* owns the whole area, so that it runs alone */
	bool good; /* computed */
};

struct gen_area {
	char id[8];
	unsigned needs;
	bool plan_fails; /* its EM's agent */
	bool given;      /* the director's plan has its tasks */
	struct gen_task tasks[TASKS_MAX];
	unsigned count;
	bool started, good; /* computed */
};

struct gen {
	unsigned state;
	struct gen_area areas[AREAS_MAX];
	unsigned count;
	unsigned tasks, integrated; /* computed: areas and their tasks, those that come to be */
	const char *end;
};

/* xorshift: the same plans on every machine. */
static unsigned
pick(struct gen *g, unsigned below)
{
	g->state ^= g->state << 13;
	g->state ^= g->state >> 17;
	g->state ^= g->state << 5;
	return g->state % below;
}

static unsigned
pick_needs(struct gen *g, unsigned earlier)
{
	unsigned needs = 0;

	for (unsigned i = 0; i < earlier; i++)
		if (pick(g, 4) == 0)
			needs |= 1u << i;
	return needs;
}

static enum kind
pick_kind(struct gen *g)
{
	unsigned sum = 0, at;

	for (unsigned i = 0; i < KINDS; i++)
		sum += kinds[i].weight;
	at = pick(g, sum);
	for (unsigned i = 0;; i++) {
		if (at < kinds[i].weight)
			return (enum kind)i;
		at -= kinds[i].weight;
	}
}

static void
generate(struct gen *g, unsigned seed)
{
	memset(g, 0, sizeof(*g));
	g->state = seed;
	g->count = 1 + pick(g, AREAS_MAX);
	for (unsigned i = 0; i < g->count; i++) {
		struct gen_area *a = &g->areas[i];

		snprintf(a->id, sizeof(a->id), "a%u", i);
		a->needs = pick_needs(g, i);
		a->given = pick(g, 3) == 0;
		a->plan_fails = !a->given && pick(g, 12) == 0;
		a->count = 1 + pick(g, TASKS_MAX);
		for (unsigned k = 0; k < a->count; k++) {
			struct gen_task *t = &a->tasks[k];

			snprintf(t->id, sizeof(t->id), "t%u", k);
			t->needs = pick_needs(g, k);
			t->kind = pick_kind(g);
			t->wide = pick(g, 5) == 0;
		}
	}
}

/*
 * A task is integrated when its agent does well and all that it needs is integrated. An area comes to an end
 * when one of its tasks does; it starts when the areas that it needs are integrated.
 */
static void
foresee(struct gen *g)
{
	unsigned good_areas = 0;

	for (unsigned i = 0; i < g->count; i++) {
		struct gen_area *a = &g->areas[i];
		unsigned good_tasks = 0, n = 0;

		a->started = (a->needs & ~good_areas) == 0;
		for (unsigned k = 0; k < a->count; k++) {
			struct gen_task *t = &a->tasks[k];

			t->good = a->started && !a->plan_fails && kinds[t->kind].good &&
				  (t->needs & ~good_tasks) == 0;
			good_tasks |= (unsigned)t->good << k;
			n += t->good;
		}
		a->good = n > 0;
		good_areas |= (unsigned)a->good << i;
		g->tasks += 1 + (a->started && !a->plan_fails ? a->count : 0);
		g->integrated += a->good + n;
	}
	g->end = good_areas == 0 ? "failed" : g->integrated == g->tasks ? "complete" : "partial";
}

/* Scripts and plans. */

static json_t *
needs_json(unsigned needs, const char *prefix)
{
	json_t *list = json_array();
	char id[8];

	for (unsigned i = 0; i < 8; i++) {
		snprintf(id, sizeof(id), "%s%u", prefix, i);
		if ((needs & 1u << i) != 0)
			json_array_append_new(list, json_string(id));
	}
	return list;
}

static json_t *
tasks_json(const struct gen_area *a)
{
	json_t *list = json_array();
	char owns[32];

	for (unsigned k = a->count; k-- > 0;) { /* what is needed comes later in the text */
		const struct gen_task *t = &a->tasks[k];

		snprintf(owns, sizeof(owns), t->wide ? "%s/" : "%s/%s.txt", a->id, t->id);
		json_array_append_new(
		    list, json_pack("{s:s,s:s,s:s,s:[s],s:o}", "id", t->id, "title", t->id, "goal", "Do it.",
			      "owns", owns, "depends_on", needs_json(t->needs, "t")));
	}
	return list;
}

static json_t *
areas_json(const struct gen *g)
{
	json_t *list = json_array();
	char owns[32];

	for (unsigned i = 0; i < g->count; i++) {
		const struct gen_area *a = &g->areas[i];
		json_t *area;

		snprintf(owns, sizeof(owns), "%s/", a->id);
		area = json_pack("{s:s,s:s,s:s,s:[s],s:o}", "id", a->id, "title", a->id, "goal", "Do it.",
		    "owns", owns, "depends_on", needs_json(a->needs, "a"));
		if (a->given)
			json_object_set_new(area, "tasks", tasks_json(a));
		json_array_append_new(list, area);
	}
	return list;
}

static void
write_plan(struct e2e *e, const char *script, const char *key, json_t *list)
{
	json_t *plan = json_pack("{s:s,s:o}", "summary", "A plan.", key, list);
	char *text = json_text(plan);

	e2e_script(e, script, "plan <<EOF\n%s\nEOF\n", text);
	free(text);
	json_decref(plan);
}

static void
write_worker(struct e2e *e, const struct gen_area *a, const struct gen_task *t)
{
	char name[64], key[32];

	snprintf(key, sizeof(key), "%s.%s", a->id, t->id);
	snprintf(name, sizeof(name), "worker-%s", key);
	if (!kinds[t->kind].good)
		e2e_script(e, name, "%s", kinds[t->kind].always);
	else if (t->kind == COMMITS)
		e2e_script(
		    e, name, "write %s/%s.txt <<EOF\n%s\nEOF\ncommit by myself\n", a->id, t->id, t->id);
	else
		e2e_work(e, key, kinds[t->kind].always);
	snprintf(name, sizeof(name), "worker-%s.1", key);
	if (kinds[t->kind].first != NULL)
		e2e_script(e, name, "%s", kinds[t->kind].first);
}

static void
write_scripts(struct e2e *e, const struct gen *g)
{
	char name[32];

	write_plan(e, "director", "areas", areas_json(g));
	for (unsigned i = 0; i < g->count; i++) {
		const struct gen_area *a = &g->areas[i];

		snprintf(name, sizeof(name), "em-%s", a->id);
		if (a->plan_fails)
			e2e_script(e, name, "error I cannot plan this\n");
		else if (!a->given)
			write_plan(e, name, "tasks", tasks_json(a));
		for (unsigned k = 0; k < a->count; k++)
			write_worker(e, a, &a->tasks[k]);
	}
}

/* What came of it. */

static json_t *
find_child(json_t *run, const char *parent, const char *key)
{
	json_t *tasks = json_object_get(run, "tasks");

	for (size_t i = 0; i < json_array_size(tasks); i++) {
		json_t *t = json_array_get(tasks, i);
		const char *p = json_str(t, "parent"), *k = json_str(t, "key");

		if (p != NULL && k != NULL && strcmp(p, parent) == 0 && strcmp(k, key) == 0)
			return t;
	}
	return NULL;
}

static void
check_task(json_t *t, const char *what, bool good)
{
	if (t == NULL)
		fail_msg("%s is not there", what);
	if (strcmp(json_str(t, "state"), good ? "integrated" : "failed") != 0)
		fail_msg("%s is %s: %s", what, json_str(t, "state"),
		    json_str(t, "reason") == NULL ? "" : json_str(t, "reason"));
	if (!good && (json_str(t, "reason") == NULL || *json_str(t, "reason") == '\0'))
		fail_msg("%s failed without a reason", what);
}

static void
check_area(struct e2e *e, json_t *run, const struct gen_area *a, const char *branch)
{
	json_t *em = find_child(run, "m1", a->id);

	check_task(em, a->id, a->good);
	for (unsigned k = 0; k < a->count; k++) {
		const struct gen_task *t = &a->tasks[k];
		char *spec = xasprintf("%s:%s/%s.txt", branch, a->id, t->id);
		json_t *row = find_child(run, json_str(em, "task"), t->id);

		if (a->started && !a->plan_fails)
			check_task(row, spec, t->good);
		else
			assert_null(row);
		if (branch != NULL) {
			int there = testrepo_try(e->repo, NULL, "cat-file", "-e", spec, NULL) == 0;

			assert_int_equal(there, t->good);
		}
		free(spec);
	}
}

static void
one_plan(struct e2e *e, const struct gen *g, json_t **run)
{
	int status;

	write_scripts(e, g);
	e2e_begin(e, "--agent-silence", "1", "--max-attempts", "2", "--max-rework", "1", NULL);
	status = e2e_end(e);
	*run = e2e_status(e, "m1");
	if (strcmp(json_str(*run, "state"), g->end) != 0)
		fail_msg("the run is %s, not %s", json_str(*run, "state"), g->end);
	assert_int_equal(status, strcmp(g->end, "complete") == 0 ? 0 : 1);
	for (unsigned i = 0; i < g->count; i++)
		check_area(
		    e, *run, &g->areas[i], strcmp(g->end, "failed") == 0 ? NULL : json_str(*run, "branch"));
	assert_int_equal(json_array_size(json_object_get(*run, "tasks")), g->tasks + 1);
}

static void
tell_plan(const struct gen *g, unsigned seed)
{
	print_message("ORCH_TEST_SEED=%u:", seed);
	for (unsigned i = 0; i < g->count; i++) {
		const struct gen_area *a = &g->areas[i];

		print_message(" %s(", a->id);
		for (unsigned k = 0; k < a->count; k++)
			print_message(
			    "%s%u:%x", k == 0 ? "" : " ", (unsigned)a->tasks[k].kind, a->tasks[k].needs);
		print_message(")%s", a->plan_fails ? "!" : a->given ? "*" : "");
	}
	print_message(" -> %s\n", g->end);
}

static void
test_random_plan(void **state)
{
	static unsigned seed;
	const char *given = getenv("ORCH_TEST_SEED");
	json_t *run = NULL;
	struct gen g;

	if (seed == 0)
		seed =
		    given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL) % 1000000 + 1;
	generate(&g, seed);
	foresee(&g);
	tell_plan(&g, seed);
	seed++;
	one_plan(*state, &g, &run);
	json_decref(run);
}

int
main(void)
{
	struct CMUnitTest tests[PLANS];

	for (size_t i = 0; i < PLANS; i++)
		tests[i] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(
		    test_random_plan, e2e_setup, e2e_teardown);
	return cmocka_run_group_tests_name("test_run_plans", tests, NULL, NULL);
}
