/*
 * git: the real git, by argv, awaited on the loop. Every call runs with hooks, fsmonitor, auto gc, pagers and
 * prompts off, GIT_OPTIONAL_LOCKS=0, a C locale, GIT_* and the like scrubbed from the environment,
 * core.fsync=committed and with GIT_DIR given, so that no .git an agent planted in a worktree is ever read.
 *
 * Worktree, branch and fetch operations of all roles of one repository go through one lane: flock on
 * <git_dir>/orch.lane, held by the git process itself, so a dead holder never leaves it taken. The files of a
 * worktree are checked out beside the lane, under a lock of that worktree's own: other roles need not wait.
 */
#ifndef ORCH_COMMON_GIT_H
#define ORCH_COMMON_GIT_H

#include "common/err.h"
#include "common/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GIT_OID_HEX 65            /* room for SHA-256 and a NUL */
#define GIT_LANE_FILE "orch.lane" /* in git_dir, wherever the state is: every role must find the same one */
#define GIT_EXCLUDE_FILE "orch-exclude"
#define GIT_BRANCH_DIR "cco" /* all our branches are below it: stale ref locks there are ours */

struct git {
	struct loop *loop;
	char *git_dir;      /* the common git directory */
	char *work_tree;    /* NULL: operations on the repository alone */
	char *work_git_dir; /* of the linked worktree (<git_dir>/worktrees/NAME); NULL: git_dir */
	int64_t timeout_ms; /* per command; default 10 min */
	char *excludes;     /* in place of the user's core.excludesFile, in worktrees; NULL */
	char *forbidden; /* patterns, as in .gitignore, of what git_commit_all() and git_save_wip() leave out
			    even when it was added, unless the base holds it; NULL */
	char *co_author; /* "Name <mail>": a trailer of every commit that we make; NULL */
};

struct git_out {
	int code;  /* exit status; -1 when killed */
	char *out; /* stdout, NUL-terminated, at most 64 MiB */
	size_t size;
};

/* git_dir as struct repo has it. Copies. */
void git_init(struct git *g, struct loop *l, const char *git_dir);
/*
 * A handle on a linked worktree made by git_worktree_add (or found again at the same path), with the repo's
 * excludes and forbidden; a file GIT_EXCLUDE_FILE in its administration goes before excludes.
 */
int git_init_worktree(struct git *g, const struct git *repo, const char *path, struct err *e);
void git_clear(struct git *g);

enum git_flags {
	GIT_LANE = 1,     /* hold the lane while it runs */
	GIT_CHECKOUT = 4, /* it fills a worktree: hold that worktree's own lock, use more than one process,
			     and die with us */
	GIT_ANY_EXIT = 2, /* a status other than 0 is not an error: look at out->code */
};

/*
 * Runs git with the arguments up to NULL. 0, or -errno with e: what was run (the subcommand) and git's own
 * last words. out may be NULL. Without GIT_ANY_EXIT a status other than 0 is -EIO. A lock file in the way
 * ("index.lock", "cannot lock ref") is waited for, up to 10 s; one of ours that no process holds is removed.
 */
int git_run(struct git *g, unsigned flags, struct git_out *out, struct err *e, const char *arg, ...)
    __attribute__((sentinel));
int git_runv(struct git *g, unsigned flags, struct git_out *out, struct err *e, const char *const *argv,
    const char *const *extra_env, const void *in, size_t in_size);
void git_out_clear(struct git_out *out);

/* Commit id of a revision. -ENOENT when there is none (e then names it). */
int git_resolve(struct git *g, const char *rev, char oid[GIT_OID_HEX], struct err *e);
/* The tree id of a commit. */
int git_tree(struct git *g, const char *commit, char oid[GIT_OID_HEX], struct err *e);
/* 1, 0 or -errno. Both are commits that exist; one is its own ancestor. */
int git_is_ancestor(struct git *g, const char *ancestor, const char *descendant, struct err *e);

/* Commits that these two move a ref to are on the disk before, and the ref behind it, so that neither is lost
 * with the power. */
/* Moves refs/heads/<branch> to new; old NULL: whatever it is; "": it must not exist. -ESTALE when it is not
 * at old. new NULL deletes. */
int git_update_branch(
    struct git *g, const char *branch, const char *new_oid, const char *old_oid, struct err *e);
/* Any full ref name. */
int git_update_ref(
    struct git *g, const char *ref, const char *new_oid, const char *old_oid, const char *why, struct err *e);

