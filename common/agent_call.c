/*
 * agent_call: what has to be there before an agent can be started: its program, its folders, its arguments.
 */
#include "common/agent.h"
#include "common/agent_backend.h"
#include "common/agent_impl.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/fd.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

void
agent_push(char ***v, size_t *n, char *item)
{
	*v = xrealloc(*v, (*n + 2) * sizeof(**v));
	(*v)[(*n)++] = item;
	(*v)[*n] = NULL;
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
	return rc;
}

static void
push_list(char ***v, size_t *n, const char *const *list)
{
	for (size_t i = 0; list[i] != NULL; i++)
		agent_push(v, n, xstrdup(list[i]));
}

static void
push_option(char ***v, size_t *n, const char *option, const char *value)
{
	if (value == NULL)
		return;
	agent_push(v, n, xstrdup(option));
	agent_push(v, n, xstrdup(value));
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

	agent_push(&v, &n, program);
	push_list(&v, &n, agent_backend.argv);
	if (s->options.allowed_tools != NULL) {
		push_list(&v, &n, agent_backend.allowed);
		agent_push(&v, &n, xstrdup(s->options.allowed_tools));
	} else {
		push_list(&v, &n, s->access == AGENT_FULL ? agent_backend.full : agent_backend.read_only);
	}
	push_option(&v, &n, s->resume ? agent_backend.resume : agent_backend.session, s->session);
	push_option(&v, &n, agent_backend.schema, s->json_schema);
	push_option(&v, &n, agent_backend.model, s->options.model);
	push_number(&v, &n, agent_backend.max_turns, s->options.max_turns, 1);
	push_number(&v, &n, agent_backend.max_usd, s->options.max_musd, 1000);
	push_option(&v, &n, agent_backend.debug, s->debug_path);
	json_array_foreach((json_t *)s->options.args, i, arg)
	    agent_push(&v, &n, xstrdup(json_string_value(arg)));
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
	char *program = NULL, *home = NULL, *tmp = NULL, *login = NULL;
	int rc = agent_check(s->program, e);

	if (rc == 0)
		rc = find_program(s->program, &program, e);
	if (rc == 0)
		rc = make_folders(s, &home, &tmp, e);
	if (rc == 0)
		rc = agent_share_login(s, home, &login, e);
	if (rc == 0) {
		*argv = make_argv(s, program);
		*env = agent_attempt_env(s, home, tmp, login);
	} else {
		free(program);
	}
	free(home);
	free(tmp);
	free(login);
	return rc;
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
