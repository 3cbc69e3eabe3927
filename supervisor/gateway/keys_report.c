/*
 * keys_report: what the end of a request says about its key, and whether the request goes on (see keys.h).
 * Only status and headers count; no text is ever searched.
 */
#include "supervisor/gateway/keys.h"

#include "common/clock.h"
#include "supervisor/gateway/keys_impl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* What it was. */
enum kind {
	KIND_FINE,    /* an answer, if only that the client is wrong */
	KIND_QUOTA,   /* 429: spent until a reset that is far */
	KIND_BURST,   /* 429: too many at a time, soon over */
	KIND_BARE,    /* 429: without a word */
	KIND_UNPAID,  /* 402 */
	KIND_REFUSED, /* 401, 403 of the API */
	KIND_BLOCKED, /* 403 of something else: a firewall, a proxy */
	KIND_AILING,  /* 529, 5xx, a redirection: not the key's fault */
	KIND_LOST,    /* no connection */
	KIND_FAULT,   /* a connection that broke or fell silent */
	KIND_OURS     /* says nothing */
};

static enum kind
judge_429(const struct limits *l, int64_t wait_ms)
{
	if (wait_ms > KEYS_WAIT_MS || (l->rejected && wait_ms < 0))
		return KIND_QUOTA;
	if (wait_ms >= 0)
		return KIND_BURST;
	return limits_spent(l) ? KIND_QUOTA : KIND_BARE;
}

static enum kind
judge(const struct keys_outcome *o, int64_t wait_ms)
{
	switch (o->end) {
	case KEYS_END_OURS:
		return KIND_OURS;
	case KEYS_END_CONNECT:
		return KIND_LOST;
	case KEYS_END_BROKEN:
	case KEYS_END_STALLED:
		return KIND_FAULT;
	case KEYS_END_HTTP:
		break;
	}
	if (o->status == 429)
		return judge_429(&o->limits, wait_ms);
	if (o->status == 402)
		return KIND_UNPAID;
	if (o->status == 401)
		return KIND_REFUSED;
	if (o->status == 403)
		return o->api_error ? KIND_REFUSED : KIND_BLOCKED;
	return o->status >= 500 || (o->status >= 300 && o->status < 400) ? KIND_AILING : KIND_FINE;
}

/* "429, request req_011" */
static void
say_evidence(char *buf, size_t size, const struct keys_outcome *o)
{
	const char *id = o->limits.request_id;

	if (o->end == KEYS_END_HTTP)
		snprintf(buf, size, "%d%s%s", o->status, id[0] == '\0' ? "" : ", request ", id);
	else if (o->text != NULL)
		snprintf(buf, size, "%s", o->text);
	else
		snprintf(buf, size, "%s",
		    o->end == KEYS_END_STALLED ? "it fell silent" : "the connection ended too early");
}

static void
bench(struct key *key, const struct keys_outcome *o, const char *family, enum kind kind, int64_t wait_ms,
    struct keys_now now)
{
	const char *whose = o->limits.rejected || kind == KIND_UNPAID ? "*" : family;
	char why[KEYS_WHY_MAX], until[32], evidence[100];

	if (wait_ms < 0)
		wait_ms = kind == KIND_UNPAID ? KEYS_UNPAID_MS : KEYS_QUOTA_MS;
	clock_iso(until, sizeof(until), now.wall_ms + wait_ms);
	say_evidence(evidence, sizeof(evidence), o);
	if (kind == KIND_UNPAID)
		snprintf(why, sizeof(why), "its account cannot pay, next try %s (%s)", until, evidence);
	else if (kind == KIND_BURST)
		snprintf(
		    why, sizeof(why), "too many requests at a time, waits until %s (%s)", until, evidence);
	else
		snprintf(why, sizeof(why), "quota of %s spent until %s (%s)",
		    strcmp(whose, "*") == 0 ? "the account" : whose, until, evidence);
	key_bench(key, whose, kind == KIND_BURST, wait_ms, now, why);
}

/* Marks the key. Returns true when that is news. */
static bool
mark(struct key *key, const struct keys_outcome *o, const char *family, enum kind kind, int64_t wait_ms,
    struct keys_now now)
{
	struct block before = key_block(key, family, now.ms), after;
	char why[KEYS_WHY_MAX], evidence[120];

