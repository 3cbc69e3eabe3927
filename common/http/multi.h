/*
 * multi: curl's multi interface driven by libevent: its sockets and its one timer become events of a base,
 * and each transfer's end is told once.
 */
#ifndef ORCH_COMMON_HTTP_MULTI_H
#define ORCH_COMMON_HTTP_MULTI_H

#include <curl/curl.h>

struct event_base;
struct http_multi;

/* private: CURLOPT_PRIVATE of the transfer, which is still in the multi handle: fn may remove it. */
typedef void http_multi_done_fn(void *private, CURLcode code);

struct http_multi *http_multi_new(struct event_base *base, http_multi_done_fn *fn);
/* Every transfer must have been removed. */
void http_multi_free(struct http_multi *m);

void http_multi_add(struct http_multi *m, CURL *easy);
/* At any time, but not from within one of the transfer's own callbacks. */
void http_multi_remove(struct http_multi *m, CURL *easy);

#endif
