/* httpload: see httpload.h. Both sides are plain bufferevents: what they cost is in every measure alike. */
#include "tests/bench/lib/httpload.h"

#include "common/alloc.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FLAT_EVENT 8192
#define FLAT_AHEAD (256u << 10)
#define PATIENCE_S 30

/* The endpoint. */

struct answer {
	struct bufferevent *bev;
	struct event *timer;
	unsigned left, gap_us;
	bool flat;
};

static void
no_delay(struct bufferevent *bev)
{
	int one = 1;

	setsockopt(bufferevent_getfd(bev), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void
free_answer(struct answer *a)
{
	bufferevent_free(a->bev);
	event_free(a->timer);
	free(a);
}

static void
put_event(struct answer *a)
{
	static char pad[FLAT_EVENT];
	char text[FLAT_EVENT + 256];
	int n;

	if (pad[0] == '\0')
		memset(pad, 'x', sizeof(pad) - 1);
	n = snprintf(text, sizeof(text),
	    "event: content_block_delta\ndata: "
	    "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
	    "\"text_delta\",\"text\":\"%.*s\"},\"t\":%lld}\n\n",
	    a->flat ? FLAT_EVENT - 128 : 40, pad, (long long)bench_ns());
	evbuffer_add_printf(bufferevent_get_output(a->bev), "%x\r\n%s\r\n", (unsigned)n, text);
	if (--a->left == 0)
		evbuffer_add_printf(bufferevent_get_output(a->bev), "0\r\n\r\n");
}

static void
on_event_due(evutil_socket_t fd, short what, void *arg)
{
	struct answer *a = arg;

	(void)fd;
	(void)what;
	if (a->left > 0)
		put_event(a);
	if (a->left == 0)
		event_del(a->timer);
}

static void
on_taken(struct bufferevent *bev, void *arg)
{
	struct answer *a = arg;

	while (a->flat && a->left > 0 && evbuffer_get_length(bufferevent_get_output(bev)) < FLAT_AHEAD)
		put_event(a);
}

static unsigned
get_number(const char *query, const char *name)
{
	const char *at = strstr(query, name);

	return at == NULL ? 0 : (unsigned)strtoul(at + strlen(name), NULL, 10);
}

static void
begin_answer(struct answer *a, const char *query)
{
	static const char small[] =
	    "{\"type\":\"message\",\"model\":\"claude-opus-5-5\",\"content\":[{\"type\":"
	    "\"text\",\"text\":\"0123456789012345678901234567890123456789012345678901234567890"
	    "123456789012345678901234567890\"}],\"stop_reason\":\"end_turn\",\"usage\":{"
	    "\"input_tokens\":500,\"output_tokens\":60}}";
	struct evbuffer *out = bufferevent_get_output(a->bev);
	struct timeval tv;

	if (strstr(query, "kind=") == NULL || strstr(query, "kind=small") != NULL) {
		evbuffer_add_printf(out,
		    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s",
		    strstr(query, "kind=") == NULL ? 0 : sizeof(small) - 1,
		    strstr(query, "kind=") == NULL ? "" : small);
		return;
	}
	evbuffer_add_printf(out,
	    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked"
	    "\r\n\r\n");
	a->left = get_number(query, "n=");
	a->gap_us = get_number(query, "us=");
	a->flat = strstr(query, "kind=flat") != NULL;
	tv = (struct timeval){a->gap_us / 1000000, a->gap_us % 1000000};
	if (a->flat)
		on_taken(a->bev, a);
	else
		event_add(a->timer, &tv);
}

static void
on_request(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	char head[8192], *line;
	size_t size, body = 0;

	if (end.pos < 0 || (size_t)end.pos + 4 >= sizeof(head))
		return;
	size = (size_t)end.pos + 4;
	evbuffer_copyout(in, head, size);
	head[size] = '\0';
	line = strcasestr(head, "\r\ncontent-length:");
	if (line != NULL)
		body = strtoul(line + 17, NULL, 10);
	if (evbuffer_get_length(in) < size + body)
		return;
	evbuffer_drain(in, size + body);
	head[strcspn(head, "\r")] = '\0';
	begin_answer(arg, head);
}

static void
on_gone(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	free_answer(arg);
}

static void
on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int size, void *arg)
{
	struct answer *a = xcalloc(1, sizeof(*a));

	(void)l;
	(void)sa;
	(void)size;
	a->bev = bufferevent_socket_new(arg, fd, BEV_OPT_CLOSE_ON_FREE);
	a->timer = event_new(arg, -1, EV_PERSIST, on_event_due, a);
	no_delay(a->bev);
	bufferevent_setcb(a->bev, on_request, on_taken, on_gone, a);
	bufferevent_enable(a->bev, EV_READ | EV_WRITE);
}

static void __attribute__((noreturn)) serve(int out)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct event_config *config = event_config_new();
	struct event_base *base;
	socklen_t size = sizeof(a);
	struct evconnlistener *l;
	unsigned port;

	event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
	base = event_base_new_with_config(config);
	l = evconnlistener_new_bind(
	    base, on_accept, base, LEV_OPT_CLOSE_ON_FREE, 256, (struct sockaddr *)&a, size);
	if (l == NULL || getsockname(evconnlistener_get_fd(l), (struct sockaddr *)&a, &size) < 0)
		_exit(1);
	port = ntohs(a.sin_port);
	if (write(out, &port, sizeof(port)) != (ssize_t)sizeof(port))
		_exit(1);
	event_base_dispatch(base);
	_exit(0);
}

