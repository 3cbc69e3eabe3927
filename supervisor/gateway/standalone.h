/*
 * standalone: the gateway by itself, for tests, benches and whoever wants to look: keys out of a file, and as
 * many attempts as it is told.
 */
#ifndef ORCH_GATEWAY_STANDALONE_H
#define ORCH_GATEWAY_STANDALONE_H

#include "supervisor/gateway/conns.h"

#include <stdbool.h>
#include <stdint.h>

struct standalone_options {
	const char *config;
	const char *prices;      /* NULL: $ORCH_PRICES, or the built-in ones */
	const char *request_log; /* NULL: none */
	unsigned port, attempts;
	uint64_t budget_nusd; /* of each attempt; 0: none */
	unsigned silence_ms;  /* of a stream; 0: as it is */
	bool quiet;           /* no line for each request */
	struct conns_limits limits;
};

/* Until SIGTERM. Returns what to exit with. */
int standalone_run(struct standalone_options *o);

#endif
