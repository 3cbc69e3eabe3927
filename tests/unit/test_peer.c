/*
 * peer: one end is the peer under test, playing orchd; the other is the test's own blocking
 * socket, so that it can send what no peer would. Everything waits for events of the loop.
 */
#include "proto/peer.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "proto/frame.h"
#include "proto/msg.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct bench {
	struct loop loop;
	struct peer *peer;
	struct peer_cfg cfg;
	int far;              /* the test's end, non-blocking */
	struct evbuffer *got; /* by the far end */

	unsigned hellos, msgs, closed, highs, lows;
	enum msg_id ids[64];
	uint32_t requests[64];
	char why[1024];
	bool pause_on_msg, close_on_msg;
};

static void
on_hello(struct peer *p, const struct msg *hello, void *arg)
{
	struct bench *b = arg;

	assert_ptr_equal(p, b->peer);
	assert_int_equal(hello->hello.proto, PROTO_VERSION);
	b->hellos++;
}

static void
on_msg(struct peer *p, const struct msg *m, void *arg)
{
	struct bench *b = arg;

	if (b->msgs < 64) {
		b->ids[b->msgs] = m->id;
		b->requests[b->msgs] = m->request;
	}
	b->msgs++;
	if (b->pause_on_msg)
		peer_pause(p, true);
	if (b->close_on_msg)
		peer_close(p, "the handler had enough");
}

static void
on_closed(struct peer *p, const char *why, void *arg)
{
	struct bench *b = arg;

	assert_ptr_equal(p, b->peer);
	b->closed++;
	snprintf(b->why, sizeof(b->why), "%s", why);
}

static void
on_pressure(struct peer *p, bool high, void *arg)
{
	struct bench *b = arg;

	(void)p;
	if (high)
		b->highs++;
	else
		b->lows++;
}

static const struct peer_ops ops = {on_hello, on_msg, on_closed, on_pressure};

static int
setup(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));

	assert_int_equal(loop_init(&b->loop), 0);
	b->far = -1;
	b->got = evbuffer_new();
	b->cfg = (struct peer_cfg){
	    .loop = &b->loop, .fd = -1, .self = WHO_ORCHD, .them = WHO_CTL, .ops = &ops, .arg = b};
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bench *b = *state;

	peer_free(b->peer);
	fd_close(&b->far);
	evbuffer_free(b->got);
	loop_clear(&b->loop);
	free(b);
	return 0;
}

static void
start(struct bench *b)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	b->cfg.fd = pair[0];
	b->far = pair[1];
	fd_set_nonblock(b->far);
	b->peer = peer_new(&b->cfg);
}

static void
put(struct bench *b, const void *data, size_t size)
{
	assert_int_equal(send(b->far, data, size, MSG_NOSIGNAL), (ssize_t)size);
}

static void
put_msg(struct bench *b, const struct msg *m)
{
	struct evbuffer *out = evbuffer_new();

	assert_int_equal(msg_encode(m, out, NULL), 0);
	put(b, evbuffer_pullup(out, -1), evbuffer_get_length(out));
	evbuffer_free(out);
}

static void
put_hello(struct bench *b)
{
	struct msg m = {.id = MSG_HELLO, .hello = {.proto = PROTO_VERSION, .role = "orchctl"}};

	put_msg(b, &m);
}

static void
put_status(struct bench *b, uint32_t request)
{
	struct msg m = {.id = MSG_STATUS, .request = request, .status = {.all = true}};

	put_msg(b, &m);
}

/* Turns the loop until *count is at least n; a fault shows as ctest's time limit, not as a wrong guess. */
static void
until(struct bench *b, const unsigned *count, unsigned n)
{
	while (*count < n) {
		assert_int_equal(event_base_loop(b->loop.base, EVLOOP_ONCE), 0);
		assert_false(b->loop.stop); /* someone lost patience: fail, with the place */
	}
}

/* What can happen without waiting has happened. */
static void
settle(struct bench *b)
{
	for (int i = 0; i < 3; i++)
		event_base_loop(b->loop.base, EVLOOP_NONBLOCK);
}

