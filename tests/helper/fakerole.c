/*
 * fakerole: a stand-in for orch-director, orch-em and orch-worker in tests of orchd: copied under those names
 * beside a copy of orchd, it does what a file says instead of work. $ORCH_FAKE_DIR/<task, with / as -> holds
 * one command a line, carried out from the top at every start; without the file it says hello and serves.
 *
 *     say TEXT        a line on stderr              exit N         at once, with this status
 *     mute            lives, without ever a HELLO   deaf           from now on TERM is ignored
 *     hello           opens the link; all below need it
 *     orphan          leaves a grandchild in a session of its own; EVENT orphan says its pid
 *     dial            lets a child connect to orchd's socket; EVENT dial says what came of it
 *     add KEY [NEED]  adds a child task             submit         hands the own task in
 *     integrate KEY   merges a child that is handed in (waits for it)
 *     events N        N of kind "flood", 500 at a time
 *     finish          ends the run                  freeze         SIGSTOPs itself
 *     serve           lives until told to stop, or until the run is cancelled, which it then finishes
 *
 * Its first act is a mark (tests/helper/mark.h). Where it is not orchd that started it, there is no other.
 */
#include "common/alloc.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/taskid.h"
#include "proto/link.h"
#include "proto/peer.h"
#include "tests/helper/mark.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMIT "1111111111111111111111111111111111111111"

struct fake {
	struct loop loop;
	struct link *link;
	const struct msg_assign *assign;
	enum proto_who who;
	bool cancelled;
	char *handed_in;     /* keys of the children that were, each as " KEY " */
	const char *awaited; /* such a key, or NULL */
	bool came;
	unsigned added;
};

static void
look(struct fake *f)
{
	f->came = f->awaited != NULL && f->handed_in != NULL && strstr(f->handed_in, f->awaited) != NULL;
}

static void
on_msg(void *arg, const struct msg *m)
{
	struct fake *f = arg;

	if (m->id == MSG_STOP && m->stop.cancelled)
		f->cancelled = true;
	if (m->id == MSG_CHILD && strcmp(m->child.state, "submitted") == 0) {
		char *more = xasprintf("%s %s ", f->handed_in == NULL ? "" : f->handed_in, m->child.key);

		free(f->handed_in);
		f->handed_in = more;
		look(f);
	}
}

static void
leave(struct fake *f, int status)
{
	link_free(f->link);
	exit(status);
}

static void
check(struct fake *f, int rc, const struct err *e)
{
	if (rc == 0)
		return;
	log_error("%s", e->msg);
	leave(f, rc == -ECANCELED ? 0 : 1);
}

static void
call(struct fake *f, struct msg m)
{
	struct err e = {""};

	check(f, link_call(f->link, &m, NULL, &e), &e);
}

static void
hello(struct fake *f)
{
	struct err e = {""};
	static struct link_ops ops = {.on_msg = on_msg};

	ops.arg = f;
	loop_own_descendants(&f->loop);
	check(f, link_open(&f->link, &f->loop, f->who, &ops, &f->assign, &e), &e);
	f->cancelled = f->assign->cancelled;
}

/* A grandchild that nobody knows; it holds none of our files. */
static void
orphan(struct fake *f)
{
	int p[2];
	pid_t pid = 0;

	if (fd_pipe(p, false) < 0 || (pid = fork()) < 0)
		leave(f, 1);
	if (pid == 0) {
		setsid();
		pid = fork();
		if (pid != 0)
			_exit(0);
		pid = getpid();
		signal(SIGTERM, SIG_IGN);
		if (fd_write_all(p[1], &pid, sizeof(pid)) < 0)
			_exit(1);
		for (int fd = 0; fd < 64; fd++)
			close(fd);
		for (;;)
			pause();
	}
	if (fd_read(p[0], &pid, sizeof(pid)) != sizeof(pid))
		leave(f, 1);
	fd_close(&p[0]);
	fd_close(&p[1]);
	link_event(f->link, "orphan", "%d", (int)pid);
}

/* "welcome": orchd greeted; "refused": it closed without a word. */
static void
dial(struct fake *f)
{
	int p[2];
	char answer[16] = "";
	pid_t pid = 0;

	if (fd_pipe(p, false) < 0 || (pid = fork()) < 0)
		leave(f, 1);
	if (pid == 0) {
		int s = peer_connect(getenv("ORCH_SOCKET"), NULL);
		struct pollfd pfd = {.fd = s, .events = POLLIN};
		bool greeted = s >= 0 && poll(&pfd, 1, 20000) == 1 && fd_read(s, answer, 1) == 1;

		_exit(fd_write_all(p[1], greeted ? "welcome" : "refused", 7) < 0);
	}
	if (fd_read(p[0], answer, 7) != 7)
		leave(f, 1);
	fd_close(&p[0]);
	fd_close(&p[1]);
	link_event(f->link, "dial", "%s", answer);
}

