/*
 * gateway_tls: an endpoint behind TLS whose certificate is of an authority that only the configuration knows.
 * The authority and the endpoint are made with the program openssl; without it this is skipped.
 */
#include "common/alloc.h"
#include "common/child.h"
#include "common/fd.h"
#include "tests/helper/lib/connectproxy.h"
#include "tests/helper/lib/gatewayproc.h"
#include "tests/helper/lib/rawhttp.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tmp.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIP 77
#define FINE                                                                                                 \
	"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 46\r\n\r\n"                    \
	"{\"usage\":{\"input_tokens\":5,\"output_tokens\":6}}\n"

#define GONE "HTTP/1.1 404 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

static char *dir;

/* One that answers each connection's request the same way, and ends with us. */
struct endpoint_proc {
	pid_t pid;
	int in;
	FILE *out;
	unsigned port;
};

static void
spawn(const char *const *argv, int in, int out, pid_t *pid)
{
	struct child_spec spec;
	struct err e = {""};

	child_spec_init(&spec);
	spec.argv = argv;
	spec.cwd = dir;
	spec.fd_in = in;
	spec.fd_out = out;
	spec.death_signal = SIGKILL;
	if (child_spawn(&spec, pid, NULL, &e) < 0)
		fail_msg("%s", e.msg);
}

static void
run(const char *const *argv)
{
	int status;
	pid_t pid;

	spawn(argv, -1, -1, &pid);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		fail_msg("%s %s failed", argv[0], argv[1]);
}

/* ca.pem, and server.pem with server.key signed by it for 127.0.0.1. */
static void
make_certificates(void)
{
	static const char *const ca[] = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
	    "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj",
	    "/CN=orch test authority", NULL};
	static const char *const ask[] = {"openssl", "req", "-newkey", "ec", "-pkeyopt",
	    "ec_paramgen_curve:P-256", "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj",
	    "/CN=127.0.0.1", NULL};
	static const char *const sign[] = {"openssl", "x509", "-req", "-in", "server.csr", "-CA", "ca.pem",
	    "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.pem",
	    NULL};

	run(ca);
	run(ask);
	tmp_write(dir, "names", "subjectAltName=IP:127.0.0.1,DNS:api.invalid\n");
	run(sign);
}

static void
endpoint_start(struct endpoint_proc *ep)
{
	static const char *const argv[] = {"openssl", "s_server", "-accept", "127.0.0.1:0", "-cert",
	    "server.pem", "-key", "server.key", NULL};
	char line[256];
	int in[2], out[2];

	assert_int_equal(fd_pipe(in, false), 0);
	assert_int_equal(fd_pipe(out, false), 0);
	spawn(argv, in[0], out[1], &ep->pid);
	fd_close(&in[0]);
	fd_close(&out[1]);
	ep->in = in[1];
	ep->out = fdopen(out[0], "re");
	do {
		assert_non_null(fgets(line, sizeof(line), ep->out));
	} while (sscanf(line, "ACCEPT 127.0.0.1:%u", &ep->port) != 1);
}

static void
endpoint_stop(struct endpoint_proc *ep)
{
	kill(ep->pid, SIGKILL);
	waitpid(ep->pid, NULL, 0);
	fd_close(&ep->in);
	fclose(ep->out);
}

/* Reads what it prints until a line begins so. */
static void
endpoint_until(struct endpoint_proc *ep, const char *beginning)
{
	char line[4096];

	do {
		assert_non_null(fgets(line, sizeof(line), ep->out));
	} while (strncmp(line, beginning, strlen(beginning)) != 0);
}

/* A gateway for that endpoint, and a request to it. env: of the configuration, after its URL. */
static void
ask(struct gatewayproc *gw, struct event_base *base, struct raw_client *c, const char *host, unsigned port,
    const char *env)
{
	char *text = xasprintf("[{\"apiKey\":\"sk-test-dummy-a\",\"env\":{\"ANTHROPIC_BASE_URL\":"
			       "\"https://%s:%u\"%s}}]",
	    host, port, env);

	gatewayproc_start(gw, text, 1, NULL);
	free(text);
	raw_connect(c, base, gw->port);
	text = xasprintf(
	    "POST /v1/messages HTTP/1.1\r\nx-api-key: %s\r\ncontent-length: 2\r\n\r\n{}", gw->tokens[0]);
	raw_send(c, text, strlen(text));
	free(text);
	raw_until(base, evbuffer_get_length(bufferevent_get_output(c->bev)) == 0);
}

