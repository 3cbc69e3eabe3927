/* perms: everyone talks with orchd and with nobody else, each only what its part in the work needs. */
#include "proto/perms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const enum proto_who everyone[] = {
    WHO_ORCHD,
    WHO_DIRECTOR,
    WHO_EM,
    WHO_WORKER,
    WHO_GATEWAY,
    WHO_CTL,
};
#define COUNT (sizeof(everyone) / sizeof(everyone[0]))

static void
names_go_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(perms_who_parse(perms_who_name(everyone[i])), everyone[i]);
	assert_int_equal(perms_who_parse("root"), 0);
	assert_int_equal(perms_who_parse(""), 0);
}

static void
some_rows(void **state)
{
	(void)state;
	assert_true(perms_allowed(MSG_TASK_ADD, WHO_EM, WHO_ORCHD));
	assert_false(perms_allowed(MSG_TASK_ADD, WHO_WORKER, WHO_ORCHD));
	assert_false(perms_allowed(MSG_TASK_ADD, WHO_CTL, WHO_ORCHD));
	assert_false(perms_allowed(MSG_TASK_ADD, WHO_EM, WHO_DIRECTOR));
	assert_true(perms_allowed(MSG_ASSIGN, WHO_ORCHD, WHO_WORKER));
	assert_false(perms_allowed(MSG_ASSIGN, WHO_CTL, WHO_WORKER));
	assert_false(perms_allowed(MSG_ASSIGN, WHO_ORCHD, WHO_CTL));
	assert_true(perms_allowed(MSG_SHUTDOWN, WHO_CTL, WHO_ORCHD));
	assert_false(perms_allowed(MSG_SHUTDOWN, WHO_WORKER, WHO_ORCHD));
	assert_true(perms_allowed(MSG_FINISH, WHO_DIRECTOR, WHO_ORCHD));
	assert_false(perms_allowed(MSG_FINISH, WHO_EM, WHO_ORCHD));
}

static void
unknown_is_refused(void **state)
{
	(void)state;
	for (size_t from = 0; from < COUNT; from++)
		for (size_t to = 0; to < COUNT; to++) {
			assert_false(perms_allowed(0, everyone[from], everyone[to]));
			assert_false(perms_allowed(65535, everyone[from], everyone[to]));
		}
	assert_false(perms_allowed(MSG_HELLO, 0, WHO_ORCHD));
}

/* Beyond the link's own messages, one of the two ends is always orchd. */
static void
no_message_goes_past_orchd(void **state)
{
	(void)state;
	for (unsigned id = MSG_ASSIGN; id < 100; id++)
		for (size_t from = 0; from < COUNT; from++)
			for (size_t to = 0; to < COUNT; to++)
				if (everyone[from] != WHO_ORCHD && everyone[to] != WHO_ORCHD)
					assert_false(perms_allowed(id, everyone[from], everyone[to]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_go_both_ways),
	    cmocka_unit_test(some_rows),
	    cmocka_unit_test(unknown_is_refused),
	    cmocka_unit_test(no_message_goes_past_orchd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
