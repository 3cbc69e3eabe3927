/* handover: see handover.h. */
#include "supervisor/handover.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/proc.h"
#include "common/sibling.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KEYS_BYTES_MAX (8 << 20) /* 64 runs with 64 KiB each, twice over */

int
handover_parse(struct handover *h, const char *text)
{
	int front, end = 0;

	if (sscanf(text, "%d,%d,%d,%d%n", &h->lock, &h->listen, &h->keys, &front, &end) != 4 ||
	    text[end] != '\0' || h->lock < 3 || h->listen < 3 || h->keys < 3 || front < 0)
		return -EINVAL;
	h->front = front;
	if (fd_set_cloexec(h->lock, true) < 0 || fd_set_cloexec(h->listen, true) < 0 ||
	    fd_set_cloexec(h->keys, true) < 0)
		return -EINVAL;
	return 0;
}

/*
 * Strings with their NULs: R and a run, then T and its token, and for each of its configurations N and its
 * name, E and a variable.
 */
static void
put(FILE *f, char kind, const char *text)
{
	fputc(kind, f);
	fwrite(text, 1, strlen(text) + 1, f);
}

/* Memory that no file system holds, and that ends with the last process that has it open. */
static int
save_keys(const struct daemon *d)
{
	int fd = memfd_create("orch-keys", MFD_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(dup(fd), "w");
	const struct run *r;

	if (f == NULL)
		return fd;
	setvbuf(f, NULL, _IONBF, 0); /* no copy of it stays in a buffer */
	TAILQ_FOREACH (r, &d->runs, entry) {
		put(f, 'R', r->id);
		if (r->token != NULL)
			put(f, 'T', r->token);
		for (size_t i = 0; i < r->keys.count; i++) {
			put(f, 'N', r->keys.v[i].name);
			for (char **p = r->keys.v[i].env; *p != NULL; p++)
				put(f, 'E', *p);
		}
	}
	fclose(f);
	return fd;
}

static void
add_config(struct configs *c, const char *name)
{
	c->v = xrealloc(c->v, (c->count + 1) * sizeof(*c->v));
	c->v[c->count].name = xstrdup(name);
	c->v[c->count].env = xcalloc(1, sizeof(char *));
	c->count++;
}

static void
add_variable(struct configs *c, const char *pair)
{
	struct config *last = &c->v[c->count - 1];
	size_t n = 0;

	while (last->env[n] != NULL)
		n++;
	last->env = xrealloc(last->env, (n + 2) * sizeof(char *));
	last->env[n] = xstrdup(pair);
	last->env[n + 1] = NULL;
}

void
handover_take_keys(struct daemon *d, int fd)
{
	struct run *r = NULL;
	char *text = NULL;
	size_t size = 0;

	if (lseek(fd, 0, SEEK_SET) < 0 || fd_read_all(fd, KEYS_BYTES_MAX, &text, &size) < 0)
		return;
	for (size_t at = 0; at < size; at += strlen(text + at) + 1) {
		const char *value = text + at + 1;

		if (text[at] == '\0')
			break;
		if (text[at] == 'R')
			r = runs_find(&d->runs, value);
		else if (r != NULL && text[at] == 'T' && r->token == NULL)
			r->token = xstrdup(value);
		else if (r != NULL && text[at] == 'N')
			add_config(&r->keys, value);
		else if (r != NULL && text[at] == 'E' && r->keys.count > 0)
			add_variable(&r->keys, value);
	}
	proc_hide_memory();
	explicit_bzero(text, size);
	free(text);
	secrets_changed(d);
}

/* They wait until the new program has its handlers. */
static void
hold_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

void
handover_exec(struct daemon *d, int lock, bool background, const char *dir)
{
	int listen = d->listen_fd, keys = save_keys(d), n = 0;
	char *path = NULL,
	     *what = xasprintf("%d,%d,%d,%d", lock, listen, keys < 0 ? lock : keys, (int)d->front_pid);
	const char *argv[8];
	struct err e = {""};

	hold_signals();
	notify_export(&d->notify);
	d->listen_fd = -1;
	daemon_clear(d);
	argv[n++] = "orchd";
	argv[n++] = "--takeover";
	argv[n++] = what;
	if (background)
		argv[n++] = "--daemon";
	if (dir != NULL) {
		argv[n++] = "--repo";
		argv[n++] = dir;
	}
	argv[n] = NULL;
	if (keys >= 0 && sibling_path("orchd", &path, &e) == 0) {
		log_info("handing over to %s", path);
		fd_set_cloexec(lock, false);
		fd_set_cloexec(listen, false);
		fd_set_cloexec(keys, false);
		execv(path, (char *const *)argv);
		err_sys(&e, -errno, "cannot start %s", path);
	}
	log_error("%s; the next orchd takes the team over", e.msg);
	fd_close(&keys);
	fd_close(&listen);
	fd_close(&lock);
	free(path);
	free(what);
}
