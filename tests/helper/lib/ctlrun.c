/* ctlrun: see ctlrun.h. */
#include "tests/helper/lib/ctlrun.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/fd.h"
#include "tests/helper/lib/test.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM_MAX (64u << 20)
#define WAIT_MS 120000 /* never reached by a test that passes; a whole run on a busy machine is below it */
#define ARGS_MAX 30

struct ctlrun_pipe {
	struct ctlrun *run;
	int fd;
	struct event *ev;
	char **text;
	size_t size;
};

void
ctlrun_scrub_environment(void)
{
	static const char *const prefixes[] = {"ORCH_", "ISSUE_", "MAX_", "API_TIMEOUT_MS", "XDG_STATE_HOME",
	    "NO_COLOR", "GITHUB_", "CLAUDE_", "ANTHROPIC_"};
	size_t i = 0;

	while (environ[i] != NULL) {
		char *name = xstrndup(environ[i], strcspn(environ[i], "="));
		bool drop = false;

		for (size_t p = 0; p < sizeof(prefixes) / sizeof(prefixes[0]); p++)
			drop = drop || strncmp(name, prefixes[p], strlen(prefixes[p])) == 0;
		if (drop)
			unsetenv(name); /* and the next one moves here */
		else
			i++;
		free(name);
	}
}

static void
install(struct testrepo *t, const char *name, const void *data, size_t size)
{
	char *path = testrepo_path(t, "bin/%s", name), *folder = testrepo_path(t, "bin");

	assert_int_equal(fd_mkdirs(folder, 0700), 0);
	assert_int_equal(fd_write_file(path, data, size, 0700), 0);
	free(folder);
	free(path);
}

void
ctlrun_install(struct testrepo *t, const char *bin_dir)
{
	char *path = xasprintf("%s/orchctl", bin_dir), *data;
	size_t size;

	assert_int_equal(fd_read_file(path, PROGRAM_MAX, &data, &size), 0);
	install(t, "orchctl", data, size);
	free(data);
	free(path);
}

void
ctlrun_sibling(struct testrepo *t, const char *name, const char *script)
{
	char *text = xasprintf("#!/bin/sh\n%s\n", script);

	install(t, name, text, strlen(text));
	free(text);
}

void
ctlrun_accepting_check(struct testrepo *t)
{
	char *head = testrepo_git(t, NULL, "rev-parse", "HEAD", NULL);
	char *script = xasprintf("cat >/dev/null\n"
				 "echo '{\"base\":\"%s\",\"base_branch\":\"main\",\"notes\":[\"a note\"]}'",
	    head);

	ctlrun_sibling(t, "orch-director", script);
	free(script);
	free(head);
}

static void
finish_when_quiet(struct ctlrun *r)
{
	r->done = r->ended && r->pipes[0]->fd < 0 && r->pipes[1]->fd < 0;
	if (r->done && r->on_text != NULL)
		r->on_text(r, r->arg);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct ctlrun_pipe *p = arg;
	char buf[4096];
	ssize_t n = fd_read((int)fd, buf, sizeof(buf));

	(void)what;
	if (n == -EAGAIN)
		return;
	if (n <= 0) { /* a terminal ends with EIO */
		event_del(p->ev);
		fd_close(&p->fd);
		finish_when_quiet(p->run);
		return;
	}
	*p->text = xrealloc(*p->text, p->size + (size_t)n + 1);
	memcpy(*p->text + p->size, buf, (size_t)n);
	p->size += (size_t)n;
	(*p->text)[p->size] = '\0';
	if (p->run->on_text != NULL)
		p->run->on_text(p->run, p->run->arg);
}

static void
on_ended(void *arg, pid_t pid, int status)
{
	struct ctlrun *r = arg;

	(void)pid;
	r->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	r->ended = true;
	finish_when_quiet(r);
}

static struct ctlrun_pipe *
listen_to(struct ctlrun *r, int fd, char **text)
{
	struct ctlrun_pipe *p = xcalloc(1, sizeof(*p));

	p->run = r;
	p->fd = fd;
	p->text = text;
	*text = xstrdup("");
	assert_int_equal(fd_set_nonblock(fd), 0);
	p->ev = event_new(r->repo->loop.base, fd, EV_READ | EV_PERSIST, on_readable, p);
	event_add(p->ev, NULL);
	return p;
}

/* Both ends of a terminal in fds, the program's in fds[1]. */
static void
open_terminal(int fds[2])
{
	struct winsize size = {.ws_row = 20, .ws_col = 60};

	fds[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fds[0] >= 0);
	assert_int_equal(grantpt(fds[0]), 0);
	assert_int_equal(unlockpt(fds[0]), 0);
	fds[1] = open(ptsname(fds[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fds[1] >= 0);
	assert_int_equal(ioctl(fds[1], TIOCSWINSZ, &size), 0);
}

void
ctlrun_program(struct ctlrun *r, struct testrepo *t, const char *program, const char *dir, bool tty,
    const char *const *args, void (*on_text)(struct ctlrun *r, void *arg), void *arg)
{
	const char *argv[ARGS_MAX + 2] = {program};
	struct child_spec spec;
	struct err e = {""};
	int out[2], err[2];

	memset(r, 0, sizeof(*r));
	r->repo = t;
	r->on_text = on_text;
	r->arg = arg;
	for (size_t i = 0; args[i] != NULL; i++) {
		assert_true(i < ARGS_MAX);
		argv[i + 1] = args[i];
	}
	if (tty)
		open_terminal(out);
	else
		assert_int_equal(fd_pipe(out, false), 0);
	assert_int_equal(fd_pipe(err, false), 0);
	child_spec_init(&spec);
	spec.argv = argv;
	spec.cwd = dir;
	spec.fd_out = out[1];
	spec.fd_err = err[1];
	if (child_spawn(&spec, &r->pid, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	fd_close(&out[1]);
	fd_close(&err[1]);
	r->pipes[0] = listen_to(r, out[0], &r->out);
	r->pipes[1] = listen_to(r, err[0], &r->err);
	loop_watch_child(&t->loop, r->pid, on_ended, r);
}

void
ctlrun_start(struct ctlrun *r, struct testrepo *t, bool tty, const char *const *args,
    void (*on_text)(struct ctlrun *r, void *arg), void *arg)
{
	char *program = testrepo_path(t, "bin/orchctl");

	ctlrun_program(r, t, program, t->top, tty, args, on_text, arg);
	free(program);
}

void
ctlrun_wait(struct ctlrun *r)
{
	if (loop_wait(&r->repo->loop, &r->done, clock_now_ms() + WAIT_MS) != 0)
		fail_msg("orchctl has not ended; it said: %s%s", r->out, r->err);
}

void
ctlrun_clear(struct ctlrun *r)
{
	for (size_t i = 0; i < 2; i++) {
		event_free(r->pipes[i]->ev);
		fd_close(&r->pipes[i]->fd);
		free(r->pipes[i]);
	}
	free(r->out);
	free(r->err);
	memset(r, 0, sizeof(*r));
}

void
ctlrun(struct ctlrun *r, struct testrepo *t, const char *const *argv)
{
	ctlrun_start(r, t, false, argv, NULL, NULL);
	ctlrun_wait(r);
}
