/* http: real sockets in one process: what a request carries, what its answer may be, and every way it ends.
 */
#include "common/http/http.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/cmd.h"
#include "common/http/redirect.h"
#include "tests/helper/lib/rawhttp.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tmp.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FINE "HTTP/1.1 200 OK\r\nX-One: 1\r\nX-Two:  two  \r\nContent-Length: 5\r\n\r\nhello"
#define TOKEN "Bearer sk-test-dummy"

static struct loop loop;
static struct http *h;
static struct raw_server up, other;
static struct http_response r;
static struct err e;
static bool sent;

static int
set_up(void **state)
{
	(void)state;
	memset(&r, 0, sizeof(r));
	memset(&e, 0, sizeof(e));
	assert_int_equal(loop_init(&loop), 0);
	assert_int_equal(http_open(&h, &loop, NULL, &e), 0);
	raw_serve(&up, loop.base);
	raw_serve(&other, loop.base);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	http_response_clear(&r);
	http_close(h);
	raw_server_clear(&up);
	raw_server_clear(&other);
	loop_clear(&loop);
	return 0;
}

static int
ask_with(const char *method, const char *body, const struct http_limits *limits)
{
	static const char *const headers[] = {"Accept: application/json", NULL};
	struct http_request q = {.method = method, .authorization = TOKEN, .headers = headers};
	char *url = xasprintf("http://127.0.0.1:%u/a?b=c", up.port);
	int rc;

	q.url = url;
	q.body = body;
	q.size = body == NULL ? 0 : strlen(body);
	if (limits != NULL)
		q.limits = *limits;
	http_response_clear(&r);
	rc = http_call(h, &q, &r, &sent, &e);
	free(url);
	return rc;
}

static int
ask(const char *method, const char *body)
{
	return ask_with(method, body, NULL);
}

static void
answer_location(struct raw_server *s, int status, const struct raw_server *to, const char *path)
{
	static char text[4][256];
	static unsigned n;
	char *p = text[n++ % 4];

	snprintf(p, 256, "HTTP/1.1 %d X\r\nLocation: http://127.0.0.1:%u%s\r\nContent-Length: 0\r\n\r\n",
	    status, to->port, path);
	raw_answer(s, p, RAW_KEEP);
}

static void
carries_what_it_was_given(void **state)
{
	char *two;

	(void)state;
	raw_answer(&up, FINE, RAW_KEEP);
	assert_int_equal(ask("PATCH", "{\"a\":1}"), 0);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "hello");
	assert_int_equal(r.size, 5);
	assert_false(r.moved);
	two = http_header(&r, "x-TWO");
	assert_string_equal(two, "two");
	free(two);
	assert_null(http_header(&r, "X-Thr"));
	assert_non_null(strstr(up.seen, "PATCH /a?b=c HTTP/1.1\r\n"));
	assert_non_null(strstr(up.seen, "Authorization: " TOKEN "\r\n"));
	assert_non_null(strstr(up.seen, "User-Agent: orch/"));
	assert_non_null(strstr(up.seen, "Accept: application/json\r\n"));
	assert_non_null(strstr(up.seen, "\r\n\r\n{\"a\":1}"));
}

static void
takes_any_status(void **state)
{
	(void)state;
	raw_answer(&up, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nA: b\r\n\r\n", RAW_KEEP);
	assert_int_equal(ask("DELETE", NULL), 0);
	assert_int_equal(r.status, 204);
	assert_string_equal(r.body, "");
	assert_string_equal(r.head, "A: b\n");
	raw_answer(&up, "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno", RAW_KEEP);
	assert_int_equal(ask("GET", NULL), 0);
	assert_int_equal(r.status, 503);
}

/* GitHub: "repeat your request to the URL in the Location header". */
static void
repeats_a_request_where_it_is_sent(void **state)
{
	static const int statuses[] = {301, 302, 307, 308};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		answer_location(&up, statuses[i], &up, "/new");
		raw_answer(&up, FINE, RAW_KEEP);
		assert_int_equal(ask("POST", "body"), 0);
		assert_string_equal(r.body, "hello");
		assert_int_equal(r.moved, statuses[i] == 301 || statuses[i] == 308);
		assert_non_null(strstr(r.url, "/new"));
	}
	assert_int_equal(up.requests, 8);
	assert_null(strstr(up.seen, "GET "));
}

/* The origin is scheme, host and port: another port may be another program. */
static void
drops_the_token_elsewhere_for_good(void **state)
{
	(void)state;
	answer_location(&up, 302, &other, "/there");
	answer_location(&other, 302, &up, "/back");
	raw_answer(&up, FINE, RAW_KEEP);
	assert_int_equal(ask("GET", NULL), 0);
	assert_string_equal(r.body, "hello");
	assert_null(strstr(other.seen, "Authorization"));
	assert_null(strstr(strstr(up.seen, "GET /back"), "Authorization"));
}

