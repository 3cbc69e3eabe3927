/* live: see live.h. One loop: wait for something, reconnect if that was lost, draw, look whether it is over.
 */
#include "supervisor/ctl/live.h"

#include "common/clock.h"
#include "supervisor/ctl/keys.h"
#include "supervisor/ctl/report.h"
#include "supervisor/ctl/term.h"
#include "supervisor/ctl/tree.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REDRAW_MS 1000     /* ages grow */
#define REDRAW_LEAST_MS 60 /* a flood of news costs no more than this many pictures */
#define RECONNECT_MS 30000 /* how long orchd may be away */
#define RECONNECT_PAUSE_MS 250
#define SECOND_PRESS_MS 2000
#define ANSWER_MS 30000
#define SAVE_MS 480000
#define SHUTDOWN_MS 120000 /* every role has its grace, one after the other at worst */

struct live {
	struct ctl *ctl;
	const struct live_opts *o;
	struct view view;
	char run[128];  /* the id that is shown; "" until it is known */
	bool wake;      /* something to look at */
	bool attention; /* something that cannot wait for the next picture */
	bool stale;     /* news was dropped: ask for everything again */
	bool tty, broken;
	int presses, other_signal;
	struct event *winch;
	struct term_picture picture;
	int64_t drawn_ms;
	pid_t parent; /* whose front we are */
};

static const struct view_run *
shown_run(const struct live *v)
{
	return v->run[0] == '\0' ? NULL : view_run(&v->view, v->run);
}

static bool
is_over(const struct live *v)
{
	const struct view_run *r = shown_run(v);

	return r != NULL && r->msg != NULL && (view_run_ended(r) || r->info->stopped);
}

static void
print_change(struct live *v, const struct view_change *ch)
{
	struct lines l;

	lines_init(&l, 0, term_colour(stdout));
	tree_change(ch, clock_wall_ms(), &l);
	if (!term_print(stdout, &l))
		v->broken = v->wake = v->attention = true;
	lines_clear(&l);
}

static void
on_news(void *arg, const struct msg *m)
{
	struct live *v = arg;
	struct view_change ch;
	bool ours;

	v->wake = true;
	if (m->id == MSG_EVENT_INFO)
		return;
	if (m->id == MSG_LOST) {
		v->stale = v->attention = true;
		return;
	}
	if (m->id == MSG_RUN_INFO && v->run[0] == '\0')
		snprintf(v->run, sizeof(v->run), "%s", m->run_info.run);
	if (!view_put(&v->view, m, &ch))
		return;
	ours = strcmp(ch.run->id, v->run) == 0;
	if (ours && !v->tty && ch.state)
		print_change(v, &ch);
	if (is_over(v))
		v->attention = true;
}

static void
on_signal(struct loop *l, int sig, void *arg)
{
	struct live *v = arg;

	(void)l;
	if (sig == SIGINT)
		v->presses++;
	else
		v->other_signal = sig;
	v->wake = v->attention = true;
}

static void
on_winch(evutil_socket_t fd, short what, void *arg)
{
	struct live *v = arg;

	(void)fd;
	(void)what;
	term_resized(&v->picture, stdout);
	v->drawn_ms = 0;
	v->wake = true;
}

static void
draw(struct live *v)
{
	const struct view_run *r = shown_run(v);
	size_t width, height;
	struct lines l;

	v->drawn_ms = clock_now_ms();
	if (!v->tty || r == NULL)
		return;
	term_size(stdout, &width, &height);
	/* Not the last column: clearing behind a full line would take its last character. */
	lines_init(&l, width > 1 ? width - 1 : 1, term_colour(stdout));
	tree_draw(r, height > 1 ? height - 1 : 1, clock_wall_ms(), &l);
	if (!term_redraw(&v->picture, stdout, &l))
		v->broken = true;
	lines_clear(&l);
}

static int
subscribe(struct live *v, struct err *e)
{
	struct msg m = {.id = MSG_STATUS};

	m.status.run = v->run[0] != '\0' ? v->run : v->o->run;
	m.status.watch = true;
	client_on_lost(v->ctl->client, &v->wake);
	return client_stream(v->ctl->client, &m, on_news, v, ANSWER_MS, e);
}

static int
try_again(struct live *v, struct err *e)
{
	int rc;

	client_free(v->ctl->client);
	v->ctl->client = NULL;
	rc = client_open(&v->ctl->client, &v->ctl->loop, &v->ctl->repo, !ctl_is_front(), e);
	if (rc == 0) /* the new orchd may not have them */
		rc = keys_give(v->ctl, KEYS_FOR_ORPHANS, v->run[0] == '\0' ? v->o->run : v->run, NULL, e);
	return rc == 0 ? subscribe(v, e) : rc;
}

/*
 * orchd is gone: another one is started and goes on with the run; we look at that one then. Meanwhile a
 * signal ends every wait: there is nobody to pass a wish to.
 */
