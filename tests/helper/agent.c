/*
 * orch-test-agent: the scripted agent. Called exactly like "claude -p --output-format stream-json --verbose
 * ...", it reads its prompt from stdin to EOF, does what a script says, and writes the events that the real
 * CLI would.
 *
 * Which script: a file in the folder $ORCH_AGENT_SCRIPTS, the first that is there of
 *     <role>-<key>.<turn>   <role>-<key>   <role>.<turn>   <role>
 * role is $ORCH_ROLE (director, em, worker), key is $ORCH_TASK_KEY (plan ids: empty for the director, "core"
 * for an EM, "core.parser" for a worker; with an empty key "<role>-" and "<role>" are both tried), turn
 * counts the starts of an agent for this role and key (1, 2 ...; kept in $HOME). No script is a failure that
 * names what was tried.
 *
 * A script is lines of "command arguments"; empty lines and lines that begin with # say nothing. A command
 * with a block ends its line in <<WORD, and the block goes on to the line that is WORD. A path is relative to
 * the worktree; @/x is x in the script folder. At the end of the script a result is written (its text is the
 * last "say", or the plan) and it exits with 0.
 *
 *     say TEXT               assistant text
 *     plan <<END             structured output, the JSON in the block (needs --json-schema); as it is, if it
 * is JSON write PATH <<END       file := block; folders are made (tool Write) append PATH <<END      the same
 * at the file's end (tool Edit) delete PATH            removes a file (tool Bash) run COMMAND /bin/sh -c
 * COMMAND in a session of its own (tool Bash); a failure is only reported commit MESSAGE         git add -A,
 * git commit (tool Bash) branch NAME            git switch -C NAME (tool Bash) rmgit                  rm -rf
 * .git (tool Bash) tokens IN OUT USD      adds to the session's usage expect_prompt TEXT     fails when the
 * prompt does not hold TEXT; refuse_prompt: when it does expect_resumed         fails when this is not
 * --resume; expect_fresh: when it is touch PATH             makes a file, without any event: for tests that
 * wait for this agent wait_file PATH         a tool that is open until the file exists wait_ms N says nothing
 * for so long retry N MAX STATUS     system/api_retry (STATUS 0: no HTTP status) stderr TEXT            a
 * line on stderr garbage                lines that are no JSON, no UTF-8, cut, too deep flood N one text
 * event of N bytes stray PATH             leaves a process in a session of its own that sleeps and keeps
 * stdout open; pid in PATH ignore_term            SIGTERM does nothing from here on result TEXT            a
 * result now; the script goes on linger                 at the end: the result, then it stays noresult at the
 * end: no result, exit 0 hang                   silence for ever busy                   silence for ever, in
 * an open tool error TEXT             a result with is_error, exit 1; api_error STATUS TEXT: with an HTTP
 * status exit N                 exits at once, without a result
 *
 * With read-only tools (--tools) write, append, delete, run, commit, branch and rmgit are denied like the
 * real ones.
 */
#include "common/alloc.h"
#include "common/child.h"
#include "common/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROMPT_MAX (10u << 20)
#define TOOL_OUTPUT_MAX 30000

struct agent {
	const char *role, *key, *home, *scripts;
	const char *session, *schema, *tools;
	bool print, verbose, stream_json, skip_permissions, resume;
	char *prompt, *text, *session_file;
	char *arg, *block; /* of the command that runs */
	json_t *structured;
	unsigned turn, turns_of_session, tools_used, denials, results;
	json_int_t tokens_in, tokens_out;
	double usd;
	bool linger, noresult;
};

struct script {
	char *name, *text, *next;
	unsigned line;
};

static volatile sig_atomic_t tool_pid;

static void
on_term(int sig)
{
	if (tool_pid > 0)
		kill(-(pid_t)tool_pid, SIGTERM);
	_exit(128 + sig);
}

static void __attribute__((noreturn)) stay(void)
{
	for (;;)
		pause();
}

static void __attribute__((noreturn, format(printf, 1, 2))) usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static void
put_line(const char *text, size_t size)
{
	/* A reader that is gone does not stop the real CLI either. */
	if (fd_write_all(1, text, size) == 0)
		fd_write_all(1, "\n", 1);
}

static void
emit(struct agent *a, json_t *event)
{
	char *text;

	json_object_set_new(event, "session_id", json_string(a->session));
	json_object_set_new(event, "uuid", json_string("00000000-0000-4000-8000-000000000000"));
	text = json_dumps(event, JSON_COMPACT);
	put_line(text, strlen(text));
	free(text);
	json_decref(event);
}

