/*
 * unite: a file that git could not merge, as it wrote it with conflict markers in its diff3 style (ours,
 * base, theirs). Pure.
 */
#ifndef ORCH_COMMON_UNITE_H
#define ORCH_COMMON_UNITE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * True when both sides only added lines at the same places: then *out holds what both have (ours first),
 * *size bytes, the caller's. False when a side changed or removed something, when the markers are not in
 * order (the file may have such lines of its own), or when there is no conflict.
 */
bool unite_additions(const char *text, size_t length, char **out, size_t *size);

/* The conflicts alone, with their markers, at most max bytes as UTF-8. Caller frees. */
char *unite_hunks(const char *text, size_t length, size_t max);

#endif
