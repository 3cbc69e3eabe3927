/* role: see role.h. */
#include "supervisor/role.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/configs.h"
#include "common/fd.h"
#include "common/sibling.h"
#include "supervisor/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

#define OWN_VARIABLES 5 /* that role_env() adds at most */

static const char *const marker_names[] = {
    "ORCH_INSTANCE", "ORCH_TASK", "ORCH_SOCKET", "NOTIFY_SOCKET", PTREE_MACHINE_ENV};

static bool
is_named(const char *entry, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t n = strlen(names[i]);

		if (strncmp(entry, names[i], n) == 0 && entry[n] == '=')
			return true;
	}
	return false;
}

static char **
role_env(const struct daemon *d, const struct role_spec *s)
{
	char **env, trees[PTREE_PATH_MAX + 64];
	size_t n = 0, count = 0;

	while (environ[count] != NULL)
		count++;
	env = xcalloc(count + OWN_VARIABLES + 1, sizeof(*env));
	for (size_t i = 0; i < count; i++)
		if (!configs_travels_by_message(environ[i]) &&
		    !is_named(environ[i], marker_names, sizeof(marker_names) / sizeof(marker_names[0])))
			env[n++] = xstrdup(environ[i]);
	env[n++] = xasprintf("ORCH_INSTANCE=%s", d->repo.instance);
	env[n++] = xasprintf("ORCH_TASK=%s", s->task);
	env[n++] = xasprintf("ORCH_SOCKET=%s", d->repo.socket);
	ptree_machine_write(&d->trees, trees, sizeof(trees));
	env[n++] = xasprintf("%s=%s", PTREE_MACHINE_ENV, trees);
	if (s->extra != NULL)
		env[n++] = xstrdup(s->extra);
	return env;
}

static void
free_env(char **env)
{
	for (size_t i = 0; env[i] != NULL; i++)
		free(env[i]);
	free(env);
}

static char *
log_dir(const struct daemon *d, const struct run *r)
{
	return xasprintf("%s/logs/%s", d->repo.state, r->id);
}

/* A role's stderr goes straight to a file: no reader of ours can ever hold it up. */
static int
open_log(struct daemon *d, struct task *t)
{
	char *dir = log_dir(d, t->run), *path = taskid_log(dir, t->id);
	uint64_t max = d->conf.log_max_mb << 20;
	int fd = logfile_open_path(path, max, &t->log_start, NULL);

	if (fd == -ENOENT && fd_mkdirs(dir, 0700) == 0)
		fd = logfile_open_path(path, max, &t->log_start, NULL);
	free(dir);
	free(path);
	return fd;
}

char *
role_last_words(struct daemon *d, const struct task *t)
{
	char *dir = log_dir(d, t->run), *path = taskid_log(dir, t->id);
	char *words = logfile_last_words(path, t->log_start);

	free(dir);
	free(path);
	return words;
}

int
role_start(struct daemon *d, const struct role_spec *s, pid_t *pid, int *fd, struct err *e)
{
	const char *argv[3] = {NULL, s->arg, NULL};
	struct child_spec spec;
	char *path = NULL, **env = NULL;
	int sv[2] = {-1, -1}, rc;

	rc = sibling_path(s->program, &path, e);
	if (rc < 0)
		return rc;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0) {
		rc = err_sys(e, -errno, "socketpair");
		goto out;
	}
	env = role_env(d, s);
	child_spec_init(&spec);
	argv[0] = path;
	spec.argv = argv;
	spec.env = (const char *const *)env;
	spec.fd_out = spec.fd_err = s->log_fd;
	spec.fd_link = sv[1];
	spec.oom_score = d->oom_score[0] != '\0' ? d->oom_score : NULL;
	spec.fd_listen = s->listen_fd;
	/* A whole team is started in one turn, and where others are at work too the exec of each may take
	 * long. */
	spec.exec_status = UNIT_EXIT_CONFIG;
	rc = child_spawn(&spec, pid, NULL, e);
	free_env(env);
out:
	fd_close(&sv[1]);
	if (rc < 0)
		fd_close(&sv[0]);
	*fd = sv[0];
	free(path);
	return rc;
}

int
role_fork(struct daemon *d, struct task *t, pid_t *pid, int *fd, struct err *e)
{
	static const char *const programs[] = {"orch-director", "orch-em", "orch-worker"};
	struct role_spec s = {.program = programs[t->level],
	    .arg = t->level > 0          ? NULL
		   : t->run->saver    ? "--save"
		   : t->run->epilogue ? "--epilogue"
				      : NULL,
	    .task = t->id,
	    .log_fd = open_log(d, t),
	    .listen_fd = -1};
	int rc = role_start(d, &s, pid, fd, e);

	fd_close(&s.log_fd);
	return rc;
}
