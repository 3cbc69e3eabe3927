/*
 * client: orchctl's connection to orchd. Finds the socket, starts orchd when none answers, greets, and
 * carries requests: one call at a time, and one stream that goes on after its END. Never prints.
 */
#ifndef ORCH_CTL_CLIENT_H
#define ORCH_CTL_CLIENT_H

#include "common/err.h"
#include "common/loop.h"
#include "common/repo.h"
#include "proto/messages.h"

struct client;

/* One message of an answer, borrowed for the call. Runs from the loop. */
typedef void client_fn(void *arg, const struct msg *m);

/*
 * Connects and exchanges HELLOs (10 s). start: when nobody answers, starts "orchd --daemon" for this
 * repository and waits for it (10 s); the sentence then holds the end of orchd's log. -ECONNREFUSED when none
 * runs, -ECANCELED when a stop was asked for, other -errno with a sentence.
 */
int client_open(struct client **out, struct loop *l, const struct repo *r, bool start, struct err *e);
void client_free(struct client *k); /* NULL is fine */

/*
 * Sends m as a request and waits for the end of its answer (ACK, END, RUN_ACCEPTED); everything that comes
 * with its id goes to fn, the last message too. 0; -EPIPE when the connection ended; -ETIMEDOUT;
 * -ECANCELED; -EREMOTEIO with orchd's sentence when it refused.
 */
int client_call(struct client *k, struct msg *m, client_fn *fn, void *arg, int64_t timeout_ms, struct err *e);

/* Like client_call, but what comes with this id after its END goes to fn too (an ERROR: no more will), until
 * the next client_stream. */
int client_stream(
    struct client *k, struct msg *m, client_fn *fn, void *arg, int64_t timeout_ms, struct err *e);

/* Sets *flag (and so ends a loop_wait on it) when the connection ends. NULL: no more. */
void client_on_lost(struct client *k, bool *flag);
bool client_lost(const struct client *k);
/* orchd's process as the kernel names it; 0 when it does not. */
pid_t client_pid(const struct client *k);
/* Why it was lost: one sentence. */
const char *client_why(const struct client *k);

#endif
