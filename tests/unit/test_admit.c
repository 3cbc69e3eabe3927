/* admit: who is let in, who is not and why, and when to ask again. */
#include "supervisor/admit.h"

#include "tests/helper/lib/test.h"

#include <string.h>

static const struct admit_rules rules = {.max_agents = 3,
    .min_free_memory_mb = 500,
    .min_free_disk_mb = 200,
    .total_memory_mb = 2000,
    .start_burst = 4,
    .start_interval_ms = 250};
static const struct admit_facts plenty = {
    .free_memory_mb = 100000, .free_disk_mb = 5000, .disk_place = "/var/orch", .used_mb = 100, .agents = 1};

static char why[512];
static int64_t again;

static enum admit_why
ask(const struct admit *a, const struct admit_rules *r, struct admit_facts f, int64_t now)
{
	why[0] = '\0';
	return admit_ask(a, r, &f, now, why, sizeof(why), &again);
}

static void
plenty_lets_in(void **state)
{
	struct admit a = {0};

	(void)state;
	assert_int_equal(ask(&a, &rules, plenty, 5000), ADMIT_YES);
	assert_string_equal(why, "");
}

static void
each_floor_holds_and_says_so(void **state)
{
	struct admit a = {0};
	struct admit_facts f = plenty;

	(void)state;
	f.free_memory_mb = 300;
	assert_int_equal(ask(&a, &rules, f, 5000), ADMIT_MEMORY);
	assert_string_equal(why, "memory 300 MB available, 500 needed");
	assert_int_equal(again, 5000 + ADMIT_LOOK_MS);
	f.free_memory_mb = 500;
	assert_int_equal(ask(&a, &rules, f, 5000), ADMIT_YES);

	f = plenty;
	f.free_disk_mb = 199;
	assert_int_equal(ask(&a, &rules, f, 5000), ADMIT_DISK);
	assert_string_equal(why, "disk 199 MB free at /var/orch, 200 needed");

	f = plenty;
	f.agents = 3;
	assert_int_equal(ask(&a, &rules, f, 5000), ADMIT_AGENTS);
	assert_string_equal(why, "3 agents at work, 3 allowed (max_agents)");

	f = plenty;
	f.used_mb = 1900;
	assert_int_equal(ask(&a, &rules, f, 5000), ADMIT_TOTAL);
	assert_string_equal(why, "agents take 1900 MB of memory, 2000 allowed (total_memory_mb)");
	f.agents = 0; /* a ceiling below one agent's memory must not hold everything up for ever */
	assert_int_equal(ask(&a, &rules, f, 5000), ADMIT_YES);
}

static void
what_is_not_known_or_not_asked_holds_nobody(void **state)
{
	const struct admit_rules none = {0};
	struct admit a = {0};
	struct admit_facts f = {.free_memory_mb = UINT64_MAX,
	    .free_disk_mb = UINT64_MAX,
	    .disk_place = "",
	    .used_mb = UINT64_MAX,
	    .agents = 2};

	(void)state;
	assert_int_equal(ask(&a, &rules, f, 0), ADMIT_YES);
	f = (struct admit_facts){.disk_place = "", .agents = 1000};
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(ask(&a, &none, f, 0), ADMIT_YES);
		admit_started(&a, &none, 0);
	}
}

/* Nine workers died at once: four come back at once, then one every 250 ms. */
static void
crowd_is_let_in_one_by_one(void **state)
{
	struct admit_rules r = rules;
	struct admit a = {0};
	int64_t now = 100000, begun = now;
	int in = 0;

	(void)state;
	r.max_agents = 0;
	while (in < 9) {
		if (ask(&a, &r, plenty, now) == ADMIT_YES) {
			admit_started(&a, &r, now);
			in++;
			if (in == 4)
				assert_int_equal(now, begun);
			continue;
		}
		assert_string_equal(why, "other agents have just been started");
		assert_true(again > now && again <= now + 250);
		now = again;
	}
	assert_int_equal(now - begun, 5 * 250);
	now += 1000; /* full again, and no more than full */
	for (in = 0; ask(&a, &r, plenty, now) == ADMIT_YES; in++)
		admit_started(&a, &r, now);
	assert_int_equal(in, 4);
	assert_int_equal(ask(&a, &r, plenty, now + 3600000), ADMIT_YES);
}

/* Free memory does not show what has been promised already. */
static void
just_started_agents_count_before_they_show(void **state)
{
	struct admit a = {0};
	struct admit_facts f = plenty;

	(void)state;
	f.free_memory_mb = 800;
	admit_started(&a, &rules, 5000);
	assert_int_equal(ask(&a, &rules, f, 6000), ADMIT_YES); /* 500 + 250 */
	admit_started(&a, &rules, 6000);
	assert_int_equal(ask(&a, &rules, f, 7000), ADMIT_MEMORY);
	assert_string_equal(why, "memory 800 MB available, 1000 needed");
	assert_int_equal(ask(&a, &rules, f, 5000 + ADMIT_SETTLE_MS), ADMIT_YES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plenty_lets_in),
	    cmocka_unit_test(each_floor_holds_and_says_so),
	    cmocka_unit_test(what_is_not_known_or_not_asked_holds_nobody),
	    cmocka_unit_test(crowd_is_let_in_one_by_one),
	    cmocka_unit_test(just_started_agents_count_before_they_show),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
