/*
 * spawn: the processes of units. Here is the one function that forks a role, and so the one place where the
 * limits are enforced; here signals are sent, exits and sockets are turned into a unit's events, and its
 * actions carried out.
 */
#include "supervisor/daemon.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "supervisor/role.h"
#include "supervisor/roster.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EPILOGUE_KILLS 3 /* so often it is started again */
#define DOING_MAX 500    /* bytes; TASK_INFO has room for 512 */

static void
forget_process(struct task *t)
{
	process_forget(&t->process);
	t->unit_dirty = true;
}

/* For status: it travels in a field of a message, so it is one line that fits. */
static void
say_doing(struct task *t, const char *text)
{
	free(t->doing);
	t->doing = text_line(text, DOING_MAX);
	t->doing_at = clock_wall_ms();
}

static void
note_exit(struct daemon *d, struct task *t, const char *how)
{
	char *words, *text;

	if (!t->unit.wanted || d->stopping) {
		log_info("%s %s %s", task_role(t), t->id, how);
		return;
	}
	words = role_last_words(d, t);
	text = words == NULL ? xasprintf("its %s %s", task_role(t), how)
			     : xasprintf("its %s %s; last words: %s", task_role(t), how, words);
	log_warn("%s: %s", t->id, text);
	store_add_remark(d->store, t->run->id, t->id, "death", text);
	say_doing(t, text);
	/* One that was stopped for its silence has been told of that. */
	if (t->unit.state == UNIT_READY && task_needs_agent(t))
		effect_setback(d, t, text);
	free(words);
	free(text);
}

/* A director that was killed over its last words is started again for them; one that ends by itself has said
 * them, or cannot. */
static bool
may_speak_again(struct task *t, int status, bool known)
{
	return known && WIFSIGNALED(status) && t->run->epilogue_kills++ < EPILOGUE_KILLS;
}

static void
process_ended(struct task *t, int status, bool known)
{
	struct daemon *d = t->run->daemon;
	char text[96];
	int code = known && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	bool adopted = t->process.pidfd >= 0;

	t->exit_status = status;
	if (t->peer != NULL) /* its last words: where work is that it saved, that it is done */
		peer_drain(t->peer);
	note_exit(d, t, known ? child_status_text(text, sizeof(text), status) : "ended");
	if (t->peer != NULL)
		peer_close(t->peer, "its process has ended");
	forget_process(t);
	gw_end_token(d, t);
	gw_reconcile(d, t);
	if (t->last_words && !d->stopping && !t->run->stopped && !may_speak_again(t, status, known))
		effect_epilogue_over(d, t->run);
	if (t->level == 0 && t->run->saver) {
		t->run->saver = t->unit.wanted = false;
		t->run->saved = true;
	}
	if (adopted) /* what it leaves does not fall back to us: it never was below us */
		drain_leftovers(d);
	spawn_step(d, t, UNIT_EV_EXIT, code);
}

static void
on_child_exit(void *arg, pid_t pid, int status)
{
	(void)pid;
	process_ended(arg, status, true);
}

/* An adopted process is no child of ours: its pidfd becomes readable when it ends. */
static void
on_pidfd(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	process_ended(arg, 0, false);
}

/* Messages of a role that is being replaced must not reach its successor's state. */
static void
on_role_msg(struct peer *p, const struct msg *m, void *arg)
{
	struct task *t = arg;

	if (t != NULL && t->peer == p)
		route_message(t->run->daemon, t, p, m);
}

/* The process of t is ready. One that only lost its socket ignores the ASSIGN, but for what has changed. */
static void
attach(struct daemon *d, struct task *t)
{
	spawn_step(d, t, UNIT_EV_HELLO, -1);
	if (t->unit.wanted)
		route_assign(d, t);
	else /* its task ended while it started, or while it was alone */
		spawn_step(d, t, UNIT_EV_STOP, -1);
}

static void
on_role_hello(struct peer *p, const struct msg *hello, void *arg)
{
	struct task *t = arg;

	if (t == NULL || t->peer != p)
		return;
	if (strcmp(hello->hello.role, task_role(t)) != 0) {
		peer_close(p, "it says that it is another role");
		return;
	}
	attach(t->run->daemon, t);
}

