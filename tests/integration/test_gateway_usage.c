/*
 * gateway_usage: requests by the hundred through the real orch-gateway to an endpoint with faults: streams
 * that are cut or fail within, answers in one piece that are cut, refusals and resets that make a request
 * hop, count_tokens. What the request log says of each must be, to the token, what the endpoint knows that it
 * said.
 *
 *     integration_gateway_usage [REQUESTS [SEED]]        1000 without
 */
#include "common/alloc.h"
#include "common/json.h"
#include "tests/helper/lib/gatewayproc.h"
#include "tests/helper/lib/rawhttp.h"
#include "tests/helper/lib/test.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define AT_ONCE 8
#define REQUESTS 1000
#define REQUESTS_MAX 100000
#define MODEL "claude-opus-5-5"

/* What was said in answer n: cut: more was to come. */
struct said {
	bool known, cut;
	json_int_t input, output, read, write, hour;
	unsigned seen; /* lines of the log that speak of it */
};

enum kind { STREAM, STREAM_CUT, STREAM_ERROR, WHOLE, WHOLE_CUT, COUNT, REFUSAL, RESET, CLOSE, KINDS };
static const char *const kind_names[] = {"streams", "streams cut", "streams with an error", "in one piece",
    "in one piece, cut", "count_tokens", "refused 500 or 529", "reset", "closed"};

static struct {
	struct event_base *base;
	struct said *said; /* by the number of the answer */
	unsigned answers, room, kinds[KINDS];
	unsigned good[2]; /* answers of this key since one that broke off */
	unsigned long seed;
} up;

static unsigned
draw(unsigned below)
{
	up.seed = up.seed * 6364136223846793005ul + 1442695040888963407ul;
	return (unsigned)(up.seed >> 33) % below;
}

/* An evbuffer as chunks of sizes that fall anywhere. last: and their end. */
static void
put_chunks(struct evbuffer *out, struct evbuffer *body, bool last)
{
	size_t left;

	while ((left = evbuffer_get_length(body)) > 0) {
		size_t n = 1 + draw(left < 300 ? (unsigned)left : 300);

		evbuffer_add_printf(out, "%zx\r\n", n);
		evbuffer_remove_buffer(body, out, n);
		evbuffer_add(out, "\r\n", 2);
	}
	if (last)
		evbuffer_add_printf(out, "0\r\n\r\n");
}

static char *
usage_text(const struct said *s)
{
	return xasprintf(
	    "{\"input_tokens\":%lld,\"cache_creation_input_tokens\":%lld,\"cache_read_input_tokens\":%lld,"
	    "\"cache_creation\":{\"ephemeral_5m_input_tokens\":%lld,\"ephemeral_1h_input_tokens\":%lld},"
	    "\"output_tokens\":%lld}",
	    (long long)s->input, (long long)s->write, (long long)s->read, (long long)(s->write - s->hour),
	    (long long)s->hour, (long long)s->output);
}

