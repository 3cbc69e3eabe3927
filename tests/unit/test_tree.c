/* tree: golden pictures of models: what people see, at any width and height, whatever the text in it says. */
#include "supervisor/ctl/tree.h"

#include "common/alloc.h"
#include "common/text.h"
#include "tests/helper/lib/ctlmodel.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All lines in one string, for comparing. */
static char *
joined(struct lines *l)
{
	size_t size = 1;
	char *all;

	for (size_t i = 0; i < l->count; i++)
		size += strlen(l->line[i]) + 1;
	all = xcalloc(1, size);
	for (size_t i = 0; i < l->count; i++) {
		strcat(all, l->line[i]);
		strcat(all, "\n");
	}
	return all;
}

static void
assert_lines(struct lines *l, const char *want)
{
	char *got = joined(l);

	assert_string_equal(got, want);
	free(got);
	lines_clear(l);
}

static void
put(struct view *v, struct msg m)
{
	view_put(v, &m, NULL);
}

/* A run in the middle of its life: one of everything. */
static void
fill(struct view *v)
{
	struct msg m = ctlmodel_run("running");

	view_init(v);
	m.run_info.branch = "cco/m1-build";
	m.run_info.ems = 2;
	m.run_info.workers = 3;
	m.run_info.waiting = 2;
	m.run_info.tasks = 5;
	m.run_info.integrated = 1;
	m.run_info.cost_uusd = 420000;
	m.run_info.tokens_in = 12345;
	m.run_info.tokens_out = 678;
	put(v, m);
	m = ctlmodel_task("m1", "Build a functional calculator", "running");
	m.task_info.doing = "waiting for em1";
	m.task_info.doing_at = CTLMODEL_NOW - 61000;
	put(v, m);
	m = ctlmodel_task("m1/em1", "Core", "running");
	m.task_info.doing = "gate";
	m.task_info.doing_at = CTLMODEL_NOW - 1000;
	put(v, m);
	m = ctlmodel_task("m1/em1/w1", "Parser", "integrated");
	m.task_info.ended_at = CTLMODEL_NOW - 300000;
	m.task_info.files = 2;
	m.task_info.insertions = 120;
	m.task_info.deletions = 3;
	put(v, m);
	m = ctlmodel_task("m1/em1/w2", "Evaluator", "rework");
	m.task_info.attempt = 2;
	m.task_info.reason = "the gate (make test) exited with status 2";
	put(v, m);
	m = ctlmodel_task("m1/em2", "Command line", "queued");
	m.task_info.unit = "none";
	put(v, m);
}

static void
test_budgets(void **state)
{
	struct lines l;
	struct view v;
	struct msg m = ctlmodel_run("running");

	(void)state;
	view_init(&v);
	m.run_info.cost_uusd = 420000;
	m.run_info.tokens_in = 900;
	m.run_info.tokens_out = 50;
	m.run_info.max_cost_uusd = 5000000;
	m.run_info.max_tokens = 1000;
	m.run_info.max_minutes = 30;
	put(&v, m);
	lines_init(&l, 0, false);
	tree_draw(view_last(&v), 0, CTLMODEL_NOW, &l);
	if (l.count < 3 ||
	    strstr(l.line[2], "; $0.42 of $5.00; 950 of 1000 tokens; 10m 00s of 30 min") == NULL)
		fail_msg("%s", l.line[2]);
	lines_clear(&l);
	view_clear(&v);
}

static void
test_whole(void **state)
{
	struct lines l;
	struct view v;

	(void)state;
	fill(&v);
	lines_init(&l, 0, false);
	tree_draw(view_last(&v), 0, CTLMODEL_NOW, &l);
	assert_lines(&l,
	    "m1  Build a functional calculator\n"
	    "running for 10m 00s, branch cco/m1-build, 12.3k + 678 tokens, $0.42\n"
	    "EMs 2/3, workers 3/9, waiting 2; done 1 of 5\n"
	    "problems\n"
	    "  m1/em1/w2  rework  1m 05s: the gate (make test) exited with status 2\n"
	    "director    running    1m 05s   Build a functional calculator, waiting for em1 (1m 01s)\n"
	    "  em1       running    1m 05s   Core, gate\n"
	    "    w1      integrated 3m 20s   Parser, 2 files +120 -3\n"
	    "    w2      rework     1m 05s   Evaluator, attempt 2\n"
	    "  em2       queued     1m 05s   Command line\n");
	view_clear(&v);
}