static int
reconnect(struct live *v)
{
	struct loop *l = &v->ctl->loop;
	int64_t deadline = clock_now_ms() + RECONNECT_MS;
	struct err e = {""};
	bool never = false;
	int rc;

	term_leave(&v->picture);
	ctl_say("lost orchd (%s), connecting again", client_why(v->ctl->client));
	l->on_signal = NULL;
	for (;;) {
		rc = try_again(v, &e);
		if (rc < 0 && ctl_is_front() && getppid() != v->parent) {
			ctl_say("orchd ended before the run did; orchctl resume or the next orchd run goes "
				"on with it");
			return CTL_UNREACHABLE;
		}
		if (rc == 0 || rc == -EREMOTEIO || rc == -ECANCELED || clock_now_ms() >= deadline)
			break;
		rc = loop_wait(l, &never, clock_now_ms() + RECONNECT_PAUSE_MS);
		if (rc == -ECANCELED)
			break;
	}
	l->on_signal = on_signal;
	if (rc == 0) {
		ctl_say("connected again");
		return CTL_OK;
	}
	if (rc == -ECANCELED) {
		ctl_say("detached; orchctl status --watch goes on looking");
		return CTL_INTERRUPTED;
	}
	if (rc == -EREMOTEIO)
		return ctl_fail(rc, &e);
	ctl_say("%s; gave up after %d s, the run itself is kept: orchctl status --watch", e.msg,
	    RECONNECT_MS / 1000);
	return CTL_UNREACHABLE;
}

static int
stop_work(struct live *v)
{
	struct msg m = {.id = MSG_SHUTDOWN};
	struct err e = {""};
	int rc;

	if (client_lost(v->ctl->client)) {
		ctl_say("orchd is gone: the run is not stopped, orchctl stop tries again");
		return CTL_UNREACHABLE;
	}
	ctl_say("stopping the run; its work is saved first");
	v->ctl->loop.on_signal = NULL; /* one more press just leaves */
	rc = client_call(v->ctl->client, &m, NULL, NULL, SHUTDOWN_MS, &e);
	/* orchd leaves after it, so a lost connection is an answer too. */
	if (rc != 0 && rc != -EPIPE && rc != -ECANCELED) {
		ctl_fail(rc, &e);
		return CTL_INTERRUPTED;
	}
	ctl_say("stopped; orchctl resume goes on");
	return CTL_INTERRUPTED;
}

/* ORCH_SECOND_PRESS_MS: for tests, whose machine may be busy. */
static int64_t
second_press_ms(void)
{
	const char *s = getenv("ORCH_SECOND_PRESS_MS"), *why;
	int64_t ms = s == NULL ? 0 : strtonum(s, 1, 600000, &why);

	return ms > 0 ? ms : SECOND_PRESS_MS;
}

static int
interrupted(struct live *v)
{
	int64_t deadline, within = second_press_ms();
	const struct view_run *r;

	term_leave(&v->picture);
	if (v->other_signal != 0)
		return 128 + v->other_signal;
	if (!v->o->owner || ctl_is_front()) /* orchd stops the run that we only show */
		return CTL_INTERRUPTED;
	ctl_say("detached; press again within %d s to stop the run", (int)(within / 1000));
	deadline = clock_now_ms() + within;
	while (v->presses == 1 && clock_now_ms() < deadline) {
		v->attention = false;
		loop_wait(&v->ctl->loop, &v->attention, deadline);
	}
	if (v->presses > 1)
		return stop_work(v);
	r = shown_run(v);
	if (r != NULL && r->info != NULL && r->info->asked)
		ctl_say("run %s waits for your word: orchctl status shows what it asks", r->id);
	else
		ctl_say("the run goes on: orchctl status --watch shows it, orchctl stop stops it");
	return CTL_INTERRUPTED;
}

static int
exit_code(const struct view_run *r)
{
	return strcmp(r->info->state, "complete") == 0 ? CTL_OK : CTL_FAILED;
}

static void
keep_event(void *arg, const struct msg *m)
{
	struct live *v = arg;

	if (m->id == MSG_EVENT_INFO)
		view_put(&v->view, m, NULL);
}

/* Who did what: the history is asked for now that it is complete. Without an orchd there is none. */
static void
add_table(struct live *v, const struct view_run *r, struct lines *l)
{
	struct msg m = {.id = MSG_EVENTS, .events = {.run = r->id}};
	struct report report;
	struct err e = {""};

	if (r->count < 2 || client_lost(v->ctl->client) ||
	    client_call(v->ctl->client, &m, keep_event, v, ANSWER_MS, &e) < 0)
		return;
	report_make(&report, &v->view, r, clock_wall_ms());
	line_end(l);
	report_table(&report, l);
	report_clear(&report);
}

