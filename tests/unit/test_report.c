/*
 * report: who did what when, from a history; and the forms it takes: the table, Markdown, JSON
 * (test_out_json) and a picture, in which no text from elsewhere can become markup.
 */
#include "supervisor/ctl/report.h"

#include "supervisor/ctl/out.h"
#include "tests/helper/lib/ctlmodel.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T(s) (CTLMODEL_NOW - 600000 + (s)*1000u)

static void
put(struct view *v, struct msg m)
{
	view_put(v, &m, NULL);
}

static void
happens(
    struct view *v, unsigned at_s, const char *task, const char *kind, const char *state, const char *text)
{
	static uint64_t seq;
	struct msg m = {.id = MSG_EVENT_INFO};

	m.event_info = (struct msg_event_info){.seq = ++seq,
	    .at = T(at_s),
	    .run = "m1",
	    .task = task,
	    .kind = kind,
	    .state = state,
	    .text = text};
	put(v, m);
}

/* One area with one task: sent back once, then merged; another that failed. */
static const struct view_run *
make(struct view *v, const char *title)
{
	struct msg m = ctlmodel_run("partial");

	view_init(v);
	m.run_info.ended_at = T(100);
	m.run_info.title = title;
	put(v, m);
	put(v, ctlmodel_task("m1", title, "integrated"));
	put(v, ctlmodel_task("m1/em1", "Core", "integrated"));
	m = ctlmodel_task("m1/em1/w1", "Lexer", "integrated");
	m.task_info.attempt = 2;
	m.task_info.rework = 1;
	m.task_info.files = 3;
	m.task_info.insertions = 40;
	m.task_info.head = "0123456789abcdef0123456789abcdef01234567";
	m.task_info.ended_at = T(60);
	put(v, m);
	m = ctlmodel_task("m1/em1/w2", "Parser", "failed");
	m.task_info.reason = "changed nothing";
	m.task_info.saved = "refs/orch/wip/m1-em1-w2";
	m.task_info.ended_at = T(90);
	put(v, m);
	happens(v, 0, "m1/em1/w1", "state", "queued", "Lexer");
	happens(v, 5, "m1/em1/w1", "state", "running", NULL);
	happens(v, 20, "m1/em1/w1", "state", "rework", "the gate (make) exited with status 2 after 1s");
	happens(v, 22, "m1/em1/w1", "state", "running", NULL);
	happens(v, 40, "m1/em1/w1", "gate", NULL, "the gate (make) exited with status 0 after 1s");
	happens(v, 41, "m1/em1/w1", "state", "submitted", "done");
	happens(v, 60, "m1/em1/w1", "state", "integrated", NULL);
	happens(v, 0, "m1/em1/w2", "state", "queued", "Parser");
	happens(v, 10, "m1/em1/w2", "state", "running", NULL);
	happens(v, 30, "m1/em1/w2", "state", "waiting", "again in a moment");
	happens(v, 50, "m1/em1/w2", "state", "queued", NULL);
	happens(v, 50, "m1/em1/w2", "state", "running", NULL);
	happens(v, 90, "m1/em1/w2", "state", "failed", "changed nothing");
	return view_last(v);
}

static const struct report_task *
task(const struct report *r, const char *id)
{
	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->tasks[i].task->info->task, id) == 0)
			return &r->tasks[i];
	fail_msg("no task %s", id);
	return NULL;
}

static void
assert_span(const struct report_task *t, size_t n, enum report_what what, unsigned from, unsigned to)
{
	assert_true(n < t->span_count);
	assert_string_equal(report_what_name(t->spans[n].what), report_what_name(what));
	assert_int_equal(t->spans[n].from, T(from));
	assert_int_equal(t->spans[n].to, T(to));
}

static void
test_spans(void **state)
{
	const struct report_task *t;
	struct report r;
	struct view v;

	(void)state;
	report_make(&r, &v, make(&v, "Build"), CTLMODEL_NOW);
	t = task(&r, "m1/em1/w1");
	assert_int_equal(t->span_count, 5);
	assert_span(t, 0, REPORT_QUEUED, 0, 5);
	assert_span(t, 1, REPORT_WORK, 5, 20);
	assert_span(t, 2, REPORT_BACK, 20, 22);
	assert_span(t, 3, REPORT_AGAIN, 22, 41);
	assert_span(t, 4, REPORT_MERGING, 41, 60);
	assert_int_equal(t->ms[REPORT_AGAIN], 19000);
	assert_int_equal(t->gate_count, 2);
	assert_non_null(strstr(t->gates[0], "status 2"));
	assert_false(t->missing);
	t = task(&r, "m1/em1/w2");
	assert_int_equal(t->span_count, 4);
	assert_span(t, 2, REPORT_WAITING, 30, 50);
	assert_span(t, 3, REPORT_WORK, 50, 90);
	assert_int_equal(t->ms[REPORT_WORK], 60000);
	assert_true(t->missing);
	assert_int_equal(r.from, T(0));
	assert_int_equal(r.to, T(90));
	report_clear(&r);
	view_clear(&v);
}

