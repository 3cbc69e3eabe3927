/*
 * check: orch-director --check, which looks at repository, options, agent and disk before a run is accepted,
 * and finds the commit that the run begins with. It changes nothing but making the folders for our state.
 */
#ifndef ORCH_DIRECTOR_CHECK_H
#define ORCH_DIRECTOR_CHECK_H

#include "common/conf.h"
#include "common/err.h"
#include "common/git.h"
#include "common/loop.h"

#include <jansson.h>

#define CHECK_MIN_FREE_MB 256 /* ORCH_MIN_FREE_MB overrides it */

struct check {
	struct loop loop;
	struct git git;
	struct conf conf;
	char *top, *git_dir, *state, *worktrees;
	/* Of a run for an issue; NULL: none. token is wiped at the end. */
	char *issue, *token;
	char *actor;         /* a login: nothing is asked but what it may do; NULL */
	bool fetch;          /* title and text are wanted from GitHub */
	bool check_author;   /* the issue's author must have write permission */
	uint64_t pull;       /* the pull request whose reviews are to be looked at; 0: none */
	bool trust;          /* everybody's */
	bool look_for_saved; /* nothing ran here yet: another machine may have begun */
	bool forget_saved;   /* what was kept of a run that ended, for reviews, is removed on GitHub */
	/* results */
	char base[GIT_OID_HEX];
	char *base_branch;   /* "" for a detached HEAD */
	json_t *notes;       /* sentences */
	char *options;       /* frozen: as they were asked for, and with the gate's own files protected */
	char *title, *text;  /* of the issue, where they were fetched */
	char *head_branch;   /* of the pull request */
	size_t remarks;      /* on it, that nobody has answered */
	char permission[16]; /* of actor */
	char *restore;       /* file with the rows of a run that another machine saved; NULL */
};

/* The program: question on stdin, answer on stdout. 0 or 2. */
int check_main(void);

/* The repository, in check_repo.c: what git itself says, commits, base, our branch names; then the notes. 0,
 * or -errno with a sentence. */
int check_repository(struct check *c, struct err *e);
/* In GitHub Actions: a checkout with all of its history, and without a credential in git's configuration. */
int check_checkout(struct check *c, struct err *e);
/* Where the user did not say what is protected, the files of the base that the gate's command names are too.
 */
int check_guard(struct check *c, struct err *e);
/* The repository on GitHub goes into the options; the issue is read and judged. Does nothing without a token.
 */
int check_github(struct check *c, struct err *e);
/* The pull request and what people say of it, in check_pull.c. */
struct github;
int check_pull(struct check *c, struct github *gh, struct err *e);
/* What actor may do with the repository: permission. */
int check_actor(struct check *c, struct err *e);
/* What another machine saved of the issue's run, or of that whose pull request it is: its refs, and restore.
 * Whatever is wrong with it is a note.
 */
void check_saved(struct check *c);
/* Adds a sentence to the notes. */
void check_note(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* git's complaint as one sentence: "fatal: " and the like away, lines joined. Pure; caller frees. */
char *check_git_words(const char *text);

#endif
