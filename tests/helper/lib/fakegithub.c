/* fakegithub: see fakegithub.h. A row per kind of request; "*" in its path is one element. */
#include "tests/helper/lib/fakegithub_impl.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "tests/helper/lib/test.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define US FAKEGITHUB_US
#define PREFIX "/repos/octo/hello"

#define PER_PAGE 30

json_t *
fakegithub_user(struct fakegithub *g, const char *login)
{
	bool us = strcmp(login, US) == 0;

	return json_pack("{s:s, s:i, s:s}", "login", login, "id", us ? 7 : 100 + (int)strlen(login), "type",
	    (us && g->bot) || strstr(login, "[bot]") != NULL ? "Bot" : "User");
}

char *
fakegithub_param(struct fakegithub_call *c, const char *name)
{
	const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(c->req)), *value;
	struct evkeyvalq all;
	char *copy;

	if (query == NULL || evhttp_parse_query_str(query, &all) != 0)
		return NULL;
	value = evhttp_find_header(&all, name);
	copy = xstrdup(value);
	evhttp_clear_headers(&all);
	return copy;
}

static void
note(struct fakegithub_call *c, int status)
{
	json_array_append_new(c->g->log, json_pack("{s:I, s:s, s:s, s:i}", "ms", (json_int_t)clock_now_ms(),
					     "method", c->method, "path", c->path, "status", status));
}

static void
put_headers(struct fakegithub_call *c, const char *headers, const char *type)
{
	struct evkeyvalq *out = evhttp_request_get_output_headers(c->req);

	if (type != NULL)
		evhttp_add_header(out, "Content-Type", type);
	for (const char *line = headers; line != NULL && *line != '\0'; line += strcspn(line, "\n") + 1) {
		size_t n = strcspn(line, "\n"), colon = strcspn(line, ":");
		char *name = xstrndup(line, colon), *value = xstrndup(line + colon + 2, n - colon - 2);

		evhttp_add_header(out, name, value);
		free(name);
		free(value);
	}
}

void
fakegithub_answer_text(struct fakegithub_call *c, int status, const char *headers, const char *type,
    const char *text, size_t size)
{
	struct evbuffer *b;

	if (!fakegithub_is_git(c->path))
		note(c, status);
	if (fakegithub_fault_answer(c, status, headers, type, text, size))
		return;
	put_headers(c, headers, type);
	b = evbuffer_new();
	evbuffer_add(b, text, size);
	evhttp_send_reply(c->req, status, "X", b);
	evbuffer_free(b);
}

/* FNV-1a. */
static uint64_t
hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3;
	return h;
}

/* link: a header line or NULL. What the asker has already is answered 304. */
static void
answer_with(struct fakegithub_call *c, int status, json_t *j, const char *link)
{
	const char *known = evhttp_find_header(evhttp_request_get_input_headers(c->req), "If-None-Match");
	char *text = j == NULL ? xstrdup("") : json_dumps(j, 0), etag[32], *headers;
	bool read = status == 200 && strcmp(c->method, "GET") == 0;

	snprintf(etag, sizeof(etag), "\"%016llx\"", (unsigned long long)hash(text));
	headers = xasprintf(
	    "%s%s%s%s", read ? "ETag: " : "", read ? etag : "", read ? "\n" : "", link == NULL ? "" : link);
	if (read && known != NULL && strcmp(known, etag) == 0) {
		c->g->not_modified++;
		fakegithub_answer_text(c, 304, headers, NULL, "", 0);
	} else {
		fakegithub_answer_text(
		    c, status, headers, "application/json; charset=utf-8", text, strlen(text));
	}
	free(headers);
	free(text);
	json_decref(j);
}

void
fakegithub_answer(struct fakegithub_call *c, int status, json_t *j)
{
	answer_with(c, status, j, NULL);
}

void
fakegithub_answer_list(struct fakegithub_call *c, json_t *list)
{
	char *per = fakegithub_param(c, "per_page"), *at = fakegithub_param(c, "page"), *link = NULL;
	size_t size = per == NULL ? PER_PAGE : strtoul(per, NULL, 10),
	       page = at == NULL ? 1 : strtoul(at, NULL, 10);
	json_t *shown = json_array();

	assert_true(size > 0 && size <= 100 && page > 0);
	for (size_t i = (page - 1) * size; i < page * size && i < json_array_size(list); i++)
		json_array_append(shown, json_array_get(list, i));
	if (page * size < json_array_size(list))
		link = xasprintf("Link: <http://127.0.0.1:%u%s?per_page=%zu&page=%zu>; rel=\"next\"\n",
		    c->g->port, c->path, size, page + 1);
	answer_with(c, 200, shown, link);
	json_decref(list);
	free(link);
	free(per);
	free(at);
}

