/* team: see team.h. */
#include "tests/bench/lib/team.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/fd.h"
#include "tests/bench/lib/sample.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS 10000
#define ASSEMBLE_MS 30000
#define ARGS_MAX 16

static struct team team;

char *
team_program(const char *name)
{
	return xasprintf("%s/%s", ORCH_BIN_DIR, name);
}

static void
set_env(const char *name, const char *fmt, const char *root)
{
	char *value = xasprintf("%s/%s", root, fmt);

	setenv(name, value, 1);
	free(value);
}

struct team *
team_new(void)
{
	struct err e = {""};
	struct team *t = &team;

	t->repo = testrepo_new();
	atexit(team_end);
	set_env("XDG_STATE_HOME", "state", t->repo->root);
	set_env("ORCH_AGENT_SCRIPTS", "scripts", t->repo->root);
	unsetenv("ORCH_STATE_DIR");
	if (repo_find(&t->place, t->repo->top, NULL, &e) < 0 || repo_make_dirs(&t->place, &e) < 0)
		bench_die("%s", e.msg);
	return t;
}

/* A second TERM would be without grace; the first is enough for agents that end on TERM. */
static void
stop_orchd(struct team *t)
{
	pid_t pid = t->orchd;

	t->orchd = 0;
	if (pid <= 0)
		return;
	kill(pid, SIGTERM);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}

void
team_end(void)
{
	struct team *t = &team;

	if (t->repo == NULL)
		return;
	client_free(t->client);
	stop_orchd(t);
	repo_clear(&t->place);
	testrepo_free(t->repo);
	memset(t, 0, sizeof(*t));
}

static void
write_plan(struct team *t, const char *name, int plan_ms, const char *list, const char *items)
{
	char *path = xasprintf("scripts/%s", name);
	char *text = xasprintf(
	    "wait_ms %d\nplan <<EOF\n{\"summary\":\"three\",\"%s\":[%s]}\nEOF\n", plan_ms, list, items);

	testrepo_write(t->repo, path, text);
	free(text);
	free(path);
}

static char *
plan_item(const char *all, const char *kind, int i, const char *owns, const char *more)
{
	return xasprintf("%s%s{\"id\":\"%s%d\",\"title\":\"Part %d\",\"goal\":\"Write part %d.\","
			 "\"owns\":[\"%s\"],\"depends_on\":[]%s}",
	    all, all[0] == '\0' ? "" : ",", kind, i, i, i, owns, more);
}

static void
append_item(char **all, const char *kind, int i, const char *owns, const char *more)
{
	char *longer = plan_item(*all, kind, i, owns, more);

	free(*all);
	*all = longer;
}

/* text with each %s replaced. */
static char *
fill_in(const char *text, const char *file)
{
	char *all = xstrdup("");
	const char *mark;

	while ((mark = strstr(text, "%s")) != NULL) {
		char *longer = xasprintf("%s%.*s%s", all, (int)(mark - text), text, file);

		free(all);
		all = longer;
		text = mark + 2;
	}
	mark = all;
	all = xasprintf("%s%s", mark, text);
	free((char *)mark);
	return all;
}

static void
write_area(struct team *t, int area, int plan_ms, const char *worker)
{
	char name[32], file[32], *tasks = xstrdup("");

	for (int i = 1; i <= TEAM_TASKS; i++) {
		char *text, *path;

		snprintf(file, sizeof(file), "a%d/f%d", area, i);
		append_item(&tasks, "t", i, file, ",\"acceptance\":\"It is there.\"");
		text = fill_in(worker, file);
		path = xasprintf("scripts/worker-a%d.t%d", area, i);
		testrepo_write(t->repo, path, text);
		free(path);
		free(text);
	}
	snprintf(name, sizeof(name), "em-a%d", area);
	write_plan(t, name, plan_ms, "tasks", tasks);
	free(tasks);
}

void
team_script(struct team *t, int plan_ms, const char *worker)
{
	char *areas = xstrdup(""), owns[16];

	for (int i = 1; i <= TEAM_AREAS; i++) {
		snprintf(owns, sizeof(owns), "a%d/", i);
		append_item(&areas, "a", i, owns, "");
		write_area(t, i, plan_ms, worker);
	}
	write_plan(t, "director", plan_ms, "areas", areas);
	free(areas);
}

