/* github: the client against a server that answers byte by byte as it is told: lost answers, limits, pages,
 * ETags, refusals. What a real API makes of its requests is tests/github's. */
#include "director/github_api.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "tests/helper/lib/rawhttp.h"
#include "tests/helper/lib/test.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON(status, headers, body)                                                                          \
	"HTTP/1.1 " status " X\r\nContent-Type: application/json\r\n" headers, body
#define ME "{\"login\":\"octo\",\"id\":7,\"type\":\"User\"}"
#define MARK "<!-- mark -->"
#define COMMENT(id, who, text)                                                                               \
	"{\"id\":" #id ",\"body\":\"" text "\",\"user\":{\"login\":\"u\",\"id\":" #who ",\"type\":\"User\"}" \
										       "}"
#define PULL(n, repo, base)                                                                                  \
	"{\"number\":" #n ",\"state\":\"open\",\"title\":\"t\",\"head\":{\"ref\":\"cco/25\",\"sha\":\"aa\"," \
	"\"repo\":{\"full_name\":\"" repo "\"}},\"base\":{\"ref\":\"" base "\",\"sha\":\"bb\"},"             \
	"\"mergeable\":null,\"merged_at\":null}"

static struct loop loop;
static struct raw_server up;
static struct github *gh;
static struct err e;
static char *texts[RAW_ANSWERS_MAX];
static size_t text_count;

static int
set_up(void **state)
{
	char base[64];
	struct github_options o = {.base = base, .owner = "octo", .repo = "hello", .token = "sk-test-dummy"};

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	raw_serve(&up, loop.base);
	snprintf(base, sizeof(base), "http://127.0.0.1:%u", up.port);
	o.patience_ms = 3000;
	assert_int_equal(github_open(&gh, &loop, &o, &e), 0);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	github_close(gh);
	raw_server_clear(&up);
	loop_clear(&loop);
	while (text_count > 0)
		free(texts[--text_count]);
	return 0;
}

static void
answer(const char *head, const char *body)
{
	texts[text_count] = xasprintf("%sContent-Length: %zu\r\n\r\n%s", head, strlen(body), body);
	raw_answer(&up, texts[text_count++], RAW_KEEP);
}

/* How often a text is in the requests. */
static unsigned
seen(const char *text)
{
	unsigned n = 0;

	for (const char *p = up.seen; p != NULL && (p = strstr(p, text)) != NULL; p++)
		n++;
	return n;
}

static void
reads_an_issue(void **state)
{
	struct github_issue i;

	(void)state;
	answer(JSON("200", "",
	    "{\"number\":25,\"title\":\"T\",\"body\":null,\"state\":\"open\",\"user\":null,"
	    "\"author_association\":\"NONE\"}"));
	assert_int_equal(github_issue_get(gh, 25, &i, &e), 0);
	assert_string_equal(i.title, "T");
	assert_string_equal(i.body, "");
	assert_string_equal(i.author.login, "");
	assert_false(i.is_pull);
	github_issue_clear(&i);
	assert_int_equal(seen("GET /repos/octo/hello/issues/25 HTTP/1.1\r\n"), 1);
	assert_int_equal(seen("Authorization: Bearer sk-test-dummy\r\n"), 1);
	assert_int_equal(seen("X-GitHub-Api-Version: 2022-11-28\r\n"), 1);
	assert_int_equal(seen("Accept: application/vnd.github+json\r\n"), 1);
	answer(JSON("404", "X-Accepted-GitHub-Permissions: issues=read\r\n", "{\"message\":\"Not Found\"}"));
	assert_int_equal(github_issue_get(gh, 26, &i, &e), -ENOENT);
	assert_int_equal(github_kind(gh), GITHUB_NOT_FOUND);
	assert_non_null(strstr(e.msg, "issues=read"));
	answer(JSON("200", "", "<html>proxy</html>"));
	assert_int_equal(github_issue_get(gh, 27, &i, &e), -EPROTO);
	answer(JSON("200", "", "[]"));
	assert_int_equal(github_issue_get(gh, 28, &i, &e), -EPROTO);
}

static int
count_up(void *arg, const struct github_comment *c, struct err *err)
{
	(void)c;
	(void)err;
	++*(unsigned *)arg;
	return 0;
}

static void
follows_pages_and_asks_only_for_what_changed(void **state)
{
	unsigned n = 0;
	char *link =
	    xasprintf("ETag: \"p1\"\r\nLink: <http://127.0.0.1:%u/x?page=2>; rel=\"next\"\r\n", up.port);
	char *head = xasprintf("HTTP/1.1 200 X\r\n%s", link), *not = xasprintf("HTTP/1.1 304 X\r\n%s", link);

	(void)state;
	answer(head, "[" COMMENT(1, 7, "a") "," COMMENT(2, 7, "b") "]");
	answer(JSON("200", "", "[" COMMENT(3, 7, "c") "]"));
	assert_int_equal(github_comments_each(gh, 25, count_up, &n, &e), 0);
	assert_int_equal(n, 3);
	assert_int_equal(seen("GET /x?page=2 HTTP"), 1);
	answer(not, "");
	answer(JSON("200", "", "[" COMMENT(3, 7, "c") "," COMMENT(4, 7, "d") "]"));
	assert_int_equal(github_comments_each(gh, 25, count_up, &n, &e), 0);
	assert_int_equal(n, 7);
	assert_int_equal(seen("If-None-Match: \"p1\"\r\n"), 1);
	assert_int_equal(github_stats(gh)->not_modified, 1);
	free(head);
	free(not );
	free(link);
}

