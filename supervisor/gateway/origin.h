/* origin: what a configuration means for HTTP: where its requests go and how they log in. Pure. */
#ifndef ORCH_GATEWAY_ORIGIN_H
#define ORCH_GATEWAY_ORIGIN_H

#include "common/configs.h"

#include <stdint.h>

#define ORIGIN_URL "https://api.anthropic.com"
/* Where API_TIMEOUT_MS says nothing. The API itself ends an answer in one piece after ten minutes. */
#define ORIGIN_FIRST_BYTE_MS CONFIGS_ANSWER_MS
#define ORIGIN_WHOLE_ANSWER_MS 600000

struct origin {
	uint32_t key;            /* its id in keys */
	const char *name;        /* these are borrowed from the configuration */
	const char *api_key;     /* sent as x-api-key; NULL: not */
	const char *bearer;      /* sent as Authorization: Bearer; NULL: not */
	const char *model;       /* what every request's model becomes; NULL: stays */
	char *base;              /* URL with path prefix, no slash at its end */
	const char *ca_file;     /* authorities trusted besides the system's; NULL: none */
	const char *proxy;       /* to it; NULL: none. An endpoint on loopback has none whatever this says */
	const char *no_proxy;    /* names and addresses that are asked without it; NULL: none */
	char identity[17];       /* the same for the same URL and secrets, and says nothing of them */
	int64_t first_byte_ms;   /* of a stream */
	int64_t whole_answer_ms; /* of an answer in one piece: it begins when the model has ended */
};

/* c must outlive ep. */
void origin_init(struct origin *ep, const struct config *c);
void origin_clear(struct origin *ep);

#endif
