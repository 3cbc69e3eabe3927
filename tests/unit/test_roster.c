/* roster: what starts next under limits, dependencies and order; what can never start; who is woken when. */
#include "tests/helper/lib/test.h"

#include "common/alloc.h"
#include "supervisor/roster.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct run_list runs;

static int
set_up(void **state)
{
	(void)state;
	TAILQ_INIT(&runs);
	return 0;
}

static int
tear_down(void **state)
{
	struct run *r;

	(void)state;
	while ((r = TAILQ_FIRST(&runs)) != NULL) {
		TAILQ_REMOVE(&runs, r, entry);
		run_free(r);
	}
	return 0;
}

/* needs, after: JSON, or NULL. The key is the last part of the id. */
static struct task *
add(struct run *r, const char *parent, const char *key, enum task_state s, const char *needs,
    const char *after)
{
	struct task *t = task_new();
	struct err e = {""};

	t->id = parent == NULL ? xstrdup(key) : xasprintf("%s/%s", parent, key);
	t->parent_id = xstrdup(parent);
	t->run_id = xstrdup(r->id);
	t->key = parent == NULL ? NULL : xstrdup(key);
	t->title = xstrdup("A title");
	t->goal = xstrdup("A goal");
	t->needs = xstrdup(needs);
	t->after = xstrdup(after);
	t->state = s;
	for (const char *p = t->id; *p != '\0'; p++)
		t->level += *p == '/';
	if (run_add_task(r, t, &e) < 0)
		fail_msg("%s", e.msg);
	return t;
}

/* A running run with its director at work. */
static struct run *
add_run(const char *id, unsigned max_ems, unsigned max_workers)
{
	struct run *r = run_new();

	r->id = xstrdup(id);
	r->state = RUN_RUNNING;
	r->conf.max_ems = max_ems;
	r->conf.max_workers_per_em = max_workers;
	TAILQ_INSERT_TAIL(&runs, r, entry);
	add(r, NULL, id, TASK_RUNNING, NULL, NULL)->unit.state = UNIT_READY;
	return r;
}

static struct task *
add_em(struct run *r, const char *key, enum task_state s)
{
	return add(r, r->id, key, s, NULL, NULL);
}

/* An EM at work. */
static struct task *
busy_em(struct run *r, const char *key)
{
	struct task *t = add_em(r, key, TASK_RUNNING);

	t->unit.state = UNIT_READY;
	return t;
}

static void
run_it(struct task *t, enum unit_state s)
{
	t->state = TASK_RUNNING;
	t->unit.state = s;
	t->unit.wanted = true;
}

static void
expect_next(struct run *r, const struct task *want)
{
	const struct task *got = roster_next(&runs, r);

	if (got != want)
		fail_msg("%s is next, not %s", got == NULL ? "nothing" : got->id,
		    want == NULL ? "nothing" : want->id);
}

static void
test_the_director_starts_first_and_without_limit(void **state)
{
	struct run *r = add_run("m1", 1, 1);

	(void)state;
	r->state = RUN_PLANNING;
	r->director->state = TASK_QUEUED;
	r->director->unit.state = UNIT_NONE;
	expect_next(r, r->director);
	run_it(r->director, UNIT_STARTING);
	expect_next(r, NULL);
}

static void
test_max_ems(void **state)
{
	struct run *r = add_run("m1", 2, 1);
	struct task *a = add_em(r, "em1", TASK_QUEUED), *b = add_em(r, "em2", TASK_QUEUED),
		    *c = add_em(r, "em3", TASK_QUEUED);

	(void)state;
	expect_next(r, a);
	run_it(a, UNIT_STARTING);
	expect_next(r, b);
	run_it(b, UNIT_READY);
	expect_next(r, NULL);
	assert_false(roster_slot_free(&runs, c));
	assert_true(roster_slot_free(&runs, a)); /* its own slot is its own */
	/* A slot is held until the tree is empty, and through a backoff, but not while parked. */
	for (int s = 0; s < UNIT_STATE_COUNT; s++) {
		a->unit.state = (enum unit_state)s;
		expect_next(r, s == UNIT_NONE || s == UNIT_PARKED ? c : NULL);
	}
}