static void
test_width(void **state)
{
	struct lines l;
	struct view v;

	(void)state;
	fill(&v);
	for (size_t width = 1; width < 100; width++) {
		lines_init(&l, width, false);
		tree_draw(view_last(&v), 0, CTLMODEL_NOW, &l);
		assert_int_equal(l.count, 10);
		for (size_t i = 0; i < l.count; i++)
			assert_true(text_columns(l.line[i]) <= width);
		lines_clear(&l);
	}
	lines_init(&l, 34, false);
	tree_draw(view_last(&v), 0, CTLMODEL_NOW, &l);
	assert_string_equal(l.line[4], "  m1/em1/w2  rework  1m 05s: the g");
	assert_string_equal(l.line[7], "    w1      integrated 3m 20s   Pa");
	lines_clear(&l);
	view_clear(&v);
}

static void
test_height(void **state)
{
	struct lines l;
	struct view v;

	(void)state;
	fill(&v);
	for (size_t height = 6; height < 10; height++) {
		lines_init(&l, 0, false);
		tree_draw(view_last(&v), height, CTLMODEL_NOW, &l);
		assert_int_equal(l.count, height);
		lines_clear(&l);
	}
	/* What is done goes first. */
	lines_init(&l, 0, false);
	tree_draw(view_last(&v), 9, CTLMODEL_NOW, &l);
	assert_non_null(strstr(l.line[7], "w2"));
	assert_string_equal(l.line[8], "... and 2 more");
	lines_clear(&l);
	lines_init(&l, 0, false);
	tree_draw(view_last(&v), 10, CTLMODEL_NOW, &l);
	assert_int_equal(l.count, 10);
	lines_clear(&l);
	view_clear(&v);
}

/* A wait for a limit is the second line, whatever else there is to say. */
static void
test_a_limit_comes_first(void **state)
{
	struct msg m = ctlmodel_run("running");
	struct lines l;
	struct view v;

	(void)state;
	view_init(&v);
	m.run_info.question = "May I?";
	put(&v, m);
	m = ctlmodel_task("m1/em1/w1", "Part", "waiting");
	m.task_info.reason = "no key can serve it: key work: quota of opus spent until 14:00";
	m.task_info.wait_until = CTLMODEL_NOW + 90000;
	m.task_info.limited = true;
	put(&v, m);
	lines_init(&l, 0, false);
	tree_draw(view_last(&v), 24, CTLMODEL_NOW, &l);
	assert_string_equal(l.line[0], "m1  Build a functional calculator");
	assert_memory_equal(l.line[1], "waiting until ", 14);
	if (strstr(l.line[1], ", 1m 30s more, 1 task: no key can serve it: key work: quota of opus") == NULL)
		fail_msg("%s", l.line[1]);
	lines_clear(&l);
	/* Without end, until somebody gives other keys; and over. */
	m.task_info.wait_until = 0;
	put(&v, m);
	lines_init(&l, 0, false);
	tree_draw(view_last(&v), 24, CTLMODEL_NOW, &l);
	assert_memory_equal(l.line[1], "waiting until a person gives other keys, 1 task: ", 49);
	lines_clear(&l);
	m.task_info.state = "running";
	put(&v, m);
	lines_init(&l, 0, false);
	tree_draw(view_last(&v), 24, CTLMODEL_NOW, &l);
	assert_memory_equal(l.line[1], "running for", 11);
	lines_clear(&l);
	view_clear(&v);
}

static void
test_many_problems(void **state)
{
	struct msg m = ctlmodel_run("running");
	struct lines l;
	struct view v;
	char id[32];

	(void)state;
	view_init(&v);
	put(&v, m);
	for (int n = 1; n <= 20; n++) {
		snprintf(id, sizeof(id), "m1/em1/w%d", n);
		m = ctlmodel_task(id, "Part", n == 20 ? "failed" : "waiting");
		m.task_info.reason = "limit";
		m.task_info.wait_until = CTLMODEL_NOW + 90000;
		put(&v, m);
	}
	lines_init(&l, 0, false);
	tree_draw(view_last(&v), 24, CTLMODEL_NOW, &l);
	assert_int_equal(l.count, 24);
	assert_string_equal(l.line[4], "  m1/em1/w20  failed  1m 05s: limit"); /* the worst first */
	assert_string_equal(l.line[5], "  m1/em1/w1  waiting  1m 30s more: limit");
	assert_string_equal(l.line[12], "  ... and 12 more problems");
	lines_clear(&l);
	view_clear(&v);
}

