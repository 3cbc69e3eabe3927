/* What a run's branch is called: whatever the issue's title is, git and GitHub take the name. */
#include "common/conf_check.h"
#include "director/director.h"

#include "common/alloc.h"
#include "tests/helper/lib/test.h"

#include <stdlib.h>
#include <string.h>

/* git-check-ref-format(1), rule by rule, for a name that begins with "refs/heads/". */
static void
assert_valid(const char *name)
{
	size_t n = strlen(name);

	assert_true(n > 0 && n <= 244); /* with -em64-w64.lock below NAME_MAX */
	assert_null(strstr(name, ".."));
	assert_null(strstr(name, "@{"));
	assert_null(strstr(name, "//"));
	assert_null(strstr(name, "/."));
	assert_null(strpbrk(name, " ~^:?*[\\\x7f"));
	for (size_t i = 0; i < n; i++)
		assert_in_range((unsigned char)name[i], 0x21, 0x7e);
	assert_true(name[0] != '-' && name[0] != '/' && name[0] != '.' && name[0] != '@');
	assert_true(name[n - 1] != '.' && name[n - 1] != '/' && name[n - 1] != '-');
	assert_true(n < 5 || strcmp(name + n - 5, ".lock") != 0);
}

static void
assert_name(const char *title, const char *want)
{
	char *name = director_branch_name("cco/", "25", title, 1);

	assert_string_equal(name, want);
	assert_valid(name);
	free(name);
}

static void
test_what_the_issue_promises(void **state)
{
	char *name;

	(void)state;
	assert_name("Build a functional calculator", "cco/25-build-a-functional-calculator");
	name = director_branch_name("cco/", "m1", "", 3);
	assert_string_equal(name, "cco/m1-run-3");
	free(name);
	name = director_branch_name("bots/orch-", "25-2", "Fix it", 2);
	assert_string_equal(name, "bots/orch-25-2-fix-it-2");
	free(name);
}

static void
test_nasty_titles(void **state)
{
	char *many = xcalloc(1, 1201), *name;

	(void)state;
	assert_name(
	    "\xf0\x9f\x9a\x80\xf0\x9f\x94\xa5\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb", "cco/25-run");
	assert_name("\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d \xd7\xa2\xd7\x95\xd7\x9c\xd7\x9d", "cco/25-run");
	assert_name("\xe2\x80\xae"
		    "evil \xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7 order\xe2\x80\xac",
	    "cco/25-evil-order");
	assert_name("Cafe\xcc\x81 Z\xcc\xa1\xcd\x9c\xcc\x95"
		    "algo",
	    "cco/25-cafe-z-algo");
	assert_name("..", "cco/25-run");
	assert_name("a..b", "cco/25-a-b");
	assert_name("yarn.lock", "cco/25-yarn-lock");
	assert_name(".lock", "cco/25-lock");
	assert_name("HEAD@{1}", "cco/25-head-1");
	assert_name("@", "cco/25-run");
	assert_name("--force", "cco/25-force");
	assert_name("-", "cco/25-run");
	assert_name("refs/heads/main", "cco/25-refs-heads-main");
	assert_name("a\\b:c?d*e[f~g^h", "cco/25-a-b-c-d-e-f-g-h");
	assert_name("\x01\x1f\x7f\tx", "cco/25-x");
	assert_name("\xff\xfe"
		    "broken \xc3",
	    "cco/25-broken");
	memset(many, 'a', 300);
	name = director_branch_name("cco/", "25", many, 999);
	assert_valid(name);
	free(name);
	for (size_t i = 0; i < 300; i++)
		memcpy(many + 4 * i, "\xf0\x9f\x9a\x80", 4);
	assert_name(many, "cco/25-run");
	free(many);
}

static void
test_prefixes(void **state)
{
	static const char *const good[] = {"cco/", "bots/orch/", "orch-", "Team_1/x.y/", "cco", NULL};
	static const char *const bad[] = {"/cco/", "-cco/", ".cco/", "cco//", "a..b/", "a/.b/", "a./b",
	    "x.lock/", "a b/", "a~/", "@{/", "refs/heads/", "\xc3\xa9/", "a\\b", "HEAD:", NULL};
	char *longest = xcalloc(1, 102);
	struct err e = {""};

	(void)state;
	for (size_t i = 0; good[i] != NULL; i++)
		assert_int_equal(conf_check_branch_prefix("x", good[i], &e), 0);
	for (size_t i = 0; bad[i] != NULL; i++)
		if (conf_check_branch_prefix("--branch-prefix", bad[i], &e) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
	assert_ptr_equal(strstr(e.msg, "--branch-prefix must begin the name of a branch"), e.msg);
	memset(longest, 'a', 100);
	assert_int_equal(conf_check_branch_prefix("x", longest, &e), 0);
	longest[100] = 'a';
	assert_true(conf_check_branch_prefix("x", longest, &e) < 0);
	free(longest);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_the_issue_promises),
	    cmocka_unit_test(test_nasty_titles),
	    cmocka_unit_test(test_prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
