/*
 * clock: monotonic milliseconds for every decision, wall-clock milliseconds only to store or to show.
 *
 * A process that did not run (SIGSTOP, a paused VM, a suspended machine whose kernel counts on) must not take
 * its own absence for the silence of others. So, in a process that asks for it, absence is no time: the
 * monotonic clock stood still meanwhile, and with it every deadline, whoever keeps it.
 */
#ifndef ORCH_COMMON_CLOCK_H
#define ORCH_COMMON_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* CLOCK_MONOTONIC in ms, less the time in which this process was absent. Never goes back. */
int64_t clock_now_ms(void);
/*
 * From now on this process calls clock_now_ms() at least every every_ms (common/loop sees to that): a longer
 * gap between two calls is absence, but for every_ms of it. 0: it does no more.
 */
void clock_watch(int64_t every_ms);
/* How long it was absent in all. */
int64_t clock_absent_ms(void);
/* What of the time from last_ms to now_ms is absence; pure. A busy machine delays by CLOCK_LATE_MS. */
#define CLOCK_LATE_MS 250
int64_t clock_gap(int64_t last_ms, int64_t now_ms, int64_t every_ms);

/* CLOCK_REALTIME in ms since the epoch. */
int64_t clock_wall_ms(void);

/*
 * By how much the wall clock was set since the last look: its lead over the monotonic one has changed. Below
 * a second: 0, and it goes on adding up. *lead_ms is the caller's, INT64_MIN before the first look.
 */
int64_t clock_moved(int64_t *lead_ms, int64_t wall_ms, int64_t now_ms);

/* "45s", "3m 20s", "2h 05m", "3d 4h": for people. Negative counts as 0. Returns buf. */
const char *clock_age(char *buf, size_t size, int64_t ms);
/* "2026-11-22T18:07:22Z" of a wall-clock time. Returns buf. */
const char *clock_iso(char *buf, size_t size, int64_t wall_ms);

#endif
