/* github: see github.h. */
#include "director/github.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/http/http.h"
#include "common/json.h"
#include "common/log.h"
#include "director/github_cache.h"
#include "director/github_impl.h"
#include "director/github_words.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API_VERSION "X-GitHub-Api-Version: 2022-11-28"
#define ACCEPT "Accept: application/vnd.github+json"

struct github {
	struct loop *loop;
	struct http *http;
	char *base, *owner, *repo, *authorization;
	int64_t patience_ms;
	struct github_pace pace;
	struct github_cache cache;
	struct github_stats stats;
	enum github_kind kind;
	json_t *me;
	bool moved_said;
};

int
github_open(struct github **out, struct loop *l, const struct github_options *o, struct err *e)
{
	struct github *gh;
	struct http *http;
	int rc;

	if (o->token == NULL || *o->token == '\0' || strpbrk(o->token, " \t\r\n") != NULL)
		return err_set(
		    e, -EACCES, "there is no token for GitHub: set GITHUB_TOKEN or run gh auth login");
	rc = http_open(&http, l, o->ca_file, e);
	if (rc < 0)
		return rc;
	gh = xcalloc(1, sizeof(*gh));
	gh->loop = l;
	gh->http = http;
	gh->base = xstrdup(o->base);
	gh->owner = xstrdup(o->owner);
	gh->repo = xstrdup(o->repo);
	gh->authorization = xasprintf("Bearer %s", o->token);
	gh->pace.write_gap_ms = o->write_gap_ms < 0 ? GITHUB_WRITE_GAP_MS : o->write_gap_ms;
	gh->pace.second_ms = o->second_ms;
	gh->patience_ms = o->patience_ms;
	gh->stats.remaining = -1;
	github_cache_init(&gh->cache);
	*out = gh;
	return 0;
}

void
github_close(struct github *gh)
{
	if (gh == NULL)
		return;
	http_close(gh->http);
	github_cache_clear(&gh->cache);
	json_decref(gh->me);
	explicit_bzero(gh->authorization, strlen(gh->authorization));
	free(gh->authorization);
	free(gh->base);
	free(gh->owner);
	free(gh->repo);
	free(gh);
}

void
github_set_patience(struct github *gh, int64_t patience_ms)
{
	gh->patience_ms = patience_ms;
}

const struct github_stats *
github_stats(const struct github *gh)
{
	return &gh->stats;
}

enum github_kind
github_kind(const struct github *gh)
{
	return gh->kind;
}

const char *
github_owner(const struct github *gh)
{
	return gh->owner;
}

const char *
github_repo(const struct github *gh)
{
	return gh->repo;
}

const char *
github_base(const struct github *gh)
{
	return gh->base;
}

json_t **
github_me(struct github *gh)
{
	return &gh->me;
}

void
github_set_kind(struct github *gh, enum github_kind kind)
{
	gh->kind = kind;
}

void
github_count_comment(struct github *gh)
{
	gh->stats.comments++;
}

int
github_sleep(struct github *gh, int64_t ms, struct err *e)
{
	const bool never = false;

	if (loop_wait(gh->loop, &never, clock_now_ms() + github_pace_ms(&gh->pace, ms)) != -ECANCELED)
		return 0;
	gh->kind = GITHUB_STOPPED;
	return err_set(e, -ECANCELED, "asked to stop while it waited for GitHub");
}

char *
github_path(const struct github *gh, const char *fmt, ...)
{
	va_list ap;
	char *rest = NULL, *path;

	va_start(ap, fmt);
	if (vasprintf(&rest, fmt, ap) < 0)
		rest = NULL;
	va_end(ap);
	path = xasprintf("/repos/%s/%s%s", gh->owner, gh->repo, rest == NULL ? "" : rest);
	free(rest);
	return path;
}

/* One request as a person, and github_each, sees it. */
struct call {
	const char *what, *method;
	char *url, *body;
	struct http_response r;
	json_t *json;
	char *link;
	bool cached; /* the answer was 304, and body and link are what is known */
};

static void
call_clear(struct call *c)
{
	http_response_clear(&c->r);
	json_decref(c->json);
	free(c->link);
	free(c->url);
	free(c->body);
}

static int64_t
number_of(const struct http_response *r, const char *name)
{
	char *text = http_header(r, name), *end;
	long long n = -1;

	if (text != NULL && *text >= '0' && *text <= '9') {
		n = strtoll(text, &end, 10);
		if (*end != '\0')
			n = -1;
	}
	free(text);
	return n;
}

/* The server's clock says when a limit is over: ours may be wrong. */
static int64_t
reset_in_s(const struct http_response *r)
{
	int64_t reset = number_of(r, "x-ratelimit-reset");
	char *date = http_header(r, "date");
	time_t now = date == NULL ? -1 : curl_getdate(date, NULL);

	free(date);
	if (reset < 0)
		return -1;
	if (now < 0)
		now = (time_t)(clock_wall_ms() / 1000);
	return reset > now ? reset - now : 0;
}

