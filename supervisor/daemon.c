/*
 * daemon: the turn of the loop. Callbacks change the model while every socket is corked; then the turn
 * settles what follows, commits it in one transaction, lets the messages go, and only then starts or stops
 * processes. A crash at any point leaves the store saying what was acknowledged, or more.
 */
#include "supervisor/daemon.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/proc.h"
#include "supervisor/front.h"
#include "supervisor/handover.h"
#include "supervisor/logfile.h"
#include "supervisor/roster.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DRAIN_RETRY_MS 5
#define COMMIT_RETRY_MS 1000
#define SOON_MS 3000
#define TROUBLE_MAX_MS 10000
#define OOM_LOWER 500 /* of 1000, proc(5) */
#define OOM_MIN (-1000)

static void
on_turn_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg; /* the turn after this callback does it */
}

static void
arm(struct daemon *d, int64_t in_ms)
{
	struct timeval tv;

	if (in_ms < 0)
		in_ms = 0;
	tv.tv_sec = in_ms / 1000;
	tv.tv_usec = in_ms % 1000 * 1000;
	event_add(d->turn_timer, &tv);
}

static bool
has_open_run(const struct daemon *d)
{
	const struct run *r;

	TAILQ_FOREACH (r, &d->runs, entry)
		if (!r->stopped && !run_lacks_keys(r) &&
		    !run_is_asking(r)) /* nothing of it can be done but by a person */
			return true;
	return false;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

/* In how many ms something is to be done by time alone; -1: nothing is. */
static int64_t
next_timer_ms(struct daemon *d)
{
	int64_t now = clock_now_ms(), wall = clock_wall_ms(),
		at = earlier(spawn_next_timer(d), gw_next_timer(d));
	struct run *r;

	if (d->draining)
		at = earlier(at, now + DRAIN_RETRY_MS);
	if (d->trouble != NULL)
		at = earlier(at, now + COMMIT_RETRY_MS);
	at = earlier(at, notify_next(&d->notify));
	at = earlier(at, hold_next(d));
	at = earlier(at, stall_next(d));
	at = earlier(at, save_next(d));
	if (d->idle_since >= 0 && !d->foreground)
		at = earlier(at, d->idle_since + (int64_t)d->conf.linger_ms);
	TAILQ_FOREACH (r, &d->runs, entry) {
		int64_t wake = roster_wakes_at(r);

		if (wake >= 0)
			at = earlier(at, now + (wake > wall ? wake - wall : 0));
		wake = effect_is_active(r) ? budget_next_ms(&r->conf, r->worked_ms) : -1;
		if (wake >= 0)
			at = earlier(at, now + wake);
		at = earlier(at, effect_epilogue_ends(r));
	}
	return at < 0 ? -1 : at > now ? at - now : 0;
}

/* At once is not at the cost of what nobody has saved yet; one that hears nothing does not get long. */
static void
hurry(const struct daemon *d, struct task *t)
{
	int64_t last = clock_now_ms() + SOON_MS;

	if (d->stop_how != STOP_SOON)
		return;
	if (t->unit.grace_ms > SOON_MS)
		t->unit.grace_ms = SOON_MS;
	if (t->unit.state == UNIT_STOPPING && t->unit.timer_ms > last)
		t->unit.timer_ms = last;
}

static void
stop_all(struct daemon *d)
{
	struct run *r;
	struct task *t;

	TAILQ_FOREACH (r, &d->runs, entry)
		TAILQ_FOREACH (t, &r->tasks, entry) {
			enum unit_state s = t->unit.state;

			hurry(d, t);
			if (d->stop_how == STOP_KILL && s != UNIT_KILLED)
				spawn_step(d, t, UNIT_EV_KILL, -1);
			else if (s == UNIT_STARTING || s == UNIT_READY || s == UNIT_BACKOFF ||
				 s == UNIT_PARKED)
				spawn_step(d, t, UNIT_EV_STOP, -1);
		}
}

void
daemon_stop(struct daemon *d, enum stop_how how, bool keep_stopped)
{
	struct run *r;

	if (!d->stopping) {
		log_info("stopping%s", how == STOP_ORDERLY ? "" : " at once");
		notify_send(&d->notify, "STOPPING=1");
	}
	if (how > d->stop_how)
		d->stop_how = how;
	d->stopping = true;
	TAILQ_FOREACH (r, &d->runs, entry)
		if (keep_stopped && !r->stopped && !run_state_ended(run_state(r))) {
			r->stopped = true;
			store_add_event(d->store, r->id, NULL, "stop", NULL, "stopped by orchctl stop");
			effect_mark_run(d, r);
		}
}

static void
on_signal(struct loop *l, int sig, void *arg)
{
	struct daemon *d = arg;

	(void)l;
	if (sig == SIGHUP) {
		secrets_reload(d);
		return;
	}
	log_info("signal %d (%s)", sig, strsignal(sig));
	if (d->front_pid > 0)
		kill(d->front_pid, sig);
	if (front_is_job(d) && !d->saving && !d->stopping)
		save_begin(d); /* a job that is cancelled has some seconds; nothing of it stays but what was pushed */
	else
		daemon_stop(d, d->stopping ? STOP_KILL : STOP_ORDERLY, false);
}

/*
 * Starts what may run; each start takes a slot, so it ends. Not while there may still be processes of an
 * earlier orchd that nobody wrote down: one of them may be what would be started.
 */
static void
start_ready(struct daemon *d)
{
	struct run *r;
	struct task *t;

	if (d->stopping || d->drain_marked)
		return;
	if (d->saving) {
		save_start(d);
		return;
	}
	TAILQ_FOREACH (r, &d->runs, entry) {
		TAILQ_FOREACH (t, &r->tasks, entry)
			t->passed_over = false;
		while ((t = roster_next(&d->runs, r)) != NULL) {
			t->passed_over = hold_task(d, t); /* asked once in a turn */
			if (!t->passed_over)
				spawn_step(d, t, UNIT_EV_START, -1);
		}
	}
}

/* Whose parents and watchers are to be told. A worker's process also decides whether its EM's tree still
 * lives. */
static void
tell_changes(struct daemon *d)
{
	struct run *r;
	struct task *t;

	TAILQ_FOREACH (r, &d->runs, entry) {
		if (!r->changed) /* set with every task's */
			continue;
		TAILQ_FOREACH (t, &r->tasks, entry)
			if (t->changed && t->level == 2 && t->unit.state == UNIT_NONE)
				t->parent->changed = true;
		TAILQ_FOREACH (t, &r->tasks, entry)
			if (t->changed)
				route_tell_parent(t);
	}
}

static void
clear_changes(struct daemon *d)
{
	struct run *r;
	struct task *t;

	TAILQ_FOREACH (r, &d->runs, entry) {
		if (!r->changed)
			continue;
		r->changed = false;
		TAILQ_FOREACH (t, &r->tasks, entry)
			t->changed = false;
	}
}

static void
uncork_roles(struct daemon *d)
{
	struct run *r;
	struct task *t;

	TAILQ_FOREACH (r, &d->runs, entry)
		TAILQ_FOREACH (t, &r->tasks, entry)
			if (t->peer != NULL) {
				peer_uncork(t->peer);
				peer_cork(t->peer);
			}
	gw_uncork(d);
}

static void
note_trouble(struct daemon *d, const char *why)
{
	if (d->trouble == NULL) {
		log_error("cannot save: %s; nothing is acknowledged until it works again", why);
		d->trouble =
		    xasprintf("nothing can be saved: %s; it goes on by itself when that works again", why);
		d->trouble_since = clock_now_ms();
		control_tell_trouble(d);
	}
	control_uncork_lookers(d);
}

static void
end_trouble(struct daemon *d)
{
	if (d->trouble == NULL)
		return;
	log_info("saving works again");
	xreplace(&d->trouble, NULL);
	control_tell_trouble(d);
}

/* 0 when what this turn changed is durable, and watchers and parents have been told. */
static int
commit(struct daemon *d)
{
	struct store_event_list events = TAILQ_HEAD_INITIALIZER(events);
	struct store_event *ev;
	struct err e = {""};
	int rc = store_commit(d->store, &d->runs, &events, &e);

	if (rc < 0) {
		note_trouble(d, e.msg);
		return rc;
	}
	end_trouble(d);
	tell_changes(d);
	control_push(d, &events);
	clear_changes(d);
	while ((ev = TAILQ_FIRST(&events)) != NULL) {
		TAILQ_REMOVE(&events, ev, entry);
		store_event_free(ev);
	}
	return 0;
}

/* What could not be saved was not acknowledged either: an orchd that was told to leave does not wait for room
 * for ever. */
static bool
may_leave(struct daemon *d)
{
	if (!d->stopping || spawn_any_process(d) || gw_has_process(d))
		return false;
	if (d->trouble != NULL && clock_now_ms() - d->trouble_since >= TROUBLE_MAX_MS) {
		log_error("leaving without having saved the last changes: %s", d->trouble);
		return true;
	}
	return d->trouble == NULL && !store_pending(d->store, &d->runs);
}

/* An ended run leaves memory when its last process has. */
static void
drop_ended(struct daemon *d)
{
	struct run *r, *next;
	bool keyed = false;

	TAILQ_FOREACH_SAFE (r, &d->runs, entry, next) {
		struct task *t;
		bool busy = !run_state_ended(run_state(r));

		TAILQ_FOREACH (t, &r->tasks, entry)
			busy |= t->unit.state != UNIT_NONE;
		if (busy)
			continue;
		TAILQ_FOREACH (t, &r->tasks, entry)
			if (t->peer !=
			    NULL) { /* of a process that is gone; it frees itself when it has closed */
				peer_set_arg(t->peer, NULL);
				peer_close(t->peer, "its run has ended");
				t->peer = NULL;
			}
		keyed |= r->keys.count > 0 || r->token != NULL;
		if (r->keys.count > 0) {
			configs_clear(&r->keys);
			gw_tell_keys(d, r); /* none: they are forgotten */
		}
		TAILQ_REMOVE(&d->runs, r, entry);
		run_free(r);
	}
	if (keyed)
		secrets_changed(d);
}

static void
note_idle(struct daemon *d)
{
	bool idle =
	    !has_open_run(d) && TAILQ_EMPTY(&d->clients) && !spawn_any_process(d) && !gw_has_process(d);

	if (!idle)
		d->idle_since = -1;
	else if (d->idle_since < 0)
		d->idle_since = clock_now_ms();
	if (idle && !d->foreground && clock_now_ms() - d->idle_since >= (int64_t)d->conf.linger_ms) {
		log_info("nothing to do for %llu s: leaving", (unsigned long long)d->conf.linger_ms / 1000);
		d->stopping = d->finished = true;
	}
}

static void
turn(struct daemon *d)
{
	notify_tick(&d->notify, clock_now_ms());
	if (d->log_path != NULL)
		logfile_keep(d->log_path, d->log_max);
	do {
		drain_step(d);
		hold_tick(d, clock_now_ms());
		stall_tick(d, clock_now_ms());
		spawn_timers(d, clock_now_ms());
		gw_timers(d, clock_now_ms());
		effect_settle(d);
		save_step(d);
		if (d->stopping)
			stop_all(d);
		if (commit(d) < 0)
			break;
		uncork_roles(d);
		control_uncork(d);
		gw_settle(d);
		start_ready(d);
	} while (store_pending(d->store, &d->runs));
	drop_ended(d);
	note_idle(d);
	if (may_leave(d)) {
		control_stopped(d);
		control_uncork(d);
		d->finished = true;
	}
	if (d->handover && !d->stopping && d->trouble == NULL && !store_pending(d->store, &d->runs)) {
		log_info("making room for the orchd that is installed now");
		control_stopped(d);
		control_uncork(d);
		d->finished = true;
	}
}

static int
adopt_units(struct daemon *d, struct err *e)
{
	struct store_unit *units = NULL;
	size_t count = 0;
	struct store_gateway gateway;
	int rc = store_load_gateway(d->store, &gateway, e);

	if (rc == 0)
		gw_adopt(d, &gateway);
	if (rc == 0)
		rc = store_load_units(d->store, &units, &count, e);

	for (size_t i = 0; rc == 0 && i < count; i++)
		spawn_adopt(d, &units[i]);
	store_units_free(units, count);
	return rc;
}

/* Without us nothing is looked after: where it may be said, others go first when memory is short. */
static void
lower_oom_score(struct daemon *d)
{
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC), own;
	char text[16] = "";
	ssize_t n = fd < 0 ? -1 : fd_read(fd, text, sizeof(text) - 1);

	if (n > 0) {
		text[strcspn(text, "\n")] = '\0';
		own = atoi(text) - OOM_LOWER;
		if (own >= OOM_MIN && dprintf(fd, "%d", own) > 0)
			snprintf(d->oom_score, sizeof(d->oom_score), "%s", text);
	}
	fd_close(&fd);
}

