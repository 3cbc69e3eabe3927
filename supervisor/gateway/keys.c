/* keys: the table of keys, what marks each, and how it is shown. Decisions: keys_pick.c and keys_report.c. */
#include "supervisor/gateway/keys.h"

#include "common/alloc.h"
#include "supervisor/gateway/keys_impl.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOW_EVERY_MS 1000

static const char *const state_names[] = {"ok", "benched", "refused", "unreachable"};

const char *
keys_state_name(enum keys_state state)
{
	return state_names[state];
}

int
keys_state_parse(const char *name)
{
	for (size_t i = 0; i < sizeof(state_names) / sizeof(state_names[0]); i++)
		if (strcmp(state_names[i], name) == 0)
			return (int)i;
	return -1;
}

struct keys *
keys_new(void)
{
	return xcalloc(1, sizeof(struct keys));
}

static void
clear_key(struct key *key)
{
	free(key->name);
	free(key->model);
	free(key->identity);
}

void
keys_free(struct keys *k)
{
	if (k == NULL)
		return;
	for (size_t i = 0; i < k->count; i++)
		clear_key(&k->v[i]);
	free(k->v);
	free(k);
}

static struct key *
find_identity(struct keys *k, const char *identity)
{
	for (size_t i = 0; i < k->count; i++)
		if (k->v[i].identity != NULL && strcmp(k->v[i].identity, identity) == 0)
			return &k->v[i];
	return NULL;
}

void
keys_load(struct keys *k, const struct keys_spec *specs, size_t count)
{
	struct key *v = xcalloc(count, sizeof(*v));

	for (size_t i = 0; i < count; i++) {
		struct key *old = find_identity(k, specs[i].identity), *key = &v[i];

		if (old != NULL) {
			*key = *old;
			memset(old, 0, sizeof(*old)); /* taken over: what is left there is freed below */
			free(key->name);
			free(key->model);
		} else {
			key->id = ++k->last_id;
			key->limit = key->target = KEYS_LIMIT_FIRST;
			key->slowed_ms = INT64_MIN / 2;
			key->identity = xstrdup(specs[i].identity);
		}
		key->name = xstrdup(specs[i].name);
		key->model = xstrdup(specs[i].model);
		if (key->access == KEYS_REFUSED)
			key->access = KEYS_OK;
	}
	for (size_t i = 0; i < k->count; i++)
		clear_key(&k->v[i]);
	free(k->v);
	k->v = v;
	k->count = count;
}

size_t
keys_count(const struct keys *k)
{
	return k->count;
}

uint32_t
keys_id(const struct keys *k, size_t index)
{
	return k->v[index].id;
}

struct key *
keys_find(const struct keys *k, uint32_t id)
{
	for (size_t i = 0; i < k->count; i++)
		if (id != 0 && k->v[i].id == id)
			return &k->v[i];
	return NULL;
}

/* The first word of the name that is one: neither a maker's nor a number. */
void
keys_family(char family[KEYS_FAMILY_MAX], const char *model)
{
	size_t n;

	strlcpy(family, model[0] == '\0' ? "-" : model, KEYS_FAMILY_MAX);
	if (strncmp(model, "claude-", 7) != 0)
		return;
	for (const char *p = model + 7; *p != '\0'; p += n + (p[n] == '-')) {
		n = strcspn(p, "-");
		if (n > 0 && n < KEYS_FAMILY_MAX && isalpha((unsigned char)*p)) {
			memcpy(family, p, n);
			family[n] = '\0';
			return;
		}
	}
}

void
key_family(const struct key *key, const char *model, char family[KEYS_FAMILY_MAX])
{
	keys_family(family, key->model != NULL ? key->model : model);
}