void
fakegithub_not_found(struct fakegithub_call *c)
{
	fakegithub_answer(c, 404, json_pack("{s:s}", "message", "Not Found"));
}

void
fakegithub_invalid(struct fakegithub_call *c, const char *code, const char *message)
{
	fakegithub_answer(c, 422,
	    json_pack("{s:s, s:[{s:s, s:s*}]}", "message", "Validation Failed", "errors", "code", code,
		"message", message));
}

static const struct {
	enum evhttp_cmd_type method;
	const char *path;
	void (*fn)(struct fakegithub_call *c);
} rows[] = {
    {EVHTTP_REQ_GET, "/user", fakegithub_get_user},
    {EVHTTP_REQ_GET, PREFIX, fakegithub_get_repository},
    {EVHTTP_REQ_GET, PREFIX "/collaborators/*/permission", fakegithub_get_permission},
    {EVHTTP_REQ_GET, PREFIX "/issues/*", fakegithub_get_issue},
    {EVHTTP_REQ_GET, PREFIX "/issues/*/comments", fakegithub_get_comments},
    {EVHTTP_REQ_POST, PREFIX "/issues/*/comments", fakegithub_post_comment},
    {EVHTTP_REQ_PATCH, PREFIX "/issues/comments/*", fakegithub_patch_comment},
    {EVHTTP_REQ_DELETE, PREFIX "/issues/comments/*", fakegithub_delete_comment},
    {EVHTTP_REQ_GET, PREFIX "/labels/*", fakegithub_get_label},
    {EVHTTP_REQ_POST, PREFIX "/labels", fakegithub_post_label},
    {EVHTTP_REQ_GET, PREFIX "/issues/*/labels", fakegithub_show_labels},
    {EVHTTP_REQ_POST, PREFIX "/issues/*/labels", fakegithub_add_labels},
    {EVHTTP_REQ_DELETE, PREFIX "/issues/*/labels/*", fakegithub_remove_label},
    {EVHTTP_REQ_POST, "/graphql", fakegithub_post_graphql},
    {EVHTTP_REQ_GET, PREFIX "/git/ref/*", fakegithub_get_ref},
    {EVHTTP_REQ_GET, PREFIX "/git/matching-refs/*", fakegithub_get_refs},
    {EVHTTP_REQ_DELETE, PREFIX "/git/refs/*", fakegithub_delete_ref},
    {EVHTTP_REQ_GET, PREFIX "/pulls", fakegithub_get_pulls},
    {EVHTTP_REQ_POST, PREFIX "/pulls", fakegithub_post_pull},
    {EVHTTP_REQ_GET, PREFIX "/pulls/*", fakegithub_get_pull},
    {EVHTTP_REQ_PATCH, PREFIX "/pulls/*", fakegithub_patch_pull},
    {EVHTTP_REQ_PUT, PREFIX "/pulls/*/merge", fakegithub_put_merge},
    {EVHTTP_REQ_GET, PREFIX "/pulls/*/reviews", fakegithub_get_reviews},
    {EVHTTP_REQ_GET, PREFIX "/pulls/*/comments", fakegithub_get_remarks},
    {EVHTTP_REQ_POST, PREFIX "/pulls/*/comments/*/replies", fakegithub_post_reply},
};

static bool
matches(const char *pattern, const char *path, char *part[4])
{
	size_t n = 0;

	while (*pattern != '\0') {
		size_t size;

		if (*pattern != '*') {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		size = strcspn(path, "/");
		if (size == 0)
			return false;
		char *raw = xstrndup(path, size);

		free(part[n]);
		part[n++] = evhttp_uridecode(raw, 0, NULL);
		free(raw);
		path += size;
		pattern++;
	}
	return *path == '\0';
}

static json_t *
read_body(struct evhttp_request *req)
{
	struct evbuffer *b = evhttp_request_get_input_buffer(req);
	size_t size = evbuffer_get_length(b);

	return size == 0 ? NULL : json_loadb((char *)evbuffer_pullup(b, -1), size, 0, NULL);
}

static bool
is_authorized(struct evhttp_request *req)
{
	const char *said = evhttp_find_header(evhttp_request_get_input_headers(req), "Authorization");

	return said != NULL && strcmp(said, "Bearer " FAKEGITHUB_TOKEN) == 0;
}

static void
dispatch(struct fakegithub_call *c)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].method == evhttp_request_get_command(c->req) &&
		    matches(rows[i].path, c->path, c->part)) {
			rows[i].fn(c);
			return;
		}
	fakegithub_not_found(c);
}

