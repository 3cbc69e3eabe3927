/*
 * agent: one attempt from fork to an empty process tree (see agent.h). Callbacks write down what they saw;
 * run_to_end decides. How the program is called is agent_env.c's, what its end means agent_judge.c's.
 */
#include "common/agent.h"
#include "common/agent_impl.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/cmd.h"
#include "common/endpoint.h"
#include "common/fd.h"
#include "common/json.h"
#include "common/redact.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_MAX (64 << 20)
#define EXIT_GRACE_MS 10000
#define TERM_LOOK_MS 100
#define TERM_GRACE_MS 3000
#define KILL_WAIT_MS 5000
#define READS_PER_TURN 16    /* a flood must not keep the timers from running */
#define DRAIN_MAX (4u << 20) /* what a pipe can hold, and more */

struct attempt {
	struct loop *loop;
	const struct agent_spec *spec;
	struct agent_record record;
	pid_t pid;
	struct ptree *tree; /* of its processes */
	int in_fd, out_fd, err_fd, log_fd;
	off_t log_size;
	struct redact_stream log, err; /* on their way to the log, and to the tail of stderr */
	struct event *in_ev, *out_ev, *err_ev;
	const char *prompt;
	size_t prompt_left;
	bool exited;
	bool news;         /* something moved a deadline: look again */
	int64_t result_ms; /* first result; 0: none yet */
};

static void
close_end(int *fd, struct event **ev)
{
	if (*ev != NULL)
		event_free(*ev);
	*ev = NULL;
	fd_close(fd);
}

/* Events. */

static void
note_last(struct agent_record *r, const struct stream_event *ev)
{
	const char *what[] = {[STREAM_STARTED] = "started",
	    [STREAM_TEXT] = "said",
	    [STREAM_TOOL] = "used the tool",
	    [STREAM_TOOL_END] = "a tool ended",
	    [STREAM_RETRYING] = "retried its endpoint",
	    [STREAM_RESULT] = "gave a result",
	    [STREAM_LIMITED] = "reached its rate limit",
	    [STREAM_OTHER] = NULL,
	    [STREAM_GARBAGE] = "wrote something unreadable"};
	bool tool = ev->kind == STREAM_TOOL || ev->kind == STREAM_TOOL_END;
	const char *text = ev->kind == STREAM_RESULT ? NULL : ev->text;

	if (what[ev->kind] == NULL) {
		if (r->last[0] == '\0')
			snprintf(r->last, sizeof(r->last), "a line without meaning to us");
		return;
	}
	snprintf(r->last, sizeof(r->last), "%s%s%s%s%.160s", what[ev->kind], tool ? " " : "",
	    tool && ev->tool != NULL ? ev->tool : "", text != NULL ? ": " : "", text != NULL ? text : "");
}

static void
on_event(void *arg, const struct stream_event *ev)
{
	struct attempt *a = arg;
	struct agent_record *r = &a->record;

	note_last(r, ev);
	if (ev->kind == STREAM_RETRYING) {
		r->retry_attempt = ev->attempt;
		r->retry_max = ev->max;
		snprintf(r->retry_error, sizeof(r->retry_error), "%s", ev->error != NULL ? ev->error : "");
	}
	if (ev->kind == STREAM_RESULT && a->result_ms == 0)
		a->result_ms = clock_now_ms();
	if (r->stream.open_tools == 0)
		a->news = true;
	if (a->spec->on_event != NULL)
		a->spec->on_event(a->spec->arg, ev);
}

static void
on_exit_status(void *arg, pid_t pid, int status)
{
	struct attempt *a = arg;

	(void)pid;
	a->exited = a->news = true;
	a->record.status = status;
}

/* Pipes. */

static void
on_line(void *arg, const char *line, size_t size)
{
	struct attempt *a = arg;

	if (a->log_fd < 0 || (off_t)size + 1 > LOG_MAX - a->log_size)
		return;
	a->log_size += (off_t)size + 1;
	redact_stream_feed(&a->log, line, size);
	redact_stream_feed(&a->log, "\n", 1);
}

