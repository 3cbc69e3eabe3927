/* keys: every rule about keys on a virtual clock: who serves, who waits, who hops, and what is remembered. */
#include "supervisor/gateway/keys.h"

#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <string.h>

#define WALL 1795000000000LL /* 2026-11-18T11:06:40Z, when the monotonic clock says 1000 */
#define OPUS "claude-opus-5-5"
#define HAIKU "claude-haiku-5-5"

static struct keys *k;
static int64_t ms;

/* One request of an attempt. */
struct request {
	struct keys_seat *seat;
	struct keys_try t;
	const char *model;
	struct keys_pick pick;
	struct keys_report report;
};

static struct keys_now
now(void)
{
	return (struct keys_now){ms, WALL + ms - 1000};
}

static int
setup(void **state)
{
	(void)state;
	k = keys_new();
	ms = 1000;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	keys_free(k);
	return 0;
}

/* Keys "a", "b" ... */
static void
load(const char *names)
{
	struct keys_spec specs[8];
	char text[8][2];
	size_t n = strlen(names);

	for (size_t i = 0; i < n; i++) {
		snprintf(text[i], sizeof(text[i]), "%c", names[i]);
		specs[i] = (struct keys_spec){.name = text[i], .identity = text[i]};
	}
	keys_load(k, specs, n);
}

static struct request
request(struct keys_seat *seat, const char *model)
{
	return (struct request){.seat = seat, .model = model};
}

static enum keys_verdict
pick(struct request *r)
{
	return keys_pick(k, r->seat, &r->t, r->model, now(), &r->pick);
}

/* The index of the key that it got, or -1. */
static int
picked(struct request *r)
{
	if (pick(r) == KEYS_GO)
		for (size_t i = 0; i < keys_count(k); i++)
			if (keys_id(k, i) == r->pick.key)
				return (int)i;
	return -1;
}

static void
report(struct request *r, struct keys_outcome o)
{
	if (o.end == KEYS_END_HTTP)
		keys_heard(k, r->t.key, o.limits.organisation);
	keys_report(k, &r->t, r->model, &o, now(), &r->report);
}

/* An answer with one header, or none. */
static struct keys_outcome
answer(int status, const char *name, const char *value)
{
	struct keys_outcome o = {.end = KEYS_END_HTTP, .status = status, .api_error = status >= 400};

	limits_init(&o.limits);
	if (name != NULL)
		limits_header(&o.limits, name, strlen(name), value, strlen(value), now().wall_ms);
	return o;
}

static struct keys_outcome
broken(enum keys_end end)
{
	struct keys_outcome o = {.end = end};

	limits_init(&o.limits);
	return o;
}

static void
fine(struct request *r)
{
	report(r, answer(200, NULL, NULL));
}

/* The views as text. */
static char views[2048];

static void
add_view(void *arg, const struct keys_view *v)
{
	size_t n = strlen(views);

	(void)arg;
	snprintf(views + n, sizeof(views) - n, "%s %s%s%s%s\n", v->name, keys_state_name(v->state),
	    v->family[0] != '\0' ? " " : "", v->family, v->shared ? " shared" : "");
}

static const char *
show(void)
{
	views[0] = '\0';
	keys_each(k, now(), add_view, NULL);
	return views;
}

static void
test_families(void **state)
{
	static const struct {
		const char *model, *family;
	} rows[] = {{"claude-opus-5-5", "opus"}, {"claude-3-5-sonnet-20241022", "sonnet"},
	    {"claude-3", "claude-3"}, {"glm-4.6", "glm-4.6"}, {"", "-"}, {"claude-", "claude-"}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char family[KEYS_FAMILY_MAX];

		keys_family(family, rows[i].model);
		assert_string_equal(family, rows[i].family);
	}
}

