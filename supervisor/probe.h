/*
 * probe: carries a client's PROBE to a role and the answer back. What is under way is bounded; whoever leaves
 * first is forgotten, and a role that never answers costs one entry until its client leaves.
 */
#ifndef ORCH_SUPERVISOR_PROBE_H
#define ORCH_SUPERVISOR_PROBE_H

#include "common/err.h"
#include "proto/messages.h"

#include <sys/queue.h>

struct client;
struct task;

#define PROBES_MAX 1024 /* under way at the same time, of all clients */

struct probe {
	uint32_t id;      /* ours, on the way to the role */
	uint32_t request; /* the client's */
	struct client *client;
	TAILQ_ENTRY(probe) entry;
};

struct probes {
	TAILQ_HEAD(, probe) list;
	unsigned count;
	uint32_t last_id;
};

void probes_init(struct probes *p);
void probes_clear(struct probes *p);

/* Sends it on. -EHOSTUNREACH when t has no process that listens, -EBUSY when too many are under way. */
int probe_send(struct probes *p, struct client *c, struct task *t, const struct msg *m, struct err *e);
/* The role's answer goes to whoever asked, if that is still there. */
void probe_answer(struct probes *p, const struct msg *m);
void probes_forget_client(struct probes *p, const struct client *c);

#endif