/* What may be kept of it. */
static void
write_log(void *arg, const char *data, size_t size)
{
	struct attempt *a = arg;

	/* a full disk must not fail the attempt */
	if (a->log_fd >= 0 && fd_write_all(a->log_fd, data, size) < 0)
		fd_close(&a->log_fd);
}

static void
keep_stderr(void *arg, const char *data, size_t size)
{
	struct agent_record *r = arg;
	size_t drop;

	if (size > AGENT_STDERR_MAX) {
		data += size - AGENT_STDERR_MAX;
		size = AGENT_STDERR_MAX;
	}
	drop = r->err_size + size > AGENT_STDERR_MAX ? r->err_size + size - AGENT_STDERR_MAX : 0;
	memmove(r->err, r->err + drop, r->err_size - drop);
	memcpy(r->err + r->err_size - drop, data, size);
	r->err_size += size - drop;
	r->err[r->err_size] = '\0';
}

/* One read; false when there is nothing more now, or ever. */
static bool
read_some(struct attempt *a, int *fd, struct event **ev, bool is_err)
{
	char buf[65536];
	ssize_t n = *fd < 0 ? -EAGAIN : fd_read(*fd, buf, sizeof(buf));

	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		close_end(fd, ev);
		return false;
	}
	if (is_err) {
		redact_stream_feed(&a->err, buf, (size_t)n);
	} else {
		a->record.last_ms = clock_now_ms();
		stream_feed(&a->record.stream, buf, (size_t)n);
	}
	return true;
}

static void
on_stdout(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *a = arg;

	(void)fd;
	(void)what;
	for (int i = 0; i < READS_PER_TURN && read_some(a, &a->out_fd, &a->out_ev, false); i++)
		continue;
}

static void
on_stderr(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *a = arg;

	(void)fd;
	(void)what;
	for (int i = 0; i < READS_PER_TURN && read_some(a, &a->err_fd, &a->err_ev, true); i++)
		continue;
}

static void
on_stdin(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *a = arg;
	ssize_t n = write(fd, a->prompt, a->prompt_left);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		a->prompt += n;
		a->prompt_left -= (size_t)n;
	}
	if (n < 0 || a->prompt_left == 0) /* all sent, or it does not want it: its result will tell */
		close_end(&a->in_fd, &a->in_ev);
}

static struct event *
watch(struct attempt *a, int fd, short what, event_callback_fn fn)
{
	struct event *ev = event_new(a->loop->base, fd, what | EV_PERSIST, fn, a);

	fd_set_nonblock(fd);
	if (ev == NULL || event_add(ev, NULL) < 0)
		abort(); /* out of memory: epoll takes every pipe */
	return ev;
}

static void
open_log(struct attempt *a)
{
	struct stat st;

	if (a->spec->log_path == NULL)
		return;
	a->log_fd = open(a->spec->log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (a->log_fd >= 0 && fstat(a->log_fd, &st) == 0)
		a->log_size = st.st_size;
}

/* Starts it with its pipes on the loop. Closing what was opened is agent_run's. */
static int
start(struct attempt *a, struct err *e)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1}, rc;
	char **argv = NULL, **env = NULL;
	struct child_spec cs;

	rc = agent_prepare(a->spec, &argv, &env, e);
	if (rc < 0)
		return rc;
	child_spec_init(&cs);
	cs.argv = (const char *const *)argv;
	cs.env = (const char *const *)env;
	cs.cwd = a->spec->cwd;
	cs.session = true;
	cs.death_signal = SIGTERM; /* on TERM the CLI takes its running tool along, on KILL it cannot */
	if ((rc = fd_pipe(in, false)) < 0 || (rc = fd_pipe(out, false)) < 0 ||
	    (rc = fd_pipe(err, false)) < 0) {
		err_sys(e, rc, "cannot start %s", argv[0]);
		goto out;
	}
	cs.fd_in = in[0];
	cs.fd_out = out[1];
	cs.fd_err = err[1];
	a->tree = ptree_new(a->loop, a->loop->trees, &cs);
	rc = child_spawn(&cs, &a->pid, NULL, e);
	if (rc == 0)
		ptree_started(a->tree, a->pid, &a->news);