/* Everything that has arrived at the far end. */
static void
collect(struct bench *b)
{
	while (evbuffer_read(b->got, b->far, -1) > 0)
		;
}

/* The next message at the far end; its id is 0 when none is there. The caller frees *arena. */
static struct msg
next(struct bench *b, void **arena)
{
	struct msg m = {0};
	struct frame f;
	unsigned char *all;

	*arena = NULL;
	settle(b);
	collect(b);
	if (evbuffer_get_length(b->got) < PROTO_FRAME_HEADER)
		return m;
	all = evbuffer_pullup(b->got, -1);
	assert_int_equal(frame_get(&f, all, NULL), 0);
	assert_true(evbuffer_get_length(b->got) >= PROTO_FRAME_HEADER + f.length);
	assert_int_equal(msg_decode(f.id, f.request, all + PROTO_FRAME_HEADER, f.length, &m, arena, NULL), 0);
	evbuffer_drain(b->got, PROTO_FRAME_HEADER + f.length);
	return m;
}

static void
expect_error(struct bench *b, uint32_t request, const char *part)
{
	void *arena;
	struct msg m = next(b, &arena);

	assert_int_equal(m.id, MSG_ERROR);
	assert_int_equal(m.request, request);
	if (strstr(m.error.text, part) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", m.error.text, part);
	free(arena);
}

static void
expect_closed(struct bench *b, const char *part)
{
	until(b, &b->closed, 1);
	if (strstr(b->why, part) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", b->why, part);
	settle(b);
	assert_int_equal(b->closed, 1); /* once */
}

static void
hello_then_messages(void **state)
{
	struct bench *b = *state;

	start(b);
	put_hello(b);
	put_status(b, 7);
	until(b, &b->msgs, 1);
	assert_int_equal(b->hellos, 1);
	assert_int_equal(b->ids[0], MSG_STATUS);
	assert_int_equal(b->requests[0], 7);
	fd_close(&b->far);
	expect_closed(b, "closed by the other side");
}

static void
hello_must_be_first(void **state)
{
	struct bench *b = *state;

	b->cfg.trusted = true; /* does not help */
	start(b);
	put_status(b, 7);
	settle(b);
	expect_error(b, 7, "STATUS before HELLO");
	expect_closed(b, "STATUS before HELLO");
	assert_int_equal(b->msgs, 0);
}

static void
one_hello_only(void **state)
{
	struct bench *b = *state;

	start(b);
	put_hello(b);
	put_hello(b);
	expect_closed(b, "second HELLO");
}

static void
no_hello_at_all(void **state)
{
	struct bench *b = *state;

	b->cfg.hello_timeout_ms = 10;
	start(b);
	expect_closed(b, "sent no HELLO within 10 ms");
}

static void
other_versions(void **state)
{
	struct bench *b = *state;
	struct msg m = {
	    .id = MSG_HELLO, .request = 3, .hello = {.proto = PROTO_VERSION + 2, .role = "orchctl"}};

	start(b);
	put_msg(b, &m);
	settle(b);
	expect_error(b, 3, "version 3 of the protocol");
	expect_closed(b, "install the same orch");
	assert_int_equal(b->hellos, 0);
}

static void
refused_by_them(void **state)
{
	struct bench *b = *state;
	struct msg m = {.id = MSG_ERROR, .error = {EPROTONOSUPPORT, "too old"}};

	start(b);
	put_msg(b, &m);
	expect_closed(b, "refused by the other side: too old");
}

static void
not_permitted(void **state)
{
	struct bench *b = *state;
	struct msg m = {.id = MSG_FINISH, .request = 9, .finish = {.head = "abc"}};

	start(b);
	put_hello(b);
	put_msg(b, &m);
	settle(b);
	expect_error(b, 9, "orchctl may not send FINISH to orchd");
	expect_closed(b, "may not send FINISH");
	assert_int_equal(b->msgs, 0);
}

/* A role's mistake is answered and survived; what follows it still counts. */
static void
trusted_goes_on(void **state)
{
	struct bench *b = *state;
	struct msg bad = {.id = MSG_SHUTDOWN, .request = 1};
	struct msg good = {.id = MSG_PROGRESS, .progress = {.doing = "reading"}};
	unsigned char frame[PROTO_FRAME_HEADER + 1] = {0};

	b->cfg.trusted = true;
	b->cfg.them = WHO_WORKER;
	start(b);
	put_hello(b);
	put_msg(b, &bad);
	frame_put(&(struct frame){.length = 1, .id = MSG_NOTE, .request = 2}, frame);
	frame[PROTO_FRAME_HEADER] = 0xc1;
	put(b, frame, sizeof(frame));
	frame_put(&(struct frame){.length = 1, .id = 999, .request = 3}, frame);
	put(b, frame, sizeof(frame));
	put_msg(b, &good);
	until(b, &b->msgs, 1);
	assert_int_equal(b->ids[0], MSG_PROGRESS);
	expect_error(b, 1, "worker may not send SHUTDOWN");
	expect_error(b, 2, "NOTE: the payload");
	expect_error(b, 3, "no message 999");
	assert_int_equal(b->closed, 0);
	/* Two that trust each other must not answer ERROR with ERROR for ever. */
	frame_put(&(struct frame){.length = 1, .id = MSG_ERROR, .request = 4}, frame);
	put(b, frame, sizeof(frame));
	put_msg(b, &good);
	until(b, &b->msgs, 2);
	settle(b);
	collect(b);
	assert_int_equal(evbuffer_get_length(b->got), 0);
}

static void
garbage(void **state)
{
	struct bench *b = *state;

	start(b);
	put(b, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 35);
	settle(b);
	expect_error(b, 0, "over the limit");
	expect_closed(b, "over the limit");
}

/* The length alone is enough to refuse; nothing is waited for or reserved. */
static void
huge_length_from_a_role(void **state)
{
	struct bench *b = *state;
	unsigned char header[PROTO_FRAME_HEADER];

	b->cfg.trusted = true;
	b->cfg.them = WHO_EM;
	start(b);
	put_hello(b);
	frame_put(&(struct frame){.length = PROTO_FRAME_MAX + 1, .id = MSG_NOTE}, header);
	put(b, header, sizeof(header));
	expect_closed(b, "1048577 bytes");
}

static void
undecodable_from_a_client(void **state)
{
	struct bench *b = *state;
	unsigned char frame[PROTO_FRAME_HEADER + 5];

	start(b);
	put_hello(b);
	frame_put(&(struct frame){.length = 5, .id = MSG_STATUS, .request = 8}, frame);
	memcpy(frame + PROTO_FRAME_HEADER, "\xdd\x1f\xff\xff\xff", 5);
	put(b, frame, sizeof(frame));
	settle(b);
	expect_error(b, 8, "malformed");
	expect_closed(b, "malformed");
}

static void
byte_by_byte(void **state)
{
	struct bench *b = *state;
	struct msg hello = {.id = MSG_HELLO, .hello = {.proto = PROTO_VERSION, .role = "orchctl"}};
	struct msg status = {.id = MSG_STATUS, .request = 5, .status = {.run = "25"}};
	struct evbuffer *out = evbuffer_new();
	unsigned char byte;

	start(b);
	assert_int_equal(msg_encode(&hello, out, NULL), 0);
	assert_int_equal(msg_encode(&status, out, NULL), 0);
	while (evbuffer_remove(out, &byte, 1) == 1) {
		assert_int_equal(b->msgs, 0);
		put(b, &byte, 1);
		settle(b);
	}
	evbuffer_free(out);
	assert_int_equal(b->msgs, 1);
	assert_int_equal(b->requests[0], 5);
	put(b, "\0\0", 2);
	fd_close(&b->far);
	expect_closed(b, "in the middle of a message");
}

/* One read event, many frames: all are handled in it. The far end is gone by then; they count anyway. */
static void
many_in_one_write(void **state)
{
	struct bench *b = *state;

	start(b);
	put_hello(b);
	for (uint32_t i = 1; i <= 50; i++)
		put_status(b, i);
	fd_close(&b->far);
	expect_closed(b, "closed by the other side");
	assert_int_equal(b->msgs, 50);
	for (uint32_t i = 0; i < 50; i++)
		assert_int_equal(b->requests[i], i + 1);
}

static void
pause_in_the_handler(void **state)
{
	struct bench *b = *state;

	start(b);
	b->pause_on_msg = true;
	put_hello(b);
	for (uint32_t i = 1; i <= 3; i++)
		put_status(b, i);
	fd_close(&b->far);
	until(b, &b->msgs, 1);
	settle(b);
	assert_int_equal(b->msgs, 1);
	peer_pause(b->peer, false);
	settle(b);
	assert_int_equal(b->msgs, 2);
	assert_int_equal(b->closed, 0); /* there is one more to deliver first */
	b->pause_on_msg = false;
	peer_pause(b->peer, false);
	expect_closed(b, "closed by the other side");
	assert_int_equal(b->msgs, 3);
}

static void
close_in_the_handler(void **state)
{
	struct bench *b = *state;

	start(b);
	b->close_on_msg = true;
	put_hello(b);
	put_status(b, 1);
	put_status(b, 2);
	expect_closed(b, "the handler had enough");
	assert_int_equal(b->msgs, 1);
	assert_int_equal(peer_send(b->peer, &(struct msg){.id = MSG_PING}, NULL), -EPIPE);
}

static void
ping_is_answered(void **state)
{
	struct bench *b = *state;
	struct msg ping = {.id = MSG_PING, .ping = {.seq = 41}}, m;
	void *arena;

	start(b);
	put_hello(b);
	put_msg(b, &ping);
	m = next(b, &arena);
	assert_int_equal(m.id, MSG_PONG);
	assert_int_equal(m.pong.seq, 41);
	assert_int_equal(b->msgs, 0);
	free(arena);
}

static void
answers(void **state)
{
	struct bench *b = *state;
	void *arena;
	struct msg m;

	start(b);
	put_hello(b);
	settle(b);
	peer_ack(b->peer, 0, "nobody asked");
	peer_error(b->peer, 0, EINVAL, "nobody asked");
	peer_ack(b->peer, 4, "25/em1");
	peer_ack(b->peer, 5, "\xff");
	peer_error(b->peer, 6, ENOENT, "there is no run %s", "\xff");
	m = next(b, &arena);
	assert_int_equal(m.id, MSG_ACK);
	assert_int_equal(m.request, 4);
	assert_string_equal(m.ack.text, "25/em1");
	free(arena);
	expect_error(b, 5, "not UTF-8");
	expect_error(b, 6, "there is no run \xef\xbf\xbd");
}

static void
cork_holds_and_keeps_order(void **state)
{
	struct bench *b = *state;
	void *arena;

	start(b);
	put_hello(b);
	settle(b);
	peer_ack(b->peer, 1, NULL); /* queued before the cork: it goes */
	peer_cork(b->peer);
	peer_ack(b->peer, 2, NULL);
	settle(b);
	assert_int_equal(next(b, &arena).request, 1);
	free(arena);
	collect(b);
	assert_int_equal(evbuffer_get_length(b->got), 0);
	assert_true(peer_out_bytes(b->peer) > 0);
	peer_ack(b->peer, 3, NULL);
	peer_close(b->peer, "done"); /* a close waits for the uncork as well */
	settle(b);
	assert_int_equal(b->closed, 0);
	peer_uncork(b->peer);
	for (uint32_t i = 2; i <= 3; i++) {
		assert_int_equal(next(b, &arena).request, i);
		free(arena);
	}
	expect_closed(b, "done");
}

/* A commit may take long; the other side must not take us for dead meanwhile. */
static void
signs_of_life_pass_the_cork(void **state)
{
	struct bench *b = *state;
	struct msg ping = {.id = MSG_PING, .ping = {.seq = 5}}, m;
	void *arena;

	start(b);
	put_hello(b);
	settle(b);
	peer_cork(b->peer);
	peer_ack(b->peer, 1, NULL);
	put_msg(b, &ping);
	m = next(b, &arena);
	assert_int_equal(m.id, MSG_PONG);
	free(arena);
	assert_int_equal(next(b, &arena).id, 0);
	peer_uncork(b->peer);
	assert_int_equal(next(b, &arena).id, MSG_ACK);
	free(arena);
}

static struct msg
big_event(void)
{
	static char text[TEXT_MAX + 1];

	memset(text, 'x', TEXT_MAX);
	return (struct msg){.id = MSG_EVENT_INFO, .event_info = {.seq = 1, .kind = "gate", .text = text}};
}

static void
slow_reader_is_closed(void **state)
{
	struct bench *b = *state;
	struct msg m = big_event();
	struct err e;
	int rc = 0;

	b->cfg.out_max = 64 * 1024;
	start(b);
	put_hello(b);
	settle(b);
	for (int i = 0; i < 1000 && rc == 0; i++) {
		rc = peer_send(b->peer, &m, &e);
		assert_int_equal(b->closed, 0); /* never from inside peer_send */
		if (rc == 0)
			settle(b);
	}
	assert_int_equal(rc, -EPIPE);
	assert_true(peer_closing(b->peer));
	expect_closed(b, "too slow");
}

static void
pressure_and_relief(void **state)
{
	struct bench *b = *state;
	struct msg m = big_event();

	b->cfg.high_water = 100 * 1024;
	b->cfg.low_water = 20 * 1024;
	start(b);
	put_hello(b);
	settle(b);
	for (int i = 0; b->highs == 0; i++) {
		assert_int_equal(peer_send(b->peer, &m, NULL), 0);
		settle(b);
		assert_true(i < 1000);
	}
	assert_int_equal(b->lows, 0);
	while (peer_out_bytes(b->peer) > 0) {
		collect(b);
		settle(b);
	}
	assert_int_equal(b->lows, 1);
	assert_int_equal(b->highs, 1);
}

static void
silence_ends_it(void **state)
{
	struct bench *b = *state;
	struct msg m;
	void *arena;

	b->cfg.heartbeat_ms = 20;
	start(b);
	put_hello(b);
	expect_closed(b, "no sign of life");
	collect(b);
	m = next(b, &arena);
	assert_int_equal(m.id, MSG_PING);
	free(arena);
}

/* Ten intervals in which the far end only answers PING: that is a life. */
static void
pongs_are_life(void **state)
{
	struct bench *b = *state;

	b->cfg.heartbeat_ms = 20;
	start(b);
	put_hello(b);
	for (int pings = 0; pings < 10;) {
		void *arena;
		struct msg m;

		assert_int_equal(event_base_loop(b->loop.base, EVLOOP_ONCE), 0);
		for (m = next(b, &arena); m.id != 0; m = next(b, &arena)) {
			struct msg pong = {.id = MSG_PONG, .pong = {.seq = m.ping.seq}};

			assert_int_equal(m.id, MSG_PING);
			put_msg(b, &pong);
			free(arena);
			pings++;
		}
	}
	assert_int_equal(b->closed, 0);
}

/*
 * A role whose memory is broken announces a long message: its PONGs are swallowed as parts of it. It must not
 * be taken for alive for ever.
 */
static void
an_unfinished_message_ends_it(void **state)
{
	struct bench *b = *state;
	const struct frame f = {.id = MSG_STATUS, .length = 1000000};
	const struct msg pong = {.id = MSG_PONG, .pong = {.seq = 1}};
	unsigned char header[PROTO_FRAME_HEADER];

	b->cfg.heartbeat_ms = 20;
	start(b);
	put_hello(b);
	until(b, &b->hellos, 1);
	frame_put(&f, header);
	put(b, header, sizeof(header));
	while (b->closed == 0) {
		put_msg(b, &pong);
		assert_int_equal(event_base_loop(b->loop.base, EVLOOP_ONCE), 0);
	}
	assert_non_null(strstr(b->why, "began a message"));
	assert_int_equal(b->msgs, 0);
}

/*
 * The whole machine slept for many intervals: when it wakes, the timer is due long since and
 * the far end had no chance either. It gets its three intervals anew.
 */
static void
a_late_loop_is_fair(void **state)
{
	struct bench *b = *state;
	int64_t woke;

	b->cfg.heartbeat_ms = 100;
	start(b);
	put_hello(b);
	until(b, &b->hellos, 1);
	usleep(800 * 1000); /* this is the pause, not a wait for something */
	woke = clock_now_ms();
	event_base_loop(b->loop.base, EVLOOP_ONCE);
	settle(b);
	assert_int_equal(b->closed, 0);
	expect_closed(b, "no sign of life");
	assert_true(clock_now_ms() - woke >= 20);
}

static void
closed_by_us_once(void **state)
{
	struct bench *b = *state;

	start(b);
	peer_close(b->peer, "first");
	peer_close(b->peer, "second");
	fd_close(&b->far);
	assert_int_equal(b->closed, 0);
	expect_closed(b, "first");
}

/* Freed while its end is under way: the callback must not come any more. */
static void
freed_before_the_end(void **state)
{
	struct bench *b = *state;

	start(b);
	peer_close(b->peer, "going");
	peer_free(b->peer);
	b->peer = NULL;
	settle(b);
	assert_int_equal(b->closed, 0);
}

static char *
long_folder(char **root)
{
	char *path, part[101];

	*root = xstrdup("/tmp/orch-peer-XXXXXX");
	assert_non_null(mkdtemp(*root));
	memset(part, 'd', 100);
	part[100] = '\0';
	path = xasprintf("%s/%s/%s", *root, part, part);
	assert_int_equal(fd_mkdirs(path, 0700), 0);
	return path;
}

static void
long_socket_path(void **state)
{
	struct bench *b = *state;
	char *root, *folder = long_folder(&root), *path = xasprintf("%s/ctl.sock", folder), *up;
	struct stat st;
	struct err e;
	pid_t pid;
	uid_t uid;
	int listener = peer_listen(path, &e), near;

	assert_true(listener >= 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(peer_listen(path, &e), -EADDRINUSE);
	fd_close(&listener);
	assert_int_equal(peer_connect(path, &e), -ECONNREFUSED);
	assert_non_null(strstr(e.msg, path));
	listener = peer_listen(path, &e); /* over the stale one */
	assert_true(listener >= 0);
	b->far = peer_connect(path, &e);
	assert_true(b->far >= 0);
	near = accept(listener, NULL, NULL);
	assert_true(near >= 0);
	assert_int_equal(peer_credentials(near, &pid, &uid), 0);
	assert_int_equal(pid, getpid());
	assert_int_equal(uid, getuid());
	fd_close(&near);
	fd_close(&listener);
	unlink(path);
	/* Not a socket: never removed. */
	assert_int_equal(fd_write_file(path, "x", 1, 0600), 0);
	assert_int_equal(peer_listen(path, &e), -EEXIST);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
	for (up = folder; strlen(up) >= strlen(root); *strrchr(up, '/') = '\0')
		rmdir(up);
	free(path);
	free(folder);
	free(root);
}

static void
bad_socket_paths(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(peer_connect("/nowhere/at/all/x.sock", &e), -ENOENT);
	assert_int_equal(peer_connect("/tmp/", &e), -ENAMETOOLONG);
	assert_int_equal(peer_listen("", &e), -ENAMETOOLONG);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(hello_then_messages),
	    T(hello_must_be_first),
	    T(one_hello_only),
	    T(no_hello_at_all),
	    T(other_versions),
	    T(refused_by_them),
	    T(not_permitted),
	    T(trusted_goes_on),
	    T(garbage),
	    T(huge_length_from_a_role),
	    T(undecodable_from_a_client),
	    T(byte_by_byte),
	    T(many_in_one_write),
	    T(pause_in_the_handler),
	    T(close_in_the_handler),
	    T(ping_is_answered),
	    T(answers),
	    T(cork_holds_and_keeps_order),
	    T(signs_of_life_pass_the_cork),
	    T(slow_reader_is_closed),
	    T(pressure_and_relief),
	    T(silence_ends_it),
	    T(pongs_are_life),
	    T(an_unfinished_message_ends_it),
	    T(a_late_loop_is_fair),
	    T(closed_by_us_once),
	    T(freed_before_the_end),
	    T(long_socket_path),
	    T(bad_socket_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
