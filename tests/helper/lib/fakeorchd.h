/*
 * fakeorchd: an orchd for tests of its clients: a real Unix socket in the test's own loop, with the real peer
 * layer, and whatever the test wants to answer.
 */
#ifndef ORCH_TESTS_FAKEORCHD_H
#define ORCH_TESTS_FAKEORCHD_H

#include "common/loop.h"
#include "proto/peer.h"

#include <sys/types.h>

struct fakeorchd;

/* A request (never HELLO) came from p; answer with fakeorchd_send, peer_ack, peer_error, or not at all. */
typedef void fakeorchd_fn(struct fakeorchd *f, struct peer *p, const struct msg *m, void *arg);

/* Listens on socket (its folder is made). Asserts that it can. */
struct fakeorchd *fakeorchd_new(struct loop *l, const char *socket, fakeorchd_fn *fn, void *arg);
void fakeorchd_free(struct fakeorchd *f); /* NULL is fine */

/* m as part of the answer to request. */
void fakeorchd_send(struct peer *p, uint32_t request, struct msg m);
void fakeorchd_end(struct peer *p, uint32_t request);
/* Closes the connection as a dying orchd would. */
void fakeorchd_hang_up(struct peer *p);

/* How many clients have connected so far, and the pid of the last one. */
unsigned fakeorchd_clients(const struct fakeorchd *f);
pid_t fakeorchd_client_pid(const struct fakeorchd *f);

#endif
