/* gateway: real sockets on both sides, in one process: what passes, what hops, what is cut, and what no
 * client and no endpoint can do to it. */
#include "supervisor/gateway/gateway.h"

#include "common/alloc.h"
#include "tests/helper/lib/rawhttp.h"
#include "tests/helper/lib/test.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define TOKEN "orch-00112233445566778899aabbccddeeff"
#define BODY "{\"model\":\"claude-opus-5-5\",\"stream\":true}"
#define START                                                                                                \
	"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\",\"usage\":{"   \
	"\"input_tokens\":11,\"output_tokens\":1}}}\n\n"
#define LAST                                                                                                 \
	"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"  \
	"\"usage\":{\"output_tokens\":20}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
#define SSE "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
#define FINE                                                                                                 \
	"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 49\r\n\r\n"                    \
	"{\"usage\":{\"input_tokens\":5,\"output_tokens\":600}}\n"
#define ERROR(status, headers)                                                                               \
	"HTTP/1.1 " status " X\r\ncontent-type: application/json\r\n" headers                                \
	"content-length: 47\r\n\r\n{\"type\":\"error\",\"error\":{\"type\":\"some_error\"}}    "

static struct event_base *base;
static struct gateway *g;
static struct raw_server up;
static struct raw_client c;
static unsigned port;

/* What the hooks were told. */
static char notes[8192];
static struct {
	unsigned count, sent;
	int status;
	char key[64], why[320], path[128];
	struct usage usage;
} done;

static void
on_note(void *arg, const struct gateway_event *ev)
{
	size_t n = strlen(notes);

	(void)arg;
	snprintf(
	    notes + n, sizeof(notes) - n, "%s%s%s\n", ev->task, ev->task[0] == '\0' ? "" : ": ", ev->text);
}

static void
on_done(void *arg, const struct gateway_record *r)
{
	(void)arg;
	done.count++;
	done.sent = r->sent;
	done.status = r->status;
	done.usage = r->usage;
	snprintf(done.key, sizeof(done.key), "%s", r->key);
	snprintf(done.why, sizeof(done.why), "%s", r->why);
	snprintf(done.path, sizeof(done.path), "%s", r->path);
}

static int
listen_here(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
	port = ntohs(a.sin_port);
	return fd;
}

static int
setup(void **state)
{
	struct gateway_hooks hooks = {on_note, on_done, NULL};

	(void)state;
	notes[0] = '\0';
	memset(&done, 0, sizeof(done));
	base = event_base_new();
	g = gateway_new(base, &hooks);
	assert_non_null(g);
	raw_serve(&up, base);
	assert_int_equal(gateway_listen(g, listen_here()), 0);
	assert_int_equal(gateway_admit(g, TOKEN, "25/em1/w1", 1), 0);
	raw_connect(&c, base, port);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	raw_client_clear(&c);
	gateway_free(g);
	raw_server_clear(&up);
	event_base_free(base);
	return 0;
}

/* A configuration for each letter: "a" has the key sk-test-dummy-a. more: of each, between the braces. */
static void
configure(const char *names, const char *url_port, const char *more)
{
	char text[4096] = "[";
	struct configs configs;
	struct err e = {""};

	for (const char *p = names; *p != '\0'; p++) {
		size_t n = strlen(text);

		snprintf(text + n, sizeof(text) - n,
		    "%s{\"name\":\"%c\",\"apiKey\":\"sk-test-dummy-%c\",\"env\":{\"ANTHROPIC_BASE_URL\":"
		    "\"http://127.0.0.1:%s/p/\"%s}}",
		    p == names ? "" : ",", *p, *p, url_port, more);
	}
	strcat(text, "]");
	if (configs_parse(&configs, "test", text, strlen(text), &e) < 0)
		fail_msg("%s", e.msg);
	gateway_take_configs(g, &configs);
}

/* No key is known any more, nor what befell one. */
static void
forget(void)
{
	struct configs none = {0};

	gateway_take_configs(g, &none);
}

static void
use(const char *names, const char *more)
{
	char number[16];

	snprintf(number, sizeof(number), "%u", up.port);
	configure(names, number, more);
}