out:
	a->in_fd = in[1];
	a->out_fd = out[0];
	a->err_fd = err[0];
	fd_close(&in[0]);
	fd_close(&out[1]);
	fd_close(&err[1]);
	strv_free(argv);
	strv_free(env);
	return rc;
}

static int64_t
or_default(int64_t ms, int64_t fallback)
{
	return ms > 0 ? ms : fallback;
}

/* The next moment at which something would have to be done, and what that would be. */
static int64_t
next_deadline(const struct attempt *a, enum agent_stop *why)
{
	const struct agent_spec *s = a->spec;
	int64_t total = a->record.start_ms + s->timeout_ms, silent = a->record.last_ms + s->silence_ms;

	if (a->result_ms != 0) {
		*why = AGENT_STOP_LINGER;
		return a->result_ms + or_default(s->exit_grace_ms, EXIT_GRACE_MS);
	}
	if (s->silence_ms > 0 && a->record.stream.open_tools == 0 && (s->timeout_ms <= 0 || silent < total)) {
		*why = AGENT_STOP_SILENT;
		return silent;
	}
	*why = AGENT_STOP_TIMEOUT;
	return s->timeout_ms > 0 ? total : -1;
}

/* Waits until it has left or has to be ended. */
static enum agent_stop
await(struct attempt *a)
{
	for (;;) {
		enum agent_stop why;
		int64_t deadline = next_deadline(a, &why);
		int rc;

		if (a->exited)
			return AGENT_STOP_NONE;
		if (ptree_is_over(a->tree) != NULL)
			return AGENT_STOP_CEILING;
		a->news = false;
		rc = loop_wait(a->loop, &a->news, deadline);
		if (rc == -ETIMEDOUT && next_deadline(a, &why) <= clock_now_ms())
			return why;
		if (rc < 0 && rc != -ETIMEDOUT)
			return AGENT_STOP_CANCEL;
	}
}

/* Whoever stops us for good kills us after a while: there must be time left to save what the agent did. */
static int64_t
term_grace_ms(const struct attempt *a)
{
	int64_t ms = or_default(a->spec->term_grace_ms, TERM_GRACE_MS), ours = a->loop->stop_grace_ms;

	return ours > 0 && ours / 8 * 3 < ms ? ours / 8 * 3 : ms;
}

/* TERM, grace, KILL. CONT because a stopped process takes no TERM. One that takes too much gets no grace, in
 * which it would take more. */
static void
end_it(struct attempt *a)
{
	a->loop->stop_masked++;
	kill(-a->pid, a->record.stopped == AGENT_STOP_CEILING ? SIGKILL : SIGTERM);
	kill(-a->pid, SIGCONT);
	/* In pieces: how long we have ourselves may be told only now. */
	for (int64_t from = clock_now_ms(), now = from; !a->exited && now < from + term_grace_ms(a);
	     now = clock_now_ms())
		loop_wait(a->loop, &a->exited, now + TERM_LOOK_MS);
	if (!a->exited) {
		a->record.killed = true;
		kill(-a->pid, SIGKILL);
		loop_wait(a->loop, &a->exited, clock_now_ms() + KILL_WAIT_MS);
	}
	a->loop->stop_masked--;
}

static void
drain(struct attempt *a)
{
	size_t limit = DRAIN_MAX / 4096; /* reads; one may bring little */

	while (limit-- > 0 && read_some(a, &a->out_fd, &a->out_ev, false))
		continue;
	for (limit = DRAIN_MAX / 4096; limit > 0 && read_some(a, &a->err_fd, &a->err_ev, true); limit--)
		continue;
	stream_end(&a->record.stream);
	redact_stream_end(&a->err);
	redact_stream_end(&a->log);
}

