/*
 * flood: the real orchd under a role that tells it event after event, and what becomes of its memory and of
 * its history.
 */
#ifndef ORCH_TESTS_FLOOD_H
#define ORCH_TESTS_FLOOD_H

#include "tests/helper/lib/orchdclient.h"

#include <stdint.h>

/* orchd_new() with the programs of this build. */
struct orchd *flood_new(void);
/* The newest event in the store, and how many it holds; 0 before there is a store. Read beside orchd. */
int64_t flood_last(struct orchd *o);
int64_t flood_count(struct orchd *o);
/* Resident set of orchd, KiB. */
long flood_rss_kib(const struct orchd *o);
/* A run whose director tells so many events. */
void flood_begin(struct orchd *o, unsigned events);
/* Until the store's newest event is that one or a later. */
void flood_await(struct orchd *o, int64_t seq);

#endif