/* Titles and reasons come from issues and agents: no control character may reach the terminal. */
static void
test_hostile(void **state)
{
	struct msg m = ctlmodel_run("running");
	struct lines l;
	struct view v;
	char *all;

	(void)state;
	view_init(&v);
	m.run_info.title = "a\033[2Jb\nc\033]0;owned\007d\r";
	m.run_info.branch = "x\033[31m";
	m.run_info.question = "\xe2\x80\xae\x1b[A?";
	put(&v, m);
	m = ctlmodel_task("m1/em1", "t\n\n\nfake line", "failed");
	m.task_info.reason = "\033[1;1Hgone \xc2\x9b"
			     "2J";
	m.task_info.doing = "\b\b\b\b";
	put(&v, m);
	lines_init(&l, 0, false);
	tree_draw(view_last(&v), 0, CTLMODEL_NOW, &l);
	tree_end(view_last(&v), &l);
	all = joined(&l);
	for (const char *p = all; *p != '\0'; p++)
		assert_true(*p == '\n' || (unsigned char)*p >= ' ');
	assert_null(strstr(all, "\xc2\x9b"));
	assert_null(strstr(all, "\xe2\x80\xae"));
	assert_string_equal(l.line[0], "m1  a b c d");
	free(all);
	lines_clear(&l);
	view_clear(&v);
}

static void
test_colour_costs_no_columns(void **state)
{
	struct lines plain, colour;
	struct view v;

	(void)state;
	fill(&v);
	lines_init(&plain, 40, false);
	lines_init(&colour, 40, true);
	tree_draw(view_last(&v), 0, CTLMODEL_NOW, &plain);
	tree_draw(view_last(&v), 0, CTLMODEL_NOW, &colour);
	assert_int_equal(plain.count, colour.count);
	for (size_t i = 0; i < plain.count; i++) {
		char *stripped = text_line(colour.line[i], 4096), *flat = text_line(plain.line[i], 4096);
		const char *a = stripped, *b = flat;

		/* An escape sequence becomes a blank: compare what is not blank. */
		for (;;) {
			a += strspn(a, " ");
			b += strspn(b, " ");
			if (*a == '\0' || *b == '\0')
				break;
			assert_int_equal(*a++, *b++);
		}
		assert_int_equal(*a, *b);
		free(stripped);
		free(flat);
	}
	assert_non_null(strstr(colour.line[4], "\033[33mrework\033[0m"));
	lines_clear(&plain);
	lines_clear(&colour);
	view_clear(&v);
}

static void
test_change_lines(void **state)
{
	struct msg m = ctlmodel_task("m1/em1/w2", "Evaluator", "rework");
	struct view_change ch;
	struct lines l;
	struct view v;

	(void)state;
	view_init(&v);
	lines_init(&l, 0, false);
	m.task_info.reason = "the gate failed";
	view_put(&v, &m, &ch);
	tree_change(&ch, 0, &l);
	m = ctlmodel_task("m1/em1/w1", "Parser", "running");
	view_put(&v, &m, &ch);
	tree_change(&ch, 3661000, &l);
	m.task_info.unit = "parked";
	m.task_info.reason = "died 5 times";
	view_put(&v, &m, &ch);
	tree_change(&ch, 3661000, &l);
	m = ctlmodel_run("planning");
	view_put(&v, &m, &ch);
	tree_change(&ch, 0, &l);
	assert_lines(&l, "00:00:00 m1/em1/w2 rework: the gate failed\n"
			 "01:01:01 m1/em1/w1 running: Parser\n"
			 "01:01:01 m1/em1/w1 parked: died 5 times\n"
			 "00:00:00 run m1 planning\n");
	view_clear(&v);
}