static void
does_not_run_in_circles(void **state)
{
	(void)state;
	for (unsigned i = 0; i <= HTTP_REDIRECTS_MAX; i++)
		answer_location(&up, 302, &up, "/again");
	assert_int_equal(ask("GET", NULL), -ELOOP);
	assert_int_equal(up.requests, HTTP_REDIRECTS_MAX + 1);
	raw_answer(&up, "HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n", RAW_KEEP);
	assert_int_equal(ask("GET", NULL), -EPROTO);
}

static void
decides_redirects(void **state)
{
	char *next = NULL;
	bool same;

	(void)state;
	assert_int_equal(redirect_next("https://api.x.test/a/b?c", "../d#e", &next, &same, &e), 0);
	assert_string_equal(next, "https://api.x.test/d");
	assert_true(same);
	free(next);
	assert_int_equal(redirect_next("https://api.x.test/a", "https://y.test/", &next, &same, &e), 0);
	assert_false(same);
	free(next);
	assert_int_equal(
	    redirect_next("https://api.x.test/a", "https://api.x.test:443/z", &next, &same, &e), 0);
	assert_true(same);
	free(next);
	assert_int_equal(redirect_next("https://x.test/a", "http://x.test/a", &next, &same, &e), -EPROTO);
	assert_int_equal(redirect_next("https://x.test/a", "file:///etc/passwd", &next, &same, &e), -EPROTO);
	assert_int_equal(redirect_next("https://x.test/a", NULL, &next, &same, &e), -EPROTO);
}

static void
bounds_what_it_takes(void **state)
{
	struct http_limits small = {.body_max = 4};
	char *head = xmalloc(HTTP_HEAD_MAX + 64);
	int n = sprintf(head, "HTTP/1.1 200 OK\r\nX: ");

	(void)state;
	raw_answer(&up, FINE, RAW_KEEP);
	assert_int_equal(ask_with("GET", NULL, &small), -EFBIG);
	small.body_max = 5;
	raw_answer(&up, FINE, RAW_KEEP);
	assert_int_equal(ask_with("GET", NULL, &small), 0);
	memset(head + n, 'x', HTTP_HEAD_MAX);
	strcpy(head + n + HTTP_HEAD_MAX, "\r\n\r\n");
	raw_answer(&up, head, RAW_CLOSE);
	assert_int_equal(ask("GET", NULL), -EFBIG);
	free(head);
}

