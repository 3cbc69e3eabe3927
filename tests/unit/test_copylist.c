/* The lines of .worktreeinclude. */
#include "supervisor/ctl/copylist.h"

#include "common/json.h"
#include "tests/helper/lib/test.h"

#include <stdlib.h>
#include <string.h>

static void
assert_list(const char *text, const char *want)
{
	json_t *list = copylist_parse(text);
	char *got;

	assert_non_null(list);
	got = json_text(list);
	assert_string_equal(got, want);
	free(got);
	json_decref(list);
}

static void
test_lines(void **state)
{
	(void)state;
	assert_list("", "[]");
	assert_list("# all\n\n.env\n", "[\".env\"]");
	assert_list(".env  \r\n!.env.x", "[\".env\",\"!.env.x\"]");
	assert_list("odd\\ \n   \n", "[\"odd\\\\ \"]");
	assert_null(copylist_parse("\xff\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines)};

	return cmocka_run_group_tests_name("copylist", tests, NULL, NULL);
}
