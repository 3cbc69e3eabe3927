/* e2e: programs, events and questions (see e2e.h; what is compared at the end is in e2e_user.c, scripts in
 * e2e_script.c). */
#include "tests/helper/lib/e2e.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/json.h"
#include "common/proc.h"
#include "tests/helper/lib/test.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 60000
#define GONE_MS 20000
#define ARGS_MAX 28
#define TELL_MAX 60000

/* print_message() cuts at 4 KiB. */
static void
tell_text(const char *head, const char *text, size_t size)
{
	fprintf(stdout, "%s\n", head);
	fwrite(text, 1, size, stdout);
	fputc('\n', stdout);
	fflush(stdout);
}

void
e2e_tell(struct e2e *e)
{
	char *path = xasprintf("%s/logs/orchd.log", e->where.state), *log = NULL;
	size_t size = 0;

	if (e->running || e->run.out != NULL) {
		tell_text("orchctl run said:", e->run.out, strlen(e->run.out));
		tell_text("and", e->run.err, strlen(e->run.err));
	}
	if (fd_read_file(path, 8 << 20, &log, &size) == 0)
		tell_text("orchd.log ends:", size > TELL_MAX ? log + size - TELL_MAX : log,
		    size > TELL_MAX ? TELL_MAX : size);
	free(log);
	free(path);
}

#define e2e_fail(e, ...)                                                                                     \
	do {                                                                                                 \
		e2e_tell(e);                                                                                 \
		fail_msg(__VA_ARGS__);                                                                       \
	} while (0)

/* Programs. */

static void
on_text(struct ctlrun *r, void *arg)
{
	struct e2e *e = arg;

	(void)r;
	e->news = true;
}

static size_t
collect(const char *argv[ARGS_MAX + 1], const char *arg, va_list ap)
{
	size_t n = 0;

	for (; arg != NULL; arg = va_arg(ap, const char *)) {
		assert_true(n < ARGS_MAX);
		argv[n++] = arg;
	}
	argv[n] = NULL;
	return n;
}

int
e2e_ctl(struct e2e *e, struct ctlrun *r, const char *arg, ...)
{
	const char *argv[ARGS_MAX + 1];
	va_list ap;

	va_start(ap, arg);
	collect(argv, arg, ap);
	va_end(ap);
	ctlrun_start(r, e->repo, false, argv, on_text, e);
	ctlrun_wait(r);
	return r->status;
}

void
e2e_ctl_ok(struct e2e *e, const char *arg, ...)
{
	const char *argv[ARGS_MAX + 1];
	struct ctlrun r;
	va_list ap;

	va_start(ap, arg);
	collect(argv, arg, ap);
	va_end(ap);
	ctlrun_start(&r, e->repo, false, argv, on_text, e);
	ctlrun_wait(&r);
	if (r.status != 0)
		e2e_fail(e, "orchctl %s: exit %d: %s%s", arg, r.status, r.out, r.err);
	ctlrun_clear(&r);
}

static void
forget_run(struct e2e *e)
{
	if (e->run.out != NULL)
		ctlrun_clear(&e->run);
	e->running = false;
}

void
e2e_begin(struct e2e *e, const char *arg, ...)
{
	const char *argv[ARGS_MAX + 1] = {"run", "-m", "Build it"};
	int64_t deadline = clock_now_ms() + WAIT_MS;
	bool detach = false;
	va_list ap;

	if (e->before == NULL)
		e2e_remember(e);
	va_start(ap, arg);
	for (size_t n = 3; arg != NULL; arg = va_arg(ap, const char *)) {
		assert_true(n < ARGS_MAX);
		detach |= strcmp(arg, "--detach") == 0;
		argv[n++] = arg;
		argv[n] = NULL;
	}
	va_end(ap);
	forget_run(e);
	ctlrun_start(&e->run, e->repo, false, argv, on_text, e);
	e->running = true;
	while (strstr(e->run.err, "orchctl: run ") == NULL) {
		if (e->run.done)
			e2e_fail(e, "orchctl run ended with %d", e->run.status);
		e->news = false;
		if (loop_wait(&e->repo->loop, &e->news, deadline) != 0)
			e2e_fail(e, "orchctl run is not accepted");
	}
	if (detach) {
		assert_int_equal(e2e_end(e), 0);
		forget_run(e);
	}
	e2e_follow(e);
}

