/* sample: see sample.h. */
#include "tests/bench/lib/sample.h"

#include "common/alloc.h"
#include "common/fd.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void
samples_add(struct samples *s, double v)
{
	if (s->count == s->room) {
		s->room = s->room == 0 ? 256 : s->room * 2;
		s->v = xrealloc(s->v, s->room * sizeof(*s->v));
	}
	s->v[s->count++] = v;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double
samples_at(struct samples *s, double q)
{
	size_t i = (size_t)(q * (double)s->count);

	assert(s->count > 0);
	qsort(s->v, s->count, sizeof(*s->v), compare);
	return s->v[i < s->count ? i : s->count - 1];
}

double
samples_median(struct samples *s)
{
	return samples_at(s, 0.5);
}

void
samples_clear(struct samples *s)
{
	free(s->v);
	memset(s, 0, sizeof(*s));
}

int64_t
bench_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

double
bench_ms_since(int64_t ns)
{
	return (double)(bench_ns() - ns) / 1e6;
}

double
bench_pss(pid_t pid)
{
	char *path = xasprintf("/proc/%d/smaps_rollup", (int)pid), *text = NULL, *at;
	double kib;

	if (fd_read_file(path, 1 << 16, &text, NULL) < 0)
		bench_die("cannot read %s", path);
	at = strstr(text, "\nPss:");
	if (at == NULL || sscanf(at, "\nPss: %lf", &kib) != 1)
		bench_die("%s has no Pss", path);
	free(text);
	free(path);
	return kib;
}

static const char *
number(char *buf, size_t size, double v)
{
	if (v < 0)
		snprintf(buf, size, "-");
	else
		snprintf(buf, size, v < 10 ? "%.2f" : v < 1000 ? "%.1f" : "%.0f", v);
	return buf;
}

void
bench_row(const char *what, double value, double p99, double floor, const char *aim)
{
	char a[32], b[32], c[32], d[32];

	printf("%-50s %9s %9s %9s %7s  %s\n", what, number(a, sizeof(a), value), number(b, sizeof(b), p99),
	    number(c, sizeof(c), floor), number(d, sizeof(d), floor > 0 ? value / floor : -1), aim);
	fflush(stdout);
}

void
bench_note(const char *fmt, ...)
{
	va_list ap;

	printf("  ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

void
bench_die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("bench: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}
