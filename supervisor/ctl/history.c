/* history: see history.h. */
#include "supervisor/ctl/history.h"

#include "common/clock.h"

#include <errno.h>
#include <stdio.h>

#define ANSWER_MS 30000
#define RECONNECT_MS 30000 /* how long orchd may be away */
#define RECONNECT_PAUSE_MS 100

struct printer {
	const struct out_ops *ops;
	struct out out;
	uint64_t last; /* seq of the last event that was shown */
	bool over;     /* something for the waiting to look at */
	bool broken;   /* our reader is gone */
	bool missed;   /* events were left out: ask for them */
	char stopped[256];
};

/* seq rises by one with every event that is stored; asked again, the first ones may be known. */
static void
on_event(void *arg, const struct msg *m)
{
	struct printer *p = arg;

	if (m->id == MSG_LOST)
		p->missed = p->over = true;
	if (m->id == MSG_ERROR) {
		snprintf(p->stopped, sizeof(p->stopped), "%s", m->error.text);
		p->over = true;
	}
	if (m->id != MSG_EVENT_INFO || p->broken || p->missed || m->event_info.seq <= p->last)
		return;
	p->last = m->event_info.seq;
	p->ops->event(&p->out, &m->event_info);
	if (fflush(p->out.f) != 0)
		p->broken = p->over = true;
}

static int
reconnect(struct ctl *c, struct printer *p, struct msg *m)
{
	int64_t deadline = clock_now_ms() + RECONNECT_MS;
	struct err e = {""};
	bool never = false;
	int rc;

	for (;;) {
		client_free(c->client);
		c->client = NULL;
		rc = client_open(&c->client, &c->loop, &c->repo, true, &e);
		if (rc == 0)
			rc = client_stream(c->client, m, on_event, p, ANSWER_MS, &e);
		if (rc == 0 || rc == -EREMOTEIO || rc == -ECANCELED || clock_now_ms() >= deadline)
			return rc == 0 ? CTL_OK : ctl_fail(rc, &e);
		if (loop_wait(&c->loop, &never, clock_now_ms() + RECONNECT_PAUSE_MS) == -ECANCELED)
			return CTL_INTERRUPTED;
	}
}

/* What orchd sends from here on, and what the next one knows when this one is gone without having been
 * stopped. */
static int
follow(struct ctl *c, struct printer *p, struct msg *m)
{
	struct err e = {""};
	int rc = CTL_OK;

	m->events.limit = 0;
	while (rc == CTL_OK) {
		client_on_lost(c->client, &p->over);
		if (loop_wait(&c->loop, &p->over, -1) == -ECANCELED)
			rc = CTL_INTERRUPTED;
		client_on_lost(c->client, NULL);
		if (rc != CTL_OK || p->broken)
			break;
		if (p->stopped[0] != '\0') {
			ctl_say("%s", p->stopped);
			return CTL_UNREACHABLE;
		}
		p->over = false;
		m->events.after_seq = p->last;
		if (client_lost(c->client)) {
			p->missed = false;
			rc = reconnect(c, p, m);
		} else if (p->missed) {
			p->missed = false;
			rc = client_stream(c->client, m, on_event, p, ANSWER_MS, &e);
			rc = rc == 0 || client_lost(c->client) ? CTL_OK : ctl_fail(rc, &e);
		}
	}
	return rc;
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
	return !c->args.follow || p.broken ? CTL_OK : follow(c, &p, &m);
}
