/*
 * agent_login: lets an agent use the login of the user who runs orch, though it has a HOME of its own.
 * Nothing is copied: the program is told where the login is kept, and the user's settings (which may name a
 * helper that gives the key, or another endpoint) are linked. Where a key is given instead, neither is in its
 * reach.
 */
#include "common/agent_backend.h"
#include "common/agent_impl.h"

#include "common/alloc.h"
#include "common/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
has_key(const char *const *env)
{
	for (size_t i = 0; env != NULL && env[i] != NULL; i++)
		if (agent_name_in(agent_backend.key_env, env[i]) && env[i][strcspn(env[i], "=")] == '=' &&
		    env[i][strcspn(env[i], "=") + 1] != '\0')
			return true;
	return false;
}

/* The user's own configuration folder; NULL when there is none. */
static char *
user_config(void)
{
	const char *dir = getenv(agent_backend.config_env), *home = getenv("HOME");
	char *path = NULL;

	if (dir != NULL && dir[0] == '/')
		path = xstrdup(dir);
	else if (home != NULL && home[0] == '/')
		path = xasprintf("%s/%s", home, agent_backend.config_dir);
	if (path != NULL && access(path, X_OK) < 0) {
		free(path);
		path = NULL;
	}
	return path;
}

/* Only ever touches a link: a file of that name is the agent's own. user_dir NULL: there is to be none. */
static int
link_file(const char *own_dir, const char *user_dir, const char *name, struct err *e)
{
	char *link = xasprintf("%s/%s", own_dir, name);
	char *target = user_dir != NULL ? xasprintf("%s/%s", user_dir, name) : NULL;
	struct stat st;
	int rc = 0;

	if (lstat(link, &st) == 0 && S_ISLNK(st.st_mode))
		unlink(link);
	if (target != NULL && access(target, R_OK) == 0 && symlink(target, link) < 0 && errno != EEXIST)
		rc = err_sys(e, -errno, "cannot link %s", link);
	free(link);
	free(target);
	return rc;
}

int
agent_share_login(const struct agent_spec *s, const char *home, char **pair, struct err *e)
{
	char *user = has_key(s->env) ? NULL : user_config();
	char *own = xasprintf("%s/%s", home, agent_backend.config_dir);
	int rc = fd_mkdirs(own, 0700);

	*pair = NULL;
	if (rc < 0)
		err_sys(e, rc, "cannot make %s", own);
	for (size_t i = 0; rc == 0 && agent_backend.config_files[i] != NULL; i++)
		rc = link_file(own, user, agent_backend.config_files[i], e);
	if (rc == 0 && user != NULL)
		*pair = xasprintf("%s=%s", agent_backend.login_env, user);
	free(own);
	free(user);
	return rc;
}
