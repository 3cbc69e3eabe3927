/* realagent: see realagent.h. */
#include "tests/helper/lib/realagent.h"

#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tmp.h"

#include "common/alloc.h"
#include "common/conf.h"
#include "common/fd.h"
#include "common/json.h"
#include "common/proc.h"

#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIP 77

const char *
real_program(void)
{
	return getenv("ORCH_REAL_AGENT");
}

/* The folder that the fake API has its scripts, log and bodies in. */
static const char *
api_dir(void)
{
	return getenv("ORCH_FAKEAPI_DIR");
}

static bool
only_loopback(void)
{
	struct if_nameindex *all = if_nameindex();
	bool only = all != NULL;

	for (size_t i = 0; only && all[i].if_index != 0; i++)
		only = strcmp(all[i].if_name, "lo") == 0;
	if_freenameindex(all);
	return only;
}

/* The folder of this program, which is build/tests; programs are in build/bin. */
static char *
bin_path(const char *name)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0) {
		perror("/proc/self/exe");
		exit(1);
	}
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	*strrchr(self, '/') = '\0';
	return xasprintf("%s/bin/%s", self, name);
}

/* Waits for pid, removes dir and exits as pid did. */
static void __attribute__((noreturn)) leave_after(pid_t pid, char *dir)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	tmp_remove(dir);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static void __attribute__((noreturn)) start_inside(char **argv)
{
	char *dir = tmp_make(), *netns = bin_path("orch-test-netns"), *api = bin_path("orch-test-fakeapi");
	char *log = tmp_path(dir, "log"), *bodies = tmp_path(dir, "bodies"),
	     *scripts = tmp_path(dir, "scripts");
	const char *head[] = {netns, api, scripts, "--log", log, "--bodies", bodies, "--run", NULL};
	size_t n = strv_len(head), m = strv_len((const char *const *)argv);
	char **all = xcalloc(n + m + 1, sizeof(*all));
	pid_t pid;

	memcpy(all, head, n * sizeof(*all));
	memcpy(all + n, argv, m * sizeof(*all));
	all[n] = realpath("/proc/self/exe", NULL);
	tmp_mkdir(dir, "bodies");
	tmp_mkdir(dir, "scripts");
	setenv("ORCH_FAKEAPI_DIR", dir, 1);
	pid = fork();
	if (pid == 0) {
		execv(netns, all);
		perror(netns);
		_exit(127);
	}
	leave_after(pid, dir);
}

void
real_enter(char **argv)
{
	const char *program = real_program();

	if (program == NULL || *program == '\0') {
		puts("skipped: ORCH_REAL_AGENT does not name the agent; see script/test --real-agent");
		exit(SKIP);
	}
	if (access(program, X_OK) < 0) {
		perror(program);
		exit(1);
	}
	unsetenv("CLAUDE_CONFIG_DIR");
	if (getenv("ORCH_FAKEAPI_URL") == NULL)
		start_inside(argv);
	if (!only_loopback()) {
		fputs("this is no private network namespace: the real agent will not be started\n", stderr);
		exit(1);
	}
}

/* The fixture. */

static void
on_event(void *arg, const struct stream_event *ev)
{
	struct real *f = arg;

	f->started += ev->kind == STREAM_STARTED;
	f->tools += ev->kind == STREAM_TOOL;
	f->ends += ev->kind == STREAM_TOOL_END;
	f->retries += ev->kind == STREAM_RETRYING;
	if ((ev->kind == STREAM_STARTED && f->stop_at_start) || (ev->kind == STREAM_TOOL && f->stop_at_tool))
		loop_stop(&f->loop, SIGTERM);
}

static void
make_env(struct real *f)
{
	struct conf c;

	conf_init(&c);
	strv_free(f->env);
	f->env = agent_env(&c, f->dir, (const char *const *)f->extra, NULL);
	f->spec.env = (const char *const *)f->env;
	conf_clear(&c);
}

void
real_env(struct real *f, const char *pair)
{
	size_t len = strcspn(pair, "=") + 1, n = 0;

	for (char **v = f->extra; v != NULL && *v != NULL; v++) {
		if (strncmp(*v, pair, len) == 0)
			free(*v);
		else
			f->extra[n++] = *v;
	}
	f->extra = xrealloc(f->extra, (n + 2) * sizeof(*f->extra));
	if (pair[len] != '\0')
		f->extra[n++] = xstrdup(pair);
	f->extra[n] = NULL;
	make_env(f);
}

struct real *
real_new(void)
{
	struct real *f = xcalloc(1, sizeof(*f));
	char *user;

	assert_int_equal(loop_init(&f->loop), 0);
	assert_int_equal(loop_own_descendants(&f->loop), 0);
	f->dir = tmp_make();
	tmp_mkdir(f->dir, "wt");
	tmp_mkdir(f->dir, "user");
	f->wt = tmp_path(f->dir, "wt");
	f->home = tmp_path(f->dir, "private");
	user = tmp_path(f->dir, "user");
	setenv("HOME", user, 1); /* whoever runs the tests may be logged in: not here */
	free(user);
	f->log = tmp_path(f->dir, "agent.jsonl");
	agent_new_session(f->session);
	f->spec = (struct agent_spec){.program = real_program(),
	    .cwd = f->wt,
	    .home = f->home,
	    .prompt = "Do what the script says.",
	    .access = AGENT_FULL,
	    .session = f->session,
	    .log_path = f->log,
	    .timeout_ms = REAL_LONG_MS,
	    .silence_ms = REAL_LONG_MS,
	    .on_event = on_event,
	    .arg = f};
	real_env(f, "ANTHROPIC_API_KEY=" REAL_KEY);
	return f;
}

