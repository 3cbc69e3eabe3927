/*
 * sample: measured numbers, their quantiles, and the lines of the table. A machine that others use as well
 * says nothing in absolute numbers: each line has its floor, measured in the same run, and the ratio to it.
 */
#ifndef ORCH_BENCH_SAMPLE_H
#define ORCH_BENCH_SAMPLE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct samples {
	double *v;
	size_t count, room;
};

void samples_add(struct samples *s, double v);
/* The value below which the part q (0..1) of them lies; there must be one at least. */
double samples_at(struct samples *s, double q);
double samples_median(struct samples *s);
void samples_clear(struct samples *s);

/* CLOCK_MONOTONIC in ns. */
int64_t bench_ns(void);
double bench_ms_since(int64_t ns);
/* KiB of memory of a process: private pages, and its part of each shared one. */
double bench_pss(pid_t pid);

/* A line of the table. p99 and floor: < 0 when there is none. aim: text, "" when there is none. */
void bench_row(const char *what, double value, double p99, double floor, const char *aim);
/* A line for the reader below the table. */
void bench_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Ends this bench; what was started and made is cleared away. */
void bench_die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