/* Attempts are spread; each stays where it is, whatever the load. */
static void
test_sticky(void **state)
{
	struct keys_seat seats[4] = {{0}};
	struct request r[4];

	(void)state;
	load("ab");
	for (int i = 0; i < 4; i++) {
		r[i] = request(&seats[i], OPUS);
		assert_int_equal(picked(&r[i]), i % 2);
		assert_int_equal(r[i].pick.from, 0);
	}
	for (int i = 0; i < 4; i++) {
		fine(&r[i]);
		assert_false(r[i].report.retry);
		r[i] = request(&seats[i], OPUS);
		assert_int_equal(picked(&r[i]), i % 2);
	}
	/* A seat that is left makes room for the next. */
	keys_leave(k, &seats[1]);
	keys_leave(k, &seats[3]);
	fine(&r[1]);
	fine(&r[3]);
	seats[1].key = 0;
	r[1] = request(&seats[1], OPUS);
	assert_int_equal(picked(&r[1]), 1);
}

static void
test_quota_benches_and_hops(void **state)
{
	struct keys_seat seat = {0}, other = {0};
	struct request r = request(&seat, OPUS), s = request(&other, HAIKU);

	(void)state;
	load("ab");
	assert_int_equal(picked(&r), 0);
	report(&r, answer(429, "retry-after", "3600"));
	assert_true(r.report.retry);
	assert_string_equal(r.report.note, "key a: quota of opus spent until 2026-11-18T12:06:40Z (429)");
	assert_int_equal(picked(&r), 1);
	assert_int_equal(r.pick.from, keys_id(k, 0));
	assert_int_equal(seat.key, keys_id(k, 1));
	assert_string_equal(show(), "a benched opus\nb ok\n");
	/* Another family may still use it. */
	assert_int_equal(picked(&s), 0);
	/* One hop: the second 429 is the client's. */
	report(&r, answer(429, "retry-after", "1800"));
	assert_false(r.report.retry);
	/* Then nothing is left: the answer names the earliest reset. */
	r = request(&seat, OPUS);
	assert_int_equal(pick(&r), KEYS_ANSWER);
	assert_int_equal(r.pick.lack, KEYS_LACK_QUOTA);
	assert_int_equal(r.pick.until_ms, ms + 1800000);
	assert_string_equal(r.pick.why, "key b: quota of opus spent until 2026-11-18T11:36:40Z (429)");
	/* 30 s before that it is a wait, and then it is over. The attempt stays where it came to. */
	ms += 1800000 - 30000;
	assert_int_equal(pick(&r), KEYS_WAIT);
	assert_int_equal(r.pick.until_ms, ms + 30000);
	ms += 30000;
	assert_int_equal(picked(&r), 1);
	assert_string_equal(show(), "a benched opus\nb ok\n");
}

static void
test_quota_by_headers(void **state)
{
	struct keys_seat seat = {0};
	struct request r = request(&seat, OPUS);
	struct keys_outcome o = answer(429, "anthropic-ratelimit-unified-status", "rejected");

	(void)state;
	load("a");
	assert_int_equal(picked(&r), 0);
	limits_header(&o.limits, "anthropic-ratelimit-unified-reset", 33, "1795003600", 10, now().wall_ms);
	report(&r, o);
	assert_false(r.report.retry); /* no other key: the answer goes on with its headers */
	assert_string_equal(show(), "a benched *\n");
	r = request(&seat, HAIKU);
	assert_int_equal(pick(&r), KEYS_ANSWER);
	assert_int_equal(r.pick.until_ms, ms + 3600000);
	ms += 3600000;
	assert_int_equal(picked(&r), 0);
	/* Spent, but not until when: a minute. */
	report(&r, answer(429, "anthropic-ratelimit-tokens-remaining", "0"));
	assert_string_equal(show(), "a benched haiku\n");
	ms += KEYS_QUOTA_MS;
	assert_string_equal(show(), "a ok\n");
}

/* A burst waits on its own key, also when another is free; all its waits together are 30 s at most. */
static void
test_burst_waits(void **state)
{
	struct keys_seat seat = {0}, fresh = {0};
	struct request r = request(&seat, OPUS), s = request(&fresh, OPUS);

	(void)state;
	load("ab");
	assert_int_equal(picked(&r), 0);
	for (int i = 0; i < 2; i++) {
		report(&r, answer(429, "retry-after", "15"));
		assert_true(r.report.retry);
		assert_int_equal(pick(&r), KEYS_WAIT);
		assert_int_equal(r.pick.until_ms, ms + 15000);
		ms += 15000;
		assert_int_equal(picked(&r), 0);
	}
	report(&r, answer(429, "retry-after", "1"));
	assert_true(r.report.retry); /* the 30 s are over: it hops, but the attempt */
	assert_int_equal(picked(&r), 1);
	/* Who has no key yet goes elsewhere at once. */
	assert_int_equal(picked(&s), 1);
}

