/* probe: see probe.h. */
#include "supervisor/probe.h"

#include "common/alloc.h"
#include "supervisor/daemon.h"

#include <errno.h>
#include <stdlib.h>

void
probes_init(struct probes *p)
{
	TAILQ_INIT(&p->list);
	p->count = 0;
	p->last_id = 0;
}

static void
drop(struct probes *p, struct probe *b)
{
	TAILQ_REMOVE(&p->list, b, entry);
	p->count--;
	free(b);
}

void
probes_clear(struct probes *p)
{
	while (!TAILQ_EMPTY(&p->list))
		drop(p, TAILQ_FIRST(&p->list));
}

int
probe_send(struct probes *p, struct client *c, struct task *t, const struct msg *m, struct err *e)
{
	struct msg onward = {
	    .id = MSG_ROLE_PROBE, .role_probe = {.task = m->probe.task, .payload = m->probe.payload}};
	struct probe *b;

	if (t->peer == NULL || t->unit.state != UNIT_READY)
		return err_set(e, -EHOSTUNREACH, "%s has no process that could answer (%s)", t->id,
		    unit_state_name(t->unit.state));
	if (p->count >= PROBES_MAX)
		return err_set(e, -EBUSY, "%d probes are under way already", PROBES_MAX);
	b = xcalloc(1, sizeof(*b));
	if (++p->last_id == 0)
		p->last_id = 1;
	b->id = onward.request = p->last_id;
	b->request = m->request;
	b->client = c;
	TAILQ_INSERT_TAIL(&p->list, b, entry);
	p->count++;
	return peer_send(t->peer, &onward, e);
}

void
probe_answer(struct probes *p, const struct msg *m)
{
	struct probe *b;

	TAILQ_FOREACH (b, &p->list, entry) {
		struct msg back = {.id = MSG_PROBED,
		    .probed = {.task = m->role_probed.task,
			.payload = m->role_probed.payload,
			.pid = m->role_probed.pid}};

		if (b->id != m->request)
			continue;
		back.request = b->request;
		peer_send(b->client->peer, &back, NULL);
		drop(p, b);
		return;
	}
}

void
probes_forget_client(struct probes *p, const struct client *c)
{
	struct probe *b, *next;

	TAILQ_FOREACH_SAFE (b, &p->list, entry, next)
		if (b->client == c)
			drop(p, b);
}
