/*
 * http: just enough of an HTTP/1.1 server on one port of 127.0.0.1, written on bufferevents instead of evhttp
 * because it has to lie in every way that a server can: no answer, half an answer, a reset, bytes one by one.
 */
#include "tests/helper/fakeapi/fakeapi.h"

#include "common/alloc.h"
#include "common/json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>

#define HEAD_MAX (256u << 10)
#define BODY_MAX (64u << 20)
#define SLOW_PIECE 16

struct conn {
	struct server *server;
	struct bufferevent *bev;
	struct event *timer;   /* the answer's delay, and its slow pieces */
	struct evbuffer *wait; /* what is still to be sent */
	unsigned slow_ms;
	bool answering; /* no further request is read */
	bool silent;    /* the answer ends in silence: nothing is read any more */
	bool close;     /* when all is sent */
	TAILQ_ENTRY(conn) entry;
};

struct server {
	struct event_base *base;
	struct evconnlistener *listener;
	struct scripts *scripts;
	struct record *record;
	unsigned requests;
	TAILQ_HEAD(, conn) conns;
};

static void read_request(struct conn *c);

static void
conn_free(struct conn *c)
{
	TAILQ_REMOVE(&c->server->conns, c, entry);
	event_free(c->timer);
	evbuffer_free(c->wait);
	bufferevent_free(c->bev);
	free(c);
}

static void
arm(struct conn *c, unsigned ms)
{
	struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

	event_add(c->timer, &tv);
}

/* Sends what waits, or its next piece. */
static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	if (c->slow_ms == 0) {
		bufferevent_write_buffer(c->bev, c->wait);
	} else {
		evbuffer_remove_buffer(c->wait, bufferevent_get_output(c->bev), SLOW_PIECE);
		if (evbuffer_get_length(c->wait) > 0)
			arm(c, c->slow_ms);
	}
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;

	(void)bev;
	if (!c->answering || evbuffer_get_length(c->wait) > 0 || c->silent)
		return;
	if (c->close) {
		conn_free(c);
		return;
	}
	c->answering = false;
	read_request(c);
}

/* RST instead of FIN. */
static void
reset(struct conn *c)
{
	struct linger hard = {.l_onoff = 1, .l_linger = 0};

	setsockopt(bufferevent_getfd(c->bev), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	conn_free(c);
}

/* Answers. */

static const char *
status_text(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 429:
		return "Too Many Requests";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	}
	return "Status";
}

static void
put_head(struct conn *c, int status, const char *type, const char *headers, size_t length)
{
	evbuffer_add_printf(c->wait,
	    "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nrequest-id: req_fake%u\r\n"
	    "Content-Length: %zu\r\n%s\r\n",
	    status, status_text(status), type, c->server->requests, length, headers);
}

static void
put_stream_head(struct conn *c, const struct reply *r)
{
	evbuffer_add_printf(c->wait,
	    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
	    "request-id: req_fake%u\r\nTransfer-Encoding: chunked\r\n%s\r\n",
	    c->server->requests, r->headers);
}

/* How much of a body of this size is sent under the fault; marks the connection for what follows. */
static size_t
maim(struct conn *c, enum fault fault, size_t size, size_t half)
{
	c->silent = fault == FAULT_STALL || fault == FAULT_STALL_MID;
	c->close = c->close || fault == FAULT_CUT;
	if (fault == FAULT_STALL)
		return 0;
	return fault == FAULT_STALL_MID || fault == FAULT_CUT ? half : size;
}

static void
put_stream(struct conn *c, const struct reply *r, const char *model)
{
	size_t half, sent;
	char *text = message_stream(r, model, c->server->requests, &half);

	put_stream_head(c, r);
	sent = maim(c, r->fault, strlen(text), half);
	if (sent > 0)
		evbuffer_add_printf(c->wait, "%zx\r\n%.*s\r\n", sent, (int)sent, text);
	if (sent == strlen(text))
		evbuffer_add_printf(c->wait, "0\r\n\r\n");
	free(text);
}

static void
put_json(struct conn *c, const struct reply *r, const char *model)
{
	char *text = message_json(r, model, c->server->requests);
	size_t size = strlen(text), sent = maim(c, r->fault, size, size / 2);

	put_head(c, 200, "application/json", r->headers, size);
	evbuffer_add(c->wait, text, sent);
	free(text);
}

