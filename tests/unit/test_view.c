/* view: what orchctl keeps of orchd's news, in whatever order it comes. */
#include "proto/view.h"

#include "tests/helper/lib/ctlmodel.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <string.h>

static void
put_task(struct view *v, const char *id, const char *state)
{
	struct msg m = ctlmodel_task(id, "title", state);

	view_put(v, &m, NULL);
}

static void
test_order(void **state)
{
	static const char *const come[] = {"m1/em2", "m1/em10/w1", "m1/em1/w2", "m1", "m1/em10", "m1/em1",
	    "m1/em1/w1", "m1/em1/w10", "m1/em2/w1"};
	static const char *const want[] = {"m1", "m1/em1", "m1/em1/w1", "m1/em1/w2", "m1/em1/w10", "m1/em2",
	    "m1/em2/w1", "m1/em10", "m1/em10/w1"};
	struct msg m = ctlmodel_run("running");
	const struct view_run *r;
	struct view v;

	(void)state;
	view_init(&v);
	for (size_t i = 0; i < 9; i++)
		put_task(&v, come[i], "queued");
	assert_null(view_last(&v)); /* tasks alone are no run */
	view_put(&v, &m, NULL);
	r = view_last(&v);
	assert_non_null(r);
	assert_int_equal(r->count, 9);
	for (size_t i = 0; i < 9; i++)
		assert_string_equal(r->tasks[i].info->task, want[i]);
	for (size_t i = 0; i < 9; i++)
		assert_string_equal(view_task(r, come[i])->info->task, come[i]);
	assert_null(view_task(r, "m1/em3"));
	assert_null(view_task(r, "m2/em1"));
	assert_null(view_task(r, "junk"));
	view_clear(&v);
}

static void
test_changes(void **state)
{
	struct msg m = ctlmodel_task("m1/em1", "Core", "running");
	struct view_change ch;
	struct view v;

	(void)state;
	view_init(&v);
	assert_true(view_put(&v, &m, &ch));
	assert_true(ch.fresh && ch.state);
	m.task_info.doing = "reading";
	assert_true(view_put(&v, &m, &ch));
	assert_false(ch.fresh || ch.state);
	assert_string_equal(ch.task->info->doing, "reading");
	m.task_info.unit = "parked";
	assert_true(view_put(&v, &m, &ch));
	assert_true(ch.state);
	m.task_info.unit = "ready";
	m.task_info.state = "integrated";
	assert_true(view_put(&v, &m, &ch));
	assert_true(ch.state && !ch.fresh);
	assert_true(view_task_ended(ch.task));

	m = ctlmodel_run("running");
	assert_true(view_put(&v, &m, &ch));
	assert_true(ch.fresh && ch.task == NULL);
	m.run_info.question = "which one?";
	assert_true(view_put(&v, &m, &ch));
	assert_true(ch.state);
	assert_true(view_put(&v, &m, &ch));
	assert_false(ch.state);
	assert_false(view_run_ended(ch.run));
	m.run_info.stopped = true;
	assert_true(view_put(&v, &m, &ch) && ch.state);
	view_clear(&v);
}

/* Strings of a message are borrowed for the call only. */
static void
test_copies(void **state)
{
	char title[] = "before";
	struct msg m = ctlmodel_run("running");
	struct view v;

	(void)state;
	view_init(&v);
	m.run_info.title = title;
	view_put(&v, &m, NULL);
	strcpy(title, "after!");
	assert_string_equal(view_last(&v)->info->title, "before");
	view_clear(&v);
}

static void
test_events_once_and_in_order(void **state)
{
	static const uint64_t come[] = {1, 2, 5, 3, 2, 5, 4};
	struct msg m = {.id = MSG_EVENT_INFO};
	struct view v;

	(void)state;
	view_init(&v);
	m.event_info.kind = "gate";
	for (size_t i = 0; i < 7; i++) {
		m.event_info.seq = come[i];
		view_put(&v, &m, NULL);
	}
	assert_int_equal(v.event_count, 5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(v.events[i]->event_info.seq, i + 1);
	view_clear(&v);
}

static void
test_bounds(void **state)
{
	struct view v;
	char id[64];

	(void)state;
	view_init(&v);
	for (int n = 0; n < VIEW_TASKS_MAX + 10; n++) {
		snprintf(id, sizeof(id), "m1/em%d/w%d", n / 9000 + 1, n % 9000 + 1);
		put_task(&v, id, "queued");
	}
	assert_int_equal(view_run(&v, "m1")->count, VIEW_TASKS_MAX);
	view_clear(&v);
}

static void
test_trouble(void **state)
{
	static const struct {
		const char *state, *unit, *reason;
		enum view_trouble want;
	} cases[] = {
	    {"failed", "none", "red", VIEW_FAILED},
	    {"running", "parked", "exits at once", VIEW_PARKED},
	    {"failed", "parked", NULL, VIEW_FAILED},
	    {"rework", "ready", "red", VIEW_REWORK},
	    {"waiting", "none", "limit", VIEW_WAITING},
	    {"waiting", "none", NULL, VIEW_FINE},
	    {"queued", "none", "waits for parser", VIEW_FINE},
	    {"integrated", "none", NULL, VIEW_FINE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct msg m = ctlmodel_task("m1/em1", "Core", cases[i].state);
		struct view_change ch;
		struct view v;

		view_init(&v);
		m.task_info.unit = cases[i].unit;
		m.task_info.reason = cases[i].reason;
		view_put(&v, &m, &ch);
		assert_int_equal(view_trouble(ch.task), cases[i].want);
		view_clear(&v);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_changes),
	    cmocka_unit_test(test_copies),
	    cmocka_unit_test(test_events_once_and_in_order),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