static void
look_at_machine(struct daemon *d)
{
	ptree_probe(&d->trees, d->repo.instance, true);
	lower_oom_score(d);
}

static void
say_what_machine_has(const struct daemon *d)
{
	char line[PTREE_PATH_MAX + 64], why[PTREE_WHY_MAX];

	ptree_machine_write(&d->trees, line, sizeof(line));
	log_info("agents are kept by %s, where a run does not say otherwise (%s)",
	    ptree_rung_words(ptree_choose(&d->trees, "auto", why)), line);
}

int
daemon_start(struct daemon *d, int keys_fd, struct err *e)
{
	char *path = NULL;
	struct run *r;
	int rc;

	TAILQ_INIT(&d->runs);
	TAILQ_INIT(&d->clients);
	probes_init(&d->probes);
	gw_init(d);
	d->idle_since = d->held_until = -1;
	d->started_at = clock_wall_ms();
	d->lead_ms = INT64_MIN;
	d->is_init = getpid() == 1;
	look_at_machine(d);
	rc = loop_init(&d->loop);
	if (rc < 0)
		return err_sys(e, rc, "cannot make an event loop");
	d->loop.on_signal = on_signal;
	d->loop.arg = d;
	loop_own_descendants(&d->loop);
	loop_watch_absence(&d->loop, (int64_t)d->conf.heartbeat_ms);
	d->turn_timer = evtimer_new(d->loop.base, on_turn_timer, d);
	path = xasprintf("%s/orch.db", d->repo.state);
	rc = store_open(&d->store, path, e);
	free(path);
	if (rc == 0)
		store_keep_events(d->store, (int64_t)d->conf.max_events);
	if (rc == 0)
		rc = store_load_unfinished(d->store, &d->runs, e);
	if (rc == 0 && keys_fd >= 0)
		handover_take_keys(d, keys_fd);
	TAILQ_FOREACH (r, &d->runs, entry)
		r->daemon = d;
	if (rc == 0)
		rc = adopt_units(d, e);
	if (rc == 0 && !d->gw.adopted)
		secrets_lost(d);
	if (rc < 0)
		return rc;
	drain_leftovers(d);
	return control_listen(d, e);
}