static void
save_session(const struct agent *a)
{
	json_t *j = json_pack("{s:i,s:I,s:I,s:f}", "turns", (int)a->turns_of_session, "in", a->tokens_in,
	    "out", a->tokens_out, "usd", a->usd);

	json_dump_file(j, a->session_file, JSON_COMPACT);
	json_decref(j);
}

/* status < 0: no failure of the API. text NULL: an "errors" result, as for failures of the CLI itself. */
static void
emit_result(struct agent *a, bool is_error, int status, const char *text, const char *error)
{
	json_t *denials = json_array();
	json_t *usage = json_pack("{s:{s:I,s:I,s:i,s:i,s:f}}", "claude-scripted", "inputTokens", a->tokens_in,
	    "outputTokens", a->tokens_out, "cacheReadInputTokens", 0, "cacheCreationInputTokens", 0,
	    "costUSD", a->usd);
	json_t *r = json_pack("{s:i,s:b,s:i,s:f,s:o,s:s,s:s}", "duration_ms", 1, "is_error", (int)is_error,
	    "num_turns", (int)a->tools_used + 1, "total_cost_usd", a->usd, "modelUsage", usage, "type",
	    "result", "subtype", text != NULL ? "success" : "error_during_execution");

	for (unsigned i = 0; i < a->denials; i++)
		json_array_append_new(denials, json_pack("{s:s}", "tool_name", "Write"));
	json_object_set_new(r, "permission_denials", denials);
	json_object_set_new(r, "terminal_reason", json_string(status >= 0 ? "api_error" : "completed"));
	json_object_set_new(r, "api_error_status", status > 0 ? json_integer(status) : json_null());
	json_object_set_new(r, "result_index", json_integer(a->results++));
	if (text != NULL)
		json_object_set_new(r, "result", json_string(text));
	else
		json_object_set_new(r, "errors", json_pack("[s]", error));
	if (!is_error && a->structured != NULL)
		json_object_set(r, "structured_output", a->structured);
	save_session(a);
	emit(a, r);
}

static void __attribute__((noreturn, format(printf, 2, 3))) fail(struct agent *a, const char *fmt, ...)
{
	va_list ap;
	char text[8192];

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "scripted agent: %s\n", text);
	emit_result(a, true, -1, NULL, text);
	exit(1);
}

/* The agent's own words and the tools it opens and closes. */

static void
emit_assistant(struct agent *a, json_t *block)
{
	emit(a, json_pack("{s:s,s:{s:s,s:s,s:[o]},s:n}", "type", "assistant", "message", "id", "msg_scripted",
		    "role", "assistant", "content", block, "parent_tool_use_id"));
}

static void
open_tool(struct agent *a, const char *name, const char *field, const char *value)
{
	char id[32];

	snprintf(id, sizeof(id), "toolu_%u", ++a->tools_used);
	emit_assistant(a, json_pack("{s:s,s:s,s:s,s:{s:s}}", "type", "tool_use", "id", id, "name", name,
			      "input", field, value));
}

