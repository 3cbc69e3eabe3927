/*
 * e2e: whole runs with the real programs, in a repository, a HOME, a state folder and a TMPDIR of the test's
 * own. The test process is a subreaper, so that orchd and whatever outlives its reason falls back to it and
 * is seen; waiting is for events and files, never for time. Everything asserts, and says what orchd had
 * written.
 *
 * The agents are scripted (tests/helper/agent.c) by files that the test writes. A script that says
 * "touch @/here" and "wait_file @/go" stops its agent at a known place; e2e_await_file() and e2e_touch() are
 * the other ends.
 */
#ifndef ORCH_TESTS_E2E_H
#define ORCH_TESTS_E2E_H

#include "common/repo.h"
#include "tests/helper/lib/ctlrun.h"
#include "tests/helper/lib/testrepo.h"

#include <jansson.h>

struct e2e {
	struct testrepo *repo;
	struct repo where; /* state folder, worktrees, instance */
	char *scripts;     /* folder */
	char *tmp;         /* TMPDIR of all below us */
	struct ctlrun run; /* "orchctl run": e2e_begin to e2e_end */
	bool running;
	struct ctlrun tail; /* "orchctl events -f --json" */
	bool tailing;
	size_t tail_read;
	json_t *events; /* array, in order, without gaps or repeats */
	bool news;      /* something may have changed: an event, a file, an end */
	int inotify;
	struct event *inotify_ev;
	struct e2e_before *before; /* the user's things as they were */
	char *old_tmp;
};

/* cmocka fixtures; *state is a struct e2e. The teardown holds the end of a run to what the user is owed. */
int e2e_setup(void **state);
int e2e_teardown(void **state);
/* Notes the user's checkout, index and refs as they are now; the teardown compares. For tests that change the
 * repository before their run; e2e_begin does it too when nobody has. */
void e2e_remember(struct e2e *e);
/* The user may do as he likes: the teardown compares nothing. */
void e2e_forget(struct e2e *e);
/* Another machine: nothing is left of this one's clone but what the remote has. After e2e_forget. */
void e2e_begin_anew(struct e2e *e);

/* The programs are the test's own from here on, to be renamed or replaced (ctlrun_sibling). Before any run.
 */
void e2e_own_programs(struct e2e *e);

/* Of those: from here on a director exits with 78 but for one whose only argument is one of these words
 * ("--check|--epilogue"). */
void e2e_break_director(struct e2e *e, const char *but);

/* Prints what was said and logged, for the reader of a test that is about to fail. */
void e2e_tell(struct e2e *e);

/* Writes the script of a role and key ("worker-core.a", "em.1"); the text is formatted. */
void e2e_script(struct e2e *e, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Files in the script folder, by which scripts and tests wait for one another. */
void e2e_touch(struct e2e *e, const char *name);
void e2e_unlink(struct e2e *e, const char *name);
bool e2e_has_file(struct e2e *e, const char *name);
void e2e_await_file(struct e2e *e, const char *name);
/* A number in such a file: a pid that a script left. */
pid_t e2e_file_pid(struct e2e *e, const char *name);

/* orchctl with arguments, to its end: its exit status, with r holding what it said (ctlrun_clear). */
int e2e_ctl(struct e2e *e, struct ctlrun *r, const char *arg, ...) __attribute__((sentinel));
/* The same, asserting status 0, for those who want nothing of it. */
void e2e_ctl_ok(struct e2e *e, const char *arg, ...) __attribute__((sentinel));
/* "orchctl run -m 'Build it'" with more arguments as a child; returns when orchd has accepted it, with the
 * events followed. With --detach there is no child to wait for. */
void e2e_begin(struct e2e *e, const char *arg, ...); /* up to NULL, which may be all */
/* Waits for its end; its exit status. What it said is in e->run until the next begin or the teardown. */
int e2e_end(struct e2e *e);
/* Follows the events from the beginning: called by e2e_begin, again by a test that has killed orchd. */
void e2e_follow(struct e2e *e);

/* Has the task (or run) been in that state, or has such an event been told? state NULL: any. Waits. */
void e2e_await(struct e2e *e, const char *task, const char *kind, const char *state);
/* How many such events there are. */
size_t e2e_count(struct e2e *e, const char *task, const char *kind, const char *state);
/* Position of the first such event from position "from" on; -1: none. */
int e2e_find(struct e2e *e, size_t from, const char *task, const char *kind, const char *state);
/* Pumps the loop until something new has come. Fails after a minute. */
void e2e_wait_news(struct e2e *e, const char *what);

/* "orchctl status --json RUN": the run's object, json_decref. */
json_t *e2e_status(struct e2e *e, const char *run);
/* A task of it, borrowed; fails when it is not there. */
json_t *e2e_task(json_t *run, const char *task);
void e2e_assert_state(struct e2e *e, const char *run_or_task, const char *state);
/* Process of a task; orchd's own for NULL. */
pid_t e2e_pid(struct e2e *e, const char *task);
/* Waits until that process, child of ours or not, is gone. */
void e2e_await_gone(struct e2e *e, pid_t pid);
bool e2e_is_gone(pid_t pid);

/* The run's work branch, its tree, and a file on it (NULL: not there). Caller frees. */
char *e2e_branch(struct e2e *e, const char *run);
char *e2e_tree(struct e2e *e, const char *run);
char *e2e_show(struct e2e *e, const char *run, const char *path);
void e2e_assert_shows(struct e2e *e, const char *run, const char *path, const char *text);

/*
 * Writes the script of a planning agent: lines (may be ""), then the plan. list is "a b:a c:a,b": ids and
 * what each depends on. An area x owns x/, a task y of area x ("em-x") owns x/y*.
 */
void e2e_plan(struct e2e *e, const char *script, const char *lines, const char *list);
/* Writes the script of a worker's agent, key "x.y": lines, then it writes x/y.txt. */
void e2e_work(struct e2e *e, const char *key, const char *lines);

/* Of e2e_user.c: the user's things before and after, and what may be left of runs. faults grows by a line for
 * each that is not as it must be. */
struct e2e_before *e2e_before_take(struct e2e *e);
void e2e_before_free(struct e2e_before *b);
void e2e_before_compare(struct e2e *e, const struct e2e_before *b, char **faults);
void e2e_faultf(char **faults, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void e2e_check_leftovers(struct e2e *e, json_t *runs, char **faults);
void e2e_check_logs(struct e2e *e, char **faults);

#endif