/* A task that is still at work is so until now; nothing ends before it began. */
static void
test_what_goes_on(void **state)
{
	struct report r;
	struct view v;

	(void)state;
	view_init(&v);
	put(&v, ctlmodel_run("running"));
	put(&v, ctlmodel_task("m1", "Build", "running"));
	happens(&v, 10, "m1", "state", "running", NULL);
	happens(&v, 9, "m1/em7", "state", "running", NULL);
	report_make(&r, &v, view_last(&v), (int64_t)T(30));
	assert_int_equal(r.count, 1);
	assert_span(&r.tasks[0], 0, REPORT_WORK, 10, 30);
	report_clear(&r);
	report_make(&r, &v, view_last(&v), (int64_t)T(5));
	assert_int_equal(r.tasks[0].span_count, 0);
	report_clear(&r);
	view_clear(&v);
}

static char *
written(const char *title, bool svg)
{
	struct report r;
	struct view v;
	struct out o = {.now_ms = (int64_t)CTLMODEL_NOW};
	char *text;
	size_t size;

	o.f = open_memstream(&text, &size);
	report_make(&r, &v, make(&v, title), CTLMODEL_NOW);
	if (svg)
		out_svg(&o, &r);
	else
		out_markdown(&o, &v, &r);
	assert_int_equal(fclose(o.f), 0);
	report_clear(&r);
	view_clear(&v);
	return text;
}

/* Whatever a title says, the picture has the same tags: none is added, none is closed. */
static void
test_a_picture_is_safe(void **state)
{
	static const char *const titles[] = {"</text><script>alert(1)</script>", "a & b \"c\" 'd' ]]>",
	    "<!-- x", "line\nbreak \x1b[31mred\x1b[0m \x01", "&#0; &lt; \xef\xbf\xbe",
	    "\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97"
	    "\xe6\xbc\xa2"
	    "\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2"
	    "\xe5\xad\x97"
	    "\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97"};
	char *plain = written("x", true);
	size_t tags = 0;

	(void)state;
	for (const char *p = plain; *p != '\0'; p++)
		tags += *p == '<';
	for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
		char *text = written(titles[i], true);
		size_t n = 0;

		for (const char *p = text; *p != '\0'; p++) {
			n += *p == '<';
			assert_true((unsigned char)*p >= 0x20 || *p == '\n');
		}
		assert_int_equal(n, tags);
		assert_null(strstr(text, "<script"));
		assert_null(strstr(text, "\xef\xbf\xbe"));
		for (const char *p = text; (p = strchr(p, '&')) != NULL; p++)
			assert_true(strncmp(p, "&amp;", 5) == 0 || strncmp(p, "&lt;", 4) == 0 ||
				    strncmp(p, "&gt;", 4) == 0 || strncmp(p, "&quot;", 6) == 0);
		free(text);
	}
	free(plain);
}

static void
test_markdown(void **state)
{
	char *text = written("a | b <b>", false);

	(void)state;
	assert_non_null(strstr(text, "# Run m1: a \\| b \\<b\\>\n"));
	assert_non_null(strstr(
	    text, "| m1/em1/w1 | Lexer | integrated | 2 | 1 | 34s | 7s | 3, +40 -0 | 0123456789ab | - |\n"));
	assert_non_null(strstr(text, "\n## Missing\n\n- m1/em1/w2 (Parser): failed, changed nothing\n"));
	assert_non_null(strstr(text, "- m1/em1/w2: refs/orch/wip/m1-em1-w2\n"));
	assert_non_null(strstr(text, "- m1/em1/w1: the gate \\(make\\) exited with status 2 after 1s\n"));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_spans),
	    cmocka_unit_test(test_what_goes_on),
	    cmocka_unit_test(test_a_picture_is_safe),
	    cmocka_unit_test(test_markdown),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
