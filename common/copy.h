/*
 * copy: brings files of the user's checkout that git does not track into a fresh worktree: .env files,
 * dependencies, whatever a tree needs to be built and a commit does not hold.
 *
 * What may be copied is what `git ls-files --others` lists in the checkout and the patterns name; never what
 * a commit holds. Folders are walked one component at a time without following symbolic links on either
 * side, so that nothing is read from outside the checkout or written outside the worktree. What is in the
 * worktree already stays as it is. A file appears whole or not at all.
 */
#ifndef ORCH_COMMON_COPY_H
#define ORCH_COMMON_COPY_H

#include "common/err.h"
#include "common/git.h"

#include <stdint.h>

#define COPY_FILES_MAX 500000

struct copy_spec {
	struct git *git;      /* of the repository */
	const char *from;     /* the user's checkout */
	const char *to;       /* the worktree */
	const char *patterns; /* file, lines as in .gitignore */
	const char *scratch;  /* path on the worktree's file system where a file grows; its folder exists */
	const char *const *avoid; /* folders below which nothing is copied (our own state); NULL: none */
	uint64_t max_bytes;
};

struct copy_result {
	uint64_t files, bytes;
	uint64_t skipped; /* pipes, repositories within, links that lead out of the checkout */
	char skipped_name[256];
};

/* 0; -EFBIG over max_bytes or COPY_FILES_MAX; -ECANCELED; other -errno. The loop goes on meanwhile. */
int copy_run(const struct copy_spec *s, struct copy_result *r, struct err *e);

/*
 * Would a symbolic link at path (relative to the checkout) with this target lead out of the checkout, or by
 * an absolute path back into it, where a worktree has no business? Looks at the text alone.
 */
bool copy_link_strays(const char *path, const char *target, const char *checkout);

#endif
