/* endpoint: what a configuration means for HTTP: where its requests go and how they log in. Pure. */
#ifndef ORCH_GATEWAY_ENDPOINT_H
#define ORCH_GATEWAY_ENDPOINT_H

#include "common/configs.h"

#include <stdint.h>

#define ENDPOINT_URL "https://api.anthropic.com"
#define ENDPOINT_FIRST_BYTE_MS 120000 /* where API_TIMEOUT_MS says nothing */

struct endpoint {
	uint32_t key;        /* its id in keys */
	const char *name;    /* these are borrowed from the configuration */
	const char *api_key; /* sent as x-api-key; NULL: not */
	const char *bearer;  /* sent as Authorization: Bearer; NULL: not */
	const char *model;   /* what every request's model becomes; NULL: stays */
	char *base;          /* URL with path prefix, no slash at its end */
	char identity[17];   /* the same for the same URL and secrets, and says nothing of them */
	int64_t first_byte_ms;
};

/* c must outlive ep. */
void endpoint_init(struct endpoint *ep, const struct config *c);
void endpoint_clear(struct endpoint *ep);

#endif
