/*
 * link: the role's side against a fake orchd that runs in the same loop, on the other end of
 * fd 3 and behind a control socket. What the fake does is decided by what it receives, so
 * every step waits for an event.
 */
#include "proto/link.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "proto/msg.h"
#include "proto/peer.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define SEEN_MAX 32

struct fake {
	struct loop loop;
	char folder[32], *path;
	int listener;
	struct event *accept;
	struct peer *peer;
	struct link *link;
	const struct msg_assign *assign;

	/* What orchd saw. */
	unsigned connections, seen;
	struct msg *msgs[SEEN_MAX];
	struct msg *hello; /* the last */

	/* What orchd does: */
	bool drop_request; /* closes instead of answering the next request */
	bool ignore_requests;
	bool refuse; /* greets and closes */
	bool no_assign;
	bool cancelled;       /* in the ASSIGN */
	bool cancel_first;    /* STOP for a cancellation before ASSIGN ... */
	bool cancel_behind;   /* ... or right behind it */
	bool stop_on_request; /* STOP instead of an answer */
	bool wrong_answers;   /* answers to what nobody asked come first */

	/* What the role saw. */
	unsigned told;
	enum msg_id told_ids[SEEN_MAX];
	bool told_cancelled;
};

/* The fake orchd. */

static void
fake_send_cancel(struct fake *f)
{
	struct msg stop = {.id = MSG_STOP, .stop = {.reason = "the run was cancelled", .cancelled = true}};

	assert_int_equal(peer_send(f->peer, &stop, NULL), 0);
}

static void
fake_send_assign(struct fake *f)
{
	struct msg assign = {.id = MSG_ASSIGN,
	    .assign = {.run = "25",
		.task = "25/em1",
		.title = f->connections == 1 ? "first" : "second",
		.goal = "g",
		.state = "running",
		.attempt = 1,
		.git_dir = "/r/.git",
		.state_dir = "/s",
		.log_dir = "/l",
		.options_json = "{}",
		.cancelled = f->cancelled}};
	struct msg child = {.id = MSG_CHILD,
	    .child = {.task = "25/em1/w1", .ordinal = 1, .key = "k", .title = "t", .state = "queued"}};

	if (f->no_assign)
		return;
	if (f->cancel_first)
		fake_send_cancel(f);
	assert_int_equal(peer_send(f->peer, &assign, NULL), 0);
	if (f->cancel_behind)
		fake_send_cancel(f);
	assert_int_equal(peer_send(f->peer, &child, NULL), 0);
	assert_int_equal(peer_send(f->peer, &(struct msg){.id = MSG_END}, NULL), 0);
}

static void
fake_on_hello(struct peer *p, const struct msg *hello, void *arg)
{
	struct fake *f = arg;

	free(f->hello);
	f->hello = msg_dup(hello);
	if (f->refuse)
		peer_close(p, "refused");
	else
		fake_send_assign(f);
}

static void
fake_on_msg(struct peer *p, const struct msg *m, void *arg)
{
	struct fake *f = arg;

	assert_true(f->seen < SEEN_MAX);
	f->msgs[f->seen++] = msg_dup(m);
	if (m->request == 0 || f->ignore_requests)
		return;
	if (f->drop_request) {
		f->drop_request = false;
		peer_close(p, "orchd dies");
		return;
	}
	if (f->stop_on_request) {
		struct msg stop = {.id = MSG_STOP, .stop = {.reason = "enough"}};

		peer_send(p, &stop, NULL);
		return;
	}
	if (f->wrong_answers) {
		peer_ack(p, m->request + 1000, "not for you");
		peer_error(p, m->request + 1001, EIO, "nor this");
	}
	if (m->id == MSG_FAIL)
		peer_error(p, m->request, ENOENT, "there is no task %s", m->fail.task);
	else
		peer_ack(p, m->request, m->id == MSG_NOTE ? m->note.head : NULL);
}

static void
fake_on_closed(struct peer *p, const char *why, void *arg)
{
	struct fake *f = arg;

	(void)why;
	peer_free(p);
	if (f->peer == p)
		f->peer = NULL;
}

