/* endpoint: see endpoint.h. Forms were checked by configs. */
#include "supervisor/gateway/endpoint.h"

#include "common/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
get_var(const struct config *c, const char *name)
{
	size_t n = strlen(name);

	for (char **p = c->env; *p != NULL; p++)
		if (strncmp(*p, name, n) == 0 && (*p)[n] == '=' && (*p)[n + 1] != '\0')
			return *p + n + 1;
	return NULL;
}

/* FNV-1a: it tells configurations apart, and guards nothing. */
static uint64_t
mix(uint64_t hash, const char *s)
{
	for (; s != NULL && *s != '\0'; s++)
		hash = (hash ^ (unsigned char)*s) * 1099511628211u;
	return (hash ^ 0xff) * 1099511628211u;
}

void
endpoint_init(struct endpoint *ep, const struct config *c)
{
	const char *url = get_var(c, "ANTHROPIC_BASE_URL"), *timeout = get_var(c, "API_TIMEOUT_MS");
	uint64_t hash = 14695981039346656037u;
	size_t n;

	memset(ep, 0, sizeof(*ep));
	ep->name = c->name;
	ep->api_key = get_var(c, "ANTHROPIC_API_KEY");
	ep->bearer = get_var(c, "ANTHROPIC_AUTH_TOKEN");
	ep->model = get_var(c, "ANTHROPIC_MODEL");
	ep->base = xstrdup(url == NULL ? ENDPOINT_URL : url);
	for (n = strlen(ep->base); n > 0 && ep->base[n - 1] == '/'; n--)
		ep->base[n - 1] = '\0';
	ep->first_byte_ms = timeout == NULL ? ENDPOINT_FIRST_BYTE_MS : strtoll(timeout, NULL, 10);
	hash = mix(mix(mix(hash, ep->base), ep->api_key), ep->bearer);
	snprintf(ep->identity, sizeof(ep->identity), "%016llx", (unsigned long long)hash);
}

void
endpoint_clear(struct endpoint *ep)
{
	free(ep->base);
	memset(ep, 0, sizeof(*ep));
}
