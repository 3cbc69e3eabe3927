/*
 * upstream: one HTTP request to an endpoint, by libcurl on libevent: nothing blocks, no redirection is
 * followed, nothing is decoded. Time is bounded where it means something (connecting, the first byte,
 * silence) and nowhere else: a model may think and speak for long.
 */
#ifndef ORCH_GATEWAY_UPSTREAM_H
#define ORCH_GATEWAY_UPSTREAM_H

#include "common/configs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UPSTREAM_CONNECT_MS 10000
#define UPSTREAM_IDLE_MS CONFIGS_IDLE_MS
#define UPSTREAM_HEAD_MAX (256 * 1024) /* bytes of an answer's headers */

struct event_base;
struct curl_slist;
struct upstreams; /* shares connections between requests */
struct upstream;

enum upstream_end {
	UPSTREAM_WHOLE,   /* the answer has come to its end */
	UPSTREAM_CONNECT, /* no connection */
	UPSTREAM_BROKEN,  /* it broke off, or was no HTTP */
	UPSTREAM_STALLED, /* the first byte, or the next one, did not come in time */
	UPSTREAM_REFUSED  /* on_body had enough */
};

enum upstream_flow {
	UPSTREAM_GO,
	UPSTREAM_PAUSE, /* this piece was not taken: it is given again after upstream_resume */
	UPSTREAM_ENOUGH /* end it: nothing more is wanted */
};

/* All run from the loop, never within upstream_start or upstream_cancel. None may call upstream_cancel but
 * on_end, whose request is gone already. */
struct upstream_handlers {
	void (*on_header)(
	    void *arg, const char *name, size_t size_name, const char *value, size_t size_value);
	void (*on_head)(void *arg, int status); /* after all its headers */
	enum upstream_flow (*on_body)(void *arg, const char *data, size_t size);
	void (*on_end)(void *arg, enum upstream_end end, const char *text); /* text: a sentence; once, last */
};

struct upstream_request {
	const char *method, *url;
	struct curl_slist *headers; /* taken */
	const char *body;           /* borrowed until the end; NULL: none */
	size_t size;
	const char *ca_file;  /* of authorities trusted besides the system's; NULL: none */
	const char *proxy;    /* NULL: none; nor is there one to an endpoint on loopback */
	const char *no_proxy; /* as in $NO_PROXY; NULL: none */
	int64_t first_byte_ms, idle_ms;
};

struct upstreams *upstreams_new(struct event_base *base);
/* Every request must have ended. */
void upstreams_free(struct upstreams *us);

struct upstream *upstream_start(
    struct upstreams *us, const struct upstream_request *r, const struct upstream_handlers *h, void *arg);
/* After UPSTREAM_PAUSE; not from within on_body. While it is paused its silence does not count. */
void upstream_resume(struct upstream *u);
/* Ends it at once; no handler runs. */
void upstream_cancel(struct upstream *u);

#endif
