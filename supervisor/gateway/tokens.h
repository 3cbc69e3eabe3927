/*
 * tokens: what an agent shows the gateway instead of a key: 128 random bits that belong to one attempt, from
 * its start to its end, and open nothing else. Compared in constant time. Pure, but for getrandom(2).
 */
#ifndef ORCH_GATEWAY_TOKENS_H
#define ORCH_GATEWAY_TOKENS_H

#include "common/token.h"
#include "supervisor/gateway/budgets.h"
#include "supervisor/gateway/keys.h"

#include <stddef.h>
#include <stdint.h>

#define TOKENS_MAX 4096 /* attempts at one time: MAX_EMS * MAX_WORKERS_PER_EM at their most */

/* What the gateway knows of an attempt. */
struct attempt_seat {
	char *task; /* "25/em1/w2": for people; the gateway makes nothing of it */
	uint32_t attempt;
	struct keys_seat seat;
	char key_name[33]; /* of the key that served it last, "" at first */
	unsigned in_flight;
	uint64_t requests;
	struct amount dearest; /* what the dearest of them cost, and the longest */
};

struct tokens;

struct tokens *tokens_new(void);
/* Wipes and frees; NULL is fine. */
void tokens_free(struct tokens *t);

/*
 * Lets the token in. 0; -EINVAL when it has not the form of one; -EEXIST; -ENOSPC. The task's name is copied.
 */
int tokens_add(struct tokens *t, const char *token, const char *task, uint32_t attempt);
/* The attempt has ended. Its place is given back to keys. Returns -ENOENT when it is not known. */
int tokens_remove(struct tokens *t, const char *token, struct keys *k);
/* Whose is this? NULL for nobody. Takes as long for any wrong one. The result lives until its removal. */
struct attempt_seat *tokens_find(const struct tokens *t, const char *text, size_t size);
size_t tokens_count(const struct tokens *t);

#endif
