/* comment: what people see of a run on GitHub, and that it always fits and nobody can write into it. */
#include "director/comment.h"

#include "tests/helper/lib/ctlmodel.h"
#include "tests/helper/lib/test.h"

#include <stdlib.h>
#include <string.h>

static struct view view;
static const struct comment_facts no_facts;

static int
set_up(void **state)
{
	(void)state;
	view_init(&view);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	view_clear(&view);
	return 0;
}

static void
put_task(const char *id, const char *title, const char *state, const char *reason)
{
	struct msg m = ctlmodel_task(id, title, state);

	m.task_info.reason = reason;
	view_put(&view, &m, NULL);
}

static void
put_run(struct msg m)
{
	view_put(&view, &m, NULL);
	put_task("m1", "Build it", "running", NULL);
}

static char *
render(const struct comment_facts *facts)
{
	char *text = comment_render(view_last(&view), facts, COMMENT_MAX);

	assert_ptr_equal(strstr(text, COMMENT_MARKER "\n"), text);
	assert_true(strlen(text) <= COMMENT_MAX);
	return text;
}

static void
assert_has(const char *text, const char *words)
{
	if (strstr(text, words) == NULL)
		fail_msg("\"%s\" is not in:\n%s", words, text);
}

static void
assert_has_not(const char *text, const char *words)
{
	if (strstr(text, words) != NULL)
		fail_msg("\"%s\" is in:\n%s", words, text);
}

/* What holds the run up is the first thing said, before a question and what failed. */
static void
test_a_limit_comes_first(void **state)
{
	struct msg run = ctlmodel_run("running"), task = ctlmodel_task("m1/em1/w2", "Eval", "waiting");
	char *text;

	(void)state;
	run.run_info.question = "May I?";
	put_run(run);
	put_task("m1/em1", "Core", "running", NULL);
	put_task("m1/em1/w1", "Parse", "failed", "It broke");
	task.task_info.limited = true;
	task.task_info.reason = "no key can serve it: key work: quota of opus spent until 14:00";
	task.task_info.wait_until = 1795356000000; /* 2026-11-22T14:00:00Z */
	view_put(&view, &task, NULL);
	task.task_info.task = "m1/em1/w3";
	task.task_info.wait_until += 60000;
	view_put(&view, &task, NULL);
	text = render(&no_facts);
	assert_has(text, "> **Waiting until 2026-11-22T14:00:00");
	assert_has(
	    text, "(2 tasks, by itself): no key can serve it: key work: quota of opus spent until 14:00");
	assert_true(strstr(text, "Waiting until") < strstr(text, "May I?"));
	assert_true(strstr(text, "Waiting until") < strstr(text, "It broke"));
	free(text);
	/* It goes on. */
	task.task_info.state = "running";
	view_put(&view, &task, NULL);
	task.task_info.task = "m1/em1/w2";
	view_put(&view, &task, NULL);
	text = render(&no_facts);
	assert_has_not(text, "Waiting until");
	free(text);
}

static void
test_a_running_run(void **state)
{
	struct msg run = ctlmodel_run("running");
	char *text, *again;

	(void)state;
	run.run_info.tasks = 4;
	run.run_info.integrated = 1;
	run.run_info.branch = "cco/m1-build-it";
	put_run(run);
	put_task("m1/em1", "Core", "running", NULL);
	put_task("m1/em1/w1", "Parser", "integrated", NULL);
	put_task("m1/em1/w2", "Printer", "rework", "the gate is red");
	put_task("m1/em2", "Docs", "queued", NULL);
	text = render(&no_facts);
	assert_has(text, "### orch: running, 1 of 4 tasks done");
	assert_has(text, "` 25 %");
	assert_has(text, "- `m1/em1/w2` sent back: the gate is red");
	assert_has(text, "| em1 Core | running | 1 of 2 |");
	assert_has(text, "<details><summary>em1: 1 of 2 tasks done</summary>");
	assert_has(text, "| w1 Parser | integrated |");
	assert_has(text, "| em2 Docs | queued | 0 of 0 |");
	assert_has(text, "`cco/m1-build-it`");
	assert_has_not(text, "em2: ");
	again = render(&no_facts);
	assert_string_equal(text, again);
	free(text);
	free(again);
}

/* Who has to do something is told before anything else is. */
static void
test_a_question_comes_first(void **state)
{
	struct msg run = ctlmodel_run("approval");
	char *text;

	(void)state;
	run.run_info.question = "Which database, @ada?";
	run.run_info.tasks = 2;
	put_run(run);
	put_task("m1/em1", "Core", "queued", NULL);
	text = render(&no_facts);
	assert_has(text, "Which database, @\xe2\x80\x8b"
			 "ada?");
	assert_true(strstr(text, "A question") < strstr(text, "| area |"));
	assert_string_equal(comment_label(view_last(&view)), "orch:needs-human");
	free(text);
}