static void
test_max_ems_counts_every_run(void **state)
{
	struct run *old = add_run("m1", 3, 3), *r = add_run("m2", 2, 3);
	struct task *x = busy_em(old, "em1"), *a = add_em(r, "em1", TASK_QUEUED);

	(void)state;
	busy_em(old, "em2");
	old->state = RUN_CANCELLED; /* its processes still go */
	expect_next(r, NULL);
	x->unit.state = UNIT_DRAINING;
	expect_next(r, NULL);
	x->unit.state = UNIT_NONE;
	expect_next(r, a);
}

static void
test_max_workers_are_counted_per_em(void **state)
{
	struct run *r = add_run("m1", 3, 2);
	struct task *w[5];

	(void)state;
	busy_em(r, "em1");
	busy_em(r, "em2");
	w[0] = add(r, "m1/em1", "w1", TASK_QUEUED, NULL, NULL);
	w[1] = add(r, "m1/em1", "w2", TASK_QUEUED, NULL, NULL);
	w[2] = add(r, "m1/em1", "w3", TASK_QUEUED, NULL, NULL);
	w[3] = add(r, "m1/em2", "w1", TASK_QUEUED, NULL, NULL);
	w[4] = add(r, "m1/em2", "w2", TASK_QUEUED, NULL, NULL);
	expect_next(r, w[0]);
	run_it(w[0], UNIT_READY);
	expect_next(r, w[1]);
	run_it(w[1], UNIT_BACKOFF);
	expect_next(r, w[3]); /* em1 is full, its third waits; em2's do not */
	run_it(w[3], UNIT_STARTING);
	expect_next(r, w[4]);
	run_it(w[4], UNIT_READY);
	expect_next(r, NULL);
	w[0]->unit.state = UNIT_DRAINING;
	expect_next(r, NULL);
	w[0]->unit.state = UNIT_NONE;
	w[0]->unit.wanted = false;
	w[0]->state = TASK_SUBMITTED;
	expect_next(r, w[2]);
}

static void
test_needs_wait_for_integration(void **state)
{
	static const enum task_state others[] = {TASK_QUEUED, TASK_WAITING, TASK_RUNNING, TASK_SUBMITTED,
	    TASK_REWORK, TASK_FAILED, TASK_CANCELLED};
	struct run *r = add_run("m1", 3, 3);
	struct task *a = busy_em(r, "core"), *b = add(r, "m1", "cli", TASK_QUEUED, "[\"core\"]", NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		a->state = others[i];
		assert_ptr_equal(roster_waits_for(b), a);
		expect_next(r, NULL);
	}
	a->state = TASK_INTEGRATED;
	assert_null(roster_waits_for(b));
	expect_next(r, b);
}

static void
test_after_waits_for_any_end(void **state)
{
	struct run *r = add_run("m1", 3, 3);
	struct task *a = busy_em(r, "core"), *b = add(r, "m1", "cli", TASK_QUEUED, NULL, "[\"core\"]");

	(void)state;
	for (int s = 0; s < TASK_STATE_COUNT; s++) {
		a->state = s;
		expect_next(r, s == TASK_INTEGRATED || s == TASK_FAILED || s == TASK_CANCELLED ? b : NULL);
	}
	a->state = TASK_FAILED;
	assert_null(roster_doomed(r, NULL)); /* it comes after it, it does not need it */
}

/* What ran before a crash, then what was sent back, then the queue in its order. */
static void
test_order(void **state)
{
	struct run *r = add_run("m1", 9, 9);
	struct task *a = add_em(r, "em1", TASK_QUEUED), *b = add_em(r, "em2", TASK_QUEUED),
		    *c = add_em(r, "em3", TASK_REWORK), *d = add_em(r, "em4", TASK_RUNNING);

	(void)state;
	expect_next(r, d);
	run_it(d, UNIT_READY);
	expect_next(r, c);
	run_it(c, UNIT_READY);
	expect_next(r, a);
	run_it(a, UNIT_READY);
	expect_next(r, b);
}

