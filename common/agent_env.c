/*
 * agent_env: how an agent program is called, and with which environment and folders. All that is particular
 * to one program is in the table at the top; its figures are from the claude CLI 2.1.330.
 */
#include "common/agent.h"
#include "common/agent_impl.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/conf.h"
#include "common/fd.h"
#include "common/json.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

/* What one kind of agent program wants to hear. Lists are NULL-terminated. */
struct backend {
	const char *argv[16];                                                        /* always */
	const char *full[4];                                                         /* AGENT_FULL */
	const char *read_only[12];                                                   /* AGENT_READ_ONLY */
	const char *session, *resume, *schema, *model, *max_turns, *max_usd, *debug; /* take a value */
	const char *allowed[4];  /* in place of full and read_only, when a value for its last is given */
	const char *refused[32]; /* arguments that nobody else may give; each up to a = is compared */
	const char *env[12];     /* unless the user says otherwise */
	const char *answer_ms, *idle_ms, *retries; /* variables of struct agent_patience */
	const char *root_env;                      /* without it root may not run unattended */
	const char *gone;                          /* what it says when a session to resume is not there */
};

/* A repository's own settings, hooks and MCP servers stay out: they could send the key elsewhere. */
static const struct backend claude = {
    .argv = {"-p", "--output-format", "stream-json", "--verbose", "--setting-sources", "user",
	"--strict-mcp-config",
	"--include-partial-messages"}, /* else a long answer is minutes without a sign of life */
    .full = {"--dangerously-skip-permissions"},
    .read_only = {"--tools", "Read,Grep,Glob", "--allowedTools", "Read,Grep,Glob", "--permission-mode",
	"default"}, /* unattended, the default mode denies whatever is not allowed */
    .session = "--session-id",
    .resume = "--resume",
    .schema = "--json-schema",
    .model = "--model",
    .max_turns = "--max-turns",
    .max_usd = "--max-budget-usd",
    .debug = "--debug-file",
    .allowed = {"--permission-mode", "default", "--allowedTools"},
    .refused = {"-p", "--print", "--output-format", "--input-format", "--verbose", "--setting-sources",
	"--strict-mcp-config", "--session-id", "-r", "--resume", "-c", "--continue", "--fork-session",
	"--no-session-persistence", "--json-schema", "--model", "--max-turns", "--max-budget-usd",
	"--debug-file", "--include-partial-messages", "--allowedTools", "--allowed-tools",
	"--permission-mode", "--dangerously-skip-permissions", "--bare", "--", "-v", "--version", "-h",
	"--help"},
    .env = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", "DISABLE_TELEMETRY=1", "DISABLE_ERROR_REPORTING=1",
	"DISABLE_AUTOUPDATER=1",
	"CLAUDE_CODE_DISABLE_BACKGROUND_TASKS=1", /* else it holds the process for up to 600 s */
	"CLAUDE_CODE_STARTUP_FAILURE_RESULTS=1"},
    .answer_ms = "API_TIMEOUT_MS",
    .idle_ms = "CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS",
    .retries = "CLAUDE_CODE_MAX_RETRIES",
    .root_env = "IS_SANDBOX=1",
    .gone = "No conversation found with session ID",
};

static const char *const inherited[] = {"PATH", "LANG", "LC_*", "TZ", "TERM", "USER", "LOGNAME", "SHELL",
    "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY",
    "all_proxy", "SSL_CERT_*", "NODE_EXTRA_CA_CERTS", "ORCH_AGENT_*", "ORCH_INSTANCE", "ORCH_TASK",
    "ORCH_ROLE", "ORCH_TASK_KEY", NULL};
static const char *const ours[] = {
    "ORCH_AGENT_*", "ORCH_INSTANCE", "ORCH_TASK", "ORCH_ROLE", "ORCH_TASK_KEY", NULL};