void
httpload_endpoint_start(struct httpload_endpoint *ep)
{
	int fds[2];

	if (pipe(fds) < 0)
		bench_die("cannot make a pipe");
	ep->pid = fork();
	if (ep->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fds[1]);
	}
	close(fds[1]);
	if (ep->pid < 0 || read(fds[0], &ep->port, sizeof(ep->port)) != (ssize_t)sizeof(ep->port))
		bench_die("the endpoint did not start");
	close(fds[0]);
}

void
httpload_endpoint_stop(struct httpload_endpoint *ep)
{
	kill(ep->pid, SIGKILL);
	waitpid(ep->pid, NULL, 0);
}

/* The clients. */

struct load {
	struct event_base *base;
	const struct httpload_target *target;
	const char *query;
	char *body;
	size_t body_size;
	unsigned open, left; /* connections; requests not sent yet */
	struct samples *us;
	bool whole; /* a sample per request, not per event */
	size_t bytes;
};

struct client {
	struct load *load;
	struct bufferevent *bev;
	int64_t sent_ns;
	bool headed, chunked;
	size_t length; /* of the answer, when it says one */
};

static void
free_client(struct client *c)
{
	c->load->open--;
	bufferevent_free(c->bev);
	free(c);
}

static void
ask(struct client *c)
{
	struct load *l = c->load;
	struct evbuffer *out = bufferevent_get_output(c->bev);

	l->left--;
	c->headed = c->chunked = false;
	c->sent_ns = bench_ns();
	evbuffer_add_printf(
	    out, "POST /v1/messages?%s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n", l->query);
	if (l->target->token != NULL)
		evbuffer_add_printf(out, "x-api-key: %s\r\n", l->target->token);
	evbuffer_add_printf(out, "content-length: %zu\r\n\r\n", l->body_size);
	evbuffer_add(out, l->body, l->body_size);
}

static void
finish(struct client *c)
{
	struct load *l = c->load;

	if (l->whole)
		samples_add(l->us, (double)(bench_ns() - c->sent_ns) / 1e3);
	if (l->left > 0)
		ask(c);
	else
		free_client(c);
}

static bool
read_head(struct client *c, struct evbuffer *in)
{
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	char head[8192], *line;
	size_t size;

	if (end.pos < 0 || (size_t)end.pos + 4 >= sizeof(head))
		return false;
	size = (size_t)end.pos + 4;
	evbuffer_remove(in, head, size);
	head[size] = '\0';
	if (strncmp(head, "HTTP/1.1 200", 12) != 0)
		bench_die("an answer is none: %.300s", head);
	line = strcasestr(head, "\r\ncontent-length:");
	c->chunked = line == NULL;
	c->length = line == NULL ? 0 : strtoul(line + 17, NULL, 10);
	c->headed = true;
	return true;
}

/* A stream: its events' times; true at its end. */
static bool
read_events(struct client *c, struct evbuffer *in)
{
	struct load *l = c->load;
	size_t size = evbuffer_get_length(in);
	const char *text = (const char *)evbuffer_pullup(in, -1), *at = text, *last = text;
	int64_t now = bench_ns();
	bool end = size >= 5 && memcmp(text + size - 5, "0\r\n\r\n", 5) == 0;

	while (l->us != NULL && (at = memmem(at, size - (size_t)(at - text), "\"t\":", 4)) != NULL) {
		const char *stop = memchr(at, '}', size - (size_t)(at - text));

		if (stop == NULL)
			break;
		samples_add(l->us, (double)(now - strtoll(at + 4, NULL, 10)) / 1e3);
		at = last = stop;
	}
	/* What may be the first half of a time, or of the end, is seen again. */
	l->bytes += size;
	if (l->us == NULL && !end)
		evbuffer_drain(in, size > 8 ? size - 8 : 0);
	else
		evbuffer_drain(in, end ? size : (size_t)(last - text));
	l->bytes -= evbuffer_get_length(in);
	return end;
}