/* One key "a" at a URL of its own. more: of its env. */
static void
use_url(const char *url, const char *more)
{
	char text[1024];
	struct configs configs;
	struct err e = {""};

	snprintf(text, sizeof(text),
	    "[{\"name\":\"a\",\"apiKey\":\"sk-test-dummy-a\",\"env\":{\"ANTHROPIC_BASE_URL\":\"%s\"%s}}]",
	    url, more);
	if (configs_parse(&configs, "test", text, strlen(text), &e) < 0)
		fail_msg("%s", e.msg);
	gateway_take_configs(g, &configs);
}

static void
post_to(struct raw_client *client, const char *path, const char *headers, const char *body)
{
	char *text = xasprintf("POST %s HTTP/1.1\r\nHost: x\r\nx-api-key: " TOKEN
			       "\r\n%scontent-length: %zu\r\n\r\n%s",
	    path, headers, strlen(body), body);

	raw_send(client, text, strlen(text));
	free(text);
}

static void
post(void)
{
	post_to(&c, "/v1/messages?beta=true", "", BODY);
}

static bool
got(const char *what)
{
	return strstr(raw_got(&c), what) != NULL;
}

static void
test_passes_and_counts(void **state)
{
	(void)state;
	use("a", ",\"ANTHROPIC_AUTH_TOKEN\":\"sk-test-dummy-t\"");
	raw_answer(&up,
	    SSE "request-id: req_7\r\nx-unknown: kept\r\nconnection: x-hop\r\nkeep-alive: 5\r\n"
		"transfer-encoding: chunked\r\n\r\nb0\r\n",
	    RAW_HANG);
	post_to(&c, "/v1/messages?beta=true",
	    "Accept-Encoding: gzip\r\nanthropic-beta: one,two\r\nX-Drop: 1\r\nConnection: x-drop\r\nTE: "
	    "trailers\r\n"
	    "authorization: Bearer " TOKEN "\r\n",
	    BODY);
	raw_until(base, up.requests == 1 && up.last != NULL);
	assert_non_null(strstr(up.seen, "POST /p/v1/messages?beta=true HTTP/1.1\r\n"));
	assert_non_null(strstr(up.seen, "x-api-key: sk-test-dummy-a\r\n"));
	assert_non_null(strstr(up.seen, "Authorization: Bearer sk-test-dummy-t\r\n"));
	assert_non_null(strstr(up.seen, "anthropic-beta: one,two\r\n"));
	assert_non_null(strstr(up.seen, "\r\n\r\n" BODY));
	assert_null(strstr(up.seen, TOKEN));
	assert_null(strcasestr(up.seen, "accept-encoding"));
	assert_null(strcasestr(up.seen, "x-drop"));
	assert_null(strcasestr(up.seen, "trailers"));
	assert_null(strcasestr(up.seen, "expect"));
	/* The first chunk goes through before the stream has ended. */
	char *chunk = xasprintf("%.176s", START LAST);
	bufferevent_write(up.last, chunk, strlen(chunk));
	free(chunk);
	raw_until(base, got("message_start"));
	assert_int_equal(done.count, 0);
	chunk = xasprintf("\r\n%zx\r\n%s\r\n0\r\n\r\n", strlen(START LAST) - 176, (START LAST) + 176);
	bufferevent_write(up.last, chunk, strlen(chunk));
	free(chunk);
	raw_until(base, done.count == 1 && got("\r\n0\r\n\r\n"));
	assert_true(got("HTTP/1.1 200 OK\r\n") && got("request-id: req_7\r\n") && got("x-unknown: kept\r\n"));
	assert_false(got("x-hop") || got("keep-alive"));
	assert_int_equal(done.status, 200);
	assert_int_equal(done.usage.input, 11);
	assert_int_equal(done.usage.output, 20);
	assert_false(done.usage.floor);
	assert_string_equal(done.path, "/v1/messages");
	assert_string_equal(done.why, "");
	assert_string_equal(notes, "");
}

static void
test_model_of_the_configuration(void **state)
{
	(void)state;
	use("a", ",\"ANTHROPIC_MODEL\":\"glm \\\"4\\\"\"");
	raw_answer(&up, FINE, RAW_KEEP);
	post_to(&c, "/v1/messages", "", "{\"a\":{\"model\":\"deep\"},\"model\" : \"claude\",\"z\":1}");
	raw_until(base, done.count == 1);
	assert_non_null(
	    strstr(up.seen, "\r\n\r\n{\"a\":{\"model\":\"deep\"},\"model\" : \"glm \\\"4\\\"\",\"z\":1}"));
	assert_int_equal(done.usage.output, 600);
}

