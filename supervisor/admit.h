/*
 * admit: may one more agent be started now? Decided from what the machine has left, how many agents are at
 * work, and how many were started a moment ago: an agent takes its memory and half a core-second only after
 * it was let in, so what was just started counts before it shows. Pure.
 */
#ifndef ORCH_SUPERVISOR_ADMIT_H
#define ORCH_SUPERVISOR_ADMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADMIT_SETTLE_MS 10000 /* so long after its start an agent takes what it usually takes */
#define ADMIT_AGENT_MB                                                                                       \
	250 /* what one is expected to take: measured of the claude CLI, docs/measurements.md */
#define ADMIT_LOOK_MS 1000 /* when to look again at what nobody tells us of */
#define ADMIT_RECENT 64

/* What a run's options say; 0: no such limit. */
struct admit_rules {
	uint64_t max_agents;
	uint64_t min_free_memory_mb, min_free_disk_mb, total_memory_mb;
	uint64_t start_burst; /* agents that may be started at once, then one per interval */
	int64_t start_interval_ms;
};

/* What is so now. UINT64_MAX: not known, which holds nobody up. */
struct admit_facts {
	uint64_t free_memory_mb, free_disk_mb;
	const char *disk_place; /* where that is free */
	uint64_t used_mb;       /* by all agents' trees; known where total_memory_mb is given */
	uint64_t agents;        /* at work, or just started */
};

/* The starts that were let in; all zero to begin with. */
struct admit {
	int64_t starts[ADMIT_RECENT]; /* clock_now_ms, ring */
	unsigned count;
	uint64_t tokens_ms; /* of the bucket: start_interval_ms each */
	int64_t filled_ms;
	bool used;
};

enum admit_why { ADMIT_YES, ADMIT_AGENTS, ADMIT_MEMORY, ADMIT_TOTAL, ADMIT_DISK, ADMIT_RATE };

/*
 * ADMIT_YES; else why not, in words ("memory 300 MB available, 500 needed"), and in *again_ms when to ask
 * again. Takes nothing: admit_started does.
 */
enum admit_why admit_ask(const struct admit *a, const struct admit_rules *r, const struct admit_facts *f,
    int64_t now_ms, char *why, size_t size, int64_t *again_ms);
void admit_started(struct admit *a, const struct admit_rules *r, int64_t now_ms);

#endif