/* The endpoint takes one connection after the other, in whatever order the look and the request come. */
static void
serve_one(struct endpoint_proc *ep, struct event_base *base, struct raw_client *c)
{
	char line[4096];

	do {
		assert_non_null(fgets(line, sizeof(line), ep->out));
		if (strncmp(line, "HEAD / HTTP/1.1", 15) != 0)
			continue;
		endpoint_until(ep, "\r\n");
		assert_int_equal(fd_write_all(ep->in, GONE, strlen(GONE)), 0);
	} while (strncmp(line, "POST /v1/messages HTTP/1.1", 26) != 0);
	endpoint_until(ep, "x-api-key: sk-test-dummy-a");
	assert_int_equal(fd_write_all(ep->in, FINE, strlen(FINE)), 0);
	raw_until(base, strstr(raw_got(c), "output_tokens") != NULL);
}

/* By the configuration's proxy, which resolves the name: CONNECT, then TLS with the endpoint itself. */
static void
test_by_a_proxy(void **state)
{
	struct event_base *base = event_base_new();
	struct connectproxy proxy;
	struct endpoint_proc ep;
	struct raw_server tick;
	struct gatewayproc gw;
	struct raw_client c;
	char line[256], *env;

	(void)state;
	raw_serve(&tick, base);
	endpoint_start(&ep);
	connectproxy_start(&proxy, ep.port);
	env = xasprintf(
	    ",\"SSL_CERT_FILE\":\"%s/ca.pem\",\"HTTPS_PROXY\":\"http://127.0.0.1:%u\"", dir, proxy.port);
	ask(&gw, base, &c, "api.invalid", 443, env);
	serve_one(&ep, base, &c);
	assert_non_null(fgets(line, sizeof(line), proxy.asked));
	assert_string_equal(line, "CONNECT api.invalid:443 HTTP/1.1\n");
	raw_client_clear(&c);
	assert_int_equal(gatewayproc_stop(&gw), 0);
	connectproxy_stop(&proxy);
	endpoint_stop(&ep);
	raw_server_clear(&tick);
	event_base_free(base);
	free(env);
}

static void
test_own_authority(void **state)
{
	char *env = xasprintf(",\"NODE_EXTRA_CA_CERTS\":\"%s/ca.pem\"", dir);
	struct event_base *base = event_base_new();
	struct endpoint_proc ep;
	struct raw_server tick;
	struct gatewayproc gw;
	struct raw_client c;

	(void)state;
	raw_serve(&tick, base);
	endpoint_start(&ep);
	ask(&gw, base, &c, "127.0.0.1", ep.port, env);
	serve_one(&ep, base, &c);
	raw_client_clear(&c);
	assert_int_equal(gatewayproc_stop(&gw), 0);
	endpoint_stop(&ep);
	raw_server_clear(&tick);
	event_base_free(base);
	free(env);
}

/* Without it: no key is sent, and the reason is the certificate's. */
static void
test_unknown_authority(void **state)
{
	struct event_base *base = event_base_new();
	struct endpoint_proc ep;
	struct raw_server tick;
	struct gatewayproc gw;
	struct raw_client c;
	char *log;
	bool told;

	(void)state;
	raw_serve(&tick, base);
	endpoint_start(&ep);
	ask(&gw, base, &c, "127.0.0.1", ep.port, "");
	do {
		event_base_loop(base, EVLOOP_ONCE);
		log = gatewayproc_read(gw.log);
		told = strstr(log, "key key1: not reachable (SSL certificate problem") != NULL;
		free(log);
	} while (!told);
	raw_client_clear(&c);
	assert_int_equal(gatewayproc_stop(&gw), 0);
	endpoint_stop(&ep);
	raw_server_clear(&tick);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_own_authority),
	    cmocka_unit_test(test_unknown_authority), cmocka_unit_test(test_by_a_proxy)};
	char *openssl = NULL;
	int rc;

	if (child_find_program("openssl", &openssl, NULL) < 0) {
		puts("skipped: the program openssl is missing");
		return SKIP;
	}
	free(openssl);
	signal(SIGPIPE, SIG_IGN);
	dir = tmp_make();
	make_certificates();
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	tmp_remove(dir);
	return rc;
}