/*
 * A proxy is asked for names that it alone resolves; what NO_PROXY names, and loopback whatever anybody says,
 * is asked without one. Of the configuration, and of our own environment where that says nothing.
 */
static void
test_proxies(void **state)
{
	static const char dead[] = ",\"HTTP_PROXY\":\"http://127.0.0.1:1\"";
	char *proxy = xasprintf("http://127.0.0.1:%u", up.port), more[256], url[64];

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		raw_answer(&up, FINE, RAW_CLOSE);
	snprintf(more, sizeof(more), ",\"HTTP_PROXY\":\"%s\"", proxy);
	use_url("http://api.invalid/p", more);
	post();
	raw_until(base, done.count == 1);
	assert_int_equal(done.status, 200);
	assert_non_null(strstr(up.seen, "POST http://api.invalid/p/v1/messages?beta=true HTTP/1.1\r\n"));
	setenv("HTTP_PROXY", proxy, 1);
	use_url("http://own.invalid/p", "");
	post();
	raw_until(base, done.count == 2);
	assert_int_equal(done.status, 200);
	assert_non_null(strstr(up.seen, "POST http://own.invalid/p/v1/messages?beta=true HTTP/1.1\r\n"));
	setenv("HTTP_PROXY", "http://127.0.0.1:1", 1);
	use("a", ""); /* loopback */
	post();
	raw_until(base, done.count == 3);
	assert_int_equal(done.status, 200);
	/* 0.0.0.0 is this machine, but no name of loopback. */
	snprintf(more, sizeof(more), "%s,\"NO_PROXY\":\"a.invalid, 0.0.0.0\"", dead);
	snprintf(url, sizeof(url), "http://0.0.0.0:%u/p", up.port);
	use_url(url, more);
	post();
	raw_until(base, done.count == 4);
	assert_int_equal(done.status, 200);
	setenv("NO_PROXY", "0.0.0.0", 1);
	use_url(url, "");
	post();
	raw_until(base, done.count == 5);
	assert_int_equal(done.status, 200);
	unsetenv("NO_PROXY");
	use_url(url, dead);
	post();
	raw_until(base, done.count == 6);
	assert_int_equal(done.status, 502);
	assert_int_equal(up.requests, 5);
	unsetenv("HTTP_PROXY");
	free(proxy);
}

static void
test_quota_hops_unseen(void **state)
{
	(void)state;
	use("ab", "");
	raw_answer(&up, ERROR("429", "retry-after: 3600\r\n"), RAW_KEEP);
	raw_answer(&up, FINE, RAW_KEEP);
	raw_answer(&up, FINE, RAW_KEEP);
	post();
	raw_until(base, got("output_tokens"));
	assert_true(got("HTTP/1.1 200"));
	assert_false(got("429") || got("retry-after"));
	assert_int_equal(done.sent, 2);
	assert_non_null(strstr(notes, "key a: quota of opus spent until "));
	assert_non_null(strstr(notes, "25/em1/w1: switches from key a to key b\n"));
	post();
	raw_until(base, done.count == 2);
	assert_int_equal(done.sent, 1);
	assert_string_equal(done.key, "b");
}

static void
test_all_spent_is_said_once(void **state)
{
	(void)state;
	use("a", "");
	raw_answer(&up, ERROR("429", "retry-after: 3600\r\nanthropic-ratelimit-x: 1\r\n"), RAW_KEEP);
	post();
	raw_until(base, got("some_error"));
	assert_true(got("429") && got("retry-after: 3600\r\n") && got("anthropic-ratelimit-x: 1\r\n"));
	post();
	raw_until(base, done.count == 2 && got("rate_limit_error"));
	assert_int_equal(up.requests, 1); /* the second never went out */
	assert_true(got("quota of opus spent until"));
	assert_int_equal(done.sent, 0);
}

static void
test_burst_is_waited_out(void **state)
{
	(void)state;
	use("a", "");
	raw_answer(&up, ERROR("429", "retry-after: 1\r\n"), RAW_KEEP);
	raw_answer(&up, FINE, RAW_KEEP);
	post();
	raw_until(base, done.count == 1);
	assert_int_equal(done.status, 200);
	assert_int_equal(done.sent, 2);
	assert_non_null(strstr(notes, "25/em1/w1: waits: key a: too many requests at a time"));
}

