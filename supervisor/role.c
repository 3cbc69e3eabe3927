/* role: see role.h. */
#include "supervisor/role.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/configs.h"
#include "common/fd.h"
#include "common/sibling.h"
#include "common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define STDERR_TAIL 2048

extern char **environ;

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
role_env(const struct daemon *d, const struct task *t)
{
	char **env, trees[PTREE_PATH_MAX + 64];
	size_t n = 0, count = 0;

	while (environ[count] != NULL)
		count++;
	env = xcalloc(count + 5, sizeof(*env));
	for (size_t i = 0; i < count; i++)
		if (!configs_travels_by_message(environ[i]) &&
		    !is_named(environ[i], marker_names, sizeof(marker_names) / sizeof(marker_names[0])))
			env[n++] = xstrdup(environ[i]);
	env[n++] = xasprintf("ORCH_INSTANCE=%s", d->repo.instance);
	env[n++] = xasprintf("ORCH_TASK=%s", t->id);
	env[n++] = xasprintf("ORCH_SOCKET=%s", d->repo.socket);
	ptree_machine_write(&d->trees, trees, sizeof(trees));
	env[n++] = xasprintf("%s=%s", PTREE_MACHINE_ENV, trees);
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
	struct stat st;
	int fd;

	fd_mkdirs(dir, 0700);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		t->log_start = fstat(fd, &st) == 0 ? st.st_size : 0;
	free(dir);
	free(path);
	return fd;
}

/* The last words of the process that just died, as one line; NULL when it said nothing. Caller frees. */
char *
role_last_words(struct daemon *d, const struct task *t)
{
	char *dir = log_dir(d, t->run), *path = taskid_log(dir, t->id), buf[STDERR_TAIL], *tail, *line = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	free(dir);
	free(path);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && st.st_size > t->log_start) {
		off_t from =
		    st.st_size - t->log_start > STDERR_TAIL ? st.st_size - STDERR_TAIL : t->log_start;
		ssize_t n = pread(fd, buf, sizeof(buf), from);

		if (n > 0) {
			tail = text_tail(buf, (size_t)n, 512);
			line = text_line(tail, 512);
			free(tail);
		}
	}
	fd_close(&fd);
	return line;
}

int
role_fork(struct daemon *d, struct task *t, pid_t *pid, int *fd, struct err *e)
{
	static const char *const programs[] = {"orch-director", "orch-em", "orch-worker"};
	const char *argv[3] = {programs[t->level], t->level == 0 && t->run->epilogue ? "--epilogue" : NULL};
	struct child_spec spec;
	char *path = NULL, **env = NULL;
	int sv[2] = {-1, -1}, log_fd = -1, rc;

	rc = sibling_path(programs[t->level], &path, e);
	if (rc < 0)
		return rc;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0) {
		rc = err_sys(e, -errno, "socketpair");
		goto out;
	}
	log_fd = open_log(d, t);
	env = role_env(d, t);
	child_spec_init(&spec);
	argv[0] = path;
	spec.argv = argv;
	spec.env = (const char *const *)env;
	spec.fd_out = spec.fd_err = log_fd;
	spec.fd_link = sv[1];
	spec.oom_score = d->oom_score[0] != '\0' ? d->oom_score : NULL;
	rc = child_spawn(&spec, pid, NULL, e);
	free_env(env);
out:
	fd_close(&log_fd);
	fd_close(&sv[1]);
	if (rc < 0)
		fd_close(&sv[0]);
	*fd = sv[0];
	free(path);
	return rc;
}
