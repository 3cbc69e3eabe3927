/*
 * bench_agent: what orch costs beside its agents. The runner per event: a stand-in writes many lines of the
 * real CLI's kind, read by agent_run (events, log, redaction) and by a bare loop. With the real CLI
 * ($ORCH_REAL_AGENT), in a network namespace with a fake API: a run of one director, one EM and eight workers
 * at once against the same ten started by hand in the same three steps; then eight that wait for an answer,
 * and the memory of the workers that wait for them. Exits with 77 when the CLI's part was skipped.
 */
#include "common/agent.h"
#include "common/alloc.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/json.h"
#include "common/proc.h"
#include "common/redact.h"
#include "tests/bench/lib/sample.h"
#include "tests/bench/lib/team.h"
#include "tests/helper/lib/realagent.h"
#include "tests/helper/lib/tmp.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIP 77
#define EVENTS 50000
#define ROUNDS 3
#define WORKERS 8
#define ASSEMBLE_MS 40000
#define RUN_TITLE "Write eight files"

/* The runner. */

static void
write_stream(const char *path)
{
	FILE *f = fopen(path, "we");

	if (f == NULL)
		bench_die("cannot write %s", path);
	fputs("{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"s\",\"model\":\"m\"}\n", f);
	for (int i = 0; i < EVENTS; i++)
		fprintf(f,
		    "{\"type\":\"assistant\",\"message\":{\"id\":\"msg_%06d\",\"type\":\"message\",\"role\":"
		    "\"assistant\",\"model\":\"claude-opus-5-5\",\"content\":[{\"type\":\"text\",\"text\":"
		    "\"Looking at the sources, file %d of many.\"}],\"stop_reason\":null,\"stop_sequence\":"
		    "null,\"usage\":{\"input_tokens\":1200,\"cache_creation_input_tokens\":0,"
		    "\"cache_read_input_tokens\":0,\"output_tokens\":1},\"context_management\":null},"
		    "\"parent_tool_use_id\":null,\"session_id\":\"8f01b119-39ec-4079-b35f-fe308d6e15ed\","
		    "\"uuid\":\"882ee291-d1c5-4028-a3e0-cf5b88be19f7\"}\n",
		    i, i);
	fputs("{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"Done.\"}\n", f);
	if (fclose(f) != 0)
		bench_die("cannot write %s", path);
}

