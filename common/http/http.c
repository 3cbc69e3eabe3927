/*
 * http: see http.h. Rules of libcurl that shape this file: POSTFIELDS is not copied; a handle must not be
 * removed within its own callbacks; a transfer that timed out is ours to remove.
 */
#include "common/http/http.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/http/multi.h"
#include "common/http/redirect.h"
#include "common/http/transfer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct http {
	struct loop *loop;
	struct http_multi *multi;
	char *ca_file;
};

/* Bytes that grow up to a limit, with a NUL behind them. */
struct heap {
	char *data;
	size_t size, room, max;
};

/* One transfer: a request, or one of its redirects. */
struct transfer {
	CURL *easy;
	struct curl_slist *headers;
	char *origin;
	char said[CURL_ERROR_SIZE];
	struct heap head, body;
	int status;
	bool headed, too_big, head_too_big, done;
	int64_t heard_ms;
	CURLcode code;
};

static void
on_done(void *private, CURLcode code)
{
	struct transfer *t = private;

	t->done = true;
	t->code = code;
}

int
http_open(struct http **out, struct loop *l, const char *ca_file, struct err *e)
{
	struct http *h;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(e, -ENOMEM, "libcurl cannot be set up");
	h = xcalloc(1, sizeof(*h));
	h->loop = l;
	h->multi = http_multi_new(l->base, on_done);
	h->ca_file = xstrdup(ca_file);
	*out = h;
	return 0;
}

void
http_close(struct http *h)
{
	if (h == NULL)
		return;
	http_multi_free(h->multi);
	free(h->ca_file);
	free(h);
	curl_global_cleanup();
}

static bool
heap_add(struct heap *p, const char *data, size_t size)
{
	if (size > p->max - p->size)
		return false;
	if (p->size + size >= p->room) {
		p->room = (p->size + size + 1) * 2;
		p->data = xrealloc(p->data, p->room);
	}
	memcpy(p->data + p->size, data, size);
	p->size += size;
	p->data[p->size] = '\0';
	return true;
}

/* A line of an answer's head. Answers 1xx come before the real one, and that of a proxy to CONNECT; trailers
 * come after its body. */
static size_t
on_head(char *line, size_t one, size_t size, void *arg)
{
	struct transfer *t = arg;
	size_t n = size;
	long status = 0;

	(void)one;
	t->heard_ms = clock_now_ms();
	if (t->headed && t->body.size > 0)
		return size;
	if (size > 5 && strncasecmp(line, "HTTP/", 5) == 0) {
		curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
		t->status = (int)status;
		t->head.size = 0;
		t->headed = false;
		return size;
	}
	while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == '\n'))
		n--;
	if (n == 0) {
		t->headed = t->status >= 200;
		return size;
	}
	t->head_too_big = !heap_add(&t->head, line, n) || !heap_add(&t->head, "\n", 1);
	return t->head_too_big ? 0 : size;
}

static size_t
on_body(char *data, size_t one, size_t size, void *arg)
{
	struct transfer *t = arg;

	(void)one;
	t->heard_ms = clock_now_ms();
	t->too_big = !heap_add(&t->body, data, size);
	return t->too_big ? 0 : size;
}

static bool
is_reading(const char *method)
{
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static int64_t
or_default(int64_t ms, int64_t otherwise)
{
	return ms > 0 ? ms : otherwise;
}

static void
add_header(struct transfer *t, const char *name, const char *value)
{
	char *line = xasprintf("%s: %s", name, value);

	t->headers = curl_slist_append(t->headers, line);
	explicit_bzero(line, strlen(line));
	free(line);
}

static void
set_headers(struct transfer *t, const struct http_request *q, bool authorized)
{
	for (const char *const *p = q->headers; p != NULL && *p != NULL; p++)
		t->headers = curl_slist_append(t->headers, *p);
	if (authorized && q->authorization != NULL)
		add_header(t, "Authorization", q->authorization);
	t->headers = curl_slist_append(t->headers, "Expect:"); /* no waiting for 100 Continue */
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
	curl_easy_setopt(t->easy, CURLOPT_USERAGENT, q->agent != NULL ? q->agent : "orch/" ORCH_VERSION);
}

static void
set_body(struct transfer *t, const struct http_request *q)
{
	if (q->body != NULL) {
		curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->size);
		curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, q->body);
	} else if (strcmp(q->method, "HEAD") == 0) {
		curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
	}
	curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, q->method);
	if (!is_reading(q->method))
		curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 1L);
}