static void
test_end_complete(void **state)
{
	struct msg m = ctlmodel_run("complete");
	struct lines l;
	struct view v;

	(void)state;
	view_init(&v);
	m.run_info.branch = "cco/m1-build";
	m.run_info.base_branch = "main";
	m.run_info.ended_at = CTLMODEL_NOW;
	m.run_info.tasks = m.run_info.integrated = 6;
	m.run_info.files = 12;
	m.run_info.insertions = 340;
	m.run_info.deletions = 2;
	m.run_info.cost_uusd = 1234567;
	m.run_info.tokens_in = 2500000;
	m.run_info.tokens_out = 999;
	put(&v, m);
	lines_init(&l, 0, false);
	tree_end(view_last(&v), &l);
	assert_lines(&l, "complete: Build a functional calculator\n"
			 "branch    cco/m1-build from main\n"
			 "tasks     6 done, 0 failed, of 6\n"
			 "changes   12 files, +340 -2 lines\n"
			 "time      10m 00s\n"
			 "cost      $1.23, 2.5M tokens in, 999 out\n"
			 "next      git merge cco/m1-build\n");
	view_clear(&v);
}

static void
test_end_partial(void **state)
{
	struct msg m = ctlmodel_run("partial");
	struct lines l;
	struct view v;

	(void)state;
	view_init(&v);
	m.run_info.branch = "cco/m1-build";
	m.run_info.tasks = 3;
	m.run_info.integrated = 1;
	m.run_info.failed = 1;
	put(&v, m);
	put(&v, ctlmodel_task("m1", "Build", "running"));
	put(&v, ctlmodel_task("m1/em1", "Core", "failed"));
	put(&v, ctlmodel_task("m1/em1/w1", "Parser", "integrated"));
	m = ctlmodel_task("m1/em1/w2", "Evaluator", "failed");
	m.task_info.reason = "red after 2 reworks";
	m.task_info.saved = "refs/orch/wip/m1-em1-w2";
	put(&v, m);
	m = ctlmodel_task("m1/em2", "Docs", "cancelled");
	m.task_info.reason = "needs Core";
	put(&v, m);
	lines_init(&l, 0, false);
	tree_end(view_last(&v), &l);
	assert_lines(&l, "partial: Build a functional calculator\n"
			 "branch    cco/m1-build\n"
			 "tasks     1 done, 1 failed, of 3\n"
			 "missing   m1/em1/w2 failed (Evaluator): red after 2 reworks\n"
			 "          m1/em2 cancelled (Docs): needs Core\n"
			 "saved     m1/em1/w2 refs/orch/wip/m1-em1-w2\n"
			 "next      orchctl logs m1/em1/w2\n"
			 "          orchctl retry m1/em1/w2\n"
			 "          git merge cco/m1-build\n");
	view_clear(&v);
}

/* The last words are never cut: what does not fit goes on below. */
static void
test_end_wraps(void **state)
{
	struct msg m = ctlmodel_run("failed");
	struct lines l;
	struct view v;

	(void)state;
	view_init(&v);
	m.run_info.reason = "no area was merged and nobody\nknows what to do about it";
	put(&v, m);
	lines_init(&l, 34, false);
	tree_end(view_last(&v), &l);
	assert_lines(&l, "failed: Build a functional calcula\n"
			 "reason    no area was merged and\n"
			 "          nobody knows what to do\n"
			 "          about it\n"
			 "tasks     0 done, 0 failed, of 0\n"
			 "next      orchctl logs m1\n"
			 "          orchctl retry m1\n");
	view_clear(&v);
}

static int
set_zone(void **state)
{
	(void)state;
	return setenv("TZ", "UTC", 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_whole),
	    cmocka_unit_test(test_budgets),
	    cmocka_unit_test(test_width),
	    cmocka_unit_test(test_height),
	    cmocka_unit_test(test_a_limit_comes_first),
	    cmocka_unit_test(test_many_problems),
	    cmocka_unit_test(test_hostile),
	    cmocka_unit_test(test_colour_costs_no_columns),
	    cmocka_unit_test(test_change_lines),
	    cmocka_unit_test(test_end_complete),
	    cmocka_unit_test(test_end_partial),
	    cmocka_unit_test(test_end_wraps),
	};

	return cmocka_run_group_tests(tests, set_zone, NULL);
}
