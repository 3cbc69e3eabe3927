/* commands: what a line of a script does, and the table of them at the end. */
#include "tests/helper/agent/agent.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TOOL_OUTPUT_MAX 30000

static volatile sig_atomic_t tool_pid;

void
on_term(int sig)
{
	if (tool_pid > 0)
		kill(-(pid_t)tool_pid, SIGTERM);
	_exit(128 + sig);
}

void
stay(void)
{
	for (;;)
		pause();
}

/* False, after the events of a denial, when this agent may only read. */
static bool
open_writing_tool(struct agent *a, const char *name, const char *field, const char *value)
{
	open_tool(a, name, field, value);
	if (a->skip_permissions && a->tools == NULL)
		return true;
	a->denials++;
	close_tool(a, true, "Permission to use this tool has been denied.");
	return false;
}

static char *
path_of(const struct agent *a, const char *path)
{
	return strncmp(path, "@/", 2) == 0 ? xasprintf("%s/%s", a->scripts, path + 2) : xstrdup(path);
}

/* Runs argv as the real CLI's Bash tool does: in a session of its own, over when the command itself is. */
static void
run_tool(struct agent *a, const char *const *argv, const char *shown)
{
	struct child_spec cs;
	struct err e = {""};
	char output[TOOL_OUTPUT_MAX + 1];
	int status = 0, fd;
	ssize_t n;
	pid_t pid;

	if (!open_writing_tool(a, "Bash", "command", shown))
		return;
	fd = memfd_create("tool", MFD_CLOEXEC); /* a file: what the command leaves behind cannot hold us up */
	child_spec_init(&cs);
	cs.argv = argv;
	cs.fd_out = cs.fd_err = fd;
	cs.session = true;
	if (fd < 0 || child_spawn(&cs, &pid, NULL, &e) < 0)
		fail(a, "%s", e.msg);
	tool_pid = pid;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	tool_pid = 0;
	n = pread(fd, output, sizeof(output) - 1, 0);
	output[n > 0 ? n : 0] = '\0';
	fd_close(&fd);
	close_tool(a, status != 0, output);
}

static void
put_file(struct agent *a, const char *tool, int flags, char *path, const char *block)
{
	char *full = path_of(a, path), *slash = strrchr(full, '/');
	int fd;

	if (!open_writing_tool(a, tool, "file_path", path)) {
		free(full);
		return;
	}
	if (slash != NULL && slash != full) {
		*slash = '\0';
		fd_mkdirs(full, 0777);
		*slash = '/';
	}
	fd = open(full, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666);
	if (fd < 0 || fd_write_all(fd, block, strlen(block)) < 0)
		fail(a, "cannot write %s: %s", full, strerror(errno));
	fd_close(&fd);
	close_tool(a, false, "File written.");
	free(full);
}

static void
sleep_ms(long ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		continue;
}

/* The commands: a->arg is the rest of the line, a->block the block; NULL when there is none. */

static void
do_say(struct agent *a)
{
	emit_assistant(a, json_pack("{s:s,s:s}", "type", "text", "text", a->arg));
	xreplace(&a->text, a->arg);
}

static void
do_plan(struct agent *a)
{
	if (a->schema == NULL)
		fail(a, "plan: called without --json-schema");
	json_decref(a->structured);
	a->structured = json_loads(a->block, JSON_DECODE_ANY, NULL);
	if (a->structured == NULL)
		fail(a, "plan: the block is not JSON");
	xreplace(&a->text, a->block);
	open_tool(a, "StructuredOutput", "plan", "...");
	close_tool(a, false, "Structured output provided successfully");
}

static void
do_write(struct agent *a)
{
	put_file(a, "Write", O_TRUNC, a->arg, a->block);
}

static void
do_append(struct agent *a)
{
	put_file(a, "Edit", O_APPEND, a->arg, a->block);
}

static void
do_delete(struct agent *a)
{
	char *path = path_of(a, a->arg);
	const char *argv[] = {"rm", "--", path, NULL};

	run_tool(a, argv, "rm");
	free(path);
}