static void
test_an_end(void **state)
{
	struct msg run = ctlmodel_run("partial");
	const struct comment_facts facts = {.pull_url = "https://github.com/a/b/pull/7",
	    .job_url = "https://github.com/a/b/actions/runs/1",
	    .branch_url = "https://github.com/a/b/tree/x"};
	struct msg lost = ctlmodel_task("m1/em1/w1", "Parser", "failed");
	char *text;

	(void)state;
	run.run_info.reason = "1 of 2 areas is missing: em1 (no attempt was left)";
	run.run_info.started_at = CTLMODEL_NOW - 600000;
	run.run_info.ended_at = CTLMODEL_NOW;
	run.run_info.cost_uusd = 1234567;
	run.run_info.branch = "x";
	put_run(run);
	put_task("m1/em1", "Core", "failed", "w1 failed");
	lost.task_info.saved = "refs/orch/wip/m1-em1-w1";
	view_put(&view, &lost, NULL);
	text = render(&facts);
	assert_has(text, "### orch: partial\n");
	assert_has(text, "**Why:** 1 of 2 areas is missing: em1 \\(no attempt was left\\)");
	assert_has(text, "**Result:** <https://github.com/a/b/pull/7>");
	assert_has(text, "[Log of the workflow](<https://github.com/a/b/actions/runs/1>)");
	assert_has(text, "[on GitHub](<https://github.com/a/b/tree/x>)");
	assert_has(text, "`refs/orch/wip/m1-em1-w1`");
	assert_has(text, "$1.23");
	assert_has(text, "Took 10m");
	free(text);
}

static void
test_a_pull_request(void **state)
{
	struct msg run = ctlmodel_run("complete");
	char *text;

	(void)state;
	put_run(run);
	text = comment_pull_text(view_last(&view), &no_facts, 25, COMMENT_MAX);
	assert_ptr_equal(strstr(text, "Closes #25.\n"), text);
	assert_has_not(text, COMMENT_MARKER);
	free(text);
	run = ctlmodel_run("partial");
	view_put(&view, &run, NULL);
	text = comment_pull_text(view_last(&view), &no_facts, 25, COMMENT_MAX);
	assert_ptr_equal(strstr(text, "Part of #25.\n"), text);
	assert_has_not(text, "Closes");
	free(text);
}

static void
test_labels(void **state)
{
	static const struct {
		const char *state, *label;
	} rows[] = {{"planning", "orch:running"}, {"landing", "orch:running"}, {"complete", "orch:complete"},
	    {"partial", "orch:partial"}, {"failed", "orch:failed"}, {"cancelled", "orch:failed"}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msg run = ctlmodel_run(rows[i].state);

		view_put(&view, &run, NULL);
		assert_string_equal(comment_label(view_last(&view)), rows[i].label);
	}
}

/* Titles, reasons and what a server calls a URL are somebody else's. */
static void
test_nobody_writes_into_it(void **state)
{
	struct msg run = ctlmodel_run("failed");
	const struct comment_facts facts = {.pull_url = "https://x/> <script>",
	    .job_url = "javascript:alert(1)",
	    .branch_url = "https://a b"};
	char *text;

	(void)state;
	run.run_info.reason = "</details> <!-- orch: status --> @org/team fixes #1";
	run.run_info.branch = "a`b";
	put_run(run);
	put_task("m1/em1", "| x |\n</details><details>", "failed", "[click](https://evil.example)");
	text = render(&facts);
	assert_null(strstr(text + strlen(COMMENT_MARKER), COMMENT_MARKER));
	assert_has_not(text, "<script");
	assert_has_not(text, "javascript:");
	assert_has_not(text, "https://evil");
	assert_has_not(text, "@org");
	assert_has_not(text, " #1");
	assert_has_not(text, "</details>"); /* there is no fold: no task */
	assert_has(text, "\\| x \\| \\</details\\>");
	assert_has(text, "``a`b``");
	free(text);
}

/* The largest run there can be, every text at its bound and of what grows most: the verdict is still there.
 */
static void
test_it_always_fits(void **state)
{
	static char long_text[TEXT_MAX], title[TEXT_MAX];
	struct msg run = ctlmodel_run("partial");
	char id[64], *text;

	(void)state;
	memset(long_text, '#', sizeof(long_text) - 1);
	memset(title, '@', sizeof(title) - 1);
	run.run_info.reason = long_text;
	run.run_info.question = long_text;
	run.run_info.tasks = 4160;
	put_run(run);
	for (int em = 1; em <= 64; em++) {
		snprintf(id, sizeof(id), "m1/em%d", em);
		put_task(id, title, "failed", long_text);
		for (int w = 1; w <= 64; w++) {
			snprintf(id, sizeof(id), "m1/em%d/w%d", em, w);
			put_task(id, title, w % 2 ? "failed" : "integrated", long_text);
		}
	}
	text = render(&no_facts);
	assert_has(text, "### orch: partial");
	assert_has(text, "**Why:** \\#");
	assert_has(text, "Shortened");
	free(text);
}

/* Detail goes before the list of areas does. */
static void
test_detail_goes_step_by_step(void **state)
{
	struct msg run = ctlmodel_run("running");
	char id[64], *text;

	(void)state;
	run.run_info.tasks = 70;
	put_run(run);
	for (int em = 1; em <= 7; em++) {
		snprintf(id, sizeof(id), "m1/em%d", em);
		put_task(id, "Area", "running", NULL);
		for (int w = 1; w <= 64; w++) {
			snprintf(id, sizeof(id), "m1/em%d/w%d", em, w);
			put_task(id,
			    "A task with a title of some length, as people write them, and more of it",
			    w == 1 ? "running" : "integrated",
			    "a note of some length that says what happened to it at length, and then again");
		}
	}
	text = render(&no_facts);
	assert_has(text, "63 that are done are not shown");
	assert_has(text, "<summary>em7: 63 of 64 tasks done</summary>");
	free(text);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_a_running_run),
	    TEST(test_a_limit_comes_first),
	    TEST(test_a_question_comes_first),
	    TEST(test_an_end),
	    TEST(test_a_pull_request),
	    TEST(test_labels),
	    TEST(test_nobody_writes_into_it),
	    TEST(test_it_always_fits),
	    TEST(test_detail_goes_step_by_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
