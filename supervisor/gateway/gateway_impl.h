/*
 * gateway_impl: what the parts of the gateway share: gateway.c (life, keys, tokens), front.c (the client's
 * side of a request, evhttp) and exchange.c (the way of a request from one side to the other).
 */
#ifndef ORCH_GATEWAY_GATEWAY_IMPL_H
#define ORCH_GATEWAY_GATEWAY_IMPL_H

#include "supervisor/gateway/origin.h"
#include "supervisor/gateway/conns.h"
#include "supervisor/gateway/gateway.h"
#include "supervisor/gateway/upstream.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdbool.h>
#include <sys/queue.h>

#define GATEWAY_BODY_MAX (33 << 20) /* of a request: the API's own limit is 32 MB */
#define GATEWAY_HEAD_MAX (64 << 10)
#define GATEWAY_ERROR_MAX (2 << 20) /* of an answer that is an error: held until it is clear who gets it */
#define PROBES_MS 5000
#define GATEWAY_MODELS_MAX 4 /* "model" members of one body */

struct gateway {
	struct event_base *base;
	struct gateway_hooks hooks;
	struct evhttp *http;
	struct conns *conns;
	int64_t silence_ms;
	struct upstreams *upstreams;
	struct keys *keys;
	struct tokens *tokens;
	struct prices prices;
	struct budgets *budgets;
	struct configs configs;
	struct origin *origins; /* one per configuration */
	struct event *kick;     /* a key has room again: those that wait ask in their order */
	unsigned busy;
	TAILQ_HEAD(, exchange) exchanges;
	TAILQ_HEAD(, probe) probes;
	struct event *probe_timer;
};

/* Where the model's name stands in a request's body. */
struct model_place {
	uint64_t offset;
	size_t size;
};

struct exchange {
	TAILQ_ENTRY(exchange) entry;
	struct gateway *g;
	struct attempt_seat *seat;
	/* the client */
	struct evhttp_request *req;
	struct evhttp_connection *conn;
	struct evbuffer_cb_entry *watch;
	struct event *drained; /* the client has read: the answer goes on */
	bool paused, chunked;
	bool stream;                     /* it asks for one */
	const char *method, *uri, *body; /* uri and body live as long as req; body NULL: none */
	char path[128];                  /* of uri, for the record */
	size_t body_size;
	/* the choice of a key */
	struct keys_try t;
	struct event *again;     /* ask keys once more */
	bool waiting, told, out; /* out: sent, or done with: the budget lets it go on */
	struct amount reserved;
	char model[128];
	struct model_place places[GATEWAY_MODELS_MAX];
	unsigned place_count;
	/* upstream */
	struct upstream *up;
	char *sent_body; /* with another model in it; NULL: body as it is */
	int status;
	enum usage_form form;  /* of the answer */
	unsigned framings;     /* headers that say where its body ends */
	bool headed, passing;  /* its headers are there; it is on its way to the client */
	struct evbuffer *held; /* an error's body */
	struct limits limits;
	struct usage_reader usage;
	/* for the record */
	int64_t start_ms, waited_ms, since_ms; /* since: waits for a key since then; 0: does not */
	unsigned sent;
	uint64_t bytes_out;
	char key_name[CONFIGS_NAME_MAX + 1], why[320];
};

/* until_ms: as pick's; -1: none. */
void gateway_note(struct gateway *g, const struct exchange *ex, const char *kind, int64_t until_ms,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
const struct origin *gateway_origin(const struct gateway *g, uint32_t key);
void gateway_kick(struct gateway *g);

/* probes: of the endpoints. Planned anew whenever a key's state may have changed. */

void probes_start_all(struct gateway *g);
void probes_plan(struct gateway *g);
void probes_on_timer(evutil_socket_t fd, short what, void *arg);
void probes_cancel(struct gateway *g);

/* front: the client's side. */

int front_start(struct gateway *g);
/* The answer's head; then its body; then its end, which is a clean one or a cut. The last two free the
 * client's side. */
void front_head(struct exchange *ex, int status);
/* False: the client must read first; exchange_drained is called when it has. Nothing was taken. */
bool front_body(struct exchange *ex, const char *data, size_t size);
void front_end(struct exchange *ex);
void front_cut(struct exchange *ex);
/* The whole answer at once, of our own making or of held. status is kept for the record. */
void front_error(struct exchange *ex, int status, const char *type, int64_t retry_after_ms, bool for_good,
    const char *message);
void front_give(struct exchange *ex, int status, struct evbuffer *body);
/* Header of the answer to come; those of the connection itself are dropped. */
void front_add_header(struct exchange *ex, const char *name, const char *value);
void front_forget_headers(struct exchange *ex);

/* outgoing: what goes to the endpoint. */

struct curl_slist *outgoing_headers(const struct exchange *ex, const struct origin *to);
/* The body with the configuration's model in place of its own; *size is set. NULL: it goes as it is. */
char *outgoing_body(const struct exchange *ex, const char *model, size_t *size);

/* exchange: begins with a request that was let in; ends by itself. */

void exchange_start(struct exchange *ex);
void exchange_drained(struct exchange *ex);
/* The client is gone, or its attempt has ended: whatever is under way ends now. Frees ex. */
void exchange_abort(struct exchange *ex, const char *why);
/* Ask keys again, if it waits. */
void exchange_step(struct exchange *ex);

#endif
