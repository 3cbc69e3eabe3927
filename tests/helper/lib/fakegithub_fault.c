/* fakegithub_fault: how the fake GitHub fails: see fakegithub.h. */
#include "tests/helper/lib/fakegithub_impl.h"

#include "common/alloc.h"
#include "tests/helper/lib/test.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/util.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PIECE 16
#define PIECE_US 1000

void
fakegithub_fault(struct fakegithub *g, const struct fakegithub_fault *f)
{
	assert_true(g->fault_count < FAKEGITHUB_FAULTS_MAX);
	g->faults[g->fault_count++] = *f;
}

struct fakegithub_fault *
fakegithub_fault_of(struct fakegithub_call *c)
{
	for (size_t i = 0; i < c->g->fault_count; i++) {
		struct fakegithub_fault *f = &c->g->faults[i];

		if (f->times == 0 || (f->method != NULL && strcmp(f->method, c->method) != 0) ||
		    (f->path != NULL && strstr(c->path, f->path) == NULL))
			continue;
		if (f->skip > 0) {
			f->skip--;
			continue;
		}
		f->times--;
		f->met++;
		return f;
	}
	return NULL;
}

static int
socket_of(struct fakegithub_call *c)
{
	return bufferevent_getfd(evhttp_connection_get_bufferevent(evhttp_request_get_connection(c->req)));
}

static void
on_drop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	evhttp_connection_free(arg);
}

/* Not from within the request's own callback, which is not done with the connection. */
static void
drop(struct fakegithub_call *c, bool reset)
{
	const struct linger hard = {1, 0};
	const struct timeval now = {0, 0};

	if (reset)
		setsockopt(socket_of(c), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	event_base_once(
	    c->g->loop->base, -1, EV_TIMEOUT, on_drop, evhttp_request_get_connection(c->req), &now);
}

bool
fakegithub_fault_instead(struct fakegithub_call *c)
{
	const struct fakegithub_fault *f = c->fault;
	json_t *j;
	char *text;

	if (f == NULL || (f->kind != FAKEGITHUB_RESET && f->kind != FAKEGITHUB_ANSWER))
		return false;
	if (f->kind == FAKEGITHUB_RESET) {
		drop(c, true);
		return true;
	}
	j = json_pack("{s:s}", "message", f->message == NULL ? "no" : f->message);
	text = json_dumps(j, 0);
	c->fault = NULL;
	fakegithub_answer_text(
	    c, f->status, f->headers, "application/json; charset=utf-8", text, strlen(text));
	free(text);
	json_decref(j);
	return true;
}

struct slow {
	struct evhttp_request *req; /* NULL: the other end has gone */
	struct event *timer;
	char *text;
	size_t size, at;
};

static void
slow_free(struct slow *s)
{
	event_free(s->timer);
	free(s->text);
	free(s);
}

static void
on_slow_close(struct evhttp_connection *conn, void *arg)
{
	(void)conn;
	((struct slow *)arg)->req = NULL;
}

static void
on_slow(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval soon = {0, PIECE_US};
	struct slow *s = arg;
	struct evbuffer *b;
	size_t n = s->size - s->at < PIECE ? s->size - s->at : PIECE;

	(void)fd;
	(void)what;
	if (s->req == NULL) {
		slow_free(s);
		return;
	}
	if (n == 0) {
		evhttp_connection_set_closecb(evhttp_request_get_connection(s->req), NULL, NULL);
		evhttp_send_reply_end(s->req);
		slow_free(s);
		return;
	}
	b = evbuffer_new();
	evbuffer_add(b, s->text + s->at, n);
	s->at += n;
	evhttp_send_reply_chunk(s->req, b);
	evbuffer_free(b);
	event_add(s->timer, &soon);
}

static void
begin_slow(struct fakegithub_call *c, int status, const char *text, size_t size)
{
	const struct timeval soon = {0, PIECE_US};
	struct slow *s = xcalloc(1, sizeof(*s));

	s->req = c->req;
	s->text = xcalloc(1, size + 1);
	memcpy(s->text, text, size);
	s->size = size;
	s->timer = evtimer_new(c->g->loop->base, on_slow, s);
	evhttp_connection_set_closecb(evhttp_request_get_connection(c->req), on_slow_close, s);
	evhttp_send_reply_start(c->req, status, "X");
	event_add(s->timer, &soon);
}

bool
fakegithub_fault_answer(struct fakegithub_call *c, int status, const char *headers, const char *type,
    const char *text, size_t size)
{
	char *bytes;

	(void)headers;
	if (c->fault == NULL)
		return false;
	if (c->fault->kind == FAKEGITHUB_SLOW) {
		evhttp_add_header(evhttp_request_get_output_headers(c->req), "Content-Type", type);
		begin_slow(c, status, text, size);
		return true;
	}
	if (c->fault->kind == FAKEGITHUB_CUT) {
		bytes = xasprintf("HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%.*s",
		    status, type, size + 10, (int)(size / 2), text);
		(void)!send(socket_of(c), bytes, strlen(bytes), MSG_NOSIGNAL);
		free(bytes);
	}
	drop(c, c->fault->kind == FAKEGITHUB_LOST); /* a reset would take back what was sent */
	return true;
}
