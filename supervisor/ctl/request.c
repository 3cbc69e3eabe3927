/* request: see request.h. */
#include "supervisor/ctl/request.h"

#include "common/clock.h"
#include "common/proc.h"
#include "common/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SHUTDOWN_MS 120000 /* every role has its grace, one after the other at worst */
#define SAVE_MS 480000     /* and what is pushed */
#define LEAVE_MS 10000
#define POLL_MS 10

static void
on_ack(void *arg, const struct msg *m)
{
	char **text = arg;

	if (m->id == MSG_ACK && m->ack.text != NULL && *text == NULL)
		*text = text_line(m->ack.text, TEXT_MAX);
}

int
request_send(struct ctl *c, struct msg *m, const char *what)
{
	char *text = NULL;
	int rc = CTL_OK;

	if (c->client == NULL)
		rc = ctl_connect(c);
	if (rc == CTL_OK)
		rc = ctl_ask(c, m, on_ack, &text);
	if (rc == CTL_OK)
		puts(text != NULL && text[0] != '\0' ? text : what);
	free(text);
	return rc;
}

/* Until pid is gone, with the locks it held. It is no child of ours: there is nothing to wait on but /proc.
 */
static int
await_exit(struct loop *l, pid_t pid)
{
	int64_t deadline = clock_now_ms() + LEAVE_MS;
	uint64_t start, now;
	bool never = false;
	int rc = 0;

	if (pid <= 0 || proc_start_time(pid, &start) < 0)
		return CTL_OK;
	while (
	    rc != -ECANCELED && clock_now_ms() < deadline && proc_start_time(pid, &now) == 0 && now == start)
		rc = loop_wait(l, &never, clock_now_ms() + POLL_MS);
	return rc == -ECANCELED ? CTL_INTERRUPTED : CTL_OK;
}

int
request_shutdown(struct ctl *c, bool now, bool save)
{
	struct msg m = {.id = MSG_SHUTDOWN};
	pid_t pid = client_pid(c->client);
	struct err e = {""};
	bool gone = false;
	int rc;

	m.shutdown.now = now;
	m.shutdown.save = save;
	rc = client_call(c->client, &m, NULL, NULL, save ? SAVE_MS : SHUTDOWN_MS, &e);
	/* It leaves after the answer; when it was faster than its answer, it has left all the same. */
	if (rc < 0 && rc != -EPIPE)
		return ctl_fail(rc, &e);
	client_on_lost(c->client, &gone);
	rc = loop_wait(&c->loop, &gone, clock_now_ms() + LEAVE_MS);
	client_on_lost(c->client, NULL);
	client_free(c->client);
	c->client = NULL;
	return rc == -ECANCELED ? CTL_INTERRUPTED : await_exit(&c->loop, pid);
}
