/* standins: what stands in for GitHub, for the tests of this folder: see standins.mjs. */
#ifndef ORCH_TESTS_GITHUB_STANDINS_H
#define ORCH_TESTS_GITHUB_STANDINS_H

#include "director/github_api.h"
#include "tests/helper/lib/testrepo.h"

#include <stdbool.h>
#include <sys/types.h>

#define STANDIN_TOKEN "sk-test-dummy"

struct standins {
	char *modules; /* where the packages are */
	char *folder;  /* git/octo/hello.git is below it */
	char *api, *git;
	pid_t pid;
	int in; /* they end when it closes */
};

/* Exits with 77 (skipped) where $ORCH_GITHUB_STANDINS does not name the packages. Fails the test when they do
 * not start. */
void standins_start(struct standins *s);
void standins_stop(struct standins *s);
/*
 * For tests that end all their descendants: starts them, runs the program again below them, and returns its
 * exit status. In that second life it returns -1, with s filled: go on, and leave standins_stop alone.
 */
int standins_above(struct standins *s, char **argv);
/* A client of octo/hello, without gaps between writes. */
struct github *standins_client(struct standins *s, struct loop *l, const char *token);
/* The next request with that method and path is met by a fault: {"kind": ...} as standins.mjs has them; the
 * text is JSON. */
void standins_fault(struct standins *s, struct github *gh, const char *json);
/* How many requests of a method had a path with that in it; all must have been valid. */
unsigned standins_count(struct standins *s, struct github *gh, const char *method, const char *path);
/* Makes an issue and gives its number. */
uint64_t standins_issue(struct github *gh, const char *title, const char *body);
/*
 * A new, empty bare repository for git, with its path in fresh storage. The stand-in for the API knows nothing of
 * what is pushed to the one for git: branch is made there, too, at main's commit, so that pull requests can be
 * opened from it.
 */
char *standins_remote(struct standins *s, struct testrepo *t, struct github *gh, const char *branch);

#endif
