/* client: see client.h. */
#include "supervisor/ctl/client.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "proto/peer.h"
#include "proto/perms.h"
#include "supervisor/ctl/autostart.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HELLO_MS 10000
#define HEARTBEAT_MS 5000
#define START_MS 10000
#define START_AGAIN_MS 2500 /* how long another orchd may take to leave or to come up */
#define START_PAUSE_MS 250
#define POLL_MIN_MS 5
#define POLL_MAX_MS 80

/* A request that was sent: what comes with its id goes to fn. */
struct inflight {
	uint32_t id; /* 0: none */
	client_fn *fn;
	void *arg;
};

struct client {
	struct loop *loop;
	struct peer *peer;
	uint32_t last_id;
	struct inflight call, stream;
	pid_t pid; /* orchd's */
	bool greeted, lost;
	bool settled; /* what we wait for has come, or never will */
	bool *on_lost;
	int rc; /* of the call */
	struct err *err;
	char why[512];
};

static void
on_hello(struct peer *p, const struct msg *hello, void *arg)
{
	struct client *k = arg;
	struct msg m = {.id = MSG_HELLO};

	(void)hello;
	m.hello.proto = PROTO_VERSION;
	m.hello.role = perms_who_name(WHO_CTL);
	m.hello.version = ORCH_VERSION;
	m.hello.pid = (uint64_t)getpid();
	k->greeted = peer_send(p, &m, NULL) == 0;
	k->settled = true;
}

static void
settle(struct client *k, int rc)
{
	k->call.id = 0;
	k->rc = rc;
	k->settled = true;
}

static void
on_msg(struct peer *p, const struct msg *m, void *arg)
{
	struct client *k = arg;
	struct inflight *f = &k->stream;

	(void)p;
	/* An ERROR without a request is about the connection, and a close follows: keep its sentence. */
	if (m->request == 0 && m->id == MSG_ERROR)
		snprintf(k->why, sizeof(k->why), "%s", m->error.text);
	if (m->request == 0)
		return;
	if (m->request == k->call.id)
		f = &k->call;
	else if (m->request != k->stream.id)
		return; /* late news of a call that was given up */
	if (m->id == MSG_ERROR) {
		if (f == &k->call)
			settle(k, err_set(k->err, -EREMOTEIO, "%s", m->error.text));
		else if (f->fn != NULL)
			f->fn(f->arg, m);
		return;
	}
	if (f->fn != NULL)
		f->fn(f->arg, m);
	if (f == &k->call && (m->id == MSG_ACK || m->id == MSG_END || m->id == MSG_RUN_ACCEPTED))
		settle(k, 0);
}

static void
on_closed(struct peer *p, const char *why, void *arg)
{
	struct client *k = arg;

	(void)p;
	if (k->why[0] == '\0')
		snprintf(k->why, sizeof(k->why), "%s", why);
	k->lost = true;
	if (k->on_lost != NULL)
		*k->on_lost = true;
	settle(k, err_set(k->err, -EPIPE, "lost the connection to orchd: %s", k->why));
}

static const struct peer_ops ops = {.on_hello = on_hello, .on_msg = on_msg, .on_closed = on_closed};

static int
greet(struct client *k, int fd, struct err *e)
{
	struct peer_cfg cfg = {
	    .loop = k->loop,
	    .fd = fd,
	    .self = WHO_CTL,
	    .them = WHO_ORCHD,
	    .ops = &ops,
	    .arg = k,
	    .hello_timeout_ms = HELLO_MS,
	    .heartbeat_ms = HEARTBEAT_MS,
	    .trusted = true, /* a newer orchd may send what we do not know: no reason to hang up */
	};
	int rc;

	k->peer = peer_new(&cfg);
	rc = loop_wait(k->loop, &k->settled, clock_now_ms() + HELLO_MS + 1000);
	if (rc < 0)
		return rc == -ECANCELED ? rc
					: err_set(e, rc, "orchd accepted the connection but says nothing");
	if (!k->greeted)
		return err_set(e, -EPIPE, "orchd closed the connection: %s", k->why);
	return 0;
}

