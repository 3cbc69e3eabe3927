/* gw: the gateway's process, by the same state machine as a role's (see gw.h). */
#include "supervisor/daemon.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "supervisor/logfile.h"
#include "supervisor/role.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define GRACE_MS 2000 /* it has nothing to save */
#define LOG_NAME "gateway.log"
#define REQUEST_LOG_NAME "requests.log"

void
gw_init(struct daemon *d)
{
	struct gw *g = &d->gw;

	memset(g, 0, sizeof(*g));
	g->d = d;
	g->listen_fd = -1;
	unit_init(&g->unit);
	g->unit.grace_ms = GRACE_MS;
	process_init(&g->process);
}

void
gw_clear(struct daemon *d)
{
	struct gw *g = &d->gw;

	if (g->d == NULL)
		return;
	peer_free(g->peer);
	g->peer = NULL;
	process_forget(&g->process);
	fd_close(&g->listen_fd);
	gw_rows_clear(&g->rows);
	gw_rows_clear(&g->coming);
	free(g->current);
}

static void
note(struct gw *g)
{
	const struct store_gateway row = {.pid = g->process.pid,
	    .start_ticks = g->process.start_ticks,
	    .port = g->port,
	    .serial = g->serial};

	store_note_gateway(g->d->store, &row);
}

void
gw_count(struct daemon *d, uint64_t serial)
{
	d->gw.serial = serial;
	note(&d->gw);
}

bool
gw_has_process(const struct daemon *d)
{
	return unit_has_process(&d->gw.unit) || d->gw.unit.state == UNIT_DRAINING;
}

bool
gw_recognise(const struct daemon *d, pid_t pid)
{
	return unit_has_process(&d->gw.unit) && process_is(&d->gw.process, pid);
}

/* The port. */

static int
open_port(unsigned port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, rc;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	rc = -errno;
	fd_close(&fd);
	return rc;
}

/* Agents that an earlier orchd told a port find the next gateway there, unless somebody else took it. */
int
gw_bind(struct daemon *d, struct err *e)
{
	struct gw *g = &d->gw;
	struct sockaddr_in a;
	socklen_t size = sizeof(a);
	int fd = -EADDRINUSE;

	if (g->listen_fd >= 0 || (g->port != 0 && g->process.pid > 0)) /* a gateway that we adopted has it */
		return 0;
	if (g->port != 0 && g->process.pid > 0) /* one that an earlier orchd started has it, and serves there */
		return 0;
	if (g->port != 0)
		fd = open_port(g->port);
	if (fd < 0)
		fd = open_port(0);
	if (fd < 0)
		return err_sys(e, fd, "cannot listen on 127.0.0.1");
	if (getsockname(fd, (struct sockaddr *)&a, &size) < 0) {
		int rc = err_sys(e, -errno, "getsockname");

		fd_close(&fd);
		return rc;
	}
	g->listen_fd = fd;
	g->port = ntohs(a.sin_port);
	note(g);
	return 0;
}

/* Its process. */

static void
note_exit(struct gw *g, const char *how)
{
	char *path, *words, *text;

	if (!g->unit.wanted || g->d->stopping) {
		log_info("the gateway %s", how);
		return;
	}
	path = xasprintf("%s/logs/" LOG_NAME, g->d->repo.state);
	words = logfile_last_words(path, g->log_start);
	text = xasprintf(
	    "the gateway %s%s%s", how, words == NULL ? "" : "; last words: ", words == NULL ? "" : words);
	log_warn("%s", text);
	store_add_remark(g->d->store, NULL, NULL, "death", text);
	free(path);
	free(words);
	free(text);
}

/* Binds what agents were told, or else tells them anew. */
static int
keep_port(struct gw *g, struct err *e)
{
	unsigned port = g->port;
	int rc = gw_bind(g->d, e);

	if (rc == 0 && port != 0 && port != g->port) {
		log_warn("port %u is somebody else's now: agents get port %u", port, g->port);
		secrets_resend(g->d, true);
	}
	return rc;
}

/*
 * The next one may come later, but at once its port is ours: whoever asks meanwhile waits in the socket's
 * queue. Who asked in between found nobody there; being told the way again lets a role know that its agent
 * may have ended for that, which costs no attempt.
 */
static void
bridge(struct gw *g)
{
	struct err e = {""};

	if (gw_current_run(g->d) == NULL || g->d->stopping)
		return;
	if (keep_port(g, &e) < 0)
		log_warn("the gateway: %s", e.msg);
	secrets_resend(g->d, true);
}

