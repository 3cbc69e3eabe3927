/*
 * orch-gateway: holds the API keys, carries the agents' HTTP, counts tokens. This file: the command line of
 * the standalone mode (for tests, the bench and whoever wants to look), which reads the keys from a file and
 * lets in as many attempts as it is told.
 */
#include "common/alloc.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/loop.h"
#include "supervisor/gateway/gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXIT_USAGE 2

static const char usage[] =
    "usage: orch-gateway --standalone --config FILE [--listen-port N] [--attempts N]\n"
    "       orch-gateway --help | --version\n"
    "\n"
    "Serves the Messages API on 127.0.0.1 with the keys of FILE (mode 0600, the JSON of CLAUDE_CONFIGS).\n"
    "Prints the port, then a token for each attempt (1 without --attempts), a line each. SIGHUP reads FILE "
    "again,\n"
    "SIGTERM ends it. Each request is a line on stderr.\n";

struct options {
	const char *config;
	unsigned port, attempts;
	bool standalone;
};

struct program {
	struct loop loop;
	struct gateway *gateway;
	const char *config;
};

static int
parse_number(const char *text, unsigned max, unsigned *n)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 6 || text[digits] != '\0' || strtoul(text, NULL, 10) > max)
		return -EINVAL;
	*n = (unsigned)strtoul(text, NULL, 10);
	return 0;
}

static int
parse_args(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		bool more = i + 1 < argc;
		int rc = 0;

		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(usage, stdout);
			exit(0);
		} else if (strcmp(argv[i], "--version") == 0) {
			puts("orch-gateway " ORCH_VERSION);
			exit(0);
		} else if (strcmp(argv[i], "--standalone") == 0) {
			o->standalone = true;
		} else if (strcmp(argv[i], "--config") == 0 && more) {
			o->config = argv[++i];
		} else if (strcmp(argv[i], "--listen-port") == 0 && more) {
			rc = parse_number(argv[++i], 65535, &o->port);
		} else if (strcmp(argv[i], "--attempts") == 0 && more) {
			rc = parse_number(argv[++i], TOKENS_MAX, &o->attempts);
		} else {
			rc = -EINVAL;
		}
		if (rc < 0) {
			fprintf(stderr, "orch-gateway: wrong argument \"%s\"; see orch-gateway --help\n",
			    argv[i]);
			return rc;
		}
	}
	if (!o->standalone || o->config == NULL) {
		fputs(usage, stderr);
		return -EINVAL;
	}
	return 0;
}

static int
read_config(struct program *p, struct err *e)
{
	struct configs c;
	char *text = NULL;
	size_t size;
	int rc = configs_read_file(p->config, &text, &size, e);

	if (rc == 0)
		rc = configs_parse(&c, p->config, text, size, e);
	configs_wipe_free(text);
	if (rc == 0)
		gateway_take_configs(p->gateway, &c);
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
	(void)arg;
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
	struct program *p = arg;
	struct err e = {""};

	if (sig != SIGHUP)
		loop_stop(l, sig);
	else if (read_config(p, &e) < 0)
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
admit(struct program *p, unsigned attempts)
{
	for (unsigned i = 1; i <= attempts; i++) {
		char token[TOKEN_SIZE], name[32];
		int rc = token_make(token);

		snprintf(name, sizeof(name), "attempt-%u", i);
		if (rc == 0)
			rc = gateway_admit(p->gateway, token, name, i);
		if (rc < 0)
			return rc;
		puts(token);
		explicit_bzero(token, sizeof(token));
	}
	return 0;
}

static int
serve(struct program *p, struct options *o)
{
	struct err e = {""};
	bool never = false;
	int fd;

	if (read_config(p, &e) < 0) {
		fprintf(stderr, "orch-gateway: %s\n", e.msg);
		return EXIT_USAGE;
	}
	fd = open_socket(&o->port);
	if (fd < 0 || gateway_listen(p->gateway, fd) < 0) {
		fprintf(stderr, "orch-gateway: cannot listen on 127.0.0.1:%u: %s\n", o->port, strerror(-fd));
		fd_close(&fd);
		return 1;
	}
	printf("%u\n", o->port);
	if (admit(p, o->attempts) < 0 || fflush(stdout) != 0)
		return 1;
	loop_wait(&p->loop, &never, -1);
	return 0;
}

int
main(int argc, char **argv)
{
	struct options o = {.attempts = 1};
	struct program p = {.config = NULL};
	struct gateway_hooks hooks = {on_note, on_done, NULL};
	int rc;

	log_init("orch-gateway");
	if (parse_args(argc, argv, &o) < 0)
		return EXIT_USAGE;
	prctl(PR_SET_DUMPABLE, 0); /* nobody of this user reads the keys out of our memory */
	if (loop_init(&p.loop) < 0)
		fatal("cannot make an event loop");
	p.config = o.config;
	p.loop.on_signal = on_signal;
	p.loop.arg = &p;
	p.gateway = gateway_new(p.loop.base, &hooks);
	if (p.gateway == NULL)
		fatal("cannot start");
	rc = serve(&p, &o);
	gateway_free(p.gateway);
	loop_clear(&p.loop);
	return rc;
}
