/* rolehost: see rolehost.h. Messages are queued by the peer's callback and handled at the top level, where
 * git may be run. */
#include "tests/helper/lib/rolehost.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/cmd.h"
#include "common/proc.h"
#include "common/taskid.h"
#include "proto/msg.h"
#include "proto/peer.h"
#include "proto/perms.h"
#include "tests/helper/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 60000 /* a test that waits so long has failed */

void
host_set(const char **slot, const char *value)
{
	free((char *)*slot);
	*slot = xstrdup(value);
}

static char *
make_options(const struct testrepo *t, const char *bin_dir, const char *verify)
{
	char *scripts = xasprintf("%s/scripts", t->root), *agent = xasprintf("%s/orch-test-agent", bin_dir);
	json_t *o = json_pack("{s:s, s:{s:s}}", "agent", agent, "agent_env", "ORCH_AGENT_SCRIPTS", scripts);
	char *text;

	if (verify != NULL)
		json_object_set_new(o, "verify", json_string(verify));
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	free(scripts);
	free(agent);
	return text;
}

struct rolehost *
host_new(enum proto_who who, const char *bin_dir, const char *task, const char *key, const char *verify)
{
	struct rolehost *f = xcalloc(1, sizeof(*f));
	struct msg_assign *a = &f->a;

	f->repo = testrepo_new();
	f->who = who;
	f->program = xasprintf("%s/orch-%s", bin_dir, perms_who_name(who));
	f->story = xstrdup("");
	a->run = xstrndup(task, strcspn(task, "/"));
	a->task = xstrdup(task);
	a->key = xstrdup(key);
	a->title = xstrdup("A task");
	a->goal = xstrdup("The goal of the task.");
	a->run_title = xstrdup("A run");
	a->owns_json = xstrdup("[\"src/**\"]");
	a->state = xstrdup("running");
	a->attempt = 1;
	a->git_dir = xstrdup(f->repo->git_dir);
	a->state_dir = xasprintf("%s/" HOST_STATE_DIR, f->repo->root);
	a->log_dir = xasprintf("%s/logs", f->repo->root);
	a->options_json = make_options(f->repo, bin_dir, verify);
	testrepo_write(f->repo, HOST_STATE_DIR "/x", "");
	testrepo_write(f->repo, "logs/x", "");
	/* Strays of a killed role fall back to us. The loop must not think that all below it are its own: it
	 * would kill the role with every git that a test runs. */
	assert_int_equal(proc_become_subreaper(), 0);
	setenv("ORCH_INSTANCE", "0123456789abcdef", 1);
	setenv("ORCH_TASK", task, 1);
	return f;
}

static void
clear_child(struct host_child *c)
{
	free(c->task);
	free(c->key);
	free(c->title);
	free(c->goal);
	free(c->state);
	free(c->branch);
	free(c->base);
	free(c->head);
	free(c->owns);
	free(c->merge_from);
	free(c->reason);
	free(c->plan);
	free(c->needs);
}

void
host_free(struct rolehost *f)
{
	const char **strings[] = {&f->a.run, &f->a.task, &f->a.key, &f->a.title, &f->a.goal, &f->a.run_title,
	    &f->a.owns_json, &f->a.acceptance, &f->a.plan_json, &f->a.state, &f->a.evidence, &f->a.merge_from,
	    &f->a.branch, &f->a.parent_branch, &f->a.base, &f->a.head, &f->a.session, &f->a.git_dir,
	    &f->a.state_dir, &f->a.log_dir, &f->a.options_json, &f->a.gate, &f->a.verify_json,
	    &f->a.guarded_json};

	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		free((char *)*strings[i]);
	for (size_t i = 0; i < f->child_count; i++)
		clear_child(&f->children[i]);
	for (size_t i = 0; i < sizeof(f->last) / sizeof(f->last[0]); i++)
		free((void *)f->last[i]);
	free(f->program);
	free(f->story);
	testrepo_free(f->repo);
	free(f);
}

