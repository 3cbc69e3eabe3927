/*
 * guard: which files of a repository judge the work in it, by what the gate's command says. Pure.
 */
#ifndef ORCH_COMMON_GUARD_H
#define ORCH_COMMON_GUARD_H

#include <jansson.h>

#define GUARD_MAX 16 /* files that one command may name */

/*
 * Paths, from the root, that the command may mean: each of its words that could be a path ("sh ./ci/check.sh
 * -v" has ci/check.sh among them), and the file in which a tool finds what it runs (make: Makefile). Which of
 * them are files of the tree is for git to say. verify: a string or an array, NULL gives none. strv_free.
 */
char **guard_candidates(const json_t *verify);

#endif
