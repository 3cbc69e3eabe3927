/* model: linking of tasks, look-up, counts, what is alive, and the verdict of a run. */
#include "tests/helper/lib/test.h"

#include "common/alloc.h"
#include "common/json.h"
#include "supervisor/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct task *
add(struct run *r, const char *parent, const char *id, int level, enum task_state s)
{
	struct task *t = task_new();
	struct err e = {""};

	t->id = xstrdup(id);
	t->parent_id = xstrdup(parent);
	t->key = xstrdup(strrchr(id, '/') == NULL ? NULL : strrchr(id, '/') + 1);
	t->level = level;
	t->state = s;
	assert_int_equal(run_add_task(r, t, &e), 0);
	return t;
}

static struct run *
make_run(const char *id)
{
	struct run *r = run_new();

	r->id = xstrdup(id);
	add(r, NULL, id, 0, TASK_RUNNING);
	return r;
}

static void
test_tasks_are_linked(void **state)
{
	struct run *r = make_run("25");
	struct task *em, *w;

	(void)state;
	em = add(r, "25", "25/em1", 1, TASK_QUEUED);
	w = add(r, "25/em1", "25/em1/w1", 2, TASK_QUEUED);
	assert_ptr_equal(r->director, TAILQ_FIRST(&r->tasks));
	assert_ptr_equal(em->parent, r->director);
	assert_ptr_equal(w->parent, em);
	assert_ptr_equal(w->run, r);
	assert_string_equal(task_role(r->director), "director");
	assert_string_equal(task_role(em), "em");
	assert_string_equal(task_role(w), "worker");
	assert_int_equal(w->attempt, 1);
	assert_int_equal(w->unit.grace_ms, (int64_t)r->conf.stop_grace_ms);
	assert_ptr_equal(run_find_task(r, "25/em1/w1"), w);
	assert_null(run_find_task(r, "25/em1/w2"));
	assert_ptr_equal(run_find_child(r, em, "w1"), w);
	assert_null(run_find_child(r, r->director, "w1"));
	run_free(r);
}

static void
test_bad_tasks_are_refused(void **state)
{
	struct run *r = make_run("25");
	struct task *t = task_new();
	struct err e = {""};

	(void)state;
	t->id = xstrdup("25/em9/w1");
	t->parent_id = xstrdup("25/em9");
	assert_int_equal(run_add_task(r, t, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "25/em9"));
	t = task_new();
	t->id = xstrdup("25/em1");
	t->parent_id = xstrdup("25");
	t->needs = xstrdup("[\"a\", 3]");
	assert_true(run_add_task(r, t, &e) < 0);
	assert_null(run_find_task(r, "25/em1"));
	run_free(r);
}

static void
test_runs_are_told_apart_by_their_whole_id(void **state)
{
	struct run_list runs = TAILQ_HEAD_INITIALIZER(runs);
	struct run *a = make_run("25"), *b = make_run("25-2");
	struct task *em;

	(void)state;
	TAILQ_INSERT_TAIL(&runs, a, entry);
	TAILQ_INSERT_TAIL(&runs, b, entry);
	em = add(b, "25-2", "25-2/em1", 1, TASK_QUEUED);
	assert_ptr_equal(runs_find(&runs, "25-2"), b);
	assert_null(runs_find(&runs, "2"));
	assert_ptr_equal(runs_find_task(&runs, "25-2/em1"), em);
	assert_null(runs_find_task(&runs, "25/em1"));
	assert_ptr_equal(runs_find_task(&runs, "25"), a->director);
	assert_null(runs_find_task(&runs, ""));
	run_free(a);
	run_free(b);
}

/* A worktree may be touched only when nothing of the task or below it lives. */
static void
test_alive_looks_below(void **state)
{
	struct run *r = make_run("1");
	struct task *em = add(r, "1", "1/em1", 1, TASK_INTEGRATED),
		    *w = add(r, "1/em1", "1/em1/w1", 2, TASK_INTEGRATED),
		    *other = add(r, "1", "1/em2", 1, TASK_RUNNING);

	(void)state;
	other->unit.state = UNIT_READY;
	for (int s = 0; s < UNIT_STATE_COUNT; s++) {
		bool lives = s == UNIT_STARTING || s == UNIT_READY || s == UNIT_STOPPING ||
			     s == UNIT_KILLED || s == UNIT_DRAINING;

		w->unit.state = (enum unit_state)s;
		assert_int_equal(task_alive(w), lives);
		assert_int_equal(task_alive(em), lives);
	}
	assert_true(task_alive(r->director));
	run_free(r);
}