static int
connect_once(struct client **out, struct loop *l, const struct repo *r, struct err *e)
{
	struct client *k;
	int fd = peer_connect(r->socket, e), rc;
	uid_t uid;

	if (fd == -ENOENT || fd == -ECONNREFUSED)
		return err_set(e, -ECONNREFUSED, "orchd is not running");
	if (fd < 0)
		return fd;
	k = xcalloc(1, sizeof(*k));
	k->loop = l;
	if (peer_credentials(fd, &k->pid, &uid) < 0)
		k->pid = 0;
	rc = greet(k, fd, e);
	if (rc < 0) {
		client_free(k);
		return rc;
	}
	*out = k;
	return 0;
}

/* Connects to the orchd that d starts. -ECONNREFUSED with its last words when it does not come up. */
static int
await_start(struct client **out, struct autostart *d, struct loop *l, const struct repo *r, int64_t deadline,
    struct err *e)
{
	int64_t pause = POLL_MIN_MS;

	for (;;) {
		bool never = false;
		int rc = connect_once(out, l, r, e);

		if (rc == 0 || rc == -ECANCELED)
			return rc;
		if (autostart_failed(d) || clock_now_ms() >= deadline)
			return autostart_explain(d, e);
		if (loop_wait(l, &never, clock_now_ms() + pause) == -ECANCELED)
			return -ECANCELED;
		pause = pause * 2 > POLL_MAX_MS ? POLL_MAX_MS : pause * 2;
	}
}

/*
 * An orchd that exits at once may have met another one: one that is just starting will answer, one that is
 * just leaving makes room. So it is tried for a while before its words are final.
 */
static int
start_and_connect(struct client **out, struct loop *l, const struct repo *r, struct err *e)
{
	int64_t began = clock_now_ms();

	for (;;) {
		struct autostart *d;
		bool never = false;
		int rc = autostart_begin(&d, l, r, e);

		if (rc < 0)
			return rc;
		rc = await_start(out, d, l, r, began + START_MS, e);
		autostart_free(d);
		if (rc == 0 || rc == -ECANCELED || clock_now_ms() - began >= START_AGAIN_MS)
			return rc;
		if (loop_wait(l, &never, clock_now_ms() + START_PAUSE_MS) == -ECANCELED)
			return -ECANCELED;
	}
}

int
client_open(struct client **out, struct loop *l, const struct repo *r, bool start, struct err *e)
{
	int rc = connect_once(out, l, r, e);

	if (rc != -ECONNREFUSED || !start)
		return rc;
	return start_and_connect(out, l, r, e);
}

void
client_free(struct client *k)
{
	if (k == NULL)
		return;
	peer_free(k->peer);
	free(k);
}

static int
await_answer(
    struct client *k, const struct msg *m, client_fn *fn, void *arg, int64_t timeout_ms, struct err *e)
{
	int rc;

	if (k->lost)
		return err_set(e, -EPIPE, "lost the connection to orchd: %s", k->why);
	k->call = (struct inflight){m->request, fn, arg};
	k->settled = false;
	k->err = e;
	rc = peer_send(k->peer, m, e);
	if (rc == 0)
		rc = loop_wait(k->loop, &k->settled, clock_now_ms() + timeout_ms);
	if (rc == -ETIMEDOUT)
		err_set(e, rc, "orchd has not answered for %d s", (int)(timeout_ms / 1000));
	k->call.id = 0;
	k->err = NULL;
	return rc == 0 ? k->rc : rc;
}

int
client_call(struct client *k, struct msg *m, client_fn *fn, void *arg, int64_t timeout_ms, struct err *e)
{
	m->request = ++k->last_id;
	return await_answer(k, m, fn, arg, timeout_ms, e);
}

int
client_stream(struct client *k, struct msg *m, client_fn *fn, void *arg, int64_t timeout_ms, struct err *e)
{
	m->request = ++k->last_id;
	/* Set first: what follows END may be in the same read. on_msg prefers the call. */
	k->stream = (struct inflight){m->request, fn, arg};
	return await_answer(k, m, fn, arg, timeout_ms, e);
}

void
client_on_lost(struct client *k, bool *flag)
{
	k->on_lost = flag;
	if (flag != NULL && k->lost)
		*flag = true;
}

bool
client_lost(const struct client *k)
{
	return k->lost;
}

pid_t
client_pid(const struct client *k)
{
	return k->pid;
}

const char *
client_why(const struct client *k)
{
	return k->why;
}
