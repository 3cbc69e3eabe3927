/* actions: nothing that a run says can end an annotation, an output or a summary early. */
#include "supervisor/ctl/actions.h"

#include "tests/helper/lib/ctlmodel.h"
#include "tests/helper/lib/test.h"

#include <stdlib.h>
#include <string.h>

struct capture {
	FILE *f;
	char *text;
	size_t size;
};

static void
capture_open(struct capture *c)
{
	c->f = open_memstream(&c->text, &c->size);
	assert_non_null(c->f);
}

static void
capture_expect(struct capture *c, const char *want)
{
	assert_int_equal(fclose(c->f), 0);
	assert_string_equal(c->text, want);
	free(c->text);
}

static void
test_a_note_is_one_line(void **state)
{
	struct capture c;

	(void)state;
	capture_open(&c);
	actions_note(c.f, "error", "25/em1, w: 5%", "a\r\n::set-output name=x::y, 100%");
	capture_expect(&c, "::error title=25/em1%2C w%3A 5%25::a%0A::set-output name=x::y, 100%25\n");
}

static void
test_an_output_ends_where_its_token_does(void **state)
{
	struct capture c;

	(void)state;
	capture_open(&c);
	actions_output(c.f, "branch", "a\nEOF\nresult=complete", "0123abcd");
	capture_expect(&c, "branch<<0123abcd\na\nEOF\nresult=complete\n0123abcd\n");
}

static void
test_a_summary_is_cut_at_a_line(void **state)
{
	char text[1001];
	size_t n;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	for (size_t i = 9; i < sizeof(text); i += 10)
		text[i] = '\n';
	text[1000] = '\0';
	assert_int_equal(actions_cut(text, 1000, 1000), 1000);
	n = actions_cut(text, 1000, 999);
	assert_true(n > 0 && n < 999 && text[n - 1] == '\n');
	assert_true(actions_cut("no line at all, and far too long for the sentence that says so........"
				"................................................................",
			134, 100) == 0);
}

static void
test_notes(void **state)
{
	struct msg run = ctlmodel_run("partial"), good = ctlmodel_task("m1/em1", "Core", "integrated");
	struct view v;
	struct capture c;

	(void)state;
	view_init(&v);
	run.run_info.reason = "1 of 2 areas is missing";
	view_put(&v, &run, NULL);
	view_put(&v, &good, NULL);
	for (int i = 1; i <= 20; i++) {
		char id[32];
		struct msg t;

		snprintf(id, sizeof(id), "m1/em2/w%d", i);
		t = ctlmodel_task(id, "Part", i % 2 ? "failed" : "waiting");
		t.task_info.reason = "the gate is red:\nmake: *** [all]";
		view_put(&v, &t, NULL);
	}
	capture_open(&c);
	actions_notes(c.f, view_last(&v));
	fclose(c.f);
	assert_ptr_equal(
	    strstr(c.text, "::error title=run m1%3A partial::1 of 2 areas is missing\n"), c.text);
	assert_non_null(
	    strstr(c.text, "::error title=m1/em2/w1%3A failed::the gate is red:%0Amake: *** [all]\n"));
	assert_null(strstr(c.text, "m1/em1%3A"));
	size_t errors = 0, warnings = 0;

	for (const char *p = c.text; (p = strchr(p, '\n')) != NULL; p++) {
		errors += strncmp(p + 1, "::error ", 8) == 0;
		warnings += strncmp(p + 1, "::warning ", 10) == 0;
	}
	assert_int_equal(errors + 1, ACTIONS_NOTES_MAX); /* the first line has no newline before it */
	assert_int_equal(warnings, ACTIONS_NOTES_MAX);
	free(c.text);
	view_clear(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_note_is_one_line),
	    cmocka_unit_test(test_an_output_ends_where_its_token_does),
	    cmocka_unit_test(test_a_summary_is_cut_at_a_line),
	    cmocka_unit_test(test_notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