void
host_script(struct rolehost *f, const char *name, const char *text)
{
	char *path = xasprintf("scripts/%s", name);

	testrepo_write(f->repo, path, text);
	free(path);
}

/* The peer's side. */

static void
on_hello(struct peer *p, const struct msg *hello, void *arg)
{
	struct rolehost *f = arg;

	(void)p;
	(void)hello;
	f->greeted = f->event = true;
}

static void
on_msg(struct peer *p, const struct msg *m, void *arg)
{
	struct rolehost *f = arg;

	(void)p;
	assert_true(f->queued < sizeof(f->queue) / sizeof(f->queue[0]));
	f->queue[f->queued++] = msg_dup(m);
	f->event = true;
}

static void
on_closed(struct peer *p, const char *why, void *arg)
{
	struct rolehost *f = arg;

	(void)why;
	peer_free(p);
	f->peer = NULL;
	f->closed = f->event = true;
}

static void
on_exit_status(void *arg, pid_t pid, int status)
{
	struct rolehost *f = arg;

	(void)pid;
	f->exited = f->event = true;
	f->status = status;
}

void
host_send(struct rolehost *f, const struct msg *m)
{
	struct err e = {{0}};
	int rc = f->peer == NULL ? 0 : peer_send(f->peer, m, &e);

	if (rc < 0 && rc != -EPIPE)
		fail_msg("cannot send: %s", e.msg);
}

/* What orchd keeps. */

struct host_child *
host_child_find(struct rolehost *f, const char *task)
{
	for (size_t i = 0; i < f->child_count; i++)
		if (strcmp(f->children[i].task, task) == 0)
			return &f->children[i];
	return NULL;
}

struct host_child *
host_child_find_key(struct rolehost *f, const char *key)
{
	for (size_t i = 0; i < f->child_count; i++)
		if (strcmp(f->children[i].key, key) == 0)
			return &f->children[i];
	return NULL;
}

struct host_child *
host_child_add(struct rolehost *f, const struct msg_task_add *m)
{
	struct host_child *c = host_child_find_key(f, m->key);

	if (c != NULL)
		return c;
	assert_true(f->child_count < HOST_CHILDREN);
	c = &f->children[f->child_count++];
	c->task = xasprintf(
	    "%s/%s%llu", f->a.task, f->who == WHO_DIRECTOR ? "em" : "w", (unsigned long long)m->ordinal);
	assert_true(taskid_valid(c->task));
	c->key = xstrdup(m->key);
	c->title = xstrdup(m->title);
	c->goal = xstrdup(m->goal);
	c->state = xstrdup("queued");
	c->branch = xstrdup(m->branch);
	c->owns = xstrdup(m->owns_json);
	c->merge_from = xstrdup(m->merge_from);
	c->plan = xstrdup(m->plan_json);
	c->needs = xstrdup(m->needs_json);
	c->ordinal = m->ordinal;
	return c;
}

void
host_child_tell(struct rolehost *f, const struct host_child *c)
{
	const struct msg m = {.id = MSG_CHILD,
	    .child = {.task = c->task,
		.ordinal = c->ordinal,
		.key = c->key,
		.title = c->title,
		.owns_json = c->owns,
		.state = c->state,
		.branch = c->branch,
		.base = c->base,
		.head = c->head,
		.rework = c->rework,
		.submitted_at = c->submitted_at,
		.alive = c->alive,
		.reason = c->reason}};

	host_send(f, &m);
}

static void
note(const char **slot, const char *value)
{
	if (value != NULL)
		host_set(slot, *value == '\0' ? NULL : value);
}

