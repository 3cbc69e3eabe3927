/*
 * outgoing: what of a client's request goes to the endpoint, and with what in its place: headers with the
 * key's login, the body with the configuration's model (see gateway_impl.h).
 */
#include "supervisor/gateway/gateway_impl.h"

#include "common/alloc.h"
#include "common/json.h"

#include <curl/curl.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool
is_listed(const char *list, const char *name)
{
	size_t n = strlen(name);

	while (list != NULL && *list != '\0') {
		size_t item;

		list += strspn(list, ", \t");
		item = strcspn(list, ", \t");
		if (item == n && strncasecmp(list, name, n) == 0)
			return true;
		list += item;
	}
	return false;
}

static bool
is_header_name(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~' || strchr("\"(),/:;<=>?@[\\]{}", *s) != NULL)
			return false;
	return true;
}

/* Whose login it is, what belongs to one connection, and what would hide the answer from the usage reader. */
static bool
is_dropped(const char *name, const char *connection)
{
	static const char *const names[] = {"x-api-key", "authorization", "host", "content-length",
	    "accept-encoding", "expect", "connection", "keep-alive", "proxy-authorization",
	    "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", NULL};

	for (size_t i = 0; names[i] != NULL; i++)
		if (strcasecmp(names[i], name) == 0)
			return true;
	return is_listed(connection, name) || !is_header_name(name);
}

static struct curl_slist *
add_header(struct curl_slist *list, const char *name, const char *value)
{
	char *line = value[0] == '\0' ? xasprintf("%s;", name) : xasprintf("%s: %s", name, value);
	struct curl_slist *longer = curl_slist_append(list, line);

	configs_wipe_free(line);
	return longer;
}

struct curl_slist *
outgoing_headers(const struct exchange *ex, const struct origin *ep)
{
	const struct evkeyvalq *in = evhttp_request_get_input_headers(ex->req);
	const char *connection = evhttp_find_header(in, "Connection");
	static const char *const added_by_curl[] = {"Accept", "Content-Type", "Expect", NULL};
	struct curl_slist *list = NULL;
	const struct evkeyval *h;

	TAILQ_FOREACH (h, in, next)
		if (!is_dropped(h->key, connection))
			list = add_header(list, h->key, h->value);
	for (size_t i = 0; added_by_curl[i] != NULL; i++)
		if (evhttp_find_header(in, added_by_curl[i]) == NULL ||
		    strcmp(added_by_curl[i], "Expect") == 0) {
			char *line = xasprintf("%s:", added_by_curl[i]);

			list = curl_slist_append(list, line);
			free(line);
		}
	if (ep->api_key != NULL)
		list = add_header(list, "x-api-key", ep->api_key);
	if (ep->bearer != NULL) {
		char *value = xasprintf("Bearer %s", ep->bearer);

		list = add_header(list, "Authorization", value);
		configs_wipe_free(value);
	}
	return list;
}

char *
outgoing_body(const struct exchange *ex, const char *model, size_t *size)
{
	struct evbuffer *b;
	json_t *j;
	char *name, *out;
	size_t at = 0;

	*size = ex->body_size;
	if (model == NULL || ex->place_count == 0)
		return NULL;
	b = evbuffer_new();
	j = json_string(model);
	name = json_text(j);
	for (unsigned i = 0; i < ex->place_count; i++) {
		evbuffer_add(b, ex->body + at, ex->places[i].offset - at);
		evbuffer_add(b, name, strlen(name));
		at = ex->places[i].offset + ex->places[i].size;
	}
	evbuffer_add(b, ex->body + at, ex->body_size - at);
	*size = evbuffer_get_length(b);
	out = xmalloc(*size + 1);
	evbuffer_remove(b, out, *size);
	evbuffer_free(b);
	json_decref(j);
	free(name);
	return out;
}
