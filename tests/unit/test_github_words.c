/* github_words and github_cache: Link headers, sentences, and what is kept of answers. */
#include "director/github_words.h"

#include "director/github_cache.h"
#include "tests/helper/lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct err e;

static void
assert_next(const char *header, const char *expected)
{
	char *next = github_link_next(header);

	if (expected == NULL)
		assert_null(next);
	else
		assert_string_equal(next, expected);
	free(next);
}

static void
finds_the_next_page(void **state)
{
	(void)state;
	assert_next("<https://api.x/r?page=2>; rel=\"next\", <https://api.x/r?page=9>; rel=\"last\"",
	    "https://api.x/r?page=2");
	assert_next(
	    "<https://api.x/r?page=1>; rel=\"prev\", <https://api.x/r?after=Y%3D%3D&page=3>; rel=\"next\"",
	    "https://api.x/r?after=Y%3D%3D&page=3");
	assert_next("<https://api.x/a,b;c?page=2>; title=\"x\"; rel=next", "https://api.x/a,b;c?page=2");
	assert_next("<https://api.x/r?page=1>; rel=\"first\"", NULL);
	assert_next("<https://api.x/r?page=1", NULL);
	assert_next("", NULL);
	assert_next(NULL, NULL);
}

static int
explain(enum github_kind kind, int status, const char *body, const char *accepted)
{
	json_t *j = body == NULL ? NULL : json_loads(body, 0, NULL);
	int rc = github_explain(&e, kind, status, "comment on issue 25", j, accepted, 90000);

	json_decref(j);
	return rc;
}

static void
says_what_is_missing(void **state)
{
	(void)state;
	assert_int_equal(
	    explain(GITHUB_FORBIDDEN, 403, "{\"message\":\"Resource not accessible by integration\"}",
		"issues=write; pull_requests=write"),
	    -EPERM);
	assert_string_equal(e.msg, "GitHub forbids to comment on issue 25: 403 Resource not accessible by "
				   "integration (the token needs issues=write or pull_requests=write)");
	assert_int_equal(
	    explain(GITHUB_NOT_FOUND, 404, "{\"message\":\"Not Found\"}", "issues=read"), -ENOENT);
	assert_non_null(strstr(e.msg, "may not see it (the token needs issues=read)"));
	assert_int_equal(
	    explain(GITHUB_UNAUTHORIZED, 401, "{\"message\":\"Bad credentials\"}", NULL), -EACCES);
	assert_non_null(strstr(e.msg, "GITHUB_TOKEN"));
	assert_int_equal(explain(GITHUB_LIMITED, 403, NULL, NULL), -EAGAIN);
	assert_non_null(strstr(e.msg, "for another 1m 30s"));
	assert_int_equal(
	    explain(GITHUB_CONFLICT, 409, "{\"message\":\"Head branch was modified\"}", NULL), -ESTALE);
	assert_int_equal(explain(GITHUB_NOT_ALLOWED, 405, "{}", NULL), -ENOTSUP);
	assert_int_equal(explain(GITHUB_LOST, 0, NULL, NULL), -EINPROGRESS);
	assert_int_equal(explain(GITHUB_STRANGE, 200, NULL, NULL), -EPROTO);
	assert_int_equal(explain(GITHUB_BROKEN, 502, "{\"message\":\"Server Error\"}", NULL), -EIO);
}

static void
reads_what_a_422_says(void **state)
{
	static const char pulls[] =
	    "{\"message\":\"Validation Failed\",\"errors\":[{\"resource\":\"PullRequest\","
	    "\"code\":\"custom\",\"message\":\"A pull request already exists for o:b.\"}]}";
	static const char label[] = "{\"message\":\"Validation Failed\",\"errors\":[{\"resource\":\"Label\","
				    "\"code\":\"already_exists\",\"field\":\"name\"}]}";
	json_t *a = json_loads(pulls, 0, NULL), *b = json_loads(label, 0, NULL);

	(void)state;
	assert_true(github_errors_say(a, "already exists"));
	assert_true(github_errors_say(b, "already_exists"));
	assert_false(github_errors_say(b, "already exists"));
	assert_false(github_errors_say(NULL, "x"));
	assert_int_equal(explain(GITHUB_INVALID, 422, label, NULL), -EINVAL);
	assert_string_equal(
	    e.msg, "GitHub refuses to comment on issue 25: 422 Validation Failed: name already_exists");
	json_decref(a);
	json_decref(b);
}

/* What a server says is data: no control characters, and no end. */
static void
bounds_what_it_quotes(void **state)
{
	char body[8192];

	(void)state;
	snprintf(body, sizeof(body), "{\"message\":\"a\\u001b[31m\\n%04000d\"}", 7);
	assert_int_equal(explain(GITHUB_INVALID, 422, body, NULL), -EINVAL);
	assert_true(strlen(e.msg) < 500);
	assert_null(strchr(e.msg, '\033'));
	assert_null(strchr(e.msg, '\n'));
	assert_int_equal(explain(GITHUB_INVALID, 422, "{\"message\":7,\"errors\":\"no\"}", NULL), -EINVAL);
	assert_int_equal(explain(GITHUB_INVALID, 422, "[1]", NULL), -EINVAL);
}

static void
keeps_the_newest_answers(void **state)
{
	struct github_cache c;
	char *big = calloc(1, GITHUB_CACHE_BYTES / 4 + 1), url[32];

	(void)state;
	github_cache_init(&c);
	assert_null(github_cache_find(&c, "u"));
	github_cache_put(&c, "u", "\"1\"", NULL, "old", 3);
	github_cache_put(&c, "u", "\"2\"", "<n>; rel=next", "new!", 4);
	assert_string_equal(github_cache_find(&c, "u")->body, "new!");
	assert_string_equal(github_cache_find(&c, "u")->etag, "\"2\"");
	assert_int_equal(c.size, 4);
	memset(big, 'x', GITHUB_CACHE_BYTES / 4);
	for (unsigned i = 0; i < 4; i++) {
		snprintf(url, sizeof(url), "u%u", i);
		github_cache_put(&c, url, "\"e\"", NULL, big, GITHUB_CACHE_BYTES / 4);
	}
	assert_null(github_cache_find(&c, "u"));
	assert_non_null(github_cache_find(&c, "u0"));
	github_cache_put(&c, "u0", NULL, NULL, "x", 1); /* no ETag: what is known is no longer true */
	assert_null(github_cache_find(&c, "u0"));
	github_cache_put(&c, "huge", "\"e\"", NULL, big, GITHUB_CACHE_BYTES / 4 + 1);
	assert_null(github_cache_find(&c, "huge"));
	github_cache_clear(&c);
	free(big);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finds_the_next_page),
	    cmocka_unit_test(says_what_is_missing),
	    cmocka_unit_test(reads_what_a_422_says),
	    cmocka_unit_test(bounds_what_it_quotes),
	    cmocka_unit_test(keeps_the_newest_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