int
e2e_end(struct e2e *e)
{
	assert_true(e->running);
	if (loop_wait(&e->repo->loop, &e->run.done, clock_now_ms() + WAIT_MS) != 0)
		e2e_fail(e, "orchctl run does not end");
	e->running = false;
	return e->run.status;
}

/* Events. */

static void
on_tail_text(struct ctlrun *r, void *arg)
{
	struct e2e *e = arg;
	const char *at = r->out + e->tail_read, *end;

	e->news |= r->done; /* or nobody asks the next orchd */
	for (; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		json_t *ev = json_loadb(at, (size_t)(end - at), 0, NULL);

		assert_non_null(ev);
		json_array_append_new(e->events, ev);
		e->news = true;
	}
	e->tail_read = (size_t)(at - r->out);
}

static void
stop_tail(struct e2e *e)
{
	if (!e->tailing)
		return;
	if (!e->tail.done)
		kill(e->tail.pid, SIGTERM);
	ctlrun_wait(&e->tail);
	ctlrun_clear(&e->tail);
	e->tailing = false;
}

void
e2e_follow(struct e2e *e)
{
	static const char *const argv[] = {"events", "-f", "--json", NULL};

	stop_tail(e);
	json_array_clear(e->events);
	e->tail_read = 0;
	ctlrun_start(&e->tail, e->repo, false, argv, on_tail_text, e);
	e->tailing = true;
}

static bool
is_event(const json_t *ev, const char *task, const char *kind, const char *state)
{
	const char *whose = json_str(ev, "task");

	if (whose == NULL)
		whose = json_str(ev, "run");
	return (task == NULL || (whose != NULL && strcmp(whose, task) == 0)) &&
	       strcmp(json_str(ev, "kind"), kind) == 0 &&
	       (state == NULL ||
		   (json_str(ev, "state") != NULL && strcmp(json_str(ev, "state"), state) == 0));
}

int
e2e_find(struct e2e *e, size_t from, const char *task, const char *kind, const char *state)
{
	for (size_t i = from; i < json_array_size(e->events); i++)
		if (is_event(json_array_get(e->events, i), task, kind, state))
			return (int)i;
	return -1;
}

size_t
e2e_count(struct e2e *e, const char *task, const char *kind, const char *state)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(e->events); i++)
		n += is_event(json_array_get(e->events, i), task, kind, state);
	return n;
}

void
e2e_wait_news(struct e2e *e, const char *what)
{
	e->news = false;
	if (loop_wait(&e->repo->loop, &e->news, clock_now_ms() + WAIT_MS) != 0)
		e2e_fail(e, "no news for a minute while waiting for %s", what);
	if (e->running && e->run.done)
		e->running = false;
}

void
e2e_await(struct e2e *e, const char *task, const char *kind, const char *state)
{
	char *what = xasprintf("%s %s %s", task, kind, state == NULL ? "" : state);

	while (e2e_find(e, 0, task, kind, state) < 0) {
		if (e->tailing && e->tail.done)
			e2e_fail(e, "orchctl events has ended while waiting for %s: %s", what, e->tail.err);
		e2e_wait_news(e, what);
	}
	free(what);
}

void
e2e_await_file(struct e2e *e, const char *name)
{
	while (!e2e_has_file(e, name)) {
		if (e->run.out != NULL && e->run.done && !e2e_has_file(e, name))
			e2e_fail(e, "orchctl run ended while waiting for the file %s", name);
		e2e_wait_news(e, name);
	}
}

/* Questions. */

json_t *
e2e_status(struct e2e *e, const char *run)
{
	struct ctlrun r;
	json_t *all, *one;

	if (e2e_ctl(e, &r, "status", "--json", run, NULL) != 0)
		e2e_fail(e, "orchctl status %s: exit %d: %s", run, r.status, r.err);
	all = json_loads(r.out, 0, NULL);
	one = json_incref(json_array_get(json_object_get(all, "runs"), 0));
	if (one == NULL)
		e2e_fail(e, "no run in: %s", r.out);
	json_decref(all);
	ctlrun_clear(&r);
	return one;
}

