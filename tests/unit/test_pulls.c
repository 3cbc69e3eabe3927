/*
 * pulls: in which order a run's branches come to GitHub. Commits are sets of tasks, as bits: a head holds
 * what its own and its merged tasks have, and what GitHub refuses is an assertion here.
 */
#include "director/pulls.h"
#include "director/pulls_text.h"

#include "common/alloc.h"
#include "tests/helper/lib/ctlmodel.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EMS 3
#define WORKERS 3
#define PARTS (EMS * (WORKERS + 1) + 1)
#define BASE "base0000"

struct model {
	struct pulls_part parts[PARTS];
	unsigned long head[PARTS], there[PARTS]; /* sets of tasks' commits; there ~0: no such branch */
	bool merged_there[PARTS], closed[PARTS];
};

#define NOWHERE (~0ul)

static void
model_init(struct model *m)
{
	memset(m, 0, sizeof(*m));
	for (size_t i = 0; i < PARTS; i++) {
		bool lead = i % (WORKERS + 1) == WORKERS;

		m->there[i] = NOWHERE;
		m->parts[i].parent = i == PARTS - 1 ? -1
				     : lead         ? PARTS - 1
						    : (int)(i / (WORKERS + 1) * (WORKERS + 1) + WORKERS);
	}
}

/* As pulls.c fills it in. */
static void
model_show(struct model *m)
{
	for (size_t i = 0; i < PARTS; i++) {
		struct pulls_part *p = &m->parts[i];
		unsigned long head = m->head[i];

		p->head[0] = p->there[0] = '\0';
		if (head != 0 || p->parent < 0)
			snprintf(p->head, sizeof(p->head), "%lx", head);
		if (m->there[i] != NOWHERE)
			snprintf(p->there, sizeof(p->there), "%lx", m->there[i]);
		if (p->parent < 0)
			continue;
		p->in_there =
		    head != 0 && m->there[p->parent] != NOWHERE && (head & ~m->there[p->parent]) == 0;
		p->in_here = head != 0 && (head & ~m->head[p->parent]) == 0;
	}
}

/* GitHub: what becomes of open pull requests when a branch has been pushed. */
static void
model_pushed(struct model *m, size_t which)
{
	for (size_t i = 0; i < PARTS; i++)
		if (m->parts[i].parent == (int)which && m->parts[i].number != 0 &&
		    (m->there[i] & ~m->there[which]) == 0)
			m->merged_there[i] = true;
}

static bool
model_step(struct model *m)
{
	size_t i;
	enum pulls_deed deed;
	struct pulls_part *p;

	model_show(m);
	deed = pulls_next(m->parts, PARTS, &i);
	p = &m->parts[i];
	switch (deed) {
	case PULLS_NOTHING:
		return false;
	case PULLS_MAKE:
		assert_true(m->there[p->parent] == NOWHERE);
		m->there[p->parent] = 0;
		break;
	case PULLS_PUSH:
		assert_true(m->there[i] != m->head[i]);
		m->there[i] = m->head[i];
		model_pushed(m, i);
		break;
	case PULLS_OPEN: /* "No commits between", "base invalid", "head invalid", "already exists" */
		assert_true(p->number == 0);
		assert_true(m->there[i] == m->head[i]);
		assert_true(m->there[p->parent] != NOWHERE);
		assert_true((m->there[i] & ~m->there[p->parent]) != 0);
		p->number = i + 1;
		break;
	case PULLS_DROP:
	case PULLS_REMADE:
		assert_false(m->merged_there[i]);
		m->closed[i] = p->number != 0;
		p->number = 0;
		p->over = true;
		break;
	}
	return true;
}

static void
model_settle(struct model *m)
{
	for (int n = 0; model_step(m); n++)
		assert_true(n < 200);
}

static unsigned long
bit(size_t i)
{
	return 1ul << (i + 1);
}

/* Something happens to a part: handed in, merged by its parent, or lost. */
static void
model_move(struct model *m, size_t i)
{
	struct pulls_part *p = &m->parts[i];
	bool lead = i % (WORKERS + 1) == WORKERS;

	if (p->parent < 0 || p->state == PULLS_IN || p->state == PULLS_LOST ||
	    m->parts[p->parent].state != PULLS_BUSY)
		return;
	if (p->state == PULLS_READY) {
		p->state = rand() % 8 == 0 ? PULLS_LOST : PULLS_IN;
		if (p->state == PULLS_IN)
			m->head[p->parent] |= m->head[i] | bit(i) << 20; /* and a merge commit */
		return;
	}
	if (lead) { /* when all below it have ended */
		for (size_t k = i - WORKERS; k < i; k++)
			if (m->parts[k].state == PULLS_BUSY || m->parts[k].state == PULLS_READY)
				return;
		p->state = m->head[i] == 0 ? PULLS_LOST : PULLS_READY;
		return;
	}
	m->head[i] = bit(i);
	p->state = PULLS_READY;
}

