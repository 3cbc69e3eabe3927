/* clang-format off: the table below is one */
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
 *     say TEXT              assistant text
 *     plan <<END            structured output, the JSON in the block (needs --json-schema); as it is, if it
 *                           is JSON
 *     write PATH <<END      file := block; folders are made (tool Write)
 *     append PATH <<END     the same at the file's end (tool Edit)
 *     delete PATH           removes a file (tool Bash)
 *     run COMMAND           /bin/sh -c COMMAND in a session of its own (tool Bash); a failure is only
 *                           reported
 *     commit MESSAGE        git add -A, git commit (tool Bash)
 *     branch NAME           git switch -C NAME (tool Bash)
 *     rmgit                 rm -rf .git (tool Bash)
 *     tokens IN OUT USD     adds to the session's usage
 *     ask N                 N requests to $ANTHROPIC_BASE_URL with its key or token, one after the other
 *     expect_prompt TEXT    fails when the prompt does not hold TEXT; refuse_prompt: when it does
 *     expect_resumed        fails when this is not --resume; expect_fresh: when it is
 *     touch PATH            makes a file, without any event: for tests that wait for this agent
 *     wait_file PATH        a tool that is open until the file exists
 *     wait_ms N             says nothing for so long
 *     retry N MAX STATUS    system/api_retry (STATUS 0: no HTTP status)
 *     stderr TEXT           a line on stderr
 *     raw <<END             the block's lines on stdout, as they are
 *     garbage               lines that are no JSON, no UTF-8, cut, too deep
 *     flood N               one text event of N bytes
 *     stray PATH            leaves a process in a session of its own that sleeps and keeps stdout open; pid
 *                           in PATH
 *     ignore_term           SIGTERM does nothing from here on
 *     result TEXT           a result now; the script goes on
 *     linger                at the end: the result, then it stays
 *     noresult              at the end: no result, exit 0
 *     hang                  silence for ever
 *     busy                  silence for ever, in an open tool
 *     error TEXT            a result with is_error, exit 1; api_error STATUS TEXT: with an HTTP status
 *     exit N                exits at once, without a result
 *
 * With read-only tools (--tools) write, append, delete, run, commit, branch and rmgit are denied like the
 * real ones.
 */
/* clang-format on */
#include "tests/helper/agent/agent.h"

#include "common/alloc.h"
#include "common/fd.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROMPT_MAX (10u << 20)

/* The leak checker is a tracer, and ends a process that has one already (tests/chaos/power). */
int __lsan_is_turned_off(void);
int
__lsan_is_turned_off(void)
{
	char *text = NULL, *tracer;
	bool traced;

	if (fd_read_file("/proc/self/status", 1 << 16, &text, NULL) < 0)
		return 0;
	tracer = strstr(text, "TracerPid:");
	traced = tracer != NULL && atoi(tracer + strlen("TracerPid:")) != 0;
	free(text);
	return traced;
}

struct script {
	char *name, *text, *next;
	unsigned line;
};

static void __attribute__((noreturn, format(printf, 1, 2))) usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

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

	for (size_t i = 0; agent_commands[i].name != NULL; i++)
		if (strlen(agent_commands[i].name) == n && strncmp(agent_commands[i].name, line, n) == 0)
			c = &agent_commands[i];
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
		else if (strcmp(o, "--strict-mcp-config") == 0 ||
			 strcmp(o, "--include-partial-messages") == 0)
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
			 strcmp(o, "--max-budget-usd") == 0 || strcmp(o, "--debug-file") == 0)
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
