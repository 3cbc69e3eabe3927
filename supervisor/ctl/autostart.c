/* autostart: see autostart.h. */
#include "supervisor/ctl/autostart.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/configs.h"
#include "common/fd.h"
#include "common/json.h"
#include "common/sibling.h"
#include "common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_BYTES 600

struct autostart {
	struct loop *loop;
	pid_t pid; /* 0: reaped */
	int status;
	int said; /* a memfd: its stderr until it opens its log */
	char *log;
	off_t log_start; /* what is before is of earlier days */
};

extern char **environ;

/* Our environment without secrets, state first (NULL: as it is); the vector is fresh, strings are borrowed.
 */
static const char **
clean_environment(const char *state)
{
	size_t n = strv_len((const char *const *)environ), used = 0;
	const char **env = xcalloc(n + 2, sizeof(*env));

	if (state != NULL)
		env[used++] = state;
	for (size_t i = 0; i < n; i++) {
		bool drop = state != NULL && strncmp(environ[i], "ORCH_STATE_DIR=", 15) == 0;

		if (!drop && !configs_travels_by_message(environ[i]))
			env[used++] = environ[i];
	}
	return env;
}

static void
on_ended(void *arg, pid_t pid, int status)
{
	struct autostart *d = arg;

	(void)pid;
	d->pid = 0;
	d->status = status;
}

/* The state folder was moved, perhaps by a flag or the file: orchd must look at the same place. */
static char *
moved_state(const struct repo *r)
{
	size_t n = strlen(r->state);

	if (strncmp(r->worktrees, r->state, n) != 0 || r->worktrees[n] != '/')
		return NULL;
	return xasprintf("ORCH_STATE_DIR=%s", r->state);
}

static int
spawn(struct autostart *d, const struct repo *r, const char *program, struct err *e)
{
	const char *argv[] = {program, "--daemon", "--repo", r->top, NULL};
	char *state = moved_state(r);
	const char **env = clean_environment(state);
	struct child_spec spec;
	int rc;

	child_spec_init(&spec);
	spec.argv = argv;
	spec.env = env;
	spec.cwd = "/";
	spec.fd_out = spec.fd_err = d->said;
	spec.session = true;
	rc = child_spawn(&spec, &d->pid, NULL, e);
	if (rc == 0)
		loop_watch_child(d->loop, d->pid, on_ended, d);
	free(env);
	free(state);
	return rc;
}

int
autostart_begin(struct autostart **out, struct loop *l, const struct repo *r, struct err *e)
{
	struct autostart *d = xcalloc(1, sizeof(*d));
	char *program = NULL;
	struct stat st;
	int rc = sibling_path("orchd", &program, e);

	d->loop = l;
	d->log = xasprintf("%s/logs/orchd.log", r->state);
	d->log_start = stat(d->log, &st) == 0 ? st.st_size : 0;
	d->said = memfd_create("orchd-stderr", MFD_CLOEXEC);
	if (rc == 0)
		rc = spawn(d, r, program, e);
	free(program);
	if (rc < 0) {
		autostart_free(d);
		return rc;
	}
	*out = d;
	return 0;
}

bool
autostart_failed(const struct autostart *d)
{
	return d->pid == 0 && d->status != 0;
}

/* The end of a file from start on as one line, or NULL when there is nothing. */
static char *
last_words(int fd, off_t start)
{
	char buf[TAIL_BYTES], *tail, *line;
	off_t size = lseek(fd, 0, SEEK_END);
	ssize_t n;

	if (size - start > (off_t)sizeof(buf))
		start = size - (off_t)sizeof(buf);
	n = size <= start ? 0 : pread(fd, buf, sizeof(buf), start);
	if (n <= 0)
		return NULL;
	tail = text_tail(buf, (size_t)n, sizeof(buf));
	line = text_line(tail, sizeof(buf));
	free(tail);
	return line;
}

int
autostart_explain(const struct autostart *d, struct err *e)
{
	int fd = open(d->log, O_RDONLY | O_CLOEXEC);
	char *words = last_words(d->said, 0), status[128];

	if (words == NULL && fd >= 0)
		words = last_words(fd, d->log_start);
	fd_close(&fd);
	if (d->pid != 0)
		strcpy(status, "runs but does not answer");
	else
		child_status_text(status, sizeof(status), d->status);
	err_set(e, -ECONNREFUSED, "cannot start orchd: it %s; %s%s (log: %s)", status,
	    words == NULL ? "it said nothing" : "it said: ", words == NULL ? "" : words, d->log);
	free(words);
	return -ECONNREFUSED;
}

void
autostart_free(struct autostart *d)
{
	if (d->pid != 0)
		loop_unwatch_child(d->loop, d->pid);
	fd_close(&d->said);
	free(d->log);
	free(d);
}
