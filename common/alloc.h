/*
 * alloc: allocation that cannot fail. On OOM these log and exit: a program that
 * cannot get a few bytes cannot keep a promise either, and its supervisor can.
 * Sizes that another party chooses are bounded before they come here.
 */
#ifndef ORCH_COMMON_ALLOC_H
#define ORCH_COMMON_ALLOC_H

#include <stddef.h>

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s); /* NULL in, NULL out */
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Replaces *slot by a copy of s (NULL clears it) and frees the old string. s may point into the old one. */
void xreplace(char **slot, const char *s);

#endif
