/*
 * conns: see conns.h. evhttp 2.1.12 says when it makes a connection but not when it drops one, and a ref on
 * its bufferevent would keep the socket: so a connection is known by its socket's inode, and counts as gone
 * once its descriptor is closed or another's. What is to be ended is shut down, and evhttp finds it at its
 * end.
 */
#include "supervisor/gateway/conns.h"

#include "common/alloc.h"
#include "common/clock.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define TICK_MIN_MS 50
#define READ_AT_ONCE (256 << 10) /* of 16 KB a body of 1 MB would take 64 turns of the loop */
#define TICK_MAX_MS 5000

struct conn {
	TAILQ_ENTRY(conn) entry;
	struct conns *all;
	struct bufferevent *bev; /* evhttp's: to be used only within its own callbacks */
	int fd;                  /* -1: not known yet */
	ino_t ino;
	int64_t since_ms; /* its request is read since then; 0: none is */
	size_t bytes;     /* of its request */
	bool serving, ended;
};

struct conns {
	struct conns_limits limits;
	struct event *tick, *accepted, *cap;
	TAILQ_HEAD(conn_list, conn) list;
	unsigned count;
	size_t bytes;
};

static void
drop(struct conn *one)
{
	struct conns *c = one->all;

	TAILQ_REMOVE(&c->list, one, entry);
	c->count--;
	c->bytes -= one->bytes;
	free(one);
}

static bool
is_alive(const struct conn *one)
{
	struct stat st;

	return fstat(one->fd, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == one->ino;
}

static void
sweep(struct conns *c)
{
	struct conn *one, *next;

	for (one = TAILQ_FIRST(&c->list); one != NULL; one = next) {
		next = TAILQ_NEXT(one, entry);
		if (one->fd >= 0 && !is_alive(one))
			drop(one);
	}
}

static void
end(struct conn *one, const char *answer, size_t size)
{
	if (one->ended || one->fd < 0 || !is_alive(one))
		return;
	one->ended = true;
	send(one->fd, answer, size, MSG_DONTWAIT | MSG_NOSIGNAL); /* a courtesy: it may not fit */
	shutdown(one->fd, SHUT_RDWR);
}

#define END(one, answer) end(one, answer, sizeof(answer) - 1)
static const char busy[] =
    "HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
static const char late[] = "HTTP/1.1 408 Too slow\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct conns *c = arg;
	int64_t now = clock_now_ms();
	struct conn *one;

	(void)fd;
	(void)what;
	sweep(c);
	TAILQ_FOREACH (one, &c->list, entry)
		if (one->since_ms != 0 && now - one->since_ms > c->limits.request_ms)
			END(one, late);
}

/* By now evhttp has given the new ones their sockets. */
static void
on_accepted(evutil_socket_t fd, short what, void *arg)
{
	struct conns *c = arg;
	struct conn *one;
	struct stat st;
	int on = 1;

	(void)fd;
	(void)what;
	TAILQ_FOREACH (one, &c->list, entry) {
		if (one->fd >= 0)
			continue;
		one->fd = bufferevent_getfd(one->bev);
		setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (fstat(one->fd, &st) == 0)
			one->ino = st.st_ino;
	}
}

/* Not at once: those that closed before these came may still be in the same turn of the loop. */
static void
on_cap(evutil_socket_t fd, short what, void *arg)
{
	struct conns *c = arg;
	struct conn *one;

	(void)fd;
	(void)what;
	sweep(c);
	one = TAILQ_LAST(&c->list, conn_list);
	for (unsigned over = c->count; over > c->limits.connections && one != NULL; over--) {
		END(one, busy);
		one = TAILQ_PREV(one, conn_list, entry);
	}
}

static void
on_input(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *one = arg;

	(void)in;
	if (info->n_added == 0 || one->serving)
		return;
	if (one->since_ms == 0)
		one->since_ms = clock_now_ms();
	one->bytes += info->n_added;
	one->all->bytes += info->n_added;
	if (one->all->bytes > one->all->limits.held)
		sweep(one->all); /* what gone ones held is room */
	if (one->all->bytes > one->all->limits.held)
		END(one, busy);
}

struct bufferevent *
conns_make(struct event_base *base, void *arg)
{
	static const struct timeval soon = {.tv_usec = 5000};
	struct conns *c = arg;
	struct conn *one = xcalloc(1, sizeof(*one));

	one->all = c;
	one->fd = -1;
	one->bev = bufferevent_socket_new(base, -1, 0);
	if (one->bev == NULL) {
		free(one);
		return NULL;
	}
	bufferevent_set_max_single_read(one->bev, READ_AT_ONCE);
	bufferevent_set_max_single_write(one->bev, READ_AT_ONCE);
	evbuffer_add_cb(bufferevent_get_input(one->bev), on_input, one);
	TAILQ_INSERT_TAIL(&c->list, one, entry);
	c->count++;
	event_active(c->accepted, EV_TIMEOUT, 0);
	if (c->count > c->limits.connections && !event_pending(c->cap, EV_TIMEOUT, NULL))
		event_add(c->cap, &soon);
	return one->bev;
}

static struct conn *
find(const struct conns *c, const struct bufferevent *bev)
{
	struct conn *one;

	/* The last one that had this address: earlier ones are gone. */
	TAILQ_FOREACH_REVERSE(one, &c->list, conn_list, entry)
	if (one->bev == bev)
		return one;
	return NULL;
}

void
conns_whole(struct conns *c, const struct bufferevent *bev)
{
	struct conn *one = find(c, bev);

	if (one == NULL)
		return;
	one->serving = true;
	one->since_ms = 0;
}

void
conns_answered(struct conns *c, const struct bufferevent *bev)
{
	struct conn *one = find(c, bev);

	if (one == NULL)
		return;
	one->serving = false;
	c->bytes -= one->bytes;
	one->bytes = 0;
}

void
conns_set_limits(struct conns *c, const struct conns_limits *limits)
{
	int64_t ms = limits->request_ms / 4;
	struct timeval tv;

	ms = ms < TICK_MIN_MS ? TICK_MIN_MS : ms > TICK_MAX_MS ? TICK_MAX_MS : ms;
	tv = (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	c->limits = *limits;
	event_add(c->tick, &tv);
}

struct conns *
conns_new(struct event_base *base, const struct conns_limits *limits)
{
	struct conns *c = xcalloc(1, sizeof(*c));

	TAILQ_INIT(&c->list);
	c->tick = event_new(base, -1, EV_PERSIST, on_tick, c);
	c->accepted = evtimer_new(base, on_accepted, c);
	c->cap = evtimer_new(base, on_cap, c);
	conns_set_limits(c, limits);
	return c;
}

void
conns_free(struct conns *c)
{
	if (c == NULL)
		return;
	while (!TAILQ_EMPTY(&c->list))
		drop(TAILQ_FIRST(&c->list));
	event_free(c->tick);
	event_free(c->accepted);
	event_free(c->cap);
	free(c);
}
