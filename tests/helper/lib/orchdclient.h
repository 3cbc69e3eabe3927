/*
 * orchdclient: the real orchd in a scratch repository, with fake roles beside it (tests/helper/fakerole.c),
 * and clients that speak to it over its socket. Everything waits on messages or on orchd's log with a
 * deadline, never on time; what does not come fails the test with what came instead.
 */
#ifndef ORCH_TESTS_ORCHDCLIENT_H
#define ORCH_TESTS_ORCHDCLIENT_H

#include "common/repo.h"
#include "proto/messages.h"
#include "proto/peer.h"
#include "tests/helper/lib/testrepo.h"

#include <stdbool.h>
#include <sys/types.h>

#define ORCHD_DEADLINE_MS 30000

struct event;

struct orchd {
	struct testrepo *repo;
	struct repo places; /* where orchd keeps what */
	char *bin;          /* folder of the copied programs */
	pid_t pid;          /* 0: not running */
	bool exited;
	int status; /* of waitpid, once exited */
	/* Private: orchd's stderr, read into log. */
	int log_fd;
	struct event *log_ev;
	bool news; /* a process that it left has ended */
	char *log;
	size_t log_size;
};

/*
 * A repository, and a folder with copies of <bin_dir>/orchd and of <bin_dir>/orch-test-fakerole in place of
 * the roles. Sets ORCH_FAKE_DIR and short times in this process's environment. Becomes a subreaper, so that
 * what a killed orchd leaves is seen by orchd_free.
 */
struct orchd *orchd_new(const char *bin_dir);
/* Ends orchd (TERM, then KILL), and fails the test if anything that it started is left. */
void orchd_free(struct orchd *o);

/* What the role of task does, see fakerole.c. */
void orchd_script(struct orchd *o, const char *task, const char *commands);
/* Starts orchd with these arguments (NULL-terminated, without argv[0]). */
void orchd_spawn(struct orchd *o, const char *const *args);
/* Starts it in the foreground and waits until it serves. */
void orchd_start(struct orchd *o);
/* Waits for its end; returns the exit status, or 128 + the signal. */
int orchd_await_exit(struct orchd *o);
/* Waits until its log holds text. */
void orchd_await_log(struct orchd *o, const char *text);
void orchd_kill(struct orchd *o, int sig);
/* Stops reading its log; only for one that shares another's repository. */
void orchd_drop_log(struct orchd *o);

struct caller;

/* Connects and exchanges HELLOs. */
struct caller *caller_new(struct orchd *o);
void caller_free(struct caller *c);
/* Sends m as a request; its id. */
uint32_t caller_send(struct caller *c, struct msg m);
/* Waits for the ACK, ERROR, END or RUN_ACCEPTED that ends this request. Borrowed until caller_free. */
const struct msg *caller_answer(struct caller *c, uint32_t request);
/* Both. */
const struct msg *caller_ask(struct caller *c, struct msg m);
/* STATUS with watch of all that is to come, and its first answer awaited. */
void caller_watch(struct caller *c);
/* By STATUS. */
pid_t caller_daemon_pid(struct caller *c);
/* Submits a run; issue may be NULL, options NULL: "{}". Asserts that it was taken; its id, to be freed. */
char *caller_submit(struct caller *c, const char *issue, const char *options);

/*
 * Waits for the next message of its kind that matches; NULL matches anything; text is looked for within.
 * Messages that came before the last match are not looked at again.
 */
const struct msg_event_info *caller_await_event(
    struct caller *c, const char *kind, const char *task, const char *text);
const struct msg_task_info *caller_await_task(
    struct caller *c, const char *task, const char *state, const char *unit);
const struct msg_run_info *caller_await_run(struct caller *c, const char *run, const char *state);
/* Starts looking again from the first message. */
void caller_rewind(struct caller *c);
/* Waits until orchd closes the connection. */
void caller_await_close(struct caller *c);

/* Waits until no process of this pid lives. */
void await_gone(struct orchd *o, pid_t pid);
bool is_alive(pid_t pid);

#endif