	say_evidence(evidence, sizeof(evidence), o);
	if (key->blocked && o->end == KEYS_END_HTTP && kind != KIND_BLOCKED) {
		key->blocked = false;
		key->access = key->access == KEYS_UNREACHABLE ? KEYS_OK : key->access;
	}
	switch (kind) {
	case KIND_FINE:
		key->faults = 0;
		if (o->status < 300)
			key_faster(key);
		break;
	case KIND_BURST:
		key_slow(key, now.ms);
		bench(key, o, family, kind, wait_ms, now);
		break;
	case KIND_QUOTA:
	case KIND_UNPAID:
		bench(key, o, family, kind, wait_ms, now);
		break;
	case KIND_REFUSED:
		snprintf(
		    why, sizeof(why), "refused by the API until the keys are loaded again (%s)", evidence);
		key_refuse(key, now, why);
		break;
	case KIND_BLOCKED:
		snprintf(why, sizeof(why),
		    "something before the API refuses it, a firewall or proxy perhaps (%s)", evidence);
		key_unreachable(key, now, why);
		key->blocked = key->access == KEYS_UNREACHABLE;
		break;
	case KIND_LOST:
		snprintf(why, sizeof(why), "not reachable (%s)", evidence);
		key_unreachable(key, now, why);
		break;
	case KIND_FAULT:
		snprintf(why, sizeof(why), "not reachable (%s)", evidence);
		if (++key->faults >= KEYS_FAULTS_MAX || key->access == KEYS_UNREACHABLE)
			key_unreachable(key, now, why);
		break;
	case KIND_BARE:
	case KIND_AILING:
		if (kind == KIND_BARE || o->status == 529)
			key_slow(key, now.ms);
		break;
	case KIND_OURS:
		break;
	}
	after = key_block(key, family, now.ms);
	return before.until_ms == 0 && after.until_ms != 0;
}

/* Is there another key that can take this request before its client would notice? */
static bool
has_other(
    const struct keys *k, const struct keys_try *t, const struct key * not, const char *model, int64_t now_ms)
{
	for (size_t i = 0; i < k->count; i++) {
		char family[KEYS_FAMILY_MAX];
		struct block b;

		if (&k->v[i] == not || k->v[i].id == t->avoid)
			continue;
		key_family(&k->v[i], model, family);
		b = key_block(&k->v[i], family, now_ms);
		if (b.until_ms == 0 ||
		    (b.until_ms != INT64_MAX && t->waited_ms + (b.until_ms - now_ms) <= KEYS_WAIT_MS))
			return true;
	}
	return false;
}

static void
hop(struct keys_try *t, const struct key *from, struct keys_now now, struct keys_report *r)
{
	t->hops++;
	t->avoid = from->id;
	t->key = 0;
	r->retry = true;
	r->again_ms = now.ms;
}

static void
decide(const struct keys *k, struct keys_try *t, const struct key *key, const char *model, enum kind kind,
    int64_t wait_ms, struct keys_now now, struct keys_report *r)
{
	if (kind == KIND_FINE || kind == KIND_OURS)
		return;
	if (kind == KIND_BURST && t->waited_ms + wait_ms <= KEYS_WAIT_MS) {
		r->retry = true;
		r->again_ms = now.ms + wait_ms;
	} else if (t->hops == 0 && has_other(k, t, key, model, now.ms)) {
		hop(t, key, now, r);
	} else if (kind == KIND_BARE && t->again == 0) {
		t->again++;
		t->not_before_ms = now.ms + KEYS_BARE_RETRY_MS;
		r->retry = true;
		r->again_ms = t->not_before_ms;
	}
}

void
keys_report(struct keys *k, struct keys_try *t, const char *model, const struct keys_outcome *o,
    struct keys_now now, struct keys_report *r)
{
	struct key *key = keys_find(k, t->key);
	int64_t wait_ms = limits_wait_ms(&o->limits, now.wall_ms);
	enum kind kind = judge(o, wait_ms);
	char family[KEYS_FAMILY_MAX];

	if (kind == KIND_BURST && wait_ms < KEYS_BURST_MIN_MS)
		wait_ms = KEYS_BURST_MIN_MS;
	memset(r, 0, sizeof(*r));
	if (key == NULL) { /* loaded away meanwhile */
		t->key = 0;
		return;
	}
	key_family(key, model, family);
	if (t->trial)
		key->trial = t->trial = false;
	if (mark(key, o, family, kind, wait_ms, now)) {
		struct block b = key_block(key, family, now.ms);

		snprintf(r->note, sizeof(r->note), "key %s: %s", key->name, b.why);
	}
	assert(key->in_flight > 0);
	key->in_flight--;
	if (!o->begun)
		decide(k, t, key, model, kind, wait_ms, now, r);
	if (!r->retry && kind == KIND_QUOTA)
		r->spent_until_ms = key_block(key, family, now.ms).until_ms;
}