static void
close_tool(struct agent *a, bool failed, const char *output)
{
	char id[32];
	json_t *text = json_string(output);

	snprintf(id, sizeof(id), "toolu_%u", a->tools_used);
	if (text == NULL)
		text = json_string("(output that is not UTF-8)");
	emit(a, json_pack("{s:s,s:{s:s,s:[{s:s,s:s,s:o,s:b}]},s:n}", "type", "user", "message", "role",
		    "user", "content", "type", "tool_result", "tool_use_id", id, "content", text, "is_error",
		    (int)failed, "parent_tool_use_id"));
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
do_exit(struct agent *a)
{
	(void)a;
	exit((int)strtol(a->arg, NULL, 10));
}

static const struct command {
	const char *name;
	bool text, block;
	void (*fn)(struct agent *a);
} commands[] = {
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
    {"expect_prompt", true, false, do_expect_prompt},
    {"refuse_prompt", true, false, do_refuse_prompt},
    {"expect_resumed", false, false, do_expect_resumed},
    {"expect_fresh", false, false, do_expect_fresh},
    {"touch", true, false, do_touch},
    {"wait_file", true, false, do_wait_file},
    {"wait_ms", true, false, do_wait_ms},
    {"retry", true, false, do_retry},
    {"stderr", true, false, do_stderr},
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
};

/* The next line, cut off in place; NULL at the end. */
static char *
next_line(struct script *s)
{
	char *line = s->next, *end;

	if (*line == '\0')
		return NULL;
	end = strchr(line, '\n');
	if (end != NULL)
		*end = '\0';
	s->next = end != NULL ? end + 1 : line + strlen(line);
	s->line++;
	return line;
}

/* The lines up to word, in fresh memory. */
static char *
read_block(struct agent *a, struct script *s, const char *word)
{
	char *block = xstrdup(""), *line;

	while ((line = next_line(s)) != NULL && strcmp(line, word) != 0) {
		char *longer = xasprintf("%s%s\n", block, line);

		free(block);
		block = longer;
	}
	if (line == NULL)
		fail(a, "%s: the block's end '%s' is missing", s->name, word);
	return block;
}

static void
run_line(struct agent *a, struct script *s, char *line)
{
	size_t n = strcspn(line, " ");
	const struct command *c = NULL;
	char *text = line + n + strspn(line + n, " "), *block = NULL, *mark;
	unsigned number = s->line;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strlen(commands[i].name) == n && strncmp(commands[i].name, line, n) == 0)
			c = &commands[i];
	if (c == NULL)
		fail(a, "%s:%u: unknown command '%.*s'", s->name, number, (int)n, line);
	mark = c->block ? strstr(text, "<<") : NULL;
	if (mark != NULL) {
		block = read_block(a, s, mark + 2);
		do
			*mark = '\0';
		while (mark > text && *--mark == ' ');
	}
	if (c->block != (block != NULL) || c->text != (*text != '\0'))
		fail(a, "%s:%u: %s: %s text and %s block are wanted", s->name, number, c->name,
		    c->text ? "a" : "no", c->block ? "a" : "no");
	a->arg = text;
	a->block = block;
	c->fn(a);
	free(block);
}

static void
run_script(struct agent *a, struct script *s)
{
	char *line;

	while ((line = next_line(s)) != NULL)
		if (line[0] != '\0' && line[0] != '#')
			run_line(a, s, line);
}

/* Start-up: options, session, script. */

static void
find_script(struct agent *a, struct script *s)
{
	char *names[4], tried[2048] = "";

	if (a->scripts == NULL || a->role == NULL || a->key == NULL)
		fail(a, "ORCH_AGENT_SCRIPTS, ORCH_ROLE and ORCH_TASK_KEY must be set");
	names[0] = xasprintf("%s-%s.%u", a->role, a->key, a->turn);
	names[1] = xasprintf("%s-%s", a->role, a->key);
	names[2] = xasprintf("%s.%u", a->role, a->turn);
	names[3] = xstrdup(a->role);
	for (size_t i = 0; i < 4 && s->text == NULL; i++) {
		char *path = xasprintf("%s/%s", a->scripts, names[i]);

		if (fd_read_file(path, PROMPT_MAX, &s->text, NULL) == 0)
			s->name = xstrdup(names[i]);
		snprintf(tried + strlen(tried), sizeof(tried) - strlen(tried), " %s", names[i]);
		free(path);
	}
	for (size_t i = 0; i < 4; i++)
		free(names[i]);
	if (s->text == NULL)
		fail(a, "no script in %s; tried%s", a->scripts, tried);
	s->next = s->text;
}

/* Counts this start; the number is kept in HOME, like everything the real CLI knows. */
static unsigned
count_start(const struct agent *a)
{
	char *path = xasprintf("%s/.claude/starts-%s-%s", a->home, a->role != NULL ? a->role : "",
		 a->key != NULL ? a->key : ""),
	     *text = NULL, number[32];
	unsigned turn = 1;

	if (fd_read_file(path, 64, &text, NULL) == 0)
		turn = (unsigned)strtoul(text, NULL, 10) + 1;
	snprintf(number, sizeof(number), "%u\n", turn);
	fd_write_file(path, number, strlen(number), 0600);
	free(text);
	free(path);
	return turn;
}

static void
open_session(struct agent *a)
{
	char *folder = xasprintf("%s/.claude/projects", a->home);
	json_t *old;

	fd_mkdirs(folder, 0700);
	a->session_file = xasprintf("%s/%s.json", folder, a->session);
	free(folder);
	old = json_load_file(a->session_file, 0, NULL);
	if (a->resume && old == NULL) {
		char *text = xasprintf("No conversation found with session ID: %s", a->session);

		fprintf(stderr, "%s\n", text);
		xreplace(&a->session_file, "/dev/null");
		emit_result(a, true, -1, NULL, text);
		exit(1);
	}
	if (!a->resume && old != NULL)
		usage("Error: Session ID %s is already in use.", a->session);
	a->turns_of_session = (unsigned)json_integer_value(json_object_get(old, "turns")) + 1;
	a->tokens_in = json_integer_value(json_object_get(old, "in"));
	a->tokens_out = json_integer_value(json_object_get(old, "out"));
	a->usd = json_number_value(json_object_get(old, "usd"));
	json_decref(old);
	a->turn = count_start(a);
	save_session(a);
}

