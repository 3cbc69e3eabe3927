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

struct client;

/* Connects and exchanges HELLOs. */
struct client *client_new(struct orchd *o);
void client_free(struct client *c);
/* Sends m as a request; its id. */
uint32_t client_send(struct client *c, struct msg m);
/* Waits for the ACK, ERROR, END or RUN_ACCEPTED that ends this request. Borrowed until client_free. */
const struct msg *client_answer(struct client *c, uint32_t request);
/* Both. */
const struct msg *client_ask(struct client *c, struct msg m);
/* STATUS with watch of all that is to come, and its first answer awaited. */
void client_watch(struct client *c);
/* By STATUS. */
pid_t client_daemon_pid(struct client *c);
/* Submits a run; issue may be NULL, options NULL: "{}". Asserts that it was taken; its id, to be freed. */
char *client_submit(struct client *c, const char *issue, const char *options);

/*
 * Waits for the next message of its kind that matches; NULL matches anything; text is looked for within.
 * Messages that came before the last match are not looked at again.
 */
const struct msg_event_info *client_await_event(
    struct client *c, const char *kind, const char *task, const char *text);
const struct msg_task_info *client_await_task(
    struct client *c, const char *task, const char *state, const char *unit);
const struct msg_run_info *client_await_run(struct client *c, const char *run, const char *state);
/* Starts looking again from the first message. */
void client_rewind(struct client *c);
/* Waits until orchd closes the connection. */
void client_await_close(struct client *c);

/* Waits until no process of this pid lives. */
void await_gone(struct orchd *o, pid_t pid);
bool is_alive(pid_t pid);

#endif
