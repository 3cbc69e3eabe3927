/*
 * peer: raw libevent events and two evbuffers rather than a bufferevent, so that it is
 * exact when bytes reach the socket (cork) and when reading stops (pause).
 *
 * Nothing here calls back from within a call of the owner: writing, pressure and the end
 * all happen in callbacks of the loop. What the other side sends can end the peer,
 * never the process.
 */
#include "proto/peer.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/text.h"
#include "proto/frame.h"
#include "proto/msg.h"
#include "proto/perms.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_SIZE (32 * 1024) /* per turn of the loop: a flooding peer does not starve the others */
#define LINGER_MS 1000
#define SILENT_INTERVALS 3

struct peer {
	struct peer_cfg cfg;
	struct event *readable, *writable, *timer, *end;
	struct evbuffer *in, *out;
	struct evbuffer *held; /* sent while corked: goes to out at the uncork */

	int64_t last_heard_ms;
	int64_t silent_after_ms; /* judged dead when nothing was heard by then */
	int64_t partial_ms;      /* since when we have the beginning of a message and not its end; 0: none */
	int64_t timer_due_ms;
	uint64_t pings;

	unsigned busy; /* inside a callback of the owner that must not free us */
	bool greeted;  /* HELLO came and fits */
	bool corked, paused;
	bool high; /* on_pressure(true) was said */
	bool eof;  /* nothing more will come */
	bool mute; /* nothing more can be sent */
	bool closing, ended;
	int read_error; /* of the eof: 0 or -errno */
	char why[1024];
};

/* Timer: until HELLO its deadline, then the heartbeat, at last the linger of a close. */

static void
arm(struct peer *p, int64_t ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	p->timer_due_ms = clock_now_ms() + ms;
	evtimer_add(p->timer, &tv);
}

static void
start_heartbeat(struct peer *p)
{
	p->silent_after_ms = clock_now_ms() + SILENT_INTERVALS * p->cfg.heartbeat_ms;
	if (p->cfg.heartbeat_ms <= 0) {
		evtimer_del(p->timer);
		return;
	}
	loop_watch_absence(p->cfg.loop, p->cfg.heartbeat_ms);
	arm(p, p->cfg.heartbeat_ms);
}

/* Tells the owner, from the loop. */
static void
end(struct peer *p)
{
	if (p->ended)
		return;
	p->ended = true;
	event_del(p->readable);
	event_del(p->writable);
	evtimer_del(p->timer);
	event_active(p->end, EV_TIMEOUT, 0);
}

static void
on_end(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;
	char why[sizeof(p->why)];

	(void)fd;
	(void)what;
	fd_close(&p->cfg.fd);             /* now, not at peer_free: the other side shall see it */
	memcpy(why, p->why, sizeof(why)); /* an owner may free us first and then read it */
	p->cfg.ops->on_closed(p, why, p->cfg.arg);
}

/*
 * Has the output written soon, with whatever else this turn of the loop queues. When the
 * socket is full already that has to wait, but the pressure is told.
 */
static void
kick(struct peer *p)
{
	bool full = event_pending(p->writable, EV_WRITE, NULL);
	bool news = !p->high && evbuffer_get_length(p->out) > p->cfg.high_water;

	if (!p->ended && (!full || news))
		event_active(p->writable, EV_WRITE, 0);
}

void
peer_close(struct peer *p, const char *why)
{
	if (p->closing)
		return;
	p->closing = true;
	snprintf(p->why, sizeof(p->why), "%s", why);
	event_del(p->readable);
	arm(p, LINGER_MS);
	kick(p);
}

/*
 * Who lost its place in the stream says that a long message follows, and its signs of life are taken for
 * parts of that: both sides would wait for ever.
 */
static bool
is_stuck(const struct peer *p)
{
	return p->partial_ms > 0 && !p->paused &&
	       clock_now_ms() - p->partial_ms >= SILENT_INTERVALS * p->cfg.heartbeat_ms;
}

