/*
 * agent: agent_run() with the scripted agent, every way an attempt can end. Each test has a folder of its own
 * with scripts, worktree and home; at its end no process may be left below us.
 */
#include "common/agent.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/fd.h"
#include "common/json.h"
#include "common/proc.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG_MS 60000 /* never reached by a test that passes */

struct fixture {
	struct loop loop;
	char dir[64];
	char *wt, *home, *log;
	char **env;
	char session[37];
	struct agent_spec spec;
	struct agent_outcome o;
	struct err e;
	unsigned tools;
	bool stop_at_tool;
};

static int
remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static void
on_event(void *arg, const struct stream_event *ev)
{
	struct fixture *f = arg;

	if (ev->kind != STREAM_TOOL)
		return;
	f->tools++;
	if (f->stop_at_tool)
		loop_stop(&f->loop, SIGTERM);
}

static void
make_env(struct fixture *f, const char *role, const char *key)
{
	char *scripts = xasprintf("ORCH_AGENT_SCRIPTS=%s", f->dir),
	     *task = xasprintf("ORCH_TASK_KEY=%s", key);
	char *who = xasprintf("ORCH_ROLE=%s", role);
	/* What looks at the endpoint finds nothing there, and nothing leaves this machine. */
	const char *extra[] = {"ANTHROPIC_BASE_URL=http://127.0.0.1:1", scripts, task, who, NULL};
	struct conf c;

	conf_init(&c);
	strv_free(f->env);
	f->env = agent_env(&c, "/nowhere", extra, NULL);
	f->spec.env = (const char *const *)f->env;
	conf_clear(&c);
	free(scripts);
	free(task);
	free(who);
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	assert_int_equal(loop_init(&f->loop), 0);
	assert_int_equal(loop_own_descendants(&f->loop), 0);
	strcpy(f->dir, "/tmp/orch-agent-test.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->wt = xasprintf("%s/wt", f->dir);
	f->home = xasprintf("%s/private", f->dir);
	f->log = xasprintf("%s/agent.jsonl", f->dir);
	assert_int_equal(fd_mkdirs(f->wt, 0700), 0);
	agent_new_session(f->session);
	f->spec = (struct agent_spec){.program = ORCH_BIN_DIR "/orch-test-agent",
	    .cwd = f->wt,
	    .home = f->home,
	    .prompt = "Write the parser.",
	    .access = AGENT_FULL,
	    .session = f->session,
	    .log_path = f->log,
	    .timeout_ms = LONG_MS,
	    .silence_ms = LONG_MS,
	    .exit_grace_ms = LONG_MS,
	    .term_grace_ms = LONG_MS,
	    .on_event = on_event,
	    .arg = f};
	make_env(f, "worker", "core.parser");
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	char *tmp = agent_tmpdir(f->home);
	pid_t *pids = NULL;

	assert_int_equal(proc_children(getpid(), &pids), 0);
	free(pids);
	assert_int_equal(access(tmp, F_OK), -1);
	free(tmp);
	agent_outcome_clear(&f->o);
	strv_free(f->env);
	loop_clear(&f->loop);
	nftw(f->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(f->wt);
	free(f->home);
	free(f->log);
	free(f);
	return 0;
}

static void
script(struct fixture *f, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", f->dir, name);

	assert_int_equal(fd_write_file(path, text, strlen(text), 0600), 0);
	free(path);
}

/* Runs the script to the expected end; the reason must then hold every word. */
static void
run(struct fixture *f, const char *text, enum agent_end end, const char *const *words)
{
	if (text != NULL)
		script(f, "worker-core.parser", text);
	agent_outcome_clear(&f->o);
	assert_int_equal(agent_run(&f->loop, &f->spec, &f->o, &f->e), 0);
	if (f->o.end != end)
		print_error("%s: %s\n", agent_end_name(f->o.end), f->o.reason != NULL ? f->o.reason : "");
	assert_int_equal(f->o.end, end);
	assert_true((f->o.reason == NULL) == (end == AGENT_OK));
	for (size_t i = 0; words != NULL && words[i] != NULL; i++) {
		if (strstr(f->o.reason, words[i]) == NULL)
			print_error("'%s' is not in: %s\n", words[i], f->o.reason);
		assert_non_null(strstr(f->o.reason, words[i]));
	}
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static char *
read_in(struct fixture *f, const char *name)
{
	char *path = xasprintf("%s/%s", f->dir, name), *text;

	assert_int_equal(fd_read_file(path, 64 << 20, &text, NULL), 0);
	free(path);
	return text;
}

static void
test_ok(void **state)
{
	struct fixture *f = *state;
	char *text;

	run(f,
	    "expect_prompt the parser\nexpect_fresh\nwrite src/parse c.c <<END\nint x;\nEND\n"
	    "run echo \"$HOME $TMPDIR\" > env\ntokens 100 20 0.25\nsay all done\n",
	    AGENT_OK, NULL);
	assert_string_equal(f->o.text, "all done");
	assert_string_equal(f->o.session, f->session);
	assert_true(f->o.has_usage);
	assert_int_equal(f->o.tokens_in, 100);
	assert_int_equal(f->o.tokens_out, 20);
	assert_int_equal(f->o.cost_uusd, 250000);
	assert_int_equal(f->o.status, 0);
	assert_int_equal(f->tools, 2);
	text = read_in(f, "wt/src/parse c.c");
	assert_string_equal(text, "int x;\n");
	free(text);
	text = read_in(f, "agent.jsonl");
	assert_non_null(strstr(text, "\"subtype\":\"init\""));
	assert_non_null(strstr(text, "\"type\":\"result\""));
	free(text);
	text = read_in(f, "wt/env");
	assert_non_null(strstr(text, f->home));
	assert_non_null(strstr(text, "/orch-"));
	free(text);
}

static void
test_failure(void **state)
{
	struct fixture *f = *state;

	run(f,
	    "stderr a warning\nretry 1 10 503\nretry 2 10 529\napi_error 529 Repeated 529 Overloaded "
	    "errors\n",
	    AGENT_ENDPOINT,
	    WORDS("exited with status 1", "Repeated 529", "HTTP status 529", "retried its endpoint 2 times",
		"attempt 2 of 10", "a warning", "overloaded"));
	assert_int_equal(WEXITSTATUS(f->o.status), 1);
}

/* A good result does not outweigh an exit that says otherwise. */
static void
test_result_then_bad_exit(void **state)
{
	run(*state, "result fine\nexit 7\n", AGENT_FAILED, WORDS("exited with status 7", "fine"));
}

static void
test_no_script(void **state)
{
	run(*state, NULL, AGENT_FAILED, WORDS("worker-core.parser.1", "worker.1"));
}

static void
test_hang_is_silent(void **state)
{
	struct fixture *f = *state;

	f->spec.silence_ms = 150;
	run(f, "say thinking about it\nhang\n", AGENT_SILENT,
	    WORDS("silent for too long", "status 143", "said: thinking about it", "agent_silence_s"));
	assert_true(f->o.duration_ms >= 150);
}

/* Silence in retries is the endpoint's doing, and said so: this is how the project began. */
static void
test_hang_in_retry(void **state)
{
	struct fixture *f = *state;

	f->spec.silence_ms = 150;
	run(f, "retry 3 10 503\nhang\n", AGENT_SILENT,
	    WORDS("retried its endpoint 1 time", "attempt 3 of 10, HTTP status 503", "overloaded or broken"));
	f->spec.resume = true;
	run(f, "retry 4 10 0\nhang\n", AGENT_SILENT, WORDS("no answer", "could not be reached"));
}

static void
test_busy_is_not_silent(void **state)
{
	struct fixture *f = *state;

	f->spec.silence_ms = 1000; /* enough for the agent to come to its tool on a busy machine */
	f->spec.timeout_ms = 2000;
	run(f, "busy\n", AGENT_TIMEOUT,
	    WORDS("used up its time", "waiting for 1 tool call", "make -j2 test", "agent_timeout_s"));
	assert_true(f->o.duration_ms >= 2000);
}

/* Once its tool is over, silence counts again. */
static void
test_silent_after_tool(void **state)
{
	struct fixture *f = *state;

	f->spec.silence_ms = 100;
	run(f, "run true\nhang\n", AGENT_SILENT, WORDS("a tool ended Bash"));
}

static void
test_total_timeout(void **state)
{
	struct fixture *f = *state;

	f->spec.timeout_ms = 200;
	run(f, "hang\n", AGENT_TIMEOUT, WORDS("used up its time"));
}

static void
test_no_result(void **state)
{
	run(*state, "say half way\nnoresult\n", AGENT_NO_RESULT,
	    WORDS("exited with status 0", "gave no result"));
}

static void
test_exit_code(void **state)
{
	run(*state, "stderr it went wrong\nexit 3\n", AGENT_NO_RESULT,
	    WORDS("exited with status 3", "stderr ends in: it went wrong"));
}

/* Hanging after the result is common; the work is done all the same. */
static void
test_linger(void **state)
{
	struct fixture *f = *state;

	f->spec.exit_grace_ms = 100;
	run(f, "say done\nlinger\n", AGENT_OK, NULL);
	assert_int_equal(WEXITSTATUS(f->o.status), 143);
	assert_string_equal(f->o.text, "done");
}

static void
test_last_result_wins(void **state)
{
	struct fixture *f = *state;

	run(f, "result first\nsay second\n", AGENT_OK, NULL);
	assert_string_equal(f->o.text, "second");
}

static void
test_flood(void **state)
{
	struct fixture *f = *state;

	run(f, "flood 20971520\nsay after it\n", AGENT_OK, NULL);
	assert_string_equal(f->o.text, "after it");
}

static void
test_log_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	script(f, "agent.jsonl", "");
	assert_int_equal(truncate(f->log, (64 << 20) - 100), 0); /* sparse */
	run(f, "flood 100000\n", AGENT_OK, NULL);
	assert_int_equal(stat(f->log, &st), 0);
	assert_in_range(st.st_size, (64 << 20) - 100, 64 << 20); /* and no line of it is cut */
}

static void
test_garbage(void **state)
{
	struct fixture *f = *state;

	run(f, "garbage\nsay still here\n", AGENT_OK, NULL);
	assert_string_equal(f->o.text, "still here");
	f->spec.resume = true;
	run(f, "garbage\nnoresult\n", AGENT_NO_RESULT, WORDS("lines could not be read"));
}

/* A process in a session of its own, that ignores TERM and holds stdout open, neither survives nor delays. */
static void
test_stray_is_gone(void **state)
{
	struct fixture *f = *state;
	char *text;
	uint64_t ticks;

	run(f, "stray @/pid\nsay done\n", AGENT_OK, NULL);
	text = read_in(f, "pid");
	assert_int_equal(proc_start_time((pid_t)atoi(text), &ticks), -ESRCH);
	free(text);
}

static void
test_tool_in_background_is_gone(void **state)
{
	struct fixture *f = *state;
	char *text;
	uint64_t ticks;

	run(f, "run tail -f /dev/null & echo $! > pid\nsay done\n", AGENT_OK, NULL);
	text = read_in(f, "wt/pid");
	assert_int_equal(proc_start_time((pid_t)atoi(text), &ticks), -ESRCH);
	free(text);
}

static void
test_ignored_term(void **state)
{
	struct fixture *f = *state;

	f->spec.silence_ms = 100;
	f->spec.term_grace_ms = 100;
	run(f, "ignore_term\nhang\n", AGENT_SILENT, WORDS("killed by signal 9", "ignored SIGTERM"));
}

/* A stopped process takes no TERM until it goes on. */
static void
test_stopped_process(void **state)
{
	struct fixture *f = *state;

	f->spec.timeout_ms = 200;
	run(f, "run kill -STOP $PPID\nsay not reached\n", AGENT_TIMEOUT, WORDS("status 143"));
}

static void
test_killed(void **state)
{
	run(*state, "run kill -KILL $PPID\n", AGENT_NO_RESULT,
	    WORDS("killed by signal 9", "waiting for 1 tool call"));
}

static void
test_resume(void **state)
{
	struct fixture *f = *state;

	script(f, "worker-core.parser.1", "tokens 10 1 0.1\n");
	script(f, "worker-core.parser.2", "expect_resumed\ntokens 5 1 0.1\nsay two\n");
	run(f, NULL, AGENT_OK, NULL);
	f->spec.resume = true;
	run(f, NULL, AGENT_OK, NULL);
	assert_string_equal(f->o.text, "two");
	assert_int_equal(f->o.tokens_in, 15);
	assert_int_equal(f->o.cost_uusd, 200000);
}

/* A limit is a reason to wait, until the moment that the agent was told. */
static void
test_limited(void **state)
{
	struct fixture *f = *state;

	run(f,
	    "raw <<END\n{\"type\":\"rate_limit_event\",\"rate_limit_info\":{\"status\":\"rejected\","
	    "\"resetsAt\":1795379086}}\nEND\napi_error 429 Request rejected\n",
	    AGENT_LIMITED, WORDS("HTTP status 429", "resets at 2026-11-22", "waits until it resets"));
	assert_int_equal(f->o.until_ms, 1795379086000);
	assert_int_equal(agent_end_next(f->o.end), AGENT_WAIT);
	f->spec.resume = true;
	f->spec.silence_ms = 150;
	run(f, "retry 3 10 429\nhang\n", AGENT_LIMITED, WORDS("attempt 3 of 10, HTTP status 429"));
	assert_int_equal(f->o.until_ms, 0);
}

/* Options reach the program, and what it said of itself the explanation. */
static void
test_options(void **state)
{
	struct fixture *f = *state;
	char *log;

	f->spec.options = (struct agent_options){.model = "fable",
	    .max_turns = 7,
	    .max_musd = 1250,
	    .allowed_tools = "Read,Bash(make *)",
	    .args = json_pack("[s,s]", "--add-dir", "/x")};
	f->spec.program = f->log; /* any program that shows how it was called */
	f->spec.log_path = NULL;
	script(f, "agent.jsonl", "#!/bin/sh\necho \"$@ $CLAUDE_CODE_MAX_RETRIES $API_TIMEOUT_MS\" > args\n");
	assert_int_equal(chmod(f->log, 0700), 0);
	f->spec.patience = (struct agent_patience){.answer_ms = 5000, .idle_ms = 4000, .retries = 3};
	f->spec.debug_path = "/tmp/debug";
	run(f, NULL, AGENT_NO_RESULT, WORDS("agent.jsonl", "fable", f->session));
	log = read_in(f, "wt/args");
	assert_non_null(strstr(log, "--permission-mode default --allowedTools Read,Bash(make *) "));
	assert_null(strstr(log, "--dangerously-skip-permissions"));
	assert_non_null(
	    strstr(log, "--model fable --max-turns 7 --max-budget-usd 1.250 --debug-file /tmp/debug "
			"--add-dir /x 3 5000\n"));
	free(log);
	json_decref((json_t *)f->spec.options.args);
}

static void
test_resume_unknown(void **state)
{
	struct fixture *f = *state;

	f->spec.resume = true;
	run(f, "say hello\n", AGENT_SESSION_GONE, WORDS("No conversation found", "start afresh"));
}

static void
test_session_used_twice(void **state)
{
	struct fixture *f = *state;

	run(f, "say hello\n", AGENT_OK, NULL);
	run(f, "say hello\n", AGENT_NO_RESULT, WORDS("already in use"));
}

static void
test_plan(void **state)
{
	struct fixture *f = *state;

	make_env(f, "director", "");
	f->spec.access = AGENT_READ_ONLY;
	f->spec.json_schema = "{\"type\":\"object\"}";
	script(f, "director",
	    "write wish.txt <<END\nx\nEND\nplan <<END\n{\"summary\": \"s\", \"areas\": []}\nEND\n");
	run(f, NULL, AGENT_OK, NULL);
	assert_string_equal(f->o.structured, "{\"summary\":\"s\",\"areas\":[]}");
	assert_int_equal(rmdir(f->wt), 0); /* nothing was written: a planning agent may only read */
	assert_int_equal(mkdir(f->wt, 0700), 0);
	f->spec.resume = true;
	script(f, "director", "say I would rather talk\n");
	run(f, NULL, AGENT_NO_STRUCTURE, WORDS("lacks the structured answer", "I would rather talk"));
}

static void
test_not_started(void **state)
{
	struct fixture *f = *state;
	char *path = xasprintf("%s/agent", f->dir);

	f->spec.program = "no-such-agent-program";
	run(f, NULL, AGENT_NOT_STARTED, WORDS("no-such-agent-program", "ORCH_AGENT"));
	script(f, "agent",
	    "\x7f"
	    "ELF of no kind");
	f->spec.program = path;
	run(f, NULL, AGENT_NOT_STARTED, WORDS("Permission denied"));
	assert_int_equal(chmod(path, 0700), 0);
	script(f, "agent", "#!/no/such/interpreter\n");
	assert_int_equal(chmod(path, 0700), 0);
	run(f, NULL, AGENT_NOT_STARTED, WORDS("cannot start"));
	f->spec.program = "/bin/true";
	assert_int_equal(rmdir(f->wt), 0);
	run(f, NULL, AGENT_NOT_STARTED, WORDS(f->wt, "cannot enter"));
	free(path);
}

static void
test_stop(void **state)
{
	struct fixture *f = *state;

	f->stop_at_tool = true;
	script(f, "worker-core.parser", "stray @/pid\nbusy\n");
	assert_int_equal(agent_run(&f->loop, &f->spec, &f->o, &f->e), -ECANCELED);
	assert_string_equal(f->o.session, f->session);
	assert_int_equal(WEXITSTATUS(f->o.status), 143);
}

/* A program of a few lines of shell in place of the agent: what the scripted one cannot do. */
static void
use_program(struct fixture *f, const char *text)
{
	char *path = xasprintf("%s/agent", f->dir);

	script(f, "agent", text);
	assert_int_equal(chmod(path, 0700), 0);
	f->spec.program = path;
}

static void
test_early_closed_stdin(void **state)
{
	struct fixture *f = *state;
	size_t size = 1 << 20;
	char *prompt = xmalloc(size + 1);

	memset(prompt, 'p', size);
	prompt[size] = '\0';
	f->spec.prompt = prompt;
	use_program(
	    f, "#!/bin/sh\nexec 0<&-\necho '{\"type\":\"result\",\"is_error\":false,\"result\":\"ok\"}'\n");
	run(f, NULL, AGENT_OK, NULL);
	assert_string_equal(f->o.session, "");
	free((char *)f->spec.program);
	f->spec.program = ORCH_BIN_DIR "/orch-test-agent";
	run(f, "say I read it all\n", AGENT_OK, NULL);
	free(prompt);
}

static void
test_version(void **state)
{
	static const struct {
		const char *says;
		int rc;
	} cases[] = {{"echo '2.1.330 (Claude Code)'", 0}, {"echo '2.1.0 (Claude Code)'", 0},
	    {"echo '2.0.99 (Claude Code)'", -ENOTSUP}, {"echo '1.0.3 (Claude Code)'; exit 3", 0},
	    {"echo '1.0.3'", 0}, {"echo something", 0}, {"exit 1", 0}};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = xasprintf("#!/bin/sh\ntest \"$*\" = --version || exit 9\n%s\n", cases[i].says);

		use_program(f, text);
		assert_int_equal(agent_check_version(&f->loop, f->spec.program, &f->e), cases[i].rc);
		free(text);
		free((char *)f->spec.program);
	}
	assert_non_null(strstr(f->e.msg, "is version 2.0.99, and orch needs 2.1.0 or later: update it"));
	assert_int_equal(agent_check_version(&f->loop, "/nonexistent/agent", &f->e), 0);
}

static bool
env_has(struct fixture *f, const char *words)
{
	char *text = read_in(f, "wt/env");
	bool has = strstr(text, words) != NULL;

	free(text);
	return has;
}

/* The user's login is used where it is, and only while no key is given. */
static void
test_login(void **state)
{
	struct fixture *f = *state;
	char *home = xasprintf("%s/user", f->dir), *dir = xasprintf("%s/.claude", home);
	char *link = xasprintf("%s/home/.claude/settings.json", f->home);
	char *pair = xasprintf("CLAUDE_SECURESTORAGE_CONFIG_DIR=%s\n", dir), *old = xstrdup(getenv("HOME"));
	const char *const key[] = {"ANTHROPIC_API_KEY=sk-test-dummy", NULL};
	struct stat st;
	char *text;

	assert_int_equal(fd_mkdirs(dir, 0700), 0);
	script(f, "user/.claude/settings.json", "{\"a\": 1}");
	setenv("HOME", home, 1);
	unsetenv("CLAUDE_CONFIG_DIR");
	use_program(f, "#!/bin/sh\nenv > env\ncat $HOME/.claude/settings.json > settings\n");
	run(f, NULL, AGENT_NO_RESULT, NULL);
	assert_true(env_has(f, pair));
	text = read_in(f, "wt/settings");
	assert_string_equal(text, "{\"a\": 1}");
	free(text);
	f->spec.env = key;
	run(f, NULL, AGENT_NO_RESULT, NULL);
	assert_false(env_has(f, "CLAUDE_SECURESTORAGE_CONFIG_DIR"));
	assert_int_equal(lstat(link, &st), -1);
	assert_int_equal(rmdir(dir), -1); /* what is the user's is still there */
	setenv("HOME", old, 1);
	free(home);
	free(dir);
	free(link);
	free(pair);
	free(old);
	free((char *)f->spec.program);
}

/* An endpoint that is not there is looked at, and what was found is said. */
static void
test_probe(void **state)
{
	struct fixture *f = *state;
	const char *env[64] = {"ANTHROPIC_BASE_URL=http://user:sk-test-dummy@127.0.0.1:1/x"};

	for (size_t i = 0; f->env[i] != NULL; i++)
		env[i + 1] = f->env[i];
	f->spec.env = env;
	run(f, "api_error 503 broken\n", AGENT_ENDPOINT,
	    WORDS("A probe of http://127.0.0.1:1 could not connect", "refused"));
	assert_null(strstr(f->o.reason, "sk-test-dummy"));
}

/* What it calls its session becomes an argument of the next call. */
static void
test_session_is_no_option(void **state)
{
	struct fixture *f = *state;

	use_program(
	    f, "#!/bin/sh\necho '{\"type\":\"result\",\"session_id\":\"--mcp-config=x\",\"result\":\"\"}'\n");
	run(f, NULL, AGENT_OK, NULL);
	assert_string_equal(f->o.session, "");
	free((char *)f->spec.program);
}

/* Argument vector and environment, as the real CLI will see them. */
static void
test_launch(void **state)
{
	struct fixture *f = *state;
	char *text;

	use_program(f, "#!/bin/sh\nprintf '%s|' \"$@\" > args\nenv > env\ncat > prompt\n");
	f->spec.json_schema = "{}";
	run(f, NULL, AGENT_NO_RESULT, NULL);
	text = read_in(f, "wt/args");
	assert_non_null(strstr(text,
	    "-p|--output-format|stream-json|--verbose|--setting-sources|user|"
	    "--strict-mcp-config|--include-partial-messages|--dangerously-skip-permissions|--session-id|"));
	assert_non_null(strstr(text, "|--json-schema|{}|"));
	free(text);
	text = read_in(f, "wt/prompt");
	assert_string_equal(text, "Write the parser.");
	free(text);
	text = read_in(f, "wt/env");
	assert_non_null(strstr(text, "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS=1\n"));
	assert_non_null(strstr(text, "GIT_CEILING_DIRECTORIES=/nowhere\n"));
	assert_int_equal(strstr(text, "IS_SANDBOX=1\n") != NULL, geteuid() == 0);
	free(text);
	f->spec.access = AGENT_READ_ONLY;
	f->spec.resume = true;
	run(f, NULL, AGENT_NO_RESULT, NULL);
	text = read_in(f, "wt/args");
	assert_null(strstr(text, "--dangerously-skip-permissions"));
	assert_non_null(strstr(text, "|--tools|Read,Grep,Glob|"));
	assert_non_null(strstr(text, "|--resume|"));
	free(text);
	text = read_in(f, "wt/env");
	assert_null(strstr(text, "IS_SANDBOX"));
	free(text);
	free((char *)f->spec.program);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_ok),
	    TEST(test_failure),
	    TEST(test_result_then_bad_exit),
	    TEST(test_no_script),
	    TEST(test_hang_is_silent),
	    TEST(test_hang_in_retry),
	    TEST(test_busy_is_not_silent),
	    TEST(test_silent_after_tool),
	    TEST(test_total_timeout),
	    TEST(test_no_result),
	    TEST(test_exit_code),
	    TEST(test_linger),
	    TEST(test_last_result_wins),
	    TEST(test_flood),
	    TEST(test_log_is_bounded),
	    TEST(test_garbage),
	    TEST(test_stray_is_gone),
	    TEST(test_tool_in_background_is_gone),
	    TEST(test_ignored_term),
	    TEST(test_stopped_process),
	    TEST(test_killed),
	    TEST(test_resume),
	    TEST(test_limited),
	    TEST(test_options),
	    TEST(test_version),
	    TEST(test_login),
	    TEST(test_probe),
	    TEST(test_resume_unknown),
	    TEST(test_session_used_twice),
	    TEST(test_plan),
	    TEST(test_not_started),
	    TEST(test_stop),
	    TEST(test_early_closed_stdin),
	    TEST(test_session_is_no_option),
	    TEST(test_launch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