static const char *const refused[] = {
    "GITHUB_TOKEN", "GH_TOKEN", "CLAUDE_CONFIGS", "CLAUDECODE*", "ORCH_*", "HOME", "TMPDIR", NULL};

/* The name of "NAME=value" is in the list; an entry that ends in * stands for all that begin so. */
static bool
name_in(const char *const *list, const char *pair)
{
	size_t n = strcspn(pair, "=");

	for (size_t i = 0; list[i] != NULL; i++) {
		size_t len = strlen(list[i]);

		if (list[i][len - 1] == '*' ? n >= len - 1 && strncmp(list[i], pair, len - 1) == 0
					    : n == len && strncmp(list[i], pair, n) == 0)
			return true;
	}
	return false;
}

/*
 * Defaults: the CLI's own 10 retries take 200 s and more of mere waiting, its 360 s for an answer to begin
 * are longer than our silence timeout. 4 retries outlive a hiccup (8 s of backoff in all); a queue in front
 * of a busy model is passed well within 120 s; an answer under way pings every few seconds, so 90 s of
 * nothing are a dead connection. A server that takes requests and never answers then ends an attempt in 10
 * minutes, with a result that says so, and its retries are seen meanwhile.
 */
#define ANSWER_MS 120000
#define IDLE_MS 90000
#define IDLE_MIN_MS 10000 /* the CLI takes anything below as that */
#define RETRIES 4
#define MARGIN_MS 30000 /* for what is not waiting */

void
agent_patience(const struct conf *c, struct agent_patience *p)
{
	int64_t silence = (int64_t)c->agent_silence_ms;

	p->retries = RETRIES;
	p->silence_ms = silence;
	if (c->api_timeout_ms > 0) { /* what a person set is kept, and the silence made to fit */
		p->answer_ms = (int64_t)c->api_timeout_ms;
		p->idle_ms = IDLE_MS;
		if (p->silence_ms < p->answer_ms + p->idle_ms + MARGIN_MS)
			p->silence_ms = p->answer_ms + p->idle_ms + MARGIN_MS;
		return;
	}
	p->answer_ms = silence * 2 / 5 < ANSWER_MS ? silence * 2 / 5 : ANSWER_MS;
	p->idle_ms = silence * 3 / 10 < IDLE_MS ? silence * 3 / 10 : IDLE_MS;
	if (p->idle_ms < IDLE_MIN_MS)
		p->idle_ms = IDLE_MIN_MS;
}

const char *
agent_refused_arg(const json_t *args)
{
	size_t i;
	json_t *item;

	json_array_foreach((json_t *)args, i,
	    item) if (name_in(claude.refused, json_string_value(item))) return json_string_value(item);
	return NULL;
}

const char *
agent_gone_text(void)
{
	return claude.gone;
}

/* A vector that grows; room follows from the count. */
static void
push(char ***v, size_t *n, char *item)
{
	*v = xrealloc(*v, (*n + 2) * sizeof(**v));
	(*v)[(*n)++] = item;
	(*v)[*n] = NULL;
}

/* Sets "NAME=value", in place of an earlier one of that name unless keep. */
static void
put(char ***v, size_t *n, const char *pair, bool keep)
{
	size_t len = strcspn(pair, "=");

	if (len == 0 || pair[len] == '\0')
		return;
	for (size_t i = 0; i < *n; i++) {
		if (strncmp((*v)[i], pair, len + 1) != 0)
			continue;
		if (!keep)
			xreplace(&(*v)[i], pair);
		return;
	}
	push(v, n, xstrdup(pair));
}

static void
put_checked(char ***v, size_t *n, const char *pair)
{
	if (name_in(ours, pair) || !name_in(refused, pair))
		put(v, n, pair, false);
}

static void
put_value(char ***v, size_t *n, const char *name, const char *value)
{
	char *pair = xasprintf("%s=%s", name, value);

	put(v, n, pair, false);
	free(pair);
}

