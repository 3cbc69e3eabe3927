/* orchdclient: see orchdclient.h. */
#include "tests/helper/lib/orchdclient.h"

#include "tests/helper/lib/test.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/proc.h"
#include "common/taskid.h"
#include "proto/msg.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEAVE_MS 5000

static void on_stranger(struct loop *l, pid_t pid, int status, void *arg);

struct heard {
	struct msg *m;
	TAILQ_ENTRY(heard) entry;
};

struct caller {
	struct orchd *o;
	struct peer *peer;
	bool greeted, closed, news;
	char *why; /* of closed */
	uint32_t last_request;
	TAILQ_HEAD(, heard) all;
	struct heard *seen; /* the last one that was matched */
};

/* Runs the loop until *done. */
static bool
pump(struct orchd *o, const bool *done)
{
	return loop_wait(&o->repo->loop, done, clock_now_ms() + ORCHD_DEADLINE_MS) == 0;
}

/* orchd */

struct orchd *
orchd_new(const char *bin_dir)
{
	struct orchd *o = xcalloc(1, sizeof(*o));
	struct err e = {""};
	char *fakes;

	static const char *const roles[] = {"orch-director", "orch-em", "orch-worker"};

	o->log_fd = -1;
	o->log = xstrdup("");
	o->repo = testrepo_new();
	assert_int_equal(proc_become_subreaper(), 0);
	o->repo->loop.on_stranger = on_stranger;
	o->repo->loop.arg = o;
	unsetenv("ORCH_STATE_DIR");
	unsetenv("XDG_STATE_HOME");
	unsetenv("ORCH_INSTANCE");
	if (repo_find(&o->places, o->repo->top, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	o->bin = testrepo_path(o->repo, "bin");
	assert_int_equal(fd_mkdirs(o->bin, 0755), 0);
	testrepo_program(bin_dir, "orchd", o->bin, "orchd");
	for (size_t i = 0; i < 3; i++)
		testrepo_program(bin_dir, "orch-test-fakerole", o->bin, roles[i]);
	fakes = testrepo_path(o->repo, "fakes");
	assert_int_equal(fd_mkdirs(fakes, 0755), 0);
	setenv("ORCH_FAKE_DIR", fakes, 1);
	free(fakes);
	setenv("ORCH_LINGER", "60", 1);
	setenv("ORCH_HEARTBEAT", "5", 1);
	setenv("ORCH_LOG", "debug", 1);
	return o;
}

void
orchd_script(struct orchd *o, const char *task, const char *commands)
{
	char flat[TASKID_MAX], *path;

	taskid_flat(flat, task);
	path = xasprintf("fakes/%s", flat);
	testrepo_write(o->repo, path, commands);
	free(path);
}

static void
on_log(evutil_socket_t fd, short what, void *arg)
{
	struct orchd *o = arg;
	char buf[4096];
	ssize_t n = fd_read((int)fd, buf, sizeof(buf));

	(void)what;
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		event_free(o->log_ev);
		o->log_ev = NULL;
		fd_close(&o->log_fd);
		return;
	}
	o->log = xrealloc(o->log, o->log_size + (size_t)n + 1);
	memcpy(o->log + o->log_size, buf, (size_t)n);
	o->log_size += (size_t)n;
	o->log[o->log_size] = '\0';
}

static void
on_exit_of_orchd(void *arg, pid_t pid, int status)
{
	struct orchd *o = arg;

	(void)pid;
	o->exited = true;
	o->status = status;
}

void
orchd_drop_log(struct orchd *o)
{
	if (o->log_ev != NULL)
		event_free(o->log_ev);
	o->log_ev = NULL;
	fd_close(&o->log_fd);
}

void
orchd_spawn(struct orchd *o, const char *const *args)
{
	char *path = xasprintf("%s/orchd", o->bin);
	const char *argv[8] = {path};
	struct child_spec spec;
	struct err e = {""};
	int p[2];

	for (size_t i = 0; args[i] != NULL; i++)
		argv[i + 1] = args[i];
	orchd_drop_log(o);
	o->log_size = 0;
	o->log[0] = '\0';
	o->exited = false;
	assert_int_equal(fd_pipe(p, true), 0);
	assert_int_equal(fcntl(p[1], F_SETFL, 0), 0);
	child_spec_init(&spec);
	spec.argv = argv;
	spec.cwd = o->repo->top;
	spec.fd_err = p[1];
	if (child_spawn(&spec, &o->pid, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	fd_close(&p[1]);
	o->log_fd = p[0];
	o->log_ev = event_new(o->repo->loop.base, p[0], EV_READ | EV_PERSIST, on_log, o);
	event_add(o->log_ev, NULL);
	loop_watch_child(&o->repo->loop, o->pid, on_exit_of_orchd, o);
	free(path);
}

void
orchd_await_log(struct orchd *o, const char *text)
{
	int64_t deadline = clock_now_ms() + ORCHD_DEADLINE_MS;

	while (strstr(o->log, text) == NULL) {
		if (clock_now_ms() > deadline || o->log_ev == NULL)
			fail_msg("orchd never logged \"%s\", but:\n%s", text, o->log);
		event_base_loop(o->repo->loop.base, EVLOOP_ONCE);
	}
}

void
orchd_start(struct orchd *o)
{
	const char *args[] = {NULL};

	orchd_spawn(o, args);
	orchd_await_log(o, " serves ");
}

int
orchd_await_exit(struct orchd *o)
{
	if (!pump(o, &o->exited))
		fail_msg("orchd does not end; its log:\n%s", o->log);
	o->pid = 0;
	/* What it wrote last; not to the end of the pipe, for a daemon it left may hold it open. */
	if (o->log_ev != NULL)
		event_base_loop(o->repo->loop.base, EVLOOP_NONBLOCK);
	return WIFEXITED(o->status) ? WEXITSTATUS(o->status) : 128 + WTERMSIG(o->status);
}

void
orchd_kill(struct orchd *o, int sig)
{
	assert_true(o->pid > 0);
	assert_int_equal(kill(o->pid, sig), 0);
}

bool
is_alive(pid_t pid)
{
	uint64_t ticks;

	return proc_start_time(pid, &ticks) == 0;
}

static void
on_gone(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
}

void
await_gone(struct orchd *o, pid_t pid)
{
	bool gone = false;
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct event *ev;

	if (fd < 0)
		return;
	ev = event_new(o->repo->loop.base, fd, EV_READ, on_gone, &gone);
	event_add(ev, NULL);
	if (!pump(o, &gone))
		fail_msg("pid %d lives on; orchd's log:\n%s", (int)pid, o->log);
	event_free(ev);
	fd_close(&fd);
}

static bool
any_child(void)
{
	pid_t *pids = NULL;
	int n = proc_children(getpid(), &pids), alive = 0;

	for (int i = 0; i < n; i++)
		alive += is_alive(pids[i]);
	free(pids);
	return alive > 0;
}

static void
on_stranger(struct loop *l, pid_t pid, int status, void *arg)
{
	(void)l;
	(void)pid;
	(void)status;
	((struct orchd *)arg)->news = true;
}

void
orchd_free(struct orchd *o)
{
	int64_t deadline;
	int left = 0;

	if (o->pid > 0 && !o->exited) {
		kill(o->pid, SIGTERM);
		if (!pump(o, &o->exited)) {
			kill(o->pid, SIGKILL);
			pump(o, &o->exited);
			left = 1;
		}
	}
	if (strstr(o->log, "BUG") != NULL)
		fail_msg("orchd found a bug:\n%s", o->log);
	/* What a killed orchd left falls to us and ends by itself, or does not. */
	loop_reap(&o->repo->loop);
	for (deadline = clock_now_ms() + LEAVE_MS; any_child() && clock_now_ms() < deadline; o->news = false)
		loop_wait(&o->repo->loop, &o->news, deadline);
	while (proc_kill_descendants(NULL, NULL) > 0) {
		left++;
		loop_reap(&o->repo->loop);
	}
	loop_reap(&o->repo->loop);
	if (left > 0)
		fail_msg("orchd left processes behind, or did not end:\n%s", o->log);
	orchd_drop_log(o);
	free(o->log);
	free(o->bin);
	repo_clear(&o->places);
	testrepo_free(o->repo);
	free(o);
}

/* Clients */

static void
on_hello(struct peer *p, const struct msg *hello, void *arg)
{
	struct caller *c = arg;
	struct msg m = {
	    .id = MSG_HELLO, .hello = {.proto = PROTO_VERSION, .role = "orchctl", .pid = (uint64_t)getpid()}};

	assert_string_equal(hello->hello.role, "orchd");
	peer_send(p, &m, NULL);
	c->greeted = true;
}

static void
on_msg(struct peer *p, const struct msg *m, void *arg)
{
	struct caller *c = arg;
	struct heard *h = xcalloc(1, sizeof(*h));

	(void)p;
	h->m = msg_dup(m);
	TAILQ_INSERT_TAIL(&c->all, h, entry);
	c->news = true;
}

static void
on_closed(struct peer *p, const char *why, void *arg)
{
	struct caller *c = arg;

	c->why = xstrdup(why);
	c->closed = c->news = true;
	peer_free(p);
	c->peer = NULL;
}

static const struct peer_ops ops = {.on_hello = on_hello, .on_msg = on_msg, .on_closed = on_closed};

struct caller *
caller_new(struct orchd *o)
{
	struct caller *c = xcalloc(1, sizeof(*c));
	struct peer_cfg cfg = {.loop = &o->repo->loop,
	    .self = WHO_CTL,
	    .them = WHO_ORCHD,
	    .ops = &ops,
	    .arg = c,
	    .trusted = true};
	struct err e = {""};

	c->o = o;
	TAILQ_INIT(&c->all);
	cfg.fd = peer_connect(o->places.socket, &e);
	if (cfg.fd < 0)
		fail_msg("%s; orchd's log:\n%s", e.msg, o->log);
	c->peer = peer_new(&cfg);
	if (!pump(o, &c->greeted))
		fail_msg("orchd sends no HELLO; its log:\n%s", o->log);
	return c;
}

void
caller_free(struct caller *c)
{
	struct heard *h;

	if (c == NULL)
		return;
	peer_free(c->peer);
	while ((h = TAILQ_FIRST(&c->all)) != NULL) {
		TAILQ_REMOVE(&c->all, h, entry);
		free(h->m);
		free(h);
	}
	free(c->why);
	free(c);
}

uint32_t
caller_send(struct caller *c, struct msg m)
{
	struct err e = {""};

	m.request = ++c->last_request;
	if (c->peer == NULL || peer_send(c->peer, &m, &e) < 0)
		fail_msg("cannot send %s: %s", msg_name(m.id), c->peer == NULL ? c->why : e.msg);
	return m.request;
}

/* What a wait looks for. */
struct wanted {
	enum msg_id id;
	uint32_t request;
	const char *a, *b, *c;
};

static bool
is_same(const char *want, const char *got)
{
	return want == NULL || (got != NULL && strcmp(want, got) == 0);
}

static bool
matches(const struct msg *m, const struct wanted *w)
{
	if (w->request != 0)
		return m->request == w->request && (m->id == MSG_ACK || m->id == MSG_ERROR ||
						       m->id == MSG_END || m->id == MSG_RUN_ACCEPTED);
	if (m->id != w->id)
		return false;
	if (m->id == MSG_EVENT_INFO)
		return is_same(w->a, m->event_info.kind) && is_same(w->b, m->event_info.task) &&
		       (w->c == NULL ||
			   (m->event_info.text != NULL && strstr(m->event_info.text, w->c) != NULL));
	if (m->id == MSG_TASK_INFO)
		return is_same(w->a, m->task_info.task) && is_same(w->b, m->task_info.state) &&
		       is_same(w->c, m->task_info.unit);
	if (m->id == MSG_DAEMON_INFO)
		return true;
	return is_same(w->a, m->run_info.run) && is_same(w->b, m->run_info.state);
}

static const struct msg *
find(struct caller *c, const struct wanted *w)
{
	struct heard *h =
	    c->seen == NULL || w->request != 0 ? TAILQ_FIRST(&c->all) : TAILQ_NEXT(c->seen, entry);

	for (; h != NULL; h = TAILQ_NEXT(h, entry))
		if (matches(h->m, w)) {
			if (w->request == 0)
				c->seen = h;
			return h->m;
		}
	return NULL;
}

static void
give_up(struct caller *c, const struct wanted *w)
{
	struct heard *h;
	char text[400];

	TAILQ_FOREACH (h, &c->all, entry)
		fprintf(
		    stderr, "  %s%s\n", msg_text(h->m, text, sizeof(text)), h == c->seen ? "  <-- seen" : "");
	fail_msg("no %s (request %u) with %s, %s, %s came%s%s; see the messages above; orchd's log:\n%s",
	    w->request != 0 ? "answer" : msg_name(w->id), w->request, w->a == NULL ? "-" : w->a,
	    w->b == NULL ? "-" : w->b, w->c == NULL ? "-" : w->c, c->closed ? ", and it closed: " : "",
	    c->closed ? c->why : "", c->o->log);
}

static const struct msg *
await(struct caller *c, struct wanted w)
{
	int64_t deadline = clock_now_ms() + ORCHD_DEADLINE_MS;
	const struct msg *m;

	while ((m = find(c, &w)) == NULL) {
		c->news = false;
		if (c->closed || loop_wait(&c->o->repo->loop, &c->news, deadline) < 0)
			give_up(c, &w);
	}
	return m;
}

const struct msg *
caller_answer(struct caller *c, uint32_t request)
{
	return await(c, (struct wanted){.request = request});
}

const struct msg *
caller_ask(struct caller *c, struct msg m)
{
	return caller_answer(c, caller_send(c, m));
}

void
caller_watch(struct caller *c)
{
	struct msg m = {.id = MSG_STATUS, .status = {.watch = true}};
	const struct msg *answer = caller_ask(c, m);

	assert_int_equal(answer->id, MSG_END);
}

char *
caller_submit(struct caller *c, const char *issue, const char *options)
{
	struct msg m = {.id = MSG_RUN_SUBMIT,
	    .run_submit = {.issue = issue,
		.title = "Build a calculator",
		.body = "Build a functional calculator",
		.base = "2222222222222222222222222222222222222222",
		.options_json = options == NULL ? "{}" : options}};
	const struct msg *answer = caller_ask(c, m);

	if (answer->id != MSG_RUN_ACCEPTED)
		fail_msg("the run was refused: %s", answer->id == MSG_ERROR ? answer->error.text : "?");
	return xstrdup(answer->run_accepted.run);
}

pid_t
caller_daemon_pid(struct caller *c)
{
	caller_ask(c, (struct msg){.id = MSG_STATUS});
	return (pid_t)await(c, (struct wanted){.id = MSG_DAEMON_INFO})->daemon_info.pid;
}

const struct msg_event_info *
caller_await_event(struct caller *c, const char *kind, const char *task, const char *text)
{
	return &await(c, (struct wanted){.id = MSG_EVENT_INFO, .a = kind, .b = task, .c = text})->event_info;
}

const struct msg_task_info *
caller_await_task(struct caller *c, const char *task, const char *state, const char *unit)
{
	return &await(c, (struct wanted){.id = MSG_TASK_INFO, .a = task, .b = state, .c = unit})->task_info;
}

const struct msg_run_info *
caller_await_run(struct caller *c, const char *run, const char *state)
{
	return &await(c, (struct wanted){.id = MSG_RUN_INFO, .a = run, .b = state})->run_info;
}

void
caller_rewind(struct caller *c)
{
	c->seen = NULL;
}

void
caller_await_close(struct caller *c)
{
	if (!pump(c->o, &c->closed))
		fail_msg("orchd keeps the connection; its log:\n%s", c->o->log);
}