static void
test_burst_of_no_time_is_a_wait(void **state)
{
	struct keys_seat seat = {0};
	struct request r = request(&seat, OPUS);
	int tries = 0;

	(void)state;
	load("a");
	assert_int_equal(picked(&r), 0);
	for (;;) {
		report(&r, answer(429, "retry-after", "0"));
		if (!r.report.retry)
			break;
		tries++;
		assert_int_equal(pick(&r), KEYS_WAIT);
		assert_true(r.pick.until_ms > ms);
		ms = r.pick.until_ms;
		assert_int_equal(picked(&r), 0);
	}
	assert_int_equal(tries, KEYS_WAIT_MS / KEYS_BURST_MIN_MS);
}

/* A 429 that says nothing: one hop, one retry after 2 s, and no bench. */
static void
test_bare_429(void **state)
{
	struct keys_seat seat = {0};
	struct request r = request(&seat, OPUS);

	(void)state;
	load("ab");
	assert_int_equal(picked(&r), 0);
	report(&r, answer(429, NULL, NULL));
	assert_true(r.report.retry);
	assert_int_equal(picked(&r), 1);
	assert_int_equal(seat.key, keys_id(k, 0)); /* the attempt did not move */
	report(&r, answer(429, NULL, NULL));
	assert_true(r.report.retry);
	assert_int_equal(pick(&r), KEYS_WAIT);
	assert_int_equal(r.pick.until_ms, ms + KEYS_BARE_RETRY_MS);
	ms += KEYS_BARE_RETRY_MS;
	assert_int_equal(picked(&r), 1);
	report(&r, answer(429, NULL, NULL));
	assert_false(r.report.retry);
	assert_string_equal(show(), "a ok\nb ok\n");
	r = request(&seat, OPUS);
	assert_int_equal(picked(&r), 0);
}

static void
test_ailing_server_hops_once(void **state)
{
	static const int statuses[] = {529, 500, 502, 503, 504, 302};
	struct keys_seat seat = {0};

	(void)state;
	load("ab");
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		struct request r = request(&seat, OPUS);

		assert_int_equal(picked(&r), 0);
		report(&r, answer(statuses[i], NULL, NULL));
		assert_true(r.report.retry);
		assert_int_equal(picked(&r), 1);
		report(&r, answer(statuses[i], NULL, NULL));
		assert_false(r.report.retry);
		assert_string_equal(show(), "a ok\nb ok\n");
		ms += 5000;
	}
	/* With one key there is nowhere to go: the client retries well itself. */
	load("a");
	struct request r = request(&seat, OPUS);
	assert_int_equal(picked(&r), 0);
	report(&r, answer(529, NULL, NULL));
	assert_false(r.report.retry);
}

static void
test_what_the_client_did_is_its_own(void **state)
{
	static const int statuses[] = {400, 404, 413, 422};
	struct keys_seat seat = {0};

	(void)state;
	load("ab");
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		struct request r = request(&seat, OPUS);

		assert_int_equal(picked(&r), 0);
		report(&r, answer(statuses[i], NULL, NULL));
		assert_false(r.report.retry);
	}
	assert_string_equal(show(), "a ok\nb ok\n");
}

static void
test_refused_until_loaded(void **state)
{
	static const int statuses[] = {401, 403};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct keys_seat seat = {0};
		struct request r = request(&seat, OPUS);

		load("ab");
		assert_int_equal(picked(&r), 0);
		report(&r, answer(statuses[i], NULL, NULL));
		assert_true(r.report.retry);
		assert_int_equal(picked(&r), 1);
		report(&r, answer(401, NULL, NULL));
		assert_false(r.report.retry);
		assert_string_equal(show(), "a refused\nb refused\n");
		ms += 86400000;
		r = request(&seat, OPUS);
		assert_int_equal(pick(&r), KEYS_ANSWER);
		assert_int_equal(r.pick.lack, KEYS_LACK_ACCESS);
		assert_int_equal(r.pick.until_ms, -1);
		keys_leave(k, &seat);
		load("ab");
		assert_string_equal(show(), "a ok\nb ok\n");
	}
}