static void
read_json(struct call *c)
{
	json_decref(c->json);
	c->json = c->r.size == 0 ? NULL : json_parse("GitHub's answer", c->r.body, c->r.size, NULL);
}

/* Sends it once and reads what came. 0 also when nothing came: a->status is 0 then. */
static int
send_once(struct github *gh, struct call *c, bool write, struct github_answer *a, struct err *e)
{
	const struct github_cached *known = write ? NULL : github_cache_find(&gh->cache, c->url);
	char *match = known == NULL ? NULL : xasprintf("If-None-Match: %s", known->etag);
	const char *headers[] = {
	    ACCEPT, API_VERSION, match != NULL ? match : "Content-Type: application/json", NULL};
	struct http_request q = {.method = c->method,
	    .url = c->url,
	    .authorization = gh->authorization,
	    .headers = headers,
	    .body = c->body,
	    .size = c->body == NULL ? 0 : strlen(c->body)};
	int rc;

	gh->stats.requests++;
	gh->stats.writes += write;
	github_pace_sent(&gh->pace, write, clock_now_ms());
	http_response_clear(&c->r);
	rc = http_call(gh->http, &q, &c->r, &a->sent, e);
	free(match);
	a->status = c->r.status;
	a->message = NULL;
	a->retry_after_s = a->remaining = a->reset_s = -1;
	if (rc < 0)
		return rc == -ECANCELED || rc == -EINVAL || rc == -EKEYREJECTED || rc == -ELOOP ||
			       rc == -EPROTO || rc == -EFBIG
			   ? rc
			   : 0;
	read_json(c);
	a->message = json_str(c->json, "message");
	a->retry_after_s = number_of(&c->r, "retry-after");
	a->remaining = number_of(&c->r, "x-ratelimit-remaining");
	a->reset_s = reset_in_s(&c->r);
	if (a->remaining >= 0)
		gh->stats.remaining = a->remaining;
	gh->stats.redirects += c->r.moved;
	if (c->r.moved && !gh->moved_said) {
		gh->moved_said = true;
		log_warn(
		    "%s/%s has another name on GitHub now: its requests are redirected", gh->owner, gh->repo);
	}
	return 0;
}

/* Not before at_ms. */
static int
pause(struct github *gh, const char *what, int64_t at_ms, bool limited, struct err *e)
{
	const bool never = false;
	int64_t now = clock_now_ms(), left = at_ms - now;
	int rc;

	if (left <= 0)
		return 0;
	if (limited && gh->patience_ms >= 0 && left > gh->patience_ms) {
		gh->kind = GITHUB_LIMITED;
		return github_explain(e, GITHUB_LIMITED, 0, what, NULL, NULL, left);
	}
	if (left > 5000)
		log_info("GitHub: waiting %lld s before it can %s", (long long)left / 1000, what);
	rc = loop_wait(gh->loop, &never, at_ms);
	gh->stats.waited_ms += clock_now_ms() - now;
	if (rc != -ECANCELED)
		return 0;
	gh->kind = GITHUB_STOPPED;
	return github_explain(e, GITHUB_STOPPED, 0, what, NULL, NULL, 0);
}

static int
explain(struct github *gh, const struct call *c, const struct github_decision *d, int status, struct err *e)
{
	char *accepted = c->r.head == NULL ? NULL : http_header(&c->r, "x-accepted-github-permissions");
	struct err fault = {""};
	int rc;

	if (e != NULL)
		fault = *e;
	gh->kind = d->kind;
	rc = github_explain(e, d->kind, status, c->what, c->json, accepted, d->until_ms - clock_now_ms());
	/* No answer at all: what the network said is the cause. */
	if (status == 0 && d->kind == GITHUB_BROKEN)
		rc = err_set(e, rc, "cannot %s: %s (tried %d times)", c->what, fault.msg, GITHUB_TRIES);
	free(accepted);
	return rc;
}

/* A 304 is answered from what is known; what is new is kept. */
static int
take(struct github *gh, struct call *c)
{
	const struct github_cached *known;
	char *etag;

	if (c->r.status == 304) {
		known = github_cache_find(&gh->cache, c->url);
		gh->stats.not_modified++;
		if (known == NULL)
			return -EPROTO;
		json_decref(c->json);
		c->json = json_parse("GitHub's answer", known->body, known->size, NULL);
		c->link = xstrdup(known->link);
		return 0;
	}
	c->link = http_header(&c->r, "link");
	if (c->r.size > 0 && c->json == NULL)
		return -EPROTO;
	if (strcmp(c->method, "GET") == 0) {
		etag = http_header(&c->r, "etag");
		github_cache_put(&gh->cache, c->url, etag, c->link, c->r.body, c->r.size);
		free(etag);
	}
	return 0;
}

