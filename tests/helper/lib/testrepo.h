/*
 * testrepo: a throw-away repository for tests, with real git, in a folder of its own below $TMPDIR. HOME
 * points into it and the system's git configuration is off, so that no test depends on whose machine it runs
 * on. Everything here asserts: a test that cannot set up its repository has failed.
 */
#ifndef ORCH_TESTREPO_H
#define ORCH_TESTREPO_H

#include "common/git.h"
#include "common/loop.h"

#include <stdbool.h>

struct testrepo {
	char *root;    /* the scratch folder: home/, repo/, wt/ */
	char *top;     /* <root>/repo, the user's checkout, on branch main */
	char *git_dir; /* <root>/repo/.git */
	char *wt;      /* <root>/wt, an empty folder for worktrees */
	struct loop loop;
	struct git git; /* of the repository */
	struct err e;   /* for the calls under test; testrepo_ok() shows it */
};

/* A repository with one commit (README) on main. user.name is set in it. Takes over the process's HOME. */
struct testrepo *testrepo_new(void);
/* Removes it all; takes NULL. */
void testrepo_free(struct testrepo *t);

/* Writes top/path (folders are made). */
void testrepo_file(struct testrepo *t, const char *path, const char *text);
/* Adds everything in the checkout and commits it. Returns the commit's id; the caller frees it. */
char *testrepo_commit(struct testrepo *t, const char *message);

/*
 * Runs git in dir (NULL: top; relative paths are below root), as a person or an agent would, and returns its
 * stdout without the last newline; the caller frees it. testrepo_git asserts that it succeeds, testrepo_try
 * gives its exit status.
 */
char *testrepo_git(struct testrepo *t, const char *dir, const char *arg, ...) __attribute__((sentinel));
int testrepo_try(struct testrepo *t, const char *dir, const char *arg, ...) __attribute__((sentinel));
/* Like testrepo_git for those who do not want the output. */
void testrepo_do(struct testrepo *t, const char *dir, const char *arg, ...) __attribute__((sentinel));

/* <root>/..., formatted; the caller frees it. */
char *testrepo_path(struct testrepo *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Writes any file below root (folders are made), reads one (NULL when it is not there), tells whether it is.
 */
void testrepo_write(struct testrepo *t, const char *path, const char *text);
char *testrepo_read(struct testrepo *t, const char *path);
bool testrepo_exists(struct testrepo *t, const char *path);

/* Fails the test with t->e when rc < 0. */
void testrepo_ok(struct testrepo *t, int rc);
/* cmocka fixtures: *state is a struct testrepo. Children and files that a test leaves fail nothing, but go.
 */
int testrepo_setup(void **state);
int testrepo_teardown(void **state);
/* The file has exactly this text (NULL: is not there). */
void testrepo_assert_file(struct testrepo *t, const char *path, const char *text);

/* Puts the program from_dir/from into to_dir under the name to; to_dir is the test's to change. */
void testrepo_program(const char *from_dir, const char *from, const char *to_dir, const char *to);

#endif
