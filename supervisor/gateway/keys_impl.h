/* keys_impl: what the parts of keys share: keys.c (the table), keys_pick.c, keys_report.c. */
#ifndef ORCH_GATEWAY_KEYS_IMPL_H
#define ORCH_GATEWAY_KEYS_IMPL_H

#include "supervisor/gateway/keys.h"

#define KEYS_WHY_MAX 200

/* A model family that must rest until a time. */
struct mark {
	char family[KEYS_FAMILY_MAX]; /* "" = unused; "*" = all */
	int64_t until_ms, since_wall_ms;
	bool burst; /* a short one: the attempt waits instead of moving */
	char why[KEYS_WHY_MAX];
};

struct key {
	uint32_t id;
	char *name, *model, *identity;
	char organisation[64];
	struct mark marks[KEYS_MARKS_MAX];
	enum keys_state access; /* of the whole key: OK, REFUSED or UNREACHABLE */
	int64_t probe_ms, delay_ms, since_wall_ms;
	char why[KEYS_WHY_MAX];
	unsigned faults;
	bool trial;   /* one request, or a probe, finds out whether it can be reached again */
	bool blocked; /* not reachable for requests, whatever probes say */
	unsigned in_flight, seats;
	double limit, target; /* in flight: now, and up to which it grows by one with each success */
	int64_t slowed_ms;
	uint64_t requests;
};

struct keys {
	struct key *v;
	size_t count;
	uint32_t last_id;
};

/* Why a key cannot serve a family now. */
struct block {
	int64_t until_ms; /* 0: it can; INT64_MAX: not before something is done about it */
	bool burst;
	enum keys_lack lack;
	const char *why;
};

struct key *keys_find(const struct keys *k, uint32_t id);
/* The family that a request for model is counted in, with this key. */
void key_family(const struct key *key, const char *model, char family[KEYS_FAMILY_MAX]);
struct block key_block(const struct key *key, const char *family, int64_t now_ms);
void key_bench(
    struct key *key, const char *family, bool burst, int64_t wait_ms, struct keys_now now, const char *why);
void key_refuse(struct key *key, struct keys_now now, const char *why);
/* The next try is farther off each time. */
void key_unreachable(struct key *key, struct keys_now now, const char *why);
/* Fewer requests at a time, after a burst: once a second at most. */
void key_slow(struct key *key, int64_t now_ms);
void key_faster(struct key *key);
/* Attempts come over from another key: begin with few. */
void key_ramp(struct key *key);

#endif
