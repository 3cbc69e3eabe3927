/* origin: see origin.h. Forms were checked by configs. */
#include "supervisor/gateway/origin.h"

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

/* As node and OpenSSL call it; proxies as everybody does. */
static const char *const authorities[] = {"NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", NULL};
static const char *const https_proxies[] = {"HTTPS_PROXY", "https_proxy", NULL};
static const char *const http_proxies[] = {"HTTP_PROXY", "http_proxy", NULL};
static const char *const all_proxies[] = {"ALL_PROXY", "all_proxy", NULL};
static const char *const no_proxies[] = {"NO_PROXY", "no_proxy", NULL};

static const char *
get_first(const struct config *c, const char *const *names)
{
	const char *value = NULL;

	for (; value == NULL && *names != NULL; names++)
		value = get_var(c, *names);
	return value;
}

static const char *
get_own(const char *const *names)
{
	const char *value = NULL;

	for (; (value == NULL || value[0] == '\0') && *names != NULL; names++)
		value = getenv(*names);
	return value != NULL && value[0] != '\0' ? value : NULL;
}

/* The configuration's, then our own: curl would read HTTP_PROXY in small letters alone. */
static void
find_proxy(struct origin *ep, const struct config *c)
{
	const char *const *names = strncmp(ep->base, "https:", 6) == 0 ? https_proxies : http_proxies;

	ep->proxy = get_first(c, names);
	if (ep->proxy == NULL)
		ep->proxy = get_first(c, all_proxies);
	if (ep->proxy == NULL)
		ep->proxy = get_own(names);
	if (ep->proxy == NULL)
		ep->proxy = get_own(all_proxies);
	ep->no_proxy = get_first(c, no_proxies);
	if (ep->no_proxy == NULL)
		ep->no_proxy = get_own(no_proxies);
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
origin_init(struct origin *ep, const struct config *c)
{
	const char *url = get_var(c, "ANTHROPIC_BASE_URL"), *timeout = get_var(c, "API_TIMEOUT_MS");
	uint64_t hash = 14695981039346656037u;
	size_t n;

	memset(ep, 0, sizeof(*ep));
	ep->name = c->name;
	ep->api_key = get_var(c, "ANTHROPIC_API_KEY");
	ep->bearer = get_var(c, "ANTHROPIC_AUTH_TOKEN");
	ep->model = get_var(c, "ANTHROPIC_MODEL");
	ep->base = xstrdup(url == NULL ? ORIGIN_URL : url);
	for (n = strlen(ep->base); n > 0 && ep->base[n - 1] == '/'; n--)
		ep->base[n - 1] = '\0';
	ep->first_byte_ms = timeout == NULL ? ORIGIN_FIRST_BYTE_MS : strtoll(timeout, NULL, 10);
	ep->whole_answer_ms = timeout == NULL ? ORIGIN_WHOLE_ANSWER_MS : ep->first_byte_ms;
	ep->ca_file = get_first(c, authorities);
	if (ep->ca_file == NULL)
		ep->ca_file = get_own(authorities);
	find_proxy(ep, c);
	hash = mix(mix(mix(hash, ep->base), ep->api_key), ep->bearer);
	snprintf(ep->identity, sizeof(ep->identity), "%016llx", (unsigned long long)hash);
}

void
origin_clear(struct origin *ep)
{
	free(ep->base);
	memset(ep, 0, sizeof(*ep));
}
