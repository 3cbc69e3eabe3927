/* cmd: a child with its pipes on the loop, awaited by the caller (see cmd.h). */
#include "common/cmd.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/proc.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_WAIT_MS 5000
#define DRAIN_TURNS 128 /* * 16 KiB: more than a pipe holds (1 MiB at most, pipe(7)) */

/* One output pipe: keeps the first or the last max bytes. */
struct sink {
	int fd;
	struct event *ev;
	char *data; /* grows as it fills; one byte more than room */
	size_t size, room, max;
	bool keep_tail, truncated;
};

struct running {
	pid_t pid;
	int exec_fd; /* gives EOF at exec, or why it failed */
	struct sink out, err;
	int in_fd;
	struct event *in_ev;
	const char *in;
	size_t in_left;
	struct ptree *tree; /* NULL: one of ours, swept */
	bool exited, timed_out;
	bool news; /* it exited, or its tree is over a ceiling */
	int status;
};

/* Room for n more bytes, or up to the limit. */
static void
sink_grow(struct sink *k, size_t n)
{
	size_t want = n < k->max - k->size ? k->size + n : k->max;

	if (want <= k->room)
		return;
	k->room = want < k->max / 2 ? want * 2 : k->max;
	k->data = xrealloc(k->data, k->room + 1);
}

static void
sink_add(struct sink *k, const char *data, size_t n)
{
	size_t room = k->max - k->size;

	sink_grow(k, n);
	if (n > room)
		k->truncated = true;
	if (!k->keep_tail) {
		size_t take = n < room ? n : room;

		memcpy(k->data + k->size, data, take);
		k->size += take;
		return;
	}
	if (n >= k->max) {
		memcpy(k->data, data + n - k->max, k->max);
		k->size = k->max;
		return;
	}
	if (n > room) {
		memmove(k->data, k->data + (n - room), k->size - (n - room));
		k->size -= n - room;
	}
	memcpy(k->data + k->size, data, n);
	k->size += n;
}

/* Reads what is there, but never for ever: who floods must not keep the loop from its timers. */
static void
sink_drain(struct sink *k)
{
	char buf[16384];

	for (int turns = 0; k->fd >= 0 && turns < DRAIN_TURNS; turns++) {
		ssize_t n = fd_read(k->fd, buf, sizeof(buf));

		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			event_del(k->ev);
			fd_close(&k->fd);
			return;
		}
		sink_add(k, buf, (size_t)n);
	}
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	sink_drain(arg);
}

static int
sink_open(struct sink *k, struct loop *l, size_t max, bool keep_tail, int *write_end)
{
	int fds[2], rc = fd_pipe(fds, false);

	if (rc < 0)
		return rc;
	fd_set_nonblock(fds[0]);
	k->fd = fds[0];
	*write_end = fds[1];
	k->max = max;
	k->keep_tail = keep_tail;
	k->data = xmalloc(1);
	k->ev = event_new(l->base, k->fd, EV_READ | EV_PERSIST, on_readable, k);
	event_add(k->ev, NULL);
	return 0;
}

static void
sink_close(struct sink *k)
{
	if (k->ev != NULL)
		event_free(k->ev);
	k->ev = NULL;
	fd_close(&k->fd);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct running *run = arg;
	ssize_t n = write(fd, run->in, run->in_left);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		run->in += n;
		run->in_left -= (size_t)n;
	}
	if (n < 0 || run->in_left == 0) { /* all sent, or it closed its stdin: its exit status will tell */
		event_free(run->in_ev);
		run->in_ev = NULL;
		fd_close(&run->in_fd);
	}
}

static void
on_exit_status(void *arg, pid_t pid, int status)
{
	struct running *run = arg;

	(void)pid;
	run->exited = run->news = true;
	run->status = status;
}

static int
open_input(struct running *run, struct loop *l, const struct cmd_spec *s, int *read_end)
{
	int fds[2], rc;

	if (s->in == NULL)
		return 0;
	rc = fd_pipe(fds, false);
	if (rc < 0)
		return rc;
	fd_set_nonblock(fds[1]);
	*read_end = fds[0];
	run->in_fd = fds[1];
	run->in = s->in;
	run->in_left = s->in_size;
	if (run->in_left == 0) {
		fd_close(&run->in_fd);
		return 0;
	}
	run->in_ev = event_new(l->base, run->in_fd, EV_WRITE | EV_PERSIST, on_writable, run);
	event_add(run->in_ev, NULL);
	return 0;
}

int
cmd_sweep(struct loop *l)
{
	int64_t deadline = clock_now_ms() + KILL_WAIT_MS;
	const bool never = false;

	while (proc_kill_descendants(NULL, NULL) > 0) {
		int rc;

		loop_reap(l);
		if (clock_now_ms() > deadline)
			return -ETIMEDOUT;
		l->stop_masked++;
		rc = loop_wait(l, &never, clock_now_ms() + 5);
		l->stop_masked--;
		if (rc != -ETIMEDOUT)
			return rc;
	}
	loop_reap(l);
	return 0;
}

static int
exec_error(int exec_fd)
{
	int code = 0;

	return fd_read(exec_fd, &code, sizeof(code)) == (ssize_t)sizeof(code) ? -code : 0;
}

