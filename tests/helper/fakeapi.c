/*
 * orch-test-fakeapi: a fake Anthropic Messages API on a free port of 127.0.0.1 (printed as the first line of
 * stdout), which answers as scripts say, streamed or not as it is asked, and fails in every way that a real
 * one can.
 *
 *     orch-test-fakeapi SCRIPTS [--log FILE] [--bodies FOLDER] [--run PROGRAM [ARGUMENT...]]
 *
 * It lives until SIGTERM, or until its stdin ends: a test that dies takes it along. With --run it lives as
 * long as the program that it starts, and ends with its status; the program finds its URL in
 * $ORCH_FAKEAPI_URL. That is for tests that kill all their descendants now and then.
 *
 * A script is a file in the folder SCRIPTS. A request belongs to the script NAME when its path begins with
 * /w/NAME/; else to the script that answered its session before (X-Claude-Code-Session-Id); else to the first
 * whose every "match" is in what the user said. Its steps answer one request each, in their order; a request
 * beyond the last is refused with 400 and a sentence, which no client repeats. Empty lines and lines that
 * begin with # say nothing. A block ends at a line that is WORD.
 *
 *     match TEXT                   (may come more than once)
 *     line TEXT                    like match, for a whole line
 *     reply [xN | forever]         a message of the model, made of
 *         text TEXT
 *         tool NAME <<WORD             tool_use; the block is its input, JSON
 *         write PATH <<WORD            the tool Write
 *         bash COMMAND                 the tool Bash
 *         structured <<WORD            the tool StructuredOutput, which --json-schema adds
 *         stop REASON                  stop_reason; else tool_use or end_turn
 *         usage IN OUT                 tokens; else 100 20
 *     http STATUS [xN | forever]   an error answer
 *         message TEXT                 the error's
 *         body TYPE <<WORD             another body altogether
 *     fault KIND [xN | forever]    hang reset close stall stall-mid cut no-stop bad-sse bad-json empty: see
 *                                  FAULTS in fakeapi/fakeapi.h
 *     in all of them
 *         header NAME: VALUE
 *         delay MS                     before the answer begins
 *         slow MS                      between any 16 bytes of it
 *
 * The log has a line of JSON for each request: n, ms since the start, method, path, key ("sk-test-..." as it
 * is, others as a hash), bearer, session, model, stream, bytes, messages, names of the tools, script, line of
 * the step that answered, fault (why none did). With --bodies the body of request n is FOLDER/000n.json.
 */
#include "tests/helper/fakeapi/fakeapi.h"

#include "common/clock.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIGNALS 2

struct options {
	const char *scripts;
	struct record rec;
	char **run; /* NULL: nothing is started */
};

struct program {
	struct event_base *base;
	pid_t pid;
	int status;
};

static void
leave(evutil_socket_t fd, short what, void *arg)
{
	char byte;

	if ((what & EV_READ) == 0 || read(fd, &byte, 1) <= 0)
		event_base_loopbreak(arg);
}

static int
parse(int argc, char **argv, struct options *o)
{
	if (argc < 2 || argv[1][0] == '-')
		return -EINVAL;
	o->scripts = argv[1];
	for (int i = 2; i < argc; i += 2) {
		if (i + 1 == argc)
			return -EINVAL;
		if (strcmp(argv[i], "--run") == 0) {
			o->run = argv + i + 1;
			return 0;
		}
		if (strcmp(argv[i], "--log") == 0)
			o->rec.file = fopen(argv[i + 1], "ae");
		else if (strcmp(argv[i], "--bodies") == 0)
			o->rec.bodies = argv[i + 1];
		else
			return -EINVAL;
	}
	return 0;
}

static void
on_child(evutil_socket_t sig, short what, void *arg)
{
	struct program *p = arg;

	(void)sig;
	(void)what;
	if (waitpid(p->pid, &p->status, WNOHANG) == p->pid)
		event_base_loopbreak(p->base);
}

static int
start(struct program *p, char **argv, int port)
{
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d", port);
	setenv("ORCH_FAKEAPI_URL", url, 1);
	p->pid = fork();
	if (p->pid != 0)
		return p->pid < 0 ? -errno : 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_DFL);
	execvp(argv[0], argv);
	fprintf(stderr, "orch-test-fakeapi: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* Serves until the end; returns what to exit with. */
static int
serve(struct event_base *base, struct options *o, int port)
{
	struct program p = {.base = base};
	struct event *events[SIGNALS];
	int rc = 0;

	if (o->run != NULL) {
		events[0] = evsignal_new(base, SIGCHLD, on_child, &p);
	} else {
		printf("%d\n", port);
		fflush(stdout);
		events[0] = event_new(base, 0, EV_READ | EV_PERSIST, leave, base);
	}
	events[1] = evsignal_new(base, SIGTERM, leave, base);
	for (size_t i = 0; i < SIGNALS; i++)
		event_add(events[i], NULL); /* a file on stdin cannot be watched, and need not */
	if (o->run != NULL)
		rc = start(&p, o->run, port);
	if (rc == 0)
		event_base_dispatch(base);
	for (size_t i = 0; i < SIGNALS; i++)
		event_free(events[i]);
	if (rc < 0 || WIFSIGNALED(p.status))
		return 1;
	return WEXITSTATUS(p.status);
}

int
main(int argc, char **argv)
{
	struct options o = {.rec.start_ms = clock_now_ms()};
	struct event_base *base = event_base_new();
	struct scripts *scripts;
	struct server *server;
	int rc, port;

	if (base == NULL || parse(argc, argv, &o) < 0) {
		fprintf(stderr, "usage: orch-test-fakeapi SCRIPTS [--log FILE] [--bodies FOLDER] "
				"[--run PROGRAM [ARGUMENT...]]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	scripts = scripts_open(o.scripts);
	port = server_start(base, scripts, &o.rec, &server);
	if (port < 0) {
		fprintf(stderr, "orch-test-fakeapi: cannot listen: %s\n", strerror(-port));
		return 1;
	}
	rc = serve(base, &o, port);
	server_free(server);
	scripts_free(scripts);
	event_base_free(base);
	if (o.rec.file != NULL)
		fclose(o.rec.file);
	return rc;
}
