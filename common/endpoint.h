/*
 * endpoint: a look at the HTTP endpoint of an agent: does its name resolve, does it take connections, TLS,
 * does it answer, and how fast. Done by orch-probe, which is alive for a moment, so that no role links an
 * HTTP client. No key is sent.
 */
#ifndef ORCH_COMMON_ENDPOINT_H
#define ORCH_COMMON_ENDPOINT_H

#include "common/err.h"
#include "common/loop.h"

#include <stdbool.h>
#include <stdint.h>

/* How far it came: E(NAME, name of the step that failed). ANSWER: none did. */
#define ENDPOINT_STAGES(E)                                                                                   \
	E(URL, "url")                                                                                        \
	E(DNS, "dns")                                                                                        \
	E(CONNECT, "connect")                                                                                \
	E(TLS, "tls")                                                                                        \
	E(HTTP, "http")                                                                                      \
	E(ANSWER, "answer")

enum endpoint_stage {
#define E(NAME, name) ENDPOINT_##NAME,
	ENDPOINT_STAGES(E)
#undef E
};

struct endpoint {
	enum endpoint_stage stage;
	int status;       /* HTTP; 0: none */
	int64_t us;       /* in all */
	bool timed_out;   /* after 5 s */
	char where[300];  /* scheme://host:port: what a URL holds besides may be a secret */
	char address[64]; /* that answered; "" */
	char error[256];  /* libcurl's words */
};

/*
 * Looks, pumping the loop; at most 6 s. Proxies are those of our environment. 0 with r filled,
 * whatever was found; -ECANCELED when a stop was asked for; -errno with e when it could not be looked.
 */
int endpoint_probe(struct loop *l, const char *url, struct endpoint *r, struct err *e);

/* What was found, as one sentence for a person. Caller frees. */
char *endpoint_text(const struct endpoint *r);

#endif