static void
put_text(struct conn *c, int status, const char *type, const char *headers, const char *text)
{
	put_head(c, status, type, headers, strlen(text));
	evbuffer_add(c->wait, text, strlen(text));
}

static void
put_error(struct conn *c, int status, const char *headers, const char *message)
{
	char *text = message_error(status, message);

	put_text(c, status, "application/json", headers, text);
	free(text);
}

static void
put_reply(struct conn *c, const struct request *r, const struct reply *reply)
{
	const char *model = json_str(r->body, "model");

	if (model == NULL)
		model = "none";
	if (reply->body != NULL)
		put_text(
		    c, reply->status != 0 ? reply->status : 200, reply->type, reply->headers, reply->body);
	else if (reply->status != 0)
		put_error(c, reply->status, reply->headers,
		    reply->message != NULL ? reply->message : "a fault of the fake API");
	else if (reply->fault == FAULT_EMPTY)
		put_text(c, 200, "application/json", reply->headers, "");
	else if (reply->fault == FAULT_BAD_JSON)
		put_text(c, 200, "application/json", reply->headers, "{\"id\":\"msg_1\",\"type\":\"mess");
	else if (json_is_true(json_object_get(r->body, "stream")))
		put_stream(c, reply, model);
	else
		put_json(c, reply, model);
}

static void
begin_answer(struct conn *c, const struct reply *reply)
{
	c->slow_ms = reply != NULL ? reply->slow_ms : 0;
	c->answering = true;
	if (reply != NULL && reply->delay_ms > 0)
		arm(c, reply->delay_ms);
	else
		on_timer(-1, 0, c);
}

/* Only for requests of the Messages API; false when the connection is gone. */
static bool
answer_by_script(struct conn *c, const struct request *r, const char *body)
{
	struct err e = {""};
	struct script *s = scripts_find(c->server->scripts, r, &e);
	struct reply *reply = s != NULL ? script_next(s) : NULL;

	if (s != NULL && reply == NULL)
		err_set(&e, 0, "the script %s is used up", s->name);
	record_request(c->server->record, r, body, s, reply, reply == NULL ? e.msg : NULL);
	if (reply != NULL && (reply->fault == FAULT_CLOSE || reply->fault == FAULT_RESET)) {
		reply->fault == FAULT_CLOSE ? conn_free(c) : reset(c);
		return false;
	}
	if (reply != NULL && reply->fault == FAULT_HANG) {
		c->answering = c->silent = true;
		return true;
	}
	if (reply == NULL)
		put_error(c, 400, "x-should-retry: false\r\n", e.msg);
	else
		put_reply(c, r, reply);
	begin_answer(c, reply);
	return true;
}

static bool
answer(struct conn *c, const struct request *r, const char *body)
{
	const char *end = strstr(r->path, "/v1/messages");

	if (strcmp(r->method, "POST") == 0 && end != NULL && (end[12] == '\0' || end[12] == '?'))
		return answer_by_script(c, r, body);
	record_request(c->server->record, r, body, NULL, NULL, NULL);
	if (strcmp(r->method, "HEAD") == 0)
		put_head(c, 200, "text/plain", "", 0);
	else
		put_error(c, 404, "", "there is no such path here");
	begin_answer(c, NULL);
	return true;
}

/* Requests. */

/* The value of a header in a head of lines cut at CRLF, which ends with an empty one; NULL. */
static const char *
header(const char *line, const char *name)
{
	size_t n = strlen(name);

	for (; *line != '\0'; line += strlen(line) + 2)
		if (strncasecmp(line, name, n) == 0 && line[n] == ':')
			return line + n + 1 + strspn(line + n + 1, " ");
	return NULL;
}

static void
add_words(FILE *f, const json_t *content)
{
	size_t i;
	json_t *block;

	if (json_is_string(content))
		fprintf(f, "%s\n", json_string_value(content));
	json_array_foreach((json_t *)content, i, block)
	{
		const char *text = json_str(block, "text");

		if (text != NULL)
			fprintf(f, "%s\n", text);
	}
}