static const char *
method_of(struct evhttp_request *req)
{
	switch ((int)evhttp_request_get_command(req)) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_PATCH:
		return "PATCH";
	case EVHTTP_REQ_PUT:
		return "PUT";
	default:
		return "DELETE";
	}
}

static void
serve_api(struct fakegithub_call *c)
{
	static const struct fakegithub_fault lost = {.kind = FAKEGITHUB_LOST};
	struct fakegithub *g = c->g;

	g->requests++;
	g->writes += strcmp(c->method, "GET") != 0;
	if (!is_authorized(c->req) || g->revoked) {
		g->unauthorized++;
		fakegithub_answer(c, 401, json_pack("{s:s}", "message", "Bad credentials"));
	} else if (g->refuse > 0) {
		g->refuse--;
		fakegithub_answer(c, 503, json_pack("{s:s}", "message", "Service Unavailable"));
	} else {
		if (c->fault == NULL && g->lose > 0 && strcmp(c->method, "POST") == 0) {
			g->lose--;
			c->fault = &lost;
		}
		dispatch(c);
	}
}

static void
on_request(struct evhttp_request *req, void *arg)
{
	struct fakegithub *g = arg;
	struct fakegithub_call c = {.g = g, .req = req, .method = method_of(req)};

	c.path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));
	if (g->before != NULL)
		g->before(g, c.method, c.path, g->arg);
	c.fault = fakegithub_fault_of(&c);
	if (fakegithub_fault_instead(&c))
		return;
	if (fakegithub_is_git(c.path)) {
		fakegithub_serve(&c);
		return;
	}
	c.body = read_body(req);
	serve_api(&c);
	for (size_t i = 0; i < 4; i++)
		free(c.part[i]);
	json_decref(c.body);
}

void
fakegithub_start(struct fakegithub *g, struct loop *l)
{
	struct evhttp_bound_socket *s;
	struct sockaddr_in sin;
	socklen_t size = sizeof(sin);
	char url[64];

	memset(g, 0, sizeof(*g));
	g->issues = json_object();
	g->comments = json_array();
	g->labels = json_array();
	g->pulls = json_array();
	g->reviews = json_array();
	g->remarks = json_array();
	g->resolved = json_array();
	g->permissions = json_object();
	g->log = json_array();
	g->loop = l;
	g->next_id = 1000;
	g->next_number = 100;
	g->http = evhttp_new(l->base);
	evhttp_set_allowed_methods(g->http,
	    EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PATCH | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE);
	evhttp_set_gencb(g->http, on_request, g);
	s = evhttp_bind_socket_with_handle(g->http, "127.0.0.1", 0);
	assert_non_null(s);
	assert_int_equal(getsockname(evhttp_bound_socket_get_fd(s), (struct sockaddr *)&sin, &size), 0);
	g->port = ntohs(sin.sin_port);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", g->port);
	setenv("GITHUB_API_URL", url, 1);
	setenv("REPO_OWNER", "octo", 1);
	setenv("REPO_NAME", "hello", 1);
	setenv("GITHUB_TOKEN", FAKEGITHUB_TOKEN, 1);
	setenv("ORCH_GITHUB_WRITE_GAP", "0", 1);
	setenv("ORCH_GITHUB_SECOND", FAKEGITHUB_SECOND, 1);
}

void
fakegithub_stop(struct fakegithub *g)
{
	static const char *const names[] = {"GITHUB_API_URL", "REPO_OWNER", "REPO_NAME", "GITHUB_TOKEN",
	    "ORCH_GITHUB_WRITE_GAP", "ORCH_GITHUB_SECOND"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	evhttp_free(g->http);
	json_decref(g->issues);
	json_decref(g->comments);
	json_decref(g->labels);
	json_decref(g->pulls);
	json_decref(g->reviews);
	json_decref(g->remarks);
	json_decref(g->resolved);
	json_decref(g->permissions);
	json_decref(g->log);
	free(g->git);
	memset(g, 0, sizeof(*g));
}

unsigned
fakegithub_count(struct fakegithub *g, const char *method, const char *path, int status)
{
	json_t *one;
	unsigned n = 0;
	size_t i;

	json_array_foreach (g->log, i, one)
		n += strcmp(json_string_value(json_object_get(one, "method")), method) == 0 &&
		     strstr(json_string_value(json_object_get(one, "path")), path) != NULL &&
		     (status == 0 || json_integer_value(json_object_get(one, "status")) == status);
	return n;
}
