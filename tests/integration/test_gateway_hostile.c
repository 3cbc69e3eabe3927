/*
 * gateway_hostile: the real orch-gateway against clients and endpoints that are slow, greedy or lie. None of
 * them may stop it from serving the next, take its memory, or learn a key.
 */
#include "common/alloc.h"
#include "tests/helper/lib/gatewayproc.h"
#include "tests/helper/lib/rawhttp.h"
#include "tests/helper/lib/test.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY "sk-test-dummy-a"
#define BODY                                                                                                 \
	"{\"model\":\"claude-opus-5-5\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":"       \
	"\"whisper\"}]}"
#define USAGE "{\"model\":\"claude-opus-5-5\",\"usage\":{\"input_tokens\":500,\"output_tokens\":600}}"
#define FINE                                                                                                 \
	"HTTP/1.1 200 OK\r\nrequest-id: req_9\r\ncontent-type: application/json\r\ncontent-length: "         \
	"76\r\n\r\n" USAGE
#define STALLED 8
#define STALLED_BYTES (32u << 20)
#define STALLED_RSS_KIB (64l << 10)

static struct event_base *base;
static struct raw_server up;
static struct raw_client c;
static struct gatewayproc gw;

static void
start(const char *const *extra)
{
	char *configs = xasprintf("[{\"name\":\"a\",\"apiKey\":\"" KEY "\",\"env\":{\"ANTHROPIC_BASE_URL\":"
				  "\"http://127.0.0.1:%u\",\"API_TIMEOUT_MS\":\"700\"}}]",
	    up.port);

	gatewayproc_start(&gw, configs, 1, extra);
	raw_connect(&c, base, gw.port);
	free(configs);
}

static int
setup(void **state)
{
	(void)state;
	base = event_base_new();
	raw_serve(&up, base);
	return 0;
}

static int
teardown(void **state)
{
	int status;

	(void)state;
	raw_client_clear(&c);
	status = gatewayproc_stop(&gw);
	raw_server_clear(&up);
	event_base_free(base);
	return status; /* it ends well, whatever was done to it */
}

static void
again(void)
{
	raw_client_clear(&c);
	raw_connect(&c, base, gw.port);
}

static void
post(struct raw_client *client)
{
	char *text = xasprintf("POST /v1/messages HTTP/1.1\r\nx-api-key: %s\r\ncontent-length: %zu\r\n\r\n%s",
	    gw.tokens[0], strlen(BODY), BODY);

	raw_send(client, text, strlen(text));
	free(text);
}

static bool
got(const char *what)
{
	return strstr(raw_got(&c), what) != NULL;
}

static void
is_served(void)
{
	again();
	up.count = up.used = 0;
	raw_answer(&up, FINE, RAW_KEEP);
	post(&c);
	raw_until(base, got("output_tokens"));
}

/* Says a byte every 20 ms, for as long as it may. */
struct drip {
	struct event *timer;
	struct bufferevent **bev; /* NULL behind it: closed meanwhile */
	const char *bytes;
	size_t at;
};

static void
on_drip(evutil_socket_t fd, short what, void *arg)
{
	struct drip *d = arg;

	(void)fd;
	(void)what;
	if (*d->bev == NULL)
		return;
	bufferevent_write(*d->bev, d->bytes + d->at, 1);
	d->at = d->bytes[d->at + 1] == '\0' ? d->at : d->at + 1; /* the last one again and again */
}

static void
drip_start(struct drip *d, struct bufferevent **bev, const char *bytes)
{
	struct timeval tv = {.tv_usec = 20000};

	*d = (struct drip){.bev = bev, .bytes = bytes};
	d->timer = event_new(base, -1, EV_PERSIST, on_drip, d);
	event_add(d->timer, &tv);
}

static void
test_slow_requests(void **state)
{
	static const char *const slow[] = {"GET /v1/models HTTP/1.1\r\nx",
	    "POST /v1/messages HTTP/1.1\r\ncontent-length: 9999\r\n\r\n{", "G", "\r\n"};
	static const char *const extra[] = {"--request-time", "150", NULL};

	(void)state;
	start(extra);
	for (size_t i = 0; i < sizeof(slow) / sizeof(slow[0]); i++) {
		struct drip d;

		again();
		drip_start(&d, &c.bev, slow[i]);
		raw_until(base, c.ended);
		event_free(d.timer);
		/* said in one piece, and then nothing more */
		again();
		raw_send(&c, slow[i], strlen(slow[i]));
		raw_until(base, c.ended);
	}
	assert_int_equal(up.requests, 0);
	is_served();
	/* A connection between two requests is not slow. */
	raw_answer(&up, FINE, RAW_KEEP);
	for (int i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_ONCE); /* of 100 ms each: the server's own tick */
	assert_false(c.ended);
	post(&c);
	raw_until(base, up.requests == 2);
}