static void
on_heartbeat(struct peer *p)
{
	struct msg ping = {.id = MSG_PING, .ping = {.seq = ++p->pings}};
	char why[96];

	if (is_stuck(p)) {
		snprintf(why, sizeof(why), "began a message and has not ended it for %" PRId64 " ms",
		    clock_now_ms() - p->partial_ms);
		peer_close(p, why);
		return;
	}
	/* While paused we do not listen, so silence means nothing. */
	if (!p->paused && clock_now_ms() >= p->silent_after_ms) {
		snprintf(why, sizeof(why), "gave no sign of life for %" PRId64 " ms",
		    clock_now_ms() - p->last_heard_ms);
		peer_close(p, why);
		return;
	}
	arm(p, p->cfg.heartbeat_ms);
	peer_send(p, &ping, NULL);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;
	int64_t left = p->timer_due_ms - clock_now_ms();
	char why[96];

	(void)fd;
	(void)what;
	if (p->closing) {
		end(p);
	} else if (left > 0) { /* we were away, and so may they have been: their bytes are still on the way */
		arm(p, left);
	} else if (!p->greeted) {
		snprintf(why, sizeof(why), "sent no HELLO within %" PRId64 " ms", p->cfg.hello_timeout_ms);
		peer_close(p, why);
	} else {
		on_heartbeat(p);
	}
}

/* Output. */

static void
tell_pressure(struct peer *p)
{
	size_t waiting = evbuffer_get_length(p->out);

	if (p->high ? waiting >= p->cfg.low_water : waiting <= p->cfg.high_water)
		return;
	p->high = !p->high;
	if (p->cfg.ops->on_pressure == NULL || p->closing)
		return;
	p->busy++;
	p->cfg.ops->on_pressure(p, p->high, p->cfg.arg);
	p->busy--;
}

/* As much as the socket takes; the rest when it can take more. */
static void
write_some(struct peer *p)
{
	if (evbuffer_get_length(p->out) > 0 && evbuffer_write(p->out, p->cfg.fd) < 0 && errno != EAGAIN &&
	    errno != EINTR) {
		/* What they sent before they left is still to be read: the end comes with the EOF. */
		p->mute = true;
		evbuffer_drain(p->out, evbuffer_get_length(p->out));
	}
	if (evbuffer_get_length(p->out) > 0)
		event_add(p->writable, NULL);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;

	(void)fd;
	(void)what;
	if (p->ended)
		return;
	write_some(p);
	if (evbuffer_get_length(p->out) == 0 && p->closing && evbuffer_get_length(p->held) == 0)
		end(p);
	tell_pressure(p);
}

int
peer_send(struct peer *p, const struct msg *m, struct err *e)
{
	/* Signs of life promise nothing: they pass a cork that a slow disk may hold for long. */
	bool hold = p->corked && m->id != MSG_PING && m->id != MSG_PONG;
	size_t waiting;
	int rc;

	if (p->closing || p->mute)
		return err_set(e, -EPIPE, "the connection to %s is closed", perms_who_name(p->cfg.them));
	rc = msg_encode(m, hold ? p->held : p->out, e);
	if (rc < 0)
		return rc;
	waiting = peer_out_bytes(p);
	if (waiting > p->cfg.out_max) {
		char why[96];

		snprintf(why, sizeof(why), "too slow: does not read, %zu bytes wait for it", waiting);
		evbuffer_drain(p->out, waiting);
		evbuffer_drain(p->held, waiting);
		peer_close(p, why);
		return err_set(e, -EPIPE, "%s", p->why);
	}
	if (!hold)
		kick(p);
	return 0;
}

static void
send_error(struct peer *p, uint32_t request, int code, const char *sentence)
{
	char *text = text_utf8(sentence, strlen(sentence), TEXT_MAX - 16);
	struct msg m = {.id = MSG_ERROR, .request = request, .error = {(uint64_t)code, text}};

	peer_send(p, &m, NULL);
	free(text);
}

void
peer_error(struct peer *p, uint32_t request, int code, const char *fmt, ...)
{
	char sentence[1024];
	va_list ap;

	if (request == 0)
		return;
	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	send_error(p, request, code, sentence);
}

void
peer_ack(struct peer *p, uint32_t request, const char *text)
{
	struct msg m = {.id = MSG_ACK, .request = request, .ack = {text}};
	struct err e;
	int rc;

	if (request == 0)
		return;
	rc = peer_send(p, &m, &e);
	if (rc == -EINVAL || rc == -EMSGSIZE)
		send_error(p, request, -rc, e.msg); /* some answer must come: they wait for it */
}

/* Input. */

/* An ERROR is never answered with an ERROR: two peers could go on for ever. */
static void
reject(struct peer *p, const struct frame *f, int code, const char *sentence)
{
	if (f->id != MSG_ERROR)
		send_error(p, f->request, code, sentence);
	if (!p->cfg.trusted || !p->greeted)
		peer_close(p, sentence);
}