/*
 * Deadlines know nothing of an absence; who reads the log shall. Waits that outlive orchd go by the wall
 * clock: set back, it would make them longer.
 */
static void
look_at_clocks(struct daemon *d)
{
	int64_t moved = clock_moved(&d->lead_ms, clock_wall_ms(), clock_now_ms()),
		absent = clock_absent_ms() - d->absent_ms;
	struct run *r;

	if (absent > 0)
		log_info("did not run for %lld ms: that counts for nobody", (long long)absent);
	d->absent_ms += absent;
	if (moved >= 0)
		return;
	log_info("the wall clock was set back by %lld ms: waits end as much sooner", (long long)-moved);
	TAILQ_FOREACH (r, &d->runs, entry)
		run_clock_set_back(r, -moved);
}

int
daemon_run(struct daemon *d)
{
	say_what_machine_has(d);
	for (;;) {
		int64_t in;

		turn(d);
		if (d->finished)
			break;
		in = next_timer_ms(d);
		if (in >= 0)
			arm(d, in);
		else
			evtimer_del(d->turn_timer);
		if (event_base_loop(d->loop.base, EVLOOP_ONCE) < 0)
			return -EIO;
		look_at_clocks(d);
	}
	control_farewell(d);
	return 0;
}

void
daemon_clear(struct daemon *d)
{
	struct run *r;
	struct task *t;

	control_close(d);
	ptree_probe_end(&d->trees);
	gw_clear(d);
	probes_clear(&d->probes);
	while ((r = TAILQ_FIRST(&d->runs)) != NULL) {
		TAILQ_FOREACH (t, &r->tasks, entry)
			if (t->peer != NULL) {
				peer_free(t->peer);
				t->peer = NULL;
			}
		TAILQ_REMOVE(&d->runs, r, entry);
		run_free(r);
	}
	if (d->turn_timer != NULL)
		event_free(d->turn_timer);
	store_close(d->store);
	loop_clear(&d->loop);
	notify_close(&d->notify);
	log_set_redact(NULL);
	redact_free(d->redact);
	free(d->trouble);
	free(d->log_path);
	repo_clear(&d->repo);
	conf_clear(&d->conf);
}