static void
on_role_closed(struct peer *p, const char *why, void *arg)
{
	struct task *t = arg;

	if (t != NULL && t->peer == p) {
		struct daemon *d = t->run->daemon;
		int64_t silent_ms = clock_now_ms() - peer_last_heard_ms(p);

		t->peer = NULL;
		/* EOF is a hint to look: most often the process is dead already. */
		loop_reap(&d->loop);
		if (unit_has_process(&t->unit)) {
			log_info("%s: lost its %s's socket: %s", t->id, task_role(t), why);
			if (silent_ms >= 2 * (int64_t)d->conf.heartbeat_ms && d->conf.heartbeat_ms > 0)
				stall_silent(d, t, silent_ms);
			spawn_step(d, t, UNIT_EV_LOST, -1);
		}
	}
	peer_free(p);
}

static const struct peer_ops role_ops = {
    .on_hello = on_role_hello, .on_msg = on_role_msg, .on_closed = on_role_closed};

static enum proto_who
task_who(const struct task *t)
{
	static const enum proto_who who[] = {WHO_DIRECTOR, WHO_EM, WHO_WORKER};

	return who[t->level];
}

static void
greet(struct daemon *d, struct task *t, int fd)
{
	struct peer_cfg cfg = {
	    .loop = &d->loop,
	    .fd = fd,
	    .self = WHO_ORCHD,
	    .them = task_who(t),
	    .ops = &role_ops,
	    .arg = t,
	    .heartbeat_ms = (int64_t)d->conf.heartbeat_ms,
	    .hello_timeout_ms = UNIT_HELLO_MS + 1000, /* the unit's own timer is first */
	    .trusted = true,
	};
	struct msg hello = {.id = MSG_HELLO,
	    .hello = {.proto = PROTO_VERSION,
		.role = "orchd",
		.version = ORCH_VERSION,
		.task = t->id,
		.pid = (uint64_t)getpid(),
		.heartbeat_ms = d->conf.heartbeat_ms}};

	if (t->peer != NULL) /* its predecessor's is still closing, and may outlive the run */
		peer_set_arg(t->peer, NULL);
	t->peer = peer_new(&cfg);
	peer_cork(t->peer);
	peer_send(t->peer, &hello, NULL);
}

/* True when t must wait: a unit that is in its backoff asks again as soon as there may be room. */
static bool
must_wait(struct daemon *d, struct task *t)
{
	if (!roster_slot_free(&d->runs, t))
		return true;
	if (!hold_task(d, t))
		return false;
	if (t->unit.state == UNIT_BACKOFF && d->held_until >= 0 && d->held_until < t->unit.timer_ms)
		t->unit.timer_ms = d->held_until;
	return true;
}

/* The one function that forks a role. Without a free slot, or room, nothing happens: the unit asks again. */
static void
spawn_process(struct daemon *d, struct task *t)
{
	struct err e = {""};
	int fd = -1, rc;
	pid_t pid;

	if (d->stopping || must_wait(d, t))
		return;
	rc = role_fork(d, t, &pid, &fd, &e);
	if (rc < 0) {
		log_error("%s: %s", t->id, e.msg);
		store_add_remark(d->store, t->run->id, t->id, "death", e.msg);
		spawn_step(d, t, UNIT_EV_SPAWN_FAILED, -1);
		if (t->level == 0)
			effect_epilogue_over(d, t->run);
		return;
	}
	process_started(&t->process, pid);
	t->unit_dirty = true;
	t->agent_done = false;
	t->limited = 0;
	t->began_ms = clock_now_ms();
	t->last_words = t->level == 0 && t->run->epilogue;
	hold_started(d, t);
	t->files_now = 0;
	loop_watch_child(&d->loop, pid, on_child_exit, t);
	greet(d, t, fd);
	log_debug("%s: started %s as pid %d", t->id, task_role(t), (int)pid);
	spawn_step(d, t, UNIT_EV_SPAWNED, -1);
	if (task_state(t) != TASK_RUNNING && !t->run->saver)
		effect_task(d, t, TASK_EV_START, NULL);
}

static void
ask_to_stop(struct daemon *d, struct task *t)
{
	struct msg m = {.id = MSG_STOP,
	    .stop = {.reason = d->stopping         ? "orchd is stopping"
			       : t->reason != NULL ? t->reason
						   : "its task has ended",
		.grace_ms = (uint64_t)t->unit.grace_ms}};

	if (t->peer != NULL)
		peer_send(t->peer, &m, NULL);
	process_signal(&t->process, SIGTERM);
	process_signal(&t->process, SIGCONT);
}

static void
tell_parked(struct daemon *d, struct task *t)
{
	char *words = xstrdup(t->doing);
	char *text =
	    xasprintf("its %s keeps dying and is parked, with a try every %lld s for %lld minutes: %s",
		task_role(t), (long long)t->unit.parked_retry_ms / 1000,
		(long long)t->unit.parked_give_up_ms / 60000, words == NULL ? "see its log" : words);

	log_error("%s: %s", t->id, text);
	store_add_event(d->store, t->run->id, t->id, "parked", NULL, text);
	say_doing(t, text);
	free(words);
	free(text);
}