static void
on_readable(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;
	struct evbuffer *in = bufferevent_get_input(bev);

	if (!c->headed && !read_head(c, in))
		return;
	if (c->chunked && evbuffer_get_length(in) > 0) {
		if (read_events(c, in))
			finish(c);
	} else if (!c->chunked && evbuffer_get_length(in) >= c->length) {
		evbuffer_drain(in, c->length);
		finish(c);
	}
}

static void
on_broken(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)arg;
	if ((what & BEV_EVENT_CONNECTED) == 0)
		bench_die("a connection ended in mid-answer");
}

static struct client *
connect_client(struct load *l)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)l->target->port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct client *c = xcalloc(1, sizeof(*c));

	c->load = l;
	l->open++;
	c->bev = bufferevent_socket_new(l->base, -1, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(c->bev, on_readable, NULL, on_broken, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	if (bufferevent_socket_connect(c->bev, (struct sockaddr *)&a, sizeof(a)) < 0)
		bench_die("cannot connect to port %u", l->target->port);
	no_delay(c->bev);
	ask(c);
	return c;
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	bench_die("no answer for %d s", PATIENCE_S);
}

static void
load_init(struct load *l, const struct httpload_target *t, const char *query, size_t body_size)
{
	static const char head[] =
	    "{\"model\":\"claude-opus-5-5\",\"stream\":true,\"max_tokens\":1000,\"messages\":\"";

	*l = (struct load){.base = event_base_new(), .target = t, .query = query};
	l->body_size = body_size < sizeof(head) + 1 ? sizeof(head) + 1 : body_size;
	l->body = xmalloc(l->body_size);
	memset(l->body, 'b', l->body_size);
	memcpy(l->body, head, sizeof(head) - 1);
	memcpy(l->body + l->body_size - 2, "\"}", 2);
}

static void
load_run(struct load *l, unsigned at_once, unsigned count)
{
	struct timeval tv = {.tv_sec = PATIENCE_S};

	l->left = count;
	for (unsigned i = 0; i < at_once && l->left > 0; i++)
		connect_client(l);
	event_base_once(l->base, -1, EV_TIMEOUT, on_late, NULL, &tv);
	while (l->open > 0)
		event_base_loop(l->base, EVLOOP_ONCE);
}

static void
load_clear(struct load *l)
{
	event_base_free(l->base);
	free(l->body);
}

void
httpload_requests(
    const struct httpload_target *t, unsigned at_once, unsigned count, size_t body_size, struct samples *us)
{
	struct load l;

	load_init(&l, t, "kind=small", body_size);
	l.us = us;
	l.whole = true;
	load_run(&l, at_once, count);
	load_clear(&l);
}

void
httpload_events(
    const struct httpload_target *t, unsigned streams, unsigned n, unsigned gap_us, struct samples *us)
{
	char *query = xasprintf("kind=sse&n=%u&us=%u", n, gap_us);
	struct load l;

	load_init(&l, t, query, 0);
	l.us = us;
	load_run(&l, streams, streams);
	load_clear(&l);
	free(query);
}

double
httpload_flat(const struct httpload_target *t, unsigned streams, unsigned n)
{
	char *query = xasprintf("kind=flat&n=%u", n);
	int64_t begin = bench_ns();
	struct load l;
	double mb_s;

	load_init(&l, t, query, 0);
	load_run(&l, streams, streams);
	mb_s = (double)l.bytes / 1e6 / (bench_ms_since(begin) / 1e3);
	load_clear(&l);
	free(query);
	return mb_s;
}

struct httpload_held {
	struct load load;
	struct client **v;
	unsigned count;
};

static void
on_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(arg);
}

struct httpload_held *
httpload_hold(const struct httpload_target *t, unsigned streams, bool read, int64_t ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	struct httpload_held *h = xcalloc(1, sizeof(*h));

	load_init(&h->load, t, read ? "kind=sse&n=100000&us=10000" : "kind=flat&n=100000", 0);
	h->load.left = h->count = streams;
	h->v = xcalloc(streams, sizeof(struct client *));
	for (unsigned i = 0; i < streams; i++) {
		h->v[i] = connect_client(&h->load);
		if (!read)
			bufferevent_disable(h->v[i]->bev, EV_READ);
	}
	event_base_once(h->load.base, -1, EV_TIMEOUT, on_over, h->load.base, &tv);
	event_base_dispatch(h->load.base);
	return h;
}

void
httpload_let_go(struct httpload_held *h)
{
	for (unsigned i = 0; i < h->count; i++)
		free_client(h->v[i]);
	load_clear(&h->load);
	free(h->v);
	free(h);
}
