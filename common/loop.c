/* loop: libevent's base, signals as events, and the one reaper of this process. */
#include "common/loop.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/proc.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_MS 10000
#define WATCH_MAX_MS 2500
#define WATCH_MIN_MS 50

static const int loop_signals[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};

static unsigned
bucket(pid_t pid)
{
	return (unsigned)pid % LOOP_BUCKETS;
}

static struct child_watch *
find_watch(struct loop *l, pid_t pid)
{
	struct child_watch *w;

	TAILQ_FOREACH (w, &l->children[bucket(pid)], entry)
		if (w->pid == pid)
			return w;
	return NULL;
}

/*
 * SIGCHLD means "look": signals coalesce, so look until nothing is left. The
 * dead are first seen without being reaped: as long as the leader is a zombie
 * its group id cannot be reused, so what is left of its group can be killed.
 */
void
loop_reap(struct loop *l)
{
	for (;;) {
		siginfo_t info;
		struct child_watch *w;
		pid_t pid;
		int status;

		memset(&info, 0, sizeof(info));
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
			return;
		pid = info.si_pid;
		w = find_watch(l, pid);
		if (w != NULL && getpgid(pid) == pid && pid != getpgrp())
			kill(-pid, SIGKILL);
		if (waitpid(pid, &status, 0) != pid)
			continue;
		if (w != NULL) {
			TAILQ_REMOVE(&l->children[bucket(pid)], w, entry);
			w->fn(w->arg, pid, status);
			free(w);
		} else if (l->on_stranger != NULL) {
			l->on_stranger(l, pid, status, l->arg);
		}
	}
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct loop *l = arg;

	(void)what;
	if (sig == SIGCHLD)
		loop_reap(l);
	else if (l->on_signal != NULL)
		l->on_signal(l, (int)sig, l->arg);
	else
		loop_stop(l, (int)sig);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)clock_now_ms(); /* who is asked in time was there */
	loop_reap(arg);
}

static int
set_tick(struct loop *l, int64_t ms)
{
	struct timeval every = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	l->tick_ms = ms;
	return event_add(l->tick, &every);
}

/* libevent's default clock is coarse (4 ms): a deadline would end a little early, and its caller wait again.
 */
static struct event_base *
new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config == NULL)
		return NULL;
	if (event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER) == 0)
		base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

static void
no_watches(struct loop *l)
{
	for (unsigned i = 0; i < LOOP_BUCKETS; i++)
		TAILQ_INIT(&l->children[i]);
}

int
loop_init(struct loop *l)
{
	memset(l, 0, sizeof(*l));
	no_watches(l);
	signal(SIGPIPE, SIG_IGN);
	l->base = new_base();
	if (l->base == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(loop_signals) / sizeof(loop_signals[0]); i++) {
		l->sigs[i] = evsignal_new(l->base, loop_signals[i], on_signal, l);
		if (l->sigs[i] == NULL || evsignal_add(l->sigs[i], NULL) < 0)
			goto fail;
	}
	l->tick = event_new(l->base, -1, EV_PERSIST, on_tick, l);
	if (l->tick == NULL || set_tick(l, TICK_MS) < 0)
		goto fail;
	return 0;
fail:
	loop_clear(l);
	return -ENOMEM;
}

void
loop_clear(struct loop *l)
{
	struct child_watch *w;

	for (unsigned i = 0; i < LOOP_BUCKETS; i++)
		while ((w = TAILQ_FIRST(&l->children[i])) != NULL) {
			TAILQ_REMOVE(&l->children[i], w, entry);
			free(w);
		}
	for (size_t i = 0; i < sizeof(l->sigs) / sizeof(l->sigs[0]); i++)
		if (l->sigs[i] != NULL)
			event_free(l->sigs[i]);
	if (l->tick != NULL)
		event_free(l->tick);
	if (l->watches)
		clock_watch(0);
	if (l->idle_timer != NULL)
		event_free(l->idle_timer);
	if (l->base != NULL)
		event_base_free(l->base);
	memset(l, 0, sizeof(*l));
	no_watches(l);
}

int
loop_own_descendants(struct loop *l)
{
	int rc = proc_become_subreaper();

	l->reaper = rc == 0;
	return rc;
}