static void
test_only_what_is_ready_starts(void **state)
{
	static const enum task_state idle[] = {
	    TASK_WAITING, TASK_SUBMITTED, TASK_INTEGRATED, TASK_FAILED, TASK_CANCELLED};
	struct run *r = add_run("m1", 9, 9);
	struct task *em = busy_em(r, "em1"), *w = add(r, "m1/em1", "w1", TASK_QUEUED, NULL, NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(idle) / sizeof(idle[0]); i++) {
		w->state = idle[i];
		expect_next(r, NULL);
	}
	w->state = TASK_QUEUED;
	for (int s = UNIT_STARTING; s < UNIT_STATE_COUNT; s++) {
		w->unit.state = (enum unit_state)s; /* a process of it is there, or is to come back */
		expect_next(r, NULL);
	}
	w->unit.state = UNIT_NONE;
	em->state = TASK_WAITING; /* nobody is there to take what it would hand in */
	expect_next(r, NULL);
	em->state = TASK_RUNNING;
	expect_next(r, w);
	/* An EM that is dead for the moment holds nobody up. */
	em->unit.state = UNIT_PARKED;
	expect_next(r, w);
}

static void
test_which_runs_start_anything(void **state)
{
	struct run *r = add_run("m1", 9, 9);
	struct task *em = add_em(r, "em1", TASK_QUEUED);

	(void)state;
	for (int s = 0; s < RUN_STATE_COUNT; s++) {
		r->state = s;
		expect_next(r, s == RUN_QUEUED || s >= RUN_COMPLETE ? NULL : em);
	}
	r->state = RUN_RUNNING;
	r->stopped = true;
	expect_next(r, NULL);
	r->stopped = false;
	/* Cancelled: its director alone goes on, to clean up. */
	r->cancelled = true;
	expect_next(r, NULL);
	r->director->unit.state = UNIT_NONE;
	expect_next(r, r->director);
}

static void
test_doomed_transitively(void **state)
{
	struct run *r = add_run("m1", 9, 9);
	struct task *a = add_em(r, "a", TASK_FAILED), *b = add(r, "m1", "b", TASK_QUEUED, "[\"a\"]", NULL),
		    *c = add(r, "m1", "c", TASK_WAITING, "[\"x\",\"b\"]", NULL), *t;
	const struct task *why = NULL;

	(void)state;
	add_em(r, "x", TASK_INTEGRATED);
	add(r, "m1", "free", TASK_QUEUED, "[\"x\"]", NULL);
	t = roster_doomed(r, &why);
	assert_ptr_equal(t, b);
	assert_ptr_equal(why, a);
	b->state = TASK_FAILED;
	t = roster_doomed(r, &why);
	assert_ptr_equal(t, c);
	assert_ptr_equal(why, b);
	c->state = TASK_FAILED;
	assert_null(roster_doomed(r, NULL));
	/* A cancelled one dooms as well. */
	a->state = TASK_CANCELLED;
	b->state = TASK_QUEUED;
	assert_ptr_equal(roster_doomed(r, NULL), b);
	/* What runs already is left to its end. */
	b->state = TASK_RUNNING;
	c->state = TASK_FAILED;
	assert_null(roster_doomed(r, NULL));
}

/* The same plan id below another parent is another task. */
static void
test_needs_are_among_siblings(void **state)
{
	struct run *r = add_run("m1", 9, 9);
	struct task *w;

	(void)state;
	busy_em(r, "em1");
	busy_em(r, "em2");
	add(r, "m1/em1", "parser", TASK_FAILED, NULL, NULL);
	add(r, "m1/em2", "parser", TASK_INTEGRATED, NULL, NULL);
	w = add(r, "m1/em2", "eval", TASK_QUEUED, "[\"parser\"]", NULL);
	assert_null(roster_doomed(r, NULL));
	expect_next(r, w);
}