static void
process_ended(struct gw *g, int status, bool known)
{
	struct daemon *d = g->d;
	char text[96];
	int code = known && WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	note_exit(g, known ? child_status_text(text, sizeof(text), status) : "ended");
	if (g->peer != NULL)
		peer_close(g->peer, "its process has ended");
	process_forget(&g->process);
	g->ready = false;
	g->serial = 0;
	note(g);
	if (g->adopted) {
		g->adopted = false;
		secrets_resend(d, false); /* whose token it did not tell any more */
		secrets_lost(d);
	}
	bridge(g);
	gw_step(d, UNIT_EV_EXIT, code);
}

static void
on_child_exit(void *arg, pid_t pid, int status)
{
	(void)pid;
	process_ended(arg, status, true);
}

static void
on_pidfd(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	process_ended(arg, 0, false);
}

static void
on_msg(struct peer *p, const struct msg *m, void *arg)
{
	struct gw *g = arg;

	if (g != NULL && g->peer == p)
		gw_message(g->d, p, m);
}

static void
on_hello(struct peer *p, const struct msg *hello, void *arg)
{
	struct gw *g = arg;

	if (g == NULL || g->peer != p)
		return;
	if (strcmp(hello->hello.role, "gateway") != 0) {
		peer_close(p, "it says that it is another role");
		return;
	}
	gw_step(g->d, UNIT_EV_HELLO, -1);
	gw_tell_all(g->d);
}

static void
on_closed(struct peer *p, const char *why, void *arg)
{
	struct gw *g = arg;

	if (g != NULL && g->peer == p) {
		g->peer = NULL;
		g->ready = false;
		loop_reap(&g->d->loop);
		if (unit_has_process(&g->unit)) {
			log_info("lost the gateway's socket: %s", why);
			gw_step(g->d, UNIT_EV_LOST, -1);
		}
	}
	peer_free(p);
}

static const struct peer_ops ops = {.on_hello = on_hello, .on_msg = on_msg, .on_closed = on_closed};

static void
drop_peer(struct gw *g)
{
	if (g->peer != NULL) /* its predecessor's is still closing */
		peer_set_arg(g->peer, NULL);
	g->peer = NULL;
}

static void
greet(struct gw *g, int fd)
{
	struct daemon *d = g->d;
	struct peer_cfg cfg = {.loop = &d->loop,
	    .fd = fd,
	    .self = WHO_ORCHD,
	    .them = WHO_GATEWAY,
	    .ops = &ops,
	    .arg = g,
	    .heartbeat_ms = (int64_t)d->conf.heartbeat_ms,
	    .hello_timeout_ms = UNIT_HELLO_MS + 1000, /* the unit's own timer is first */
	    .trusted = true};
	struct msg hello = {.id = MSG_HELLO,
	    .hello = {.proto = PROTO_VERSION,
		.role = "orchd",
		.version = ORCH_VERSION,
		.pid = (uint64_t)getpid(),
		.heartbeat_ms = d->conf.heartbeat_ms}};

	drop_peer(g);
	g->peer = peer_new(&cfg);
	peer_cork(g->peer);
	peer_send(g->peer, &hello, NULL);
}

static int
fork_it(struct gw *g, pid_t *pid, int *fd, struct err *e)
{
	struct daemon *d = g->d;
	char *log = xasprintf("ORCH_REQUEST_LOG=%s/logs/" REQUEST_LOG_NAME, d->repo.state);
	struct role_spec s = {.program = "orch-gateway", .task = "gateway", .extra = log};
	int rc = keep_port(g, e);

	if (rc == 0) {
		s.listen_fd = g->listen_fd;
		s.log_fd = logfile_open(&d->repo, LOG_NAME, d->conf.log_max_mb << 20, &g->log_start, e);
		rc = role_start(d, &s, pid, fd, e);
		fd_close(&s.log_fd);
	}
	free(log);
	return rc;
}

static void
spawn(struct gw *g)
{
	struct daemon *d = g->d;
	struct err e = {""};
	int fd = -1, rc;
	pid_t pid;

	if (d->stopping)
		return;
	rc = fork_it(g, &pid, &fd, &e);
	if (rc < 0) {
		log_error("the gateway: %s", e.msg);
		store_add_remark(d->store, NULL, NULL, "death", e.msg);
		gw_step(d, UNIT_EV_SPAWN_FAILED, -1);
		return;
	}
	process_started(&g->process, pid);
	g->serial = 0;
	note(g);
	loop_watch_child(&d->loop, pid, on_child_exit, g);
	greet(g, fd);
	log_info("started the gateway as pid %d, port %u", (int)pid, g->port);
	gw_step(d, UNIT_EV_SPAWNED, -1);
}

