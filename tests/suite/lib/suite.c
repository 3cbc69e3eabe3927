/* suite: see suite.h; what can happen in an area is in kinds.c. */
#include "tests/suite/lib/suite.h"

#include "common/alloc.h"
#include "common/json.h"
#include "tests/helper/lib/test.h"
#include "tests/suite/lib/kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AREAS_MAX 3
#define KINDS_MAX 32

struct scenario {
	struct suite_area areas[AREAS_MAX];
	size_t count;
	bool clash; /* the first two areas are green alone and red together */
};

static struct {
	unsigned next; /* seed of the next repository */
	size_t done[KINDS_MAX], clashes, moves;
} tally;

/* No two areas may own what belongs to all: one weakened gate is enough. */
static size_t
pick_kind(const struct scenario *s, unsigned *state)
{
	size_t kind = suite_pick(state, (unsigned)suite_kind_count());

	for (size_t i = 0; i < s->count; i++)
		if (s->areas[i].kind == kind)
			return 0;
	return kind;
}

static void
add_clash(struct e2e *e, struct suite_area *a, const char *other, bool first)
{
	struct suite_task *t = &a->tasks[a->count++];
	char *name = xasprintf("worker-%s.t9", a->id),
	     *text = xasprintf("delete %s/t9.%s\nwrite %s/t9.%s <<EOF\nx\nEOF\n", a->id,
		 first ? "clashes" : "txt", a->id, first ? "txt" : "other");

	assert_true(a->count <= TASKS_MAX);
	*t = (struct suite_task){.good = 1};
	strcpy(t->id, "t9");
	snprintf(t->owns, sizeof(t->owns), "\"%s/t9*\"", a->id);
	e2e_script(e, name, "touch @/%s-t9\nwait_file @/%s-t9\nwrite %s/t9.%s <<EOF\n%s/t9.txt\nEOF\n", a->id,
	    other, a->id, first ? "clashes" : "txt", other);
	free(name);
	for (int n = 1; n <= 2; n++) {
		name = xasprintf("worker-%s.rework-%d", a->id, n);
		e2e_script(e, name, "expect_prompt clashes with\n%s", text);
		free(name);
	}
	free(text);
}

static void
generate(struct e2e *e, struct scenario *s, unsigned state)
{
	static const char *const ids[AREAS_MAX] = {"a", "b", "c"};
	size_t count = 1 + suite_pick(&state, AREAS_MAX);

	memset(s, 0, sizeof(*s));
	testrepo_file(e->repo, "check.sh", suite_gate);
	for (size_t i = 0; i < count; i++) {
		struct suite_area *a = &s->areas[i];

		a->kind = pick_kind(s, &state);
		s->count++;
		a->id = ids[i];
		suite_fill(e, a, &state);
	}
	s->clash = count > 1 && suite_pick(&state, 4) == 0 && s->areas[0].count < TASKS_MAX &&
		   s->areas[1].count < TASKS_MAX;
	if (s->clash) {
		add_clash(e, &s->areas[0], "b", true);
		add_clash(e, &s->areas[1], "a", false);
	}
	free(testrepo_commit(e->repo, "The base"));
	testrepo_do(e->repo, NULL, "config", "core.logAllRefUpdates", "always", NULL);
}

static void
grow(char **text, char *more)
{
	char *longer = xasprintf("%s%s", *text, more);

	free(*text);
	free(more);
	*text = longer;
}

static void
write_area_plan(struct e2e *e, const struct suite_area *a)
{
	char *name = xasprintf("em-%s", a->id);
	char *text = xasprintf("{\"summary\":\"s\",\"shared\":[%s],\"tasks\":[", a->shared);

	for (size_t k = 0; k < a->count; k++) {
		const struct suite_task *t = &a->tasks[k];

		grow(&text,
		    xasprintf(
			"%s{\"id\":\"%s\",\"title\":\"T\",\"goal\":\"g\",\"owns\":[%s],\"depends_on\":[%s]}",
			k > 0 ? "," : "", t->id, t->owns, t->needs));
	}
	e2e_script(e, name, "plan <<EOF\n%s]}\nEOF\n", text);
	free(text);
	free(name);
}

static void
write_plans(struct e2e *e, const struct scenario *s)
{
	char *text = xstrdup("{\"summary\":\"s\",\"areas\":[");

	for (size_t i = 0; i < s->count; i++) {
		const struct suite_area *a = &s->areas[i];

		grow(&text, xasprintf("%s{\"id\":\"%s\",\"title\":\"%s\",\"goal\":\"g\",\"owns\":[%s]}",
				i > 0 ? "," : "", a->id, suite_kind_name(a->kind), a->owns));
		write_area_plan(e, a);
	}
	e2e_script(e, "director", "plan <<EOF\n%s]}\nEOF\n", text);
	free(text);
}

static bool
is_integrated(json_t *run, const char *task)
{
	const char *state = json_str(e2e_task(run, task), "state");

	if (strcmp(state, "integrated") == 0)
		return true;
	assert_string_equal(state, "failed");
	return false;
}

