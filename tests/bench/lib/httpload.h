/*
 * httpload: an endpoint in a process of its own, and clients that measure what reaches them of it: directly,
 * or through whatever stands between. The endpoint does what the request's query says:
 *
 *     kind=small          an answer of some 300 bytes once the body is there
 *     kind=sse&n=&us=     n events, each with its time, us microseconds apart
 *     kind=flat&n=        n events of 8 KB as fast as they are taken
 */
#ifndef ORCH_BENCH_HTTPLOAD_H
#define ORCH_BENCH_HTTPLOAD_H

#include "tests/bench/lib/sample.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct httpload_endpoint {
	pid_t pid;
	unsigned port;
};

/* It ends with us. */
void httpload_endpoint_start(struct httpload_endpoint *ep);
void httpload_endpoint_stop(struct httpload_endpoint *ep);

/* Whom to ask, and with which token (NULL: none). */
struct httpload_target {
	unsigned port;
	const char *token;
};

/* count requests of body_size bytes, at_once at a time on connections that are kept. us: of each, in full. */
void httpload_requests(
    const struct httpload_target *t, unsigned at_once, unsigned count, size_t body_size, struct samples *us);
/* streams at a time, each of n events that are gap_us apart. us: of each event, from its making to its
 * reading.
 */
void httpload_events(
    const struct httpload_target *t, unsigned streams, unsigned n, unsigned gap_us, struct samples *us);
/* streams at a time of n events of 8 KB: MB/s. */
double httpload_flat(const struct httpload_target *t, unsigned streams, unsigned n);

/* streams that stay open, read or not, until httpload_let_go. */
struct httpload_held;
struct httpload_held *httpload_hold(const struct httpload_target *t, unsigned streams, bool read, int64_t ms);
void httpload_let_go(struct httpload_held *h);

#endif