/* ns per event of the same program read by a loop that does nothing else. */
static double
read_bare(const char *program)
{
	int64_t begin = bench_ns();
	static char buf[65536];
	int fds[2];
	pid_t pid;

	if (pipe(fds) < 0 || (pid = fork()) < 0)
		bench_die("fork: %s", strerror(errno));
	if (pid == 0) {
		dup2(fds[1], 1);
		close(fds[0]);
		close(fds[1]);
		execl(program, program, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	while (read(fds[0], buf, sizeof(buf)) > 0)
		continue;
	close(fds[0]);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return (double)(bench_ns() - begin) / EVENTS;
}

static void
measure_runner(void)
{
	struct real *f = real_new();
	struct redact *secrets = redact_new();
	char *stream = tmp_path(f->dir, "stream"), *text = xasprintf("#!/bin/sh\nexec cat '%s'\n", stream);
	struct samples runs = {0}, bare = {0};

	write_stream(stream);
	real_stand_in(f, text);
	redact_add(secrets, "ANTHROPIC_API_KEY", REAL_KEY);
	f->spec.redact = secrets;
	for (int i = 0; i < ROUNDS; i++) {
		int64_t begin;

		unlink(f->log);
		begin = bench_ns();
		real_run(f);
		if (f->o.end != AGENT_OK)
			bench_die("the stand-in ended as %s: %s", agent_end_name(f->o.end), f->o.reason);
		samples_add(&runs, (double)(bench_ns() - begin) / EVENTS);
		samples_add(&bare, read_bare(f->stand_in));
	}
	bench_row("runner, ns per event, read bare", samples_median(&runs), samples_at(&runs, 1),
	    samples_median(&bare), "");
	samples_clear(&runs);
	samples_clear(&bare);
	free(text);
	free(stream);
	real_free(f);
	redact_free(secrets);
}

/* Scripts of the API. */

/* who: what the role's prompt must hold; NULL: only asked for by name. */
static void
write_script(const char *name, const char *who, const char *title, const char *steps)
{
	char *path = xasprintf("%s/scripts/%s", getenv("ORCH_FAKEAPI_DIR"), name);
	char *line = title != NULL ? xasprintf("line %s\n", title) : xstrdup("");
	char *text = xasprintf("match %s\n%s%s", who != NULL ? who : "nobody says this", line, steps);

	if (fd_write_file(path, text, strlen(text), 0600) < 0)
		bench_die("cannot write %s", path);
	free(text);
	free(line);
	free(path);
}

static const char area_plan[] =
    "reply x2\nstructured <<END\n{\"summary\":\"One area.\",\"areas\":[{\"id\":\"a\",\"title\":\"The area\","
    "\"goal\":\"Write the files.\",\"owns\":[\"a/\"],\"depends_on\":[]}]}\nEND\n";

static void
write_task_plan(void)
{
	char *items = xstrdup(""), *steps;

	for (int i = 1; i <= WORKERS; i++) {
		char *longer =
		    xasprintf("%s%s{\"id\":\"t%d\",\"title\":\"Part number %d\",\"goal\":\"Write "
			      "it.\",\"owns\":[\"a/f%d\"],\"depends_on\":[],\"acceptance\":\"It is "
			      "there.\"}",
			items, i > 1 ? "," : "", i, i, i);

		free(items);
		items = longer;
	}
	steps = xasprintf(
	    "reply x2\nstructured <<END\n{\"summary\":\"All of it.\",\"tasks\":[%s]}\nEND\n", items);
	write_script("em", "an engineering manager", "The area", steps);
	free(steps);
	free(items);
}

/* The scripts of two runs: in the first, workers write a file each; in the second they wait for ever. */
static void
write_runs(void)
{
	write_script("director", "You are the director", NULL, area_plan);
	write_task_plan();
	for (int i = 1; i <= WORKERS; i++) {
		char *name = xasprintf("worker%d", i), *title = xasprintf("Part number %d", i);
		char *steps = xasprintf("reply\nwrite a/f%d <<END\nThe work.\nEND\nreply\ntext Done.\n"
					"fault hang forever\n",
		    i);

		write_script(name, "You are a worker", title, steps);
		free(steps);
		free(title);
		free(name);
	}
}

/* By hand. */

struct by_hand {
	char *dir;
	unsigned count; /* of all so far */
};

static pid_t
start_one(struct by_hand *h, const char *steps)
{
	const char *argv[] = {real_program(), "-p", "--output-format", "stream-json", "--verbose",
	    "--setting-sources", "user", "--strict-mcp-config", "--include-partial-messages",
	    "--dangerously-skip-permissions", "Do what the script says.", NULL};
	char *name = xasprintf("hand%u", ++h->count), *cwd = tmp_path(h->dir, name);
	char *url = xasprintf("%s/w/%s", getenv("ORCH_FAKEAPI_URL"), name);
	struct child_spec s;
	struct err e = {""};
	pid_t pid;

	write_script(name, NULL, NULL, steps);
	tmp_mkdir(h->dir, name);
	setenv("ANTHROPIC_BASE_URL", url, 1);
	setenv("HOME", cwd, 1);
	child_spec_init(&s);
	s.argv = argv;
	s.cwd = cwd;
	s.death_signal = SIGKILL;
	if (child_spawn(&s, &pid, NULL, &e) < 0)
		bench_die("%s", e.msg);
	free(url);
	free(cwd);
	free(name);
	return pid;
}

static void
step_by_hand(struct by_hand *h, int count, const char *steps)
{
	pid_t pids[WORKERS];

	for (int i = 0; i < count; i++)
		pids[i] = start_one(h, steps);
	for (int i = 0; i < count; i++) {
		int status;

		while (waitpid(pids[i], &status, 0) < 0)
			if (errno != EINTR)
				bench_die("waitpid: %s", strerror(errno));
		if (status != 0)
			bench_die("a CLI started by hand ended with status %x", (unsigned)status);
	}
}

/* In ms. */
static double
run_by_hand(struct by_hand *h)
{
	char *home = xstrdup(getenv("HOME"));
	int64_t begin = bench_ns();

	step_by_hand(h, 1, "reply\ntext A plan.\n");
	step_by_hand(h, 1, "reply\ntext A plan.\n");
	step_by_hand(h, WORKERS, "reply\nwrite f <<END\nThe work.\nEND\nreply\ntext Done.\n");
	setenv("HOME", home, 1);
	free(home);
	return bench_ms_since(begin);
}

static void
start_run(struct team *t, const char *how)
{
	setenv("ANTHROPIC_BASE_URL", getenv("ORCH_FAKEAPI_URL"), 1);
	if (team_orchctl(t, "run", "-m", RUN_TITLE, "--agent", real_program(), how, NULL) != 0)
		bench_die("orchctl run did not end well");
}

static void
measure_eight(struct team *t)
{
	struct by_hand h = {tmp_make(), 0};
	double before = run_by_hand(&h), ms;
	int64_t begin = bench_ns();

	start_run(t, NULL);
	ms = bench_ms_since(begin);
	bench_row("run of 10 real CLIs, 8 at once, ms, by hand", ms, -1, (before + run_by_hand(&h)) / 2, "");
	tmp_remove(h.dir);
}

/* Memory. */

static bool
is_worker(pid_t pid)
{
	char *path = xasprintf("/proc/%d/comm", (int)pid), *text = NULL;
	bool is = fd_read_file(path, 64, &text, NULL) == 0 && strcmp(text, "orch-worker\n") == 0;

	free(text);
	free(path);
	return is;
}

/* Requests of workers so far: the log has a line for each. */
static unsigned
asked_by_workers(void)
{
	char *path = xasprintf("%s/log", getenv("ORCH_FAKEAPI_DIR")), *text = NULL, *rest, *line;
	unsigned n = 0;

	if (fd_read_file(path, 64u << 20, &text, NULL) < 0)
		bench_die("cannot read %s", path);
	for (rest = text; (line = strsep(&rest, "\n")) != NULL;) {
		json_t *j = json_loads(line, 0, NULL);
		const char *script = json_str(j, "script");

		n += script != NULL && strncmp(script, "worker", 6) == 0;
		json_decref(j);
	}
	free(text);
	free(path);
	return n;
}

static void
measure_memory(struct team *t)
{
	int64_t deadline = clock_now_ms() + ASSEMBLE_MS;
	struct samples workers = {0}, agents = {0};
	bool never = false;
	pid_t *pids, *below;
	unsigned already;
	int n, m;

	already = asked_by_workers();
	start_run(t, "--detach");
	while (asked_by_workers() < already + WORKERS) {
		if (clock_now_ms() >= deadline)
			bench_die("the eight do not wait");
		loop_wait(&t->repo->loop, &never, clock_now_ms() + 50);
	}
	n = proc_children(t->orchd, &pids);
	for (int i = 0; i < n; i++) {
		if (!is_worker(pids[i]))
			continue;
		samples_add(&workers, bench_pss(pids[i]));
		m = proc_children(pids[i], &below);
		for (int k = 0; k < m; k++)
			samples_add(&agents, bench_pss(below[k]));
		if (m >= 0)
			free(below);
	}
	if (n >= 0)
		free(pids);
	if (workers.count != WORKERS || agents.count != WORKERS)
		bench_die("%zu workers with %zu agents", workers.count, agents.count);
	bench_row("worker beside its waiting real CLI, KiB PSS", samples_median(&workers),
	    samples_at(&workers, 1), samples_median(&agents), "");
	samples_clear(&workers);
	samples_clear(&agents);
}

int
main(int argc, char **argv)
{
	struct team *t;

	(void)argc;
	if (getenv("ORCH_FAKEAPI_URL") == NULL) {
		measure_runner();
		if (real_program() == NULL || *real_program() == '\0') {
			bench_note("skipped: the real CLI's lines, for ORCH_REAL_AGENT does not name it");
			return SKIP;
		}
	}
	real_enter(argv);
	setenv("TMPDIR", getenv("ORCH_FAKEAPI_DIR"),
	    1); /* agents' folders too: a run that is cut off keeps them */
	setenv("ANTHROPIC_API_KEY", REAL_KEY, 1);
	setenv("IS_SANDBOX", "1", 1);
	setenv("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1", 1);
	setenv("MAX_WORKERS_PER_EM", "8", 1);
	write_runs();
	t = team_new();
	setenv("ANTHROPIC_BASE_URL", getenv("ORCH_FAKEAPI_URL"), 1);
	team_start(t);
	measure_eight(t);
	measure_memory(t);
	return 0;
}