/* A 403 that is no error of the API comes from something in between. */
static void
test_blocked_on_the_way(void **state)
{
	struct keys_seat seat = {0};
	struct request r = request(&seat, OPUS);
	struct keys_outcome o = answer(403, NULL, NULL);

	(void)state;
	load("ab");
	o.api_error = false;
	assert_int_equal(picked(&r), 0);
	report(&r, o);
	assert_true(r.report.retry);
	assert_string_equal(show(), "a unreachable\nb ok\n");
	/* What lets a probe through need not let requests through: only one of them finds out, later each
	 * time. */
	load("a");
	for (int64_t wait = KEYS_PROBE_MIN_MS; wait < KEYS_PROBE_MAX_MS; wait *= 2) {
		char note[320];

		assert_int_equal(keys_probe_due(k, keys_id(k, 0)), -1);
		keys_probed(k, keys_id(k, 0), true, "", now(), note, sizeof(note));
		assert_string_equal(show(), "a unreachable\n");
		r = request(&seat, OPUS);
		assert_int_not_equal(pick(&r), KEYS_GO);
		ms += wait;
		r = request(&seat, OPUS);
		assert_int_equal(picked(&r), 0);
		report(&r, o);
	}
	ms += KEYS_PROBE_MAX_MS;
	r = request(&seat, OPUS);
	assert_int_equal(picked(&r), 0);
	fine(&r);
	assert_string_equal(show(), "a ok\n");
}

static void
test_unpaid(void **state)
{
	struct keys_seat seat = {0};
	struct request r = request(&seat, OPUS);

	(void)state;
	load("ab");
	assert_int_equal(picked(&r), 0);
	report(&r, answer(402, NULL, NULL));
	assert_true(r.report.retry);
	assert_string_equal(show(), "a benched *\nb ok\n");
	ms += KEYS_UNPAID_MS;
	assert_string_equal(show(), "a ok\nb ok\n");
}

static void
test_unreachable_and_back(void **state)
{
	struct keys_seat seat = {0}, two = {0};
	struct request r = request(&seat, OPUS), s = request(&two, OPUS);
	int64_t wait = KEYS_PROBE_MIN_MS;

	(void)state;
	load("a");
	assert_int_equal(picked(&r), 0);
	report(&r, broken(KEYS_END_CONNECT));
	assert_false(r.report.retry);
	assert_string_equal(show(), "a unreachable\n");
	for (int i = 0; i < 10; i++) {
		r = request(&seat, OPUS);
		s = request(&two, OPUS);
		assert_int_equal(pick(&r), wait <= KEYS_REACH_MS ? KEYS_WAIT : KEYS_ANSWER);
		if (wait > KEYS_REACH_MS)
			assert_int_equal(r.pick.lack, KEYS_LACK_REACH);
		assert_int_equal(r.pick.until_ms, ms + wait);
		ms += wait;
		/* One request finds out; the others wait for it. */
		assert_int_equal(picked(&r), 0);
		assert_int_equal(pick(&s), KEYS_WAIT);
		report(&r, broken(i % 2 == 0 ? KEYS_END_CONNECT : KEYS_END_STALLED));
		wait = wait * 2 < KEYS_PROBE_MAX_MS ? wait * 2 : KEYS_PROBE_MAX_MS;
	}
	ms += wait;
	r = request(&seat, OPUS);
	assert_int_equal(picked(&r), 0);
	keys_heard(k, r.pick.key, "");
	assert_string_equal(show(), "a ok\n");
	s = request(&two, OPUS);
	assert_int_equal(picked(&s), 0);
	/* The next failure begins from the shortest wait. */
	fine(&r);
	report(&s, broken(KEYS_END_CONNECT));
	r = request(&seat, OPUS);
	assert_int_equal(pick(&r), KEYS_WAIT);
	assert_int_equal(r.pick.until_ms, ms + KEYS_PROBE_MIN_MS);
}

