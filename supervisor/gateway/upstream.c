/*
 * upstream: requests that stream, by curl on libevent (see upstream.h). Rules of libcurl that shape this
 * file: POSTFIELDS is not copied; an easy handle must not be cleaned up within its own callbacks, so what a
 * callback decides is done when curl reports the end; a paused transfer has no low-speed limit, so the timers
 * are ours.
 */
#include "supervisor/gateway/upstream.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/http/multi.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define UPLOAD_AT_ONCE (60 << 10) /* curl's own buffer takes it */

struct upstreams {
	struct http_multi *multi;
	struct event_base *base;
};

struct upstream {
	struct upstreams *us;
	CURL *easy;
	struct curl_slist *headers;
	const struct upstream_handlers *h;
	void *arg;
	struct event *timer;
	int64_t first_byte_ms, idle_ms, heard_ms;
	size_t head_size;
	int status;
	bool headed, paused, enough, head_too_long;
	char fault[CURL_ERROR_SIZE];
};

static void
set_timer(struct event *ev, int64_t ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	event_add(ev, &tv);
}

static void
free_upstream(struct upstream *u)
{
	http_multi_remove(u->us->multi, u->easy);
	curl_easy_cleanup(u->easy);
	curl_slist_free_all(u->headers);
	event_free(u->timer);
	free(u);
}

/* Gone before its handler runs: the handler may start the next one, or end the program. */
static void
finish(struct upstream *u, enum upstream_end end, const char *text)
{
	const struct upstream_handlers *h = u->h;
	void *arg = u->arg;
	char copy[CURL_ERROR_SIZE + 64];

	snprintf(copy, sizeof(copy), "%s", text);
	free_upstream(u);
	h->on_end(arg, end, copy);
}

static enum upstream_end
judge(const struct upstream *u, CURLcode rc)
{
	if (u->enough)
		return UPSTREAM_REFUSED;
	switch (rc) {
	case CURLE_OK:
		return u->headed ? UPSTREAM_WHOLE : UPSTREAM_BROKEN;
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_URL_MALFORMAT:
	case CURLE_PROXY:
	case CURLE_OPERATION_TIMEDOUT: /* the only one of curl's own is the connection's */
		return UPSTREAM_CONNECT;
	default:
		return UPSTREAM_BROKEN;
	}
}

static void
on_done(void *private, CURLcode rc)
{
	struct upstream *u = private;

	if (u->head_too_long)
		finish(u, UPSTREAM_BROKEN, "its headers have no end");
	else
		finish(u, judge(u, rc), u->fault[0] != '\0' ? u->fault : curl_easy_strerror(rc));
}

static void
heard(struct upstream *u)
{
	u->heard_ms = clock_now_ms();
}

/* One timer for both limits: it looks how long the silence is, so that bytes need not move it. */
static void
on_silence(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *u = arg;
	int64_t limit = u->headed ? u->idle_ms : u->first_byte_ms, left;
	char text[96];

	(void)fd;
	(void)what;
	left = u->paused ? limit : u->heard_ms + limit - clock_now_ms();
	if (left > 0) {
		set_timer(u->timer, left);
		return;
	}
	snprintf(text, sizeof(text),
	    u->headed ? "silent for %lld ms in mid-answer" : "no answer within %lld ms", (long long)limit);
	finish(u, UPSTREAM_STALLED, text);
}

static void
take_header(struct upstream *u, const char *line, size_t size)
{
	const char *colon = memchr(line, ':', size), *value;
	size_t n;

	if (colon == NULL || colon == line)
		return;
	value = colon + 1;
	n = size - (size_t)(value - line);
	while (n > 0 && (*value == ' ' || *value == '\t')) {
		value++;
		n--;
	}
	while (n > 0 && strchr(" \t\r\n", value[n - 1]) != NULL)
		n--;
	u->h->on_header(u->arg, line, (size_t)(colon - line), value, n);
}

