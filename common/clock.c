/* clock: the two clocks and how a person reads them. */
#include "common/clock.h"

#include <stdio.h>
#include <time.h>

#define SET_MS 1000 /* less is the clocks' drift, or a busy machine between two readings */

static int64_t
read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Of this process, as the clocks themselves are. */
static struct {
	int64_t every_ms; /* 0: not watched */
	int64_t last_ms;  /* CLOCK_MONOTONIC at the last look */
	int64_t absent_ms;
} watch;

int64_t
clock_gap(int64_t last_ms, int64_t now_ms, int64_t every_ms)
{
	return now_ms - last_ms > every_ms + CLOCK_LATE_MS ? now_ms - last_ms - every_ms : 0;
}

int64_t
clock_now_ms(void)
{
	int64_t now = read_clock(CLOCK_MONOTONIC);

	if (watch.every_ms > 0)
		watch.absent_ms += clock_gap(watch.last_ms, now, watch.every_ms);
	watch.last_ms = now;
	return now - watch.absent_ms;
}

void
clock_watch(int64_t every_ms)
{
	clock_now_ms(); /* what is past was under the other one */
	watch.every_ms = every_ms;
}

int64_t
clock_absent_ms(void)
{
	return watch.absent_ms;
}

int64_t
clock_wall_ms(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t
clock_moved(int64_t *lead_ms, int64_t wall_ms, int64_t now_ms)
{
	int64_t lead = wall_ms - now_ms, moved = *lead_ms == INT64_MIN ? 0 : lead - *lead_ms;

	if (*lead_ms != INT64_MIN && moved > -SET_MS && moved < SET_MS)
		return 0;
	*lead_ms = lead;
	return moved;
}

const char *
clock_age(char *buf, size_t size, int64_t ms)
{
	long long s = ms < 0 ? 0 : ms / 1000;

	if (s < 60)
		snprintf(buf, size, "%llds", s);
	else if (s < 3600)
		snprintf(buf, size, "%lldm %02llds", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, size, "%lldh %02lldm", s / 3600, s % 3600 / 60);
	else
		snprintf(buf, size, "%lldd %lldh", s / 86400, s % 86400 / 3600);
	return buf;
}

const char *
clock_iso(char *buf, size_t size, int64_t wall_ms)
{
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	if (strftime(buf, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0 && size > 0)
		buf[0] = '\0';
	return buf;
}
