/* text: what we do to strings from elsewhere before we store, show or name things by them. Pure. */
#ifndef ORCH_COMMON_TEXT_H
#define ORCH_COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Strict UTF-8 (no overlong forms, surrogates or NUL) of exactly size bytes. */
bool text_is_utf8(const char *s, size_t size);

/*
 * A fresh copy that is valid UTF-8 text: bad bytes and NUL become U+FFFD, control characters but \n and
 * \t are dropped, and at most max bytes are kept (cut at a character, with "..." when cut). The caller frees
 * it.
 */
char *text_utf8(const char *s, size_t size, size_t max);

/* Like text_utf8 but keeps the last max bytes (a log's tail), starting at a line where one fits. */
char *text_tail(const char *s, size_t size, size_t max);

/* One line for a terminal: control characters (escape sequences too) and newlines become spaces, runs of
 * blanks one. Caller frees. */
char *text_line(const char *s, size_t max);

/*
 * "Build a functional calculator!" -> "build-a-functional-calculator": [a-z0-9-], at most 40 bytes, no dash
 * at either end, never empty ("run" when nothing is left). Writes into slug[41].
 */
void text_slug(char slug[41], const char *title);

/* Columns the text takes on a terminal (wcwidth by rough classes: wide CJK and emoji count 2, combining 0).
 */
size_t text_columns(const char *s);

/* The entry of names (NULL-terminated) nearest to word, for "did you mean": edit distance <= 1 + length / 4;
 * NULL when none is near. */
const char *text_nearest(const char *word, const char *const *names);

/* True when id is [a-z0-9-]{1,32}. */
bool text_is_plan_id(const char *id);

#endif
