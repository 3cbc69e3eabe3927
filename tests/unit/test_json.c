/* json: strict parsing with a place for the fault, and lists of strings. */
#include "common/json.h"

#include "common/alloc.h"
#include "tests/helper/lib/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
assert_refused(const char *text, size_t size, const char *begin)
{
	struct err e = {""};

	assert_null(json_parse("plan", text, size, &e));
	if (strncmp(e.msg, begin, strlen(begin)) != 0)
		fail_msg("\"%s\" does not begin with \"%s\"", e.msg, begin);
}

static void
faults_have_a_place(void **state)
{
	(void)state;
	assert_refused("{\n  \"a\": 1,\n}\n", 14, "plan: line 3, column 1: ");
	assert_refused("", 0, "plan: line 1, column 0: ");
	assert_refused("{\"a\": 1, \"a\": 2}", 16, "plan: line 1, column 12: duplicate object key");
	assert_refused("[\"\\u0000\"]", 10, "plan: line 1, column ");
	assert_refused("[\"\0\"]", 5, "plan: line 1, column ");
	assert_refused("[\"\xff\"]", 5, "plan: line 1, column ");
	assert_refused("[1] x", 5, "plan: line 1, column 5: end of file expected");
	assert_refused("[99999999999999999999]", 22, "plan: line 1, column ");
}

static void
assert_parses(const char *text)
{
	struct err e = {""};
	json_t *j = json_parse("plan", text, strlen(text), &e);

	assert_string_equal(e.msg, "");
	assert_non_null(j);
	json_decref(j);
}

static void
depth_is_bounded(void **state)
{
	char text[131] = {0}, quoted[81];

	(void)state;
	memset(text, '[', 65);
	memset(text + 65, ']', 65);
	assert_refused(text, 130, "plan: line 1, column 65: nested deeper than 64 levels");
	text[129] = '\0';
	assert_parses(text + 1);
	/* Brackets in strings are no depth, and an escaped quote ends no string. Breadth is no depth either.
	 */
	memset(quoted, '[', sizeof(quoted));
	memcpy(quoted, "[\"\\\"", 4);
	memcpy(quoted + 78, "\"]", 3);
	assert_parses(quoted);
	assert_parses("[[],[],{},[]]");
}

static void
str_gives_only_strings(void **state)
{
	json_t *j = json_parse("x", "{\"a\": \"b\", \"n\": 1}", 18, NULL);

	(void)state;
	assert_string_equal(json_str(j, "a"), "b");
	assert_null(json_str(j, "n"));
	assert_null(json_str(j, "none"));
	assert_null(json_str(NULL, "a"));
	json_decref(j);
}

static void
lists_go_there_and_back(void **state)
{
	static const char *const list[] = {"a b", "", "\"\\\n", "\u20ac", NULL};
	static const char *const broken[] = {"a\xff", NULL};
	struct err e = {""};
	char *text = json_from_strv(list), **v;

	(void)state;
	assert_int_equal(json_to_strv(text, &v, &e), 0);
	assert_int_equal(strv_len((const char *const *)v), 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(v[i], list[i]);
	strv_free(v);
	free(text);

	text = json_from_strv(NULL);
	assert_string_equal(text, "[]");
	free(text);
	text = json_from_strv(broken);
	assert_string_equal(text, "[\"a\ufffd\"]");
	free(text);

	assert_int_equal(json_to_strv(NULL, &v, &e), 0);
	assert_null(v[0]);
	strv_free(v);
	assert_int_equal(json_to_strv("[1]", &v, &e), -EINVAL);
	assert_string_equal(e.msg, "list: must be an array of strings");
	assert_int_equal(json_to_strv("{}", &v, &e), -EINVAL);
	assert_int_equal(json_to_strv("[", &v, &e), -EINVAL);
	strv_free(NULL);
	assert_int_equal(strv_len(NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(faults_have_a_place),
	    cmocka_unit_test(depth_is_bounded),
	    cmocka_unit_test(str_gives_only_strings),
	    cmocka_unit_test(lists_go_there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
