/* reqlog: see reqlog.h. */
#include "supervisor/gateway/reqlog.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct reqlog {
	char *path;
	int fd;
	size_t size, max;
};

static int
open_file(struct reqlog *l)
{
	struct stat st;

	l->fd = open(l->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600);
	if (l->fd < 0)
		return -errno;
	l->size = fstat(l->fd, &st) == 0 ? (size_t)st.st_size : 0;
	return 0;
}

int
reqlog_open(struct reqlog **l, const char *path, size_t bytes_max, struct err *e)
{
	struct reqlog *new = xcalloc(1, sizeof(*new));
	int rc;

	new->path = xstrdup(path);
	new->max = bytes_max;
	rc = open_file(new);
	if (rc < 0) {
		err_sys(e, rc, "cannot write the request log %s", path);
		reqlog_close(new);
		return rc;
	}
	*l = new;
	return 0;
}

void
reqlog_close(struct reqlog *l)
{
	if (l == NULL)
		return;
	fd_close(&l->fd);
	free(l->path);
	free(l);
}

/* Should it fail, the file goes on growing, and the next line tries again. */
static int
rotate(struct reqlog *l)
{
	char *old = xasprintf("%s.1", l->path);
	int rc = rename(l->path, old) < 0 ? -errno : 0;

	free(old);
	if (rc < 0)
		return rc;
	fd_close(&l->fd);
	return open_file(l);
}

/* What came from others may be no UTF-8, which json_pack would not take. */
static json_t *
make_text(const char *s)
{
	json_t *j = json_string(s);

	return j != NULL ? j : json_string("?");
}

static char *
make_line(const struct gateway_record *r)
{
	const struct usage *u = &r->usage;
	char at[32];
	json_t *j;
	char *text, *line;

	clock_iso(at, sizeof(at), clock_wall_ms());
	j = json_pack("{s:s, s:s, s:I, s:s, s:o, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "at", at,
	    "task", r->task, "attempt", (json_int_t)r->attempt, "method", r->method, "path",
	    make_text(r->path), "key", r->key, "model", make_text(u->model[0] != '\0' ? u->model : r->model),
	    "request_id", make_text(r->request_id), "status", (json_int_t)r->status, "ms", (json_int_t)r->ms,
	    "waited_ms", (json_int_t)r->waited_ms, "sent", (json_int_t)r->sent, "bytes_in",
	    (json_int_t)r->bytes_in, "bytes_out", (json_int_t)r->bytes_out, "why", make_text(r->why));
	if (u->known)
		json_object_set_new(j, "usage",
		    json_pack("{s:I, s:I, s:I, s:I, s:b, s:f}", "input", (json_int_t)u->input, "output",
			(json_int_t)u->output, "cache_read", (json_int_t)u->cache_read, "cache_write",
			(json_int_t)u->cache_write, "at_least", u->floor, "usd", (double)r->cost_nusd / 1e9));
	text = json_text(j);
	json_decref(j);
	line = xasprintf("%s\n", text);
	free(text);
	return line;
}

int
reqlog_add(struct reqlog *l, const struct gateway_record *r)
{
	char *line = make_line(r);
	size_t size = strlen(line);
	int rc = 0;

	if (l->size > 0 && l->size + size > l->max)
		rc = rotate(l);
	if (l->fd < 0)
		rc = open_file(l);
	if (l->fd >= 0) {
		int wrote = fd_write_all(l->fd, line, size);

		l->size += wrote == 0 ? size : 0;
		rc = wrote < 0 ? wrote : rc;
	}
	free(line);
	return rc;
}
