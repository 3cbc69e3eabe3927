/*
 * link: one peer to orchd that is replaced when it is lost, and an outbox of the requests
 * that orchd has not answered. Only link_call, link_open and link_free wait; everything
 * else here is a callback that records.
 *
 * States: connected (HELLOs exchanged), down (a timer tries again), alone (given up: the
 * role has been asked to stop and every request ends with -ECANCELED).
 */
#include "proto/link.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/text.h"
#include "proto/msg.h"
#include "proto/peer.h"
#include "proto/perms.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINK_FD 3
#define ASSIGN_MS 10000
#define RETRY_MIN_MS 20
#define RETRY_MAX_MS 1000
#define WELCOME_MS 5000       /* a connection that lasted so long was accepted, whatever it said */
#define POST_MAX (256 * 1024) /* with more waiting for orchd, what may be dropped is dropped */
#define FAREWELL_MS 1500      /* to write what is queued, in link_free */

struct call {
	TAILQ_ENTRY(call) entry;
	struct msg *msg; /* our copy, with its request id */
	bool done;
	bool abandoned; /* nobody waits: delivered if it can be, freed when answered */
	bool told;      /* nobody ever did */
	int rc;
	char *text;
	struct err err;
};

struct link {
	struct loop *loop;
	enum proto_who self;
	const struct link_ops *ops;
	struct peer *peer; /* NULL while down */
	struct event *retry, *alone;

	struct msg *assign; /* NULL until it came */
	const char *task;   /* from ORCH_TASK */
	char *socket;       /* from ORCH_SOCKET */
	bool connected;     /* HELLOs exchanged on peer */
	bool greeted;       /* once at least */
	bool settled;       /* link_open need not wait any longer: assign came, or opening failed */
	bool taskless;      /* no ASSIGN will come */
	bool known;         /* orchd has had us: a lost connection is made again */
	bool gone;          /* alone: given up */
	bool left;          /* the last connection has closed */
	char *lost_why;     /* of the first connection, for link_open */

	int64_t alone_ms;       /* how long to go on without orchd */
	int64_t alone_since_ms; /* last time orchd surely had us */
	int64_t connected_ms;
	int64_t retry_ms;

	TAILQ_HEAD(, call) calls;
	unsigned told; /* of calls: nobody waits for them */
	uint32_t last_request;
	const struct redact *redact;
	char stop_reason[TEXT_MAX]; /* "" while orchd, or being alone, did not stop us */
};

static void connection_start(struct link *k, int fd);

/* Requests. */

static void
call_free(struct link *k, struct call *c)
{
	TAILQ_REMOVE(&k->calls, c, entry);
	k->told -= c->told;
	free(c->msg);
	free(c->text);
	free(c);
}

static void
call_finish(struct link *k, struct call *c, int rc, const char *sentence)
{
	c->rc = rc;
	c->done = true;
	if (rc < 0)
		err_set(&c->err, rc, "%s", sentence);
	if (c->abandoned)
		call_free(k, c);
}

static struct call *
call_find(struct link *k, uint32_t request)
{
	struct call *c;

	TAILQ_FOREACH (c, &k->calls, entry)
		if (c->msg->request == request && !c->done)
			return c;
	return NULL;
}

/* A request that breaks the schema ends here; one that meets a closed peer is sent again later. */
static void
call_send(struct link *k, struct call *c)
{
	struct err e;
	int rc = peer_send(k->peer, c->msg, &e);

	if (rc < 0 && rc != -EPIPE)
		call_finish(k, c, rc, e.msg);
}

static void
on_answer(struct link *k, const struct msg *m)
{
	struct call *c = call_find(k, m->request);
	int code;

	if (c == NULL)
		return;
	if (m->id == MSG_ACK) {
		c->text = xstrdup(m->ack.text);
		call_finish(k, c, 0, NULL);
		return;
	}
	code = m->error.code > 0 && m->error.code < 4096 ? (int)m->error.code : EPROTO;
	call_finish(k, c, -code, m->error.text);
}

/* Being asked to stop. */

static void
stop(struct link *k, const char *reason)
{
	if (k->stop_reason[0] == '\0')
		snprintf(k->stop_reason, sizeof(k->stop_reason), "%s", reason);
	loop_stop(k->loop, 0);
}

/*
 * A cancellation may come in the same breath as ASSIGN, before the role has looked at that one, or even
 * before it: ASSIGN says it then.
 */