char **
agent_env(const struct conf *c, const char *ceiling, const char *const *extra, const char *const *keys)
{
	char **v = NULL;
	size_t n = 0;
	const char *name;
	json_t *value;

	put_value(&v, &n, "PATH", "/usr/local/bin:/usr/bin:/bin");
	for (size_t i = 0; environ[i] != NULL; i++)
		if (name_in(inherited, environ[i]))
			put_checked(&v, &n, environ[i]);
	for (size_t i = 0; extra != NULL && extra[i] != NULL; i++)
		put_checked(&v, &n, extra[i]);
	json_object_foreach(c->agent_env, name, value)
	{
		char *pair;

		if (keys != NULL && strncmp(name, "ANTHROPIC_", 10) == 0)
			continue;
		pair = xasprintf("%s=%s", name, json_string_value(value));
		put_checked(&v, &n, pair);
		free(pair);
	}
	for (size_t i = 0; keys != NULL && keys[i] != NULL; i++)
		put_checked(&v, &n, keys[i]);
	if (ceiling != NULL)
		put_value(&v, &n, "GIT_CEILING_DIRECTORIES", ceiling);
	return v;
}

static const char *
tmp_base(void)
{
	const char *tmp = getenv("TMPDIR");

	/*
	 * Not $XDG_RUNTIME_DIR: builds and their temporary files go here too, and that is a small tmpfs.
	 * The CLI puts a socket below it and leaves the folder for a shared one when the path gets long.
	 */
	return tmp != NULL && tmp[0] == '/' && strlen(tmp) <= 40 ? tmp : "/tmp";
}

char *
agent_tmpdir(const char *home)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */

	for (const char *p = home; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 1099511628211u;
	return xasprintf("%s/orch-%016llx", tmp_base(), (unsigned long long)hash);
}