static void
do_run(struct agent *a)
{
	const char *argv[] = {"/bin/sh", "-c", a->arg, NULL};

	run_tool(a, argv, a->arg);
}

static void
do_commit(struct agent *a)
{
	const char *add[] = {"git", "add", "-A", NULL};
	const char *commit[] = {"git", "-c", "user.name=Scripted Agent", "-c",
	    "user.email=agent@orch.invalid", "commit", "-q", "-m", a->arg, NULL};

	run_tool(a, add, "git add -A");
	run_tool(a, commit, "git commit");
}

static void
do_branch(struct agent *a)
{
	const char *argv[] = {"git", "switch", "-q", "-C", a->arg, NULL};

	run_tool(a, argv, "git switch");
}

static void
do_rmgit(struct agent *a)
{
	const char *argv[] = {"rm", "-rf", ".git", NULL};

	run_tool(a, argv, "rm -rf .git");
}

static void
do_tokens(struct agent *a)
{
	long long in, out;
	double usd;

	if (sscanf(a->arg, "%lld %lld %lf", &in, &out, &usd) != 3)
		fail(a, "tokens: wanted IN OUT USD, got '%s'", a->arg);
	a->tokens_in += in;
	a->tokens_out += out;
	a->usd += usd;
}

static void
do_expect_prompt(struct agent *a)
{
	if (strstr(a->prompt, a->arg) == NULL)
		fail(a, "expect_prompt: the prompt does not hold '%s'; it is: %.4000s", a->arg, a->prompt);
}

static void
do_refuse_prompt(struct agent *a)
{
	if (strstr(a->prompt, a->arg) != NULL)
		fail(a, "refuse_prompt: the prompt holds '%s'", a->arg);
}

static void
do_expect_resumed(struct agent *a)
{
	if (!a->resume)
		fail(a, "expect_resumed: this session is new");
}

static void
do_expect_fresh(struct agent *a)
{
	if (a->resume)
		fail(a, "expect_fresh: this session was resumed");
}

static void
do_touch(struct agent *a)
{
	char *path = path_of(a, a->arg);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0)
		fail(a, "cannot touch %s: %s", path, strerror(errno));
	fd_close(&fd);
	free(path);
}

static void
do_wait_file(struct agent *a)
{
	char *path = path_of(a, a->arg);

	open_tool(a, "Bash", "command", "wait for a file");
	while (access(path, F_OK) < 0)
		sleep_ms(5);
	close_tool(a, false, "");
	free(path);
}

static void
do_wait_ms(struct agent *a)
{
	(void)a;
	sleep_ms(strtol(a->arg, NULL, 10));
}

static void
do_retry(struct agent *a)
{
	int attempt, max, status;

	if (sscanf(a->arg, "%d %d %d", &attempt, &max, &status) != 3)
		fail(a, "retry: wanted ATTEMPT MAX STATUS, got '%s'", a->arg);
	emit(a, json_pack("{s:s,s:s,s:i,s:i,s:i,s:o,s:s}", "type", "system", "subtype", "api_retry",
		    "attempt", attempt, "max_retries", max, "retry_delay_ms", 516, "error_status",
		    status > 0 ? json_integer(status) : json_null(), "error",
		    status == 429 ? "rate_limit"
		    : status == 0 ? "unknown"
				  : "server_error"));
}

static void
do_ask(struct agent *a)
{
	for (long n = strtol(a->arg, NULL, 10); n > 0; n--)
		ask(a);
}

static void
do_stderr(struct agent *a)
{
	(void)a;
	fprintf(stderr, "%s\n", a->arg);
}

static void
do_garbage(struct agent *a)
{
	static const char *const lines[] = {"Segmentation fault", "{\"type\":\"assistant\",\"mess",
	    "\xff\xfe\x80",
	    "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"\xc3\x28\"}]}}",
	    "[]", "42", "{\"type\":7}", "{}", ""};
	char deep[4096];

	(void)a;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		put_line(lines[i], strlen(lines[i]));
	memset(deep, '[', sizeof(deep));
	put_line(deep, sizeof(deep));
}