/* A page elsewhere would take the token there. */
static void
follows_no_page_to_another_server(void **state)
{
	unsigned n = 0;

	(void)state;
	answer("HTTP/1.1 200 X\r\nLink: <http://127.0.0.1:1/x?page=2>; rel=\"next\"\r\n", "[]");
	assert_int_equal(github_comments_each(gh, 25, count_up, &n, &e), -EPROTO);
	assert_non_null(strstr(e.msg, "another server"));
}

/* The POST was made and its answer was lost: a second one would be a second comment. */
static void
looks_again_after_a_lost_answer(void **state)
{
	uint64_t id = 0;

	(void)state;
	answer(JSON("200", "", ME));
	answer(JSON("200", "", "[]"));
	raw_answer(&up, NULL, RAW_RESET);
	answer(JSON("200", "", "[" COMMENT(9, 7, MARK " hello") "]"));
	assert_int_equal(github_comment_put(gh, 25, MARK, MARK " hello", &id, &e), 0);
	assert_int_equal(id, 9);
	assert_int_equal(seen("POST "), 1);
	assert_int_equal(seen("PATCH "), 0);
}

static void
keeps_one_comment_of_many(void **state)
{
	uint64_t id = 0;

	(void)state;
	answer(JSON("200", "", ME));
	answer(JSON("200", "",
	    "[" COMMENT(4, 8, MARK " of somebody else") "," COMMENT(6, 7, MARK " second") "," COMMENT(
		5, 7, MARK " first") "," COMMENT(7, 7, "no mark") "]"));
	answer(JSON("204", "", ""));
	answer(JSON("200", "", COMMENT(5, 7, "x")));
	assert_int_equal(github_comment_put(gh, 25, MARK, MARK " now", &id, &e), 0);
	assert_int_equal(id, 5);
	assert_int_equal(seen("DELETE /repos/octo/hello/issues/comments/6 "), 1);
	assert_int_equal(seen("PATCH /repos/octo/hello/issues/comments/5 "), 1);
	/* By its id it is one request; when it is gone it is made anew. */
	answer(JSON("404", "", "{\"message\":\"Not Found\"}"));
	answer(JSON("200", "", "[]"));
	answer(JSON("201", "", COMMENT(11, 7, "x")));
	assert_int_equal(github_comment_put(gh, 25, MARK, MARK " later", &id, &e), 0);
	assert_int_equal(id, 11);
	assert_int_equal(github_stats(gh)->comments, 2);
}

/* GITHUB_TOKEN in Actions may not ask /user. */
static void
asks_graphql_who_it_is(void **state)
{
	struct github_user me, bot = {.login = "github-actions[bot]", .id = 41898282, .bot = true};
	struct github_user other = {.login = "dependabot[bot]", .bot = true}, person = {.login = "octo"};

	(void)state;
	answer(JSON("403", "", "{\"message\":\"Resource not accessible by integration\"}"));
	answer(JSON("200", "", "{\"data\":{\"viewer\":{\"login\":\"github-actions[bot]\"}}}"));
	assert_int_equal(github_whoami(gh, &me, &e), 0);
	assert_string_equal(me.login, "github-actions[bot]");
	assert_true(me.bot);
	assert_true(github_is_me(&me, &bot));
	assert_false(github_is_me(&me, &other));
	assert_false(github_is_me(&me, &person));
	assert_int_equal(github_whoami(gh, &me, &e), 0);
	assert_int_equal(up.requests, 2);
}

static void
does_without_knowing_who_it_is(void **state)
{
	struct github_user me, bot = {.login = "x[bot]", .bot = true}, person = {.login = "octo"};

	(void)state;
	answer(JSON("403", "", "{\"message\":\"Resource not accessible by integration\"}"));
	answer(JSON("404", "", "{\"message\":\"Not Found\"}"));
	assert_int_equal(github_whoami(gh, &me, &e), 0);
	assert_true(github_is_me(&me, &bot));
	assert_false(github_is_me(&me, &person));
}

static void
adopts_a_pull_request(void **state)
{
	struct github_pull p;
	bool made;

	(void)state;
	answer(JSON("200", "", "[" PULL(3, "fork/hello", "main") "," PULL(4, "octo/hello", "dev") "]"));
	answer(JSON("422", "",
	    "{\"message\":\"Validation Failed\",\"errors\":[{\"message\":\"A pull request already "
	    "exists for octo:cco/25.\"}]}"));
	answer(JSON("200", "", "[" PULL(5, "octo/hello", "main") "]"));
	answer(JSON("200", "", PULL(5, "octo/hello", "main")));
	assert_int_equal(github_pull_open(gh, "cco/25", "main", "T", "B", false, &p, &made, &e), 0);
	assert_false(made);
	assert_int_equal(p.number, 5);
	assert_int_equal(p.mergeable, -1);
	github_pull_clear(&p);
	assert_int_equal(seen("head=octo%3Acco%2F25&base=main"), 2);
}