static void
ends_what_does_not_end(void **state)
{
	struct http_limits quick = {.first_byte_ms = 60, .idle_ms = 60};

	(void)state;
	raw_answer(&up, NULL, RAW_HANG);
	assert_int_equal(ask_with("POST", "x", &quick), -ETIMEDOUT);
	assert_non_null(strstr(e.msg, "did not answer within 60 ms"));
	assert_true(sent);
	raw_answer(&up, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", RAW_HANG);
	assert_int_equal(ask_with("GET", NULL, &quick), -ETIMEDOUT);
	assert_non_null(strstr(e.msg, "silent for 60 ms in mid-answer"));
	raw_answer(&up, NULL, RAW_HANG);
	quick = (struct http_limits){.total_ms = 60};
	assert_int_equal(ask_with("GET", NULL, &quick), -ETIMEDOUT);
}

static void
tells_what_was_lost_from_what_never_left(void **state)
{
	struct http_request q = {.method = "POST", .url = "http://127.0.0.1:1/", .body = "x", .size = 1};

	(void)state;
	assert_int_equal(http_call(h, &q, &r, &sent, &e), -EHOSTUNREACH);
	assert_false(sent);
	assert_string_equal(e.msg, "http://127.0.0.1:1: connect failed: Connection refused");
	raw_answer(&up, NULL, RAW_RESET);
	assert_int_equal(ask("POST", "x"), -ECONNRESET);
	assert_true(sent);
	raw_answer(&up, NULL, RAW_CLOSE);
	assert_int_equal(ask("POST", "x"), -ECONNRESET);
	raw_answer(&up, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", RAW_CLOSE);
	assert_int_equal(ask("GET", NULL), -ECONNRESET);
	q.url = "file:///etc/passwd";
	assert_int_equal(http_call(h, &q, &r, &sent, &e), -EINVAL);
}

/* curl repeats a request that a kept-alive connection swallowed: a comment would be written twice. */
static void
never_repeats_a_write(void **state)
{
	(void)state;
	raw_answer(&up, FINE, RAW_KEEP);
	assert_int_equal(ask("GET", NULL), 0);
	raw_answer(&up, NULL, RAW_CLOSE);
	assert_int_equal(ask("POST", "x"), -ECONNRESET);
	assert_int_equal(up.requests, 2);
	assert_true(sent);
}

static void
stops_when_asked(void **state)
{
	(void)state;
	loop_stop(&loop, SIGTERM);
	assert_int_equal(ask("GET", NULL), -ECANCELED);
}

/* Not for loopback, where what we talk to is a test's or a sidecar's. */
static void
goes_by_the_proxy(void **state)
{
	struct http_request q = {.method = "GET", .url = "http://example.invalid/x"};
	char *proxy = xasprintf("http://127.0.0.1:%u", other.port);

	(void)state;
	setenv("http_proxy", proxy, 1);
	raw_answer(&other, FINE, RAW_KEEP);
	raw_answer(&up, FINE, RAW_KEEP);
	assert_int_equal(http_call(h, &q, &r, &sent, &e), 0);
	assert_non_null(strstr(other.seen, "GET http://example.invalid/x HTTP/1.1"));
	assert_int_equal(ask("GET", NULL), 0);
	assert_int_equal(other.requests, 1);
	unsetenv("http_proxy");
	/* https goes through a tunnel, which is all that a proxy sees of it; what it refuses is no answer. */
	http_response_clear(&r);
	setenv("HTTPS_PROXY", proxy, 1);
	q.url = "https://api.example.invalid/x";
	q.authorization = "Bearer sk-test-dummy-tunnel";
	raw_answer(&other, "HTTP/1.1 403 X\r\nContent-Length: 0\r\n\r\n", RAW_CLOSE);
	assert_int_equal(http_call(h, &q, &r, &sent, &e), -EHOSTUNREACH);
	assert_false(sent);
	assert_non_null(strstr(other.seen, "CONNECT api.example.invalid:443 HTTP/1.1"));
	assert_null(strstr(other.seen, "tunnel"));
	/* Whom NO_PROXY names is asked without it: there is no such host, and the proxy hears nothing of it.
	 */
	setenv("NO_PROXY", "127.0.0.2", 1);
	q.url = "https://127.0.0.2:1/x";
	assert_true(http_call(h, &q, &r, &sent, &e) < 0);
	assert_int_equal(other.requests, 2);
	unsetenv("NO_PROXY");
	unsetenv("HTTPS_PROXY");
	free(proxy);
}

/* A server with a certificate of its own, by openssl; its port in *port. */
static pid_t
serve_tls(const char *dir, unsigned *port)
{
	char *cert = tmp_path(dir, "cert.pem"), *key = tmp_path(dir, "key.pem"), accept[32];
	const char *make[] = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
	    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
	    "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert, NULL};
	const char *serve[] = {
	    "openssl", "s_server", "-quiet", "-www", "-accept", accept, "-cert", cert, "-key", key, NULL};
	struct cmd_spec s = {.argv = make, .out_max = 4096, .err_max = 4096, .timeout_ms = 20000};
	struct cmd_result made;
	struct child_spec cs;
	struct raw_server hold;
	pid_t pid;

	assert_int_equal(cmd_run(&loop, &s, &made, &e), 0);
	assert_true(cmd_ok(&made));
	cmd_result_clear(&made);
	raw_serve(&hold, loop.base);
	*port = hold.port;
	raw_server_clear(&hold);
	snprintf(accept, sizeof(accept), "%u",
	    *port); /* on all addresses: one of them is not in the certificate */
	child_spec_init(&cs);
	cs.argv = serve;
	cs.death_signal = SIGKILL;
	assert_int_equal(child_spawn(&cs, &pid, NULL, &e), 0);
	free(cert);
	free(key);
	return pid;
}

/* It says nothing when it listens, so it is asked until it does. */
static int
ask_tls(struct http *by, const char *host, unsigned port)
{
	char *url = xasprintf("https://%s:%u/", host, port);
	struct http_request q = {.method = "GET", .url = url};
	int64_t end_ms = clock_now_ms() + 20000;
	const bool never = false;
	int rc;

	do {
		http_response_clear(&r);
		rc = http_call(by, &q, &r, &sent, &e);
		if (rc == -EHOSTUNREACH)
			loop_wait(&loop, &never, clock_now_ms() + 20);
	} while (rc == -EHOSTUNREACH && clock_now_ms() < end_ms);
	free(url);
	return rc;
}

static void
trusts_only_what_it_knows(void **state)
{
	char *dir = tmp_make(), *cert = tmp_path(dir, "cert.pem");
	struct http *knowing;
	unsigned port;
	pid_t pid;

	(void)state;
	pid = serve_tls(dir, &port);
	assert_int_equal(ask_tls(h, "localhost", port), -EKEYREJECTED);
	assert_non_null(strstr(e.msg, "tls failed"));
	assert_int_equal(http_open(&knowing, &loop, cert, &e), 0);
	assert_int_equal(ask_tls(knowing, "localhost", port), 0);
	assert_int_equal(r.status, 200);
	assert_int_equal(ask_tls(knowing, "127.0.0.1", port), -EKEYREJECTED);
	http_close(knowing);
	kill(pid, SIGKILL);
	loop_reap(&loop);
	tmp_remove(dir);
	free(cert);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(carries_what_it_was_given, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(takes_any_status, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(repeats_a_request_where_it_is_sent, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(drops_the_token_elsewhere_for_good, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(does_not_run_in_circles, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(decides_redirects, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(bounds_what_it_takes, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(ends_what_does_not_end, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(tells_what_was_lost_from_what_never_left, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(never_repeats_a_write, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(stops_when_asked, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(goes_by_the_proxy, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(trusts_only_what_it_knows, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
