/*
 * front: the client's side of a request, on evhttp 2.1.12 (see gateway_impl.h). Its ways that shape this
 * file: a client that goes away is noticed only while its connection is read, and a byte that comes while
 * evhttp waits for our answer ends the process unless its read callback is off; a request whose connection
 * has gone is ours to free; its timeouts would count a thinking model as idle, so they are set apart for
 * reading a request and for writing to a client that does not read.
 */
#include "supervisor/gateway/gateway_impl.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/json.h"
#include "supervisor/gateway/members.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/uio.h>

#define READ_S 60            /* silence while a request is read, or between two */
#define WRITE_S 120          /* a client that takes nothing for so long is gone */
#define OUT_HIGH (256 << 10) /* bytes that wait for the client: above it the upstream is paused */
#define OUT_LOW (64 << 10)
#define AHEAD_MAX (64 << 10) /* of a next request, while this one is answered */
#define URI_MAX 4096

static const struct {
	const char *path, *methods;
	bool ours; /* answered here: it asks whether anybody is there */
} routes[] = {{"/v1/messages", "POST", false}, {"/v1/messages/count_tokens", "POST", false},
    {"/v1/models", "GET", false}, {"/", "HEAD", true}, {"/api/hello", "HEAD GET", true}};

static struct bufferevent *
get_bev(const struct exchange *ex)
{
	return evhttp_connection_get_bufferevent(ex->conn);
}

static void
set_timeouts(struct bufferevent *bev, int read_s)
{
	struct timeval r = {.tv_sec = read_s}, w = {.tv_sec = WRITE_S};

	bufferevent_set_timeouts(bev, read_s > 0 ? &r : NULL, &w);
}

/* The answer is written: the connection is evhttp's again, for the next request. */
static void
on_complete(struct evhttp_request *req, void *arg)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(req);
	struct bufferevent *bev = conn == NULL ? NULL : evhttp_connection_get_bufferevent(conn);
	struct gateway *g = arg;

	if (bev == NULL)
		return;
	conns_answered(g->conns, bev);
	set_timeouts(bev, READ_S);
	bufferevent_setwatermark(bev, EV_READ, 0, 0);
}

static void
on_close(struct evhttp_connection *conn, void *arg)
{
	struct exchange *ex = arg;
	struct evhttp_request *req = ex->req;

	evbuffer_remove_cb_entry(bufferevent_get_output(evhttp_connection_get_bufferevent(conn)), ex->watch);
	ex->req = NULL;
	ex->conn = NULL;
	exchange_abort(ex, "its client has gone");
	if (evhttp_request_get_connection(req) == NULL)
		evhttp_request_free(req); /* taken off its connection: nobody else does it */
}

static void
on_output(struct evbuffer *out, const struct evbuffer_cb_info *info, void *arg)
{
	struct exchange *ex = arg;

	(void)info;
	if (ex->paused && evbuffer_get_length(out) < OUT_LOW)
		event_active(ex->drained, EV_TIMEOUT, 0); /* not from here: it would add to the buffer */
}

static void
on_drained(evutil_socket_t fd, short what, void *arg)
{
	struct exchange *ex = arg;

	(void)fd;
	(void)what;
	if (!ex->paused)
		return;
	ex->paused = false;
	exchange_drained(ex);
}

/* From the whole request until the end of its answer the connection is ours to watch. */
static void
attach(struct exchange *ex)
{
	struct bufferevent *bev = get_bev(ex);
	bufferevent_data_cb on_read, on_write;
	bufferevent_event_cb on_event;
	void *arg;

	bufferevent_getcb(bev, &on_read, &on_write, &on_event, &arg);
	bufferevent_setcb(bev, NULL, on_write, on_event, arg);
	bufferevent_setwatermark(bev, EV_READ, 0, AHEAD_MAX);
	set_timeouts(bev, 0);
	bufferevent_enable(bev, EV_READ);
	evhttp_request_set_on_complete_cb(ex->req, on_complete, ex->g);
	evhttp_connection_set_closecb(ex->conn, on_close, ex);
	ex->watch = evbuffer_add_cb(bufferevent_get_output(bev), on_output, ex);
	ex->drained = event_new(ex->g->base, -1, 0, on_drained, ex);
}

static void
detach(struct exchange *ex)
{
	evbuffer_remove_cb_entry(bufferevent_get_output(get_bev(ex)), ex->watch);
	evhttp_connection_set_closecb(ex->conn, NULL, NULL);
	ex->req = NULL;
	ex->conn = NULL;
}

void
front_add_header(struct exchange *ex, const char *name, const char *value)
{
	static const char *const hops[] = {"connection", "keep-alive", "proxy-authenticate",
	    "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", NULL};

	for (size_t i = 0; hops[i] != NULL; i++)
		if (strcasecmp(hops[i], name) == 0)
			return;
	evhttp_add_header(evhttp_request_get_output_headers(ex->req), name, value);
}

void
front_forget_headers(struct exchange *ex)
{
	evhttp_clear_headers(evhttp_request_get_output_headers(ex->req));
}

