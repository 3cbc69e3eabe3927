/*
 * calculator: a whole run with the real CLI in every place: director, two EMs, seven workers, a task that is
 * sent back, merges and gates. The model is the fake API, which says what the demo's scripted agents would
 * do (tests/helper/lib/calculator.h).
 */
#include "tests/helper/lib/calculator.h"
#include "tests/helper/lib/realagent.h"
#include "tests/helper/lib/test.h"

#include <stdlib.h>

static void
test_calculator(void **state)
{
	struct e2e *e = *state;
	size_t agents;
	char *branch;

	setenv("ORCH_AGENT", real_program(), 1);
	setenv("ANTHROPIC_API_KEY", REAL_KEY, 1);
	setenv("ANTHROPIC_BASE_URL", getenv("ORCH_FAKEAPI_URL"), 1);
	agents = calculator_api_scripts();
	calculator_repository(e);
	e2e_begin(e, "--verify", CALCULATOR_GATE, NULL);
	if (e2e_end(e) != 0)
		fail_msg("orchctl run: exit %d\n%s%s", e->run.status, e->run.out, e->run.err);
	e2e_assert_state(e, "m1", "complete");
	assert_int_equal(e2e_count(e, NULL, "state", "rework"), 1);
	assert_int_equal(calculator_api_sessions(), agents);
	branch = e2e_branch(e, "m1");
	calculator_use(e, e->repo->top, branch);
	free(branch);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_calculator, e2e_setup, e2e_teardown),
	};

	(void)argc;
	real_enter(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
