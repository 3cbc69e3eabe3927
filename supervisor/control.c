/*
 * control: the control socket. Accepts people's orchctl (and roles that reconnect), answers requests by a
 * table, and pushes changes to those that watch. A slow watcher loses updates, is told how many, and gets
 * everything afresh.
 */
#include "supervisor/daemon.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "common/log.h"
#include "supervisor/answer.h"
#include "supervisor/info.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 64

static void
client_free(struct client *c)
{
	probes_forget_client(&c->d->probes, c);
	TAILQ_REMOVE(&c->d->clients, c, entry);
	configs_clear(&c->keys);
	configs_wipe_free(c->token);
	run_free(c->restore);
	free(c->run);
	free(c->task);
	free(c);
}

static void
on_client_msg(struct peer *p, const struct msg *m, void *arg)
{
	(void)p;
	answer_request(arg, m);
}

static void
on_client_closed(struct peer *p, const char *why, void *arg)
{
	struct client *c = arg;

	(void)why;
	if (c != NULL)
		client_free(c);
	peer_free(p);
}

static void
on_client_pressure(struct peer *p, bool high, void *arg)
{
	struct client *c = arg;
	struct msg m = {.id = MSG_LOST, .request = c->request, .lost = {.count = c->lost}};
	struct run *r;

	c->slow = high;
	if (high || c->lost == 0)
		return;
	c->lost = 0;
	peer_send(p, &m, NULL);
	r = c->run == NULL ? answer_current_run(c->d) : runs_find(&c->d->runs, c->run);
	if (c->watching && r != NULL)
		answer_with_run(c, c->request, r, true);
}

/*
 * A role that lost its orchd: known by pid and start time of the socket's other end, never by what it says.
 * Its connection becomes the role's own.
 */
static void
on_client_hello(struct peer *p, const struct msg *hello, void *arg)
{
	struct client *c = arg;
	struct task *t;

	if (strcmp(hello->hello.role, "orchctl") == 0)
		return;
	if (strcmp(hello->hello.role, "gateway") == 0 && gw_recognise(c->d, c->pid)) {
		gw_take_over(c->d, p);
		client_free(c);
		return;
	}
	t = hello->hello.task == NULL ? NULL : runs_find_task(&c->d->runs, hello->hello.task);
	if (t == NULL || strcmp(hello->hello.role, task_role(t)) != 0 || !spawn_recognise(t, c->pid)) {
		log_warn("refused pid %d, which says that it is the %s of %s", (int)c->pid, hello->hello.role,
		    hello->hello.task == NULL ? "nothing" : hello->hello.task);
		peer_close(p, "orchd does not know this process");
		return;
	}
	log_info("%s: its %s, pid %d, is back", t->id, task_role(t), (int)c->pid);
	spawn_take_over(c->d, t, p);
	client_free(c);
}

static const struct peer_ops client_ops = {.on_hello = on_client_hello,
    .on_msg = on_client_msg,
    .on_closed = on_client_closed,
    .on_pressure = on_client_pressure};

static unsigned
count_clients(const struct daemon *d)
{
	const struct client *c;
	unsigned n = 0;

	TAILQ_FOREACH (c, &d->clients, entry)
		n++;
	return n;
}

/* An agent must not steer its own supervisor: whoever descends from a role, and is not that role, is refused.
 */
static bool
is_welcome(struct daemon *d, pid_t pid, uid_t uid)
{
	struct run *r;
	struct task *t;

	if (uid != geteuid() && uid != 0)
		return false;
	TAILQ_FOREACH (r, &d->runs, entry)
		TAILQ_FOREACH (t, &r->tasks, entry)
			if (spawn_recognise(t, pid))
				return true;
	return gw_recognise(d, pid) || !drain_descends_from_role(d, pid);
}