static void
test_counts(void **state)
{
	struct run *r = make_run("1");
	struct run_counts c;
	struct task *em = add(r, "1", "1/em1", 1, TASK_RUNNING), *t;

	(void)state;
	r->director->cost_uusd = 7;
	em->unit.state = UNIT_READY;
	em->tokens_in = 10;
	t = add(r, "1/em1", "1/em1/w1", 2, TASK_RUNNING);
	t->unit.state = UNIT_BACKOFF;
	t->cost_uusd = 5;
	t->tokens_out = 3;
	add(r, "1/em1", "1/em1/w2", 2, TASK_QUEUED);
	add(r, "1/em1", "1/em1/w3", 2, TASK_RUNNING)->unit.state = UNIT_PARKED;
	add(r, "1/em1", "1/em1/w4", 2, TASK_SUBMITTED);
	add(r, "1/em1", "1/em1/w5", 2, TASK_INTEGRATED);
	add(r, "1/em1", "1/em1/w6", 2, TASK_FAILED);
	add(r, "1/em1", "1/em1/w7", 2, TASK_CANCELLED);
	run_count(r, &c);
	assert_int_equal(c.ems, 1);
	assert_int_equal(c.workers, 1);
	assert_int_equal(c.waiting, 2);
	assert_int_equal(c.tasks, 8);
	assert_int_equal(c.integrated, 1);
	assert_int_equal(c.failed, 2);
	assert_int_equal(c.cost_uusd, 12);
	assert_int_equal(c.tokens_in, 10);
	assert_int_equal(c.tokens_out, 3);
	run_free(r);
}

static void
test_verdict_is_computed(void **state)
{
	struct run *r = make_run("1");
	struct task *a, *b;

	(void)state;
	assert_int_equal(run_verdict(r, false), RUN_FAILED); /* nothing came of it */
	a = add(r, "1", "1/em1", 1, TASK_INTEGRATED);
	b = add(r, "1", "1/em2", 1, TASK_INTEGRATED);
	assert_int_equal(run_verdict(r, false), RUN_COMPLETE);
	assert_int_equal(run_verdict(r, true), RUN_FAILED);
	b->state = TASK_FAILED;
	assert_int_equal(run_verdict(r, false), RUN_PARTIAL);
	b->state = TASK_QUEUED; /* not ended is not done */
	assert_int_equal(run_verdict(r, false), RUN_PARTIAL);
	a->state = TASK_FAILED;
	assert_int_equal(run_verdict(r, false), RUN_FAILED);
	r->cancelled = true;
	assert_int_equal(run_verdict(r, false), RUN_CANCELLED);
	run_free(r);
}

static void
test_options_are_thawed(void **state)
{
	struct run *r = run_new();
	struct err e = {""};

	(void)state;
	assert_int_equal(run_thaw(r, &e), 0); /* none: the defaults */
	assert_int_equal(r->conf.max_ems, 3);
	r->options = xstrdup("{\"max_ems\":7}");
	assert_int_equal(run_thaw(r, &e), 0);
	assert_int_equal(r->conf.max_ems, 7);
	xreplace(&r->options, "{\"max_ems\":65}");
	assert_true(run_thaw(r, &e) < 0);
	assert_non_null(strstr(e.msg, "max_ems"));
	run_free(r);
}

/* A wait of 30 s must not last for an hour because somebody corrected the clock; one without end stays so. */
static void
test_clock_set_back(void **state)
{
	struct run *r = make_run("25");
	struct task *waits = add(r, "25", "25/em1", 1, TASK_WAITING),
		    *person = add(r, "25", "25/em2", 1, TASK_WAITING),
		    *runs = add(r, "25", "25/em3", 1, TASK_RUNNING);

	(void)state;
	waits->wait_until = 7230000;
	runs->wait_until = 7230000;
	run_clock_set_back(r, 3600000);
	assert_true(waits->wait_until == 3630000 && waits->dirty && r->changed);
	assert_true(person->wait_until == 0 && !person->dirty);
	assert_true(runs->wait_until == 7230000 && !runs->dirty);
	run_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_clock_set_back),
	    cmocka_unit_test(test_tasks_are_linked),
	    cmocka_unit_test(test_bad_tasks_are_refused),
	    cmocka_unit_test(test_runs_are_told_apart_by_their_whole_id),
	    cmocka_unit_test(test_alive_looks_below),
	    cmocka_unit_test(test_counts),
	    cmocka_unit_test(test_verdict_is_computed),
	    cmocka_unit_test(test_options_are_thawed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
