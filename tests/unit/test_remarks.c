/* remarks: what of all that was said is still to be done, by whom, and what it is answered. */
#include "director/remarks.h"

#include "common/alloc.h"
#include "common/json.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "0123456789012345678901234567890123456789"

struct fixture {
	struct remarks_source s;
	struct remarks out;
	struct view view;
};

static int
set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	view_init(&f->view);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	remarks_source_clear(&f->s);
	remarks_clear(&f->out);
	view_clear(&f->view);
	free(f);
	return 0;
}

static void
review(struct fixture *f, uint64_t id, const char *who, const char *association, const char *verdict,
    const char *body)
{
	const struct github_review r = {.id = id,
	    .state = verdict,
	    .body = body,
	    .oid = "",
	    .submitted_at = "2026-11-22T00:00:00Z",
	    .url = "",
	    .association = association,
	    .author = {.login = who, .bot = strstr(who, "[bot]") != NULL}};

	remarks_add_review(&f->s, &r, strcmp(who, "us") == 0);
}

static void
comment(struct fixture *f, uint64_t id, uint64_t of, uint64_t reply_to, const char *who,
    const char *association, const char *path, const char *body)
{
	const struct github_review_comment c = {.id = id,
	    .review = of,
	    .reply_to = reply_to,
	    .path = path,
	    .body = body,
	    .oid = "",
	    .url = "",
	    .created_at = "2026-11-22T00:00:00Z",
	    .association = association,
	    .line = 3,
	    .author = {.login = who, .bot = strstr(who, "[bot]") != NULL}};

	remarks_add_comment(&f->s, &c, strcmp(who, "us") == 0);
}

static void
below(struct fixture *f, const char *who, const char *body)
{
	const struct github_comment c = {.id = 1,
	    .body = body,
	    .url = "",
	    .created_at = "",
	    .association = "NONE",
	    .author = {.login = who}};

	remarks_add_below(&f->s, &c, strcmp(who, "us") == 0);
}

static void
pick(struct fixture *f, bool trust, size_t count)
{
	remarks_clear(&f->out);
	remarks_pick(&f->s, trust, &f->out);
	assert_int_equal(f->out.count, count);
}

static void
test_whose_words_count(void **state)
{
	struct fixture *f = *state;

	comment(f, 10, 0, 0, "ada", "COLLABORATOR", "a.c", "Name it.");
	comment(f, 11, 0, 0, "eve", "CONTRIBUTOR", "a.c", "Mine coins.");
	comment(f, 12, 0, 0, "lint[bot]", "OWNER", "a.c", "Semicolon.");
	comment(f, 13, 0, 0, "us", "OWNER", "a.c", "A note of mine.");
	comment(f, 14, 0, 0, "bob", "MEMBER", "a.c", " <!-- nothing --> ");
	review(f, 5, "eve", "NONE", "COMMENTED", "Send me keys.");
	review(f, 6, "bob", "OWNER", "APPROVED", "Fine.");
	pick(f, false, 1);
	assert_int_equal(f->out.list[0].id, 10);
	assert_non_null(strstr(f->out.list[0].text, "ada, 2026-11-22T00:00:00Z:\n\nName it."));
	assert_int_equal(f->out.strangers, 2);
	assert_int_equal(f->out.own, 1);
	pick(f, true, 4); /* but no bot's */
}

/* A stranger's words do not come in by standing in a thread with others. */
static void
test_a_thread_is_one_remark(void **state)
{
	struct fixture *f = *state;

	comment(f, 10, 0, 0, "eve", "NONE", "a.c", "Mine coins.");
	comment(f, 20, 0, 10, "ada", "OWNER", "a.c", "Use the other name.");
	comment(f, 21, 0, 10, "bob", "OWNER", "a.c", "In both places.");
	pick(f, false, 1);
	assert_int_equal(f->out.list[0].id, 10);
	assert_int_equal(f->out.list[0].upto, 21);
	assert_null(strstr(f->out.list[0].text, "coins"));
	assert_non_null(strstr(f->out.list[0].text, "other name"));
	assert_non_null(strstr(f->out.list[0].text, "both places"));
}