static void
on_note(struct rolehost *f, const struct msg_note *m)
{
	struct msg_assign *a = &f->a;

	if (m->session != NULL && (a->session == NULL || strcmp(a->session, m->session) != 0)) {
		a->past_cost_uusd = a->cost_uusd;
		a->past_tokens_in = a->tokens_in;
		a->past_tokens_out = a->tokens_out;
	}
	if (m->cost_uusd > 0)
		a->cost_uusd = m->cost_uusd;
	if (m->tokens_in > 0)
		a->tokens_in = m->tokens_in;
	if (m->tokens_out > 0)
		a->tokens_out = m->tokens_out;
	note(&f->a.base, m->base);
	note(&f->a.head, m->head);
	note(&f->a.session, m->session);
	note(&f->a.branch, m->branch);
	note(&f->a.gate, m->gate);
	if (m->gate != NULL)
		f->a.gate_own = f->a.gate != NULL;
	if (m->merged)
		host_set(&f->a.merge_from, NULL);
}

static void
on_rework(struct rolehost *f, const struct msg_rework *m)
{
	struct host_child *c = host_child_find(f, m->task);

	if (c == NULL) {
		assert_string_equal(m->task, f->a.task);
		f->a.rework++;
		f->a.attempt++;
		host_set(&f->a.evidence, m->evidence);
		note(&f->a.merge_from, m->merge_from);
		host_set(&f->a.head, NULL);
		return;
	}
	c->rework++;
	xreplace(&c->state, "rework");
	xreplace(&c->reason, m->reason);
	xreplace(&c->merge_from, m->merge_from);
	host_child_tell(f, c);
}

static void
set_child_state(struct rolehost *f, const char *task, const char *state)
{
	struct host_child *c = host_child_find(f, task);

	if (c == NULL)
		return;
	xreplace(&c->state, state);
	host_child_tell(f, c);
}

static void
carry_out(struct rolehost *f, const struct msg *m)
{
	if (m->id == MSG_NOTE)
		on_note(f, &m->note);
	else if (m->id == MSG_PLAN) {
		host_set(&f->a.plan_json, m->plan.plan_json);
		note(&f->a.branch, m->plan.branch);
	} else if (m->id == MSG_TASK_ADD)
		host_child_tell(f, host_child_add(f, &m->task_add));
	else if (m->id == MSG_REWORK)
		on_rework(f, &m->rework);
	else if (m->id == MSG_INTEGRATED)
		set_child_state(f, m->integrated.task, "integrated");
	else if (m->id == MSG_FAIL)
		set_child_state(f, m->fail.task, "failed");
}

static void
remember(struct rolehost *f, const struct msg *m)
{
	if (m->id >= sizeof(f->last) / sizeof(f->last[0]))
		return;
	free((void *)f->last[m->id]);
	f->last[m->id] = msg_dup(m);
}

static void
handle(struct rolehost *f, const struct msg *m)
{
	char *longer;

	remember(f, m);
	if (m->request == 0) {
		if (f->on_report != NULL)
			f->on_report(f, m);
		return;
	}
	if (++f->requests == f->kill_at) {
		if (f->kill_after)
			carry_out(f, m);
		f->killed = true;
		kill(f->pid, SIGKILL);
		return;
	}
	longer = xasprintf("%s %s", f->story, msg_name(m->id));
	free(f->story);
	f->story = longer;
	carry_out(f, m);
	if (f->peer != NULL)
		peer_ack(f->peer, m->request, NULL);
	if (f->on_request != NULL)
		f->on_request(f, m);
}

static void
assign(struct rolehost *f)
{
	struct msg m = {.id = MSG_ASSIGN, .assign = f->a};

	host_send(f, &m);
	if (f->who == WHO_WORKER)
		return;
	for (size_t i = 0; i < f->child_count; i++)
		host_child_tell(f, &f->children[i]);
	m = (struct msg){.id = MSG_END, .end = {.count = f->child_count}};
	host_send(f, &m);
}

