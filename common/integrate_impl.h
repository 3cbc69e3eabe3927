/* integrate_impl: what the files of common/integrate share with one another. Nobody else includes it. */
#ifndef ORCH_COMMON_INTEGRATE_IMPL_H
#define ORCH_COMMON_INTEGRATE_IMPL_H

#include "common/integrate.h"

/* 1 with the tree of the merge of two commits; 0 with r filled for a conflict; -errno. */
int integrate_merge(const struct integrate_spec *s, const char *tip, const char *head, char tree[GIT_OID_HEX],
    struct integrate_result *r, struct err *e);

/*
 * The gate on commit, in the detached worktree: 1 when it may be kept (r has green, note and time), 0 red
 * with r filled, -errno. known, once: as gate_trial has them.
 */
int integrate_gate(const struct integrate_spec *s, const char *commit, int known, bool once,
    struct integrate_result *r, struct err *e);

#endif