/* One that was given up says nothing, and the next may try. */
static void
test_trial_given_up(void **state)
{
	struct keys_seat seat = {0};
	struct request r = request(&seat, OPUS);

	(void)state;
	load("a");
	assert_int_equal(picked(&r), 0);
	report(&r, broken(KEYS_END_CONNECT));
	ms += KEYS_PROBE_MIN_MS;
	r = request(&seat, OPUS);
	assert_int_equal(picked(&r), 0);
	report(&r, broken(KEYS_END_OURS));
	assert_string_equal(show(), "a unreachable\n");
	r = request(&seat, OPUS);
	assert_int_equal(picked(&r), 0);
}

/* One stall or cut may be chance: it hops, but the key stays. Two without an answer between them are not. */
static void
test_faults(void **state)
{
	struct keys_seat seat = {0};

	(void)state;
	load("ab");
	for (int i = 0; i < 2; i++) {
		struct request r = request(&seat, OPUS);

		assert_int_equal(picked(&r), 0);
		report(&r, broken(i == 0 ? KEYS_END_STALLED : KEYS_END_BROKEN));
		assert_true(r.report.retry);
		assert_int_equal(picked(&r), 1);
		fine(&r);
		assert_string_equal(show(), i == 0 ? "a ok\nb ok\n" : "a unreachable\nb ok\n");
	}
	load("c");
	for (int i = 0; i < 5; i++) {
		struct request r = request(&seat, OPUS);

		assert_int_equal(picked(&r), 0);
		report(&r, broken(KEYS_END_STALLED));
		assert_false(r.report.retry);
		r = request(&seat, OPUS);
		assert_int_equal(picked(&r), 0);
		fine(&r);
	}
	assert_string_equal(show(), "c ok\n");
}

/* Nothing is replayed once the client has had a byte. */
static void
test_begun_is_never_repeated(void **state)
{
	static const enum keys_end ends[] = {KEYS_END_BROKEN, KEYS_END_STALLED};
	struct keys_seat seat = {0};

	(void)state;
	load("ab");
	for (size_t i = 0; i < 2; i++) {
		struct request r = request(&seat, OPUS);
		struct keys_outcome o = broken(ends[i]);

		o.begun = true;
		assert_int_equal(picked(&r), 0);
		keys_heard(k, r.t.key, "");
		report(&r, o);
		assert_false(r.report.retry);
	}
}

/* The room of a key: full ones let wait, bursts halve it, successes give it back. */
static void
test_concurrency(void **state)
{
	struct keys_seat seats[40] = {{0}};
	struct request r[40], burst;
	int got = 0;

	(void)state;
	load("a");
	for (int i = 0; i < 40; i++) {
		r[i] = request(&seats[i], OPUS);
		got += picked(&r[i]) == 0;
	}
	assert_int_equal(got, KEYS_LIMIT_FIRST);
	assert_int_equal(pick(&r[39]), KEYS_WAIT);
	fine(&r[0]);
	assert_int_equal(picked(&r[39]), 0);
	/* A burst: half of what was in flight, once for all answers of that second. */
	report(&r[1], answer(429, "retry-after", "1"));
	report(&r[2], answer(429, "retry-after", "1"));
	for (int i = 3; i < 32; i++)
		fine(&r[i]);
	fine(&r[39]);
	ms += 1000;
	got = 0;
	for (int i = 0; i < 40; i++) {
		r[i] = request(&seats[i], OPUS);
		got += picked(&r[i]) == 0;
	}
	assert_in_range(got, KEYS_LIMIT_FIRST / 2, KEYS_LIMIT_FIRST / 2 + 2);
	/* Never below one. */
	for (int i = 0; i < got; i++)
		fine(&r[i]);
	for (int i = 0; i < 20; i++) {
		burst = request(&seats[0], OPUS);
		ms += 2000;
		assert_int_equal(picked(&burst), 0);
		report(&burst, answer(429, "retry-after", "1"));
	}
	/* It waits for its turn for two minutes, then it is told. */
	ms += 2000;
	r[0] = request(&seats[0], OPUS);
	r[1] = request(&seats[1], OPUS);
	assert_int_equal(picked(&r[0]), 0);
	assert_int_equal(pick(&r[1]), KEYS_WAIT);
	ms += KEYS_QUEUE_MS;
	assert_int_equal(pick(&r[1]), KEYS_ANSWER);
	assert_int_equal(r[1].pick.lack, KEYS_LACK_ROOM);
}

