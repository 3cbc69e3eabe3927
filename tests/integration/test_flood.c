/*
 * Event after event: the history keeps what it was told to keep, and orchd's memory does not grow. All of it:
 * bench_flood.
 */
#include "tests/helper/lib/flood.h"
#include "tests/helper/lib/test.h"

#include <stdlib.h>

#define EVENTS 12000
#define KEPT 1000
#define GROWTH_MAX_KIB 512

static int
set_up(void **state)
{
	setenv("ORCH_MAX_EVENTS", "1000", 1);
	*state = flood_new();
	return 0;
}

static int
tear_down(void **state)
{
	orchd_free(*state);
	unsetenv("ORCH_MAX_EVENTS");
	return 0;
}

static void
test_the_oldest_events_go(void **state)
{
	struct orchd *o = *state;
	long early, late;
	int64_t count;

	flood_begin(o, EVENTS);
	flood_await(o, EVENTS / 4);
	early = flood_rss_kib(o);
	flood_await(o, EVENTS);
	late = flood_rss_kib(o);
	count = flood_count(o);
	print_message("%ld KiB, then %ld KiB; %lld events are kept\n", early, late, (long long)count);
	assert_true(count >= KEPT && count <= KEPT + KEPT / 16 + 1000); /* what one turn of the loop brings */
#ifndef __SANITIZE_ADDRESS__                                            /* which keeps what was freed */
	assert_true(late - early <= GROWTH_MAX_KIB);
#endif
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_the_oldest_events_go, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("flood", tests, NULL, NULL);
}
