/*
 * clock: monotonic milliseconds for every decision, wall-clock milliseconds
 * only to store or to show.
 */
#ifndef ORCH_COMMON_CLOCK_H
#define ORCH_COMMON_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* CLOCK_MONOTONIC in ms. */
int64_t clock_now_ms(void);
/* CLOCK_REALTIME in ms since the epoch. */
int64_t clock_wall_ms(void);

/*
 * How much later than due_ms it is, when that is more than a busy machine explains; else 0. A process that
 * did not run (suspend, SIGSTOP, a paused VM) must not take its own absence for the silence of others:
 * whoever waited until due_ms moves every deadline by this before judging. due_ms < 0: nothing was due.
 */
#define CLOCK_LATE_MS 250
int64_t clock_overslept(int64_t due_ms, int64_t now_ms);

/* "45s", "3m 20s", "2h 05m", "3d 4h": for people. Negative counts as 0. Returns buf. */
const char *clock_age(char *buf, size_t size, int64_t ms);
/* "2026-11-22T18:07:22Z" of a wall-clock time. Returns buf. */
const char *clock_iso(char *buf, size_t size, int64_t wall_ms);

#endif