static void
on_accept(evutil_socket_t listen_fd, short what, void *arg)
{
	struct daemon *d = arg;
	int fd = accept4((int)listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct msg hello = {.id = MSG_HELLO,
	    .hello = {.proto = PROTO_VERSION,
		.role = "orchd",
		.version = ORCH_VERSION,
		.pid = (uint64_t)getpid(),
		.heartbeat_ms = d->conf.heartbeat_ms}};
	struct peer_cfg cfg = {.loop = &d->loop,
	    .fd = fd,
	    .self = WHO_ORCHD,
	    .them = WHO_CTL,
	    .ops = &client_ops,
	    .heartbeat_ms = (int64_t)d->conf.heartbeat_ms};
	struct client *c;
	uid_t uid;
	pid_t pid;

	(void)what;
	if (fd < 0)
		return;
	if (peer_credentials(fd, &pid, &uid) < 0 || count_clients(d) >= CLIENTS_MAX ||
	    !is_welcome(d, pid, uid)) {
		log_warn("refused a connection of pid %d (uid %d)", (int)pid, (int)uid);
		fd_close(&fd);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->d = d;
	c->pid = pid;
	cfg.arg = c;
	c->peer = peer_new(&cfg);
	TAILQ_INSERT_TAIL(&d->clients, c, entry);
	peer_cork(c->peer);
	peer_send(c->peer, &hello, NULL);
}

int
control_listen(struct daemon *d, struct err *e)
{
	if (d->listen_fd < 0)
		d->listen_fd = peer_listen(d->repo.socket, e);
	if (d->listen_fd < 0)
		return d->listen_fd;
	d->listen_ev = event_new(d->loop.base, d->listen_fd, EV_READ | EV_PERSIST, on_accept, d);
	event_add(d->listen_ev, NULL);
	return 0;
}

/* Whoever connects waits for the next orchd on the same socket. */
static void
pause_listening(struct daemon *d)
{
	event_free(d->listen_ev);
	d->listen_ev = NULL;
}

static void
stop_listening(struct daemon *d)
{
	if (d->listen_ev == NULL)
		return;
	pause_listening(d);
	fd_close(&d->listen_fd);
	unlink(d->repo.socket); /* we still hold the lock: it is ours */
}

void
control_farewell(struct daemon *d)
{
	struct client *c;

	if (!d->handover)
		stop_listening(d);
	else
		pause_listening(d);
	TAILQ_FOREACH (c, &d->clients, entry) {
		peer_uncork(c->peer);
		peer_close(c->peer, d->handover ? "orchd is restarted" : "orchd leaves");
	}
	while (!TAILQ_EMPTY(&d->clients) && event_base_loop(d->loop.base, EVLOOP_ONCE) == 0)
		;
}

void
control_close(struct daemon *d)
{
	struct client *c;

	while ((c = TAILQ_FIRST(&d->clients)) != NULL) {
		peer_free(c->peer);
		client_free(c);
	}
	stop_listening(d);
}

static bool
is_watched(const struct client *c, const char *run, const char *task)
{
	size_t n;

	if (c->run != NULL && (run == NULL || strcmp(c->run, run) != 0))
		return false;
	if (c->task == NULL)
		return true;
	n = strlen(c->task);
	return task != NULL && strncmp(task, c->task, n) == 0 && (task[n] == '\0' || task[n] == '/');
}

static void
push(struct client *c, struct msg *m)
{
	if (c->slow)
		c->lost++;
	else {
		m->request = c->request;
		peer_send(c->peer, m, NULL);
	}
}

static void
push_changes(struct client *c)
{
	struct info i = {0};
	struct run *r;
	struct task *t;
	struct msg m;

	TAILQ_FOREACH (r, &c->d->runs, entry) {
		if (!r->changed || !is_watched(c, r->id, NULL))
			continue;
		TAILQ_FOREACH (t, &r->tasks, entry)
			if (t->changed) {
				info_task(&i, c->d, t, &m);
				push(c, &m);
			}
		info_run(&i, c->d, r, &m);
		push(c, &m);
	}
	info_clear(&i);
}

void
control_push(struct daemon *d, struct store_event_list *events)
{
	struct client *c;
	struct store_event *ev;
	struct msg m;

	TAILQ_FOREACH (c, &d->clients, entry) {
		if (!c->watching && !c->following)
			continue;
		TAILQ_FOREACH (ev, events, entry) {
			if (!is_watched(c, ev->run, ev->task))
				continue;
			info_event(ev, &m);
			push(c, &m);
		}
		if (c->watching)
			push_changes(c);
	}
}

static void
let_go(struct client *c)
{
	peer_uncork(c->peer);
	peer_cork(c->peer);
}

void
control_uncork(struct daemon *d)
{
	struct client *c;

	TAILQ_FOREACH (c, &d->clients, entry) {
		c->asked_change = false;
		let_go(c);
	}
}

void
control_uncork_lookers(struct daemon *d)
{
	struct client *c;

	TAILQ_FOREACH (c, &d->clients, entry)
		if (!c->asked_change)
			let_go(c);
}

void
control_tell_trouble(struct daemon *d)
{
	struct info i = {0};
	struct client *c;
	struct run *r;
	struct msg m;

	TAILQ_FOREACH (r, &d->runs, entry) {
		info_run(&i, d, r, &m);
		TAILQ_FOREACH (c, &d->clients, entry)
			if (c->watching && is_watched(c, r->id, NULL))
				push(c, &m);
	}
	info_clear(&i);
}

void
control_stopped(struct daemon *d)
{
	struct client *c;

	if (!d->handover)
		stop_listening(
		    d); /* whoever has the answer may start the next orchd: it must not reach this one */
	TAILQ_FOREACH (c, &d->clients, entry) {
		peer_ack(c->peer, c->shutdown_request, NULL);
		if (c->following && !d->handover)
			peer_error(c->peer, c->request, ESHUTDOWN, "orchd was stopped");
	}
}
