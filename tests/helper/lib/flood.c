/* flood: see flood.h. */
#include "tests/helper/lib/flood.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "tests/helper/lib/test.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct orchd *
flood_new(void)
{
	return orchd_new(ORCH_BIN_DIR);
}

static int64_t
ask(struct orchd *o, const char *sql)
{
	char *path = xasprintf("%s/orch.db", o->places.state);
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;
	int64_t n = 0;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
	    sqlite3_busy_timeout(db, 5000) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	free(path);
	return n;
}

int64_t
flood_last(struct orchd *o)
{
	return ask(o, "SELECT max(seq) FROM event");
}

int64_t
flood_count(struct orchd *o)
{
	return ask(o, "SELECT count(*) FROM event");
}

long
flood_rss_kib(const struct orchd *o)
{
	char path[64], line[256];
	long kib = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)o->pid);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmRSS: %ld kB", &kib) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return kib;
}

void
flood_begin(struct orchd *o, unsigned events)
{
	char script[64];
	struct caller *c;

	snprintf(script, sizeof(script), "hello\nevents %u\nserve\n", events);
	orchd_script(o, "m1", script);
	orchd_start(o);
	c = caller_new(o);
	free(caller_submit(c, NULL, NULL));
	caller_free(c);
}

void
flood_await(struct orchd *o, int64_t seq)
{
	int64_t deadline = clock_now_ms() + 4 * ORCHD_DEADLINE_MS;
	bool never = false;

	while (flood_last(o) < seq) {
		if (clock_now_ms() >= deadline)
			fail_msg("event %lld has not come", (long long)seq);
		loop_wait(&o->repo->loop, &never, clock_now_ms() + 5);
	}
}