static void
test_refused_key_hops(void **state)
{
	(void)state;
	use("ab", "");
	raw_answer(&up, ERROR("401", ""), RAW_KEEP);
	raw_answer(&up, ERROR("403", ""), RAW_KEEP);
	post();
	raw_until(base, done.count == 1);
	assert_int_equal(done.status, 403);
	post();
	raw_until(base, done.count == 2 && got("x-should-retry: false"));
	assert_int_equal(up.requests, 2);
}

static void
test_faults_before_an_answer_hop(void **state)
{
	static const struct {
		const char *bytes;
		enum raw_after after;
	} rows[] = {{NULL, RAW_RESET}, {NULL, RAW_CLOSE}, {NULL, RAW_HANG},
	    {"HTTP/1.1 200 OK\r\nfoo: b", RAW_CLOSE}, {"garbage\r\n\r\n", RAW_CLOSE},
	    {ERROR("529", ""), RAW_KEEP}, {ERROR("500", ""), RAW_KEEP},
	    {SSE "content-length: 100\r\n\r\n", RAW_CLOSE},
	    {"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.2:1/v1/messages\r\ncontent-length: 0\r\n\r\n",
		RAW_KEEP}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		forget();
		use("ab", ",\"API_TIMEOUT_MS\":\"300\"");
		up.count = up.used = 0;
		raw_answer(&up, rows[i].bytes, rows[i].after);
		raw_answer(
		    &up, FINE, RAW_CLOSE); /* curl itself repeats what fails on a connection used before */
		post();
		raw_until(base, done.count == i + 1);
		if (done.status != 200 || done.sent != 2)
			fail_msg("row %zu: %d, sent %u: %s", i, done.status, done.sent, notes);
	}
}

static void
test_alone_the_fault_is_told(void **state)
{
	static const struct {
		const char *bytes;
		enum raw_after after;
		int status;
		const char *text;
	} rows[] = {{NULL, RAW_RESET, 502, "key a: "}, {NULL, RAW_HANG, 504, "no answer within 300 ms"},
	    {"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.2:1/\r\ncontent-length: 0\r\n\r\n", RAW_KEEP,
		502, "redirects"},
	    {"HTTP/1.1 502 Bad\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>", RAW_KEEP, 502,
		"<html>"},
	    {"HTTP/1.1 400 Bad\r\ncontent-length: 6\r\n\r\n{\"a\":1", RAW_KEEP, 400, "{\"a\":1"},
	    {"HTTP/1.1 404 Bad\r\ncontent-length: 99\r\n\r\ncut", RAW_CLOSE, 404, "broke off"}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		forget();
		use("a", ",\"API_TIMEOUT_MS\":\"300\"");
		up.count = up.used = 0;
		raw_answer(&up, rows[i].bytes, rows[i].after);
		post();
		raw_until(base, done.count == i + 1 && got(rows[i].text));
		assert_int_equal(done.status, rows[i].status);
		assert_int_equal(done.sent, 1);
	}
}

static void
test_nobody_listens(void **state)
{
	(void)state;
	configure("ab", "1", "");
	post();
	raw_until(base, done.count == 1);
	assert_int_equal(done.status, 502);
	assert_int_equal(done.sent, 2);
	assert_non_null(strstr(notes, "key a: not reachable ("));
	assert_non_null(strstr(notes, "key b: not reachable ("));
}

/* A stream that breaks off, or an answer shorter than it said: the client gets what there was, and a cut. */
static void
test_cut_is_a_cut(void **state)
{
	static const char *const heads[] = {
	    "transfer-encoding: chunked\r\n\r\nfff\r\n", "content-length: 900\r\n\r\n"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char *text = xasprintf("%s%s%s", SSE, heads[i], START);

		forget();
		use("ab", "");
		up.count = up.used = 0;
		raw_answer(&up, text, RAW_CLOSE);
		post();
		raw_until(base, c.ended);
		assert_true(got("message_start"));
		assert_false(got("\r\n0\r\n\r\n"));
		assert_int_equal(done.count, i + 1);
		assert_int_equal(done.sent, 1); /* never repeated once begun */
		assert_int_equal(done.usage.input, 11);
		assert_true(done.usage.floor);
		assert_non_null(strstr(done.why, "cut in mid-answer: "));
		raw_client_clear(&c);
		raw_connect(&c, base, port);
		free(text);
	}
}