/* Paths that differ between two commits (renames as delete + add), and which of them are, in to, symbolic
 * links that lead to an absolute path, above the root or into .git. */
struct git_changes {
	char **paths, **outside; /* NULL-terminated */
};
int git_changes(struct git *g, const char *from, const char *to, struct git_changes *c, struct err *e);
void git_changes_clear(struct git_changes *c);
/* Those of paths (from the root, no patterns) that are files in commit; strv_free. */
int git_files(struct git *g, const char *commit, char *const *paths, char ***files, struct err *e);
struct git_stat {
	uint64_t files, insertions, deletions;
};
int git_diff_stat(struct git *g, const char *from, const char *to, struct git_stat *st, struct err *e);

/* Name and mail the user's git would commit with; ours ("orch <orch@localhost>") where none is configured. */
int git_identity(struct git *g, char **name, char **mail, struct err *e);

/* Worktrees. path is absolute and ours. All use the lane. */

/*
 * git worktree add --no-track, locked with a reason; detached at commit when branch is NULL, else on the new
 * or existing branch (created at commit). A worktree of ours that is already there is kept as it is (0); a
 * broken one (its folder or its administration gone) is repaired or made again; what files there are stay,
 * but for those of a git that was killed while it made the worktree. -EBUSY: the branch is in use elsewhere.
 */
int git_worktree_add(struct git *g, const char *path, const char *branch, const char *commit, struct err *e);
/*
 * Commits what is uncommitted or unreachable in the worktree to refs/orch/wip/<name>; *saved tells whether
 * there was anything, and oid (may be NULL) what. With nothing to save the ref is not made. branch: a ref
 * that is about to go (its commits count as unreachable unless another ref or the user's HEAD holds them), or
 * NULL. What the ref held before stays in its history. Repositories within are saved as files; their .git is
 * moved beside the worktree. Worktrees that an agent made within are saved too, to <name>-in-<n> (then *saved
 * is true, and oid "" when there was nothing else).
 */
int git_save_wip(struct git *g, const char *path, const char *name, const char *branch, bool *saved,
    char oid[GIT_OID_HEX], struct err *e);
/* Removes folder and administration, what was moved out of it, and records of worktrees within it. The caller
 * has saved what was in it. Fine when it is gone already. */
int git_worktree_remove(struct git *g, const char *path, struct err *e);
/*
 * Worktrees that git has a record of and whose folder is, or was, anywhere below real (a path without
 * symbolic links), as paths in a fresh NULL-terminated vector: git_free_paths.
 */
int git_worktrees_below(struct git *g, const char *real, char ***paths, struct err *e);
void git_free_paths(char **paths);
/* Resets a detached integration worktree to exactly commit: nothing modified, nothing untracked, nothing
 * ignored. */
int git_worktree_exact(struct git *worktree, const char *commit, struct err *e);

/*
 * Commits everything in a worker's worktree onto branch, whatever the agent did to it: committed by itself,
 * switched branches, detached, rewrote history or removed .git. The result is a commit on branch that
 * descends from base and whose tree is the folder's content; base itself when nothing differs. *head gets it.
 * Branches that the agent made by switching to them are removed once their commits are reachable from branch.
 * Unfinished merges and rebases are ended with the files as they are. Commits on branch that the folder no
 * longer shows stay as a second parent. A .git that is not ours, and those of repositories within (their
 * files are added), are renamed to <path>.planted-git-<n>; submodules that .gitmodules names stay submodules.
 * message: for the commit we make. Where its last paragraph has an Orch-Task trailer, commits that the agent
 * made by itself get that paragraph too, and the user as their author: they are made again. *notes (may be
 * NULL, caller frees) says in a sentence what had to be put right, or is NULL.
 */
int git_commit_all(struct git *repo, const char *path, const char *branch, const char *base,
    const char *message, char head[GIT_OID_HEX], char **notes, struct err *e);

/*
 * Puts right what a machine that went down has left of what was under way: objects that are empty or torn
 * (git would believe that it has them already), our refs to commits that are not whole, indexes, and files of
 * worktrees that their checkout wrote, or an agent before the commit at HEAD, and the disk lost. Only the
 * first call after a boot does anything; only what was written since the boot before is touched. *found
 * (caller frees) says what, or becomes NULL.
 */
int git_heal(struct git *g, char **found, struct err *e);

/* Is the user's checkout dirty? 1, 0, -errno. */
int git_is_dirty(struct git *g, const char *top, struct err *e);

#endif