static void
on_stop(struct link *k, const struct msg *m)
{
	const char *reason = m->stop.reason;

	if (!m->stop.cancelled && m->stop.grace_ms <= INT32_MAX)
		k->loop->stop_grace_ms = (int64_t)m->stop.grace_ms;
	if (!m->stop.cancelled)
		stop(k, reason != NULL && *reason != '\0' ? reason : "orchd asked to stop");
	else if (k->assign != NULL)
		k->assign->assign.cancelled = true;
	else if (!k->taskless)
		return;
	k->ops->on_msg(k->ops->arg, m);
}

/* What a role has is not changed under its feet; that the run was cancelled it learns as by STOP. */
static void
on_assign(struct link *k, const struct msg *m)
{
	struct msg cancel = {.id = MSG_STOP, .stop = {.reason = "the run was cancelled", .cancelled = true}};

	if (k->assign == NULL) {
		k->assign = msg_dup(m);
		k->settled = k->known = true;
	} else if (m->assign.cancelled && !k->assign->assign.cancelled) {
		on_stop(k, &cancel);
	}
}

/* The connection. */

static void
after(struct event *timer, int64_t ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	evtimer_add(timer, &tv);
}

static void
on_hello(struct peer *p, const struct msg *hello, void *arg)
{
	struct link *k = arg;
	struct call *c, *next;
	struct msg m = {
	    .id = MSG_HELLO,
	    .hello =
		{
		    .proto = PROTO_VERSION,
		    .role = perms_who_name(k->self),
		    .version = ORCH_VERSION,
		    .task = k->assign != NULL ? k->assign->assign.task : k->task,
		    .pid = (uint64_t)getpid(),
		    .attached = k->assign != NULL || (k->taskless && k->greeted),
		},
	};

	if (hello->hello.heartbeat_ms <= INT32_MAX)
		peer_set_heartbeat(p, (int64_t)hello->hello.heartbeat_ms);
	peer_send(p, &m, NULL);
	k->connected = k->greeted = true;
	k->connected_ms = clock_now_ms();
	evtimer_del(k->alone);
	if (k->ops->on_connected != NULL)
		k->ops->on_connected(k->ops->arg, k);
	TAILQ_FOREACH_SAFE (c, &k->calls, entry, next)
		if (!c->done)
			call_send(k, c);
}

/* Answered by the loop itself, whatever the role is doing: that is what was asked. */
static void
answer_probe(struct peer *p, const struct msg *m)
{
	struct msg answer = {.id = MSG_ROLE_PROBED,
	    .request = m->request,
	    .role_probed = {
		.task = m->role_probe.task, .payload = m->role_probe.payload, .pid = (uint64_t)getpid()}};

	peer_send(p, &answer, NULL);
}

static void
on_msg(struct peer *p, const struct msg *m, void *arg)
{
	struct link *k = arg;

	(void)p;
	if (m->id == MSG_ACK || m->id == MSG_ERROR)
		on_answer(k, m);
	else if (m->id == MSG_ASSIGN)
		on_assign(k, m);
	else if (m->id == MSG_ROLE_PROBE)
		answer_probe(p, m);
	else if (m->id == MSG_STOP)
		on_stop(k, m);
	else
		k->ops->on_msg(k->ops->arg, m);
	if (m->id != MSG_ERROR) { /* an ERROR may be a refusal */
		k->alone_since_ms = clock_now_ms();
		k->retry_ms = RETRY_MIN_MS;
	}
}

/* The connection is gone. An orchd that greets and refuses does not count as having had us. */
static void
on_closed(struct peer *p, const char *why, void *arg)
{
	struct link *k = arg;
	int64_t now = clock_now_ms(), left;

	peer_free(p);
	k->peer = NULL;
	k->left = true;
	if (!k->known) {
		free(k->lost_why);
		k->lost_why = xstrdup(why);
		k->settled = true;
		return;
	}
	if (k->connected && (now - k->connected_ms >= WELCOME_MS || k->alone_since_ms >= k->connected_ms)) {
		k->alone_since_ms = now;
		k->retry_ms = RETRY_MIN_MS;
	}
	k->connected = false;
	if (k->gone)
		return;
	left = k->alone_since_ms + k->alone_ms - now;
	after(k->alone, left > 0 ? left : 0);
	after(k->retry, k->retry_ms);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct link *k = arg;
	int s = k->socket == NULL ? -ENOENT : peer_connect(k->socket, NULL);

	(void)fd;
	(void)what;
	k->retry_ms = k->retry_ms * 2 < RETRY_MAX_MS ? k->retry_ms * 2 : RETRY_MAX_MS;
	if (s >= 0)
		connection_start(k, s);
	else
		after(k->retry, k->retry_ms);
}

