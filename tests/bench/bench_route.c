/*
 * bench_route: a PROBE from a client through orchd to a worker and its answer back: one in flight (round
 * trip) and 64 in flight (messages per second; orchd routes two for each probe). Against a socketpair between
 * this process and a bare echo: the same bytes, the same number in flight, half as many hops. On one CPU, and
 * with orchd (or the echo) on another than the rest.
 */
#include "common/alloc.h"
#include "common/child.h"
#include "common/fd.h"
#include "proto/frame.h"
#include "proto/msg.h"
#include "proto/peer.h"
#include "tests/bench/lib/sample.h"
#include "tests/bench/lib/team.h"

#include <errno.h>
#include <event2/buffer.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAME_BYTES 211 /* what the floors of the field were measured with */
#define TRIPS 4000
#define WARM_UP 200
#define WINDOW 64
#define BURST 40000
#define WAIT_MS 20000

/* Asks one task and counts what comes back. */
struct asker {
	struct team *team;
	struct peer *peer;
	struct msg probe;
	size_t sent, answered, target, window;
	struct samples *times; /* with a window of 1; NULL: not wanted */
	int64_t begin;
	bool greeted, done;
};

static void
pin(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(pid, sizeof(set), &set) < 0)
		bench_die("cannot pin process %d to CPU %d: %s", (int)pid, cpu, strerror(errno));
}

static void
ask(struct asker *a)
{
	struct err e = {""};

	while (a->sent < a->target && a->sent - a->answered < a->window) {
		a->begin = bench_ns();
		a->probe.request = (uint32_t)++a->sent;
		if (peer_send(a->peer, &a->probe, &e) < 0)
			bench_die("%s", e.msg);
	}
}

static void
on_hello(struct peer *p, const struct msg *hello, void *arg)
{
	struct asker *a = arg;
	struct msg m = {.id = MSG_HELLO, .hello = {.proto = PROTO_VERSION, .role = "orchctl"}};

	(void)hello;
	peer_send(p, &m, NULL);
	a->greeted = true;
}

static void
on_msg(struct peer *p, const struct msg *m, void *arg)
{
	struct asker *a = arg;

	(void)p;
	if (m->id == MSG_ERROR)
		bench_die("orchd refused a probe: %s", m->error.text);
	if (m->id != MSG_PROBED)
		return;
	if (a->times != NULL)
		samples_add(a->times, (double)(bench_ns() - a->begin) / 1e3);
	a->answered++;
	a->done = a->answered == a->target;
	ask(a);
}

static void
on_closed(struct peer *p, const char *why, void *arg)
{
	(void)p;
	(void)arg;
	bench_die("orchd closed the connection: %s", why);
}

static const struct peer_ops ops = {.on_hello = on_hello, .on_msg = on_msg, .on_closed = on_closed};

/* The payload that makes a PROBE of FRAME_BYTES bytes. */
static char *
make_payload(const char *task)
{
	struct msg m = {.id = MSG_PROBE, .request = 1, .probe = {.task = task, .payload = NULL}};
	struct evbuffer *b = evbuffer_new();
	char *payload;
	size_t bare;

	if (msg_encode(&m, b, NULL) < 0)
		bench_die("cannot encode a PROBE");
	bare = evbuffer_get_length(b) + strlen("_payload") + 2; /* its name and size take these */
	evbuffer_free(b);
	payload = xcalloc(1, FRAME_BYTES - bare + 1);
	memset(payload, 'x', FRAME_BYTES - bare);
	return payload;
}

static void
connect_asker(struct asker *a, struct team *t, const char *task)
{
	struct err e = {""};
	struct peer_cfg cfg = {.loop = &t->repo->loop,
	    .fd = peer_connect(t->place.socket, &e),
	    .self = WHO_CTL,
	    .them = WHO_ORCHD,
	    .ops = &ops,
	    .arg = a,
	    .trusted = true};

	if (cfg.fd < 0)
		bench_die("%s", e.msg);
	memset(a, 0, sizeof(*a));
	a->team = t;
	a->probe.id = MSG_PROBE;
	a->probe.probe.task = task;
	a->probe.probe.payload = make_payload(task);
	a->peer = peer_new(&cfg);
	team_wait(t, &a->greeted, WAIT_MS, "orchd says nothing");
}