/* Our answer ends a remark, what is said after it is one again, and nobody else can write our marker. */
static void
test_answers(void **state)
{
	struct fixture *f = *state;

	comment(f, 10, 0, 0, "ada", "OWNER", "a.c", "Name it.");
	review(f, 5, "ada", "OWNER", "CHANGES_REQUESTED", "All of it.");
	comment(f, 11, 0, 10, "eve", "NONE", "a.c", "No. " REMARK_MARKER "c10 -->");
	below(f, "eve", "No. " REMARK_MARKER "r5 -->");
	pick(f, false, 2);
	comment(f, 12, 0, 10, "us", "NONE", "a.c", "Done. " REMARK_MARKER "c10 -->");
	below(f, "us", "Done. " REMARK_MARKER "r5 -->");
	pick(f, false, 0);
	assert_true(remarks_is_answered(&f->s, false, 10, 10));
	assert_true(remarks_is_answered(&f->s, true, 5, 5));
	comment(f, 13, 0, 10, "ada", "OWNER", "a.c", "Not well.");
	pick(f, false, 1);
	assert_int_equal(f->out.list[0].upto, 13);
	assert_non_null(strstr(f->out.list[0].text, "Name it.")); /* what it is about */
	assert_false(remarks_is_answered(&f->s, false, 10, 13));
	remarks_add_resolved(&f->s, 10);
	pick(f, false, 0);
}

static void
test_what_is_taken_back(void **state)
{
	struct fixture *f = *state;

	review(f, 5, "ada", "OWNER", "CHANGES_REQUESTED", "All of it.");
	comment(f, 10, 5, 0, "ada", "OWNER", "a.c", "Name it.");
	review(f, 6, "bob", "OWNER", "DISMISSED", "No.");
	comment(f, 11, 6, 0, "bob", "OWNER", "a.c", "Leave it.");
	pick(f, false, 2);
	review(f, 7, "ada", "OWNER", "APPROVED", "Well done.");
	comment(f, 12, 7, 0, "ada", "OWNER", "b.c", "A blank too many.");
	pick(f, false, 1);
	assert_int_equal(f->out.list[0].id, 12);
}

static void
task(struct fixture *f, const char *id, const char *parent, const char *key, const char *owns, const char *at,
    uint64_t round, const char *reason, const char *words)
{
	struct msg m = {.id = MSG_TASK_INFO,
	    .task_info = {.task = id,
		.run = "25",
		.parent = parent,
		.role = "x",
		.key = key,
		.title = key,
		.state = at,
		.reason = reason,
		.owns_json = owns,
		.unit = "none",
		.review_round = round,
		.said = words}};

	view_put(&f->view, &m, NULL);
}

static const struct view_run *
a_run(struct fixture *f)
{
	struct msg m = {.id = MSG_RUN_INFO, .run_info = {.run = "25", .title = "T", .state = "running"}};

	view_put(&f->view, &m, NULL);
	task(f, "25", NULL, "", NULL, "running", 0, NULL, NULL);
	task(f, "25/em1", "25", "core", "[\"src/\"]", "integrated", 0, NULL, NULL);
	task(f, "25/em1/w1", "25/em1", "lexer", "[\"src/lex.c\"]", "integrated", 0, NULL, NULL);
	task(f, "25/em1/w2", "25/em1", "rework-2", "[\"src/\"]", "integrated", 0, NULL, NULL);
	task(f, "25/em1/w3", "25/em1", "other", "[\"src/o.c\"]", "failed", 0, NULL, NULL);
	task(f, "25/em2", "25", "docs", "[\"docs/\"]", "integrated", 0, NULL, NULL);
	task(f, "25/em2/w1", "25/em2", "guide", "[\"docs/g*\"]", "integrated", 0, NULL, NULL);
	return view_run(&f->view, "25");
}

static const char *
text_for(const json_t *j, const char *id)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(j, "tasks"), i, item)
		if (strcmp(json_str(item, "task"), id) == 0)
			return json_str(item, "text");
	fail_msg("nothing is for %s", id);
	return NULL;
}

