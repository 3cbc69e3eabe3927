/*
 * keys: the API configurations of the person who calls: from --keys FILE, CLAUDE_CONFIGS or their own
 * ANTHROPIC_* variables. They go to orchd by message, and are wiped from this process at its end.
 */
#ifndef ORCH_CTL_KEYS_H
#define ORCH_CTL_KEYS_H

#include "supervisor/ctl/ctl.h"

/* Reads and checks them into c->keys, which stays NULL when there are none; and the token, see token_read.
 * -errno with a sentence. */
int keys_read(struct ctl *c, struct err *e);

/* Where they are from, for messages: the file's name, "CLAUDE_CONFIGS" or "environment". */
const char *keys_origin(const struct ctl *c);

enum keys_for {
	KEYS_FOR_NEXT,    /* the run that is submitted next */
	KEYS_FOR_RUN,     /* run, whatever it has; NULL: the current one */
	KEYS_FOR_ORPHANS, /* run, if its keys were in the memory of an orchd that ended */
};
/* Sends c->keys and c->token, if there are any. *taken (may be NULL): they are a run's now. 0, or -errno as
 * client_call.
 */
int keys_give(struct ctl *c, enum keys_for what, const char *run, bool *taken, struct err *e);

#endif
