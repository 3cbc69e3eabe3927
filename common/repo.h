/*
 * repo: where a repository's git directory is, and where our state lives, found by reading files: orchd runs
 * no git. Everything about commits and branches is common/git's.
 */
#ifndef ORCH_COMMON_REPO_H
#define ORCH_COMMON_REPO_H

#include "common/err.h"

struct repo {
	char *top;       /* the checkout that contains the start directory; NULL for a bare repository */
	char *git_dir;   /* the common git directory, absolute, without symbolic links */
	char *state;     /* <git_dir>/orch, or ORCH_STATE_DIR: database, lock, socket, logs */
	char *worktrees; /* $XDG_STATE_HOME/orch/<name>-<hash>, or ORCH_STATE_DIR/work: worktrees and agents'
			    homes */
	char *socket;    /* <state>/ctl.sock */
	char *instance;  /* the hash alone: 16 hex digits naming this repository's orchd (ORCH_INSTANCE) */
};

/*
 * Walks up from dir (NULL: the current one). state_dir: overrides ORCH_STATE_DIR, or NULL. -ENOENT "not a git
 * repository ...", other -errno with a sentence. Nothing is created. Understands .git files of linked
 * worktrees and submodules. A relative state folder counts from the top (bare: the git directory).
 */
int repo_find(struct repo *r, const char *dir, const char *state_dir, struct err *e);
void repo_clear(struct repo *r);

/*
 * Makes state (0700) and worktrees, with a sentence naming the folder when it cannot be written. A state
 * folder outside git_dir must be empty or this repository's already: it gets a file that says whose it is.
 */
int repo_make_dirs(const struct repo *r, struct err *e);

#endif