static char *
user_words(const json_t *body)
{
	char *words = NULL;
	size_t size, i;
	json_t *message;
	FILE *f = open_memstream(&words, &size);

	if (f == NULL)
		abort();
	fputc('\n', f); /* a first line, too, follows one */
	json_array_foreach(json_object_get(body, "messages"), i, message)
	{
		const char *role = json_str(message, "role");

		if (role != NULL && strcmp(role, "user") == 0)
			add_words(f, json_object_get(message, "content"));
	}
	fclose(f);
	return words;
}

static bool
take_request(struct conn *c, char *head, char *lines, const char *body, size_t size)
{
	struct request r = {.number = ++c->server->requests, .body_size = size};
	const char *bearer = header(lines, "Authorization"), *connection = header(lines, "Connection");
	bool alive;

	r.method = strsep(&head, " ");
	r.path = strsep(&head, " ");
	r.key = header(lines, "x-api-key");
	r.bearer = bearer != NULL;
	if (r.key == NULL && bearer != NULL)
		r.key = strncmp(bearer, "Bearer ", 7) == 0 ? bearer + 7 : bearer;
	r.session = header(lines, "X-Claude-Code-Session-Id");
	r.body = json_loadb(body, size, JSON_ALLOW_NUL, NULL);
	r.words = user_words(r.body);
	c->close = connection != NULL && strcasecmp(connection, "close") == 0;
	alive = r.path != NULL && answer(c, &r, body);
	if (r.path == NULL)
		conn_free(c);
	free(r.words);
	json_decref(r.body);
	return alive;
}

static void
cut_lines(char *text)
{
	for (char *p; (p = strstr(text, "\r\n")) != NULL; text = p + 2)
		p[0] = p[1] = '\0';
}

static void
read_request(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	size_t size, body_size;
	const char *length;
	char *head;

	if (c->answering || end.pos < 0)
		return;
	size = (size_t)end.pos + 4;
	head = xmalloc(size + 1);
	evbuffer_copyout(in, head, size);
	head[size] = '\0';
	cut_lines(head);
	length = header(head + strlen(head) + 2, "Content-Length");
	body_size = length != NULL ? (size_t)strtoull(length, NULL, 10) : 0;
	if (body_size <= BODY_MAX && evbuffer_get_length(in) >= size + body_size) {
		char *body = xmalloc(body_size + 1);

		evbuffer_drain(in, size);
		evbuffer_remove(in, body, body_size);
		body[body_size] = '\0';
		take_request(c, head, head + strlen(head) + 2, body, body_size);
		free(body);
	}
	free(head);
}

static void
on_readable(struct bufferevent *bev, void *arg)
{
	(void)bev;
	read_request(arg);
}

static void
on_end(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	conn_free(arg);
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr, int len, void *arg)
{
	struct server *s = arg;
	struct conn *c = xcalloc(1, sizeof(*c));

	(void)listener;
	(void)addr;
	(void)len;
	c->server = s;
	c->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	c->timer = event_new(s->base, -1, 0, on_timer, c);
	c->wait = evbuffer_new();
	if (c->bev == NULL || c->timer == NULL || c->wait == NULL)
		abort();
	TAILQ_INSERT_TAIL(&s->conns, c, entry);
	bufferevent_setwatermark(c->bev, EV_READ, 0, HEAD_MAX + BODY_MAX);
	bufferevent_setcb(c->bev, on_readable, on_written, on_end, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

int
server_start(struct event_base *base, struct scripts *scripts, struct record *rec, struct server **out)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(sin);
	struct server *s = xcalloc(1, sizeof(*s));

	s->base = base;
	s->scripts = scripts;
	s->record = rec;
	TAILQ_INIT(&s->conns);
	s->listener = evconnlistener_new_bind(base, on_accept, s,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, 128, (struct sockaddr *)&sin,
	    sizeof(sin));
	if (s->listener == NULL ||
	    getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&sin, &size) < 0) {
		int rc = errno != 0 ? -errno : -EADDRINUSE;

		free(s);
		return rc;
	}
	*out = s;
	return ntohs(sin.sin_port);
}

void
server_free(struct server *s)
{
	while (!TAILQ_EMPTY(&s->conns))
		conn_free(TAILQ_FIRST(&s->conns));
	evconnlistener_free(s->listener);
	free(s);
}