static pid_t
start(const char *const *argv, const char *cwd, int out, int death_signal)
{
	struct child_spec s;
	struct err e = {""};
	pid_t pid;

	child_spec_init(&s);
	s.argv = argv;
	s.cwd = cwd;
	s.fd_out = s.fd_err = out;
	s.death_signal = death_signal;
	if (child_spawn(&s, &pid, NULL, &e) < 0)
		bench_die("%s", e.msg);
	return pid;
}

void
team_start(struct team *t)
{
	char *program = team_program("orchd"), *log = testrepo_path(t->repo, "orchd.log");
	const char *argv[] = {program, "--repo", t->repo->top, NULL};
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), rc;
	int64_t deadline = clock_now_ms() + START_MS;
	struct err e = {""};

	t->orchd = start(argv, "/", fd, SIGTERM);
	fd_close(&fd);
	while ((rc = client_open(&t->client, &t->repo->loop, &t->place, false, &e)) == -ECONNREFUSED &&
	       clock_now_ms() < deadline)
		usleep(2000);
	if (rc < 0)
		bench_die("%s", e.msg);
	free(program);
	free(log);
}

int
team_orchctl(struct team *t, const char *arg, ...)
{
	char *program = team_program("orchctl");
	const char *argv[ARGS_MAX + 2] = {program, arg};
	size_t n = 2;
	int status;
	va_list ap;
	pid_t pid;

	va_start(ap, arg);
	while (n < ARGS_MAX && (argv[n] = va_arg(ap, const char *)) != NULL)
		n++;
	va_end(ap);
	pid = start(argv, t->repo->top, -1, SIGTERM);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			bench_die("waitpid: %s", strerror(errno));
	free(program);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static struct member *
find_member(struct team *t, const char *task)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->members[i].task, task) == 0)
			return &t->members[i];
	if (t->count == TEAM_SIZE)
		bench_die("there are more than %d tasks", TEAM_SIZE);
	return &t->members[t->count++];
}

static void
on_info(void *arg, const struct msg *m)
{
	struct team *t = arg;
	const struct msg_task_info *i = &m->task_info;
	struct member *o;

	if (m->id != MSG_TASK_INFO)
		return;
	o = find_member(t, i->task);
	if (o->pid != (pid_t)i->pid) {
		o->ready_ns = 0;
		o->busy = false;
	}
	snprintf(o->task, sizeof(o->task), "%s", i->task);
	snprintf(o->role, sizeof(o->role), "%s", i->role);
	snprintf(o->unit, sizeof(o->unit), "%s", i->unit);
	snprintf(o->state, sizeof(o->state), "%s", i->state);
	o->pid = (pid_t)i->pid;
	o->busy = o->busy || i->doing != NULL;
	if (o->ready_ns == 0 && strcmp(o->unit, "ready") == 0)
		o->ready_ns = bench_ns();
	t->news = true;
}

void
team_wait(struct team *t, const bool *done, int64_t ms, const char *what)
{
	int rc = loop_wait(&t->repo->loop, done, clock_now_ms() + ms);

	if (rc == -ECANCELED)
		bench_die("stopped");
	if (rc < 0 || client_lost(t->client))
		bench_die("%s: not within %lld ms", what, (long long)ms);
}

static bool
is_assembled(const struct team *t)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->members[i].ready_ns == 0 ||
		    (strcmp(t->members[i].role, "worker") == 0 && !t->members[i].busy))
			return false;
	return t->count == TEAM_SIZE;
}

static void
watch(struct team *t)
{
	struct msg m = {.id = MSG_STATUS, .status = {.watch = true}};
	struct err e = {""};

	if (client_stream(t->client, &m, on_info, t, 10000, &e) < 0)
		bench_die("%s", e.msg);
}

void
team_watch_again(struct team *t)
{
	struct err e = {""};

	client_free(t->client);
	t->client = NULL;
	for (size_t i = 0; i < t->count; i++)
		t->members[i].ready_ns = 0;
	if (client_open(&t->client, &t->repo->loop, &t->place, false, &e) < 0)
		bench_die("%s", e.msg);
	watch(t);
}

bool
team_is_back(const struct team *t)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->members[i].ready_ns == 0)
			return false;
	return true;
}

void
team_assemble(struct team *t)
{
	int64_t deadline = clock_now_ms() + ASSEMBLE_MS;
	char *agent = team_program("orch-test-agent");

	if (team_orchctl(t, "run", "--detach", "-m", "Write nine files", "--agent", agent, NULL) != 0)
		bench_die("orchctl run failed");
	free(agent);
	watch(t);
	while (!is_assembled(t)) {
		t->news = false;
		team_wait(t, &t->news, deadline - clock_now_ms(), "the team is not complete");
	}
}
