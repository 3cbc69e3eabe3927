/*
 * limits: what an answer's headers say about the limits of the key that asked: never its text. Names and
 * forms are those of the Messages API (anthropic-ratelimit-*, retry-after). Pure.
 */
#ifndef ORCH_GATEWAY_LIMITS_H
#define ORCH_GATEWAY_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMITS_FAR_MS (8 * 86400000LL) /* no limit of the API lasts longer than a week */

struct limits {
	int64_t retry_after_ms; /* from the answer on; -1: not said */
	struct limits_one {
		bool spent;            /* its -remaining is 0 */
		int64_t reset_wall_ms; /* 0: not said */
	} one[4];                      /* requests, tokens, input-tokens, output-tokens */
	bool rejected;                 /* the unified limit of an account is spent */
	int64_t unified_reset_wall_ms; /* 0: not said */
	char organisation[64], request_id[64];
};

void limits_init(struct limits *l);
/* One header of the answer; size_name and size_value bytes, no CRLF. Others than those above are passed over.
 */
void limits_header(struct limits *l, const char *name, size_t size_name, const char *value, size_t size_value,
    int64_t wall_ms);

/* Is a limit spent, by the headers? A 429 without any of this says nothing but "not now". */
bool limits_spent(const struct limits *l);
/*
 * How long until it is worth asking again: retry-after where it is said (an account's reset where that is
 * later), else the latest reset of a spent limit. -1: not said. Never negative otherwise, at most
 * LIMITS_FAR_MS.
 */
int64_t limits_wait_ms(const struct limits *l, int64_t wall_ms);

/* "2026-11-22T18:07:22Z", with fractions or an offset: ms since the epoch, or -1. */
int64_t limits_parse_time(const char *s);

#endif
