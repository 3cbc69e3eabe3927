/*
 * bench_flood: orchd's resident set while a role tells it 100,000 events, and how many of them the history
 * keeps with the default of ORCH_MAX_EVENTS or the one in the environment.
 */
#include "tests/helper/lib/flood.h"

#include <stdio.h>
#include <stdlib.h>

#define EVENTS 100000
#define STEP 10000

int
main(void)
{
	struct orchd *o = flood_new();
	long first = 0, last = 0;

	flood_begin(o, EVENTS);
	for (int64_t seq = STEP; seq <= EVENTS; seq += STEP) {
		flood_await(o, seq);
		last = flood_rss_kib(o);
		first = seq == STEP ? last : first;
		printf("after %lld events: %ld KiB\n", (long long)seq, last);
	}
	printf("growth from the first %d to the last: %ld KiB; %lld events are kept\n", STEP, last - first,
	    (long long)flood_count(o));
	orchd_free(o);
	return 0;
}