static void
run_to_end(struct attempt *a)
{
	a->in_ev = watch(a, a->in_fd, EV_WRITE, on_stdin);
	a->out_ev = watch(a, a->out_fd, EV_READ, on_stdout);
	a->err_ev = watch(a, a->err_fd, EV_READ, on_stderr);
	loop_watch_child(a->loop, a->pid, on_exit_status, a);
	a->record.stopped = await(a);
	a->record.end_ms = clock_now_ms();
	if (!a->exited)
		end_it(a);
	if (!a->exited)
		loop_unwatch_child(a->loop, a->pid); /* stuck in the kernel: it dies when that lets go */
	ptree_end(a->tree);
	if (ptree_is_over(a->tree) != NULL) { /* as the kernel may say when all is over */
		a->record.over = *ptree_is_over(a->tree);
		if (a->record.stopped == AGENT_STOP_NONE)
			a->record.stopped = AGENT_STOP_CEILING;
	}
	drain(a);
}

/* Ends that may be the endpoint's doing; without a retry only where somebody chose the endpoint. */
static bool
smells_of_endpoint(enum agent_end end, const struct agent_record *r, bool chosen)
{
	if (end == AGENT_SILENT || end == AGENT_TIMEOUT || end == AGENT_NO_RESULT)
		return r->stream.retries > 0 || (chosen && r->stream.lines > 0);
	return end == AGENT_ENDPOINT;
}

/* What a look at its endpoint finds now, as a sentence; NULL: none was taken. */
static char *
look_at_endpoint(struct attempt *a, enum agent_end end)
{
	bool chosen;
	const char *url = agent_base_url(a->spec->env, &chosen);
	struct endpoint found;
	struct err e = {""};

	if (!smells_of_endpoint(end, &a->record, chosen) || endpoint_probe(a->loop, url, &found, &e) < 0)
		return NULL;
	return endpoint_text(&found);
}

static void
explain(struct attempt *a, struct agent_outcome *o)
{
	char *probe = look_at_endpoint(a, o->end);

	o->reason = agent_explain(a->spec, &a->record, o->end, probe);
	free(probe);
}

static int
not_started(struct agent_outcome *o, const struct err *e)
{
	o->end = AGENT_NOT_STARTED;
	o->reason = xasprintf("The agent could not be started: %s.", e->msg);
	return 0;
}

static void
drop_strings(struct agent_outcome *o)
{
	xreplace(&o->reason, NULL);
	xreplace(&o->text, NULL);
	xreplace(&o->structured, NULL);
	xreplace(&o->denied, NULL);
}

int
agent_run(struct loop *l, const struct agent_spec *s, struct agent_outcome *o, struct err *e)
{
	struct attempt *a = xcalloc(1, sizeof(*a));
	struct redact *redact = redact_ref(s->redact); /* other keys may come while the agent runs */
	struct err why = {""};
	char *tmp;
	int rc;

	memset(o, 0, sizeof(*o));
	a->loop = l;
	a->spec = s;
	a->in_fd = a->out_fd = a->err_fd = a->log_fd = -1;
	a->prompt = s->prompt;
	a->prompt_left = strlen(s->prompt);
	a->record.start_ms = a->record.last_ms = clock_now_ms();
	stream_init(&a->record.stream, on_event, a);
	a->record.stream.line_fn = on_line;
	a->log = (struct redact_stream){.r = s->redact, .sink = write_log, .arg = a};
	a->err = (struct redact_stream){.r = s->redact, .sink = keep_stderr, .arg = &a->record};
	open_log(a);
	rc = start(a, &why);
	if (rc < 0) {
		rc = not_started(o, &why);
	} else {
		run_to_end(a);
		agent_judge(s, &a->record, o);
		if (o->end != AGENT_OK && a->record.stopped != AGENT_STOP_CANCEL)
			explain(a, o);
		if (a->record.stopped == AGENT_STOP_CANCEL) {
			drop_strings(o);
			rc = err_set(e, -ECANCELED, "the agent was stopped");
		}
	}
	close_end(&a->in_fd, &a->in_ev);
	close_end(&a->out_fd, &a->out_ev);
	close_end(&a->err_fd, &a->err_ev);
	fd_close(&a->log_fd);
	ptree_free(a->tree);
	stream_clear(&a->record.stream);
	redact_free(redact);
	free(a);
	tmp = agent_tmpdir(s->home);
	rmdir(tmp); /* kept only when it holds something */
	free(tmp);
	return rc;
}

void
agent_outcome_clear(struct agent_outcome *o)
{
	drop_strings(o);
	memset(o, 0, sizeof(*o));
}