static void
on_alone(evutil_socket_t fd, short what, void *arg)
{
	struct link *k = arg;
	int64_t left = k->alone_since_ms + k->alone_ms - clock_now_ms();
	struct call *c, *next;
	char reason[64];

	(void)fd;
	(void)what;
	if (left > 0) { /* we were away, and so may orchd have been */
		after(k->alone, left);
		return;
	}
	k->gone = true;
	evtimer_del(k->retry);
	if (k->peer != NULL)
		peer_close(k->peer, "given up");
	snprintf(reason, sizeof(reason), "lost orchd for %lld s", (long long)((k->alone_ms + 999) / 1000));
	stop(k, reason);
	TAILQ_FOREACH_SAFE (c, &k->calls, entry, next)
		if (!c->done)
			call_finish(k, c, -ECANCELED, reason);
}

static void
connection_start(struct link *k, int fd)
{
	static const struct peer_ops ops = {.on_hello = on_hello, .on_msg = on_msg, .on_closed = on_closed};
	struct peer_cfg cfg = {
	    .loop = k->loop,
	    .fd = fd,
	    .self = k->self,
	    .them = WHO_ORCHD,
	    .ops = &ops,
	    .arg = k,
	    .trusted = true,
	};

	k->peer = peer_new(&cfg);
}

/* The role's side. */

static int64_t
alone_ms_from_env(void)
{
	const char *s = getenv("ORCH_ALONE_MS");
	char *end;
	long long ms;

	if (s == NULL || *s == '\0')
		return LINK_ALONE_MS;
	ms = strtoll(s, &end, 10);
	return *end == '\0' && ms >= 0 && ms <= INT32_MAX ? ms : LINK_ALONE_MS;
}

static int
wait_for_assign(struct link *k, struct err *e)
{
	int rc = loop_wait(k->loop, &k->settled, clock_now_ms() + ASSIGN_MS);

	if (rc == -ETIMEDOUT)
		return err_set(e, rc, "orchd assigned no task within %d s", ASSIGN_MS / 1000);
	if (rc == -ECANCELED)
		return err_set(e, rc, "asked to stop before the work began: %s", link_stop_reason(k));
	if (rc < 0)
		return err_sys(e, rc, "cannot wait for orchd");
	if (k->assign == NULL)
		return err_set(e, -ECONNRESET, "lost orchd before it assigned a task: %s", k->lost_why);
	return 0;
}

static int
make(struct link **out, struct loop *loop, enum proto_who self, const struct link_ops *ops, struct err *e)
{
	struct link *k;
	struct stat st;

	if (fstat(LINK_FD, &st) < 0 || !S_ISSOCK(st.st_mode))
		return err_set(e, -ENOTSOCK,
		    "orch-%s is started by orchd (fd %d is not its socket); "
		    "see orchctl run",
		    perms_who_name(self), LINK_FD);
	k = xcalloc(1, sizeof(*k));
	k->loop = loop;
	k->self = self;
	k->ops = ops;
	k->task = getenv("ORCH_TASK");
	k->socket = xstrdup(getenv("ORCH_SOCKET"));
	k->alone_ms = alone_ms_from_env();
	k->alone_since_ms = clock_now_ms();
	k->retry_ms = RETRY_MIN_MS;
	k->retry = evtimer_new(loop->base, on_retry, k);
	k->alone = evtimer_new(loop->base, on_alone, k);
	TAILQ_INIT(&k->calls);
	*out = k;
	return 0;
}

int
link_attach(
    struct link **out, struct loop *loop, enum proto_who self, const struct link_ops *ops, struct err *e)
{
	int rc = make(out, loop, self, ops, e);

	if (rc < 0)
		return rc;
	(*out)->taskless = (*out)->known = true;
	connection_start(*out, LINK_FD);
	return 0;
}

int
link_open(struct link **out, struct loop *loop, enum proto_who self, const struct link_ops *ops,
    const struct msg_assign **assign, struct err *e)
{
	struct link *k;
	int rc = make(&k, loop, self, ops, e);

	if (rc < 0)
		return rc;
	connection_start(k, LINK_FD);
	rc = wait_for_assign(k, e);
	if (rc < 0) {
		link_free(k);
		return rc;
	}
	*out = k;
	*assign = &k->assign->assign;
	return 0;
}

