/*
 * drain: no process outlives its reason. orchd is a subreaper, so whatever a dead role leaves falls back to
 * it as a child it never started; those are killed with all below them, and with what is in the cgroups that
 * the role had made, before the role's slot is free again.
 */
#include "supervisor/daemon.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/proc.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define MARKED_MS 20000

static const struct task *
task_of_pid(const struct daemon *d, pid_t pid)
{
	struct run *r;
	struct task *t;

	TAILQ_FOREACH (r, &d->runs, entry)
		TAILQ_FOREACH (t, &r->tasks, entry)
			if (t->process.pid == pid && unit_has_process(&t->unit))
				return t;
	return NULL;
}

static bool
is_gateway(const struct daemon *d, pid_t pid)
{
	return d->gw.process.pid == pid && unit_has_process(&d->gw.unit);
}

/* As PID 1 of a container we also inherit strangers; they carry no mark of ours. */
static bool
keep_child(void *arg, pid_t pid)
{
	struct daemon *d = arg;

	if (pid == d->front_pid || loop_watches_child(&d->loop, pid)) /* roles and the gateway are watched */
		return true;
	return d->is_init && !proc_has_env(pid, "ORCH_INSTANCE", d->repo.instance);
}

bool
drain_descends_from_role(const struct daemon *d, pid_t pid)
{
	for (int depth = 0; pid > 1 && depth < 256; depth++) {
		if (task_of_pid(d, pid) != NULL)
			return true;
		pid = proc_parent(pid);
	}
	return false;
}

struct leftovers {
	struct daemon *d;
	unsigned count;
};

/*
 * Our own helpers carry the mark too when we were started from inside a run; so do we then. A process that an
 * adopted role leads back to is that role's.
 */
static bool
kill_leftover(void *arg, pid_t pid)
{
	struct leftovers *l = arg;

	if (pid == getpid() || !proc_has_env(pid, "ORCH_INSTANCE", l->d->repo.instance) ||
	    drain_descends_from_role(l->d, pid) || is_gateway(l->d, pid))
		return true;
	for (pid_t up = getpid(); up > 1; up = proc_parent(up))
		if (up == pid)
			return true;
	if (kill(pid, SIGKILL) == 0)
		l->count++;
	return true;
}

/* How many were alive. */
static unsigned
kill_marked(struct daemon *d)
{
	struct leftovers l = {.d = d};

	proc_each(kill_leftover, &l);
	if (l.count > 0)
		log_warn("killed %u processes that a role of an earlier orchd left behind", l.count);
	return l.count;
}

static bool
is_role(void *arg, pid_t pid)
{
	return task_of_pid(arg, pid) != NULL || is_gateway(arg, pid);
}

void
drain_start(struct daemon *d)
{
	d->draining = true;
}

/* Nothing is started while they are hunted; one that is stuck in the kernel must not stop us for good. */
static void
give_up_marked(struct daemon *d)
{
	if (!d->drain_marked || clock_now_ms() - d->marked_since < MARKED_MS)
		return;
	log_error("processes of an earlier orchd do not end, not even when killed: going on beside them");
	d->drain_marked = false;
}

bool
drain_step(struct daemon *d)
{
	struct run *r;
	struct task *t;

	if (!d->draining)
		return false;
	give_up_marked(d);
	if (ptree_kill_leftovers(&d->trees, is_role, d) > 0 || proc_kill_descendants(keep_child, d) > 0 ||
	    (d->drain_marked && kill_marked(d) > 0))
		return true;
	d->draining = d->drain_marked = false;
	TAILQ_FOREACH (r, &d->runs, entry)
		TAILQ_FOREACH (t, &r->tasks, entry)
			if (t->unit.state == UNIT_DRAINING)
				spawn_step(d, t, UNIT_EV_EMPTY, -1);
	if (d->gw.unit.state == UNIT_DRAINING)
		gw_step(d, UNIT_EV_EMPTY, -1);
	return d->draining;
}

void
drain_leftovers(struct daemon *d)
{
	if (!d->drain_marked)
		d->marked_since = clock_now_ms();
	d->drain_marked = true;
	drain_start(d);
}
