/* cmd_restart: orchctl restart: stop, start, and go on with the runs that were going on. */
#include "supervisor/ctl/cmds.h"

#include "common/clock.h"
#include "supervisor/ctl/request.h"
#include "supervisor/ctl/view.h"

#include <errno.h>
#include <stdio.h>

#define START_MS 15000
#define PAUSE_MS 200

static void
on_item(void *arg, const struct msg *m)
{
	view_put(arg, m, NULL);
}

/* The old one may hold its lock a moment longer than its socket. */
static int
start(struct ctl *c)
{
	int64_t deadline = clock_now_ms() + START_MS;
	struct err e = {""};
	bool never = false;
	int rc;

	for (;;) {
		rc = client_open(&c->client, &c->loop, &c->repo, true, &e);
		if (rc == 0)
			return CTL_OK;
		if (rc == -ECANCELED || clock_now_ms() >= deadline)
			return ctl_fail(rc == -ECANCELED ? rc : -ECONNREFUSED, &e);
		loop_wait(&c->loop, &never, clock_now_ms() + PAUSE_MS);
	}
}

/* Those that our stop has stopped, and nobody before us. */
static int
resume_all(struct ctl *c, const struct view *before)
{
	struct msg ask = {.id = MSG_STATUS};
	struct view now;
	int rc;

	view_init(&now);
	ask.status.all = true;
	rc = ctl_ask(c, &ask, on_item, &now);
	for (size_t i = 0; i < now.run_count && rc == CTL_OK; i++) {
		const struct view_run *r = now.runs[i], *old = view_run(before, r->id);
		struct msg m = {.id = MSG_RESUME};

		if (r->msg == NULL || !r->info->stopped || old == NULL || old->info->stopped)
			continue;
		m.resume.run = r->id;
		rc = ctl_ask(c, &m, NULL, NULL);
	}
	view_clear(&now);
	return rc;
}

int
cmd_restart(struct ctl *c)
{
	struct msg m = {.id = MSG_STATUS};
	struct err e = {""};
	struct view v;
	int rc = client_open(&c->client, &c->loop, &c->repo, false, &e);

	view_init(&v);
	if (rc == 0) {
		m.status.all = true;
		rc = ctl_ask(c, &m, on_item, &v);
		if (rc == CTL_OK)
			rc = request_shutdown(c, false);
	} else if (rc == -ECONNREFUSED) {
		rc = CTL_OK;
	} else {
		ctl_say("%s", e.msg);
		rc = CTL_UNREACHABLE;
	}
	if (rc == CTL_OK)
		rc = start(c);
	if (rc == CTL_OK)
		rc = resume_all(c, &v);
	if (rc == CTL_OK)
		puts("restarted");
	view_clear(&v);
	return rc;
}
