/*
 * owns: what a task may change. Patterns are git's :(glob) pathspecs from the repository's root: "*" and "?"
 * do not match a slash, "**" does where it fills a part of the path (elsewhere it is "*"), a trailing slash
 * means everything below, a pattern that names a folder owns nothing below it unless it ends so. As in git a
 * pattern also matches the path that is spelled like it, so that app/[id]/page.c owns that very file.
 * Computed on the patterns themselves, never on their text. All but owns_check() want patterns that passed
 * it; any other matches nothing. Pure.
 */
#ifndef ORCH_COMMON_OWNS_H
#define ORCH_COMMON_OWNS_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

#define OWNS_PATTERNS_MAX 64 /* per task */
#define OWNS_PATTERN_BYTES 512
/* Memory (and so time) that owns_contained may spend on one question; real patterns need a few KiB. */
#define OWNS_CONTAINED_BYTES (1u << 20)

/* -EINVAL with a sentence: empty, too long, a leading ":", "!" or "/", a "..", "." or empty part, an unclosed
 * "[", a "\" that escapes nothing, not UTF-8, ".git" as a part. */
int owns_check(const char *pattern, struct err *e);

/* Does the pattern match this path? path is relative, without "./". */
bool owns_match(const char *pattern, const char *path);
bool owns_match_any(const char *const *patterns, const char *path);

/* Does one of the patterns name exactly this path: without a wildcard, or spelled like it? */
bool owns_name(const char *const *patterns, const char *path);

/* Is there a path that both match? Exact: decided by walking both patterns as automata. */
bool owns_overlap(const char *a, const char *b);
/* The first overlapping pair of two lists, or false. ia, ib may be NULL. */
bool owns_lists_overlap(const char *const *a, const char *const *b, size_t *ia, size_t *ib);

/* Does every path that inner matches also match one of outer? Exact, or false where it would cost too much to
 * decide (OWNS_CONTAINED_BYTES). */
bool owns_contained(const char *inner, const char *const *outer);

/* Those of paths that no pattern matches; borrowed pointers in a fresh NULL-terminated vector (free() it),
 * NULL when there are none. */
char **owns_breaches(const char *const *patterns, char *const *paths);

#endif