static void
set_up(
    struct transfer *t, const struct http *h, const struct http_request *q, const char *url, bool authorized)
{
	CURL *c = t->easy;

	transfer_set_up(c, url, h->ca_file);
	curl_easy_setopt(c, CURLOPT_PRIVATE, t);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->said);
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(
	    c, CURLOPT_CONNECTTIMEOUT_MS, (long)or_default(q->limits.connect_ms, HTTP_CONNECT_MS));
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_head);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	if (transfer_is_loopback(t->origin))
		curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	set_headers(t, q, authorized);
	set_body(t, q);
}

/* Straight-line waiting: the silence is looked at whenever a deadline has passed. 0 when it is done. */
static int
await(struct transfer *t, struct http *h, const struct http_limits *lim, int64_t end_ms, struct err *e)
{
	int64_t first = or_default(lim->first_byte_ms, HTTP_FIRST_BYTE_MS);
	int64_t idle = or_default(lim->idle_ms, HTTP_IDLE_MS);
	int rc;

	for (;;) {
		int64_t limit = t->headed ? idle : first, quiet = t->heard_ms + limit;

		rc = loop_wait(h->loop, &t->done, quiet < end_ms ? quiet : end_ms);
		if (rc == -ECANCELED)
			return err_set(e, rc, "the request to %s was interrupted", t->origin);
		if (rc != -ETIMEDOUT)
			return rc;
		if (clock_now_ms() >= end_ms)
			return err_set(e, rc, "%s did not answer completely in time", t->origin);
		if (clock_now_ms() < t->heard_ms + (t->headed ? idle : first))
			continue;
		return err_set(e, rc,
		    t->headed ? "%s was silent for %lld ms in mid-answer"
			      : "%s did not answer within %lld ms",
		    t->origin, (long long)limit);
	}
}

static int
fault_of(const struct transfer *t, bool may_be_sent)
{
	switch (t->code) {
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return -EINVAL;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CONNECT_ERROR:
		return -EKEYREJECTED;
	case CURLE_OPERATION_TIMEDOUT: /* the only one of curl's own is the connection's */
		return -ETIMEDOUT;
	default:
		return may_be_sent ? -ECONNRESET : -EHOSTUNREACH;
	}
}

/* What came of it; curl has said that it is done. */
static int
judge(const struct transfer *t, const struct http_limits *lim, bool may_be_sent, struct err *e)
{
	size_t max = lim->body_max > 0 ? lim->body_max : HTTP_BODY_MAX;
	bool tls = strncmp(t->origin, "https:", 6) == 0;

	if (t->too_big)
		return err_set(e, -EFBIG, "the answer of %s is over %zu bytes", t->origin, max);
	if (t->head_too_big)
		return err_set(e, -EFBIG, "the headers of %s have no end", t->origin);
	if (t->code == CURLE_OK && t->headed)
		return 0;
	return err_set(e, t->code == CURLE_OK ? -ECONNRESET : fault_of(t, may_be_sent), "%s: %s failed: %s",
	    t->origin, transfer_stage(t->easy, t->code, tls), transfer_words(t->easy, t->code, t->said));
}

static void
transfer_clear(struct transfer *t)
{
	curl_easy_cleanup(t->easy);
	for (struct curl_slist *s = t->headers; s != NULL; s = s->next)
		explicit_bzero(s->data, strlen(s->data));
	curl_slist_free_all(t->headers);
	free(t->origin);
	free(t->head.data);
	free(t->body.data);
}