static void
greet(struct peer *p, const struct frame *f, const struct msg *hello)
{
	uint64_t proto = hello->hello.proto;
	char sentence[160];

	if (proto + 1 < PROTO_VERSION || proto > PROTO_VERSION + 1) {
		snprintf(sentence, sizeof(sentence),
		    "%s speaks version %" PRIu64 " of the protocol and %s version %d: install the same orch",
		    perms_who_name(p->cfg.them), proto, perms_who_name(p->cfg.self), PROTO_VERSION);
		reject(p, f, EPROTONOSUPPORT, sentence);
		return;
	}
	p->greeted = true;
	start_heartbeat(p);
	if (p->cfg.ops->on_hello != NULL)
		p->cfg.ops->on_hello(p, hello, p->cfg.arg);
}

static void
answer_ping(struct peer *p, const struct msg *ping)
{
	struct msg pong = {.id = MSG_PONG, .request = ping->request, .pong = {ping->ping.seq}};

	peer_send(p, &pong, NULL);
}

static void
before_hello(struct peer *p, const struct frame *f, const struct msg *m)
{
	char why[1024];

	if (m->id == MSG_HELLO) {
		greet(p, f, m);
	} else if (m->id == MSG_ERROR) { /* they refuse us and say why */
		snprintf(why, sizeof(why), "refused by the other side: %s", m->error.text);
		peer_close(p, why);
	} else {
		snprintf(why, sizeof(why), "sent %s before HELLO", msg_name(m->id));
		reject(p, f, EPROTO, why);
	}
}

static void
take(struct peer *p, const struct frame *f, const unsigned char *payload)
{
	struct msg m;
	struct err e;
	void *arena;

	if (msg_name(f->id) != NULL && !perms_allowed(f->id, p->cfg.them, p->cfg.self)) {
		err_set(&e, -EPERM, "%s may not send %s to %s", perms_who_name(p->cfg.them), msg_name(f->id),
		    perms_who_name(p->cfg.self));
		reject(p, f, EPERM, e.msg);
		return;
	}
	if (msg_decode(f->id, f->request, payload, f->length, &m, &arena, &e) < 0) {
		reject(p, f, EPROTO, e.msg);
		return;
	}
	if (!p->greeted)
		before_hello(p, f, &m);
	else if (m.id == MSG_HELLO)
		reject(p, f, EPROTO, "sent a second HELLO");
	else if (m.id == MSG_PING)
		answer_ping(p, &m);
	else if (m.id != MSG_PONG)
		p->cfg.ops->on_msg(p, &m, p->cfg.arg);
	if (msg_is_secret(f->id))
		explicit_bzero(arena, f->length);
	free(arena);
}

static bool
take_frame(struct peer *p)
{
	size_t have = evbuffer_get_length(p->in);
	unsigned char header[PROTO_FRAME_HEADER];
	struct frame f;
	struct err e;

	if (have < sizeof(header))
		return false;
	evbuffer_copyout(p->in, header, sizeof(header));
	if (frame_get(&f, header, &e) < 0) {
		/* Where the next frame begins is unknown, so not even a trusted peer can go on. */
		send_error(p, 0, EPROTO, e.msg);
		peer_close(p, e.msg);
		return false;
	}
	if (have < sizeof(header) + f.length)
		return false;
	take(p, &f, evbuffer_pullup(p->in, (ev_ssize_t)(sizeof(header) + f.length)) + sizeof(header));
	evbuffer_drain(p->in, sizeof(header) + f.length);
	return true;
}

/* False: nothing was there. */
static bool
read_some(struct peer *p)
{
	struct evbuffer_iovec room;
	ssize_t n;

	if (evbuffer_reserve_space(p->in, READ_SIZE, &room, 1) < 1)
		return false;
	n = fd_read(p->cfg.fd, room.iov_base, room.iov_len);
	room.iov_len = n > 0 ? (size_t)n : 0;
	evbuffer_commit_space(p->in, &room, 1);
	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		p->eof = true;
		p->read_error = (int)n;
		return false;
	}
	p->last_heard_ms = clock_now_ms();
	p->silent_after_ms = p->last_heard_ms + SILENT_INTERVALS * p->cfg.heartbeat_ms;
	return true;
}

static void
close_at_eof(struct peer *p)
{
	if (p->read_error < 0 && p->read_error != -ECONNRESET)
		peer_close(p, strerror(-p->read_error));
	else if (evbuffer_get_length(p->in) > 0)
		peer_close(p, "closed by the other side in the middle of a message");
	else
		peer_close(p, "closed by the other side");
}

/* Goes on until no whole frame is left: no event comes for what is read already. */
static bool
take_some(struct peer *p)
{
	bool any = false, more;

	if (p->closing || p->paused)
		return false;
	more = !p->eof && read_some(p);
	p->busy++;
	while (!p->closing && !p->paused && take_frame(p))
		any = true;
	p->busy--;
	if (evbuffer_get_length(p->in) == 0)
		p->partial_ms = 0;
	else if (any || p->partial_ms == 0)
		p->partial_ms = clock_now_ms();
	if (p->eof && !p->closing && !p->paused)
		close_at_eof(p);
	return more;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	take_some(arg);
}

