/* The file of a saved state: its header is somebody else's text, and names only what is its run's. */
#include "director/saved.h"

#include "common/alloc.h"
#include "tests/helper/lib/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OID "1111111111111111111111111111111111111111"

static void
refused(const char *issue, const char *text, const char *why)
{
	struct saved s;
	struct err e = {""};

	if (saved_parse(&s, "cco/", issue, text, strlen(text), &e) != -EINVAL || strstr(e.msg, why) == NULL)
		fail_msg("%s: \"%s\" does not say \"%s\"", text, e.msg, why);
}

static void
test_there_and_back(void **state)
{
	json_t *refs = json_pack("{s:s, s:s}", "refs/heads/cco/25-x", OID, "refs/orch/wip/25-2-em1-w1", OID);
	char *text = saved_text(
	    "25-2", true, refs, "{\"run\":{\"base\":\"" OID "\"}}\n{\"task\":{\"head\":\"" OID "\"}}\n");
	char *list, *name = saved_ref("25");
	struct saved s;
	struct err e = {""};

	(void)state;
	assert_string_equal(name, "refs/orch/state/25");
	if (saved_parse(&s, "cco/", "25", text, strlen(text), &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(s.run, "25-2");
	assert_true(json_equal(s.refs, refs));
	assert_int_equal(saved_commits(&s, &list, &e), 0);
	assert_string_equal(list, OID "\n" OID "\n");
	free(list);
	saved_clear(&s);
	refused("2", text, "not of a run of issue 2");
	refused("251", text, "not of a run of issue 251");
	free(text);
	free(name);
	json_decref(refs);
}

static void
test_what_is_none(void **state)
{
	static const char *const refs[] = {"\"refs/heads/main\":\"" OID "\"",
	    "\"refs/heads/cco/26-x\":\"" OID "\"", "\"refs/heads/cco/25-x\":\"HEAD\"",
	    "\"refs/heads/cco/25-x/../../main\":\"" OID "\"", "\"refs/orch/wip/26-em1\":\"" OID "\"",
	    "\"refs/heads/cco/25-a b\":\"" OID "\"", "\"refs/orch/wip/25-em1^{}\":\"" OID "\""};
	char *text, *list;
	struct saved s;
	struct err e = {""};

	(void)state;
	refused("25", "", "it is empty");
	refused("25", "{}", "it is empty");
	refused("25", "{}\n", "not of version 1");
	refused("25", "{\"orch_state\":2,\"run\":\"25\",\"refs\":{}}\n", "not of version 1");
	refused("25", "{\"orch_state\":1,\"run\":\"../25\",\"refs\":{}}\n", "not of a run");
	refused("25", "{\"orch_state\":1,\"run\":\"25\"}\n", "it has no refs");
	for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
		text = xasprintf("{\"orch_state\":1,\"run\":\"25\",\"refs\":{%s}}\n", refs[i]);
		refused("25", text, "a ref that is not of this run");
		free(text);
	}
	text = xstrdup("{\"orch_state\":1,\"run\":\"25\",\"refs\":{}}\n{\"run\":{\"base\":\"--all\"}}\n");
	assert_int_equal(saved_parse(&s, "cco/", "25", text, strlen(text), &e), 0);
	assert_int_equal(saved_commits(&s, &list, &e), -EINVAL);
	assert_null(list);
	saved_clear(&s);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_there_and_back),
	    cmocka_unit_test(test_what_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