static void
test_answers_without_end(void **state)
{
	size_t size = 3 << 20;
	char *flood = xmalloc(size + 64);

	(void)state;
	use("a", "");
	/* headers */
	for (size_t n = (size_t)sprintf(flood, "HTTP/1.1 200 OK\r\n"); n < 300000;)
		n += (size_t)sprintf(flood + n, "x-header: a value of some length, again and again\r\n");
	raw_answer(&up, flood, RAW_HANG);
	post();
	raw_until(base, done.count == 1);
	assert_int_equal(done.status, 502);
	/* an error's body: one MB is passed on, three are not */
	for (size_t mb = 1; mb <= 3; mb += 2) {
		int n = sprintf(flood, "HTTP/1.1 500 X\r\ncontent-length: %zu\r\n\r\n", mb << 20);

		memset(flood + n, 'e', (mb << 20) < size ? mb << 20 : size);
		flood[(size_t)n + ((mb << 20) < size ? mb << 20 : size)] = '\0';
		raw_answer(&up, flood, RAW_KEEP);
		post();
		raw_until(base, done.count == 2 + mb / 2 && (mb == 1 ? got("eeee") : got("too long")));
		assert_int_equal(done.status, 500);
	}
	free(flood);
}

static void
test_client_that_leaves(void **state)
{
	(void)state;
	use("a", "");
	/* before an answer, and in one */
	for (unsigned i = 0; i < 2; i++) {
		raw_answer(&up, i == 0 ? NULL : SSE "content-length: 900\r\n\r\n" START, RAW_HANG);
		post();
		raw_until(base, up.requests == i + 1 && (i == 0 || got("message_start")));
		raw_client_clear(&c);
		raw_until(base, up.gone == i + 1);
		assert_int_equal(done.count, i + 1);
		assert_string_equal(done.why, "its client has gone");
		assert_int_equal(gateway_busy(g), 0);
		raw_connect(&c, base, port);
	}
	assert_int_equal(done.usage.input, 11);
	assert_true(done.usage.floor);
}

static void
test_attempt_that_ends(void **state)
{
	(void)state;
	use("a", "");
	raw_answer(&up, SSE "content-length: 900\r\n\r\n" START, RAW_HANG);
	post();
	raw_until(base, got("message_start"));
	assert_int_equal(gateway_dismiss(g, TOKEN), 0);
	raw_until(base, c.ended && up.gone == 1);
	assert_string_equal(done.why, "its attempt has ended");
	raw_client_clear(&c);
	raw_connect(&c, base, port);
	post();
	raw_until(base, got("HTTP/1.1 401"));
	assert_int_equal(up.requests, 1);
}

/* While an answer is due, bytes of the next request come: they wait their turn, and end nothing. */
static void
test_pipelining(void **state)
{
	(void)state;
	use("a", "");
	raw_answer(&up, NULL, RAW_HANG);
	raw_answer(&up, FINE, RAW_KEEP);
	post();
	post();
	raw_until(base, up.requests == 1 && up.last != NULL);
	post_to(&c, "/nowhere", "", "{}");
	bufferevent_write(up.last, FINE, strlen(FINE));
	raw_until(base, done.count == 3 && got("HTTP/1.1 404"));
	assert_int_equal(up.requests, 2);
}

/* 32 MB to a client that does not read: little of it is held, and none is lost. */
static void
test_client_that_does_not_read(void **state)
{
	size_t size = 32 << 20;
	char *body = xmalloc(size + 128);
	int n = sprintf(body, "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n", size);
	size_t left = size, before;

	(void)state;
	use("a", "");
	for (size_t i = 0; i < size; i++)
		body[(size_t)n + i] = (char)('a' + i % 23);
	body[(size_t)n + size] = '\0';
	raw_answer(&up, body, RAW_HANG);
	post();
	raw_until(base, up.requests == 1 && up.last != NULL);
	bufferevent_disable(c.bev, EV_READ);
	do { /* until nothing moves any more */
		before = left;
		for (int i = 0; i < 50; i++)
			event_base_loop(base, EVLOOP_NONBLOCK);
		left = evbuffer_get_length(bufferevent_get_output(up.last));
	} while (left != before);
	assert_true(left > size / 4);
	bufferevent_enable(c.bev, EV_READ);
	raw_until(base, evbuffer_get_length(c.got) >= size);
	assert_non_null(strstr(raw_got(&c), "\r\n\r\n"));
	size_t head = (size_t)(strstr(c.text, "\r\n\r\n") + 4 - c.text);
	raw_until(base, done.count == 1 && evbuffer_get_length(c.got) >= head + size);
	raw_got(&c);
	assert_memory_equal(c.text + head, body + n, size);
	free(body);
}