static void
ask_to_stop(struct gw *g)
{
	const struct msg m = {.id = MSG_STOP,
	    .stop = {.reason = g->d->stopping ? "orchd is stopping" : "no run has keys any more"}};

	if (g->peer != NULL)
		peer_send(g->peer, &m, NULL);
	process_signal(&g->process, SIGTERM);
	process_signal(&g->process, SIGCONT);
}

void
gw_step(struct daemon *d, enum unit_event ev, int exit_code)
{
	struct gw *g = &d->gw;
	enum unit_state before = g->unit.state;
	unsigned act = unit_step(&g->unit, ev, clock_now_ms(), exit_code, arc4random());

	if (act & UNIT_BUG) {
		log_error("BUG: the gateway is %s and cannot take \"%s\"", unit_state_name(before),
		    unit_event_name(ev));
		return;
	}
	if (act & UNIT_DO_PARKED) {
		log_error("the gateway keeps dying and is parked, with one try a minute");
		store_add_event(d->store, NULL, NULL, "parked", NULL,
		    "the gateway keeps dying and is parked, with one try a minute: see logs/" LOG_NAME);
	}
	if (act & UNIT_DO_SPAWN)
		spawn(g);
	if (act & UNIT_DO_TERM)
		ask_to_stop(g);
	if (act & UNIT_DO_KILL)
		process_signal(&g->process, SIGKILL);
	if (act & UNIT_DO_DRAIN)
		drain_start(d);
	/* Given up: gw_settle wants it again, as long as there are keys. */
}

void
gw_timers(struct daemon *d, int64_t now)
{
	struct unit *u = &d->gw.unit;

	if (u->state != UNIT_DRAINING && u->timer_ms >= 0 && u->timer_ms <= now)
		gw_step(d, UNIT_EV_TIMER, -1);
}

int64_t
gw_next_timer(const struct daemon *d)
{
	return d->gw.unit.state == UNIT_DRAINING ? -1 : d->gw.unit.timer_ms;
}

void
gw_uncork(struct daemon *d)
{
	if (d->gw.peer == NULL)
		return;
	peer_uncork(d->gw.peer);
	peer_cork(d->gw.peer);
}

void
gw_adopt(struct daemon *d, const struct store_gateway *row)
{
	struct gw *g = &d->gw;

	g->port = (unsigned)(row->port <= UINT16_MAX ? row->port : 0);
	if (row->pid == 0 || row->other_boot ||
	    process_adopt(&g->process, d->loop.base, row->pid, row->start_ticks, on_pidfd, g) < 0)
		return;
	if (g->process.pidfd < 0) /* of the orchd that this process was before */
		loop_watch_child(&d->loop, row->pid, on_child_exit, g);
	g->serial = row->serial;
	g->adopted = true;
	log_info("the gateway, pid %d, is still there", (int)g->process.pid);
	gw_step(d, UNIT_EV_ADOPTED, -1);
}

void
gw_take_over(struct daemon *d, struct peer *p)
{
	struct gw *g = &d->gw;

	if (g->peer != NULL) {
		struct peer *old = g->peer;

		drop_peer(g);
		peer_close(old, "replaced by a new connection");
	}
	g->peer = p;
	peer_promote(p, WHO_GATEWAY, &ops, g, (int64_t)d->conf.heartbeat_ms);
	gw_step(d, UNIT_EV_HELLO, -1);
}

static bool
is_at_work(const struct run *r)
{
	return !r->stopped && run_state(r) != RUN_QUEUED && !run_state_ended(run_state(r));
}

struct run *
gw_current_run(struct daemon *d)
{
	struct run *r, *first = NULL;

	TAILQ_FOREACH (r, &d->runs, entry) {
		if (r->keys.count == 0)
			continue;
		if (is_at_work(r))
			return r;
		if (first == NULL)
			first = r;
	}
	return first;
}

void
gw_settle(struct daemon *d)
{
	struct gw *g = &d->gw;
	struct run *r = gw_current_run(d);
	bool wanted = d->stopping ? spawn_any_process(d) : r != NULL || g->adopted;

	if (!wanted && g->unit.state != UNIT_NONE && (g->unit.wanted || g->unit.state == UNIT_READY) &&
	    g->unit.state != UNIT_STOPPING && g->unit.state != UNIT_KILLED)
		gw_step(d, d->stop_how == STOP_KILL ? UNIT_EV_KILL : UNIT_EV_STOP, -1);
	if (wanted && !g->unit.wanted && !d->stopping)
		gw_step(d, UNIT_EV_START, -1);
	if (r != NULL && g->ready && (g->current == NULL || strcmp(g->current, r->id) != 0))
		gw_use(d, r);
}