static int
perform(struct github *gh, struct call *c, struct err *e)
{
	bool write = strcmp(c->method, "GET") != 0;
	/* A PUT merges: whoever lost its answer looks before it is sent again, as with a POST. */
	struct github_retry retry = {
	    .repeatable = strcmp(c->method, "POST") != 0 && strcmp(c->method, "PUT") != 0};
	struct github_decision d = {0};
	struct github_answer a;
	int rc;

	for (;;) {
		int64_t now = clock_now_ms(), at = github_pace_next(&gh->pace, write, now);

		rc = pause(gh, c->what, at, gh->pace.blocked_to_ms > now, e);
		if (rc < 0)
			return rc;
		rc = send_once(gh, c, write, &a, e);
		if (rc < 0) {
			gh->kind = rc == -ECANCELED ? GITHUB_STOPPED : GITHUB_STRANGE;
			return err_prefix(e, rc, "cannot %s", c->what);
		}
		d = github_decide(&gh->pace, &retry, &a, clock_now_ms());
		if (d.turn != GITHUB_AGAIN)
			break;
		gh->stats.repeated++;
		gh->stats.limited += d.kind == GITHUB_LIMITED;
		rc = pause(gh, c->what, d.until_ms, d.kind == GITHUB_LIMITED, e);
		if (rc < 0)
			return rc;
	}
	if (d.turn == GITHUB_TAKE && d.kind == GITHUB_FINE && take(gh, c) < 0)
		d.kind = GITHUB_STRANGE;
	gh->kind = d.kind;
	return d.kind == GITHUB_FINE ? 0 : explain(gh, c, &d, a.status, e);
}

/* The token goes to the API's own origin alone: a page of a list is a URL that came with an answer. */
static bool
is_of_api(const struct github *gh, const char *url)
{
	const char *rest = strstr(gh->base, "://") + 3;
	size_t n = (size_t)(rest - gh->base) + strcspn(rest, "/");

	return strncmp(url, gh->base, n) == 0 && (url[n] == '/' || url[n] == '\0');
}

static int
call_init(
    struct github *gh, struct call *c, const char *what, const char *method, const char *path, struct err *e)
{
	memset(c, 0, sizeof(*c));
	c->what = what;
	c->method = method;
	if (path[0] != '/' && !is_of_api(gh, path)) {
		gh->kind = GITHUB_STRANGE;
		return err_set(e, -EPROTO, "cannot %s: GitHub sends us to another server for it", what);
	}
	c->url = path[0] == '/' ? xasprintf("%s%s", gh->base, path) : xstrdup(path);
	return 0;
}

int
github_get(struct github *gh, const char *what, const char *path, json_t **answer, struct err *e)
{
	struct call c;
	int rc = call_init(gh, &c, what, "GET", path, e);

	if (rc == 0)
		rc = perform(gh, &c, e);
	if (rc == 0 && answer != NULL)
		*answer = json_incref(c.json);
	call_clear(&c);
	return rc;
}

int
github_send(struct github *gh, const char *what, const char *method, const char *path, json_t *body,
    json_t **answer, struct err *e)
{
	struct call c;
	int rc = call_init(gh, &c, what, method, path, e);

	if (rc == 0) {
		c.body = body == NULL ? NULL : json_text(body);
		rc = perform(gh, &c, e);
	}
	json_decref(body);
	if ((rc == 0 || rc == -EINVAL) && answer != NULL)
		*answer = json_incref(c.json);
	call_clear(&c);
	return rc;
}

/* One page; *next gets the following one's URL. */
static int
read_page(struct github *gh, struct call *c, const char *key, github_item_fn *fn, void *arg, char **next,
    struct err *e)
{
	json_t *list, *item;
	size_t i;
	int rc = perform(gh, c, e);

	if (rc < 0)
		return rc;
	list = key == NULL ? c->json : json_object_get(c->json, key);
	if (!json_is_array(list)) {
		gh->kind = GITHUB_STRANGE;
		return err_set(
		    e, -EPROTO, "cannot %s: the answer is no list: is GITHUB_API_URL right?", c->what);
	}
	*next = github_link_next(c->link);
	json_array_foreach (list, i, item) {
		rc = fn(arg, item, e);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int
github_each(struct github *gh, const char *what, const char *path, const char *key, github_item_fn *fn,
    void *arg, struct err *e)
{
	char *url = xstrdup(path), *next;
	int rc = 0;

	for (unsigned page = 0; url != NULL && rc == 0 && page < GITHUB_PAGES_MAX; page++) {
		struct call c;

		next = NULL;
		rc = call_init(gh, &c, what, "GET", url, e);
		if (rc == 0)
			rc = read_page(gh, &c, key, fn, arg, &next, e);
		call_clear(&c);
		free(url);
		url = next;
	}
	if (rc == 0 && url != NULL)
		log_warn("GitHub: more than %d pages: the rest is left out (to %s)", GITHUB_PAGES_MAX, what);
	free(url);
	return rc < 0 ? rc : 0;
}
