/* admit: see admit.h. */
#include "supervisor/admit.h"

#include <inttypes.h>
#include <stdio.h>

/* What the bucket holds now, in ms; full at first. */
static uint64_t
tokens(const struct admit *a, const struct admit_rules *r, int64_t now)
{
	uint64_t full = r->start_burst * (uint64_t)r->start_interval_ms;
	uint64_t have = a->used ? a->tokens_ms + (uint64_t)(now - a->filled_ms) : full;

	return have < full ? have : full;
}

static uint64_t
recent(const struct admit *a, int64_t now)
{
	unsigned known = a->count < ADMIT_RECENT ? a->count : ADMIT_RECENT;
	uint64_t n = 0;

	for (unsigned i = 0; i < known; i++)
		n += now - a->starts[i] < ADMIT_SETTLE_MS;
	return n;
}

enum admit_why
admit_ask(const struct admit *a, const struct admit_rules *r, const struct admit_facts *f, int64_t now_ms,
    char *why, size_t size, int64_t *again_ms)
{
	uint64_t coming = recent(a, now_ms) * ADMIT_AGENT_MB, interval = (uint64_t)r->start_interval_ms, have;

	*again_ms = now_ms + ADMIT_LOOK_MS;
	if (r->max_agents > 0 && f->agents >= r->max_agents) {
		snprintf(why, size, "%" PRIu64 " agents at work, %" PRIu64 " allowed (max_agents)", f->agents,
		    r->max_agents);
		return ADMIT_AGENTS;
	}
	if (r->min_free_memory_mb > 0 && f->free_memory_mb < r->min_free_memory_mb + coming) {
		snprintf(why, size, "memory %" PRIu64 " MB available, %" PRIu64 " needed", f->free_memory_mb,
		    r->min_free_memory_mb + coming);
		return ADMIT_MEMORY;
	}
	if (r->total_memory_mb > 0 && f->used_mb != UINT64_MAX &&
	    f->used_mb + ADMIT_AGENT_MB > r->total_memory_mb && f->agents > 0) {
		snprintf(why, size,
		    "agents take %" PRIu64 " MB of memory, %" PRIu64 " allowed (total_memory_mb)", f->used_mb,
		    r->total_memory_mb);
		return ADMIT_TOTAL;
	}
	if (r->min_free_disk_mb > 0 && f->free_disk_mb < r->min_free_disk_mb) {
		snprintf(why, size, "disk %" PRIu64 " MB free at %.300s, %" PRIu64 " needed", f->free_disk_mb,
		    f->disk_place, r->min_free_disk_mb);
		return ADMIT_DISK;
	}
	have = tokens(a, r, now_ms);
	if (r->start_burst > 0 && interval > 0 && have < interval) {
		*again_ms = now_ms + (int64_t)(interval - have);
		snprintf(why, size, "other agents have just been started");
		return ADMIT_RATE;
	}
	return ADMIT_YES;
}

void
admit_started(struct admit *a, const struct admit_rules *r, int64_t now_ms)
{
	uint64_t have = tokens(a, r, now_ms), price = (uint64_t)r->start_interval_ms;

	a->tokens_ms = have > price ? have - price : 0;
	a->filled_ms = now_ms;
	a->used = true;
	a->starts[a->count++ % ADMIT_RECENT] = now_ms;
	if (a->count == 2 * ADMIT_RECENT)
		a->count = ADMIT_RECENT;
}