/* None of these reaches an endpoint, and none keeps the next client from being served. */
static void
test_bad_requests(void **state)
{
	static const struct {
		const char *bytes, *answer;
	} rows[] = {{"POST /v1/messages HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}", "401"},
	    {"POST /v1/messages HTTP/1.1\r\nx-api-key: sk-test-dummy-a\r\ncontent-length: 2\r\n\r\n{}",
		"401"},
	    {"PUT /v1/messages HTTP/1.1\r\nx-api-key: " TOKEN "\r\ncontent-length: 2\r\n\r\n{}", "405"},
	    {"GET /v1/messages HTTP/1.1\r\nx-api-key: " TOKEN "\r\n\r\n", "405"},
	    {"POST /v1/files HTTP/1.1\r\nx-api-key: " TOKEN "\r\ncontent-length: 2\r\n\r\n{}", "404"},
	    {"GET /v1/models/../messages HTTP/1.1\r\nx-api-key: " TOKEN "\r\n\r\n", "404"},
	    {"GET http://127.0.0.1/v1/models HTTP/1.1\r\nx-api-key: " TOKEN "\r\n\r\n", "404"},
	    {"POST /v1/messages HTTP/1.1\r\nx-api-key: " TOKEN "\r\ncontent-length: 99999999\r\n\r\n{}",
		"413"},
	    {"POST /v1/messages HTTP/1.1\r\nx-api-key: " TOKEN "\r\ncontent-length: -1\r\n\r\n{}", "400"},
	    {"POST /v1/messages HTTP/1.1\r\nno colon\r\n\r\n", "400"}, {"BREW / HTTP/1.1\r\n\r\n", ""},
	    {"\r\n\r\n\r\n", ""}, {"GET", ""},
	    {"POST /v1/messages HTTP/1.1\r\nx-api-key: " TOKEN "\r\ncontent-length: 50\r\n\r\n{", ""}};

	(void)state;
	use("a", "");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		raw_send(&c, rows[i].bytes, strlen(rows[i].bytes));
		if (rows[i].answer[0] != '\0') {
			char line[32];

			snprintf(line, sizeof(line), "HTTP/1.1 %s ", rows[i].answer);
			raw_until(base, got(line));
		}
		raw_client_clear(&c);
		raw_connect(&c, base, port);
	}
	assert_int_equal(up.requests, 0);
	static const char hello[] = "HEAD / HTTP/1.1\r\n\r\nHEAD /api/hello HTTP/1.1\r\n\r\n";

	raw_send(&c, hello, strlen(hello));
	raw_until(base, got("HTTP/1.1 200"));
	raw_answer(&up, FINE, RAW_KEEP);
	post();
	raw_until(base, got("output_tokens"));
}

static void
test_header_flood(void **state)
{
	char line[1024] = "GET /v1/models HTTP/1.1\r\n";

	(void)state;
	use("a", "");
	raw_send(&c, line, strlen(line));
	memset(line, 'h', sizeof(line));
	memcpy(line + 8, ": ", 2);
	memcpy(line + sizeof(line) - 2, "\r\n", 2);
	for (int i = 0; i < 100; i++)
		raw_send(&c, line, sizeof(line));
	raw_until(base, c.ended || got("HTTP/1.1 4"));
	assert_int_equal(up.requests, 0);
}

/* What is left of a budget is reserved by a request under way: the next one waits for its end, and goes on.
 */