static void
test_connection_cap(void **state)
{
	static const char *const extra[] = {"--connections", "8", NULL};
	struct raw_client many[16];
	unsigned ended = 0, first = 0;

	(void)state;
	start(extra);
	is_served();
	for (size_t i = 0; i < 16; i++)
		raw_connect(&many[i], base, gw.port);
	do {
		event_base_loop(base, EVLOOP_ONCE);
		ended = 0;
		for (size_t i = 0; i < 16; i++)
			ended += many[i].ended;
	} while (ended < 9);
	for (size_t i = 0; i < 16; i++)
		first += many[i].ended && strstr(raw_got(&many[i]), "503") != NULL;
	assert_int_equal(first, 9); /* 8 in all, of which c is one */
	assert_false(c.ended);
	for (size_t i = 0; i < 16; i++)
		raw_client_clear(&many[i]);
	is_served();
}

/* Each leaves 32 MB lying; what they leave may not be held here. */
static void
test_clients_that_never_read(void **state)
{
	char *body = xmalloc(STALLED_BYTES + 128);
	int n = sprintf(body, "HTTP/1.1 200 OK\r\ncontent-length: %u\r\n\r\n", STALLED_BYTES);
	struct raw_client many[STALLED];
	long rss, before;

	(void)state;
	memset(body + n, 'x', STALLED_BYTES);
	body[(size_t)n + STALLED_BYTES] = '\0';
	start(NULL);
	is_served();
	rss = gatewayproc_rss(&gw);
	up.count = up.used = 0;
	for (size_t i = 0; i < STALLED; i++) {
		raw_answer(&up, body, RAW_HANG);
		raw_connect(&many[i], base, gw.port);
		post(&many[i]);
		bufferevent_disable(many[i].bev, EV_READ);
	}
	raw_until(base, up.requests == STALLED + 1);
	do {
		before = gatewayproc_rss(&gw);
		event_base_loop(base, EVLOOP_ONCE);
	} while (gatewayproc_rss(&gw) != before);
	if (before - rss > STALLED_RSS_KIB)
		fail_msg("%ld KiB with %d stalled clients, %ld before", before, STALLED, rss);
	is_served();
	/* They go, and so does what was asked for them. */
	for (size_t i = 0; i < STALLED; i++)
		raw_client_clear(&many[i]);
	raw_until(base, up.gone >= STALLED);
	free(body);
}

static void
test_garbage(void **state)
{
	unsigned char bytes[512];
	unsigned seed = 7;

	(void)state;
	start(NULL);
	for (int i = 0; i < 200; i++) {
		size_t n = 1 + (seed >> 8) % sizeof(bytes);

		for (size_t k = 0; k < n; k++)
			bytes[k] = (unsigned char)((seed = seed * 1103515245u + 12345u) >> 16);
		if (i % 2 == 0)
			memcpy(bytes, "POST / HTTP/1.1\r\n", n < 17 ? n : 17);
		again();
		raw_send(&c, (char *)bytes, n);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	assert_int_equal(up.requests, 0);
	is_served();
}

/* What the endpoint says of its answer's length cannot make the client and us disagree. */
static void
test_lies_about_lengths(void **state)
{
	static const char *const lies[] = {
	    "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfourHTTP/1.1 200 OK\r\n\r\nPLANTED",
	    "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n"
	    "20\r\nfourHTTP/1.1 200 OK\r\nx: 1\r\n\r\nBAD\r\n0\r\n\r\n",
	    "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 44\r\n\r\nfourHTTP/1.1 200 "
	    "OK\r\n\r\nPLANTED",
	    "HTTP/1.1 200 OK\r\ncontent-length: -4\r\n\r\nfour",
	    "HTTP/1.1 200 OK\r\ncontent-length: 4x\r\n\r\nfour",
	    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nfour",
	    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nfour",
	    "HTTP/1.1 204 No\r\ncontent-length: 4\r\n\r\nfour",
	    "HTTP/1.1 101 Switch\r\nupgrade: x\r\n\r\nfour", "HTTP/1.1 20 OK\r\n\r\n",
	    "HTTP/9.9 200 OK\r\n\r\nfour", "HTTP/1.1 999 X\r\ncontent-length: 0\r\n\r\n"};

	(void)state;
	start(NULL);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		again();
		up.count = up.used = 0;
		raw_answer(&up, lies[i], RAW_CLOSE);
		raw_answer(&up, FINE, RAW_CLOSE);
		post(&c);
		raw_until(base, c.ended || got("\r\n\r\n"));
		for (int turn = 0; turn < 3; turn++)
			event_base_loop(base, EVLOOP_NONBLOCK);
		if (strncmp(raw_got(&c), "HTTP/1.1 ", 9) != 0 || got("HTTP/1.1 0") || got("4x"))
			fail_msg("lie %zu: %s", i, raw_got(&c));
		if (strcasestr(raw_got(&c), "content-length: 4\r\n") != NULL &&
		    (got("BAD") || got("PLANTED")))
			fail_msg("lie %zu: two answers: %s", i, raw_got(&c));
		is_served(); /* two faults in a row would set the key aside */
	}
}

