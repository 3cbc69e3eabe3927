/* keys_pick: a key for a request, or how long to wait for one, or why there is none (see keys.h). */
#include "supervisor/gateway/keys.h"

#include "supervisor/gateway/keys_impl.h"

#include <stdio.h>
#include <string.h>

/* What the search among the keys found. */
struct found {
	struct key *free;    /* the best that can take it now */
	bool full;           /* one could, but has its hands full */
	struct key *soonest; /* of those that cannot */
	struct block block;  /* why */
};

static bool
has_room(const struct key *key)
{
	return key->in_flight < (unsigned)key->limit;
}

/* Has the request not waited long enough that this wait may be added? */
static bool
fits(const struct keys_try *t, const struct block *b, int64_t now_ms)
{
	int64_t most = b->lack == KEYS_LACK_REACH ? KEYS_REACH_MS : KEYS_WAIT_MS;

	return b->until_ms != INT64_MAX && t->waited_ms + (b->until_ms - now_ms) <= most;
}

static bool
is_better(const struct key *a, const struct key *b, const char *organisation)
{
	bool a_same = organisation[0] != '\0' && strcmp(a->organisation, organisation) == 0;
	bool b_same = organisation[0] != '\0' && strcmp(b->organisation, organisation) == 0;

	if (a_same != b_same)
		return b_same; /* what one organisation has spent, its other keys have spent too */
	return a->in_flight + a->seats < b->in_flight + b->seats;
}

static struct found
search(
    const struct keys *k, const struct keys_try *t, const struct key *left, const char *model, int64_t now_ms)
{
	const char *organisation = left == NULL ? "" : left->organisation;
	struct found f = {0};

	for (size_t i = 0; i < k->count; i++) {
		struct key *key = &k->v[i];
		char family[KEYS_FAMILY_MAX];
		struct block b;

		if (key->id == t->avoid)
			continue;
		key_family(key, model, family);
		b = key_block(key, family, now_ms);
		if (b.until_ms != 0) {
			if (f.soonest == NULL || b.until_ms < f.block.until_ms) {
				f.soonest = key;
				f.block = b;
			}
		} else if (!has_room(key)) {
			f.full = true;
		} else if (f.free == NULL || is_better(key, f.free, organisation)) {
			f.free = key;
		}
	}
	return f;
}

static enum keys_verdict
go(struct key *key, struct keys_try *t, struct keys_pick *pick)
{
	key->in_flight++;
	key->requests++;
	if (key->access == KEYS_UNREACHABLE)
		key->trial = t->trial = true;
	t->key = key->id;
	t->not_before_ms = 0;
	pick->key = key->id;
	return KEYS_GO;
}

static enum keys_verdict
wait_until(struct keys_pick *pick, int64_t until_ms, const char *name, const char *why)
{
	pick->until_ms = until_ms;
	snprintf(pick->why, sizeof(pick->why), "key %s: %s", name, why);
	return KEYS_WAIT;
}

static enum keys_verdict
wait_for_room(const struct keys_try *t, int64_t now_ms, struct keys_pick *pick)
{
	pick->lack = KEYS_LACK_ROOM;
	if (now_ms - t->first_ms < KEYS_QUEUE_MS) {
		pick->until_ms = t->first_ms + KEYS_QUEUE_MS;
		snprintf(pick->why, sizeof(pick->why), "every usable key has as many requests as it takes");
		return KEYS_WAIT;
	}
	pick->until_ms = now_ms + KEYS_PROBE_MIN_MS;
	snprintf(pick->why, sizeof(pick->why),
	    "no key had room for this request for %d s: too many agents share them", KEYS_QUEUE_MS / 1000);
	return KEYS_ANSWER;
}

static enum keys_verdict
nothing(const struct found *f, const struct keys_try *t, int64_t now_ms, struct keys_pick *pick)
{
	if (f->soonest == NULL) {
		pick->lack = KEYS_LACK_ACCESS;
		snprintf(pick->why, sizeof(pick->why), "no key is configured");
		return KEYS_ANSWER;
	}
	if (fits(t, &f->block, now_ms))
		return wait_until(pick, f->block.until_ms, f->soonest->name, f->block.why);
	pick->lack = f->block.lack;
	pick->until_ms = f->block.until_ms == INT64_MAX ? -1 : f->block.until_ms;
	snprintf(pick->why, sizeof(pick->why), "key %s: %s", f->soonest->name, f->block.why);
	return KEYS_ANSWER;
}

/* The attempt moves with its request, unless its own key only failed this one. */
static void
take_seat(struct keys *k, struct keys_seat *seat, struct key *key, const char *model, int64_t now_ms,
    struct keys_pick *pick)
{
	struct key *old = keys_find(k, seat->key);
	char family[KEYS_FAMILY_MAX];

	if (old == key)
		return;
	if (old != NULL) {
		key_family(old, model, family);
		if (key_block(old, family, now_ms).until_ms == 0)
			return;
		pick->from = old->id;
		key_ramp(key);
	}
	keys_leave(k, seat);
	seat->key = key->id;
	key->seats++;
}

/* What the request waited for is over, or is counted on: a wait has one budget, whatever it was for. */
static void
count_wait(struct keys_try *t, int64_t now_ms)
{
	if (t->blocked_ms != 0)
		t->waited_ms += now_ms - t->blocked_ms;
	t->blocked_ms = 0;
}

static enum keys_verdict
pick_key(struct keys *k, struct keys_seat *seat, struct keys_try *t, const char *model, int64_t now_ms,
    struct keys_pick *pick)
{
	struct key *own = keys_find(k, t->key != 0 ? t->key : seat->key);
	char family[KEYS_FAMILY_MAX];
	struct block b = {0};
	struct found f;

	if (own != NULL && own->id != t->avoid) {
		key_family(own, model, family);
		b = key_block(own, family, now_ms);
		if (b.until_ms == 0 && !has_room(own))
			return wait_for_room(t, now_ms, pick);
		if (b.until_ms == 0) {
			take_seat(k, seat, own, model, now_ms, pick);
			return go(own, t, pick);
		}
		if (b.burst && fits(t, &b, now_ms))
			return wait_until(pick, b.until_ms, own->name, b.why);
	}
	f = search(k, t, own, model, now_ms);
	if (f.free == NULL && !f.full && t->avoid != 0) {
		t->avoid = 0; /* what failed it is better than nothing */
		f = search(k, t, NULL, model, now_ms);
	}
	if (f.free != NULL) {
		take_seat(k, seat, f.free, model, now_ms, pick);
		return go(f.free, t, pick);
	}
	return f.full ? wait_for_room(t, now_ms, pick) : nothing(&f, t, now_ms, pick);
}

enum keys_verdict
keys_pick(struct keys *k, struct keys_seat *seat, struct keys_try *t, const char *model, struct keys_now now,
    struct keys_pick *pick)
{
	enum keys_verdict verdict;

	memset(pick, 0, sizeof(*pick));
	pick->until_ms = -1;
	if (!t->asked) {
		t->asked = true;
		t->first_ms = now.ms;
	}
	if (t->not_before_ms > now.ms) {
		pick->until_ms = t->not_before_ms;
		snprintf(pick->why, sizeof(pick->why), "a 429 said nothing: one more try");
		return KEYS_WAIT;
	}
	count_wait(t, now.ms);
	verdict = pick_key(k, seat, t, model, now.ms, pick);
	if (verdict == KEYS_WAIT && pick->lack != KEYS_LACK_ROOM)
		t->blocked_ms = now.ms;
	return verdict;
}
