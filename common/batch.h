/*
 * batch: how many of a row of merges, each on top of the one before, are tried together by one run of the
 * gate, so that one culprit among n is found in about log2(n) runs. What is green is kept at once, so that
 * the first of the row is always the next one on the branch as it is. Pure.
 */
#ifndef ORCH_COMMON_BATCH_H
#define ORCH_COMMON_BATCH_H

#include <stdbool.h>
#include <stddef.h>

struct batch {
	size_t left; /* merges that are not kept yet */
	size_t red;  /* so many of them, from the first, are red together; 0: nobody knows */
};

/* How many to try now, at least 1; left is not 0. */
size_t batch_next(const struct batch *b);
/*
 * Is a red gate now to be run once more on the same tree? Only where it would name the culprit: a flaky one
 * must not cost anybody a rework. Not where this run is the second already: the first was that of a half.
 */
bool batch_tries_twice(const struct batch *b);

/* What the gate said of them. True when the first is the culprit: then the rest is to be merged anew. */
bool batch_told(struct batch *b, size_t tried, bool green);

#endif