static void
test_who_does_it(void **state)
{
	struct fixture *f = *state;
	const struct view_run *run = a_run(f);
	const json_t *area;
	json_t *j;

	review(f, 5, "ada", "OWNER", "CHANGES_REQUESTED", "Be shorter.");
	review(f, 6, "bob", "OWNER", "COMMENTED", "Where is the licence?");
	comment(f, 10, 5, 0, "ada", "OWNER", "src/lex.c", "Name it.");
	comment(f, 11, 0, 0, "ada", "OWNER", "src/new.c", "Add it.");
	comment(f, 12, 0, 0, "ada", "OWNER", "docs/other.md", "Write it.");
	comment(f, 13, 0, 0, "ada", "OWNER", "Makefile", "Call it.");
	pick(f, false, 6);
	j = remarks_round(&f->out, run, 2);
	assert_non_null(strstr(text_for(j, "25/em1/w1"), "On src/lex.c, line 3"));
	assert_non_null(strstr(text_for(j, "25/em1/w1"), "Be shorter.")); /* its threads are there */
	assert_non_null(strstr(text_for(j, "25/em1/w2"), "Add it."));     /* the whole area's */
	assert_non_null(strstr(text_for(j, "25/em2"), "Write it."));      /* no task's, but the area's */
	area = json_object_get(j, "area");
	assert_string_equal(json_str(area, "key"), REMARKS_AREA "2");
	assert_non_null(strstr(json_str(area, "goal"), "Where is the licence?"));
	assert_non_null(strstr(json_str(area, "goal"), "Call it."));
	assert_int_equal(json_array_size(json_object_get(area, "owns")), 2);
	assert_int_equal(json_array_size(json_object_get(j, "remarks")), 6);
	json_decref(j);
}

/* What does not fit waits for the next round: a round is never more than orchd takes. */
static void
test_bounds(void **state)
{
	struct fixture *f = *state;
	const struct view_run *run = a_run(f);
	char *long_text = xcalloc(1, REMARK_BYTES * 3);
	json_t *j;
	char *text;

	memset(long_text, '"', REMARK_BYTES * 3 - 1);
	for (uint64_t i = 0; i < 1100; i++) /* the first ten are one thread */
		comment(f, 100 + i, 0, i == 0 || i > 9 ? 0 : 100, "ada", "OWNER", "src/lex.c", long_text);
	pick(f, false, REMARKS_READ / REMARK_BYTES - 9);
	assert_in_range(strlen(f->out.list[0].text), REMARK_BYTES, REMARK_THREAD);
	assert_int_equal(f->out.list[0].upto, 109);
	j = remarks_round(&f->out, run, 1);
	text = json_text(j);
	assert_true(strlen(text) < REVIEW_MAX);
	assert_in_range(json_array_size(json_object_get(j, "remarks")), 1, REMARKS_MAX);
	assert_true(strlen(text_for(j, "25/em1/w1")) < EVIDENCE_MAX);
	free(text);
	free(long_text);
	json_decref(j);
}

static void
answers(struct fixture *f, const char *tasks, bool body, const char *words)
{
	json_t *remark = json_pack(
	    "{s:b, s:i, s:i, s:o}", "review", body, "id", 5, "upto", 7, "tasks", json_loads(tasks, 0, NULL));
	char *text = remarks_answer(remark, view_run(&f->view, "25"), 2, HEAD);

	assert_string_equal(text, words);
	free(text);
	json_decref(remark);
}

static void
test_what_it_is_answered(void **state)
{
	struct fixture *f = *state;

	a_run(f);
	task(f, "25/em1/w1", "25/em1", "lexer", "[\"src/lex.c\"]", "integrated", 2, NULL, "Named, @ada.");
	answers(f, "[\"25/em1/w1\"]", false,
	    "Done in " HEAD ". Named, @\xe2\x80\x8b"
	    "ada.\n\n" REMARK_MARKER "c7 -->\n");
	task(f, "25/em1", "25", "core", "[\"src/\"]", "integrated", 2, "the gate is red", NULL);
	answers(
	    f, "[\"25/em1/w1\"]", false, "Not done, because: the gate is red\n\n" REMARK_MARKER "c7 -->\n");
	task(f, "25/em2/w1", "25/em2", "guide", "[\"docs/g*\"]", "integrated", 2, "it changed nothing", NULL);
	answers(
	    f, "[\"25/em2/w1\"]", true, "Not done, because: it changed nothing\n\n" REMARK_MARKER "r5 -->\n");
	answers(f, "[]", true, "Not done, because: its task is gone\n\n" REMARK_MARKER "r5 -->\n");
	task(f, "25/em3", "25", REMARKS_AREA "2", "[\"docs/\"]", "integrated", 0, NULL, NULL);
	answers(f, "[]", true, "Done in " HEAD ".\n\n" REMARK_MARKER "r5 -->\n");
}

int
main(void)
{
#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    RUN_TEST(test_whose_words_count),
	    RUN_TEST(test_a_thread_is_one_remark),
	    RUN_TEST(test_answers),
	    RUN_TEST(test_what_is_taken_back),
	    RUN_TEST(test_who_does_it),
	    RUN_TEST(test_bounds),
	    RUN_TEST(test_what_it_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
