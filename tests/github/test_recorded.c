/*
 * What GitHub itself has answered, as octokit's fixtures recorded it, read by our client: repositories,
 * issues by pages, labels, references, what a 422 says, and the redirects of a repository that was renamed.
 */
#include "common/alloc.h"
#include "common/json.h"
#include "director/github_api.h"
#include "director/github_read.h"
#include "director/github_words.h"
#include "tests/helper/lib/test.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define API "https://api.github.com"

static struct loop loop;
static struct evhttp *server;
static struct github *gh;
static json_t *recorded; /* array of {method, path, status, response, headers} */
static char base[64];
static struct err e;

/* The recorded server's name is ours here. */
static char *
at_home(const char *text)
{
	char *out = xstrdup(""), *longer;
	const char *next;

	for (; (next = strstr(text, API)) != NULL; text = next + strlen(API)) {
		longer = xasprintf("%s%.*s%s", out, (int)(next - text), text, base);
		free(out);
		out = longer;
	}
	longer = xasprintf("%s%s", out, text);
	free(out);
	return longer;
}

static void
answer(struct evhttp_request *req, const json_t *one)
{
	struct evbuffer *b = evbuffer_new();
	char *body = json_dumps(json_object_get(one, "response"), JSON_ENCODE_ANY), *own = at_home(body);
	const char *name;
	json_t *value;

	json_object_foreach (json_object_get(one, "headers"), name, value) {
		char *text = json_is_string(value) ? at_home(json_string_value(value)) : NULL;

		if (text != NULL && strcmp(name, "content-length") != 0 && strcmp(name, "connection") != 0 &&
		    strcmp(name, "transfer-encoding") != 0 && strcmp(name, "content-encoding") != 0)
			evhttp_add_header(evhttp_request_get_output_headers(req), name, text);
		free(text);
	}
	evbuffer_add(b, own, strlen(own));
	evhttp_send_reply(req, (int)json_integer_value(json_object_get(one, "status")), "X", b);
	evbuffer_free(b);
	free(body);
	free(own);
}

/* The first answer to such a request that was not given yet; the last one is given again. */
static void
on_request(struct evhttp_request *req, void *arg)
{
	enum evhttp_cmd_type c = evhttp_request_get_command(req);
	const char *method = c == EVHTTP_REQ_GET     ? "get"
			     : c == EVHTTP_REQ_POST  ? "post"
			     : c == EVHTTP_REQ_PATCH ? "patch"
						     : "delete";
	json_t *one;
	size_t i;

	(void)arg;
	json_array_foreach (recorded, i, one)
		if (strcmp(json_str(one, "method"), method) == 0 &&
		    strcmp(json_str(one, "path"), evhttp_request_get_uri(req)) == 0) {
			answer(req, one);
			return;
		}
	evhttp_send_error(req, 599, "not recorded");
}

static int
set_up(void **state)
{
	struct evhttp_bound_socket *s;
	struct sockaddr_in sin;
	socklen_t size = sizeof(sin);

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	server = evhttp_new(loop.base);
	evhttp_set_allowed_methods(
	    server, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PATCH | EVHTTP_REQ_DELETE);
	evhttp_set_gencb(server, on_request, NULL);
	s = evhttp_bind_socket_with_handle(server, "127.0.0.1", 0);
	assert_int_equal(getsockname(evhttp_bound_socket_get_fd(s), (struct sockaddr *)&sin, &size), 0);
	snprintf(base, sizeof(base), "http://127.0.0.1:%u", ntohs(sin.sin_port));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	github_close(gh);
	json_decref(recorded);
	evhttp_free(server);
	loop_clear(&loop);
	return 0;
}

static void
play(const char *scenario, const char *repo)
{
	char *path =
	    xasprintf("%s/node_modules/@octokit/fixtures/scenarios/api.github.com/%s/normalized-fixture.json",
		getenv("ORCH_GITHUB_STANDINS"), scenario);
	struct github_options o = {.base = base,
	    .owner = "octokit-fixture-org",
	    .repo = repo,
	    .token = "sk-test-dummy",
	    .patience_ms = 0};

	recorded = json_load_file(path, 0, NULL);
	assert_non_null(recorded);
	assert_int_equal(github_open(&gh, &loop, &o, &e), 0);
	free(path);
}

