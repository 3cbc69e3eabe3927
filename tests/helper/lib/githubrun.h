/*
 * githubrun: whole runs for issue 25 of a fake GitHub: the fixtures of a test, and what is owed to whoever
 * looks at the issue when it is over.
 */
#ifndef ORCH_TESTS_GITHUBRUN_H
#define ORCH_TESTS_GITHUBRUN_H

#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/fakegithub.h"

/* Of the test that runs. */
extern struct fakegithub hub;

/* Fixtures; *state is a struct e2e. A team of one area with one worker is planned, and ada may write. */
int githubrun_setup(void **state);
int githubrun_teardown(void **state);

/* Issue 25, by ada; the run is submitted with more arguments (up to NULL) and its events are followed. */
void githubrun_begin(struct e2e *e, const char *arg, ...);
/* Branches can be pushed from here on. */
void githubrun_serve_git(struct e2e *e);
/* Pumps until the one comment of ours says words, or the issue has the label. */
void githubrun_await_comment(struct e2e *e, const char *words);
void githubrun_await_label(struct e2e *e, const char *label);
/* Until orchd says that the run itself is in that state. */
void githubrun_await_state(struct e2e *e, const char *state);
/* One comment of ours, with words in it; one label, which is that. */
void githubrun_assert_end(const char *words, const char *label);
void githubrun_assert_says(const char *words);
/* One pull request, open, from the work branch as the run left it, that closes the issue. */
void githubrun_assert_pull(struct e2e *e);
/* The run's director, if it lives; 0: it does not. For callbacks: nothing waits. */
pid_t githubrun_director(pid_t orchd);

#endif
