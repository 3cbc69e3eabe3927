/*
 * owns_nfa: an ownership pattern as a small automaton over bytes, the way git's wildmatch reads it with
 * WM_PATHNAME ("?" is one byte, not one character). Only owns.c uses it. Pure.
 */
#ifndef ORCH_COMMON_OWNS_NFA_H
#define ORCH_COMMON_OWNS_NFA_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct byteset {
	uint64_t w[4];
};

static inline bool
byteset_has(const struct byteset *s, unsigned char c)
{
	return (s->w[c >> 6] >> (c & 63)) & 1;
}

/* What a state does, its own number being i. */
enum owns_kind {
	OWNS_STEP, /* a byte of set leads to i + 1 */
	OWNS_LOOP, /* a byte of set leads to i; i + 1 for nothing */
	OWNS_FORK, /* i + 1 and i + 2 for nothing: the beginning of a "**" with its slash */
	OWNS_DIRS, /* any byte leads to i, a slash also to i + 1: the inside of that */
	OWNS_END,  /* the pattern matched */
};

struct owns_state {
	enum owns_kind kind;
	struct byteset set; /* what the state consumes; empty when nothing */
};

struct owns_nfa {
	struct owns_state *states;
	size_t count;
	size_t starts[2]; /* the glob, and the pattern's own spelling: git matches that too */
	size_t start_count;
};

/* 0, or -EINVAL with what is wrong about a "[" or a "\". Give the result to owns_nfa_clear. */
int owns_nfa_compile(struct owns_nfa *n, const char *pattern, struct err *e);
void owns_nfa_clear(struct owns_nfa *n);
bool owns_nfa_match(const struct owns_nfa *n, const char *path);

/*
 * Sets of states of one automaton, from bit base of a bit vector on, closed over moves for nothing. step
 * reads from and adds to to (which the caller has cleared).
 */
void owns_nfa_begin(const struct owns_nfa *n, uint64_t *bits, size_t base);
void owns_nfa_step(
    const struct owns_nfa *n, const uint64_t *from, uint64_t *to, size_t base, unsigned char c);
bool owns_nfa_accepts(const struct owns_nfa *n, const uint64_t *bits, size_t base);

#endif
