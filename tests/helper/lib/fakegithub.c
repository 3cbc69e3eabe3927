/* fakegithub: see fakegithub.h. A row per kind of request; "*" in its path is one element. */
#include "tests/helper/lib/fakegithub.h"

#include "common/alloc.h"
#include "tests/helper/lib/test.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define US "orch-test"
#define PREFIX "/repos/octo/hello"

struct call {
	struct fakegithub *g;
	struct evhttp_request *req;
	char *part[4]; /* what the stars stood for */
	json_t *body;  /* NULL: none */
};

static json_t *
user(const char *login)
{
	return json_pack("{s:s, s:i, s:s}", "login", login, "id",
	    strcmp(login, US) == 0 ? 7 : 100 + (int)strlen(login), "type", "User");
}

static void
answer(struct call *c, int status, json_t *j)
{
	struct evbuffer *b = evbuffer_new();
	char *text = j == NULL ? NULL : json_dumps(j, 0);

	if (text != NULL)
		evbuffer_add(b, text, strlen(text));
	evhttp_add_header(
	    evhttp_request_get_output_headers(c->req), "Content-Type", "application/json; charset=utf-8");
	evhttp_send_reply(c->req, status, "X", b);
	evbuffer_free(b);
	free(text);
	json_decref(j);
}

static void
not_found(struct call *c)
{
	answer(c, 404, json_pack("{s:s}", "message", "Not Found"));
}

static json_t *
find_issue(struct call *c)
{
	return json_object_get(c->g->issues, c->part[0]);
}

static void
get_user(struct call *c)
{
	answer(c, 200, user(US));
}

static void
get_repository(struct call *c)
{
	answer(c, 200,
	    json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:{s:b}}", "full_name", "octo/hello",
		"default_branch", "main", "html_url", "https://github.test/octo/hello", "clone_url",
		"https://github.test/octo/hello.git", "archived", 0, "disabled", 0, "private", 0,
		"has_issues", 1, "permissions", "push", 1));
}

static void
get_permission(struct call *c)
{
	const char *level = json_string_value(json_object_get(c->g->permissions, c->part[0]));

	answer(c, 200,
	    json_pack("{s:s, s:o}", "permission", level == NULL ? "none" : level, "user", user(c->part[0])));
}

static void
get_issue(struct call *c)
{
	json_t *i = find_issue(c);

	if (i == NULL)
		not_found(c);
	else
		answer(c, 200, json_incref(i));
}

static json_t *
show_comment(const json_t *k)
{
	return json_pack("{s:O, s:O, s:O, s:s, s:s, s:s}", "id", json_object_get(k, "id"), "body",
	    json_object_get(k, "body"), "user", json_object_get(k, "user"), "html_url",
	    "https://github.test/c", "created_at", "2026-11-22T00:00:00Z", "author_association", "NONE");
}

static void
get_comments(struct call *c)
{
	json_t *list = json_array(), *k;
	size_t i;

	json_array_foreach (c->g->comments, i, k)
		if (strcmp(json_string_value(json_object_get(k, "issue")), c->part[0]) == 0)
			json_array_append_new(list, show_comment(k));
	answer(c, 200, list);
}

static json_t *
add_comment(struct fakegithub *g, const char *issue, const char *author, const char *body)
{
	json_t *k = json_pack("{s:I, s:s, s:s, s:o}", "id", (json_int_t)++g->next_id, "issue", issue, "body",
	    body, "user", user(author));

	assert_non_null(k);
	json_array_append_new(g->comments, k);
	return k;
}

static void
post_comment(struct call *c)
{
	const char *body = json_string_value(json_object_get(c->body, "body"));

	if (find_issue(c) == NULL || body == NULL || strlen(body) > 4 * 65536)
		answer(c, 422, json_pack("{s:s}", "message", "Validation Failed"));
	else
		answer(c, 201, show_comment(add_comment(c->g, c->part[0], US, body)));
}

static json_t *
find_comment(struct call *c, size_t *at)
{
	json_t *k;
	size_t i;

	json_array_foreach (c->g->comments, i, k) {
		*at = i;
		if (json_integer_value(json_object_get(k, "id")) == atoll(c->part[0]))
			return k;
	}
	return NULL;
}

static void
patch_comment(struct call *c)
{
	size_t at;
	json_t *k = find_comment(c, &at);

	if (k == NULL) {
		not_found(c);
		return;
	}
	json_object_set(k, "body", json_object_get(c->body, "body"));
	answer(c, 200, show_comment(k));
}

static void
delete_comment(struct call *c)
{
	size_t at;

	if (find_comment(c, &at) == NULL) {
		not_found(c);
		return;
	}
	json_array_remove(c->g->comments, at);
	answer(c, 204, NULL);
}

static bool
has(const json_t *names, const char *name)
{
	json_t *n;
	size_t i;

	json_array_foreach (names, i, n)
		if (strcmp(json_string_value(n), name) == 0)
			return true;
	return false;
}

static void
get_label(struct call *c)
{
	if (has(c->g->labels, c->part[0]))
		answer(c, 200, json_pack("{s:s}", "name", c->part[0]));
	else
		not_found(c);
}

static void
post_label(struct call *c)
{
	const char *name = json_string_value(json_object_get(c->body, "name"));

	if (name == NULL || has(c->g->labels, name)) {
		answer(c, 422, json_pack("{s:s}", "message", "Validation Failed"));
		return;
	}
	json_array_append_new(c->g->labels, json_string(name));
	answer(c, 201, json_pack("{s:s}", "name", name));
}