void
peer_drain(struct peer *p)
{
	while (p->busy == 0 && take_some(p))
		continue;
}

/* The owner's side. */

struct peer *
peer_new(const struct peer_cfg *cfg)
{
	struct peer *p = xcalloc(1, sizeof(*p));
	struct event_base *base = cfg->loop->base;

	p->cfg = *cfg;
	if (p->cfg.out_max == 0)
		p->cfg.out_max = 8u << 20;
	if (p->cfg.high_water == 0)
		p->cfg.high_water = 1u << 20;
	if (p->cfg.low_water == 0)
		p->cfg.low_water = 256u << 10;
	if (p->cfg.hello_timeout_ms == 0)
		p->cfg.hello_timeout_ms = 10000;
	fd_set_nonblock(cfg->fd);
	fd_set_cloexec(cfg->fd, true);
	p->in = evbuffer_new();
	p->out = evbuffer_new();
	p->held = evbuffer_new();
	p->readable = event_new(base, cfg->fd, EV_READ | EV_PERSIST, on_readable, p);
	p->writable = event_new(base, cfg->fd, EV_WRITE, on_writable, p);
	p->timer = evtimer_new(base, on_timer, p);
	p->end = event_new(base, -1, 0, on_end, p);
	assert(p->in != NULL && p->out != NULL && p->readable != NULL && p->writable != NULL);
	assert(p->timer != NULL && p->end != NULL);
	p->last_heard_ms = clock_now_ms();
	event_add(p->readable, NULL);
	arm(p, p->cfg.hello_timeout_ms);
	return p;
}

void
peer_free(struct peer *p)
{
	if (p == NULL)
		return;
	assert(p->busy == 0);
	event_free(p->readable);
	event_free(p->writable);
	event_free(p->timer);
	event_free(p->end);
	evbuffer_free(p->in);
	evbuffer_free(p->out);
	evbuffer_free(p->held);
	fd_close(&p->cfg.fd);
	free(p);
}

void
peer_cork(struct peer *p)
{
	p->corked = true;
}

void
peer_uncork(struct peer *p)
{
	p->corked = false;
	if (evbuffer_get_length(p->held) == 0 && !p->closing)
		return;
	evbuffer_add_buffer(p->out, p->held);
	/* Written at once: this comes between two turns of the loop, and a turn only to write costs as much
	 * as the message. */
	if (!p->ended && !p->closing && !event_pending(p->writable, EV_WRITE, NULL))
		write_some(p);
	if (evbuffer_get_length(p->out) > 0 || p->closing)
		kick(p);
}

bool
peer_closing(const struct peer *p)
{
	return p->closing;
}

void
peer_pause(struct peer *p, bool pause)
{
	if (p->paused == pause || p->closing)
		return;
	p->paused = pause;
	if (pause) {
		event_del(p->readable);
		return;
	}
	p->silent_after_ms = clock_now_ms() + SILENT_INTERVALS * p->cfg.heartbeat_ms;
	p->partial_ms = 0;
	event_add(p->readable, NULL);
	event_active(p->readable, EV_READ, 0); /* whole frames may be waiting in p->in */
}

size_t
peer_out_bytes(const struct peer *p)
{
	return evbuffer_get_length(p->out) + evbuffer_get_length(p->held);
}

int
peer_fd(const struct peer *p)
{
	return p->cfg.fd;
}

enum proto_who
peer_who(const struct peer *p)
{
	return p->cfg.them;
}

void
peer_promote(struct peer *p, enum proto_who them, const struct peer_ops *ops, void *arg, int64_t heartbeat_ms)
{
	p->cfg.them = them;
	p->cfg.ops = ops;
	p->cfg.arg = arg;
	p->cfg.trusted = true;
	peer_set_heartbeat(p, heartbeat_ms);
}

void
peer_set_arg(struct peer *p, void *arg)
{
	p->cfg.arg = arg;
}

void *
peer_arg(const struct peer *p)
{
	return p->cfg.arg;
}

void
peer_set_heartbeat(struct peer *p, int64_t heartbeat_ms)
{
	p->cfg.heartbeat_ms = heartbeat_ms;
	if (p->greeted && !p->closing)
		start_heartbeat(p);
}

int64_t
peer_last_heard_ms(const struct peer *p)
{
	return p->last_heard_ms;
}
