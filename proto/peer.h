/*
 * peer: one connected socket that carries messages. Frames in, checked (size, schema,
 * sender's rights, HELLO first), handed to a handler; messages out, buffered with a
 * limit. Heartbeats are here too.
 *
 * peer_send() never frees the peer and a handler never frees the peer it runs for:
 * call peer_close(); the peer calls on_closed from the loop, once, and there (or any
 * time outside its callbacks) the owner calls peer_free().
 *
 * The owner sends its own HELLO: orchd as soon as it has the peer, everyone else from
 * on_hello. All callbacks come from the loop, none from within a call of these functions.
 */
#ifndef ORCH_PROTO_PEER_H
#define ORCH_PROTO_PEER_H

#include "common/err.h"
#include "common/loop.h"
#include "proto/messages.h"

struct peer;

struct peer_ops {
	/* HELLO arrived and its version fits. Optional. */
	void (*on_hello)(struct peer *, const struct msg *hello, void *arg);
	/* Any message but HELLO, PING, PONG that they may send us. m is borrowed for the call. */
	void (*on_msg)(struct peer *, const struct msg *m, void *arg);
	/* The connection is over; why is one sentence ("closed by the other side") that lasts for the call,
	 * even when the peer is freed in it. The fd is closed. */
	void (*on_closed)(struct peer *, const char *why, void *arg);
	/* The output went over high_water (true) or back under low_water (false). Optional. */
	void (*on_pressure)(struct peer *, bool high, void *arg);
};

struct peer_cfg {
	struct loop *loop;
	int fd;              /* taken over; made non-blocking and CLOEXEC */
	enum proto_who self; /* we are */
	enum proto_who them; /* they are, as known from how they came */
	const struct peer_ops *ops;
	void *arg;
	size_t out_max; /* bytes buffered for them before the peer is closed as too slow; 0: 8 MiB */
	size_t high_water, low_water; /* 0: 1 MiB and 256 KiB */
	int64_t hello_timeout_ms;     /* without a HELLO by then: closed; 0: 10 s */
	int64_t heartbeat_ms; /* PING this often once HELLO came; closed after 3 intervals without any byte,
				 or with a message begun and not ended; 0: no heartbeat */
	bool trusted;         /* a role: an unexpected message is answered with ERROR and the link kept */
};

struct peer *peer_new(const struct peer_cfg *cfg);
void peer_free(struct peer *p);

/*
 * Queues m. 0; -EPIPE when the peer is closing or left, or is closed now as too slow; -EMSGSIZE or -EINVAL
 * (with e) when m breaks the schema: a bug of the caller.
 */
int peer_send(struct peer *p, const struct msg *m, struct err *e);
/* Answers: ACK, ERROR (code is a positive errno) and END for a request id; nothing is sent for request 0. */
void peer_ack(struct peer *p, uint32_t request, const char *text);
void peer_error(struct peer *p, uint32_t request, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * What is sent between cork and uncork reaches the socket only after the uncork, what was sent before goes
 * on its way, and so do PING and PONG: orchd keeps all peers corked and, once a loop turn's changes are
 * committed, uncorks and corks each again. Corks do not nest.
 */
void peer_cork(struct peer *p);
void peer_uncork(struct peer *p);

/* Sends what is queued (best effort, 1 s at most), then on_closed. */
void peer_close(struct peer *p, const char *why);
bool peer_closing(const struct peer *p);
/* For a peer whose process has ended: handles what it had sent, as if the loop had come to it. Outside its
 * callbacks. */
void peer_drain(struct peer *p);
/* Stops and resumes reading (a slow consumer further on). */
void peer_pause(struct peer *p, bool pause);

size_t peer_out_bytes(const struct peer *p); /* queued and not yet written */
int peer_fd(const struct peer *p);
enum proto_who peer_who(const struct peer *p);
/* After a HELLO on the control socket proved to be a role's: it gets the owner, the rights and the trust of
 * one. */
void peer_promote(
    struct peer *p, enum proto_who them, const struct peer_ops *ops, void *arg, int64_t heartbeat_ms);
void peer_set_arg(struct peer *p, void *arg);
void *peer_arg(const struct peer *p);
void peer_set_heartbeat(struct peer *p, int64_t heartbeat_ms);
int64_t peer_last_heard_ms(const struct peer *p); /* clock_now_ms of the last byte */

/* Unix sockets by paths longer than sun_path, through /proc/self/fd. Return an fd or -errno with e. */
int peer_listen(const char *path, struct err *e);  /* removes a stale socket first, -EADDRINUSE when one
							     listens there; mode 0600 */
int peer_connect(const char *path, struct err *e); /* non-blocking; -EAGAIN when its backlog is full */
/* pid and uid of the other end (SO_PEERCRED). 0 or -errno. */
int peer_credentials(int fd, pid_t *pid, uid_t *uid);

#endif