static void
put_stream(struct evbuffer *out, struct said *s, unsigned number, enum kind kind)
{
	struct evbuffer *body = evbuffer_new();
	json_int_t output = s->output;
	unsigned deltas = draw(20);
	char *usage;

	s->output = 1 + draw(5);
	usage = usage_text(s);
	evbuffer_add_printf(out,
	    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nrequest-id: req_%u\r\n"
	    "transfer-encoding: chunked\r\n\r\n",
	    number);
	evbuffer_add_printf(body,
	    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"" MODEL
	    "\",\"usage\":%s}}\n\n: a comment\n\n",
	    usage);
	for (unsigned i = 0; i < deltas; i++)
		evbuffer_add_printf(body,
		    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":"
		    "\"%u \\\"usage\\\":{\\\"output_tokens\\\":9}\"}}\n\nevent: ping\r\ndata: {}\r\n\r\n",
		    i);
	/* Each message_delta has all so far; the last one counts. */
	for (unsigned i = draw(3); kind == STREAM && i > 0; i--)
		evbuffer_add_printf(body,
		    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{"
		    "\"output_tokens\":%lld}}\n\n",
		    (long long)(output / 2));
	if (kind == STREAM_ERROR)
		evbuffer_add_printf(body, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
					  "\"overloaded_error\",\"message\":\"x\"}}\n\n");
	if (kind == STREAM) {
		s->output = output;
		evbuffer_add_printf(body,
		    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
		    "\"end_turn\"},\"usage\":{\"output_tokens\":%lld}}\n\nevent: message_stop\ndata: "
		    "{\"type\":"
		    "\"message_stop\"}\n\n",
		    (long long)output);
	}
	s->known = true;
	s->cut = kind != STREAM;
	put_chunks(out, body, kind != STREAM_CUT);
	evbuffer_free(body);
	free(usage);
}

/* Where it is cut, the usage has been said already, or not yet. */
static void
put_whole(struct evbuffer *out, struct said *s, unsigned number, bool cut)
{
	bool first = draw(2) == 0;
	char *usage = usage_text(s), *text;

	text = xasprintf("{\"model\":\"" MODEL
			 "\",%s%s%s\"content\":[{\"type\":\"text\",\"text\":\"\\\"usage\\\":{}\"}]%s%s}",
	    first ? "\"usage\":" : "", first ? usage : "", first ? "," : "",
	    first ? "" : ",\"usage\":", first ? "" : usage);
	evbuffer_add_printf(out,
	    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_%u\r\n"
	    "content-length: %zu\r\n\r\n",
	    number, strlen(text));
	evbuffer_add(out, text, strlen(text) - (cut ? 3 : 0));
	s->known = !cut || first;
	s->cut = cut;
	if (!s->known)
		*s = (struct said){.cut = true};
	free(usage);
	free(text);
}

static void
put_refusal(struct evbuffer *out, unsigned number)
{
	static const char text[] =
	    "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"no\"}}";

	evbuffer_add_printf(out,
	    "HTTP/1.1 %d X\r\ncontent-type: application/json\r\nrequest-id: req_%u\r\ncontent-length: "
	    "%zu\r\n\r\n%s",
	    draw(2) == 0 ? 500 : 529, number, strlen(text), text);
}

static bool
is_fault(enum kind kind)
{
	return kind == STREAM_CUT || kind == WHOLE_CUT || kind == RESET || kind == CLOSE;
}

static enum kind
draw_kind(const char *path, unsigned key)
{
	enum kind kind = (enum kind)draw(KINDS);

	if (strncmp(path, "/v1/messages/count_tokens", 25) == 0)
		return COUNT;
	/* Two in a row that break off would set the key aside, and what is under way is in no order. */
	if (kind == COUNT || (is_fault(kind) && up.good[key] < 2 * AT_ONCE))
		kind = draw(2) == 0 ? STREAM : WHOLE;
	up.good[key] = is_fault(kind) ? 0 : up.good[key] + 1;
	return kind;
}

static void
close_it(struct bufferevent *bev, bool reset)
{
	struct linger now = {1, 0};

	if (reset)
		setsockopt(bufferevent_getfd(bev), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	bufferevent_free(bev);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	(void)arg;
	close_it(bev, false);
}

static void
on_gone(struct bufferevent *bev, short what, void *arg)
{
	(void)what;
	(void)arg;
	bufferevent_free(bev);
}

static void
answer(struct bufferevent *bev, const char *path, unsigned key)
{
	struct evbuffer *out = bufferevent_get_output(bev);
	enum kind kind = draw_kind(path, key);
	unsigned number = up.answers++;
	struct said *s = &up.said[number];

	assert_true(number < up.room);
	*s = (struct said){
	    .input = draw(100000), .output = 10 + draw(30000), .read = draw(200000), .write = draw(9000)};
	s->hour = draw((unsigned)s->write + 1);
	up.kinds[kind]++;
	if (kind <= STREAM_ERROR) {
		put_stream(out, s, number, kind);
	} else if (kind <= WHOLE_CUT) {
		put_whole(out, s, number, kind == WHOLE_CUT);
	} else {
		*s = (struct said){0};
		if (kind == REFUSAL)
			put_refusal(out, number);
		if (kind == COUNT)
			evbuffer_add_printf(out,
			    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_%u\r\n"
			    "content-length: 20\r\n\r\n{\"input_tokens\":999}",
			    number);
	}
	if (kind == STREAM_CUT || kind == WHOLE_CUT)
		bufferevent_setcb(bev, NULL, on_written, on_gone, NULL);
	if (kind == RESET || kind == CLOSE)
		close_it(bev, kind == RESET);
}

static void
on_request(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	size_t size = evbuffer_get_length(in);
	const char *text = (const char *)evbuffer_pullup(in, -1), *end, *length;

	(void)arg;
	end = memmem(text, size, "\r\n\r\n", 4);
	if (end == NULL)
		return;
	if (strncmp(text, "HEAD ", 5) == 0) {
		evbuffer_drain(in, size);
		evbuffer_add_printf(
		    bufferevent_get_output(bev), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
		return;
	}
	length = memmem(text, size, "Content-Length: ", 16);
	assert_non_null(length);
	if (size < (size_t)(end - text) + 4 + strtoul(length + 16, NULL, 10))
		return;
	unsigned key = memmem(text, size, "sk-test-dummy-b", 15) != NULL;
	char path[64] = "";
	sscanf(text, "POST %63s", path);
	evbuffer_drain(in, size);
	answer(bev, path, key);
}

static void
on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *a, int size, void *arg)
{
	struct bufferevent *bev =
	    bufferevent_socket_new(up.base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);

	(void)l;
	(void)a;
	(void)size;
	(void)arg;
	bufferevent_setcb(bev, on_request, NULL, on_gone, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static struct evconnlistener *
serve(unsigned *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(a);
	struct evconnlistener *l = evconnlistener_new_bind(up.base, on_accept, NULL,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 64, (struct sockaddr *)&a, size);

	assert_non_null(l);
	assert_int_equal(getsockname(evconnlistener_get_fd(l), (struct sockaddr *)&a, &size), 0);
	*port = ntohs(a.sin_port);
	return l;
}

static void
send_one(struct raw_client *c, const struct gatewayproc *gw, unsigned n)
{
	static const char body[] = "{\"model\":\"" MODEL "\",\"stream\":true,\"messages\":[]}";
	char *text = xasprintf("POST /v1/messages%s HTTP/1.1\r\nconnection: close\r\nx-api-key: %s\r\n"
			       "content-length: %zu\r\n\r\n%s",
	    n % 10 == 7 ? "/count_tokens" : "", gw->tokens[n % gw->attempts], sizeof(body) - 1, body);

	raw_connect(c, up.base, gw->port);
	raw_send(c, text, strlen(text));
	free(text);
}

static json_int_t
number(const json_t *usage, const char *name)
{
	return json_integer_value(json_object_get(usage, name));
}

/* A line of the log against what was said. Returns what it counted of tokens. */
static json_int_t
check_line(const char *text)
{
	struct said nothing = {0}, *s = &nothing;
	json_t *j = json_loads(text, 0, NULL), *u = json_object_get(j, "usage");
	json_int_t sum;
	unsigned n;

	assert_non_null(j);
	if (sscanf(json_str(j, "request_id"), "req_%u", &n) == 1) {
		assert_true(n < up.answers);
		s = &up.said[n];
		if (s->seen++ != 0)
			fail_msg("answer %u is there twice: %s", n, text);
	}
	sum = number(u, "input") + number(u, "output") + number(u, "cache_read") + number(u, "cache_write");
	if (number(u, "input") != s->input || number(u, "output") != s->output ||
	    number(u, "cache_read") != s->read || number(u, "cache_write") != s->write)
		fail_msg("it said input %lld output %lld read %lld write %lld; the log: %s",
		    (long long)s->input, (long long)s->output, (long long)s->read, (long long)s->write, text);
	if (s->known && json_is_true(json_object_get(u, "at_least")) != s->cut)
		fail_msg("%s, the log: %s", s->cut ? "it was cut" : "it was whole", text);
	json_decref(j);
	return sum;
}

static unsigned
count_lines(const char *text)
{
	unsigned n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

static unsigned requests = REQUESTS;

static void
check_log(const struct gatewayproc *gw)
{
	json_int_t counted = 0, expected = 0;
	char *log = NULL, *rest, *line;

	raw_begin();
	do {
		free(log);
		raw_once(up.base, "all lines of the log");
		log = gatewayproc_read(gw->request_log);
	} while (count_lines(log) < requests);
	assert_int_equal(count_lines(log), requests);
	rest = log;
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0')
		counted += check_line(line);
	for (unsigned i = 0; i < up.answers; i++) {
		struct said *s = &up.said[i];

		expected += s->input + s->output + s->read + s->write;
		if (s->known && s->seen != 1)
			fail_msg("answer %u is not in the log", i);
	}
	assert_int_equal(counted, expected);
	print_message("%u requests, %u answers, %lld tokens said and %lld counted\n", requests, up.answers,
	    (long long)expected, (long long)counted);
	for (unsigned i = 0; i < KINDS; i++)
		print_message("  %s: %u\n", kind_names[i], up.kinds[i]);
	free(log);
}

static void
test_to_the_token(void **state)
{
	struct raw_client clients[AT_ONCE];
	struct raw_server tick;
	struct evconnlistener *l;
	struct gatewayproc gw;
	unsigned port, sent = 0, over = 0;
	char *configs;

	(void)state;
	up.base = event_base_new();
	up.room = 3 * requests + 8;
	up.said = xcalloc(up.room, sizeof(*up.said));
	raw_serve(&tick, up.base); /* for its tick alone */
	l = serve(&port);
	configs =
	    xasprintf("[{\"name\":\"a\",\"apiKey\":\"sk-test-dummy-a\",\"env\":{\"ANTHROPIC_BASE_URL\":"
		      "\"http://127.0.0.1:%u\"}},{\"name\":\"b\",\"apiKey\":\"sk-test-dummy-b\",\"env\":{"
		      "\"ANTHROPIC_BASE_URL\":\"http://127.0.0.1:%u\"}}]",
		port, port);
	gatewayproc_start(&gw, configs, 4, (const char *const[]){"--quiet", NULL});
	for (; sent < AT_ONCE && sent < requests; sent++)
		send_one(&clients[sent], &gw, sent);
	raw_begin();
	while (over < requests) {
		raw_once(up.base, "the end of a request");
		for (unsigned i = 0; i < AT_ONCE && i < requests; i++) {
			if (clients[i].bev == NULL || !clients[i].ended)
				continue;
			raw_client_clear(&clients[i]);
			raw_begin();
			over++;
			if (sent < requests)
				send_one(&clients[i], &gw, sent++);
		}
	}
	check_log(&gw);
	assert_int_equal(gatewayproc_stop(&gw), 0);
	evconnlistener_free(l);
	raw_server_clear(&tick);
	for (int i = 0; i < 10; i++)
		event_base_loop(up.base, EVLOOP_NONBLOCK); /* connections that the gateway closed */
	event_base_free(up.base);
	free(up.said);
	free(configs);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_to_the_token)};

	if (argc > 1)
		requests = (unsigned)strtoul(argv[1], NULL, 10);
	if (requests == 0 || requests > REQUESTS_MAX)
		return 2;
	up.seed = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
