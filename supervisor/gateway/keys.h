/*
 * keys: which key serves a request, and what an answer says about the key that got it. Holds the state of
 * each configured key (its secrets are elsewhere), decides, and remembers why. Pure: the clocks come with
 * each call.
 *
 * The life of a request: keys_pick until it says KEYS_GO (or KEYS_ANSWER), then the request is sent with that
 * key, keys_heard when its headers are there, and keys_report once it has ended, which says whether to pick
 * again. A request hops to another key at most once. An attempt (seat) stays with its key until that key is
 * benched: a switch costs it the whole prompt cache.
 */
#ifndef ORCH_GATEWAY_KEYS_H
#define ORCH_GATEWAY_KEYS_H

#include "common/configs.h"
#include "supervisor/gateway/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYS_FAMILY_MAX 64
#define KEYS_MARKS_MAX 8   /* benched model families of one key; one more replaces the one that ends first */
#define KEYS_WAIT_MS 30000 /* a wait that is no longer is waited here; a longer one is answered */
#define KEYS_REACH_MS                                                                                        \
	10000 /* the same for an endpoint to be reachable again: a dead one is said in seconds */
#define KEYS_QUEUE_MS CONFIGS_QUEUE_MS /* how long a request may wait for its turn at a key */
#define KEYS_BARE_RETRY_MS 2000        /* a 429 that says nothing */
#define KEYS_BURST_MIN_MS 1000         /* a retry-after of nothing would be no wait at all */
#define KEYS_QUOTA_MS 60000            /* a spent quota that does not say until when */
#define KEYS_UNPAID_MS 600000          /* 402: someone has to pay first */
#define KEYS_PROBE_MIN_MS 5000         /* an unreachable endpoint is tried again after this, doubling */
#define KEYS_PROBE_MAX_MS 300000
#define KEYS_FAULTS_MAX 2   /* resets and stalls one after the other that make an endpoint unreachable */
#define KEYS_LIMIT_FIRST 32 /* requests in flight that a key may have: at first */
#define KEYS_LIMIT_MAX 256
#define KEYS_RAMP 4 /* and after attempts had to switch to it */

struct keys;

/* The two clocks: CLOCK_MONOTONIC for decisions, the wall clock to read resets and to say them. */
struct keys_now {
	int64_t ms, wall_ms;
};

struct keys_spec {
	const char *name;
	const char *model;    /* what every request's model becomes, or NULL */
	const char *identity; /* what makes it the same key with the same endpoint: it keeps its state */
};

enum keys_state { KEYS_OK, KEYS_BENCHED, KEYS_REFUSED, KEYS_UNREACHABLE };

/* An attempt's place; zeroed at its start. */
struct keys_seat {
	uint32_t key; /* 0: none yet */
};

/* A request's way; zeroed at its start. */
struct keys_try {
	uint32_t key;                            /* that has it now, 0: none */
	uint32_t avoid;                          /* that failed it without being benched */
	unsigned hops, again;                    /* again: retries at the same key */
	int64_t not_before_ms;                   /* at the key that it stays with; 0: no such wait */
	int64_t first_ms, blocked_ms, waited_ms; /* blocked: waits since then; 0: does not */
	bool asked, trial;
};

enum keys_verdict {
	KEYS_GO,     /* send it with pick->key, and report its end */
	KEYS_WAIT,   /* pick again at until_ms, or when another request has ended */
	KEYS_ANSWER, /* nothing can serve it: tell the client why */
};

enum keys_lack { KEYS_LACK_NONE, KEYS_LACK_QUOTA, KEYS_LACK_ACCESS, KEYS_LACK_REACH, KEYS_LACK_ROOM };

struct keys_pick {
	uint32_t key;
	uint32_t from;       /* the key that the attempt had to leave, or 0 */
	int64_t until_ms;    /* WAIT: at the latest; ANSWER: when it is worth asking again; -1: not known */
	enum keys_lack lack; /* ANSWER: what lacks */
	char why[256];       /* WAIT and ANSWER: a sentence */
};

