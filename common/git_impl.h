/* git_impl: what the files of common/git share with one another. Nobody else includes it. */
#ifndef ORCH_COMMON_GIT_IMPL_H
#define ORCH_COMMON_GIT_IMPL_H

#include "common/git.h"

/* In the administration of a worktree that is complete: without it, git was killed while it made it. */
#define GIT_CHECKOUT_FILE "orch-checkout"
#define GIT_READY_MARK "orch-ready"
/* In the git directory: the boot in which we last began to work there. */
#define GIT_BOOT_FILE "orch-boot"
/* Reason of the worktree's lock, by which we know our own. */
#define GIT_LOCK_REASON "orch"

/* Where a .git that must not be read goes: beside the worktree, numbered from 1. */
#define GIT_ASIDE ".planted-git-"
#define GIT_ASIDE_MAX 10000

/* Sentences for the caller, collected. */
struct git_notes {
	char *text;
};
void git_note(struct git_notes *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Locks of other processes (git_lock.c). */
struct git_lock_wait {
	int64_t deadline_ms, pause_ms;
};
/*
 * git failed with these words. 0: a lock file was in the way; it was waited for or, being ours and nobody's,
 * removed: try again. 1: no lock is to blame. -EBUSY: it is still there (e names it). -ECANCELED.
 */
int git_lock_wait(struct git *g, const char *words, struct git_lock_wait *w, struct err *e);
/* True when a process that we can see has path open. */
bool git_lock_held(const char *path);
/*
 * Deleting a ref takes packed-refs.lock, which says nothing of whose it is, and stays when git is killed. So
 * we write down that we are about to; the fresh path goes to git_delete_end(). NULL when it cannot be
 * written: the deletion may go on, and a kill then needs a person. rc: how the deletion ended; when git had
 * to be killed, what was written stays, as a dead process's.
 */
char *git_delete_begin(struct git *g);
void git_delete_end(struct git *g, char *note, int rc);
/* Takes the lane in this process, for work on files without git. The caller closes *fd. */
int git_lane_take(struct git *g, int *fd, struct err *e);
/* The same of the lock that GIT_CHECKOUT holds on the worktree with this administration. */
int git_checkout_take(struct git *g, const char *admin, int *fd, struct err *e);

/*
 * Writes to the disk the objects of base..oid, whoever made them; base NULL: all that no ref but our own
 * reaches (git_settle.c). To be done before a ref is moved to oid.
 */
int git_settle(struct git *g, const char *oid, const char *base, struct err *e);
/* The name of a ref that was moved; fresh: it may be new. */
int git_settle_ref(struct git *g, const char *ref, bool fresh, struct err *e);
/* git_update_ref() for who has settled new_oid. */
int git_move_ref(
    struct git *g, const char *ref, const char *new_oid, const char *old_oid, const char *why, struct err *e);
/* Where the HEAD of the main checkout or of a worktree names this branch. Fresh; NULL: nowhere. */
char *git_branch_user(struct git *repo, const char *branch);

/* Environment of commit-tree: who commits, "NAME=value", NULL-terminated. */
struct git_who {
	char *env[5];
};
int git_who_load(struct git *g, struct git_who *who, struct err *e);
void git_who_clear(struct git_who *who);
/*
 * The message with these trailers (lines), which join its own where it ends in some. What is there already is
 * not said twice. Caller frees. Pure.
 */
char *git_with_trailers(const char *message, const char *trailers);
/* The trailers that a message of ours ends in; NULL when there is no Orch-Task among them. Borrowed. */
const char *git_our_trailers(const char *message);
/*
 * The commits of base..head, each with these trailers and by the user; those that have an Orch-Task are as
 * they were. *made gets the new head, which has head's tree.
 */
int git_sign_commits(struct git *repo, const char *base, const char *head, const char *trailers,
    char made[GIT_OID_HEX], struct err *e);

/* A commit of tree with up to 4 parents, by the user, with the co-author's trailer. */
int git_make_commit(struct git *g, const char *tree, const char *const *parents, const char *message,
    char oid[GIT_OID_HEX], struct err *e);

/* Copies the one object id that git printed. */
int git_take_oid(const struct git_out *out, char oid[GIT_OID_HEX], struct err *e);

/* path with its folder's symbolic links resolved, as git writes it down; the folder is made. */
int git_real_path(const char *path, char **real, struct err *e);
/* The administration of the worktree at real, or *admin = NULL. */
int git_admin_find(struct git *repo, const char *real, char **admin, struct err *e);
/* False when git was killed while it made this worktree for us, or we were while we removed it. */
bool git_admin_complete(const char *admin);
/* Removes what a git of ours left that was killed before it had written down which worktree it makes: nobody
 * would find that again. real: the folder of the worktree, by whose name the earliest remains are known. */
int git_admin_tidy(struct git *repo, const char *real, struct err *e);
/* Makes administration for a folder; HEAD goes to branch, or to commit when branch is NULL. complete: the
 * folder has its files; else the caller writes the mark when it has. Takes the lane. */
int git_admin_make(struct git *repo, const char *real, const char *branch, const char *commit, bool complete,
    char **admin, struct err *e);
/* Puts <real>/.git and the links between it and its administration right. What stands in its place is kept
 * beside the worktree. */
int git_admin_repair(const char *real, const char *admin, struct git_notes *n, struct err *e);
/* Ends merges, rebases and the like that someone began there, and takes away locks that nobody holds. */
int git_admin_settle(struct git *wt, struct git_notes *n, struct err *e);
/* Renames what (a .git that must not be read) to <real>.planted-git-<n>. */
int git_move_aside(const char *real, const char *what, struct err *e);
/* rm -rf, by rm(1): a build tree may have millions of files, and the loop must go on. */
int git_remove_tree(struct git *g, const char *path, struct err *e);

/*
 * The tree of the folder's content: everything but what is ignored, repositories inside it as plain files.
 * index: the index file to work on; NULL for the worktree's own. start: the commit a fresh index begins with.
 * base: gitlinks in it are submodules; NULL when unknown.
 */
int git_content_tree(struct git *wt, const char *index, const char *start, const char *base,
    char tree[GIT_OID_HEX], struct git_notes *n, struct err *e);

/* Writes <folder>/<name> with one line in it. */
int git_write_line(const char *folder, const char *name, const char *line, struct err *e);
/* The HEAD of a worktree as its file has it ("ref: refs/heads/...", or an id). Fresh; NULL: git could not
 * read it. */
char *git_admin_head(const char *admin);
/* Like git_resolve, but oid becomes "" where there is no such commit. */
int git_resolve_if_any(struct git *g, const char *rev, char oid[GIT_OID_HEX], struct err *e);

bool git_is_folder(const char *path); /* a folder, not a link to one */
bool git_is_empty(const char *folder);

#endif