static void
test_waits_for_a_budget(void **state)
{
	struct raw_client other;

	(void)state;
	use("a", "");
	/* A guess for a first request is 0.02 USD; what it costs is 0.012. */
	assert_int_equal(
	    gateway_set_budget(g, "25/em1/w1", true, (struct amount){.nusd = 15000000}, (struct amount){0}),
	    0);
	raw_answer(&up, NULL, RAW_HANG);
	raw_answer(&up, FINE, RAW_KEEP);
	post();
	raw_until(base, up.requests == 1 && up.last != NULL);
	raw_connect(&other, base, port);
	post_to(&other, "/v1/messages", "", BODY);
	raw_until(
	    base, strstr(notes, "waits: requests under way may use up the budget of 25/em1/w1") != NULL);
	assert_int_equal(up.requests, 1);
	bufferevent_write(up.last, FINE, strlen(FINE));
	raw_until(base, done.count == 2 && strstr(raw_got(&other), "output_tokens") != NULL);
	assert_int_equal(done.status, 200);
	/* Now it is spent. */
	post();
	raw_until(base, got("HTTP/1.1 402"));
	assert_int_equal(up.requests, 2);
	raw_client_clear(&other);
}

static void
answer_200(struct evhttp_request *req, void *arg)
{
	(void)arg;
	evhttp_send_reply(req, 200, NULL, NULL);
}

/* An endpoint that nobody listens at is set aside, looked at again, and used when it answers: both are said.
 */
static void
test_comes_back(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	struct evhttp *http = evhttp_new(base);
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char number[16];

	(void)state;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0); /* its own, and refused */
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
	snprintf(number, sizeof(number), "%u", (unsigned)ntohs(a.sin_port));
	configure("a", number, "");
	gateway_probe(g);
	raw_until(base, strstr(notes, "set aside, next look in 5 s") != NULL);
	assert_null(strstr(notes, "answers again"));
	assert_int_equal(listen(fd, 16), 0);
	evhttp_set_gencb(http, answer_200, NULL);
	assert_int_equal(evhttp_accept_socket(http, fd), 0);
	raw_until(base, strstr(notes, "key a: its endpoint answers again\n") != NULL);
	post();
	raw_until(base, done.count == 1);
	assert_int_equal(done.status, 200);
	evhttp_free(http);
}

/* The bytes of requests that are held for all clients have a limit: one more is told to come back, those that
 * are held are answered, and when they have gone there is room again. */
static void
test_held_bytes(void **state)
{
	size_t size = 700 << 10;
	char *body = xmalloc(size + 1);
	struct raw_client other;

	(void)state;
	memset(body, ' ', size);
	memcpy(body, BODY, strlen(BODY));
	body[size] = '\0';
	use("a", "");
	gateway_set_limits(g, &(struct conns_limits){16, 60000, 1 << 20});
	raw_answer(&up, NULL, RAW_HANG);
	raw_answer(&up, FINE, RAW_KEEP);
	post_to(&c, "/v1/messages", "", body);
	raw_until(base, up.requests == 1 && up.last != NULL);
	raw_connect(&other, base, port);
	post_to(&other, "/v1/messages", "", body);
	raw_until(base, other.ended || strstr(raw_got(&other), "retry-after: 1\r\n") != NULL);
	if (!other.ended ||
	    strlen(raw_got(&other)) > 0) /* the answer is a courtesy: a reset may overtake it */
		assert_memory_equal(raw_got(&other), "HTTP/1.1 503 ", 13);
	assert_int_equal(up.requests, 1);
	raw_client_clear(&other);
	bufferevent_write(up.last, FINE, strlen(FINE));
	raw_until(base, done.count == 1 && got("output_tokens"));
	raw_connect(&other, base, port);
	post_to(&other, "/v1/messages", "", body);
	raw_until(base, done.count == 2);
	assert_int_equal(done.status, 200);
	raw_client_clear(&other);
	free(body);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_passes_and_counts), T(test_model_of_the_configuration),
	    T(test_proxies), T(test_quota_hops_unseen), T(test_all_spent_is_said_once),
	    T(test_burst_is_waited_out), T(test_refused_key_hops), T(test_faults_before_an_answer_hop),
	    T(test_alone_the_fault_is_told), T(test_nobody_listens), T(test_cut_is_a_cut),
	    T(test_answers_without_end), T(test_client_that_leaves), T(test_attempt_that_ends),
	    T(test_pipelining), T(test_client_that_does_not_read), T(test_bad_requests), T(test_header_flood),
	    T(test_waits_for_a_budget), T(test_comes_back), T(test_held_bytes)};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