static void
do_flood(struct agent *a)
{
	size_t size = strtoul(a->arg, NULL, 10);
	char *flood = xmalloc(size + 1);

	memset(flood, 'x', size);
	flood[size] = '\0';
	emit_assistant(a, json_pack("{s:s,s:s}", "type", "text", "text", flood));
	free(flood);
}

static void
do_stray(struct agent *a)
{
	char *path = path_of(a, a->arg), number[32];
	int pid, ready[2], n;

	if (fd_pipe(ready, false) < 0)
		fail(a, "stray: no pipe");
	if (fork() == 0) {
		setsid();
		pid = fork();
		if (pid > 0)
			_exit(0);
		signal(SIGTERM, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
		n = snprintf(number, sizeof(number), "%d\n", (int)getpid());
		fd_write_file(path, number, (size_t)n, 0600);
		fd_write_all(ready[1], "x", 1);
		stay();
	}
	wait(NULL);
	fd_close(&ready[1]);
	fd_read(ready[0], number, 1);
	fd_close(&ready[0]);
	free(path);
}

static void
do_ignore_term(struct agent *a)
{
	(void)a;
	signal(SIGTERM, SIG_IGN);
}

static void
do_result(struct agent *a)
{
	emit_result(a, false, -1, a->arg, NULL);
}

static void
do_linger(struct agent *a)
{
	a->linger = true;
}

static void
do_noresult(struct agent *a)
{
	a->noresult = true;
}

static void
do_hang(struct agent *a)
{
	(void)a;
	stay();
}

static void
do_busy(struct agent *a)
{
	open_tool(a, "Bash", "command", "make -j2 test");
	stay();
}

static void
do_error(struct agent *a)
{
	emit_result(a, true, 0, a->arg, NULL);
	exit(1);
}

static void
do_api_error(struct agent *a)
{
	char *rest;
	long status = strtol(a->arg, &rest, 10);

	emit_result(a, true, (int)status, rest + strspn(rest, " "), NULL);
	exit(1);
}

static void
do_raw(struct agent *a)
{
	size_t size = strlen(a->block);

	while (size > 0 && a->block[size - 1] == '\n')
		size--;
	put_line(a->block, size);
}

static void
do_exit(struct agent *a)
{
	(void)a;
	exit((int)strtol(a->arg, NULL, 10));
}

const struct command agent_commands[] = {
    {"say", true, false, do_say},
    {"plan", false, true, do_plan},
    {"write", true, true, do_write},
    {"append", true, true, do_append},
    {"delete", true, false, do_delete},
    {"run", true, false, do_run},
    {"commit", true, false, do_commit},
    {"branch", true, false, do_branch},
    {"rmgit", false, false, do_rmgit},
    {"tokens", true, false, do_tokens},
    {"ask", true, false, do_ask},
    {"expect_prompt", true, false, do_expect_prompt},
    {"refuse_prompt", true, false, do_refuse_prompt},
    {"expect_resumed", false, false, do_expect_resumed},
    {"expect_fresh", false, false, do_expect_fresh},
    {"touch", true, false, do_touch},
    {"wait_file", true, false, do_wait_file},
    {"wait_ms", true, false, do_wait_ms},
    {"retry", true, false, do_retry},
    {"stderr", true, false, do_stderr},
    {"raw", false, true, do_raw},
    {"garbage", false, false, do_garbage},
    {"flood", true, false, do_flood},
    {"stray", true, false, do_stray},
    {"ignore_term", false, false, do_ignore_term},
    {"result", true, false, do_result},
    {"linger", false, false, do_linger},
    {"noresult", false, false, do_noresult},
    {"hang", false, false, do_hang},
    {"busy", false, false, do_busy},
    {"error", true, false, do_error},
    {"api_error", true, false, do_api_error},
    {"exit", true, false, do_exit},
    {NULL, false, false, NULL},
};