/* A line of an answer's head. An answer 1xx comes before the real one; trailers come after its body. */
static size_t
on_header_line(char *line, size_t one, size_t size, void *arg)
{
	struct upstream *u = arg;
	long status = 0;

	(void)one;
	if (u->headed)
		return size;
	u->head_size += size;
	if (u->head_size > UPSTREAM_HEAD_MAX) {
		u->head_too_long = true;
		return 0;
	}
	if (size > 5 && strncasecmp(line, "HTTP/", 5) == 0) {
		curl_easy_getinfo(u->easy, CURLINFO_RESPONSE_CODE, &status);
		u->status = (int)status;
	} else if (u->status >= 200 && (line[0] == '\r' || line[0] == '\n')) {
		u->headed = true;
		heard(u);
		set_timer(u->timer, u->idle_ms);
		u->h->on_head(u->arg, u->status);
	} else if (u->status >= 200) {
		take_header(u, line, size);
	}
	return size;
}

static size_t
on_data(char *data, size_t one, size_t size, void *arg)
{
	struct upstream *u = arg;

	(void)one;
	heard(u);
	if (!u->headed) /* of an answer 1xx that takes the connection over */
		return 0;
	switch (u->h->on_body(u->arg, data, size)) {
	case UPSTREAM_GO:
		return size;
	case UPSTREAM_PAUSE:
		u->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	case UPSTREAM_ENOUGH:
		break;
	}
	u->enough = true;
	return 0;
}

static bool
is_loopback(const char *url)
{
	const char *host = strstr(url, "://");

	host = host == NULL ? url : host + 3;
	return strncmp(host, "127.", 4) == 0 || strncmp(host, "localhost", 9) == 0 ||
	       strncmp(host, "[::1]", 5) == 0;
}

static void
set_options(struct upstream *u, const struct upstream_request *r)
{
	CURL *c = u->easy;

	curl_easy_setopt(c, CURLOPT_PRIVATE, u);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, u->fault);
	curl_easy_setopt(c, CURLOPT_URL, r->url);
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
	    r->first_byte_ms < UPSTREAM_CONNECT_MS ? (long)r->first_byte_ms : (long)UPSTREAM_CONNECT_MS);
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 65536L);
	if (r->size > UPLOAD_AT_ONCE) /* it is a memory block of its own for each request */
		curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, 262144L);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, u->headers);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header_line);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, u);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, u);
	/* Never what curl makes of the environment. */
	curl_easy_setopt(c, CURLOPT_PROXY, r->proxy == NULL ? "" : r->proxy);
	curl_easy_setopt(c, CURLOPT_NOPROXY,
	    is_loopback(r->url)   ? "*"
	    : r->no_proxy == NULL ? ""
				  : r->no_proxy);
	if (r->ca_file != NULL)
		curl_easy_setopt(c, CURLOPT_CAINFO, r->ca_file); /* Debian's CAPATH stays */
	if (r->body != NULL) {
		curl_easy_setopt(c, CURLOPT_POST, 1L);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->size);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, r->body);
	} else if (strcmp(r->method, "HEAD") == 0) {
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	}
}

struct upstreams *
upstreams_new(struct event_base *base)
{
	struct upstreams *us = xcalloc(1, sizeof(*us));

	us->base = base;
	us->multi = http_multi_new(base, on_done);
	return us;
}

void
upstreams_free(struct upstreams *us)
{
	if (us == NULL)
		return;
	http_multi_free(us->multi);
	free(us);
}

struct upstream *
upstream_start(
    struct upstreams *us, const struct upstream_request *r, const struct upstream_handlers *h, void *arg)
{
	struct upstream *u = xcalloc(1, sizeof(*u));

	u->us = us;
	u->h = h;
	u->arg = arg;
	u->headers = r->headers;
	u->first_byte_ms = r->first_byte_ms;
	u->idle_ms = r->idle_ms;
	u->easy = curl_easy_init();
	u->timer = evtimer_new(us->base, on_silence, u);
	heard(u);
	set_options(u, r);
	set_timer(u->timer, u->first_byte_ms);
	http_multi_add(us->multi, u->easy);
	return u;
}

void
upstream_resume(struct upstream *u)
{
	if (!u->paused)
		return;
	u->paused = false;
	heard(u);
	curl_easy_pause(u->easy, CURLPAUSE_CONT);
}

void
upstream_cancel(struct upstream *u)
{
	free_upstream(u);
}
