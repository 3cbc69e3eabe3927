/*
 * conns: what the clients' connections may take before there is a request to speak of: how many there are,
 * how long one takes to say its request (evhttp's timeouts begin anew with every byte), and how many bytes of
 * requests are held for all of them.
 */
#ifndef ORCH_GATEWAY_CONNS_H
#define ORCH_GATEWAY_CONNS_H

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct bufferevent;
struct conns;

struct conns_limits {
	unsigned connections; /* at one time; one more gets a 503 */
	int64_t request_ms;   /* from a request's first byte to its last */
	size_t held;          /* bytes of requests that are read or answered */
};

struct conns *conns_new(struct event_base *base, const struct conns_limits *limits);
/* The connections must be gone. NULL is fine. */
void conns_free(struct conns *c);
void conns_set_limits(struct conns *c, const struct conns_limits *limits);

/* The bufferevent of a connection that is about to be accepted: for evhttp_set_bevcb, arg is the conns. */
struct bufferevent *conns_make(struct event_base *base, void *arg);
/* A request is whole; and answered: the next one may come. */
void conns_whole(struct conns *c, const struct bufferevent *bev);
void conns_answered(struct conns *c, const struct bufferevent *bev);

#endif
