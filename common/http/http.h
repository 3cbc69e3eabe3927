/*
 * http: one HTTP request at a time, by libcurl on the loop, awaited as cmd_run() awaits a program. A library
 * of its own, because libcurl costs a process 2.5 MB: only orch-director (and orch-probe) links it.
 *
 * TLS is always verified. The proxy variables of curl are honoured, but for loopback. Redirects are followed
 * here and not by curl: with the same method and body, which GitHub asks for on 301, 302, 307 and 308;
 * without the authorization where scheme, host or port differ; never from https to http. Nothing is sent
 * twice behind the caller's back: a request that writes gets a connection of its own, because curl repeats
 * what a kept-alive connection swallowed.
 */
#ifndef ORCH_COMMON_HTTP_HTTP_H
#define ORCH_COMMON_HTTP_HTTP_H

#include "common/err.h"
#include "common/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_CONNECT_MS 15000
#define HTTP_FIRST_BYTE_MS 60000
#define HTTP_IDLE_MS 30000
#define HTTP_TOTAL_MS 180000
#define HTTP_BODY_MAX (32u << 20)
#define HTTP_HEAD_MAX (64u << 10) /* of an answer's headers */
#define HTTP_REDIRECTS_MAX 5

struct http; /* keeps connections between requests */

/* ca_file: certificates to trust instead of the system's; NULL: those of $SSL_CERT_FILE, else the system's.
 */
int http_open(struct http **out, struct loop *l, const char *ca_file, struct err *e);
void http_close(struct http *h);

/* 0 everywhere: the defaults above. */
struct http_limits {
	int64_t connect_ms;
	int64_t first_byte_ms; /* from the start to the head of the answer */
	int64_t idle_ms;       /* silence within the answer */
	int64_t total_ms;      /* with all redirects */
	size_t body_max;
};

struct http_request {
	const char *method, *url;
	const char *authorization;  /* value of the header; never sent to another origin; NULL: none */
	const char *const *headers; /* "Name: value", NULL-terminated; NULL: none */
	const void *body;           /* NULL: none */
	size_t size;
	const char *agent; /* User-Agent; NULL: "orch/VERSION" */
	struct http_limits limits;
};

struct http_response {
	int status;
	char *head; /* header lines "Name: value\n" of the last answer */
	char *body; /* NUL-terminated */
	size_t size;
	char *url;  /* where it came from, after redirects */
	bool moved; /* every redirect on the way there was permanent (301, 308), and there was one */
};

/*
 * 0 with *r (clear it) when an answer came whole, whatever its status. Else -errno with a sentence that names
 * host and step and no secret: -ECANCELED (a stop), -ETIMEDOUT, -EFBIG (an answer over body_max), -EINVAL (no
 * URL for HTTP), -EKEYREJECTED (TLS), -EHOSTUNREACH (no connection), -ECONNRESET (it broke off), -EPROTO or
 * -ELOOP (a redirect that must not be followed). *sent (may be NULL) then tells whether the request may have
 * been acted upon.
 */
int http_call(
    struct http *h, const struct http_request *q, struct http_response *r, bool *sent, struct err *e);
void http_response_clear(struct http_response *r);

/* The first header of that name (any case), in fresh memory; NULL when there is none. */
char *http_header(const struct http_response *r, const char *name);

#endif
