/* rawhttp: see rawhttp.h. */
#include "tests/helper/lib/rawhttp.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "tests/helper/lib/test.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define PATIENCE_MS 10000

static int64_t begun_ms;

static void
close_connection(struct raw_server *s, struct bufferevent *bev)
{
	if (s->last == bev)
		s->last = NULL;
	for (size_t i = 0; i < RAW_CONNECTIONS_MAX; i++)
		if (s->open[i] == bev)
			s->open[i] = NULL;
	bufferevent_free(bev);
}

static void
on_server_event(struct bufferevent *bev, short what, void *arg)
{
	struct raw_server *s = arg;

	if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) == 0)
		return;
	s->gone++;
	close_connection(s, bev);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	close_connection(arg, bev);
}

static void
reset(struct raw_server *s, struct bufferevent *bev)
{
	struct linger now = {1, 0};

	setsockopt(bufferevent_getfd(bev), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close_connection(s, bev);
}

static void
give_answer(struct raw_server *s, struct bufferevent *bev)
{
	struct raw_answer a = {.after = RAW_HANG};

	if (s->used < s->count)
		a = s->answers[s->used++];
	s->last = bev;
	if (a.after == RAW_RESET) {
		reset(s, bev);
		return;
	}
	if (a.after == RAW_CLOSE)
		bufferevent_setcb(bev, NULL, on_written, on_server_event, s);
	if (a.bytes != NULL)
		bufferevent_write(bev, a.bytes, a.size);
	else if (a.after == RAW_CLOSE)
		close_connection(s, bev);
}

/* The size of the request at the beginning of text, 0 when it is not whole. */
static size_t
request_size(const char *text, size_t size)
{
	const char *end = memmem(text, size, "\r\n\r\n", 4), *p;
	size_t head, body = 0;

	if (end == NULL)
		return 0;
	head = (size_t)(end - text) + 4;
	for (p = text; p < end; p++)
		if (strncasecmp(p, "\ncontent-length:", 16) == 0)
			body = strtoul(p + 16, NULL, 10);
	return size < head + body ? 0 : head + body;
}

static void
on_server_read(struct bufferevent *bev, void *arg)
{
	struct raw_server *s = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	const char *text = (const char *)evbuffer_pullup(in, -1);
	size_t n = request_size(text, evbuffer_get_length(in)), old = s->seen == NULL ? 0 : strlen(s->seen);

	if (n == 0)
		return;
	if (strncmp(text, "HEAD ", 5) == 0) {
		static const char here[] = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

		evbuffer_drain(in, n);
		s->probes++;
		bufferevent_write(bev, here, sizeof(here) - 1);
		return;
	}
	s->seen = xrealloc(s->seen, old + n + 1);
	memcpy(s->seen + old, text, n);
	s->seen[old + n] = '\0';
	evbuffer_drain(in, n);
	s->requests++;
	give_answer(s, bev);
}

static void
on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *a, int size, void *arg)
{
	struct raw_server *s = arg;
	struct bufferevent *bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);

	(void)l;
	(void)a;
	(void)size;
	for (size_t i = 0; i < RAW_CONNECTIONS_MAX; i++)
		if (s->open[i] == NULL) {
			s->open[i] = bev;
			break;
		}
	bufferevent_setcb(bev, on_server_read, NULL, on_server_event, s);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

/* So that a loop turn comes to its end, and a test that waits in vain to its own. */
static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

void
raw_serve(struct raw_server *s, struct event_base *base)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	struct timeval tick = {.tv_usec = 100000};
	socklen_t size = sizeof(a);

	memset(s, 0, sizeof(*s));
	s->base = base;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->listener = evconnlistener_new_bind(base, on_accept, s,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 64, (struct sockaddr *)&a, size);
	assert_non_null(s->listener);
	assert_int_equal(getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&a, &size), 0);
	s->port = ntohs(a.sin_port);
	s->tick = event_new(base, -1, EV_PERSIST, on_tick, NULL);
	event_add(s->tick, &tick);
}

void
raw_answer(struct raw_server *s, const char *bytes, enum raw_after after)
{
	assert_true(s->count < RAW_ANSWERS_MAX);
	s->answers[s->count++] = (struct raw_answer){bytes, bytes == NULL ? 0 : strlen(bytes), after};
}

void
raw_server_clear(struct raw_server *s)
{
	if (s->listener != NULL)
		evconnlistener_free(s->listener);
	for (size_t i = 0; i < RAW_CONNECTIONS_MAX; i++)
		if (s->open[i] != NULL)
			bufferevent_free(s->open[i]);
	if (s->tick != NULL)
		event_free(s->tick);
	free(s->seen);
	memset(s, 0, sizeof(*s));
}

static void
on_client_read(struct bufferevent *bev, void *arg)
{
	struct raw_client *c = arg;

	evbuffer_add_buffer(c->got, bufferevent_get_input(bev));
}

static void
on_client_event(struct bufferevent *bev, short what, void *arg)
{
	struct raw_client *c = arg;

	if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) == 0)
		return;
	evbuffer_add_buffer(c->got, bufferevent_get_input(bev));
	c->ended = true;
}

void
raw_connect(struct raw_client *c, struct event_base *base, unsigned port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	memset(c, 0, sizeof(*c));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->base = base;
	c->got = evbuffer_new();
	c->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(c->bev, on_client_read, NULL, on_client_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	assert_int_equal(bufferevent_socket_connect(c->bev, (struct sockaddr *)&a, sizeof(a)), 0);
}

void
raw_send(struct raw_client *c, const char *bytes, size_t size)
{
	bufferevent_write(c->bev, bytes, size);
}

const char *
raw_got(struct raw_client *c)
{
	size_t n = evbuffer_get_length(c->got);

	free(c->text);
	c->text = xmalloc(n + 1);
	evbuffer_copyout(c->got, c->text, n);
	c->text[n] = '\0';
	return c->text;
}

void
raw_client_clear(struct raw_client *c)
{
	if (c->bev != NULL)
		bufferevent_free(c->bev);
	if (c->got != NULL)
		evbuffer_free(c->got);
	free(c->text);
	memset(c, 0, sizeof(*c));
}

void
raw_begin(void)
{
	begun_ms = clock_now_ms();
}

void
raw_once(struct event_base *base, const char *what)
{
	if (clock_now_ms() - begun_ms > PATIENCE_MS)
		fail_msg("waited in vain for: %s", what);
	event_base_loop(base, EVLOOP_ONCE);
}
