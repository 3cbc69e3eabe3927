/* cmd_restart: orchctl restart: another orchd, of the program that is installed now; its team works on. */
#include "supervisor/ctl/cmds.h"

#include "common/clock.h"
#include "supervisor/ctl/keys.h"
#include "proto/view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LEAVE_MS 30000
#define BACK_MS 10000
#define PAUSE_MS 5

struct members {
	size_t attached, all;
};

static void
on_item(void *arg, const struct msg *m)
{
	struct members *n = arg;

	if (m->id != MSG_TASK_INFO || m->task_info.pid == 0)
		return;
	n->all++;
	n->attached += strcmp(m->task_info.unit, "starting") != 0;
}

/* orchd is known to be gone when its connection ends; the next one answers on the same socket. */
static int
replace(struct ctl *c)
{
	struct msg m = {.id = MSG_SHUTDOWN, .shutdown = {.keep = true}};
	struct err e = {""};
	bool gone = false;
	int rc = client_call(c->client, &m, NULL, NULL, LEAVE_MS, &e);

	if (rc == 0) {
		client_on_lost(c->client, &gone);
		rc = loop_wait(&c->loop, &gone, clock_now_ms() + LEAVE_MS);
		client_on_lost(c->client, NULL);
		if (rc == -ETIMEDOUT)
			err_set(&e, rc, "orchd does not make room");
	}
	if (rc < 0 && rc != -EPIPE)
		return ctl_fail(rc, &e);
	client_free(c->client);
	c->client = NULL;
	return ctl_connect(c);
}

/* Roles come back by themselves; those that do not in time are started again by orchd. */
static int
await_members(struct ctl *c, struct members *n)
{
	int64_t deadline = clock_now_ms() + BACK_MS;
	bool never = false;

	for (;;) {
		struct msg m = {.id = MSG_STATUS};
		int rc;

		memset(n, 0, sizeof(*n));
		rc = ctl_ask(c, &m, on_item, n);
		if (rc != CTL_OK || n->attached == n->all || clock_now_ms() >= deadline)
			return rc;
		if (loop_wait(&c->loop, &never, clock_now_ms() + PAUSE_MS) == -ECANCELED)
			return CTL_INTERRUPTED;
	}
}

int
cmd_restart(struct ctl *c)
{
	int64_t began = clock_now_ms();
	struct members n = {0};
	struct err e = {""};
	int rc;

	if (keys_read(c, &e) < 0) {
		ctl_say("%s", e.msg);
		return CTL_USAGE;
	}
	rc = client_open(&c->client, &c->loop, &c->repo, false, &e);
	if (rc == -ECONNREFUSED) {
		rc = ctl_connect(c);
		if (rc == CTL_OK && keys_give(c, KEYS_FOR_ORPHANS, NULL, NULL, &e) < 0)
			ctl_say("%s", e.msg);
	} else if (rc < 0) {
		ctl_say("%s", e.msg);
		rc = CTL_UNREACHABLE;
	} else {
		rc = replace(c);
	}
	if (rc == CTL_OK)
		rc = await_members(c, &n);
	if (rc == CTL_OK)
		printf("restarted in %lld ms; %zu of %zu processes of the team work on\n",
		    (long long)(clock_now_ms() - began), n.attached, n.all);
	return rc;
}
