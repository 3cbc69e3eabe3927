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

/* One output pipe: keeps the first or the last max bytes. */
struct sink {
	int fd;
	struct event *ev;
	char *data;
	size_t size, max;
	bool keep_tail, truncated;
};

struct running {
	struct sink out, err;
	int in_fd;
	struct event *in_ev;
	const char *in;
	size_t in_left;
	bool exited;
	int status;
};

static void
sink_add(struct sink *k, const char *data, size_t n)
{
	size_t room = k->max - k->size;

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

static void
sink_drain(struct sink *k)
{
	char buf[16384];

	while (k->fd >= 0) {
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
	k->data = xmalloc(max + 1);
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
	run->exited = true;
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
	int64_t deadline = clock_now_ms() + 5000;
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
	r->truncated = run->out.truncated;
	r->out = run->out.data;
	r->out_size = run->out.size;
	r->out[r->out_size] = '\0';
	r->err = s->merge_err ? xstrdup("") : run->err.data;
	r->err_size = run->err.size;
	r->err[r->err_size] = '\0';
}

int
cmd_run(struct loop *l, const struct cmd_spec *s, struct cmd_result *r, struct err *e)
{
	struct running run = {.in_fd = -1, .out.fd = -1, .err.fd = -1};
	struct cmd_result result = {0};
	struct child_spec cs;
	int64_t start = clock_now_ms();
	int exec_fd = -1, rc, wait_rc;
	pid_t pid = -1;

	child_spec_init(&cs);
	cs.argv = s->argv;
	cs.env = s->env;
	cs.cwd = s->cwd;
	cs.session = true;
	cs.death_signal = SIGKILL;
	rc = open_input(&run, l, s, &cs.fd_in);
	if (rc == 0)
		rc = sink_open(&run.out, l, s->out_max, s->merge_err, &cs.fd_out);
	if (rc == 0 && !s->merge_err)
		rc = sink_open(&run.err, l, s->err_max, true, &cs.fd_err);
	if (rc == 0 && s->lock_path != NULL) {
		cs.lock_fd = open(s->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (cs.lock_fd < 0)
			rc = err_sys(e, -errno, "cannot open %s", s->lock_path);
	}
	if (rc == 0) {
		int err_fd = cs.fd_err;

		if (s->merge_err)
			cs.fd_err = cs.fd_out;
		rc = child_spawn(&cs, &pid, &exec_fd, e);
		cs.fd_err = err_fd;
	} else if (e != NULL && e->msg[0] == '\0') {
		err_sys(e, rc, "cannot start %s", s->argv[0]);
	}
	fd_close(&cs.fd_in);
	fd_close(&cs.fd_out);
	fd_close(&cs.fd_err);
	fd_close(&cs.lock_fd);
	if (rc < 0)
		goto out;

	loop_watch_child(l, pid, on_exit_status, &run);
	wait_rc = loop_wait(l, &run.exited, s->timeout_ms > 0 ? start + s->timeout_ms : -1);
	if (!run.exited) {
		kill(-pid, SIGKILL);
		l->stop_masked++;
		rc = loop_wait(l, &run.exited, clock_now_ms() + 5000);
		l->stop_masked--;
		assert(rc == 0);
		result.timed_out = wait_rc == -ETIMEDOUT;
	}
	if (l->reaper)
		cmd_sweep(l);
	sink_drain(&run.out);
	if (!s->merge_err)
		sink_drain(&run.err);
	rc = wait_rc == -ETIMEDOUT ? 0 : wait_rc;
	if (rc == 0) {
		rc = exec_error(exec_fd);
		if (rc < 0)
			err_sys(e, rc, "cannot start %s", s->argv[0]);
	} else {
		err_sys(e, rc, "%s was interrupted", s->argv[0]);
	}
out:
	if (run.in_ev != NULL)
		event_free(run.in_ev);
	fd_close(&run.in_fd);
	fd_close(&exec_fd);
	sink_close(&run.out);
	sink_close(&run.err);
	if (rc < 0) {
		free(run.out.data);
		free(run.err.data);
		return rc;
	}
	finish(&run, s, &result);
	result.duration_ms = clock_now_ms() - start;
	*r = result;
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
	return !r->timed_out && WIFEXITED(r->status) && WEXITSTATUS(r->status) == 0;
}
