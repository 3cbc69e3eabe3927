/*
 * The whole road (tests/helper/lib/road.h), from a label on an issue to a merged pull request, with the real
 * CLI in every place: the model is the fake API, which says what the demo's scripted agents would do. The
 * payloads hold what is read of GitHub's; the documented ones are taken by tests/github/test_road.c.
 */
#include "tests/helper/lib/calculator.h"
#include "tests/helper/lib/githubrun.h"
#include "tests/helper/lib/realagent.h"
#include "tests/helper/lib/road.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>

#define AUTHOR "{\"login\":\"Codertocat\",\"type\":\"User\"}"
#define LABELED                                                                                              \
	"{\"action\":\"labeled\",\"label\":{},\"repository\":{},\"sender\":" AUTHOR                          \
	",\"issue\":{\"user\":" AUTHOR ",\"author_association\":\"OWNER\"}}"
#define CLOSED                                                                                               \
	"{\"action\":\"closed\",\"pull_request\":{\"head\":{}},\"repository\":{},\"sender\":" AUTHOR "}"

static json_t *
payload(const char *text)
{
	json_t *ev = json_loads(text, 0, NULL);

	assert_non_null(ev);
	return ev;
}

static void
test_from_label_to_merged(void **state)
{
	struct e2e *e = *state;
	size_t agents = calculator_api_scripts();

	setenv("ORCH_AGENT", real_program(), 1);
	setenv("ANTHROPIC_API_KEY", REAL_KEY, 1);
	setenv("ANTHROPIC_BASE_URL", getenv("ORCH_FAKEAPI_URL"), 1);
	road_walk(e, payload(LABELED), payload(CLOSED));
	assert_int_equal(calculator_api_sessions(), agents);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_from_label_to_merged, githubrun_setup, road_teardown),
	};

	(void)argc;
	if (system("test -x \"$(git --exec-path)/git-http-backend\"") != 0) {
		puts("skipped: git http-backend is not installed");
		return 77;
	}
	real_enter(argv);
	return cmocka_run_group_tests_name("test_road", tests, NULL, NULL);
}