static void
show_labels(struct call *c)
{
	json_t *list = json_array(), *n;
	size_t i;

	json_array_foreach (json_object_get(find_issue(c), "labels"), i, n)
		json_array_append_new(list, json_pack("{s:O}", "name", n));
	answer(c, 200, list);
}

static void
add_labels(struct call *c)
{
	json_t *own = json_object_get(find_issue(c), "labels"), *n;
	size_t i;

	json_array_foreach (json_object_get(c->body, "labels"), i, n)
		if (!has(own, json_string_value(n)))
			json_array_append(own, n);
	show_labels(c);
}

static void
remove_label(struct call *c)
{
	json_t *own = json_object_get(find_issue(c), "labels"), *n;
	size_t i;

	json_array_foreach (own, i, n)
		if (strcmp(json_string_value(n), c->part[1]) == 0) {
			json_array_remove(own, i);
			show_labels(c);
			return;
		}
	not_found(c);
}

static const struct {
	enum evhttp_cmd_type method;
	const char *path;
	void (*fn)(struct call *c);
} rows[] = {
    {EVHTTP_REQ_GET, "/user", get_user},
    {EVHTTP_REQ_GET, PREFIX, get_repository},
    {EVHTTP_REQ_GET, PREFIX "/collaborators/*/permission", get_permission},
    {EVHTTP_REQ_GET, PREFIX "/issues/*", get_issue},
    {EVHTTP_REQ_GET, PREFIX "/issues/*/comments", get_comments},
    {EVHTTP_REQ_POST, PREFIX "/issues/*/comments", post_comment},
    {EVHTTP_REQ_PATCH, PREFIX "/issues/comments/*", patch_comment},
    {EVHTTP_REQ_DELETE, PREFIX "/issues/comments/*", delete_comment},
    {EVHTTP_REQ_GET, PREFIX "/labels/*", get_label},
    {EVHTTP_REQ_POST, PREFIX "/labels", post_label},
    {EVHTTP_REQ_GET, PREFIX "/issues/*/labels", show_labels},
    {EVHTTP_REQ_POST, PREFIX "/issues/*/labels", add_labels},
    {EVHTTP_REQ_DELETE, PREFIX "/issues/*/labels/*", remove_label},
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
dispatch(struct call *c, const char *path)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].method == evhttp_request_get_command(c->req) &&
		    matches(rows[i].path, path, c->part)) {
			rows[i].fn(c);
			return;
		}
	not_found(c);
}

/* The deed is done, and the line is cut before the answer is on it. */
static void
lose_answer(struct call *c, const char *path)
{
	struct bufferevent *b = evhttp_connection_get_bufferevent(evhttp_request_get_connection(c->req));

	shutdown(bufferevent_getfd(b), SHUT_RDWR);
	dispatch(c, path);
}

static void
on_request(struct evhttp_request *req, void *arg)
{
	struct fakegithub *g = arg;
	struct call c = {.g = g, .req = req, .body = read_body(req)};
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));
	bool post = evhttp_request_get_command(req) == EVHTTP_REQ_POST;

	if (strstr(path, ".git/") != NULL) { /* no git is served here */
		not_found(&c);
		return;
	}
	g->requests++;
	g->writes += evhttp_request_get_command(req) != EVHTTP_REQ_GET;
	if (!is_authorized(req)) {
		g->unauthorized++;
		answer(&c, 401, json_pack("{s:s}", "message", "Bad credentials"));
	} else if (g->refuse > 0) {
		g->refuse--;
		answer(&c, 503, json_pack("{s:s}", "message", "Service Unavailable"));
	} else if (post && g->lose > 0) {
		g->lose--;
		lose_answer(&c, path);
	} else {
		dispatch(&c, path);
	}
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
	g->permissions = json_object();
	g->next_id = 1000;
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
}

void
fakegithub_stop(struct fakegithub *g)
{
	static const char *const names[] = {
	    "GITHUB_API_URL", "REPO_OWNER", "REPO_NAME", "GITHUB_TOKEN", "ORCH_GITHUB_WRITE_GAP"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	evhttp_free(g->http);
	json_decref(g->issues);
	json_decref(g->comments);
	json_decref(g->labels);
	json_decref(g->pulls);
	json_decref(g->permissions);
	memset(g, 0, sizeof(*g));
}

void
fakegithub_issue(
    struct fakegithub *g, const char *number, const char *author, const char *title, const char *body)
{
	json_object_set_new(g->issues, number,
	    json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:o, s:i, s:[]}", "number", atoi(number), "title",
		title, "body", body, "state", "open", "html_url", "https://github.test/i",
		"author_association", "NONE", "user", user(author), "comments", 0, "labels"));
}

void
fakegithub_comment(struct fakegithub *g, const char *number, const char *author, const char *body)
{
	add_comment(g, number, author, body);
}

const char *
fakegithub_ours(struct fakegithub *g, const char *number, size_t n)
{
	json_t *k;
	size_t i;

	json_array_foreach (g->comments, i, k)
		if (strcmp(json_string_value(json_object_get(k, "issue")), number) == 0 &&
		    json_integer_value(json_object_get(json_object_get(k, "user"), "id")) == 7 && n-- == 0)
			return json_string_value(json_object_get(k, "body"));
	return NULL;
}

bool
fakegithub_has_label(struct fakegithub *g, const char *number, const char *label)
{
	return has(json_object_get(json_object_get(g->issues, number), "labels"), label);
}