/* A length is passed on when nothing else speaks of where the body ends: else the two ends could disagree. */
void
front_head(struct exchange *ex, int status)
{
	while ((ex->framings > 1 || status == 204) &&
	       evhttp_remove_header(evhttp_request_get_output_headers(ex->req), "Content-Length") == 0)
		continue;
	evhttp_send_reply_start(ex->req, status, NULL);
	ex->chunked =
	    evhttp_find_header(evhttp_request_get_output_headers(ex->req), "Transfer-Encoding") != NULL;
}

/* Straight to the socket while nothing waits before it, and only what that does not take into the buffer:
 * evhttp would wait for the socket to say that it can be written, which is a turn of the loop for every
 * event. */
static void
put(struct exchange *ex, struct iovec *v, int count)
{
	struct bufferevent *bev = get_bev(ex);
	ssize_t n = 0;

	if (evbuffer_get_length(bufferevent_get_output(bev)) == 0)
		n = writev(bufferevent_getfd(bev), v, count);
	for (size_t done = n > 0 ? (size_t)n : 0; count > 0; v++, count--) {
		size_t skip = done < v->iov_len ? done : v->iov_len;

		if (skip < v->iov_len)
			bufferevent_write(bev, (char *)v->iov_base + skip, v->iov_len - skip);
		done -= skip;
	}
}

bool
front_body(struct exchange *ex, const char *data, size_t size)
{
	struct iovec v[3] = {[1] = {(void *)(uintptr_t)data, size}, [2] = {(void *)(uintptr_t) "\r\n", 2}};
	char head[32];

	if (evbuffer_get_length(bufferevent_get_output(get_bev(ex))) > OUT_HIGH) {
		ex->paused = true;
		return false;
	}
	v[0] = (struct iovec){head, (size_t)snprintf(head, sizeof(head), "%zx\r\n", size)};
	if (ex->chunked)
		put(ex, v, 3);
	else
		put(ex, v + 1, 1);
	ex->bytes_out += size;
	return true;
}

void
front_end(struct exchange *ex)
{
	struct evhttp_request *req = ex->req;

	detach(ex);
	evhttp_send_reply_end(req);
}

/* What has come so far goes out, as far as the socket takes it; then the connection ends in mid-answer. */
void
front_cut(struct exchange *ex)
{
	struct evhttp_connection *conn = ex->conn;
	struct bufferevent *bev = get_bev(ex);
	struct evbuffer *out = bufferevent_get_output(bev);

	detach(ex);
	evbuffer_unfreeze(out, 1);
	evbuffer_write(out, bufferevent_getfd(bev));
	evhttp_connection_free(conn);
}

void
front_give(struct exchange *ex, int status, struct evbuffer *body)
{
	struct evhttp_request *req = ex->req;

	ex->status = status;
	ex->bytes_out += evbuffer_get_length(body);
	evhttp_remove_header(evhttp_request_get_output_headers(req), "Content-Length");
	detach(ex);
	evhttp_send_reply(req, status, NULL, body);
}

/* An error as the API writes it, so that every client knows what to make of it. */
static void
reply_error(struct evhttp_request *req, int status, const char *type, const char *message)
{
	json_t *j =
	    json_pack("{s:s, s:{s:s, s:s}}", "type", "error", "error", "type", type, "message", message);
	char *text = json_text(j);
	struct evbuffer *body = evbuffer_new();

	evbuffer_add(body, text, strlen(text));
	evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type", "application/json");
	evhttp_send_reply(req, status, NULL, body);
	evbuffer_free(body);
	free(text);
	json_decref(j);
}

void
front_error(struct exchange *ex, int status, const char *type, int64_t retry_after_ms, bool for_good,
    const char *message)
{
	struct evhttp_request *req = ex->req;
	char seconds[32];

	front_forget_headers(ex);
	if (retry_after_ms >= 0) {
		snprintf(seconds, sizeof(seconds), "%lld", (long long)(retry_after_ms + 999) / 1000);
		front_add_header(ex, "retry-after", seconds);
	}
	if (for_good)
		front_add_header(ex, "x-should-retry", "false");
	ex->status = status;
	detach(ex);
	reply_error(req, status, type, message);
}

static const char *
method_name(const struct evhttp_request *req)
{
	switch (evhttp_request_get_command(req)) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_HEAD:
		return "HEAD";
	default:
		return "OTHER";
	}
}