/* One transfer to its end. *sent: curl may have given it to the kernel. */
static int
perform(struct transfer *t, struct http *h, const struct http_request *q, const char *url, bool authorized,
    int64_t end_ms, bool *sent, struct err *e)
{
	long size = 0, tunnel = 0; /* the proxy's answer to CONNECT; 0: none was needed */
	int rc;

	t->origin = transfer_origin(url);
	if (t->origin == NULL)
		return err_set(e, -EINVAL, "no URL for HTTP was given");
	t->easy = curl_easy_init();
	if (t->easy == NULL)
		return err_set(e, -ENOMEM, "libcurl cannot make a request");
	t->head.max = HTTP_HEAD_MAX;
	t->body.max = q->limits.body_max > 0 ? q->limits.body_max : HTTP_BODY_MAX;
	set_up(t, h, q, url, authorized);
	t->heard_ms = clock_now_ms();
	http_multi_add(h->multi, t->easy);
	rc = await(t, h, &q->limits, end_ms, e);
	http_multi_remove(h->multi, t->easy);
	curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &size);
	curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &tunnel);
	*sent = size > 0 && (tunnel == 0 || tunnel / 100 == 2);
	return rc == 0 ? judge(t, &q->limits, *sent, e) : rc;
}

static void
take(struct http_response *r, struct transfer *t, const char *url)
{
	r->status = t->status;
	r->head = t->head.data != NULL ? t->head.data : xstrdup("");
	r->body = t->body.data != NULL ? t->body.data : xstrdup("");
	r->size = t->body.size;
	r->url = xstrdup(url);
	t->head.data = t->body.data = NULL;
}

int
http_call(
    struct http *h, const struct http_request *q, struct http_response *r, bool *sent_out, struct err *e)
{
	int64_t end_ms = clock_now_ms() + or_default(q->limits.total_ms, HTTP_TOTAL_MS);
	char *url = xstrdup(q->url), *next, *location;
	bool authorized = true, moved = true, sent = false, same;
	int rc;

	memset(r, 0, sizeof(*r));
	for (unsigned turn = 0;; turn++) {
		struct transfer t = {0};

		rc = perform(&t, h, q, url, authorized, end_ms, &sent, e);
		if (rc == 0)
			take(r, &t, url);
		transfer_clear(&t);
		if (rc < 0 || !redirect_is(r->status))
			break;
		if (turn == HTTP_REDIRECTS_MAX) {
			rc = err_set(
			    e, -ELOOP, "%s was redirected more than %d times", q->url, HTTP_REDIRECTS_MAX);
			break;
		}
		moved = moved && redirect_is_permanent(r->status);
		location = http_header(r, "Location");
		rc = redirect_next(url, location, &next, &same, e);
		free(location);
		if (rc < 0)
			break;
		authorized = authorized && same;
		http_response_clear(r);
		free(url);
		url = next;
		r->moved = moved;
	}
	if (rc < 0)
		http_response_clear(r);
	else
		r->moved = moved && strcmp(url, q->url) != 0;
	free(url);
	if (sent_out != NULL)
		*sent_out = sent;
	return rc;
}

void
http_response_clear(struct http_response *r)
{
	free(r->head);
	free(r->body);
	free(r->url);
	memset(r, 0, sizeof(*r));
}

char *
http_header(const struct http_response *r, const char *name)
{
	size_t n = strlen(name);

	for (const char *line = r->head; line != NULL && *line != '\0';) {
		size_t len = strcspn(line, "\n");

		if (len > n && line[n] == ':' && strncasecmp(line, name, n) == 0) {
			size_t skip = n + 1 + strspn(line + n + 1, " \t");

			while (len > skip && (line[len - 1] == ' ' || line[len - 1] == '\t'))
				len--;
			return xstrndup(line + skip, len > skip ? len - skip : 0);
		}
		line += len + (line[len] != '\0');
	}
	return NULL;
}
