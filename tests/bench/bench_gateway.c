/*
 * bench_gateway: what orch-gateway adds to a request and to each event of a stream, how much it carries, and
 * what memory it takes, against nothing in between (direct) and against nginx as a proxy without buffering,
 * in turns on the same machine in the same run. nginx is Debian's (script/bootstrap --bench); without it the
 * gateway is compared with nothing in between alone, and this exits with 77.
 */
#include "common/alloc.h"
#include "common/child.h"
#include "common/fd.h"
#include "tests/bench/lib/httpload.h"
#include "tests/bench/lib/sample.h"
#include "tests/helper/lib/gatewayproc.h"
#include "tests/helper/lib/tmp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIP 77
#define ROUNDS 10
#define SHORT_ROUNDS 50 /* where a fit of the machine's would be most of a longer one */
#define STREAMS 50
#define EVENTS 40 /* of each in a round */
#define HELD_MS 1500

enum way { DIRECT, NGINX, GATEWAY, WAYS };
static const char *const names[] = {"direct", "nginx", "gateway"};

struct nginx {
	pid_t pid;
	unsigned port;
	char *dir;
};

struct bench {
	struct httpload_endpoint endpoint;
	struct gatewayproc gateway;
	struct nginx nginx;
	struct httpload_target targets[WAYS];
	bool there[WAYS];
};

/* A port of 127.0.0.1 that was free a moment ago. */
static unsigned
free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &size) < 0)
		bench_die("no free port: %s", strerror(errno));
	fd_close(&fd);
	return ntohs(a.sin_port);
}

static bool
answers(unsigned port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

	fd_close(&fd);
	return is;
}

/* One process, without a log; what it would do to a stream by itself (buffering) is off. */
static bool
nginx_start(struct nginx *n, unsigned endpoint)
{
	struct child_spec spec;
	struct err e = {""};
	const char *argv[] = {NULL, "-c", NULL, "-p", NULL, "-e", "/dev/null", NULL};
	char *program = NULL, *config, *text;

	if (child_find_program("nginx", &program, NULL) < 0 && access("/usr/sbin/nginx", X_OK) == 0)
		program = xstrdup("/usr/sbin/nginx");
	if (program == NULL)
		return false;
	n->dir = tmp_make();
	n->port = free_port();
	text = xasprintf(
	    "daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log /dev/null;\n"
	    "events { worker_connections 1024; }\n"
	    "http { access_log off; client_max_body_size 40m; client_body_buffer_size 2m; tcp_nodelay on;\n"
	    "  client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u;\n"
	    "  scgi_temp_path s; keepalive_requests 1000000;\n"
	    "  upstream api { server 127.0.0.1:%u; keepalive 64; keepalive_requests 1000000; }\n"
	    "  server { listen 127.0.0.1:%u;\n"
	    "    location / { proxy_pass http://api; proxy_http_version 1.1; proxy_buffering off;\n"
	    "      proxy_set_header Connection \"\"; proxy_set_header x-api-key sk-test-dummy; } } }\n",
	    endpoint, n->port);
	tmp_write(n->dir, "nginx.conf", text);
	config = tmp_path(n->dir, "nginx.conf");
	argv[0] = program;
	argv[2] = config;
	argv[4] = n->dir;
	child_spec_init(&spec);
	spec.argv = argv;
	spec.death_signal = SIGKILL;
	if (child_spawn(&spec, &n->pid, NULL, &e) < 0)
		bench_die("%s", e.msg);
	for (int i = 0; i < 500 && !answers(n->port); i++)
		usleep(10000);
	free(text);
	free(config);
	free(program);
	return true;
}

static void
bench_begin(struct bench *b)
{
	char *configs;

	httpload_endpoint_start(&b->endpoint);
	configs = xasprintf("[{\"name\":\"a\",\"apiKey\":\"sk-test-dummy\",\"env\":{\"ANTHROPIC_BASE_URL\":"
			    "\"http://127.0.0.1:%u\"}}]",
	    b->endpoint.port);
	gatewayproc_start(&b->gateway, configs, 1, (const char *const[]){"--quiet", NULL});
	free(configs);
	b->targets[DIRECT] = (struct httpload_target){b->endpoint.port, NULL};
	b->targets[GATEWAY] = (struct httpload_target){b->gateway.port, b->gateway.tokens[0]};
	b->there[DIRECT] = b->there[GATEWAY] = true;
	b->there[NGINX] = nginx_start(&b->nginx, b->endpoint.port);
	b->targets[NGINX] = (struct httpload_target){b->nginx.port, NULL};
}

static void
bench_end(struct bench *b)
{
	gatewayproc_stop(&b->gateway);
	httpload_endpoint_stop(&b->endpoint);
	if (!b->there[NGINX])
		return;
	kill(b->nginx.pid, SIGKILL);
	waitpid(b->nginx.pid, NULL, 0);
	tmp_remove(b->nginx.dir);
}

/* The lines of a measure: each way against the one before it. */
static void
show(const struct bench *b, const char *what, struct samples *s, const char *aim)
{
	double floor = -1, p50 = -1, p99 = -1;
	char name[96];

	for (int way = 0; way < WAYS; way++) {
		if (!b->there[way])
			continue;
		p50 = samples_median(&s[way]);
		p99 = samples_at(&s[way], 0.99);
		snprintf(name, sizeof(name), "%s: %s", what, names[way]);
		bench_row(name, p50, p99, floor, way == GATEWAY ? aim : "");
		floor = p50;
	}
	if (b->there[NGINX])
		bench_note("p99 is %.2f of nginx's; p50 is %.0f us above direct",
		    p99 / samples_at(&s[NGINX], 0.99), p50 - samples_median(&s[DIRECT]));
	for (int way = 0; way < WAYS; way++)
		samples_clear(&s[way]);
}