/* How a request ended. */
enum keys_end {
	KEYS_END_HTTP,    /* with an answer of this status, passed on whole or not */
	KEYS_END_CONNECT, /* no connection: name, route, port, TLS */
	KEYS_END_BROKEN,  /* the connection ended before the answer did */
	KEYS_END_STALLED, /* silence for longer than allowed */
	KEYS_END_OURS,    /* we ended it: the client left */
};

struct keys_outcome {
	enum keys_end end;
	int status;           /* HTTP; 0: none */
	bool begun;           /* bytes of the answer's body have gone to the client: no retry */
	bool api_error;       /* the body is an error as the API writes it */
	struct limits limits; /* of the answer */
	const char *text;     /* of a connection's fault, for people; may be NULL */
};

struct keys_report {
	bool retry; /* pick again, from again_ms on; else the answer goes to the client */
	int64_t again_ms;
	int64_t spent_until_ms; /* no other try, for the key's quota is spent until then; 0: not for that */
	char note[320];         /* what changed about the key, a sentence; "" when nothing did */
};

/* What is known of a key, for people and for the store. Strings are borrowed until the next call. */
struct keys_view {
	uint32_t key;
	const char *name, *organisation; /* "" when not known */
	const char *family;              /* BENCHED: of these models, "*" for all; else "" */
	const char *why;                 /* the evidence; "" when it is OK */
	enum keys_state state;
	int64_t until_ms, since_wall_ms; /* until: -1 for good */
	unsigned in_flight, limit;
	uint64_t requests;
	bool shared; /* another key is of the same organisation: their limits are one */
};

struct keys *keys_new(void);
void keys_free(struct keys *k);

/* Sets the keys, in the order of their configurations. One whose identity was there before stays as it is,
 * but that it is no longer refused. */
void keys_load(struct keys *k, const struct keys_spec *specs, size_t count);
size_t keys_count(const struct keys *k);
/* The id of the index-th configuration; ids are never reused. */
uint32_t keys_id(const struct keys *k, size_t index);

/* model: of the request, "" when it names none. */
enum keys_verdict keys_pick(struct keys *k, struct keys_seat *seat, struct keys_try *t, const char *model,
    struct keys_now now, struct keys_pick *pick);
/* The endpoint answers: its headers are there. organisation: "" when not said. */
void keys_heard(struct keys *k, uint32_t key, const char *organisation);
void keys_report(struct keys *k, struct keys_try *t, const char *model, const struct keys_outcome *o,
    struct keys_now now, struct keys_report *r);
/* The attempt has ended. */
void keys_leave(struct keys *k, struct keys_seat *seat);

/* When a key that is not reachable is to be probed (ms); -1: it need not be, or something finds out already.
 */
int64_t keys_probe_due(const struct keys *k, uint32_t key);
/* A probe begins: requests wait for it. And what it found out; note: what changed, or "". */
void keys_probing(struct keys *k, uint32_t key);
void keys_probed(struct keys *k, uint32_t key, bool reachable, const char *why, struct keys_now now,
    char *note, size_t size);
/* What an earlier gateway knew. */
void keys_restore(struct keys *k, uint32_t key, enum keys_state state, const char *family, const char *why,
    int64_t until_wall_ms, struct keys_now now);

/* The state of each key: one view, or several when several families are benched. */
void keys_each(
    const struct keys *k, struct keys_now now, void (*fn)(void *arg, const struct keys_view *v), void *arg);
const char *keys_state_name(enum keys_state state);
/* -1 for an unknown name. */
int keys_state_parse(const char *name);

/* "claude-3-5-sonnet-20241022" and "claude-sonnet-5-5" -> "sonnet": limits are a family's. Others stay whole.
 */
void keys_family(char family[KEYS_FAMILY_MAX], const char *model);

#endif