static void
fake_serve(struct fake *f, int fd)
{
	static const struct peer_ops ops = {
	    .on_hello = fake_on_hello, .on_msg = fake_on_msg, .on_closed = fake_on_closed};
	struct peer_cfg cfg = {.loop = &f->loop,
	    .fd = fd,
	    .self = WHO_ORCHD,
	    .them = WHO_EM,
	    .ops = &ops,
	    .arg = f,
	    .trusted = true};
	struct msg hello = {.id = MSG_HELLO, .hello = {.proto = PROTO_VERSION, .role = "orchd"}};

	f->connections++;
	f->peer = peer_new(&cfg);
	assert_int_equal(peer_send(f->peer, &hello, NULL), 0);
}

static void
fake_on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct fake *f = arg;
	int s = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	(void)what;
	if (s >= 0)
		fake_serve(f, s);
}

static void
fake_listen(struct fake *f)
{
	f->listener = peer_listen(f->path, NULL);
	assert_true(f->listener >= 0);
	f->accept = event_new(f->loop.base, f->listener, EV_READ | EV_PERSIST, fake_on_accept, f);
	event_add(f->accept, NULL);
}

/* The role. */

static void
role_on_msg(void *arg, const struct msg *m)
{
	struct fake *f = arg;

	assert_true(f->told < SEEN_MAX);
	f->told_ids[f->told++] = m->id;
	if (m->id == MSG_STOP && m->stop.cancelled)
		f->told_cancelled = true;
}

static struct link_ops role_ops = {.on_msg = role_on_msg};

static int
open_link(struct fake *f, struct err *e)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(dup3(pair[1], 3, O_CLOEXEC), 3);
	fd_close(&pair[1]);
	fake_serve(f, pair[0]);
	return link_open(&f->link, &f->loop, WHO_EM, &role_ops, &f->assign, e);
}

static void
must_open(struct fake *f)
{
	struct err e = {.msg = ""};
	int rc = open_link(f, &e);

	assert_string_equal(e.msg, "");
	assert_int_equal(rc, 0);
}

/* fd 3 is the link's: no epoll fd of ours may get it, and it is no socket until open_link. */
static int
hold_fd_3(void)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null == 3)
		return 0;
	dup3(null, 3, O_CLOEXEC);
	fd_close(&null);
	return 0;
}