/* True when all of it came through. */
static bool
check_area(struct e2e *e, json_t *run, const struct suite_area *a, size_t index)
{
	int together = 0, good = 0;
	bool all = true;
	char task[64];

	for (size_t k = 0; k < a->count; k++) {
		const struct suite_task *t = &a->tasks[k];
		int rework;
		bool is;

		snprintf(task, sizeof(task), "m1/em%zu/w%zu", index + 1, k + 1);
		is = is_integrated(run, task);
		rework = (int)e2e_count(e, task, "state", "rework");
		if (t->good >= 0 && is != t->good)
			fail_msg("%s (%s) is %s: %s", task, suite_kind_name(a->kind),
			    is ? "integrated" : "failed", json_str(e2e_task(run, task), "reason"));
		if (t->rework >= 0 && rework != t->rework)
			fail_msg("%s (%s) was sent back %d times, not %d", task, suite_kind_name(a->kind),
			    rework, t->rework);
		good += t->good < 0 && is;
		together += t->rework < 0 ? rework : 0;
		all &= is;
	}
	assert_int_equal(good, a->good_together);
	assert_int_equal(together, a->together);
	for (size_t i = 0; i < a->file_count; i++)
		e2e_assert_shows(e, "m1", a->files[i].path, a->files[i].text);
	return all;
}

/* Wherever the work branch has ever been, the gate passes. */
static void
expect_never_red(struct e2e *e, json_t *run)
{
	const char *branch = json_str(run, "branch");
	char *log = testrepo_git(e->repo, NULL, "log", "-g", "--format=%H", branch, NULL), *save;
	char *place = testrepo_path(e->repo, "moved"),
	     *command = xasprintf("cd %s && sh ./check.sh >&2", place);

	for (char *c = strtok_r(log, "\n", &save); c != NULL; c = strtok_r(NULL, "\n", &save)) {
		testrepo_do(e->repo, NULL, "worktree", "add", "-q", "--detach", place, c, NULL);
		if (system(command) != 0)
			fail_msg("%s was red at %s", branch, c);
		testrepo_do(e->repo, NULL, "worktree", "remove", "--force", place, NULL);
		tally.moves++;
	}
	free(log);
	free(place);
	free(command);
}

static void
release(struct e2e *e, const struct scenario *s)
{
	char task[64];

	for (size_t i = 0; i < s->count; i++) {
		if (s->areas[i].release[0] == '\0')
			continue;
		snprintf(task, sizeof(task), "m1/em%zu/w1", i + 1);
		e2e_await(e, task, "state", "integrated");
		e2e_touch(e, s->areas[i].release);
	}
}

static void
one_repository(void **state)
{
	struct e2e *e = *state;
	unsigned seed = tally.next++;
	struct scenario s;
	bool all = true;
	json_t *run;
	int status;

	generate(e, &s, seed * 2654435761u | 1);
	print_message("seed %u:", seed);
	for (size_t i = 0; i < s.count; i++)
		print_message("%s %s", i > 0 ? "," : "", suite_kind_name(s.areas[i].kind));
	print_message("%s\n", s.clash ? ", red together" : "");
	write_plans(e, &s);
	e2e_remember(e);
	e2e_begin(e, "--verify", "sh ./check.sh", "--max-workers-per-em", "9", NULL);
	release(e, &s);
	status = e2e_end(e);
	run = e2e_status(e, "m1");
	for (size_t i = 0; i < s.count; i++)
		all &= check_area(e, run, &s.areas[i], i);
	if (s.clash)
		assert_int_equal(
		    e2e_count(e, "m1/em1", "state", "rework") + e2e_count(e, "m1/em2", "state", "rework"), 1);
	assert_string_equal(json_str(run, "state"), all ? "complete" : "partial");
	assert_int_equal(status, all ? 0 : 1);
	expect_never_red(e, run);
	json_decref(run);
	for (size_t i = 0; i < s.count; i++)
		tally.done[s.areas[i].kind]++;
	tally.clashes += s.clash;
}

int
suite_runs(unsigned seed, size_t repos)
{
	struct CMUnitTest *tests = xcalloc(repos, sizeof(*tests));
	int failed;

	memset(&tally, 0, sizeof(tally));
	tally.next = seed;
	for (size_t i = 0; i < repos; i++)
		tests[i] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(
		    one_repository, e2e_setup, e2e_teardown);
	failed = _cmocka_run_group_tests("suite", tests, repos, NULL, NULL);
	free(tests);
	printf("areas whose outcome was as foreseen, by kind:\n");
	for (size_t i = 0; i < suite_kind_count(); i++)
		printf("  %-20s %zu\n", suite_kind_name(i), tally.done[i]);
	printf("  %-20s %zu pairs\n", "red together", tally.clashes);
	printf(
	    "%zu repositories from seed %u, %d failed; the work branch was green at each of its %zu places\n",
	    repos, seed, failed, tally.moves);
	return failed;
}
