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
	const char *argv[16];                  /* always */
	const char *full[4];                   /* AGENT_FULL */
	const char *read_only[12];             /* AGENT_READ_ONLY */
	const char *session, *resume, *schema; /* options that take a value */
	const char *env[12];                   /* unless the user says otherwise */
	const char *root_env;                  /* without it root may not run unattended */
	const char *gone;                      /* what it says when a session to resume is not there */
};

/* A repository's own settings, hooks and MCP servers stay out: they could send the key elsewhere. */
static const struct backend claude = {
    .argv = {"-p", "--output-format", "stream-json", "--verbose", "--setting-sources", "user",
	"--strict-mcp-config"},
    .full = {"--dangerously-skip-permissions"},
    .read_only = {"--tools", "Read,Grep,Glob", "--allowedTools", "Read,Grep,Glob", "--permission-mode",
	"default"}, /* unattended, the default mode denies whatever is not allowed */
    .session = "--session-id",
    .resume = "--resume",
    .schema = "--json-schema",
    .env = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", "DISABLE_TELEMETRY=1", "DISABLE_ERROR_REPORTING=1",
	"DISABLE_AUTOUPDATER=1",
	"CLAUDE_CODE_DISABLE_BACKGROUND_TASKS=1", /* else it holds the process for up to 600 s */
	"CLAUDE_CODE_STARTUP_FAILURE_RESULTS=1"},
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

const char *
agent_gone_text(void)
{
	return claude.gone;
}

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
agent_env(const struct conf *c, const char *ceiling, const char *const *extra)
{
	char **v = NULL, number[32];
	size_t n = 0;
	const char *name;
	json_t *value;

	put_value(&v, &n, "PATH", "/usr/local/bin:/usr/bin:/bin");
	for (size_t i = 0; environ[i] != NULL; i++)
		if (name_in(inherited, environ[i]))
			put_checked(&v, &n, environ[i]);
	for (size_t i = 0; extra != NULL && extra[i] != NULL; i++)
		put_checked(&v, &n, extra[i]);
	if (c->api_timeout_ms > 0) {
		snprintf(number, sizeof(number), "%llu", (unsigned long long)c->api_timeout_ms);
		put_value(&v, &n, "API_TIMEOUT_MS", number);
	}
	json_object_foreach(c->agent_env, name, value)
	{
		char *pair = xasprintf("%s=%s", name, json_string_value(value));

		put_checked(&v, &n, pair);
		free(pair);
	}
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

static char **
make_argv(const struct agent_spec *s, char *program)
{
	char **v = NULL;
	size_t n = 0;

	push(&v, &n, program);
	push_list(&v, &n, claude.argv);
	push_list(&v, &n, s->access == AGENT_FULL ? claude.full : claude.read_only);
	push_option(&v, &n, s->resume ? claude.resume : claude.session, s->session);
	push_option(&v, &n, claude.schema, s->json_schema);
	return v;
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