static int
finish(struct live *v)
{
	const struct view_run *r = shown_run(v);
	struct lines l;

	draw(v);
	term_leave(&v->picture);
	if (!view_run_ended(r)) {
		ctl_say("run %s was stopped; orchctl resume %s goes on", r->id, r->id);
		return CTL_FAILED;
	}
	if (v->o->print_end) {
		lines_init(&l, term_text_width(stdout), term_colour(stdout));
		line_end(&l);
		tree_end(r, &l);
		add_table(v, r, &l);
		term_print(stdout, &l);
		lines_clear(&l);
	}
	return exit_code(r);
}

static bool
is_asking(const struct live *v)
{
	const struct view_run *r = shown_run(v);

	return r != NULL && r->msg != NULL && r->info->asked && r->info->question != NULL;
}

/* The job that we are has no more time: the next one goes on. */
static int
stop_and_save(struct live *v)
{
	struct msg m = {.id = MSG_SHUTDOWN, .shutdown = {.save = true}};
	struct err e = {""};
	int rc;

	term_leave(&v->picture);
	if (is_asking(v))
		ctl_say("run %s asks something, and the answer comes to another job: %s", v->run,
		    shown_run(v)->info->question);
	ctl_say("%s: stopping the run and pushing what it has",
	    is_asking(v) ? "nothing can be done here" : "this job's time is over (max_job_minutes)");
	rc = client_call(v->ctl->client, &m, NULL, NULL, SAVE_MS, &e);
	if (rc < 0 && rc != -EPIPE)
		return ctl_fail(rc, &e);
	ctl_say("stopped: run %s is not done; the next job, or orchctl run, goes on with it", v->run);
	if (v->o->stopped != NULL)
		*v->o->stopped = true;
	if (v->o->asked != NULL)
		*v->o->asked = is_asking(v);
	return CTL_FAILED;
}

static bool
is_time(const struct live *v)
{
	return (v->o->stop_at_ms != 0 && clock_now_ms() >= v->o->stop_at_ms) ||
	       (v->o->stop_when_asked && is_asking(v));
}

/* Until the next picture is due. News within REDRAW_LEAST_MS of the last one waits for it. */
static void
wait_for_news(struct live *v)
{
	struct loop *l = &v->ctl->loop;
	int64_t until = v->tty ? v->drawn_ms + REDRAW_MS : -1;

	if (v->o->stop_at_ms != 0 && (until < 0 || until > v->o->stop_at_ms))
		until = v->o->stop_at_ms;
	if (loop_wait(l, &v->wake, until) == 0 && v->tty)
		loop_wait(l, &v->attention, v->drawn_ms + REDRAW_LEAST_MS);
}

static int
refresh(struct live *v)
{
	struct err e = {""};
	int rc;

	v->stale = false;
	rc = subscribe(v, &e);
	return rc == 0 || client_lost(v->ctl->client) ? CTL_OK : ctl_fail(rc, &e);
}

static int
show(struct live *v)
{
	struct err e = {""};
	int rc = subscribe(v, &e);

	if (rc == -EREMOTEIO || (rc < 0 && !client_lost(v->ctl->client)))
		return ctl_fail(rc, &e);
	for (;;) {
		if (v->presses > 0 || v->other_signal != 0)
			return interrupted(v);
		if (v->broken)
			return CTL_FAILED;
		if (v->run[0] == '\0' && !client_lost(v->ctl->client))
			return CTL_OK; /* no such run */
		if (is_over(v))
			return finish(v);
		rc = CTL_OK;
		if (!client_lost(v->ctl->client) && is_time(v))
			return stop_and_save(v);
		if (client_lost(v->ctl->client))
			rc = reconnect(v);
		else if (v->stale)
			rc = refresh(v);
		if (rc != CTL_OK)
			return rc;
		draw(v);
		v->attention = false;
		v->wake = client_lost(v->ctl->client) || v->stale || v->presses > 0 || v->other_signal != 0 ||
			  is_over(v);
		wait_for_news(v);
	}
}

int
live_show(struct ctl *c, const struct live_opts *o, bool *found)
{
	struct live v = {.ctl = c, .o = o, .tty = term_can_redraw(stdout), .parent = getppid()};
	int rc;

	view_init(&v.view);
	if (o->run != NULL)
		snprintf(v.run, sizeof(v.run), "%s", o->run);
	c->loop.on_signal = on_signal;
	c->loop.arg = &v;
	v.winch = evsignal_new(c->loop.base, SIGWINCH, on_winch, &v);
	evsignal_add(v.winch, NULL);
	rc = show(&v);
	if (found != NULL)
		*found = v.view.run_count > 0;
	if (c->client != NULL)
		client_on_lost(c->client, NULL);
	event_free(v.winch);
	c->loop.on_signal = NULL;
	c->loop.arg = NULL;
	view_clear(&v.view);
	return rc;
}
