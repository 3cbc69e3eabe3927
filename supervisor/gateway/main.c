/*
 * orch-gateway: holds the API keys, carries the agents' HTTP, counts tokens. This file: its command line.
 */
#include "common/log.h"
#include "common/proc.h"
#include "supervisor/gateway/gateway.h"
#include "supervisor/gateway/service.h"
#include "supervisor/gateway/standalone.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define EXIT_USAGE 2
#define FILES 4096 /* descriptors wanted: two for each connection, and some */

static const char usage[] =
    "usage: orch-gateway --standalone --config FILE [--listen-port N] [--attempts N] [--prices FILE]\n"
    "                    [--budget CENTS] [--request-log FILE] [--request-time MS] [--connections N] "
    "[--silence MS]\n"
    "                    [--quiet]\n"
    "       orch-gateway --help | --version\n"
    "\n"
    "Serves the Messages API on 127.0.0.1 with the keys of FILE (mode 0600, the JSON of CLAUDE_CONFIGS).\n"
    "Prints the port, then a token for each attempt (1 without --attempts), a line each. SIGHUP reads the "
    "files "
    "again,\n"
    "SIGTERM ends it. Each request is a line on stderr, without --quiet.\n"
    "  --prices FILE        what tokens cost, in place of $ORCH_PRICES\n"
    "  --budget CENTS       what each attempt may spend\n"
    "  --request-log FILE   a line of JSON for each request\n"
    "  --request-time MS    how long a client may take to say a request\n"
    "  --connections N      of clients, at one time\n"
    "  --silence MS         how long a stream may be silent\n";

struct options {
	struct standalone_options alone;
	bool standalone;
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

/* An option with a value. */
static int
parse_pair(struct options *o, const char *name, const char *value)
{
	struct standalone_options *a = &o->alone;
	unsigned n = 0;
	int rc = 0;

	if (strcmp(name, "--config") == 0) {
		a->config = value;
	} else if (strcmp(name, "--prices") == 0) {
		a->prices = value;
	} else if (strcmp(name, "--request-log") == 0) {
		a->request_log = value;
	} else if (strcmp(name, "--listen-port") == 0) {
		rc = parse_number(value, 65535, &a->port);
	} else if (strcmp(name, "--attempts") == 0) {
		rc = parse_number(value, TOKENS_MAX, &a->attempts);
	} else if (strcmp(name, "--connections") == 0) {
		rc = parse_number(value, GATEWAY_CONNECTIONS, &a->limits.connections);
	} else if (strcmp(name, "--budget") == 0) {
		rc = parse_number(value, 999999, &n);
		a->budget_nusd = n * (uint64_t)10000000;
	} else if (strcmp(name, "--silence") == 0) {
		rc = parse_number(value, 999999, &a->silence_ms);
	} else if (strcmp(name, "--request-time") == 0) {
		rc = parse_number(value, 999999, &n);
		a->limits.request_ms = n;
	} else {
		rc = -EINVAL;
	}
	return rc;
}

static int
parse_args(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		int rc = 0;

		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(usage, stdout);
			exit(0);
		} else if (strcmp(argv[i], "--version") == 0) {
			puts("orch-gateway " ORCH_VERSION);
			exit(0);
		} else if (strcmp(argv[i], "--standalone") == 0) {
			o->standalone = true;
		} else if (strcmp(argv[i], "--quiet") == 0) {
			o->alone.quiet = true;
		} else if (i + 1 < argc) {
			rc = parse_pair(o, argv[i], argv[i + 1]);
			i++;
		} else {
			rc = -EINVAL;
		}
		if (rc < 0) {
			fprintf(stderr, "orch-gateway: wrong argument \"%s\"; see orch-gateway --help\n",
			    argv[i]);
			return rc;
		}
	}
	if (!o->standalone || o->alone.config == NULL) {
		fputs(usage, stderr);
		return -EINVAL;
	}
	return 0;
}

static void
want_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= FILES)
		return;
	r.rlim_cur = r.rlim_max < FILES ? r.rlim_max : FILES;
	setrlimit(RLIMIT_NOFILE, &r);
}

int
main(int argc, char **argv)
{
	struct options o = {
	    .alone = {.attempts = 1, .limits = {GATEWAY_CONNECTIONS, GATEWAY_REQUEST_MS, GATEWAY_HELD}}};

	log_init("orch-gateway");
	proc_hide_memory(); /* nobody of this user reads the keys out of our memory */
	if (argc == 1 && service_is_wanted()) {
		want_files();
		return service_run();
	}
	if (parse_args(argc, argv, &o) < 0)
		return EXIT_USAGE;
	want_files();
	return standalone_run(&o.alone);
}