static void
reads_a_repository(void **state)
{
	struct github_repository r;

	(void)state;
	play("get-repository", "hello-world");
	assert_int_equal(github_repository_get(gh, &r, &e), 0);
	assert_string_equal(r.full_name, "octokit-fixture-org/hello-world");
	assert_true(r.default_branch[0] != '\0');
	assert_false(r.archived || r.disabled || r.private);
	github_repository_clear(&r);
	assert_int_equal(github_stats(gh)->remaining, 4999);
}

static int
on_issue(void *arg, const json_t *item, struct err *why)
{
	struct github_issue i;

	(void)why;
	assert_true(github_read_issue(item, &i));
	assert_true(i.number > 0 && i.author.id > 0 && !i.is_pull);
	assert_string_equal(i.body, ""); /* null there */
	++*(unsigned *)arg;
	return 0;
}

/* 13 issues on five pages of three, by the Links alone. */
static void
follows_recorded_pages(void **state)
{
	char *path;
	unsigned n = 0;

	(void)state;
	play("paginate-issues", "paginate-issues");
	path = github_path(gh, "/issues?per_page=3");
	if (github_each(gh, "list", path, NULL, on_issue, &n, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(n, 13);
	assert_int_equal(github_stats(gh)->requests, 5);
	free(path);
}

static void
follows_a_renamed_repository(void **state)
{
	struct github_repository r;
	char *path;

	(void)state;
	play("rename-repository", "rename-repository");
	if (github_repository_get(gh, &r, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(r.full_name, "octokit-fixture-org/rename-repository-newname");
	github_repository_clear(&r);
	assert_int_equal(github_stats(gh)->redirects, 1);
	/* The write is the same one behind its 307. */
	json_array_remove(recorded, 0);
	path = github_path(gh, "%s", "");
	assert_int_equal(
	    github_send(gh, "edit it", "PATCH", path, json_pack("{s:s}", "name", "x"), NULL, &e), 0);
	free(path);
}

static int
on_ref(void *arg, const json_t *item, struct err *why)
{
	struct github_ref_info r;

	(void)why;
	assert_true(github_read_ref(item, &r));
	assert_int_equal(strlen(r.oid), 40);
	*(unsigned *)arg += strcmp(r.name, "refs/heads/main") == 0;
	return 0;
}

static void
reads_references(void **state)
{
	unsigned n = 0;
	char *path;

	(void)state;
	play("git-refs", "git-refs");
	path = github_path(gh, "/git/refs/");
	assert_int_equal(github_each(gh, "list", path, NULL, on_ref, &n, &e), 0);
	assert_int_equal(n, 1);
	free(path);
}

static void
says_what_is_invalid(void **state)
{
	json_t *said = NULL;
	char *path;

	(void)state;
	play("errors", "errors");
	path = github_path(gh, "/labels");
	assert_int_equal(github_send(gh, "make a label", "POST", path,
			     json_pack("{s:s,s:s}", "name", "foo", "color", "invalid"), &said, &e),
	    -EINVAL);
	assert_int_equal(github_kind(gh), GITHUB_INVALID);
	assert_non_null(strstr(e.msg, "Validation Failed"));
	assert_non_null(strstr(e.msg, "color"));
	assert_false(github_errors_say(said, "already_exists"));
	json_decref(said);
	free(path);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    T(reads_a_repository),
	    T(follows_recorded_pages),
	    T(follows_a_renamed_repository),
	    T(reads_references),
	    T(says_what_is_invalid),
	};

	if (getenv("ORCH_GITHUB_STANDINS") == NULL) {
		fprintf(stderr, "skipped: script/test --github installs what GitHub has answered\n");
		return 77;
	}
	return cmocka_run_group_tests_name("test_recorded", tests, NULL, NULL);
}