/* Twenty attempts come over at once: the key gets a few of them, and more with every success. */
static void
test_ramp_after_switch(void **state)
{
	struct keys_seat seats[20] = {{0}};
	struct request r[20];
	int before = 0, after = 0;

	(void)state;
	load("a");
	for (int i = 0; i < 20; i++) {
		r[i] = request(&seats[i], OPUS);
		assert_int_equal(picked(&r[i]), 0);
	}
	load("ab");
	for (int i = 0; i < 20; i++) {
		report(&r[i], answer(429, "retry-after", "3600"));
		assert_true(r[i].report.retry);
		before += picked(&r[i]) == 1;
	}
	assert_int_equal(before, KEYS_RAMP);
	for (int i = 0; i < before; i++)
		fine(&r[i]);
	for (int i = before; i < 20; i++)
		after += picked(&r[i]) == 1;
	assert_in_range(after, KEYS_RAMP, 2 * KEYS_RAMP + 1);
}

/* Two keys of one organisation share its limits: a hop prefers another's. */
static void
test_organisations(void **state)
{
	struct keys_seat seats[3] = {{0}};
	struct request r[3];

	(void)state;
	load("abc");
	for (int i = 0; i < 3; i++) {
		r[i] = request(&seats[i], OPUS);
		assert_int_equal(picked(&r[i]), i);
		report(&r[i], answer(200, "anthropic-organization-id", i < 2 ? "one" : "two"));
	}
	assert_string_equal(show(), "a ok shared\nb ok shared\nc ok\n");
	keys_leave(k, &seats[1]);
	r[0] = request(&seats[0], OPUS);
	assert_int_equal(picked(&r[0]), 0);
	report(&r[0], answer(429, "retry-after", "3600"));
	assert_int_equal(picked(&r[0]), 2);
}

/* A configuration's model decides what is benched, not what the agent asked for. */
static void
test_model_of_the_configuration(void **state)
{
	struct keys_spec spec = {.name = "a", .model = "glm-4.6", .identity = "a"};
	struct keys_seat seat = {0};
	struct request r = request(&seat, OPUS);

	(void)state;
	keys_load(k, &spec, 1);
	assert_int_equal(picked(&r), 0);
	report(&r, answer(429, "retry-after", "3600"));
	assert_string_equal(show(), "a benched glm-4.6\n");
	r = request(&seat, HAIKU);
	assert_int_equal(pick(&r), KEYS_ANSWER);
}

static void
test_load_keeps_what_is_the_same(void **state)
{
	struct keys_seat seat = {0}, other = {0};
	struct request r = request(&seat, OPUS), s = request(&other, OPUS);
	uint32_t a, b;

	(void)state;
	load("ab");
	a = keys_id(k, 0);
	b = keys_id(k, 1);
	assert_int_equal(picked(&r), 0);
	assert_int_equal(picked(&s), 1);
	report(&r, answer(429, "retry-after", "3600"));
	load("ca");
	assert_int_equal(keys_id(k, 1), a);
	assert_true(keys_id(k, 0) != b && keys_id(k, 0) > b);
	assert_string_equal(show(), "c ok\na benched opus\n");
	/* Its key is gone: its end changes nothing, and the attempt goes on with another. */
	report(&s, answer(429, "retry-after", "3600"));
	s = request(&other, OPUS);
	assert_int_equal(picked(&s), 0);
	load("");
	s = request(&other, OPUS);
	assert_int_equal(pick(&s), KEYS_ANSWER);
	assert_int_equal(s.pick.lack, KEYS_LACK_ACCESS);
}

