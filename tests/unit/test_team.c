/* team: what a lead does next, as a function of its children's states; and how EM and director judge the end.
 */
#include "tests/helper/lib/test.h"

#include "director/director.h"
#include "em/em.h"
#include "proto/team.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
tell_at(struct team *t, unsigned n, const char *state, bool alive, uint64_t submitted_at, const char *reason)
{
	char task[32], key[32];
	struct err e;
	struct msg_child m = {.task = task,
	    .key = key,
	    .ordinal = n,
	    .title = "A title",
	    .state = state,
	    .alive = alive,
	    .submitted_at = submitted_at,
	    .reason = reason};

	snprintf(task, sizeof(task), "25/em1/w%u", n);
	snprintf(key, sizeof(key), "t%u", n);
	assert_int_equal(team_apply(t, &m, &e), 0);
}

static void
tell(struct team *t, unsigned n, const char *state, bool alive)
{
	tell_at(t, n, state, alive, 0, NULL);
}

static void
expect(struct team *t, enum team_step step, unsigned ordinal)
{
	struct team_child *c;

	assert_int_equal(team_next(t, false, &c), step);
	if (ordinal == 0)
		assert_null(c);
	else
		assert_int_equal(c->ordinal, ordinal);
}

static void
test_children_are_kept_by_ordinal_and_updated(void **state)
{
	struct team t = {0};

	(void)state;
	assert_int_equal(team_next_ordinal(&t), 1);
	tell(&t, 3, "queued", false);
	tell(&t, 1, "queued", false);
	tell(&t, 2, "running", true);
	tell(&t, 3, "running", true);
	assert_int_equal(t.count, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(t.list[i].ordinal, i + 1);
	assert_true(t.list[2].alive);
	assert_true(t.changed);
	assert_int_equal(team_next_ordinal(&t), 4);
	assert_string_equal(team_find(&t, "t2")->task, "25/em1/w2");
	assert_null(team_find(&t, "t9"));
	team_clear(&t);
}

static void
test_bad_child_changes_nothing(void **state)
{
	struct team t = {0};
	struct err e;
	struct msg_child m = {.task = "1/em1", .key = "a", .title = "x", .state = "exploded", .ordinal = 1};

	(void)state;
	assert_int_equal(team_apply(&t, &m, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "exploded"));
	assert_int_equal(t.count, 0);
	assert_false(t.changed);
	m.state = "queued";
	for (unsigned i = 0; i < TEAM_MAX; i++) {
		char task[32];

		snprintf(task, sizeof(task), "1/em%u", i + 1);
		m.task = task;
		m.ordinal = i + 1;
		assert_int_equal(team_apply(&t, &m, &e), 0);
	}
	m.task = "1/em9999";
	assert_int_equal(team_apply(&t, &m, &e), -EINVAL);
	assert_int_equal(t.count, TEAM_MAX);
	team_clear(&t);
}

static void
test_oldest_submission_goes_first(void **state)
{
	struct team t = {0};

	(void)state;
	tell(&t, 1, "failed", false);
	tell_at(&t, 2, "submitted", true, 500, NULL);
	tell_at(&t, 3, "submitted", false, 400, NULL);
	expect(&t, TEAM_INTEGRATE, 3);
	t.list[2].answered = true;
	expect(&t, TEAM_INTEGRATE, 2);
	/* A CHILD that is sent for another cause does not make us answer twice; a new submission does. */
	tell_at(&t, 3, "submitted", true, 400, NULL);
	expect(&t, TEAM_INTEGRATE, 2);
	t.list[1].answered = true;
	expect(&t, TEAM_CLEAN, 1);
	tell_at(&t, 3, "submitted", true, 900, NULL);
	expect(&t, TEAM_INTEGRATE, 3);
	team_clear(&t);
}

static void
test_only_the_dead_are_cleaned(void **state)
{
	struct team t = {0};

	(void)state;
	tell(&t, 1, "integrated", true);
	tell(&t, 2, "failed", true);
	expect(&t, TEAM_WAIT, 0);
	tell(&t, 2, "failed", false);
	expect(&t, TEAM_CLEAN, 2);
	t.list[1].cleaned = true;
	expect(&t, TEAM_WAIT, 0);
	tell(&t, 1, "integrated", false);
	expect(&t, TEAM_CLEAN, 1);
	t.list[0].cleaned = true;
	expect(&t, TEAM_DONE, 0);
	/* orchctl retry brings a failed one back: it is no longer done, nor clean. */
	tell(&t, 2, "queued", false);
	expect(&t, TEAM_WAIT, 0);
	team_clear(&t);
}

static void
test_cancelled_runs_integrate_nothing(void **state)
{
	struct team t = {0};
	struct team_child *c;

	(void)state;
	tell_at(&t, 1, "submitted", false, 10, NULL);
	tell(&t, 2, "cancelled", false);
	assert_int_equal(team_next(&t, true, &c), TEAM_CLEAN);
	assert_int_equal(c->ordinal, 2);
	c->cleaned = true;
	assert_int_equal(team_next(&t, true, &c), TEAM_WAIT);
	team_clear(&t);
}

static void
test_losses_are_named_and_bounded(void **state)
{
	struct team t = {0};
	char *text;

	(void)state;
	tell(&t, 1, "integrated", false);
	assert_null(team_losses(&t));
	tell_at(&t, 2, "failed", false, 0, "the gate\nfailed");
	tell(&t, 3, "cancelled", false);
	tell(&t, 4, "failed", false);
	text = team_losses(&t);
	assert_string_equal(text, "w2: the gate failed; w3: was cancelled; w4: failed without a reason");
	free(text);
	tell(&t, 5, "failed", false);
	text = team_losses(&t);
	assert_non_null(strstr(text, "; and 1 more"));
	free(text);
	team_clear(&t);
}

static void
test_area_ends(void **state)
{
	struct team t = {0};
	char *why;

	(void)state;
	tell_at(&t, 1, "failed", false, 0, "no");
	why = em_failure(&t, NULL);
	assert_string_equal(why, "none of its tasks was integrated: w1: no");
	free(why);
	tell(&t, 2, "integrated", false);
	assert_null(em_failure(&t, NULL));
	team_clear(&t);
}

static void
test_area_sent_back_needs_its_rework(void **state)
{
	struct team t = {0};
	struct err e;
	struct msg_child m = {.task = "25/em1/w2",
	    .key = "rework-1",
	    .ordinal = 2,
	    .title = "Rework",
	    .state = "failed",
	    .reason = "conflict markers were left"};
	char key[32], *why;

	(void)state;
	em_rework_key(key, 1);
	assert_string_equal(key, "rework-1");
	tell(&t, 1, "integrated", false);
	assert_int_equal(team_apply(&t, &m, &e), 0);
	why = em_failure(&t, key);
	assert_string_equal(why, "its rework did not come through: conflict markers were left");
	free(why);
	m.state = "integrated";
	assert_int_equal(team_apply(&t, &m, &e), 0);
	assert_null(em_failure(&t, key));
	team_clear(&t);
}

static void
test_run_ends(void **state)
{
	struct director_end end;
	struct team t = {0};

	(void)state;
	tell(&t, 1, "integrated", false);
	director_verdict(&t, false, true, &end);
	assert_false(end.failed);
	assert_true(end.keep);
	assert_null(end.reason);
	tell_at(&t, 2, "failed", false, 0, "broken");
	director_verdict(&t, false, true, &end);
	assert_false(end.failed);
	assert_string_equal(end.reason, "1 of 2 areas are missing: w2: broken");
	free(end.reason);
	director_verdict(&t, true, true, &end);
	assert_false(end.failed);
	assert_string_equal(end.reason, "cancelled with 1 of 2 areas merged");
	free(end.reason);
	tell(&t, 1, "failed", false);
	director_verdict(&t, false, false, &end);
	assert_true(end.failed);
	assert_false(end.keep);
	assert_non_null(strstr(end.reason, "no area was merged"));
	free(end.reason);
	team_clear(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_children_are_kept_by_ordinal_and_updated),
	    cmocka_unit_test(test_bad_child_changes_nothing),
	    cmocka_unit_test(test_oldest_submission_goes_first),
	    cmocka_unit_test(test_only_the_dead_are_cleaned),
	    cmocka_unit_test(test_cancelled_runs_integrate_nothing),
	    cmocka_unit_test(test_losses_are_named_and_bounded),
	    cmocka_unit_test(test_area_ends),
	    cmocka_unit_test(test_area_sent_back_needs_its_rework),
	    cmocka_unit_test(test_run_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