static void
add(struct fake *f, const char *key, const char *need)
{
	char *needs = need == NULL ? NULL : xasprintf("[\"%s\"]", need),
	     *title = xasprintf("Title of %s", key);

	call(f, (struct msg){.id = MSG_TASK_ADD,
		    .task_add = {.ordinal = ++f->added,
			.key = key,
			.title = title,
			.goal = "A goal",
			.owns_json = "[\"src/**\"]",
			.needs_json = needs,
			.branch = "cco/fake"}});
	free(needs);
	free(title);
}

static void
integrate(struct fake *f, const char *key, unsigned ordinal)
{
	char *id = xasprintf("%s/%s%u", f->assign->task, f->who == WHO_DIRECTOR ? "em" : "w", ordinal);
	char *word = xasprintf(" %s ", key);
	struct err e = {"asked to stop"};

	f->awaited = word;
	look(f);
	check(f, loop_wait(&f->loop, &f->came, -1), &e);
	f->awaited = NULL;
	free(word);
	call(f, (struct msg){.id = MSG_INTEGRATED, .integrated = {.task = id, .head = COMMIT}});
	free(id);
}

/* The answer to the NOTE says that those before it are saved. */
static void
flood(struct fake *f, unsigned count)
{
	for (unsigned i = 1; i <= count; i++) {
		link_event(f->link, "flood", "event %u of %u, with some words as events have them", i, count);
		if (i % 500 == 0)
			call(f, (struct msg){.id = MSG_NOTE, .note = {.branch = "cco/fake"}});
	}
}

static void
finish(struct fake *f)
{
	call(f, (struct msg){.id = MSG_FINISH, .finish = {.head = COMMIT}});
	leave(f, 0);
}

static void
serve(struct fake *f)
{
	struct err e = {"asked to stop"};

	check(f, loop_wait(&f->loop, &f->cancelled, -1), &e);
	finish(f);
}

static unsigned
ordinal_of(const char *key)
{
	return (unsigned)strtoul(key + strcspn(key, "0123456789"), NULL, 10);
}

static void
obey(struct fake *f, char *line)
{
	char *word = strtok(line, " "), *a = strtok(NULL, " "), *b = strtok(NULL, " ");

	if (word == NULL)
		return;
	if (strcmp(word, "say") == 0)
		fprintf(stderr, "%s\n", a);
	else if (strcmp(word, "exit") == 0)
		_exit(atoi(a));
	else if (strcmp(word, "mute") == 0)
		for (;;)
			pause();
	else if (strcmp(word, "deaf") == 0)
		f->loop.stop_masked++;
	else if (strcmp(word, "freeze") == 0)
		raise(SIGSTOP);
	else if (strcmp(word, "hello") == 0)
		hello(f);
	else if (strcmp(word, "orphan") == 0)
		orphan(f);
	else if (strcmp(word, "dial") == 0)
		dial(f);
	else if (strcmp(word, "add") == 0)
		add(f, a, b);
	else if (strcmp(word, "submit") == 0)
		call(f, (struct msg){.id = MSG_SUBMIT, .submit = {.base = COMMIT, .head = COMMIT}});
	else if (strcmp(word, "integrate") == 0)
		integrate(f, a, ordinal_of(a));
	else if (strcmp(word, "events") == 0)
		flood(f, (unsigned)atoi(a));
	else if (strcmp(word, "finish") == 0)
		finish(f);
	else if (strcmp(word, "serve") == 0)
		serve(f);
	else
		fatal("no such command: %s", word);
}

static enum proto_who
who_am_i(const char *argv0)
{
	if (strstr(argv0, "orch-director") != NULL)
		return WHO_DIRECTOR;
	return strstr(argv0, "orch-em") != NULL ? WHO_EM : WHO_WORKER;
}

int
main(int argc, char **argv)
{
	struct fake f = {.who = who_am_i(argv[0])};
	const char *dir = getenv("ORCH_FAKE_DIR"), *task = getenv("ORCH_TASK");
	char flat[TASKID_MAX], *path, *text, *line, *save;

	(void)argc;
	mark_begin();
	if (task == NULL && getenv("ORCH_MARK_FILE") != NULL) /* under another supervisor */
		for (;;)
			pause();
	log_init("fakerole");
	if (dir == NULL || task == NULL || !taskid_valid(task))
		fatal("to be started by orchd with ORCH_FAKE_DIR set");
	if (loop_init(&f.loop) < 0)
		return 1;
	taskid_flat(flat, task);
	path = xasprintf("%s/%s", dir, flat);
	if (fd_read_file(path, 1 << 16, &text, NULL) < 0)
		text = xstrdup("hello\nserve\n");
	for (line = text; line != NULL && *line != '\0'; line = save) {
		save = strchr(line, '\n');
		if (save != NULL)
			*save++ = '\0';
		obey(&f, line);
	}
	leave(&f, 0);
}