void
loop_watch_absence(struct loop *l, int64_t heartbeat_ms)
{
	int64_t ms = heartbeat_ms > 0 && heartbeat_ms / 2 < WATCH_MAX_MS ? heartbeat_ms / 2 : WATCH_MAX_MS;

	if (ms < WATCH_MIN_MS)
		ms = WATCH_MIN_MS;
	if (ms >= l->tick_ms)
		return;
	set_tick(l, ms);
	l->watches = true;
	clock_watch(ms);
}

void
loop_stop(struct loop *l, int sig)
{
	l->stop = true;
	if (l->stop_signal == 0)
		l->stop_signal = sig;
	event_base_loopbreak(l->base);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
}

static void
on_idle_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd;
	(void)what;
	l->idle_due = true;
}

static void
arm_idle(struct loop *l)
{
	struct timeval tv = {.tv_sec = l->idle_ms / 1000, .tv_usec = l->idle_ms % 1000 * 1000};

	l->idle_due = false;
	evtimer_add(l->idle_timer, &tv);
}

void
loop_set_idle(struct loop *l, int64_t ms, void (*fn)(void *arg), void *arg)
{
	if (l->idle_timer != NULL)
		event_free(l->idle_timer);
	l->idle_timer = NULL;
	l->idle_due = false;
	l->idle = fn;
	l->idle_arg = arg;
	l->idle_ms = ms;
	if (fn == NULL)
		return;
	l->idle_timer = evtimer_new(l->base, on_idle_timer, l);
	arm_idle(l);
}

/* The wait that is interrupted is entered again as if nothing had been: its timer went on, and so did
 * whatever sets its flag. */
static void
do_idle(struct loop *l)
{
	if (!l->idle_due || l->idling || l->stop_masked > 0)
		return;
	l->waiting = false;
	l->idling = true;
	l->idle(l->idle_arg);
	l->idling = false;
	l->waiting = true;
	if (l->idle != NULL)
		arm_idle(l);
}

static void
arm_deadline(struct event *timer, int64_t deadline_ms)
{
	int64_t left = deadline_ms - clock_now_ms();
	struct timeval tv = {0};

	if (left > 0)
		tv = (struct timeval){.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};
	evtimer_add(timer, &tv);
}

/* -ETIMEDOUT when the time is over. The timer has run out sooner where the clock stood still meanwhile. */
static int
look_at_clock(struct event *timer, bool *late, int64_t deadline_ms)
{
	if (!*late)
		return 0;
	if (clock_now_ms() >= deadline_ms)
		return -ETIMEDOUT;
	*late = false;
	arm_deadline(timer, deadline_ms);
	return 0;
}

int
loop_wait(struct loop *l, const bool *done, int64_t deadline_ms)
{
	bool late = false;
	struct event *timer = NULL;
	int rc = 0;

	assert(!l->waiting);
	l->waiting = true;
	if (deadline_ms >= 0) {
		timer = evtimer_new(l->base, on_deadline, &late);
		arm_deadline(timer, deadline_ms);
	}
	while (!*done) {
		if (l->stop && l->stop_masked == 0) {
			rc = -ECANCELED;
			break;
		}
		rc = look_at_clock(timer, &late, deadline_ms);
		if (rc < 0)
			break;
		if (event_base_loop(l->base, EVLOOP_ONCE) < 0) {
			rc = -EIO;
			break;
		}
		do_idle(l);
	}
	if (timer != NULL)
		event_free(timer);
	l->waiting = false;
	return rc;
}

void
loop_watch_child(struct loop *l, pid_t pid, child_exit_fn *fn, void *arg)
{
	struct child_watch *w = xcalloc(1, sizeof(*w));

	assert(find_watch(l, pid) == NULL);
	w->pid = pid;
	w->fn = fn;
	w->arg = arg;
	TAILQ_INSERT_TAIL(&l->children[bucket(pid)], w, entry);
}

void
loop_unwatch_child(struct loop *l, pid_t pid)
{
	struct child_watch *w = find_watch(l, pid);

	if (w == NULL)
		return;
	TAILQ_REMOVE(&l->children[bucket(pid)], w, entry);
	free(w);
}

bool
loop_watches_child(struct loop *l, pid_t pid)
{
	return find_watch(l, pid) != NULL;
}
