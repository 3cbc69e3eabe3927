/* fakeorchd: see fakeorchd.h. */
#include "tests/helper/lib/fakeorchd.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "tests/helper/lib/test.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

struct client {
	struct fakeorchd *orchd;
	struct peer *peer;
	bool closed;
	TAILQ_ENTRY(client) entry;
};

struct fakeorchd {
	struct loop *loop;
	char *path;
	int fd;
	struct event *ev;
	fakeorchd_fn *fn;
	void *arg;
	TAILQ_HEAD(, client) clients;
	unsigned count;
	pid_t pid;
};

static void
on_msg(struct peer *p, const struct msg *m, void *arg)
{
	struct client *k = arg;

	k->orchd->fn(k->orchd, p, m, k->orchd->arg);
}

static void
on_closed(struct peer *p, const char *why, void *arg)
{
	struct client *k = arg;

	(void)p;
	(void)why;
	k->closed = true; /* freed by the next accept or with everything */
}

static const struct peer_ops ops = {.on_msg = on_msg, .on_closed = on_closed};

static void
reap(struct fakeorchd *f, bool all)
{
	struct client *k, *next;

	TAILQ_FOREACH_SAFE (k, &f->clients, entry, next) {
		if (!all && !k->closed)
			continue;
		TAILQ_REMOVE(&f->clients, k, entry);
		peer_free(k->peer);
		free(k);
	}
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct fakeorchd *f = arg;
	struct client *k;
	struct peer_cfg cfg = {.loop = f->loop, .self = WHO_ORCHD, .them = WHO_CTL, .ops = &ops};
	struct msg hello = {.id = MSG_HELLO};
	uid_t uid;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	if (client < 0)
		return;
	reap(f, false);
	f->count++;
	if (peer_credentials(client, &f->pid, &uid) < 0)
		abort();
	k = xcalloc(1, sizeof(*k));
	k->orchd = f;
	cfg.fd = client;
	cfg.arg = k;
	k->peer = peer_new(&cfg);
	TAILQ_INSERT_TAIL(&f->clients, k, entry);
	hello.hello.proto = PROTO_VERSION;
	hello.hello.role = "orchd";
	hello.hello.version = ORCH_VERSION;
	if (peer_send(k->peer, &hello, NULL) < 0)
		abort();
}

struct fakeorchd *
fakeorchd_new(struct loop *l, const char *socket_path, fakeorchd_fn *fn, void *arg)
{
	struct fakeorchd *f = xcalloc(1, sizeof(*f));
	char *folder = xstrdup(socket_path);
	struct err e = {""};

	*strrchr(folder, '/') = '\0';
	assert_int_equal(fd_mkdirs(folder, 0700), 0);
	free(folder);
	f->loop = l;
	f->path = xstrdup(socket_path);
	f->fn = fn;
	f->arg = arg;
	TAILQ_INIT(&f->clients);
	f->fd = peer_listen(socket_path, &e);
	if (f->fd < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(fd_set_nonblock(f->fd), 0);
	f->ev = event_new(l->base, f->fd, EV_READ | EV_PERSIST, on_accept, f);
	event_add(f->ev, NULL);
	return f;
}

void
fakeorchd_free(struct fakeorchd *f)
{
	if (f == NULL)
		return;
	reap(f, true);
	event_free(f->ev);
	fd_close(&f->fd);
	unlink(f->path);
	free(f->path);
	free(f);
}

void
fakeorchd_send(struct peer *p, uint32_t request, struct msg m)
{
	struct err e = {""};

	m.request = request;
	/* In the loop: no assertion of cmocka's may jump out of it. */
	if (peer_send(p, &m, &e) < 0 && e.msg[0] != '\0') {
		fprintf(stderr, "fakeorchd: %s\n", e.msg);
		abort();
	}
}

void
fakeorchd_end(struct peer *p, uint32_t request)
{
	fakeorchd_send(p, request, (struct msg){.id = MSG_END});
}

void
fakeorchd_hang_up(struct peer *p)
{
	peer_close(p, "the test hangs up");
}

unsigned
fakeorchd_clients(const struct fakeorchd *f)
{
	return f->count;
}

pid_t
fakeorchd_client_pid(const struct fakeorchd *f)
{
	return f->pid;
}