static void
give_up(struct daemon *d, struct task *t)
{
	char *reason = xasprintf("its %s could not be kept running for %lld minutes: %s", task_role(t),
	    (long long)t->unit.parked_give_up_ms / 60000, t->doing == NULL ? "see its log" : t->doing);

	if (t->level == 0)
		effect_epilogue(d, t->run, reason);
	else
		effect_task(d, t, TASK_EV_FAIL, reason);
	free(reason);
}

void
spawn_step(struct daemon *d, struct task *t, enum unit_event ev, int exit_code)
{
	enum unit_state before = t->unit.state;
	unsigned act = unit_step(&t->unit, ev, clock_now_ms(), exit_code, arc4random());

	if (act & UNIT_BUG) {
		log_error("BUG: the %s of %s is %s and cannot take \"%s\"", task_role(t), t->id,
		    unit_state_name(before), unit_event_name(ev));
		return;
	}
	if (t->unit.state != before) {
		t->changed = t->run->changed = true;
	}
	if (act & UNIT_DO_PARKED)
		tell_parked(d, t);
	if (act & UNIT_DO_SPAWN)
		spawn_process(d, t);
	if (act & UNIT_DO_TERM)
		ask_to_stop(d, t);
	if (act & UNIT_DO_KILL)
		process_signal(&t->process, SIGKILL);
	if (act & UNIT_DO_DRAIN)
		drain_start(d);
	if (act & UNIT_DO_GIVE_UP)
		give_up(d, t);
}

void
spawn_timers(struct daemon *d, int64_t now)
{
	struct run *r;
	struct task *t;

	TAILQ_FOREACH (r, &d->runs, entry)
		TAILQ_FOREACH (t, &r->tasks, entry)
			if (t->unit.state != UNIT_DRAINING && t->unit.timer_ms >= 0 &&
			    t->unit.timer_ms <= now)
				spawn_step(d, t, UNIT_EV_TIMER, -1);
}

int64_t
spawn_next_timer(const struct daemon *d)
{
	struct run *r;
	struct task *t;
	int64_t at = -1;

	TAILQ_FOREACH (r, &d->runs, entry)
		TAILQ_FOREACH (t, &r->tasks, entry)
			if (t->unit.state != UNIT_DRAINING && t->unit.timer_ms >= 0 &&
			    (at < 0 || t->unit.timer_ms < at))
				at = t->unit.timer_ms;
	return at;
}

bool
spawn_any_process(const struct daemon *d)
{
	struct run *r;
	struct task *t;

	TAILQ_FOREACH (r, &d->runs, entry)
		TAILQ_FOREACH (t, &r->tasks, entry)
			if (unit_has_process(&t->unit) || t->unit.state == UNIT_DRAINING)
				return true;
	return false;
}

bool
spawn_recognise(const struct task *t, pid_t pid)
{
	return unit_has_process(&t->unit) && process_is(&t->process, pid);
}

void
spawn_take_over(struct daemon *d, struct task *t, struct peer *p)
{
	if (t->peer != NULL) {
		peer_set_arg(t->peer, NULL);
		peer_close(t->peer, "replaced by a new connection");
	}
	t->peer = p;
	peer_promote(p, task_who(t), &role_ops, t, (int64_t)d->conf.heartbeat_ms);
	attach(d, t);
}

void
spawn_adopt(struct daemon *d, const struct store_unit *u)
{
	struct task *t = runs_find_task(&d->runs, u->task);

	if (t == NULL || strcmp(u->boot_id, store_boot_id(d->store)) != 0)
		return;
	t->unit_dirty = true; /* whatever the row says is about to be replaced */
	if (process_adopt(&t->process, d->loop.base, u->pid, u->start_ticks, on_pidfd, t) < 0)
		return;
	t->began_ms = clock_now_ms(); /* as far as we know */
	t->last_words = t->level == 0 && t->run->epilogue;
	if (t->process.pidfd < 0) /* of the orchd that this process was before */
		loop_watch_child(&d->loop, u->pid, on_child_exit, t);
	log_info("%s: its %s, pid %d, is still there", t->id, task_role(t), (int)t->process.pid);
	spawn_step(d, t, UNIT_EV_ADOPTED, -1);
	if (task_state(t) != TASK_RUNNING || t->run->stopped)
		spawn_step(d, t, UNIT_EV_STOP, -1);
}
