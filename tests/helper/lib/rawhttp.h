/*
 * rawhttp: both ends of an HTTP connection by the byte, on a test's own event base: a server that answers as
 * it is told, right or wrong, and a client that sends what it is given.
 */
#ifndef ORCH_TESTS_RAWHTTP_H
#define ORCH_TESTS_RAWHTTP_H

#include <stdbool.h>
#include <stddef.h>

struct event;
struct event_base;
struct evbuffer;
struct bufferevent;
struct evconnlistener;

#define RAW_ANSWERS_MAX 16
#define RAW_CONNECTIONS_MAX 64

enum raw_after { RAW_KEEP, RAW_CLOSE, RAW_RESET, RAW_HANG };

struct raw_server {
	struct event_base *base;
	struct evconnlistener *listener;
	unsigned port;
	struct raw_answer {
		const char *bytes; /* borrowed; NULL: none */
		size_t size;
		enum raw_after after; /* HANG: says nothing more, and notices when the other end goes */
	} answers[RAW_ANSWERS_MAX];
	size_t count, used;
	char *seen;              /* all requests, as they came */
	unsigned requests, gone; /* whole ones; connections that the other end closed */
	unsigned probes;         /* HEADs: they are answered 200, and are no requests */
	struct bufferevent *open[RAW_CONNECTIONS_MAX];
	struct event *tick;
	struct bufferevent *last; /* connection of the last request; NULL once closed */
};

void raw_serve(struct raw_server *s, struct event_base *base);
/* The next request that has no answer yet gets this one. */
void raw_answer(struct raw_server *s, const char *bytes, enum raw_after after);
void raw_server_clear(struct raw_server *s);

struct raw_client {
	struct event_base *base;
	struct bufferevent *bev;
	struct evbuffer *got;
	char *text;
	bool ended; /* the other end has closed, or reset */
};

void raw_connect(struct raw_client *c, struct event_base *base, unsigned port);
void raw_send(struct raw_client *c, const char *bytes, size_t size);
/* What came so far, with a NUL behind it; borrowed. */
const char *raw_got(struct raw_client *c);
void raw_client_clear(struct raw_client *c);

/* Runs the loop until the condition holds, or fails the test after ten seconds. */
#define raw_until(base, condition)                                                                           \
	do {                                                                                                 \
		raw_begin();                                                                                 \
		while (!(condition))                                                                         \
			raw_once(base, #condition);                                                          \
	} while (0)
void raw_begin(void);
void raw_once(struct event_base *base, const char *what);

#endif