/* Only characters that mean the same to everybody, from us to the endpoint. */
static bool
is_uri(const char *uri)
{
	size_t n = strlen(uri);

	if (n == 0 || n > URI_MAX || uri[0] != '/')
		return false;
	for (const char *p = uri; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~' || strchr("#\\\"<>^`{|}", *p) != NULL)
			return false;
	return true;
}

/* A route's index; -ENOENT for no such path, -EPERM for another method. */
static int
find_route(const char *uri, const char *method)
{
	size_t n = strcspn(uri, "?");

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (strlen(routes[i].path) == n && strncmp(routes[i].path, uri, n) == 0)
			return strstr(routes[i].methods, method) != NULL ? (int)i : -EPERM;
	if (n > 11 && strncmp(uri, "/v1/models/", 11) == 0 && uri[11] != '.' &&
	    strcspn(uri + 11, "/%") >= n - 11)
		return strcmp(method, "GET") == 0 ? 2 : -EPERM;
	return -ENOENT;
}

/* The token stands where the CLI puts a key: either way that it may be told to log in. */
static struct attempt_seat *
find_seat(const struct gateway *g, struct evhttp_request *req)
{
	const struct evkeyvalq *headers = evhttp_request_get_input_headers(req);
	const char *key = evhttp_find_header(headers, "x-api-key"),
		   *bearer = evhttp_find_header(headers, "Authorization");
	struct attempt_seat *seat = key == NULL ? NULL : tokens_find(g->tokens, key, strlen(key));

	if (seat == NULL && bearer != NULL && strncasecmp(bearer, "Bearer ", 7) == 0)
		seat = tokens_find(g->tokens, bearer + 7, strlen(bearer + 7));
	return seat;
}

enum { BODY_MODEL, BODY_STREAM };

static void
on_member(void *arg, size_t which, uint64_t offset, const char *value, size_t size)
{
	struct exchange *ex = arg;
	json_t *j = json_loadb(value, size, JSON_DECODE_ANY, NULL);

	if (which == BODY_STREAM)
		ex->stream = json_is_true(j);
	else if (json_is_string(j) && ex->place_count < GATEWAY_MODELS_MAX) {
		snprintf(ex->model, sizeof(ex->model), "%s", json_string_value(j));
		ex->places[ex->place_count++] = (struct model_place){offset, size};
	}
	json_decref(j);
}

static void
read_body(struct exchange *ex)
{
	static const char *const names[] = {"model", "stream", NULL};
	struct evbuffer *in = evhttp_request_get_input_buffer(ex->req);
	struct members m;

	if (strcmp(ex->method, "POST") != 0)
		return;
	ex->body_size = evbuffer_get_length(in);
	ex->body = ex->body_size == 0 ? "" : (const char *)evbuffer_pullup(in, -1);
	members_init(&m, names, on_member, ex);
	members_feed(&m, ex->body, ex->body_size);
	members_clear(&m);
}

static void
refuse(struct gateway *g, struct evhttp_request *req, int status, const char *type, const char *message)
{
	struct gateway_record r = {.task = "",
	    .key = "",
	    .method = method_name(req),
	    .path = "",
	    .model = "",
	    .request_id = "",
	    .status = status,
	    .why = message};

	/* The CLI repeats a 401 for minutes; this one will stay. */
	evhttp_add_header(evhttp_request_get_output_headers(req), "x-should-retry", "false");
	g->hooks.done(g->hooks.arg, &r);
	reply_error(req, status, type, message);
}

static void
on_request(struct evhttp_request *req, void *arg)
{
	struct gateway *g = arg;
	const char *uri = evhttp_request_get_uri(req), *method = method_name(req);
	const struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));
	int route = is_uri(uri) ? find_route(uri, method) : -ENOENT;
	struct attempt_seat *seat;
	struct exchange *ex;

	conns_whole(g->conns, bev);
	evhttp_request_set_on_complete_cb(req, on_complete, g);
	if (route >= 0 && routes[route].ours) {
		evhttp_send_reply(req, 200, NULL, NULL);
		return;
	}
	seat = find_seat(g, req);
	if (seat == NULL) {
		refuse(g, req, 401, "authentication_error",
		    "orch: this token is not known here, or its attempt has ended");
		return;
	}
	if (route < 0) {
		refuse(g, req, route == -EPERM ? 405 : 404,
		    route == -EPERM ? "invalid_request_error" : "not_found_error",
		    "orch: the gateway carries the Messages API only");
		return;
	}
	ex = xcalloc(1, sizeof(*ex));
	ex->g = g;
	ex->seat = seat;
	ex->req = req;
	ex->conn = evhttp_request_get_connection(req);
	ex->method = method;
	ex->uri = uri;
	snprintf(ex->path, sizeof(ex->path), "%.*s", (int)strcspn(uri, "?"), uri);
	ex->start_ms = clock_now_ms();
	read_body(ex);
	attach(ex);
	exchange_start(ex);
}

int
front_start(struct gateway *g)
{
	g->http = evhttp_new(g->base);
	if (g->http == NULL)
		return -ENOMEM;
	evhttp_set_allowed_methods(g->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
						EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS |
						EVHTTP_REQ_PATCH);
	evhttp_set_max_headers_size(g->http, GATEWAY_HEAD_MAX);
	evhttp_set_max_body_size(g->http, GATEWAY_BODY_MAX);
	evhttp_set_timeout(g->http, READ_S);
	evhttp_set_default_content_type(g->http, NULL);
	evhttp_set_gencb(g->http, on_request, g);
	evhttp_set_bevcb(g->http, conns_make, g->conns);
	return 0;
}
