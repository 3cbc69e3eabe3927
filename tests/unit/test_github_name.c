/* github_name: which repository a remote's URL means, and where its API is. */
#include "director/github_name.h"

#include "tests/helper/lib/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct err e;

static void
assert_remote(const char *url, const char *host, const char *owner, const char *repo)
{
	struct github_name n;

	e.msg[0] = '\0';
	if (github_name_from_remote(&n, url, &e) < 0)
		fail_msg("%s: %s", url, e.msg);
	assert_string_equal(n.host, host);
	assert_string_equal(n.owner, owner);
	assert_string_equal(n.repo, repo);
	github_name_clear(&n);
}

static void
reads_every_form_of_a_remote(void **state)
{
	(void)state;
	assert_remote("https://github.com/octo/hello", "github.com", "octo", "hello");
	assert_remote("https://github.com/octo/hello.git", "github.com", "octo", "hello");
	assert_remote("https://github.com/octo/hello.git/", "github.com", "octo", "hello");
	assert_remote("https://GitHub.com/octo/hello.world.git", "github.com", "octo", "hello.world");
	assert_remote("https://user:ghp_secret@github.com/octo/hello", "github.com", "octo", "hello");
	assert_remote("git@github.com:octo/hello.git", "github.com", "octo", "hello");
	assert_remote("git@github.com:/octo/hello.git", "github.com", "octo", "hello");
	assert_remote("github.com:octo/hello", "github.com", "octo", "hello");
	assert_remote("ssh://git@github.com/octo/hello.git", "github.com", "octo", "hello");
	assert_remote("ssh://git@ssh.github.com:443/octo/hello.git", "github.com", "octo", "hello");
	assert_remote("git@ghe.corp.example:team/app.git", "ghe.corp.example", "team", "app");
	assert_remote("https://ghe.corp.example:8443/team/app", "ghe.corp.example:8443", "team", "app");
	assert_remote("ssh://git@ghe.corp.example:2222/team/app", "ghe.corp.example", "team", "app");
	assert_remote("git://github.com/octo/hello.git", "github.com", "octo", "hello");
}

static void
refuses_what_names_none(void **state)
{
	static const char *const urls[] = {"", "/srv/git/hello.git", "../hello", "file:///srv/octo/hello",
	    "https://github.com/hello", "https://github.com/", "https:///octo/hello",
	    "https://github.com/octo/he llo", "https://github.com/octo/..", "git@github.com:hello",
	    "https://gi thub.com/a/b", "./a:b/c"};
	struct github_name n;

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		if (github_name_from_remote(&n, urls[i], &e) != -EINVAL)
			fail_msg("%s was taken", urls[i]);
	assert_int_equal(github_name_from_remote(&n, "https://u:ghp_secret@h/x", &e), -EINVAL);
	assert_null(strstr(e.msg, "ghp_secret"));
}

static void
reads_names(void **state)
{
	struct github_name n;

	(void)state;
	assert_int_equal(github_name_from_parts(&n, "octo", "hello", &e), 0);
	assert_string_equal(n.owner, "octo");
	assert_null(n.host);
	github_name_clear(&n);
	assert_int_equal(github_name_from_parts(&n, NULL, "octo/hello", &e), 0);
	assert_string_equal(n.repo, "hello");
	github_name_clear(&n);
	assert_int_equal(github_name_from_parts(&n, "OCTO", "octo/hello", &e), 0);
	github_name_clear(&n);
	assert_int_equal(github_name_from_parts(&n, "cat", "octo/hello", &e), -EINVAL);
	assert_int_equal(github_name_from_parts(&n, NULL, "hello", &e), -EINVAL);
	assert_int_equal(github_name_from_parts(&n, "octo", NULL, &e), -EINVAL);
	assert_int_equal(github_name_from_parts(&n, "octo", "a/../b", &e), -EINVAL);
}

static void
assert_base(const char *api, const char *host, const char *expected, const char *graphql)
{
	char *base, *url;

	assert_int_equal(github_api_base(&base, api, host, &e), 0);
	assert_string_equal(base, expected);
	url = github_graphql_url(base);
	assert_string_equal(url, graphql);
	free(url);
	free(base);
}

static void
finds_the_api(void **state)
{
	char *base;

	(void)state;
	assert_base(NULL, NULL, "https://api.github.com", "https://api.github.com/graphql");
	assert_base("", "github.com", "https://api.github.com", "https://api.github.com/graphql");
	assert_base(NULL, "ghe.example", "https://ghe.example/api/v3", "https://ghe.example/api/graphql");
	assert_base("https://ghe.example/api/v3//", "github.com", "https://ghe.example/api/v3",
	    "https://ghe.example/api/graphql");
	assert_base("http://127.0.0.1:4001", NULL, "http://127.0.0.1:4001", "http://127.0.0.1:4001/graphql");
	assert_base("http://localhost:4001/", NULL, "http://localhost:4001", "http://localhost:4001/graphql");
	assert_int_equal(github_api_base(&base, "http://ghe.example/api/v3", NULL, &e), -EINVAL);
	assert_int_equal(github_api_base(&base, "http://localhost.evil.example/", NULL, &e), -EINVAL);
	assert_int_equal(github_api_base(&base, "https://u:p@ghe.example/api/v3", NULL, &e), -EINVAL);
	assert_int_equal(github_api_base(&base, "ftp://ghe.example/", NULL, &e), -EINVAL);
	assert_int_equal(github_api_base(&base, "https://", NULL, &e), -EINVAL);
	assert_int_equal(github_api_base(&base, "https://ghe.example/api?x=1", NULL, &e), -EINVAL);
}

static void
finds_where_git_pushes(void **state)
{
	const struct github_name n = {.owner = (char *)"octo", .repo = (char *)"hello"};
	static const char *const rows[][3] = {
	    {"https://api.github.com", NULL, "https://github.com/octo/hello.git"},
	    {"https://api.github.com", "https://github.com", "https://github.com/octo/hello.git"},
	    {"https://ghe.example/api/v3", NULL, "https://ghe.example/octo/hello.git"},
	    {"http://127.0.0.1:1", "http://127.0.0.1:2/git/", "http://127.0.0.1:2/git/octo/hello.git"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *url = github_git_url(&n, rows[i][0], rows[i][1]);

		assert_string_equal(url, rows[i][2]);
		free(url);
	}
}

/* A ref's slashes too: GitHub takes heads%2Fx for one element. */
static void
escapes_what_goes_into_a_path(void **state)
{
	char *s = github_escape("cco/25-a b#%\xc3\xa9");

	(void)state;
	assert_string_equal(s, "cco%2F25-a%20b%23%25%C3%A9");
	free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_every_form_of_a_remote),
	    cmocka_unit_test(refuses_what_names_none),
	    cmocka_unit_test(reads_names),
	    cmocka_unit_test(finds_the_api),
	    cmocka_unit_test(finds_where_git_pushes),
	    cmocka_unit_test(escapes_what_goes_into_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