struct block
key_block(const struct key *key, const char *family, int64_t now_ms)
{
	struct block b = {0};

	if (key->access == KEYS_REFUSED)
		return (struct block){INT64_MAX, false, KEYS_LACK_ACCESS, key->why};
	if (key->access == KEYS_UNREACHABLE && key->trial)
		b = (struct block){now_ms + KEYS_PROBE_MIN_MS, false, KEYS_LACK_REACH, key->why};
	else if (key->access == KEYS_UNREACHABLE && key->probe_ms > now_ms)
		b = (struct block){key->probe_ms, false, KEYS_LACK_REACH, key->why};
	for (size_t i = 0; i < KEYS_MARKS_MAX; i++) {
		const struct mark *m = &key->marks[i];

		if (m->until_ms > now_ms && m->until_ms > b.until_ms &&
		    (strcmp(m->family, "*") == 0 || strcmp(m->family, family) == 0))
			b = (struct block){m->until_ms, m->burst, KEYS_LACK_QUOTA, m->why};
	}
	return b;
}

/* The family's own mark, else an unused one, else the one that ends first. */
static struct mark *
get_mark(struct key *key, const char *family)
{
	struct mark *best = &key->marks[0];

	for (size_t i = 0; i < KEYS_MARKS_MAX; i++)
		if (strcmp(key->marks[i].family, family) == 0)
			return &key->marks[i];
	for (size_t i = 0; i < KEYS_MARKS_MAX; i++)
		if (key->marks[i].until_ms < best->until_ms)
			best = &key->marks[i];
	return best;
}

void
key_bench(
    struct key *key, const char *family, bool burst, int64_t wait_ms, struct keys_now now, const char *why)
{
	struct mark *m = get_mark(key, family);
	bool same = strcmp(m->family, family) == 0 && m->until_ms > now.ms;

	if (same && m->until_ms > now.ms + wait_ms && burst)
		return; /* answers to requests that were under way know less */
	if (!same)
		m->since_wall_ms = now.wall_ms;
	strlcpy(m->family, family, sizeof(m->family));
	strlcpy(m->why, why, sizeof(m->why));
	m->until_ms = now.ms + wait_ms;
	m->burst = burst;
}

void
key_refuse(struct key *key, struct keys_now now, const char *why)
{
	if (key->access != KEYS_REFUSED)
		key->since_wall_ms = now.wall_ms;
	key->access = KEYS_REFUSED;
	strlcpy(key->why, why, sizeof(key->why));
}

void
key_unreachable(struct key *key, struct keys_now now, const char *why)
{
	if (key->access == KEYS_REFUSED)
		return;
	if (key->access == KEYS_UNREACHABLE && key->probe_ms > now.ms)
		return; /* requests that failed together count once */
	if (key->access == KEYS_OK) {
		key->since_wall_ms = now.wall_ms;
		key->delay_ms = KEYS_PROBE_MIN_MS;
	} else if (key->delay_ms < KEYS_PROBE_MAX_MS) {
		key->delay_ms = key->delay_ms * 2 < KEYS_PROBE_MAX_MS ? key->delay_ms * 2 : KEYS_PROBE_MAX_MS;
	}
	key->access = KEYS_UNREACHABLE;
	key->probe_ms = now.ms + key->delay_ms;
	strlcpy(key->why, why, sizeof(key->why));
}

/* Additive increase, multiplicative decrease, as TCP does it: what is known to have worked is reached fast.
 */

void
key_slow(struct key *key, int64_t now_ms)
{
	if (now_ms - key->slowed_ms < SLOW_EVERY_MS)
		return;
	key->slowed_ms = now_ms;
	key->target = key->in_flight / 2 > 1 ? key->in_flight / 2 : 1;
	if (key->limit > key->target)
		key->limit = key->target;
}

void
key_faster(struct key *key)
{
	if (key->limit < key->target)
		key->limit += 1;
	else if (key->in_flight + 1 >= key->limit / 2)
		key->limit += 1 / key->limit;
	if (key->limit > KEYS_LIMIT_MAX)
		key->limit = KEYS_LIMIT_MAX;
	if (key->target < key->limit)
		key->target = key->limit;
}

void
key_ramp(struct key *key)
{
	double few = key->in_flight + 1 > KEYS_RAMP ? key->in_flight + 1 : KEYS_RAMP;

	if (key->limit > few)
		key->limit = few;
}

void
keys_heard(struct keys *k, uint32_t id, const char *organisation)
{
	struct key *key = keys_find(k, id);

	if (key == NULL)
		return;
	key->trial = false;
	if (key->access == KEYS_UNREACHABLE && !key->blocked)
		key->access = KEYS_OK;
	if (organisation[0] != '\0')
		strlcpy(key->organisation, organisation, sizeof(key->organisation));
}