/* A private folder in a public one: it must be a real folder of ours. */
static int
make_tmpdir(const char *path, struct err *e)
{
	struct stat st;

	if (mkdir(path, 0700) == 0)
		return 0;
	if (errno != EEXIST || lstat(path, &st) < 0)
		return err_sys(e, -errno, "cannot make the agent's temporary folder %s", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return err_set(e, -EPERM,
		    "the agent's temporary folder %s belongs to someone else: remove it, or set TMPDIR",
		    path);
	if ((st.st_mode & 077) != 0 && chmod(path, 0700) < 0)
		return err_sys(e, -errno, "cannot close %s to others", path);
	return 0;
}

static int
make_folders(const struct agent_spec *s, char **home, char **tmp, struct err *e)
{
	int rc = access(s->cwd, X_OK) < 0 ? -errno : 0;

	if (rc < 0)
		return err_sys(e, rc, "cannot enter the folder %s that the agent works in", s->cwd);
	*home = xasprintf("%s/home", s->home);
	*tmp = agent_tmpdir(s->home);
	rc = fd_mkdirs(*home, 0700);
	if (rc < 0)
		err_sys(e, rc, "cannot make the agent's home %s", *home);
	else
		rc = make_tmpdir(*tmp, e);
	if (rc < 0) {
		free(*home);
		free(*tmp);
	}
	return rc;
}

static void
push_list(char ***v, size_t *n, const char *const *list)
{
	for (size_t i = 0; list[i] != NULL; i++)
		push(v, n, xstrdup(list[i]));
}

static void
push_option(char ***v, size_t *n, const char *option, const char *value)
{
	if (value == NULL)
		return;
	push(v, n, xstrdup(option));
	push(v, n, xstrdup(value));
}

/* Where 0 is given it says nothing. */
static void
push_number(char ***v, size_t *n, const char *option, uint64_t value, uint64_t unit)
{
	char text[48];

	if (value == 0)
		return;
	if (unit == 1)
		snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	else
		snprintf(text, sizeof(text), "%llu.%03u", (unsigned long long)(value / unit),
		    (unsigned)(value % unit));
	push_option(v, n, option, text);
}

static char **
make_argv(const struct agent_spec *s, char *program)
{
	char **v = NULL;
	size_t n = 0, i;
	json_t *arg;

	push(&v, &n, program);
	push_list(&v, &n, claude.argv);
	if (s->options.allowed_tools != NULL) {
		push_list(&v, &n, claude.allowed);
		push(&v, &n, xstrdup(s->options.allowed_tools));
	} else {
		push_list(&v, &n, s->access == AGENT_FULL ? claude.full : claude.read_only);
	}
	push_option(&v, &n, s->resume ? claude.resume : claude.session, s->session);
	push_option(&v, &n, claude.schema, s->json_schema);
	push_option(&v, &n, claude.model, s->options.model);
	push_number(&v, &n, claude.max_turns, s->options.max_turns, 1);
	push_number(&v, &n, claude.max_usd, s->options.max_musd, 1000);
	push_option(&v, &n, claude.debug, s->debug_path);
	json_array_foreach((json_t *)s->options.args, i, arg) push(&v, &n, xstrdup(json_string_value(arg)));
	return v;
}

/* Unless the user gave the variable a value of their own. */
static void
put_number(char ***v, size_t *n, const char *name, int64_t number)
{
	char *pair = xasprintf("%s=%lld", name, (long long)number);

	put(v, n, pair, true);
	free(pair);
}

static char **
make_env(const struct agent_spec *s, const char *home, const char *tmp)
{
	char **v = NULL;
	size_t n = 0;

	for (size_t i = 0; s->env != NULL && s->env[i] != NULL; i++)
		put(&v, &n, s->env[i], false);
	for (size_t i = 0; claude.env[i] != NULL; i++)
		put(&v, &n, claude.env[i], true);
	if (s->patience.answer_ms > 0) {
		put_number(&v, &n, claude.answer_ms, s->patience.answer_ms);
		put_number(&v, &n, claude.idle_ms, s->patience.idle_ms);
		put_number(&v, &n, claude.retries, s->patience.retries);
	}
	if (s->access == AGENT_FULL && geteuid() == 0)
		put(&v, &n, claude.root_env, false);
	put_value(&v, &n, "HOME", home);
	put_value(&v, &n, "TMPDIR", tmp);
	return v;
}

/* As an absolute path: the child is in another folder when it looks, one that the repository's author fills.
 */
static int
find_program(const char *name, char **path, struct err *e)
{
	char cwd[PATH_MAX];
	int rc = child_find_program(name, path, e);

	if (rc < 0 || (*path)[0] == '/')
		return rc;
	if (getcwd(cwd, sizeof(cwd)) != NULL) {
		char *full = xasprintf("%s/%s", cwd, *path);

		free(*path);
		*path = full;
	}
	return 0;
}

int
agent_prepare(const struct agent_spec *s, char ***argv, char ***env, struct err *e)
{
	char *program, *home = NULL, *tmp = NULL;
	int rc = agent_check(s->program, e);

	if (rc == 0)
		rc = find_program(s->program, &program, e);
	if (rc < 0)
		return rc;
	rc = make_folders(s, &home, &tmp, e);
	if (rc < 0) {
		free(program);
		return rc;
	}
	*argv = make_argv(s, program);
	*env = make_env(s, home, tmp);
	free(home);
	free(tmp);
	return 0;
}

int
agent_check(const char *program, struct err *e)
{
	struct err why = {""};
	char *path;
	int rc = child_find_program(program, &path, &why);

	if (rc < 0)
		return err_set(e, rc,
		    "%s: install the agent (npm install -g @anthropic-ai/claude-code), or name another "
		    "program "
		    "with --agent or ORCH_AGENT",
		    why.msg);
	free(path);
	return 0;
}

void
agent_new_session(char uuid[37])
{
	unsigned char b[16];

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		abort(); /* 16 bytes are always given whole once the pool is ready, random(7) */
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	snprintf(uuid, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
	    b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}