static const char *
value_of(int argc, char **argv, int *i)
{
	if (*i + 1 >= argc)
		usage("error: option '%s' argument missing", argv[*i]);
	return argv[++*i];
}

static void
parse_options(struct agent *a, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *o = argv[i];

		if (strcmp(o, "--version") == 0) {
			puts("2.1.330 (Claude Code)");
			exit(0);
		} else if (strcmp(o, "-p") == 0 || strcmp(o, "--print") == 0)
			a->print = true;
		else if (strcmp(o, "--verbose") == 0)
			a->verbose = true;
		else if (strcmp(o, "--strict-mcp-config") == 0)
			continue;
		else if (strcmp(o, "--dangerously-skip-permissions") == 0)
			a->skip_permissions = true;
		else if (strcmp(o, "--output-format") == 0)
			a->stream_json = strcmp(value_of(argc, argv, &i), "stream-json") == 0;
		else if (strcmp(o, "--session-id") == 0)
			a->session = value_of(argc, argv, &i);
		else if (strcmp(o, "--resume") == 0) {
			a->session = value_of(argc, argv, &i);
			a->resume = true;
		} else if (strcmp(o, "--json-schema") == 0)
			a->schema = value_of(argc, argv, &i);
		else if (strcmp(o, "--tools") == 0)
			a->tools = value_of(argc, argv, &i);
		else if (strcmp(o, "--setting-sources") == 0 || strcmp(o, "--permission-mode") == 0 ||
			 strcmp(o, "--allowedTools") == 0 || strcmp(o, "--disallowedTools") == 0 ||
			 strcmp(o, "--model") == 0 || strcmp(o, "--max-turns") == 0 ||
			 strcmp(o, "--debug-file") == 0)
			value_of(argc, argv, &i);
		else
			usage("error: unknown option '%s'", o);
	}
}

static void
check_options(const struct agent *a)
{
	const char *sandbox = getenv("IS_SANDBOX");

	if (!a->print || !a->stream_json)
		usage("Error: the scripted agent needs -p --output-format stream-json");
	if (!a->verbose)
		usage("Error: When using --print, --output-format=stream-json requires --verbose");
	if (a->session == NULL || strlen(a->session) != 36)
		usage("Error: Invalid session ID. Must be a valid UUID.");
	if (a->skip_permissions && geteuid() == 0 && (sandbox == NULL || strcmp(sandbox, "1") != 0))
		usage("--dangerously-skip-permissions cannot be used with root/sudo privileges for security "
		      "reasons");
	if (a->home == NULL)
		usage("Error: HOME is not set");
}

int
main(int argc, char **argv)
{
	struct agent a = {.role = getenv("ORCH_ROLE"),
	    .key = getenv("ORCH_TASK_KEY"),
	    .home = getenv("HOME"),
	    .scripts = getenv("ORCH_AGENT_SCRIPTS")};
	struct script s = {0};
	char cwd[4096];

	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_term);
	signal(SIGHUP, on_term);
	parse_options(&a, argc, argv);
	check_options(&a);
	if (fd_read_all(0, PROMPT_MAX, &a.prompt, NULL) < 0)
		usage("Error: piped stdin input exceeds 10MB. Pass large content as a file path in your "
		      "prompt instead.");
	if (a.prompt[0] == '\0')
		usage("Error: Input must be provided either through stdin or as a prompt argument when using "
		      "--print");
	open_session(&a);
	emit(&a, json_pack("{s:s,s:s,s:s,s:s,s:s}", "type", "system", "subtype", "init", "cwd",
		     getcwd(cwd, sizeof(cwd)) != NULL ? cwd : "", "model", "claude-scripted",
		     "claude_code_version", "2.1.330"));
	find_script(&a, &s);
	run_script(&a, &s);
	if (!a.noresult)
		emit_result(&a, false, -1, a.text != NULL ? a.text : "", NULL);
	if (a.linger)
		stay();
	json_decref(a.structured);
	free(a.text);
	free(a.prompt);
	free(a.session_file);
	free(s.name);
	free(s.text);
	return 0;
}
