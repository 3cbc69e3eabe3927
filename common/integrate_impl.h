/* integrate_impl: what the files of common/integrate share with one another. Nobody else includes it. */
#ifndef ORCH_COMMON_INTEGRATE_IMPL_H
#define ORCH_COMMON_INTEGRATE_IMPL_H

#include "common/integrate.h"

/* 1 with the tree of the merge of two commits; 0 with r filled for a conflict; -errno. */
int integrate_merge(const struct integrate_spec *s, const char *tip, const char *head, char tree[GIT_OID_HEX],
    struct integrate_result *r, struct err *e);

/* What git could not merge: a path, its mode, and which sides have it (bits 1 base, 2 ours, 3 theirs). */
struct merge_file {
	char *path, mode[7];
	unsigned stages;
	bool odd; /* the sides differ in its mode */
};
struct merge_files {
	struct merge_file *list;
	size_t count;
};

/* A file of a tree: 1, 0 when it is none there, -errno. e may be NULL. */
int integrate_blob(
    const struct integrate_spec *s, const char *tree, const char *path, struct git_out *out, struct err *e);
/* All conflicts were additions to shared files: 1 with the tree that holds both sides', 0 when not, -errno.
 */
int integrate_unite(const struct integrate_spec *s, const char *merged, const struct merge_files *f,
    char tree[GIT_OID_HEX], struct err *e);
/* head applies to tip commit by commit: 1 with the tree, 0 when not, -errno. */
int integrate_rebase(
    const struct integrate_spec *s, const char *tip, const char *head, char tree[GIT_OID_HEX], struct err *e);

/* Makes the detached worktree exactly commit. */
int integrate_checkout(const struct integrate_spec *s, const char *commit, struct err *e);

/*
 * The gate on commit, in the detached worktree: 1 when it may be kept (r has green, note and time), 0 red
 * with r filled, -errno. known, once: as gate_trial has them.
 */
int integrate_gate(const struct integrate_spec *s, const char *commit, int known, bool once,
    struct integrate_result *r, struct err *e);

#endif
