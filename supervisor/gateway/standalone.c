/* standalone: see standalone.h. */
#include "supervisor/gateway/standalone.h"

#include "common/fd.h"
#include "common/log.h"
#include "common/loop.h"
#include "supervisor/gateway/gateway.h"
#include "supervisor/gateway/reqlog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXIT_USAGE 2

struct standalone {
	struct loop loop;
	struct gateway *gateway;
	struct reqlog *log; /* NULL: none */
	const struct standalone_options *options;
};

static int
read_config(struct standalone *s, struct err *e)
{
	const char *prices = s->options->prices != NULL ? s->options->prices : getenv("ORCH_PRICES");
	struct configs c;
	char *text = NULL;
	size_t size;
	int rc = 0;

	if (prices != NULL && prices[0] != '\0')
		rc = gateway_read_prices(s->gateway, prices, e);
	if (rc == 0)
		rc = configs_read_file(s->options->config, &text, &size, e);
	if (rc == 0)
		rc = configs_parse(&c, s->options->config, text, size, e);
	configs_wipe_free(text);
	if (rc == 0) {
		gateway_take_configs(s->gateway, &c);
		gateway_probe(s->gateway);
	}
	return rc;
}

static void
on_note(void *arg, const struct gateway_event *ev)
{
	(void)arg;
	log_info("%s%s%s", ev->task, ev->task[0] == '\0' ? "" : ": ", ev->text);
}

static void
on_done(void *arg, const struct gateway_record *r)
{
	struct standalone *s = arg;

	if (s->log != NULL)
		reqlog_add(s->log, r);
	if (s->options->quiet)
		return;
	log_info("%s: %s %s %d key=%s model=%s request=%s sent=%u ms=%lld waited=%lld in=%llu out=%llu "
		 "tokens=%llu+%llu+%llu+%llu%s%s%s",
	    r->task[0] == '\0' ? "-" : r->task, r->method, r->path, r->status, r->key, r->model,
	    r->request_id, r->sent, (long long)r->ms, (long long)r->waited_ms,
	    (unsigned long long)r->bytes_in, (unsigned long long)r->bytes_out,
	    (unsigned long long)r->usage.input, (unsigned long long)r->usage.output,
	    (unsigned long long)r->usage.cache_read, (unsigned long long)r->usage.cache_write,
	    r->usage.floor ? " (at least)" : "", r->why[0] == '\0' ? "" : ": ", r->why);
}

static void
on_signal(struct loop *l, int sig, void *arg)
{
	struct standalone *s = arg;
	struct err e = {""};

	if (sig != SIGHUP)
		loop_stop(l, sig);
	else if (read_config(s, &e) < 0)
		log_warn("the keys stay as they were: %s", e.msg);
	else
		log_info("the keys were read again");
}

/* On 127.0.0.1 and nowhere else; port 0 is any free one. Returns the fd. */
static int
open_socket(unsigned *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, rc;

	if (fd < 0)
		return -errno;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, SOMAXCONN) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &size) < 0) {
		rc = -errno;
		fd_close(&fd);
		return rc;
	}
	*port = ntohs(a.sin_port);
	return fd;
}

static int
admit(struct standalone *s)
{
	for (unsigned i = 1; i <= s->options->attempts; i++) {
		struct amount budget = {.nusd = s->options->budget_nusd};
		char token[TOKEN_SIZE], name[32];
		int rc = token_make(token);

		snprintf(name, sizeof(name), "attempt-%u", i);
		if (rc == 0)
			rc = gateway_admit(s->gateway, token, name, i);
		if (rc == 0)
			rc = gateway_set_budget(s->gateway, name, true, budget, (struct amount){0});
		if (rc < 0)
			return rc;
		puts(token);
		explicit_bzero(token, sizeof(token));
	}
	return 0;
}

static int
serve(struct standalone *s, struct standalone_options *o)
{
	struct err e = {""};
	bool never = false;
	int fd;

	if (read_config(s, &e) < 0 ||
	    (o->request_log != NULL && reqlog_open(&s->log, o->request_log, REQLOG_BYTES_MAX, &e) < 0)) {
		fprintf(stderr, "orch-gateway: %s\n", e.msg);
		return EXIT_USAGE;
	}
	fd = open_socket(&o->port);
	if (fd < 0 || gateway_listen(s->gateway, fd) < 0) {
		fprintf(stderr, "orch-gateway: cannot listen on 127.0.0.1:%u: %s\n", o->port, strerror(-fd));
		fd_close(&fd);
		return 1;
	}
	printf("%u\n", o->port);
	if (admit(s) < 0 || fflush(stdout) != 0)
		return 1;
	loop_wait(&s->loop, &never, -1);
	return 0;
}

int
standalone_run(struct standalone_options *o)
{
	struct standalone s = {.options = o};
	struct gateway_hooks hooks = {on_note, on_done, &s};
	int rc;

	if (loop_init(&s.loop) < 0)
		fatal("cannot make an event loop");
	s.loop.on_signal = on_signal;
	s.loop.arg = &s;
	s.gateway = gateway_new(s.loop.base, &hooks);
	if (s.gateway == NULL)
		fatal("cannot start");
	gateway_set_limits(s.gateway, &o->limits);
	if (o->silence_ms != 0)
		gateway_set_silence(s.gateway, o->silence_ms);
	rc = serve(&s, o);
	gateway_free(s.gateway);
	reqlog_close(s.log);
	loop_clear(&s.loop);
	return rc;
}