/* Abandoned requests and posts that are still queued get their chance to be written. */
static void
say_farewell(struct link *k)
{
	if (k->peer == NULL || peer_out_bytes(k->peer) == 0)
		return;
	k->gone = true; /* no reconnecting */
	peer_close(k->peer, "leaving");
	k->loop->stop_masked++;
	loop_wait(k->loop, &k->left, clock_now_ms() + FAREWELL_MS);
	k->loop->stop_masked--;
}

void
link_free(struct link *k)
{
	if (k == NULL)
		return;
	say_farewell(k);
	peer_free(k->peer);
	while (!TAILQ_EMPTY(&k->calls))
		call_free(k, TAILQ_FIRST(&k->calls));
	event_free(k->retry);
	event_free(k->alone);
	free(k->assign);
	free(k->socket);
	free(k->lost_why);
	free(k);
}

static uint32_t
new_request(struct link *k)
{
	if (++k->last_request == 0)
		k->last_request = 1;
	return k->last_request;
}

int
link_call(struct link *k, const struct msg *m, char **text, struct err *e)
{
	struct call *c;
	int rc;

	if (k->loop->stop && k->loop->stop_masked == 0)
		return err_set(e, -ECANCELED, "asked to stop: %s", link_stop_reason(k));
	if (k->gone)
		return err_set(e, -ECANCELED, "%s", k->stop_reason);
	c = xcalloc(1, sizeof(*c));
	c->msg = msg_redact(m, k->redact);
	if (c->msg == NULL)
		c->msg = msg_dup(m);
	c->msg->request = new_request(k);
	TAILQ_INSERT_TAIL(&k->calls, c, entry);
	if (k->connected)
		call_send(k, c);
	rc = loop_wait(k->loop, &c->done, -1);
	if (rc < 0 && !c->done) {
		c->abandoned = true;
		return err_set(e, rc, "asked to stop: %s", link_stop_reason(k));
	}
	rc = c->rc;
	if (rc < 0)
		err_set(e, rc, "%s", c->err.msg);
	else if (text != NULL) {
		*text = c->text;
		c->text = NULL;
	}
	call_free(k, c);
	return rc;
}

bool
link_tell(struct link *k, const struct msg *m)
{
	struct call *c;

	if (k->gone || k->told >= LINK_TOLD_MAX)
		return false;
	c = xcalloc(1, sizeof(*c));
	c->msg = msg_redact(m, k->redact);
	if (c->msg == NULL)
		c->msg = msg_dup(m);
	c->msg->request = new_request(k);
	c->abandoned = c->told = true;
	k->told++;
	TAILQ_INSERT_TAIL(&k->calls, c, entry);
	if (k->connected)
		call_send(k, c);
	return true;
}

void
link_post(struct link *k, const struct msg *m)
{
	struct msg *clean;

	if (!k->connected || peer_out_bytes(k->peer) >= POST_MAX)
		return;
	clean = msg_redact(m, k->redact);
	peer_send(k->peer, clean == NULL ? m : clean, NULL);
	free(clean);
}

void
link_set_redact(struct link *k, const struct redact *r)
{
	k->redact = r;
}

/* One line that the schema accepts. The caller frees it. */
static char *__attribute__((format(printf, 2, 0))) format_text(size_t max, const char *fmt, va_list ap)
{
	char raw[TEXT_MAX];
	int n = vsnprintf(raw, sizeof(raw), fmt, ap);

	return text_utf8(raw, n < 0 ? 0 : strlen(raw), max - 4);
}

void
link_doing(struct link *k, const char *fmt, ...)
{
	struct msg m = {.id = MSG_PROGRESS};
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = format_text(512, fmt, ap);
	va_end(ap);
	m.progress.doing = text;
	link_post(k, &m);
	free(text);
}

void
link_event(struct link *k, const char *kind, const char *fmt, ...)
{
	struct msg m = {.id = MSG_EVENT, .event = {.kind = kind}};
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = format_text(TEXT_MAX, fmt, ap);
	va_end(ap);
	m.event.text = text;
	link_post(k, &m);
	free(text);
}

const char *
link_stop_reason(const struct link *k)
{
	if (!k->loop->stop)
		return NULL;
	if (k->stop_reason[0] != '\0')
		return k->stop_reason;
	switch (k->loop->stop_signal) {
	case SIGTERM:
		return "SIGTERM";
	case SIGINT:
		return "SIGINT";
	case SIGHUP:
		return "SIGHUP";
	}
	return "asked to stop";
}

bool
link_connected(const struct link *k)
{
	return k->connected;
}