void
keys_leave(struct keys *k, struct keys_seat *seat)
{
	struct key *key = keys_find(k, seat->key);

	if (key != NULL && key->seats > 0)
		key->seats--;
	seat->key = 0;
}

int64_t
keys_probe_due(const struct keys *k, uint32_t id)
{
	const struct key *key = keys_find(k, id);

	if (key == NULL || key->access != KEYS_UNREACHABLE || key->trial || key->blocked)
		return -1;
	return key->probe_ms;
}

void
keys_probing(struct keys *k, uint32_t id)
{
	struct key *key = keys_find(k, id);

	if (key != NULL && key->access == KEYS_UNREACHABLE)
		key->trial = true;
}

void
keys_probed(struct keys *k, uint32_t id, bool reachable, const char *why, struct keys_now now, char *note,
    size_t size)
{
	struct key *key = keys_find(k, id);
	enum keys_state before = key == NULL ? KEYS_OK : key->access;
	char text[KEYS_WHY_MAX];

	note[0] = '\0';
	if (key == NULL)
		return;
	key->trial = false;
	if (reachable) {
		keys_heard(k, id, "");
	} else {
		snprintf(text, sizeof(text), "not reachable (%s)", why);
		key_unreachable(key, now, text);
	}
	if (before == KEYS_OK && key->access == KEYS_UNREACHABLE)
		snprintf(note, size, "key %s: %s: set aside, next look in %lld s", key->name, key->why,
		    (long long)(key->probe_ms - now.ms) / 1000);
	else if (before == KEYS_UNREACHABLE && key->access == KEYS_OK)
		snprintf(note, size, "key %s: its endpoint answers again", key->name);
}

void
keys_restore(struct keys *k, uint32_t id, enum keys_state state, const char *family, const char *why,
    int64_t until_wall_ms, struct keys_now now)
{
	struct key *key = keys_find(k, id);
	int64_t wait = until_wall_ms - now.wall_ms;

	if (key == NULL)
		return;
	if (wait > LIMITS_FAR_MS)
		wait = LIMITS_FAR_MS;
	switch (state) {
	case KEYS_OK:
		break;
	case KEYS_BENCHED:
		if (wait > 0)
			key_bench(key, family, false, wait, now, why);
		break;
	case KEYS_REFUSED:
		key_refuse(key, now, why);
		break;
	case KEYS_UNREACHABLE:
		if (wait > 0)
			key_unreachable(key, now, why);
		break;
	}
}

static bool
is_shared(const struct keys *k, const struct key *key)
{
	for (size_t i = 0; i < k->count; i++)
		if (&k->v[i] != key && key->organisation[0] != '\0' &&
		    strcmp(k->v[i].organisation, key->organisation) == 0)
			return true;
	return false;
}

void
keys_each(
    const struct keys *k, struct keys_now now, void (*fn)(void *arg, const struct keys_view *v), void *arg)
{
	for (size_t i = 0; i < k->count; i++) {
		const struct key *key = &k->v[i];
		struct keys_view v = {.key = key->id,
		    .name = key->name,
		    .organisation = key->organisation,
		    .family = "",
		    .why = key->access == KEYS_OK ? "" : key->why,
		    .state = key->access,
		    .until_ms = key->access == KEYS_UNREACHABLE ? key->probe_ms : -1,
		    .since_wall_ms = key->access == KEYS_OK ? 0 : key->since_wall_ms,
		    .in_flight = key->in_flight,
		    .limit = (unsigned)key->limit,
		    .requests = key->requests,
		    .shared = is_shared(k, key)};
		bool marked = false;

		for (size_t n = 0; key->access == KEYS_OK && n < KEYS_MARKS_MAX; n++) {
			const struct mark *m = &key->marks[n];

			if (m->until_ms <= now.ms)
				continue;
			v.state = KEYS_BENCHED;
			v.family = m->family;
			v.why = m->why;
			v.until_ms = m->until_ms;
			v.since_wall_ms = m->since_wall_ms;
			fn(arg, &v);
			marked = true;
		}
		if (!marked)
			fn(arg, &v);
	}
}