static int
setup(void **state)
{
	struct fake *f = xcalloc(1, sizeof(*f));

	assert_int_equal(loop_init(&f->loop), 0);
	snprintf(f->folder, sizeof(f->folder), "/tmp/orch-link-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	f->path = xasprintf("%s/ctl.sock", f->folder);
	f->listener = -1;
	setenv("ORCH_SOCKET", f->path, 1);
	setenv("ORCH_TASK", "25/em1", 1);
	unsetenv("ORCH_ALONE_MS");
	role_ops.arg = f;
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fake *f = *state;

	link_free(f->link);
	peer_free(f->peer);
	if (f->accept != NULL)
		event_free(f->accept);
	fd_close(&f->listener);
	for (unsigned i = 0; i < f->seen; i++)
		free(f->msgs[i]);
	free(f->hello);
	unlink(f->path);
	rmdir(f->folder);
	free(f->path);
	loop_clear(&f->loop);
	free(f);
	return hold_fd_3();
}

static void
until(struct fake *f, const unsigned *count, unsigned n)
{
	while (*count < n) {
		assert_int_equal(event_base_loop(f->loop.base, EVLOOP_ONCE), 0);
		assert_false(f->loop.stop); /* someone lost patience: fail, with the place */
	}
}

static int
call_note(struct fake *f, const char *head, char **text, struct err *e)
{
	struct msg m = {.id = MSG_NOTE, .note = {.head = head}};

	return link_call(f->link, &m, text, e);
}

static void
not_started_by_orchd(void **state)
{
	struct fake *f = *state;
	struct err e;

	assert_int_equal(link_open(&f->link, &f->loop, WHO_EM, &role_ops, &f->assign, &e), -ENOTSOCK);
	assert_non_null(strstr(e.msg, "orch-em is started by orchd"));
}

static void
opens_with_its_task(void **state)
{
	struct fake *f = *state;

	must_open(f);
	assert_string_equal(f->assign->task, "25/em1");
	assert_string_equal(f->assign->title, "first");
	assert_string_equal(f->hello->hello.role, "em");
	assert_string_equal(f->hello->hello.task, "25/em1");
	assert_int_equal(f->hello->hello.pid, getpid());
	assert_false(f->hello->hello.attached);
	assert_true(link_connected(f->link));
	assert_null(link_stop_reason(f->link));
	until(f, &f->told, 2);
	assert_int_equal(f->told_ids[0], MSG_CHILD);
	assert_int_equal(f->told_ids[1], MSG_END);
}

static void
lost_before_assign(void **state)
{
	struct fake *f = *state;
	struct err e;

	f->refuse = true;
	assert_int_equal(open_link(f, &e), -ECONNRESET);
	assert_non_null(strstr(e.msg, "lost orchd before it assigned a task: closed by the other side"));
}

static void
calls_and_answers(void **state)
{
	struct fake *f = *state;
	struct msg fail = {.id = MSG_FAIL, .fail = {.task = "25/em9", .reason = "r"}};
	struct msg bad = {.id = MSG_FAIL, .fail = {.task = "25/em9"}};
	char *text = NULL;
	struct err e;

	must_open(f);
	f->wrong_answers = true;
	assert_int_equal(call_note(f, "abc", &text, &e), 0);
	assert_string_equal(text, "abc");
	free(text);
	assert_int_equal(call_note(f, "abc", NULL, &e), 0);
	text = (char *)"";
	assert_int_equal(call_note(f, NULL, &text, &e), 0);
	assert_null(text);
	assert_int_equal(link_call(f->link, &fail, NULL, &e), -ENOENT);
	assert_string_equal(e.msg, "there is no task 25/em9");
	assert_int_equal(link_call(f->link, &bad, NULL, &e), -EINVAL);
	assert_string_equal(e.msg, "FAIL: reason is missing");
	assert_int_equal(f->seen, 4);
}

static void
posts(void **state)
{
	struct fake *f = *state;
	char *text = NULL;

	must_open(f);
	link_doing(f->link, "reading %s", "src\xff/main.c");
	link_event(f->link, "commit", "%d files", 3);
	assert_int_equal(call_note(f, "abc", &text, NULL), 0); /* comes after both */
	free(text);
	assert_int_equal(f->msgs[0]->id, MSG_PROGRESS);
	assert_string_equal(f->msgs[0]->progress.doing, "reading src\xef\xbf\xbd/main.c");
	assert_int_equal(f->msgs[1]->id, MSG_EVENT);
	assert_string_equal(f->msgs[1]->event.text, "3 files");
}

/* orchd dies between a request and its answer: the next orchd gets the request again. */
static void
reconnects_and_sends_again(void **state)
{
	struct fake *f = *state;
	char *text = NULL;
	struct err e;

	must_open(f);
	fake_listen(f);
	f->drop_request = true;
	assert_int_equal(call_note(f, "abc", &text, &e), 0);
	assert_string_equal(text, "abc");
	free(text);
	assert_int_equal(f->connections, 2);
	assert_int_equal(f->seen, 2);
	assert_int_equal(f->msgs[0]->request, f->msgs[1]->request);
	assert_string_equal(f->msgs[1]->note.head, "abc");
	assert_true(f->hello->hello.attached);
	assert_string_equal(f->hello->hello.task, "25/em1");
	assert_string_equal(f->assign->title, "first"); /* the second ASSIGN changed nothing */
	assert_false(f->told_cancelled);
}

/*
 * A run was cancelled while its director started: the STOP came in one piece with ASSIGN, the director looked
 * at ASSIGN only after it, and the run was never cleaned up.
 */
static void
cancelled_in_the_breath_of_its_task(void **state)
{
	struct fake *f = *state;

	f->cancel_behind = true;
	must_open(f);
	assert_true(f->assign->cancelled);
	until(f, &f->told, 3);
	assert_true(f->told_cancelled);
	assert_null(link_stop_reason(f->link));
}

static void
cancelled_before_its_task(void **state)
{
	struct fake *f = *state;

	f->cancel_first = f->cancelled = true;
	must_open(f);
	assert_true(f->assign->cancelled);
	assert_null(link_stop_reason(f->link));
	until(f, &f->told, 2);
	assert_int_equal(f->told_ids[0], MSG_CHILD); /* nobody was told before */
}

static void
learns_that_it_was_cancelled_meanwhile(void **state)
{
	struct fake *f = *state;

	must_open(f);
	fake_listen(f);
	f->drop_request = true;
	f->cancelled = true;
	assert_int_equal(call_note(f, "abc", NULL, NULL), 0);
	assert_true(f->told_cancelled);
	assert_true(f->assign->cancelled);
	assert_null(link_stop_reason(f->link));
}

static void
alone_for_too_long(void **state)
{
	struct fake *f = *state;
	struct err e;

	setenv("ORCH_ALONE_MS", "150", 1);
	must_open(f);
	f->drop_request = true;
	assert_int_equal(call_note(f, "abc", NULL, &e), -ECANCELED);
	assert_string_equal(link_stop_reason(f->link), "lost orchd for 1 s");
	assert_false(link_connected(f->link));
	link_doing(f->link, "nobody hears this");
	/* Even while the last work is saved no call may wait for an orchd that is gone. */
	f->loop.stop_masked++;
	assert_int_equal(call_note(f, "abc", NULL, &e), -ECANCELED);
	f->loop.stop_masked--;
}

/* An orchd that greets and then refuses, again and again, is as good as none. */
static void
refused_for_too_long(void **state)
{
	struct fake *f = *state;
	struct err e;

	setenv("ORCH_ALONE_MS", "400", 1);
	must_open(f);
	fake_listen(f);
	f->drop_request = true;
	f->refuse = true;
	assert_int_equal(call_note(f, "abc", NULL, &e), -ECANCELED);
	assert_true(f->connections >= 2);
	assert_string_equal(link_stop_reason(f->link), "lost orchd for 1 s");
}

static void
stop_while_calling(void **state)
{
	struct fake *f = *state;
	struct err e;

	must_open(f);
	f->stop_on_request = true;
	assert_int_equal(call_note(f, "abc", NULL, &e), -ECANCELED);
	assert_string_equal(e.msg, "asked to stop: enough");
	assert_string_equal(link_stop_reason(f->link), "enough");
	assert_int_equal(f->told_ids[f->told - 1], MSG_STOP);
	/* Stopped already: not sent at all, unless the stop is held off. */
	f->stop_on_request = false;
	assert_int_equal(call_note(f, "def", NULL, &e), -ECANCELED);
	f->loop.stop_masked++;
	assert_int_equal(call_note(f, "ghi", NULL, &e), 0);
	f->loop.stop_masked--;
	assert_int_equal(f->seen, 2);
	assert_string_equal(f->msgs[1]->note.head, "ghi");
}

static void
cancelled_is_no_stop(void **state)
{
	struct fake *f = *state;
	struct msg stop = {.id = MSG_STOP, .stop = {.cancelled = true}};

	must_open(f);
	peer_send(f->peer, &stop, NULL);
	while (!f->told_cancelled)
		assert_int_equal(event_base_loop(f->loop.base, EVLOOP_ONCE), 0);
	assert_false(f->loop.stop);
	assert_null(link_stop_reason(f->link));
	assert_int_equal(call_note(f, "abc", NULL, NULL), 0);
}

static void
signals_stop_too(void **state)
{
	struct fake *f = *state;
	struct err e;

	must_open(f);
	f->ignore_requests = true;
	raise(SIGTERM);
	assert_int_equal(call_note(f, "abc", NULL, &e), -ECANCELED);
	assert_string_equal(link_stop_reason(f->link), "SIGTERM");
}

/* What was queued when the role left still arrives. */
static void
farewell(void **state)
{
	struct fake *f = *state;

	must_open(f);
	link_event(f->link, "end", "last words");
	link_free(f->link);
	f->link = NULL;
	until(f, &f->seen, 1);
	assert_string_equal(f->msgs[0]->event.text, "last words");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(not_started_by_orchd),
	    T(opens_with_its_task),
	    T(lost_before_assign),
	    T(calls_and_answers),
	    T(posts),
	    T(reconnects_and_sends_again),
	    T(cancelled_in_the_breath_of_its_task),
	    T(cancelled_before_its_task),
	    T(learns_that_it_was_cancelled_meanwhile),
	    T(alone_for_too_long),
	    T(refused_for_too_long),
	    T(stop_while_calling),
	    T(cancelled_is_no_stop),
	    T(signals_stop_too),
	    T(farewell),
	};

	hold_fd_3();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