static void
test_restored_evidence(void **state)
{
	struct keys_seat seat = {0};
	char note[320];
	struct request r = request(&seat, OPUS);

	(void)state;
	load("abc");
	keys_restore(k, keys_id(k, 0), KEYS_BENCHED, "opus", "quota", now().wall_ms + 60000, now());
	keys_restore(k, keys_id(k, 1), KEYS_REFUSED, "", "401", 0, now());
	keys_restore(k, keys_id(k, 2), KEYS_BENCHED, "opus", "long over", now().wall_ms - 1, now());
	keys_restore(k, 12345, KEYS_REFUSED, "", "", 0, now());
	assert_string_equal(show(), "a benched opus\nb refused\nc ok\n");
	assert_int_equal(picked(&r), 2);
	keys_probed(k, keys_id(k, 2), false, "DNS", now(), note, sizeof(note));
	assert_string_equal(show(), "a benched opus\nb refused\nc unreachable\n");
	assert_string_equal(note, "key c: not reachable (DNS): set aside, next look in 5 s");
	keys_probed(k, keys_id(k, 2), true, "", now(), note, sizeof(note));
	assert_string_equal(show(), "a benched opus\nb refused\nc ok\n");
	assert_string_equal(note, "key c: its endpoint answers again");
}

/* Set aside at the start of a run: probes come later each time; a request waits for one that is under way. */
static void
test_probes(void **state)
{
	struct keys_seat seat = {0};
	struct request r = request(&seat, OPUS);
	int64_t wait = KEYS_PROBE_MIN_MS;
	char note[320];

	(void)state;
	load("a");
	assert_int_equal(keys_probe_due(k, keys_id(k, 0)), -1);
	for (int i = 0; i < 10; i++) {
		keys_probed(k, keys_id(k, 0), false, "no route", now(), note, sizeof(note));
		assert_int_equal(note[0] != '\0', i == 0); /* said once */
		assert_int_equal(keys_probe_due(k, keys_id(k, 0)), ms + wait);
		ms += wait;
		keys_probing(k, keys_id(k, 0));
		assert_int_equal(keys_probe_due(k, keys_id(k, 0)), -1);
		assert_int_equal(pick(&r), KEYS_WAIT);
		r = request(&seat, OPUS);
		wait = wait * 2 < KEYS_PROBE_MAX_MS ? wait * 2 : KEYS_PROBE_MAX_MS;
	}
	keys_probed(k, keys_id(k, 0), true, "", now(), note, sizeof(note));
	assert_string_equal(note, "key a: its endpoint answers again");
	assert_int_equal(picked(&r), 0);
	keys_probed(k, 12345, true, "", now(), note, sizeof(note));
	assert_string_equal(note, "");
}

/* More families than marks: the key forgets the one that is over first, and nothing breaks. */
static void
test_many_families(void **state)
{
	struct keys_seat seat = {0};
	char model[32];

	(void)state;
	load("a");
	for (int i = 0; i < 3 * KEYS_MARKS_MAX; i++) {
		struct request r;

		snprintf(model, sizeof(model), "model-%d", i);
		r = request(&seat, model);
		assert_int_equal(picked(&r), 0);
		report(&r, answer(429, "retry-after", "3600"));
		ms += 10;
		assert_int_equal(pick(&r), KEYS_ANSWER);
	}
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_families), T(test_sticky), T(test_quota_benches_and_hops),
	    T(test_quota_by_headers), T(test_burst_waits), T(test_burst_of_no_time_is_a_wait),
	    T(test_bare_429), T(test_ailing_server_hops_once), T(test_what_the_client_did_is_its_own),
	    T(test_refused_until_loaded), T(test_blocked_on_the_way), T(test_unpaid),
	    T(test_unreachable_and_back), T(test_trial_given_up), T(test_faults),
	    T(test_begun_is_never_repeated), T(test_concurrency), T(test_ramp_after_switch),
	    T(test_organisations), T(test_model_of_the_configuration), T(test_load_keeps_what_is_the_same),
	    T(test_restored_evidence), T(test_probes), T(test_many_families)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
