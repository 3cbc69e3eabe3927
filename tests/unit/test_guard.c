/* guard: the files that a gate's command may mean. */
#include "tests/helper/lib/test.h"

#include "common/guard.h"
#include "common/json.h"

#include <stdlib.h>
#include <string.h>

static void
expect(const char *verify, const char *wanted)
{
	json_t *j = json_loads(verify, JSON_DECODE_ANY, NULL);
	char **list = guard_candidates(j), *text = json_from_strv((const char *const *)list);

	assert_string_equal(text, wanted);
	free(text);
	strv_free(list);
	json_decref(j);
}

static void
test_words_of_a_line(void **state)
{
	(void)state;
	expect("\"./check.sh\"", "[\"check.sh\"]");
	expect(
	    "\"cd src && sh ././ci/check.sh -v > log\"", "[\"cd\",\"src\",\"sh\",\"ci/check.sh\",\"log\"]");
	expect("\"sh -c 'a/b.sh; X=c.sh'\"", "[\"sh\",\"a/b.sh\",\"X\",\"c.sh\"]");
	/* What is outside, or more than one file, is nobody's to guard. */
	expect("\"/usr/bin/x ../y tests/ *.sh .git/z\"", "[]");
	expect("[\"python3\",\"t/run.py\",\"--all\"]", "[\"python3\",\"t/run.py\"]");
	expect("[\"sh\",\"-c\",\"t/run.py && t/run.py\"]", "[\"sh\",\"t/run.py\"]");
	expect("[]", "[]");
	expect("null", "[]");
}

static void
test_tools_that_read_a_file(void **state)
{
	(void)state;
	expect("\"make -s test\"", "[\"GNUmakefile\",\"makefile\",\"Makefile\",\"make\",\"test\"]");
	expect("\"npm test\"", "[\"package.json\",\"npm\",\"test\"]");
	expect("\"cmake x\"", "[\"cmake\",\"x\"]");
}

static void
test_it_is_bounded(void **state)
{
	char line[1000] = "\"";
	json_t *j;
	char **list;

	(void)state;
	for (size_t i = 0; i < 60; i++)
		snprintf(line + strlen(line), 16, "word%zu ", i);
	strcat(line, "\"");
	j = json_loads(line, JSON_DECODE_ANY, NULL);
	list = guard_candidates(j);
	assert_int_equal(strv_len((const char *const *)list), GUARD_MAX);
	strv_free(list);
	json_decref(j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_words_of_a_line),
	    cmocka_unit_test(test_tools_that_read_a_file),
	    cmocka_unit_test(test_it_is_bounded),
	};

	return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