static void
merges_what_it_saw(void **state)
{
	(void)state;
	answer(
	    JSON("405", "", "{\"message\":\"Base branch was modified. Review and try the merge again.\"}"));
	answer(JSON("200", "", PULL(5, "octo/hello", "main")));
	answer(JSON("200", "", "{\"merged\":true}"));
	assert_int_equal(github_pull_merge(gh, 5, "aa", "merge", &e), 0);
	assert_int_equal(seen("\"sha\":\"aa\""), 2);
	answer(
	    JSON("409", "", "{\"message\":\"Head branch was modified. Review and try the merge again.\"}"));
	answer(JSON("200", "", PULL(5, "octo/hello", "main")));
	assert_int_equal(github_pull_merge(gh, 5, "aa", "merge", &e), -ESTALE);
	assert_int_equal(github_kind(gh), GITHUB_CONFLICT);
	answer(JSON("405", "", "{\"message\":\"Changes must be made through the merge queue\"}"));
	answer(JSON("200", "", PULL(5, "octo/hello", "main")));
	assert_int_equal(github_pull_merge(gh, 5, "aa", "merge", &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "add it to the queue"));
}

static void
waits_as_long_as_it_is_told(void **state)
{
	struct github_issue i;
	int64_t began = clock_now_ms();

	(void)state;
	answer(JSON("429", "Retry-After: 1\r\n", "{}"));
	answer(JSON("200", "", "{\"number\":25,\"title\":\"T\"}"));
	assert_int_equal(github_issue_get(gh, 25, &i, &e), 0);
	github_issue_clear(&i);
	assert_true(clock_now_ms() - began >= 1000);
	/* Longer than the caller's patience: nothing more is sent. */
	answer(JSON("403",
	    "X-RateLimit-Remaining: 0\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
	    "X-RateLimit-Reset: 1704069000\r\n",
	    "{\"message\":\"API rate limit exceeded\"}"));
	assert_int_equal(github_issue_get(gh, 25, &i, &e), -EAGAIN);
	assert_int_equal(github_kind(gh), GITHUB_LIMITED);
	assert_non_null(strstr(e.msg, "another 30m"));
	assert_int_equal(github_issue_get(gh, 25, &i, &e), -EAGAIN);
	assert_int_equal(up.requests, 3);
}

static void
repeats_reading_through_faults(void **state)
{
	struct github_issue i;

	(void)state;
	answer(JSON("502", "", "<html>"));
	answer(JSON("200", "", "{\"number\":25,\"title\":\"T\"}"));
	assert_int_equal(github_issue_get(gh, 25, &i, &e), 0);
	github_issue_clear(&i);
	assert_int_equal(github_stats(gh)->repeated, 1);
	assert_int_equal(github_stats(gh)->requests, 2);
}

static void
stops_when_asked(void **state)
{
	struct github_issue i;

	(void)state;
	loop_stop(&loop, 15);
	assert_int_equal(github_issue_get(gh, 25, &i, &e), -ECANCELED);
	assert_int_equal(github_kind(gh), GITHUB_STOPPED);
}

static void
treats_done_as_done(void **state)
{
	char oid[65], level[16];

	(void)state;
	answer(JSON("404", "", "{\"message\":\"Label does not exist\"}"));
	assert_int_equal(github_issue_label_remove(gh, 25, "a b", &e), 0);
	assert_int_equal(seen("DELETE /repos/octo/hello/issues/25/labels/a%20b "), 1);
	answer(JSON("422", "", "{\"message\":\"Reference does not exist\"}"));
	assert_int_equal(github_branch_delete(gh, "cco/25", &e), 0);
	answer(JSON("200", "", "{\"ref\":\"refs/heads/cco/25\",\"object\":{\"sha\":\"abc\"}}"));
	assert_int_equal(github_branch_get(gh, "cco/25", oid, &e), 0);
	assert_int_equal(seen("GET /repos/octo/hello/git/ref/heads%2Fcco%2F25 "), 1);
	assert_string_equal(oid, "abc");
	answer(JSON("200", "", "{\"permission\":\"maintain\"}"));
	assert_int_equal(github_permission(gh, "x[bot]", level, &e), 0);
	assert_string_equal(level, "write");
	assert_int_equal(seen("/collaborators/x%5Bbot%5D/permission"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(reads_an_issue, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(follows_pages_and_asks_only_for_what_changed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(follows_no_page_to_another_server, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(looks_again_after_a_lost_answer, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(keeps_one_comment_of_many, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(asks_graphql_who_it_is, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(does_without_knowing_who_it_is, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(adopts_a_pull_request, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(merges_what_it_saw, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(waits_as_long_as_it_is_told, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(repeats_reading_through_faults, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(stops_when_asked, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(treats_done_as_done, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
