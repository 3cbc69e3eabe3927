/* taskid: which words name a task, and what follows from the name. */
#include "common/taskid.h"

#include "tests/helper/lib/test.h"

#include <stdlib.h>
#include <string.h>

static void
levels(void **state)
{
	static const struct {
		const char *id;
		int level;
	} cases[] = {{"25", 0}, {"25-2", 0}, {"m1", 0}, {"25/em1", 1}, {"25/em9999/w9999", 2}, {"", -1},
	    {"/em1", -1}, {"25/", -1}, {"25/em", -1}, {"25/em0", -1}, {"25/em01", -1}, {"25/em10000", -1},
	    {"25/em1/", -1}, {"25/em1/w", -1}, {"25/em1/w1/x", -1}, {"25/w1", -1}, {"../em1", -1}, {"A", -1},
	    {"25/em1 ", -1}, {"0123456789012345678901234567890123456789012345678901234567890123", 0},
	    {"01234567890123456789012345678901234567890123456789012345678901234", -1}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(taskid_level(cases[i].id), cases[i].level);
		assert_int_equal(taskid_valid(cases[i].id), cases[i].level >= 0);
	}
}

static void
branches_name_issues(void **state)
{
	(void)state;
	assert_int_equal(taskid_branch_issue("cco/25-build-it", "cco/"), 25);
	assert_int_equal(taskid_branch_issue("cco/25-2-build-it", "cco/"), 25);
	assert_int_equal(taskid_branch_issue("25-x", ""), 25);
	assert_int_equal(taskid_branch_issue("cco/25", "cco/"), 0);
	assert_int_equal(taskid_branch_issue("cco/m1-x", "cco/"), 0);
	assert_int_equal(taskid_branch_issue("cco/05-x", "cco/"), 0);
	assert_int_equal(taskid_branch_issue("main", "cco/"), 0);
	assert_int_equal(taskid_branch_issue("cco/1234567890123456789-x", "cco/"), 0);
}

static void
people_type_less(void **state)
{
	static const struct {
		const char *typed, *id; /* in run 25 */
	} cases[] = {{"25", "25"}, {"25/em1/w2", "25/em1/w2"}, {"em1/w2", "25/em1/w2"}, {"em3", "25/em3"},
	    {"1.2", "25/em1/w2"}, {"1", "25/em1"}, {"24/em1", "24/em1"}, {"0", NULL}, {"1.", NULL},
	    {"1.0", NULL}, {"1.2.3", NULL}, {"em", NULL}, {"x", NULL}, {"", NULL}, {"25/", NULL},
	    {"25/../x", NULL}, {"1/2", NULL}};
	char id[TASKID_MAX], endless[300];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool good = taskid_expand(id, "25", cases[i].typed);

		assert_int_equal(good, cases[i].id != NULL);
		if (good)
			assert_string_equal(id, cases[i].id);
	}
	memset(endless, '1', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	assert_false(taskid_expand(id, "25", endless));
	memcpy(endless, "em1/w", 5);
	assert_false(taskid_expand(id, "25", endless));
}

static void
assert_path(char *got, const char *want)
{
	assert_string_equal(got, want);
	free(got);
}

static void
paths_are_flat(void **state)
{
	char flat[TASKID_MAX];

	(void)state;
	taskid_flat(flat, "25/em1/w2");
	assert_string_equal(flat, "25-em1-w2");
	assert_path(taskid_worktree("/s", "25/em1/w2"), "/s/wt/25-em1-w2");
	assert_path(taskid_home("/s", "25/em1"), "/s/home/25-em1");
	assert_path(taskid_log("/l", "25"), "/l/25.log");
	assert_path(taskid_agent_log("/l", "25/em1"), "/l/25-em1.agent.jsonl");
	assert_path(taskid_wip_ref("25/em1/w2"), "refs/orch/wip/25-em1-w2");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(levels),
	    cmocka_unit_test(branches_name_issues),
	    cmocka_unit_test(people_type_less),
	    cmocka_unit_test(paths_are_flat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
