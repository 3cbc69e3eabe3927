/*
 * agent_env: the environment of an attempt, in two steps: what agents and gates of a task have in common, and
 * what the agent alone gets: its own settings, its folders, and the way to the user's login.
 */
#include "common/agent.h"
#include "common/agent_backend.h"
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

static const char *const inherited[] = {"PATH", "LANG", "LC_*", "TZ", "TERM", "USER", "LOGNAME", "SHELL",
    "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY",
    "all_proxy", "SSL_CERT_*", "NODE_EXTRA_CA_CERTS", "ORCH_AGENT_*", "ORCH_INSTANCE", "ORCH_TASK",
    "ORCH_ROLE", "ORCH_TASK_KEY", NULL};
static const char *const ours[] = {"ORCH_AGENT_*", "ORCH_INSTANCE", "ORCH_RUN", "ORCH_TASK", "ORCH_ROLE",
    "ORCH_TASK_KEY", "ORCH_PORT_BASE", "ORCH_PORT_COUNT", "ORCH_CHECKOUT", NULL};
static const char *const refused[] = {
    "GITHUB_TOKEN", "GH_TOKEN", "CLAUDE_CONFIGS", "CLAUDECODE*", "ORCH_*", "HOME", "TMPDIR", NULL};

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
	agent_push(v, n, xstrdup(pair));
}

static void
put_checked(char ***v, size_t *n, const char *pair)
{
	if (agent_name_in(ours, pair) || !agent_name_in(refused, pair))
		put(v, n, pair, false);
}

static void
put_value(char ***v, size_t *n, const char *name, const char *value)
{
	char *pair = xasprintf("%s=%s", name, value);

	put(v, n, pair, false);
	free(pair);
}

/* The gateway is on this machine, and a proxy elsewhere is no way to it. */
static void
spare_proxies(char ***v, size_t *n)
{
	static const char *const names[] = {"NO_PROXY=", "no_proxy=", NULL};

	for (size_t k = 0; names[k] != NULL; k++) {
		const char *old = "";
		char *pair;

		for (size_t i = 0; i < *n; i++)
			if (strncmp((*v)[i], names[k], strlen(names[k])) == 0)
				old = (*v)[i] + strlen(names[k]);
		pair = xasprintf("%s%s%s127.0.0.1", names[k], old, *old == '\0' ? "" : ",");
		put(v, n, pair, false);
		free(pair);
	}
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
		if (agent_name_in(inherited, environ[i]))
			put_checked(&v, &n, environ[i]);
	for (size_t i = 0; extra != NULL && extra[i] != NULL; i++)
		put_checked(&v, &n, extra[i]);
	json_object_foreach (c->agent_env, name, value) {
		char *pair;

		if (keys != NULL && strncmp(name, "ANTHROPIC_", 10) == 0)
			continue;
		pair = xasprintf("%s=%s", name, json_string_value(value));
		put_checked(&v, &n, pair);
		free(pair);
	}
	for (size_t i = 0; keys != NULL && keys[i] != NULL; i++)
		put_checked(&v, &n, keys[i]);
	if (keys != NULL)
		spare_proxies(&v, &n);
	if (ceiling != NULL)
		put_value(&v, &n, "GIT_CEILING_DIRECTORIES", ceiling);
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

/*
 * What an agent pushes by itself would be neither checked nor merged, and nobody's login is for it: git asks
 * no helper, sends no header that a workflow's checkout has left in the repository, and instead of pushing
 * anywhere but into a folder says what becomes of the work. A push URL becomes a command of git's "ext"
 * transport (git-remote-ext(1)), with the rest of the URL behind its "#". Fetching is as it was.
 */
#define NO_PUSH                                                                                              \
	"url.ext::sh -c echo% \"orch:% agents% do% not% push.% What% is% left% in% the% worktree% is% "      \
	"committed,% checked,% merged% and% pushed% by% orch.\"% >&2;% exit% 1% #% .pushInsteadOf"

static void
put_git(char ***v, size_t *n)
{
	const char *server = getenv("GITHUB_SERVER_URL");
	char *header = xasprintf(
	    "http.%s/.extraheader", server == NULL || *server == '\0' ? "https://github.com" : server);
	const char *const pairs[][2] = {{"credential.helper", ""}, {"core.askPass", ""},
	    {"http.extraHeader", ""}, {header, ""}, {"protocol.ext.allow", "user"}, {NO_PUSH, "https://"},
	    {NO_PUSH, "http://"}, {NO_PUSH, "ssh://"}, {NO_PUSH, "git://"}, {NO_PUSH, "git@"}};
	size_t count = sizeof(pairs) / sizeof(pairs[0]);
	char name[32];

	for (size_t i = 0; i < *n; i++)
		if (strncmp((*v)[i], "GIT_CONFIG_COUNT=", 17) == 0) /* of agent_env: the user's own will */
			count = 0;
	for (size_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "GIT_CONFIG_KEY_%zu", i);
		put_value(v, n, name, pairs[i][0]);
		/* put() takes no empty value for one. */
		agent_push(v, n, xasprintf("GIT_CONFIG_VALUE_%zu=%s", i, pairs[i][1]));
	}
	if (count > 0)
		put_number(v, n, "GIT_CONFIG_COUNT", (int64_t)count);
	put(v, n, "GIT_TERMINAL_PROMPT=0", true);
	free(header);
}

char **
agent_attempt_env(const struct agent_spec *s, const char *home, const char *tmp, const char *login)
{
	char **v = NULL;
	size_t n = 0;

	for (size_t i = 0; s->env != NULL && s->env[i] != NULL; i++)
		put(&v, &n, s->env[i], false);
	for (size_t i = 0; agent_backend.env[i] != NULL; i++)
		put(&v, &n, agent_backend.env[i], true);
	if (s->patience.answer_ms > 0) {
		put_number(&v, &n, agent_backend.answer_ms, s->patience.answer_ms);
		put_number(&v, &n, agent_backend.idle_ms, s->patience.idle_ms);
		put_number(&v, &n, agent_backend.retries, s->patience.retries);
	}
	if (s->access == AGENT_FULL && geteuid() == 0)
		put(&v, &n, agent_backend.root_env, false);
	if (login != NULL)
		put(&v, &n, login, false);
	put_git(&v, &n);
	put_value(&v, &n, "HOME", home);
	put_value(&v, &n, "TMPDIR", tmp);
	return v;
}
