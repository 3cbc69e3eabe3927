/* reqlog: see reqlog.h. */
#include "supervisor/gateway/reqlog.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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
	if (rc < 0 && rc != -ENOENT) /* somebody took it away: a new one is made */
		return rc;
	fd_close(&l->fd);
	return open_file(l);
}

/* What came from others may be no UTF-8, which no reader of JSON would take. */
static void
put_text(FILE *f, const char *name, const char *value)
{
	const char *p = text_is_utf8(value, strlen(value)) ? value : "?";

	fprintf(f, ",\"%s\":\"", name);
	for (; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || *p == '"' || *p == '\\')
			fprintf(f, "\\u%04x", (unsigned)(unsigned char)*p);
		else
			fputc(*p, f);
	}
	fputc('"', f);
}

static void
put_usage(FILE *f, const struct gateway_record *r)
{
	const struct usage *u = &r->usage;

	fprintf(f, ",\"usage\":{\"input\":%" PRIu64 ",\"output\":%" PRIu64 ",\"cache_read\":%" PRIu64,
	    u->input, u->output, u->cache_read);
	fprintf(f, ",\"cache_write\":%" PRIu64 ",\"at_least\":%s,\"usd\":%" PRIu64 ".%09" PRIu64 "}",
	    u->cache_write, u->floor ? "true" : "false", r->cost_nusd / 1000000000,
	    r->cost_nusd % 1000000000);
}

/* By hand: a library's objects for it were a quarter of all that a small request costs. */
static char *
make_line(const struct gateway_record *r, size_t *size)
{
	char at[32], *line = NULL;
	FILE *f = open_memstream(&line, size);

	if (f == NULL)
		return NULL;
	clock_iso(at, sizeof(at), clock_wall_ms());
	fprintf(f, "{\"at\":\"%s\"", at);
	put_text(f, "task", r->task);
	fprintf(f, ",\"attempt\":%" PRIu32, r->attempt);
	put_text(f, "method", r->method);
	put_text(f, "path", r->path);
	put_text(f, "key", r->key);
	put_text(f, "model", r->usage.model[0] != '\0' ? r->usage.model : r->model);
	put_text(f, "request_id", r->request_id);
	fprintf(f, ",\"status\":%d,\"ms\":%" PRId64 ",\"waited_ms\":%" PRId64 ",\"sent\":%u", r->status,
	    r->ms, r->waited_ms, r->sent);
	fprintf(f, ",\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64, (uint64_t)r->bytes_in,
	    (uint64_t)r->bytes_out);
	put_text(f, "why", r->why);
	if (r->usage.known)
		put_usage(f, r);
	fputs("}\n", f);
	if (fclose(f) == 0)
		return line;
	free(line);
	return NULL;
}

int
reqlog_add(struct reqlog *l, const struct gateway_record *r)
{
	size_t size = 0;
	char *line = make_line(r, &size);
	int rc = 0;

	if (line == NULL)
		return -ENOMEM;
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
