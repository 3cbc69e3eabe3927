/* history: see history.h. */
#include "supervisor/ctl/history.h"

#include "common/clock.h"

#include <errno.h>
#include <stdio.h>

#define ANSWER_MS 30000

struct printer {
	const struct out_ops *ops;
	struct out out;
	bool over; /* orchd is gone, or our reader */
};

static void
on_event(void *arg, const struct msg *m)
{
	struct printer *p = arg;

	if (m->id == MSG_LOST)
		ctl_say("%llu events were not shown: reading too slowly", (unsigned long long)m->lost.count);
	if (m->id != MSG_EVENT_INFO || p->over)
		return;
	p->ops->event(&p->out, &m->event_info);
	if (fflush(p->out.f) != 0)
		p->over = true;
}

int
history_print(struct ctl *c, const char *run, const char *task, const struct out_ops *ops)
{
	struct printer p = {.ops = ops, .out = {stdout, clock_wall_ms()}};
	struct msg m = {.id = MSG_EVENTS};
	struct err e = {""};
	int rc;

	m.events.run = run;
	m.events.task = task;
	m.events.limit = c->args.lines;
	m.events.follow = c->args.follow;
	rc = client_stream(c->client, &m, on_event, &p, ANSWER_MS, &e);
	if (rc < 0)
		return ctl_fail(rc, &e);
	if (!c->args.follow || p.over)
		return CTL_OK;
	client_on_lost(c->client, &p.over);
	rc = loop_wait(&c->loop, &p.over, -1);
	client_on_lost(c->client, NULL);
	if (rc == -ECANCELED)
		return CTL_INTERRUPTED;
	if (!client_lost(c->client))
		return CTL_OK;
	ctl_say("lost orchd: %s", client_why(c->client));
	return CTL_UNREACHABLE;
}
