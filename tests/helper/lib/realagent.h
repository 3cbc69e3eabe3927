/*
 * realagent: what tests of the real agent CLI stand on: a network namespace with nothing but a loopback, a
 * fake Messages API in it, a scratch folder with worktree and home, and a dummy key. Faults abort the test.
 */
#ifndef ORCH_TESTS_REALAGENT_H
#define ORCH_TESTS_REALAGENT_H

#include "common/agent.h"
#include "common/err.h"
#include "common/loop.h"

#include <jansson.h>
#include <stdbool.h>

#define REAL_KEY "sk-test-dummy"
#define REAL_LONG_MS 120000 /* never reached by a test that passes */

/*
 * To be called first in main(). The first time it starts the program anew inside the namespace, below a fake
 * API; the second time it returns. Exits with 77 where $ORCH_REAL_AGENT does not name the CLI, and with 1
 * where another network can be seen.
 */
void real_enter(char **argv);
/* The CLI's path. */
const char *real_program(void);

struct real {
	struct loop loop;
	char *dir;             /* of this test */
	char *wt, *home, *log; /* worktree, the task's private folder, the raw stream */
	char *stand_in;        /* NULL before real_stand_in */
	char *name;            /* of its script in the fake API; NULL before real_script */
	char **extra, **env;   /* "NAME=value": what was set; all that the agent gets */
	char session[37];
	struct agent_spec spec; /* as main uses it; the test may change it */
	struct agent_outcome o; /* of the last real_run */
	struct err e;
	unsigned started, tools, ends, retries; /* events of the last real_run */
	bool stop_at_start, stop_at_tool;
};

struct real *real_new(void);
/* Asserts that no process is left. NULL is fine. */
void real_free(struct real *f);
/* cmocka fixtures: *state is a struct real. */
int real_setup(void **state);
int real_teardown(void **state);

/* Sets a variable of the agent, "NAME=value" or "NAME=" to take it away. */
void real_env(struct real *f, const char *pair);
/* The script that answers from now on. */
void real_script(struct real *f, const char *text);
/* A shell script to be run in the CLI's place; it begins with #!. */
void real_stand_in(struct real *f, const char *text);
/* Writes wt/path; folders are made. real_read: NULL when it is not there. */
void real_write(struct real *f, const char *path, const char *text);
char *real_read(struct real *f, const char *path);

/* One attempt; o.session is taken over for the next. Returns agent_run's. */
int real_run(struct real *f);
/* real_run, which must end so; the reason then holds every word (NULL-terminated). */
void real_expect(struct real *f, enum agent_end end, const char *const *words);

/* What was asked of the current script: an array of the API's log lines. Caller frees. */
json_t *real_requests(const struct real *f);
/* The n-th (1..) of those requests has text in its body. */
bool real_asked(const struct real *f, size_t n, const char *text);
/* How many processes of the system have NAME=value in their environment. */
unsigned real_processes(const char *name, const char *value);

#endif