json_t *
e2e_task(json_t *run, const char *task)
{
	json_t *tasks = json_object_get(run, "tasks");

	for (size_t i = 0; i < json_array_size(tasks); i++)
		if (strcmp(json_str(json_array_get(tasks, i), "task"), task) == 0)
			return json_array_get(tasks, i);
	fail_msg("there is no task %s", task);
	return NULL;
}

static char *
run_of(const char *task)
{
	return xstrndup(task, strcspn(task, "/"));
}

void
e2e_assert_state(struct e2e *e, const char *what, const char *state)
{
	char *id = run_of(what);
	json_t *run = e2e_status(e, id), *o = strchr(what, '/') == NULL ? run : e2e_task(run, what);

	if (strcmp(json_str(o, "state"), state) != 0)
		e2e_fail(e, "%s is %s (%s), not %s", what, json_str(o, "state"),
		    json_str(o, "reason") == NULL ? "no reason" : json_str(o, "reason"), state);
	json_decref(run);
	free(id);
}

static pid_t
orchd_pid(struct e2e *e)
{
	char *path = xasprintf("%s/lock", e->where.state), *text = NULL;
	pid_t pid = fd_read_file(path, 64, &text, NULL) == 0 ? (pid_t)atoi(text) : 0;

	free(text);
	free(path);
	return pid;
}

pid_t
e2e_pid(struct e2e *e, const char *task)
{
	char *id;
	json_t *run;
	pid_t pid;

	if (task == NULL)
		return orchd_pid(e);
	id = run_of(task);
	run = e2e_status(e, id);
	pid = (pid_t)json_integer_value(json_object_get(e2e_task(run, task), "pid"));
	assert_true(pid > 1);
	json_decref(run);
	free(id);
	return pid;
}

bool
e2e_is_gone(pid_t pid)
{
	uint64_t ticks;

	return proc_start_time(pid, &ticks) < 0;
}

void
e2e_await_gone(struct e2e *e, pid_t pid)
{
	int64_t deadline = clock_now_ms() + GONE_MS;
	bool never = false;

	while (!e2e_is_gone(pid)) {
		if (clock_now_ms() >= deadline)
			e2e_fail(e, "process %d does not go", (int)pid);
		loop_wait(&e->repo->loop, &never, clock_now_ms() + 2);
	}
}

char *
e2e_branch(struct e2e *e, const char *id)
{
	json_t *run = e2e_status(e, id);
	char *branch = xstrdup(json_str(run, "branch"));

	json_decref(run);
	return branch;
}

char *
e2e_tree(struct e2e *e, const char *id)
{
	char *branch = e2e_branch(e, id), *spec, *tree;

	if (branch == NULL)
		e2e_fail(e, "run %s has no branch", id);
	spec = xasprintf("refs/heads/%s^{tree}", branch);
	tree = testrepo_git(e->repo, NULL, "rev-parse", spec, NULL);
	free(spec);
	free(branch);
	return tree;
}

char *
e2e_show(struct e2e *e, const char *id, const char *path)
{
	char *branch = e2e_branch(e, id), *spec = xasprintf("refs/heads/%s:%s", branch, path), *text = NULL;

	if (testrepo_try(e->repo, NULL, "cat-file", "-e", spec, NULL) == 0)
		text = testrepo_git(e->repo, NULL, "cat-file", "-p", spec, NULL);
	free(spec);
	free(branch);
	return text;
}

void
e2e_assert_shows(struct e2e *e, const char *id, const char *path, const char *text)
{
	char *now = e2e_show(e, id, path);

	if (text == NULL && now != NULL)
		e2e_fail(e, "%s is on the branch: %s", path, now);
	if (text != NULL && now == NULL)
		e2e_fail(e, "%s is not on the branch", path);
	if (text != NULL && strcmp(text, now) != 0)
		e2e_fail(e, "%s is \"%s\", not \"%s\"", path, now, text);
	free(now);
}

/* Fixtures. */

static void
on_inotify(evutil_socket_t fd, short what, void *arg)
{
	struct e2e *e = arg;
	char buf[4096];

	(void)what;
	while (fd_read((int)fd, buf, sizeof(buf)) > 0)
		e->news = true;
}