/*
 * A plan may name a task before the one that it needs, and children are added one by one: eval was started
 * between the two, on a branch without the parser (found by tests/integration/test_run_plans).
 */
static void
test_needs_wait_for_what_is_yet_to_be_added(void **state)
{
	struct run *r = add_run("m1", 9, 9);
	struct task *eval, *last, *parser;

	(void)state;
	busy_em(r, "em1");
	eval = add(r, "m1/em1", "eval", TASK_QUEUED, "[\"parser\"]", NULL);
	last = add(r, "m1/em1", "last", TASK_QUEUED, NULL, "[\"parser\"]");
	expect_next(r, NULL);
	assert_null(roster_doomed(r, NULL));
	parser = add(r, "m1/em1", "parser", TASK_QUEUED, NULL, NULL);
	expect_next(r, parser);
	parser->state = TASK_INTEGRATED;
	expect_next(r, eval);
	eval->state = TASK_INTEGRATED;
	expect_next(r, last);
}

static void
test_waiting_and_woken(void **state)
{
	struct run *r = add_run("m1", 9, 9);
	struct task *a = add_em(r, "a", TASK_WAITING), *b = add_em(r, "b", TASK_WAITING);

	(void)state;
	a->wait_until = 2000;
	b->wait_until = 1000;
	assert_int_equal(roster_wakes_at(r), 1000);
	assert_null(roster_woken(r, 999));
	assert_ptr_equal(roster_woken(r, 1000), b);
	b->state = TASK_QUEUED;
	assert_int_equal(roster_wakes_at(r), 2000);
	assert_null(roster_woken(r, 1999));
	assert_ptr_equal(roster_woken(r, 5000), a);
	a->state = TASK_QUEUED;
	assert_int_equal(roster_wakes_at(r), -1);
	assert_null(roster_woken(r, INT64_MAX));
}

static void
test_nothing_starts_without_the_keys(void **state)
{
	static struct config one;
	struct run *r = add_run("25", 3, 3);
	struct task *em = add_em(r, "em1", TASK_QUEUED);

	(void)state;
	r->keyed = 1;
	assert_true(run_lacks_keys(r));
	assert_null(roster_next(&runs, r));
	r->director->unit.state = UNIT_NONE;
	assert_null(roster_next(&runs, r));
	r->cancelled = 1; /* the director cleans up, which takes no agent */
	assert_ptr_equal(roster_next(&runs, r), r->director);
	r->cancelled = 0;
	r->director->unit.state = UNIT_READY;
	r->keys.v = &one;
	r->keys.count = 1;
	assert_ptr_equal(roster_next(&runs, r), em);
	r->keys.v = NULL;
	r->keys.count = 0;
}

static void
test_a_tight_budget_starts_no_agent(void **state)
{
	struct run *r = add_run("25", 3, 3);
	struct task *em = add_em(r, "em1", TASK_QUEUED), *w;

	(void)state;
	r->budget.stage = BUDGET_TIGHT;
	assert_null(roster_next(&runs, r)); /* it would plan */
	em->plan = xstrdup("{}");
	assert_ptr_equal(roster_next(&runs, r), em);
	em->state = TASK_RUNNING;
	em->unit.state = UNIT_READY;
	w = add(r, "25/em1", "w1", TASK_QUEUED, NULL, NULL);
	assert_null(roster_next(&runs, r));
	w->state = TASK_RUNNING; /* its process died: committed is committed */
	assert_null(roster_next(&runs, r));
	w->head = xstrdup("cafe");
	assert_ptr_equal(roster_next(&runs, r), w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		test_the_director_starts_first_and_without_limit, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_nothing_starts_without_the_keys, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_tight_budget_starts_no_agent, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_max_ems, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_max_ems_counts_every_run, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_max_workers_are_counted_per_em, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_needs_wait_for_integration, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_after_waits_for_any_end, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_only_what_is_ready_starts, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_which_runs_start_anything, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_doomed_transitively, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_needs_are_among_siblings, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_needs_wait_for_what_is_yet_to_be_added, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_waiting_and_woken, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
