/*
 * link: a role's side of its connection to orchd. Shared by director, em, worker and gateway.
 *
 * fd 3 at start; when it is lost (orchd died), the link reconnects to the next orchd
 * of this repository through the control socket for 60 s, with what was not yet
 * acknowledged sent again, and asks the role to stop when that fails. Roles are
 * straight-line programs: link_call() sends a request and pumps the loop until it is
 * acknowledged.
 */
#ifndef ORCH_PROTO_LINK_H
#define ORCH_PROTO_LINK_H

#include "common/err.h"
#include "common/loop.h"
#include "proto/messages.h"

#define LINK_ALONE_MS 60000 /* how long a role goes on without orchd */
#define LINK_TOLD_MAX 4096

struct link;

struct link_ops {
	/* Anything but HELLO, ASSIGN (see link_open) and answers: CHILD, END, STOP. m is borrowed. STOP has
	 * been applied to the loop already, unless it says cancelled: that does not stop the loop, and is in
	 * *assign from then on. It may be called before link_open has returned, but not before ASSIGN came.
	 */
	void (*on_msg)(void *arg, const struct msg *m);
	/* HELLOs were exchanged, again after each reconnect: ahead of what is sent again. Optional. */
	void (*on_connected)(void *arg, struct link *k);
	void *arg;
};

/*
 * Takes over fd 3, waits for orchd's HELLO, answers it with ours, and waits for ASSIGN (10 s in all).
 * *assign is owned by the link; the ASSIGN of a reconnect is ignored, but for cancelled, which is set in
 * *assign and told to on_msg as a STOP. ops is kept, not copied.
 * -errno with a sentence when there is no orchd on fd 3 ("orch-em is started by orchd").
 * The control socket's path and the reconnect identity come from ASSIGN and the environment
 * (ORCH_SOCKET, ORCH_TASK). ORCH_ALONE_MS replaces LINK_ALONE_MS, for tests.
 */
int link_open(struct link **out, struct loop *loop, enum proto_who self, const struct link_ops *ops,
    const struct msg_assign **assign, struct err *e);
/*
 * For a process that is assigned no task (the gateway): takes over fd 3 and waits for nothing; on_connected
 * tells when orchd has greeted. An orchd that never does counts as lost.
 */
int link_attach(
    struct link **out, struct loop *loop, enum proto_who self, const struct link_ops *ops, struct err *e);
/* Top level only: writes what is queued, for 1.5 s at most. */
void link_free(struct link *k);

/* What no message to orchd may hold from now on; borrowed until it is set again. NULL: nothing. */
struct redact;
void link_set_redact(struct link *k, const struct redact *r);

/*
 * Sends m as a request and waits for its answer, over reconnects (then it is sent again). 0 after ACK (text,
 * when not NULL, gets a copy of the ACK's text or NULL; the caller frees it). A negative errno and the
 * sentence after ERROR. -ECANCELED when a stop was asked for in the meantime (the request is still delivered
 * if it can be) or before (then it is not sent), unless the loop's stop_masked holds it off; also when orchd
 * stays lost. m->request is chosen here.
 */
int link_call(struct link *k, const struct msg *m, char **text, struct err *e);

/* Sends without waiting for an answer (PROGRESS). Dropped when the link is down. */
void link_post(struct link *k, const struct msg *m);

/*
 * Sends a request that nobody waits for: it is kept until it is answered, and sent again over reconnects.
 * False: LINK_TOLD_MAX wait for an answer already, or orchd was given up; it is dropped.
 */
bool link_tell(struct link *k, const struct msg *m);

/* PROGRESS and EVENT in one line each; failures to deliver are ignored. */
void link_doing(struct link *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void link_event(struct link *k, const char *kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Why the loop was stopped: orchd's STOP reason, "lost orchd for 60 s", or a signal's name. NULL when not
 * stopped. */
const char *link_stop_reason(const struct link *k);
bool link_connected(const struct link *k);

#endif