/* Whenever it gets to act, and in whatever order things happen: GitHub refuses nothing, and all that is in
 * the whole is shown as merged. */
static void
test_any_order_of_events(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 60; seed++) {
		struct model m;

		srand(seed);
		model_init(&m);
		for (int n = 0; n < 2000; n++) {
			model_move(&m, (size_t)rand() % PARTS);
			if (rand() % (int)(seed % 7 + 1) == 0)
				model_step(&m);
		}
		model_settle(&m);
		for (size_t i = 0; i < PARTS - 1; i++) {
			const struct pulls_part *p = &m.parts[i];
			bool whole = p->state == PULLS_IN &&
				     (p->parent == PARTS - 1 || m.parts[p->parent].state == PULLS_IN);

			if (whole != m.merged_there[i] && whole)
				fail_msg("seed %u: part %zu is not merged there", seed, i);
			if (p->state == PULLS_LOST && p->number != 0)
				fail_msg("seed %u: part %zu is lost and still open", seed, i);
		}
		assert_int_equal(m.there[PARTS - 1] == NOWHERE ? 0 : m.there[PARTS - 1], m.head[PARTS - 1]);
	}
}

/* One that cannot be had holds nothing up. */
static void
test_one_that_is_given_up(void **state)
{
	struct model m;

	(void)state;
	model_init(&m);
	m.parts[0].over = true;
	for (size_t i = 0; i < 2; i++) {
		m.head[i] = bit(i);
		m.parts[i].state = PULLS_IN;
		m.head[WORKERS] |= bit(i);
	}
	m.parts[WORKERS].state = PULLS_READY;
	model_settle(&m);
	assert_int_equal(m.there[0], NOWHERE);
	assert_int_equal(m.there[WORKERS], m.head[WORKERS]);
	assert_true(m.merged_there[1]);
	assert_true(m.parts[WORKERS].number != 0);
}

/* Its commits were made anew in its parent: GitHub cannot see that it is merged. */
static void
test_one_that_was_rebased(void **state)
{
	struct model m;

	(void)state;
	model_init(&m);
	m.head[0] = bit(0);
	m.parts[0].state = PULLS_READY;
	model_settle(&m);
	assert_true(m.parts[0].number != 0);
	m.parts[0].state = PULLS_IN;
	m.head[WORKERS] = bit(5);
	model_settle(&m);
	assert_true(m.closed[0]);
	assert_int_equal(m.there[WORKERS], m.head[WORKERS]);
}

/* Sent back and handed in again: the same pull request, and more commits. */
static void
test_rework_goes_on_in_it(void **state)
{
	struct model m;
	uint64_t number;

	(void)state;
	model_init(&m);
	m.head[0] = bit(0);
	m.parts[0].state = PULLS_READY;
	model_settle(&m);
	number = m.parts[0].number;
	m.parts[0].state = PULLS_BUSY;
	model_settle(&m);
	m.head[0] |= bit(9);
	m.parts[0].state = PULLS_READY;
	model_settle(&m);
	assert_int_equal(m.parts[0].number, number);
	assert_int_equal(m.there[0], m.head[0]);
}

static void
test_words(void **state)
{
	struct view view;
	char task[] = "25/em1/w2", title[] = "Closes #7, @bob <b>", reason[] = "red, @bob", area[] = "25/em1",
	     branch[] = "cco/25-x-em1";
	struct pulls_part p = {.task = task, .title = title, .worker = 2, .em = 1},
			  em = {.task = area, .branch = branch};
	struct msg m = ctlmodel_run("running");
	char *text;

	(void)state;
	view_init(&view);
	view_put(&view, &m, NULL);
	text = pulls_text(&p, view_last(&view), 25);
	assert_ptr_equal(strstr(text, "Part of #25: "), text);
	assert_null(strstr(text, "#7"));
	assert_null(strstr(text, "@bob"));
	assert_null(strstr(text, "<b>"));
	free(text);
	text = pulls_title(&p);
	assert_ptr_equal(strstr(text, "25/em1/w2: "), text);
	free(text);
	p.reason = reason;
	text = pulls_why_dropped(&p);
	assert_non_null(strstr(text, "did not become a part of the run: red"));
	assert_null(strstr(text, "@bob"));
	free(text);
	text = pulls_why_remade(&p, &em, "1234567890123456789012345678901234567890");
	assert_non_null(strstr(text, "became 1234567890123456789012345678901234567890 on `cco/25-x-em1`"));
	free(text);
	text = pulls_why_remade(&p, &em, "");
	assert_non_null(strstr(text, "is in `cco/25-x-em1`, by other commits"));
	free(text);
	view_clear(&view);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_any_order_of_events),
	    cmocka_unit_test(test_one_that_is_given_up),
	    cmocka_unit_test(test_one_that_was_rebased),
	    cmocka_unit_test(test_rework_goes_on_in_it),
	    cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