/* The first byte's time is the whole head's: lines that drip in do not begin it anew. */
static void
test_head_that_drips(void **state)
{
	struct drip d;

	(void)state;
	start(NULL);
	raw_answer(&up, "HTTP/1.1 200 OK\r\n", RAW_HANG);
	post(&c);
	raw_until(base, up.last != NULL);
	drip_start(&d, &up.last, "x: 1\r\ny: 2\r\nz: 3333333333");
	raw_until(base, got("HTTP/1.1 504"));
	event_free(d.timer);
	assert_true(got("no answer within 700 ms"));
	is_served();
}

static void
test_client_that_dies(void **state)
{
	struct timespec from, to;
	long ms;

	(void)state;
	start(NULL);
	raw_answer(&up, "HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\nbegun", RAW_HANG);
	post(&c);
	raw_until(base, got("begun"));
	clock_gettime(CLOCK_MONOTONIC, &from);
	raw_client_clear(&c);
	raw_until(base, up.gone == 1);
	clock_gettime(CLOCK_MONOTONIC, &to);
	ms = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
	print_message("the endpoint's connection was closed %ld ms after its client's\n", ms);
	raw_connect(&c, base, gw.port);
}

static void
has_no(const char *path, const char *secret)
{
	char *text, name[64];

	snprintf(name, sizeof(name), "/proc/%d/%s", (int)gw.pid, path);
	text = gatewayproc_read(path[0] == '/' ? path : name);
	for (char *p = text; *p != '\0'; p++)
		if (strncmp(p, secret, strlen(secret)) == 0)
			fail_msg("%s holds %s", path, secret);
	free(text);
}

static void
test_what_is_written_down(void **state)
{
	char *log, *line;

	(void)state;
	start(NULL);
	is_served();
	do {
		event_base_loop(base, EVLOOP_ONCE);
		log = gatewayproc_read(gw.request_log);
		line = strstr(log, "\"request_id\":\"req_9\"");
		if (line == NULL)
			free(log);
	} while (line == NULL);
	assert_non_null(strstr(log, "\"status\":200"));
	assert_non_null(strstr(log, "\"input\":500,\"output\":600"));
	assert_non_null(strstr(log, "\"usd\":0.014"));
	assert_null(strstr(log, "whisper"));
	free(log);
	has_no(gw.request_log, KEY);
	has_no(gw.request_log, gw.tokens[0]);
	has_no(gw.log, KEY);
	has_no(gw.log, gw.tokens[0]);
	has_no("cmdline", KEY);
	has_no("environ", KEY);
}

/* What only looks like keys leaves the last good ones in force. */
static void
test_reload(void **state)
{
	char *log;

	(void)state;
	start(NULL);
	is_served();
	gatewayproc_configure(&gw, "[{\"name\":\"b\",\"apiKey\":\"" KEY "\",\"nonsense\":1}]");
	kill(gw.pid, SIGHUP);
	for (bool told = false; !told;) {
		event_base_loop(base, EVLOOP_ONCE);
		log = gatewayproc_read(gw.log);
		told = strstr(log, "the keys stay as they were") != NULL;
		free(log);
	}
	is_served();
}

static void
test_budget(void **state)
{
	static const char *const extra[] = {"--budget", "1", NULL};

	(void)state;
	start(extra);
	is_served(); /* 1.4 cents */
	post(&c);
	raw_until(base, got("HTTP/1.1 402"));
	assert_true(got("orch_budget") && got("x-should-retry: false"));
	assert_true(got("nothing is left of the budget of attempt-1: 0.0140 of 0.0100 USD"));
	assert_int_equal(up.requests, 1);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_slow_requests), T(test_connection_cap),
	    T(test_clients_that_never_read), T(test_garbage), T(test_lies_about_lengths),
	    T(test_head_that_drips), T(test_client_that_dies), T(test_what_is_written_down), T(test_reload),
	    T(test_budget)};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