static void
start(struct rolehost *f)
{
	static const struct peer_ops ops = {.on_hello = on_hello, .on_msg = on_msg, .on_closed = on_closed};
	const struct msg hello = {.id = MSG_HELLO, .hello = {.proto = PROTO_VERSION, .role = "orchd"}};
	const char *argv[] = {f->program, NULL};
	char *log = xasprintf("%s/logs/stderr", f->repo->root);
	struct child_spec s;
	struct peer_cfg cfg = {
	    .loop = &f->repo->loop, .self = WHO_ORCHD, .them = f->who, .ops = &ops, .arg = f};
	struct err e = {{0}};
	int fds[2];

	f->event = f->greeted = f->closed = f->exited = f->killed = false;
	f->requests = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	child_spec_init(&s);
	s.argv = argv;
	s.fd_link = fds[1];
	s.fd_err = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (child_spawn(&s, &f->pid, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	loop_watch_child(&f->repo->loop, f->pid, on_exit_status, f);
	close(fds[1]);
	close(s.fd_err);
	free(log);
	cfg.fd = fds[0];
	cfg.trusted = true;
	f->peer = peer_new(&cfg);
	host_send(f, &hello);
}

static void
drain_queue(struct rolehost *f)
{
	for (size_t i = 0; i < f->queued; i++) { /* more may come while one is handled */
		if (!f->killed)
			handle(f, f->queue[i]);
		free(f->queue[i]);
	}
	f->queued = 0;
}

int
host_run(struct rolehost *f)
{
	bool assigned = false;

	start(f);
	while (!f->exited || !f->closed) {
		if (loop_wait(&f->repo->loop, &f->event, clock_now_ms() + WAIT_MS) < 0) {
			char *log = testrepo_read(f->repo, "logs/stderr");

			fail_msg("nothing happened for a minute after%s; its log:\n%s", f->story, log);
		}
		f->event = false;
		if (f->greeted && !assigned) {
			assigned = true;
			assign(f);
		}
		drain_queue(f);
	}
	cmd_sweep(&f->repo->loop);
	return WIFEXITED(f->status) ? WEXITSTATUS(f->status) : -WTERMSIG(f->status);
}

void
host_child_submits(struct rolehost *f, struct host_child *c, const char *path, const char *text)
{
	const char *from = testrepo_try(f->repo, NULL, "rev-parse", "--verify", "-q", c->branch, NULL) == 0
			       ? c->branch
			       : f->a.branch;
	char *wt = testrepo_path(f->repo, "child"), *file = xasprintf("child/%s", path);

	testrepo_do(f->repo, NULL, "worktree", "add", "-q", "--detach", wt, from, NULL);
	if (c->base == NULL)
		c->base = testrepo_git(f->repo, wt, "rev-parse", "HEAD", NULL);
	if (c->merge_from != NULL)
		xreplace(&c->base, c->merge_from);
	if (c->merge_from != NULL)
		testrepo_try(f->repo, wt, "merge", "-q", "--no-edit", c->merge_from, NULL);
	testrepo_write(f->repo, file, text);
	testrepo_do(f->repo, wt, "add", "-A", NULL);
	testrepo_do(f->repo, wt, "commit", "-q", "-m", c->title, NULL);
	free(c->head);
	c->head = testrepo_git(f->repo, wt, "rev-parse", "HEAD", NULL);
	testrepo_do(f->repo, NULL, "worktree", "remove", "-f", wt, NULL);
	testrepo_do(f->repo, NULL, "branch", "-q", "-f", c->branch, c->head, NULL);
	free(wt);
	free(file);
	xreplace(&c->state, "submitted");
	c->submitted_at = (uint64_t)clock_wall_ms();
	host_child_tell(f, c);
}

void
host_child_ends(struct rolehost *f, struct host_child *c, const char *state, const char *reason)
{
	xreplace(&c->state, state);
	xreplace(&c->reason, reason);
	c->alive = false;
	host_child_tell(f, c);
}