static void
finish(struct running *run, const struct cmd_spec *s, struct cmd_result *r)
{
	r->status = run->status;
	r->timed_out = run->timed_out;
	r->over = (struct ptree_over){0};
	if (run->tree != NULL && ptree_is_over(run->tree) != NULL)
		r->over = *ptree_is_over(run->tree);
	r->truncated = run->out.truncated;
	r->out = run->out.data;
	r->out_size = run->out.size;
	r->out[r->out_size] = '\0';
	r->err = s->merge_err ? xstrdup("") : run->err.data;
	r->err_size = run->err.size;
	r->err[r->err_size] = '\0';
}

/* Opens what the command needs into cs and run. */
static int
open_ends(struct running *run, struct loop *l, const struct cmd_spec *s, struct child_spec *cs, struct err *e)
{
	int rc = open_input(run, l, s, &cs->fd_in);

	if (rc == 0)
		rc = sink_open(&run->out, l, s->out_max, s->merge_err, &cs->fd_out);
	if (rc == 0 && !s->merge_err)
		rc = sink_open(&run->err, l, s->err_max, true, &cs->fd_err);
	if (rc < 0)
		return err_sys(e, rc, "cannot start %s", s->argv[0]);
	if (s->lock_path != NULL) {
		cs->lock_fd = open(s->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (cs->lock_fd < 0)
			return err_sys(e, -errno, "cannot open %s", s->lock_path);
	}
	return 0;
}

static int
start(struct running *run, struct loop *l, const struct cmd_spec *s, struct err *e)
{
	struct child_spec cs;
	int rc, err_fd;

	child_spec_init(&cs);
	cs.argv = s->argv;
	cs.death_signal = s->death_signal;
	cs.env = s->env;
	cs.cwd = s->cwd;
	cs.session = true;
	cs.death_signal = SIGKILL;
	if (s->give_fd > 0)
		cs.fd_link = s->give_fd;
	rc = open_ends(run, l, s, &cs, e);
	err_fd = cs.fd_err;
	if (s->merge_err)
		cs.fd_err = cs.fd_out;
	if (rc == 0 && s->tree)
		run->tree = ptree_new(l, l->trees, &cs);
	if (rc == 0)
		rc = child_spawn(&cs, &run->pid, &run->exec_fd, e);
	if (rc == 0 && run->tree != NULL)
		ptree_started(run->tree, run->pid, &run->news);
	fd_close(&cs.fd_in);
	fd_close(&cs.fd_out);
	fd_close(&err_fd);
	fd_close(&cs.lock_fd);
	return rc;
}

/*
 * Waits for its end, and makes one. 0, also when it was late; -ECANCELED; -ETIMEDOUT when it cannot even be
 * killed: it is stuck in the kernel, and we have other things to do.
 */
static int
wait_for_end(struct running *run, struct loop *l, int64_t deadline_ms)
{
	int rc = loop_wait(l, &run->news, deadline_ms), stuck;

	if (run->exited)
		return rc;
	run->timed_out = rc == -ETIMEDOUT;
	kill(-run->pid, SIGKILL);
	kill(run->pid, SIGKILL); /* it may not lead its session yet */
	l->stop_masked++;
	stuck = loop_wait(l, &run->exited, clock_now_ms() + KILL_WAIT_MS);
	l->stop_masked--;
	if (!run->exited) {
		loop_unwatch_child(l, run->pid);
		return stuck;
	}
	return run->timed_out ? 0 : rc;
}

static void
close_ends(struct running *run)
{
	if (run->in_ev != NULL)
		event_free(run->in_ev);
	fd_close(&run->in_fd);
	fd_close(&run->exec_fd);
	sink_close(&run->out);
	sink_close(&run->err);
}

int
cmd_run(struct loop *l, const struct cmd_spec *s, struct cmd_result *r, struct err *e)
{
	struct running run = {.pid = -1, .in_fd = -1, .exec_fd = -1, .out.fd = -1, .err.fd = -1};
	int64_t began = clock_now_ms();
	int rc = start(&run, l, s, e);

	if (rc == 0) {
		loop_watch_child(l, run.pid, on_exit_status, &run);
		rc = wait_for_end(&run, l, s->timeout_ms > 0 ? began + s->timeout_ms : -1);
		if (run.tree != NULL)
			ptree_end(run.tree);
		else if (l->reaper)
			cmd_sweep(l);
		sink_drain(&run.out);
		sink_drain(&run.err);
		if (rc < 0)
			err_set(e, rc, "%s %s", s->argv[0],
			    rc == -ETIMEDOUT ? "does not end, not even when killed" : "was interrupted");
		else if ((rc = exec_error(run.exec_fd)) < 0)
			err_sys(e, rc, "cannot start %s", s->argv[0]);
	}
	close_ends(&run);
	if (rc < 0) {
		free(run.out.data);
		free(run.err.data);
		ptree_free(run.tree);
		return rc;
	}
	finish(&run, s, r);
	ptree_free(run.tree);
	r->duration_ms = clock_now_ms() - began;
	return 0;
}

void
cmd_result_clear(struct cmd_result *r)
{
	free(r->out);
	free(r->err);
	memset(r, 0, sizeof(*r));
}

bool
cmd_ok(const struct cmd_result *r)
{
	return !r->timed_out && r->over.what == PTREE_WITHIN && WIFEXITED(r->status) &&
	       WEXITSTATUS(r->status) == 0;
}
