/*
 * gateway: agents' requests in on a loopback socket, out to the endpoints of the configured keys, and the
 * answers back. Bodies pass unparsed both ways; what is exchanged is who logs in. Owns the keys, the tokens
 * and every request under way. Writes no log and no file: what happens is told by hooks.
 */
#ifndef ORCH_GATEWAY_GATEWAY_H
#define ORCH_GATEWAY_GATEWAY_H

#include "common/configs.h"
#include "common/err.h"
#include "common/prices.h"
#include "supervisor/gateway/budgets.h"
#include "supervisor/gateway/conns.h"
#include "supervisor/gateway/keys.h"
#include "supervisor/gateway/tokens.h"
#include "supervisor/gateway/usage.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct gateway;

/* One request, when all is over. Strings are borrowed for the call. No field holds a secret or a body. */
struct gateway_record {
	const char *task; /* "" when the request had no valid token */
	uint32_t attempt;
	const char *key; /* name of the last one that had it; "" when it never left */
	const char *method, *path, *model, *request_id;
	int status;            /* that the client got; 0: it got none */
	int64_t ms, waited_ms; /* in all; and of this, for a key */
	unsigned sent;         /* how often it went upstream */
	uint64_t bytes_in, bytes_out;
	struct usage usage;
	uint64_t cost_nusd; /* of usage; a floor where that is one */
	bool priced;        /* its model has a price; else cost is 0 */
	const char *why;    /* what went wrong, a sentence; "" when nothing did */
};

/* What became of a request, or of a key: as in GW_NOTE (proto/messages.h). */
struct gateway_event {
	const char *task;      /* "" for what concerns all */
	const char *kind;      /* "key", "switch", "wait", "limited", "cut", "refused", "budget", "retry" */
	const char *text;      /* a sentence */
	int64_t until_wall_ms; /* "wait", "limited": 0 when that is not known */
};

struct gateway_hooks {
	void (*note)(void *arg, const struct gateway_event *ev);
	void (*done)(void *arg, const struct gateway_record *r);
	void *arg;
};

#define GATEWAY_CONNECTIONS 1024
#define GATEWAY_REQUEST_MS 60000
#define GATEWAY_HELD ((size_t)512 << 20)

struct gateway *gateway_new(struct event_base *base, const struct gateway_hooks *hooks);
/* Cuts what is under way. NULL is fine. */
void gateway_free(struct gateway *g);

/* Takes the configurations; *c is empty afterwards. Keys that were there before keep their state. A
 * gateway_probe should follow. */
void gateway_take_configs(struct gateway *g, struct configs *c);
/* Serves this listening socket; closes it in the end. 0 or -errno. */
int gateway_listen(struct gateway *g, int fd);
/* How long a stream may be silent, without a ping; 90 s at first. */
void gateway_set_silence(struct gateway *g, int64_t ms);
/* What clients' connections may take; before, the numbers above hold. */
void gateway_set_limits(struct gateway *g, const struct conns_limits *limits);

/* An attempt begins (as tokens_add), and ends: its requests are cut, its token opens nothing more. */
int gateway_admit(struct gateway *g, const char *token, const char *task, uint32_t attempt);
int gateway_dismiss(struct gateway *g, const char *token);

/* Looks at every endpoint without a key: name, connection, TLS, an answer within 5 s. One that does
 * not answer is set aside, noted, and looked at again later, until it answers. */
void gateway_probe(struct gateway *g);
/* Prices from now on; *p is empty afterwards. Before, the built-in ones hold. */
void gateway_take_prices(struct gateway *g, struct prices *p);
/* The built-in prices with the file's in their place (prices_load). 0, or -errno with a sentence and the
 * prices as they were. */
int gateway_read_prices(struct gateway *g, const char *path, struct err *e);
/* What the task and those below it, or it alone, may spend (budgets_set). Beyond it requests are answered
 * 402. */
int gateway_set_budget(
    struct gateway *g, const char *task, bool own, struct amount limit, struct amount spent);
/* Its run is over: budgets of the task and of those below it are gone. */
void gateway_forget_budgets(struct gateway *g, const char *task);

struct keys_now gateway_now(void);
/* The id of the key of that name; 0: there is none. */
uint32_t gateway_key_named(const struct gateway *g, const char *name);
/* Where requests with this key go; NULL when there is no such key. Borrowed until the next configurations. */
const char *gateway_url(const struct gateway *g, uint32_t key);
/* Borrowed. */
struct keys *gateway_keys(struct gateway *g);
/* Requests under way. */
unsigned gateway_busy(const struct gateway *g);

#endif