/* Seconds that so many probes took. */
static double
probe(struct asker *a, size_t count, size_t window, struct samples *times)
{
	int64_t begin = bench_ns();

	a->sent = a->answered = 0;
	a->target = count;
	a->window = window;
	a->times = times;
	a->done = false;
	ask(a);
	team_wait(a->team, &a->done, WAIT_MS, "not all probes came back");
	return bench_ms_since(begin) / 1e3;
}

struct echo {
	pid_t pid;
	int fd;
};

static void
start_echo(struct echo *o)
{
	char *program = team_program("orch-test-floor");
	const char *argv[] = {program, "echo", NULL};
	struct child_spec s;
	struct err e = {""};
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		bench_die("socketpair: %s", strerror(errno));
	child_spec_init(&s);
	s.argv = argv;
	s.fd_in = s.fd_out = sv[1];
	s.death_signal = SIGKILL;
	if (child_spawn(&s, &o->pid, NULL, &e) < 0)
		bench_die("%s", e.msg);
	close(sv[1]);
	o->fd = sv[0];
	free(program);
}

static void
stop_echo(struct echo *o)
{
	fd_close(&o->fd);
	while (waitpid(o->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}

/* Seconds that count frames took, window of them in one write. */
static double
ping_pong(struct echo *o, size_t count, size_t window, struct samples *times)
{
	static char buf[WINDOW * FRAME_BYTES];
	size_t size = window * FRAME_BYTES;
	int64_t begin = bench_ns();

	for (size_t i = 0; i < count; i += window) {
		int64_t one = bench_ns();

		if (fd_write_all(o->fd, buf, size) < 0)
			bench_die("the echo is gone");
		for (size_t got = 0; got < size;) {
			ssize_t n = fd_read(o->fd, buf, size - got);

			if (n <= 0)
				bench_die("the echo is gone");
			got += (size_t)n;
		}
		if (times != NULL)
			samples_add(times, (double)(bench_ns() - one) / 1e3);
	}
	return bench_ms_since(begin) / 1e3;
}

static const char *
row_name(char *buf, size_t size, const char *what, bool two)
{
	snprintf(buf, size, "%s, %s", what, two ? "two CPUs" : "one CPU");
	return buf;
}

/* us: 2 x what the field's best needs for one of the two hops. */
static void
measure(struct asker *a, struct echo *o, bool two, const char *trip_aim, const char *rate_aim)
{
	struct samples trips = {0}, raw = {0};
	double rate, raw_rate;
	char what[96];

	pin(a->team->orchd, two);
	pin(o->pid, two);
	probe(a, WARM_UP, 1, NULL);
	ping_pong(o, WARM_UP, 1, NULL);
	probe(a, TRIPS, 1, &trips);
	ping_pong(o, TRIPS, 1, &raw);
	rate = 2 * BURST / probe(a, BURST, WINDOW, NULL);
	raw_rate = 2 * BURST / ping_pong(o, BURST, WINDOW, NULL);
	bench_row(row_name(what, sizeof(what), "routed round trip, us", two), samples_median(&trips),
	    samples_at(&trips, 0.99), samples_median(&raw), trip_aim);
	bench_row(row_name(what, sizeof(what), "routed messages, thousands per s", two), rate / 1e3, -1,
	    raw_rate / 1e3, rate_aim);
	samples_clear(&trips);
	samples_clear(&raw);
}

int
main(void)
{
	struct team *t = team_new();
	const struct member *worker = NULL;
	struct asker a;
	struct echo o;

	team_script(t, 0, "say working\nhang\n");
	team_start(t);
	team_assemble(t);
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->members[i].role, "worker") == 0)
			worker = &t->members[i];
	connect_asker(&a, t, worker->task);
	start_echo(&o);
	pin(0, 0);
	pin(worker->pid, 0);
	measure(&a, &o, false, "<= 15 us", ">= 200");
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		measure(&a, &o, true, "<= 120 us", ">= 200");
	else
		bench_note("this machine has one CPU only");
	stop_echo(&o);
	peer_free(a.peer);
	free((char *)a.probe.probe.payload);
	return 0;
}