#define EACH(b, way, rounds)                                                                                 \
	for (int way = 0, round_ = 0; round_ < (rounds); way = (way + 1) % WAYS, round_ += way == 0)         \
		if ((b)->there[way])

static void
measure_requests(struct bench *b, const char *what, int rounds, unsigned at_once, unsigned count, size_t size)
{
	struct samples s[WAYS] = {{0}};

	EACH(b, way, rounds)
	httpload_requests(&b->targets[way], at_once, count, size, &s[way]);
	show(b, what, s, "");
}

static void
measure_events(struct bench *b, const char *what, int rounds, unsigned streams, unsigned n, unsigned gap_us)
{
	struct samples s[WAYS] = {{0}};

	EACH(b, way, rounds)
	httpload_events(&b->targets[way], streams, n, gap_us, &s[way]);
	show(b, what, s, "<= 1.3 x nginx");
}

static void
measure_flat(struct bench *b)
{
	struct samples s[WAYS] = {{0}};
	double floor = -1;

	EACH(b, way, ROUNDS)
	samples_add(&s[way], httpload_flat(&b->targets[way], STREAMS, 150));
	for (int way = 0; way < WAYS; way++) {
		char name[64];

		if (!b->there[way])
			continue;
		snprintf(name, sizeof(name), "%d streams flat out, MB/s: %s", STREAMS, names[way]);
		bench_row(name, samples_median(&s[way]), -1, floor, "");
		floor = samples_median(&s[way]);
		samples_clear(&s[way]);
	}
}

static pid_t
pid_of(const struct bench *b, int way)
{
	return way == DIRECT ? b->endpoint.pid : way == NGINX ? b->nginx.pid : b->gateway.pid;
}

/* Of what stands between, or for direct of the endpoint; in clock ticks. */
static double
cpu_ticks(const struct bench *b, int way)
{
	char path[64], *text;
	const char *at;
	unsigned long user = 0, system = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid_of(b, way));
	text = gatewayproc_read(path);
	at = strrchr(text, ')');
	if (at == NULL ||
	    sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
		bench_die("cannot read %s", path);
	free(text);
	return (double)(user + system);
}

/* What other processes take of the machine is not in it. */
static void
measure_cpu(struct bench *b)
{
	double us[WAYS] = {0}, floor = -1;
	struct samples unused = {0};

	EACH(b, way, ROUNDS)
	{
		double before = cpu_ticks(b, way);

		httpload_events(&b->targets[way], STREAMS, EVENTS, 10000, &unused);
		us[way] += (cpu_ticks(b, way) - before) / (double)sysconf(_SC_CLK_TCK) * 1e6 /
			   (STREAMS * (double)EVENTS) / ROUNDS;
	}
	for (int way = NGINX; way < WAYS; way++) {
		char name[64];

		if (!b->there[way])
			continue;
		snprintf(name, sizeof(name), "CPU per event, 50 streams x 100/s, us: %s", names[way]);
		bench_row(name, us[way], -1, floor, "");
		floor = us[way];
	}
	samples_clear(&unused);
}

static long
rss(const struct bench *b, enum way way)
{
	struct gatewayproc other = {.pid = b->nginx.pid};

	return gatewayproc_rss(way == NGINX ? &other : &b->gateway);
}

static void
measure_memory(struct bench *b, bool read)
{
	double floor = -1;

	for (int way = NGINX; way < WAYS; way++) {
		struct httpload_held *h;
		char name[96];
		double mib;

		if (!b->there[way])
			continue;
		h = httpload_hold(&b->targets[way], STREAMS, read, HELD_MS);
		mib = (double)rss(b, way) / 1024;
		httpload_let_go(h);
		snprintf(name, sizeof(name), "memory, %d %s, MiB resident: %s", STREAMS,
		    read ? "live streams" : "stalled readers", names[way]);
		bench_row(name, mib, -1, floor, way == GATEWAY && !read ? "<= 64 MiB" : "");
		floor = mib;
	}
}

int
main(void)
{
	struct bench b = {.there = {false}};

	signal(SIGPIPE, SIG_IGN);
	bench_begin(&b);
	if (!b.there[NGINX])
		bench_note("nginx is not installed: script/bootstrap --bench");
	measure_memory(&b, true);
	measure_requests(&b, "request, 2 KB, us", SHORT_ROUNDS, 1, 60, 2048);
	measure_requests(&b, "request, 2 KB, 50 at once, us", ROUNDS, STREAMS, 600, 2048);
	measure_requests(&b, "request, 1 MB, us", ROUNDS, 1, 20, 1 << 20);
	measure_events(&b, "event, 1 stream, us", SHORT_ROUNDS, 1, 50, 2000);
	measure_events(&b, "event, 50 streams x 100/s, us", ROUNDS, STREAMS, EVENTS, 10000);
	measure_cpu(&b);
	measure_flat(&b);
	measure_memory(&b, false);
	bench_end(&b);
	return b.there[NGINX] ? 0 : SKIP;
}