static void
set_environment(struct e2e *e)
{
	static const char *const gone[] = {"MAX_EMS", "MAX_WORKERS_PER_EM", "ORCH_VERIFY", "ORCH_BASE",
	    "ORCH_STATE_DIR", "ORCH_LOG", "ORCH_INSTANCE", "ORCH_MAX_REWORK", "ORCH_LINGER", "GITHUB_TOKEN",
	    "CLAUDE_CONFIGS", "ORCH_MIN_FREE_MB", "ORCH_MAX_ATTEMPTS", "ORCH_AGENT_SILENCE", "ORCH_TREE"};
	char *state = testrepo_path(e->repo, "xdg");

	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		unsetenv(gone[i]);
	e->old_tmp = xstrdup(getenv("TMPDIR"));
	setenv("TMPDIR", e->tmp, 1);
	setenv("XDG_STATE_HOME", state, 1);
	setenv("ORCH_AGENT", ORCH_BIN_DIR "/orch-test-agent", 1);
	setenv("ORCH_AGENT_SCRIPTS", e->scripts, 1);
	setenv("ORCH_RETRY_DELAY", "0.05", 1);
	free(state);
}

void
e2e_own_programs(struct e2e *e)
{
	static const char *const names[] = {
	    "orchd", "orchctl", "orch-director", "orch-em", "orch-worker", "orch-gateway", "orch-probe"};
	char *bin = testrepo_path(e->repo, "bin");

	assert_int_equal(unlink(bin), 0); /* the link to the build's */
	assert_int_equal(fd_mkdirs(bin, 0755), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		testrepo_program(ORCH_BIN_DIR, names[i], bin, names[i]);
	free(bin);
}

void
e2e_break_director(struct e2e *e, const char *but)
{
	char *path = testrepo_path(e->repo, "bin/orch-director"), *real = xasprintf("%s.real", path);
	char *script = xasprintf("case $1 in %s) exec \"$0.real\" \"$@\";; esac\n"
				 "echo the director is broken >&2\nexit 78\n",
	    but);

	assert_int_equal(rename(path, real), 0);
	ctlrun_sibling(e->repo, "orch-director", script);
	free(script);
	free(real);
	free(path);
}

int
e2e_setup(void **state)
{
	struct e2e *e = xcalloc(1, sizeof(*e));
	char *bin;
	struct err why = {""};

	e->repo = testrepo_new();
	e->scripts = testrepo_path(e->repo, "scripts");
	e->tmp = testrepo_path(e->repo, "tmp");
	bin = testrepo_path(e->repo, "bin");
	assert_int_equal(fd_mkdirs(e->scripts, 0755), 0);
	assert_int_equal(fd_mkdirs(e->tmp, 0755), 0);
	assert_int_equal(symlink(ORCH_BIN_DIR, bin), 0);
	free(bin);
	set_environment(e);
	assert_int_equal(proc_become_subreaper(), 0);
	if (repo_find(&e->where, e->repo->top, NULL, &why) < 0)
		fail_msg("%s", why.msg);
	e->events = json_array();
	e->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	assert_true(inotify_add_watch(e->inotify, e->scripts, IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE) >= 0);
	e->inotify_ev = event_new(e->repo->loop.base, e->inotify, EV_READ | EV_PERSIST, on_inotify, e);
	event_add(e->inotify_ev, NULL);
	*state = e;
	return 0;
}

void
e2e_remember(struct e2e *e)
{
	e2e_before_free(e->before);
	e->before = e2e_before_take(e);
}

void
e2e_forget(struct e2e *e)
{
	e2e_before_free(e->before);
	e->before = NULL;
}

/* All runs with their tasks, for what may be left of them. NULL when orchd never ran. */
static json_t *
all_runs(struct e2e *e)
{
	json_t *list, *full = json_array();
	struct ctlrun r;

	if (e2e_ctl(e, &r, "status", "--all", "--json", NULL) != 0) {
		ctlrun_clear(&r);
		return full;
	}
	list = json_loads(r.out, 0, NULL);
	ctlrun_clear(&r);
	for (size_t i = 0; i < json_array_size(json_object_get(list, "runs")); i++) {
		json_t *one = json_array_get(json_object_get(list, "runs"), i);

		json_array_append_new(full, e2e_status(e, json_str(one, "run")));
	}
	json_decref(list);
	return full;
}

/* SHUTDOWN, and then nothing may be below us. */
static void
end_everything(struct e2e *e, char **faults)
{
	int64_t deadline = clock_now_ms() + GONE_MS;
	bool never = false;
	struct ctlrun r;
	pid_t *pids;
	int n;

	if (e2e_ctl(e, &r, "stop", NULL) != 0)
		e2e_faultf(faults, "orchctl stop: exit %d: %s", r.status, r.err);
	ctlrun_clear(&r);
	for (;;) {
		loop_reap(&e->repo->loop);
		n = proc_children(getpid(), &pids);
		if (n <= 0 || clock_now_ms() >= deadline)
			break;
		free(pids);
		loop_wait(&e->repo->loop, &never, clock_now_ms() + 2);
	}
	for (int i = 0; i < n; i++) {
		char path[64], exe[512];
		ssize_t size;

		snprintf(path, sizeof(path), "/proc/%d/exe", (int)pids[i]);
		size = readlink(path, exe, sizeof(exe) - 1);
		exe[size > 0 ? size : 0] = '\0';
		e2e_faultf(faults, "process %d (%s) is left", (int)pids[i], exe);
	}
	if (n >= 0)
		free(pids);
	while (proc_kill_descendants(NULL, NULL) > 0)
		loop_reap(&e->repo->loop);
}

static void
free_e2e(struct e2e *e)
{
	if (e->old_tmp != NULL)
		setenv("TMPDIR", e->old_tmp, 1);
	else
		unsetenv("TMPDIR");
	event_free(e->inotify_ev);
	fd_close(&e->inotify);
	json_decref(e->events);
	e2e_before_free(e->before);
	repo_clear(&e->where);
	testrepo_free(e->repo);
	free(e->scripts);
	free(e->tmp);
	free(e->old_tmp);
	free(e);
}

int
e2e_teardown(void **state)
{
	struct e2e *e = *state;
	char *faults = xstrdup("");
	bool failed = e->running; /* a test that passed has seen its run's end */
	json_t *runs = NULL;

	if (e->running && !e->run.done)
		kill(e->run.pid, SIGKILL);
	if (e->run.out != NULL)
		ctlrun_wait(&e->run);
	stop_tail(e);
	if (!failed && access(e->where.state, F_OK) == 0)
		runs = all_runs(e);
	end_everything(e, &faults);
	if (!failed) {
		e2e_check_leftovers(e, runs, &faults);
		e2e_check_logs(e, &faults);
		if (e->before != NULL)
			e2e_before_compare(e, e->before, &faults);
	}
	if (faults[0] != '\0')
		e2e_tell(e);
	forget_run(e);
	json_decref(runs);
	free_e2e(e);
	if (faults[0] != '\0')
		print_error("after the test:\n%s", faults);
	failed = faults[0] != '\0';
	free(faults);
	return failed ? -1 : 0;
}

void
e2e_begin_anew(struct e2e *e)
{
	char *state = xasprintf("%s/.git/orch", e->repo->top);
	char *records = xasprintf("%s/.git/worktrees", e->repo->top);
	char *refs = testrepo_git(
		 e->repo, NULL, "for-each-ref", "--format=%(refname)", "refs/orch", "refs/heads/cco", NULL),
	     *save;
	struct ctlrun r;

	e2e_ctl(e, &r, "stop", NULL); /* who only looked has started one */
	ctlrun_clear(&r);
	assert_int_equal(fd_remove_tree(state), 0);
	assert_int_equal(fd_remove_tree(records), 0);
	assert_int_equal(fd_remove_tree(e->where.worktrees), 0);
	for (char *name = strtok_r(refs, "\n", &save); name != NULL; name = strtok_r(NULL, "\n", &save))
		testrepo_do(e->repo, NULL, "update-ref", "-d", name, NULL);
	testrepo_do(e->repo, NULL, "reflog", "expire", "--expire=now", "--all", NULL);
	testrepo_do(e->repo, NULL, "gc", "-q", "--prune=now", NULL);
	free(refs);
	free(records);
	free(state);
}
