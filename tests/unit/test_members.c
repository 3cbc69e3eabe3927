/* members: what is found at an object's top level, in pieces of any size, and what never is. */
#include "supervisor/gateway/members.h"

#include "common/alloc.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"model", "usage", NULL};

struct found {
	char text[1024];
};

static void
on_member(void *arg, size_t which, uint64_t offset, const char *value, size_t size)
{
	struct found *f = arg;
	size_t n = strlen(f->text);

	snprintf(
	    f->text + n, sizeof(f->text) - n, "%s@%d=%.*s|", names[which], (int)offset, (int)size, value);
}

static void
check(const char *text, const char *expected, bool done)
{
	static const size_t steps[] = {SIZE_MAX, 1, 2, 3, 7};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct found f = {""};
		struct members m;
		size_t left = strlen(text);

		members_init(&m, names, on_member, &f);
		for (const char *at = text; left > 0;) {
			size_t n = steps[i] < left ? steps[i] : left;

			members_feed(&m, at, n);
			at += n;
			left -= n;
		}
		assert_string_equal(f.text, expected);
		assert_int_equal(members_done(&m), done);
		members_clear(&m);
	}
}

static void
test_finds_top_level(void **state)
{
	(void)state;
	check("{\"model\":\"a\"}", "model@9=\"a\"|", true);
	check(" { \"x\" : [1, {\"model\": 2}] , \"usage\" : {\"a\":[1,\"}\"]} }",
	    "usage@39={\"a\":[1,\"}\"]}|", true);
	check("{\"usage\":null,\"model\": 12 \n}", "usage@9=null|model@23=12|", true);
	check("{\"model\":\"a\",\"model\":\"b\"}", "model@9=\"a\"|model@21=\"b\"|", true);
	check("{}", "", true);
}

/* What is said within a text, deeper down or by a longer name is not the body's own. */
static void
test_is_not_fooled(void **state)
{
	(void)state;
	check(
	    "{\"text\":\"\\\",\\\"model\\\":\\\"evil\\\"\",\"model\":\"good\"}", "model@40=\"good\"|", true);
	check("{\"a\":{\"model\":\"deep\"},\"b\":[{\"model\":1}]}", "", true);
	check("{\"models\":1,\"mode\":2,\"a-name-that-is-much-longer-than-any-wanted-name-model\":3}", "",
	    true);
	check("{\"x\":\"ends in a backslash\\\\\",\"model\":1}", "model@37=1|", true);
	check("[{\"model\":1}]", "", true);
	check("<html>\"model\":1", "", true);
	check("{\"model\":\"cut", "", false);
	check("{\"model\":}", "", true);
	check("", "", false);
}

/* Escapes and ends at every place around where it stops looking ahead. */
static void
test_long_texts(void **state)
{
	char text[1200], expected[64];

	(void)state;
	for (int pad = 240; pad < 530; pad++) {
		int n = snprintf(text, sizeof(text), "{\"x\":\"");

		memset(text + n, 'x', (size_t)pad);
		n += pad;
		n += snprintf(text + n, sizeof(text) - (size_t)n,
		    "\\\\\\\",\\\"model\\\":7\\n%0300d\\\\\",\"model\":", 0);
		snprintf(expected, sizeof(expected), "model@%d=1|", n);
		snprintf(text + n, sizeof(text) - (size_t)n, "1}");
		check(text, expected, true);
	}
}

static void
test_passes_over_what_is_too_long(void **state)
{
	size_t size = MEMBERS_VALUE_MAX + 100;
	char *text = xmalloc(size + 64);
	struct found f = {""};
	struct members m;
	int n;

	(void)state;
	n = snprintf(text, 64, "{\"usage\":\"");
	memset(text + n, 'x', size);
	strcpy(text + n + size, "\",\"model\":1}");
	members_init(&m, names, on_member, &f);
	members_feed(&m, text, strlen(text));
	assert_non_null(strstr(f.text, "model@"));
	assert_null(strstr(f.text, "usage@"));
	assert_int_equal(m.too_long, 1);
	assert_true(members_done(&m));
	assert_true(m.room <= MEMBERS_VALUE_MAX);
	members_clear(&m);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_finds_top_level),
	    cmocka_unit_test(test_is_not_fooled),
	    cmocka_unit_test(test_long_texts),
	    cmocka_unit_test(test_passes_over_what_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