void
real_free(struct real *f)
{
	char *tmp;
	pid_t *pids = NULL;

	if (f == NULL)
		return;
	assert_int_equal(proc_children(getpid(), &pids), 0);
	free(pids);
	tmp = agent_tmpdir(f->home);
	fd_remove_tree(tmp);
	free(tmp);
	agent_outcome_clear(&f->o);
	strv_free(f->extra);
	strv_free(f->env);
	loop_clear(&f->loop);
	tmp_remove(f->dir);
	free(f->wt);
	free(f->home);
	free(f->log);
	free(f->name);
	free(f->stand_in);
	free(f);
}

int
real_setup(void **state)
{
	*state = real_new();
	return 0;
}

int
real_teardown(void **state)
{
	real_free(*state);
	return 0;
}

void
real_script(struct real *f, const char *text)
{
	static unsigned count;
	char *path, *url;

	free(f->name);
	f->name = xasprintf("s%d-%u", (int)getpid(), ++count);
	path = xasprintf("%s/scripts/%s", api_dir(), f->name);
	assert_int_equal(fd_write_file(path, text, strlen(text), 0600), 0);
	free(path);
	url = xasprintf("ANTHROPIC_BASE_URL=%s/w/%s", getenv("ORCH_FAKEAPI_URL"), f->name);
	real_env(f, url);
	free(url);
}

void
real_stand_in(struct real *f, const char *text)
{
	free(f->stand_in);
	f->stand_in = tmp_path(f->dir, "claude");
	tmp_write(f->dir, "claude", text);
	f->spec.program = f->stand_in;
}

void
real_write(struct real *f, const char *path, const char *text)
{
	tmp_write(f->wt, path, text);
}

char *
real_read(struct real *f, const char *path)
{
	char *full = tmp_path(f->wt, path), *text = NULL;

	fd_read_file(full, 64u << 20, &text, NULL);
	free(full);
	return text;
}

int
real_run(struct real *f)
{
	int rc;

	agent_outcome_clear(&f->o);
	f->started = f->tools = f->ends = f->retries = 0;
	rc = agent_run(&f->loop, &f->spec, &f->o, &f->e);
	if (rc < 0 && rc != -ECANCELED)
		fail_msg("agent_run: %s", f->e.msg);
	f->loop.stop = false;
	return rc;
}

void
real_expect(struct real *f, enum agent_end end, const char *const *words)
{
	assert_int_equal(real_run(f), 0);
	if (f->o.end != end)
		fail_msg("ended as %s, not %s: %s", agent_end_name(f->o.end), agent_end_name(end),
		    f->o.reason != NULL ? f->o.reason : "(no reason)");
	for (; words != NULL && *words != NULL; words++)
		if (f->o.reason == NULL || strstr(f->o.reason, *words) == NULL)
			fail_msg("no '%s' in: %s", *words, f->o.reason != NULL ? f->o.reason : "(no reason)");
}

json_t *
real_requests(const struct real *f)
{
	char *path = xasprintf("%s/log", api_dir()), *text = NULL, *rest, *line;
	json_t *all = json_array();

	assert_int_equal(fd_read_file(path, 64u << 20, &text, NULL), 0);
	rest = text;
	while ((line = strsep(&rest, "\n")) != NULL) {
		json_t *j = json_loads(line, 0, NULL);
		const char *script = json_str(j, "script");

		if (script != NULL && strcmp(script, f->name) == 0)
			json_array_append(all, j);
		json_decref(j);
	}
	free(text);
	free(path);
	return all;
}

bool
real_asked(const struct real *f, size_t n, const char *text)
{
	json_t *all = real_requests(f), *line = json_array_get(all, n - 1);
	char *path, *body = NULL;
	bool found;

	assert_non_null(line);
	path =
	    xasprintf("%s/bodies/%04d.json", api_dir(), (int)json_integer_value(json_object_get(line, "n")));
	assert_int_equal(fd_read_file(path, 64u << 20, &body, NULL), 0);
	found = strstr(body, text) != NULL;
	free(body);
	free(path);
	json_decref(all);
	return found;
}

struct search {
	const char *name, *value;
	unsigned found;
};

static bool
look_at(void *arg, pid_t pid)
{
	struct search *s = arg;

	if (pid != getpid() && proc_has_env(pid, s->name, s->value))
		s->found++;
	return true;
}

unsigned
real_processes(const char *name, const char *value)
{
	struct search s = {name, value, 0};

	proc_each(look_at, &s);
	return s.found;
}
