/*
 * Runs whose agents really ask an API, through the gateway that orchd starts. What the gateway is for: that a
 * limit, a death or a budget is the gateway's and orchd's affair, and no agent's.
 */
#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/json.h"
#include "common/proc.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/e2e_api.h"
#include "tests/helper/lib/test.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER "reply forever\ntext ok\nusage 100 20\n"
#define SPENT "http 429 x1\nheader retry-after: 3600\nheader anthropic-ratelimit-tokens-remaining: 0\n"

static struct e2e_api api;

static int
setup(void **state)
{
	int rc = e2e_setup(state);

	e2e_api_start(&api, *state);
	return rc;
}

static int
teardown(void **state)
{
	unsetenv("CLAUDE_CONFIGS");
	e2e_api_stop(&api);
	return e2e_teardown(state);
}

/* Configurations of those names, each with its own script at the API. */
static char *
configs(const char *const *names)
{
	json_t *list = json_array();
	char *text;

	for (size_t i = 0; names[i] != NULL; i++)
		json_array_append_new(
		    list, json_pack("{s:s, s:o, s:{s:o}}", "name", names[i], "apiKey",
			      json_sprintf("sk-test-dummy-%s", names[i]), "env", "ANTHROPIC_BASE_URL",
			      json_sprintf("%s/w/%s", api.url, names[i])));
	text = json_text(list);
	json_decref(list);
	return text;
}

static void
use_keys(const char *const *names)
{
	char *text = configs(names);

	setenv("CLAUDE_CONFIGS", text, 1);
	free(text);
}

static size_t
count_requests(const char *script)
{
	json_t *list = e2e_api_requests(&api, script);
	size_t posts = 0, i;
	json_t *j;

	json_array_foreach (list, i, j)
		posts += strcmp(json_str(j, "method"), "POST") == 0;
	json_decref(list);
	return posts;
}

/* The gateway: orchd's child of that name. */
static pid_t
gateway_pid(struct e2e *e)
{
	pid_t orchd = e2e_pid(e, NULL), found = 0;
	DIR *d = opendir("/proc");
	struct dirent *de;

	assert_non_null(d);
	while ((de = readdir(d)) != NULL) {
		pid_t pid = (pid_t)strtol(de->d_name, NULL, 10);
		char path[64], *comm = NULL;

		snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
		if (pid > 1 && proc_parent(pid) == orchd && fd_read_file(path, 64, &comm, NULL) == 0 &&
		    strncmp(comm, "orch-gateway", 12) == 0)
			found = pid;
		free(comm);
	}
	closedir(d);
	return found;
}

static json_t *
list_keys(struct e2e *e)
{
	struct ctlrun r;
	json_t *list;

	assert_int_equal(e2e_ctl(e, &r, "keys", "--json", NULL), 0);
	list = json_loads(r.out, 0, NULL);
	assert_non_null(list);
	ctlrun_clear(&r);
	return list;
}

/* Until orchd can tell of the keys' states. */
static void
await_keys(struct e2e *e)
{
	for (bool known = false; !known;) {
		json_t *list = list_keys(e);
		const char *state = json_str(json_array_get(list, 0), "state");

		known = state != NULL && strcmp(state, "unused") != 0;
		json_decref(list);
	}
}

/* Every agent asks; one key meets its quota in the middle, and no agent notices. */
static void
test_a_spent_key_is_nobodys_affair(void **state)
{
	static const char *const names[] = {"one", "two", NULL};
	struct e2e *e = *state;
	json_t *run, *keys, *task;

	e2e_api_script(&api, "one", "reply x2\ntext ok\nusage 100 20\n" SPENT ANSWER);
	e2e_api_script(&api, "two", ANSWER);
	use_keys(names);
	e2e_plan(e, "director", "ask 1\n", "a");
	e2e_plan(e, "em-a", "ask 1\n", "x y");
	e2e_work(e, "a.x", "ask 3\ntouch @/asked\nwait_file @/go\n");
	e2e_work(e, "a.y", "ask 3\n");
	e2e_begin(e, NULL);
	e2e_await_file(e, "asked");
	e2e_await(e, "m1/em1/w2", "state", "integrated");
	keys = list_keys(e);
	assert_string_equal(json_str(json_array_get(keys, 0), "name"), "one");
	assert_string_equal(json_str(json_array_get(keys, 0), "state"), "benched");
	assert_non_null(strstr(json_str(json_array_get(keys, 0), "why"), "429"));
	assert_string_equal(json_str(json_array_get(keys, 1), "state"), "ok");
	json_decref(keys);
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
	e2e_assert_state(e, "m1", "complete");
	assert_int_equal(count_requests("one"), 3);
	assert_int_equal(count_requests("two"), 6);
	assert_int_equal(e2e_count(e, NULL, "retry", NULL), 0); /* what agents do when they see a fault */
	assert_true(e2e_count(e, NULL, "switch", NULL) >= 1);
	assert_int_equal(e2e_count(e, "m1", "key", NULL), 1);
	run = e2e_status(e, "m1");
	task = e2e_task(run, "m1/em1/w1");
	assert_int_equal(json_integer_value(json_object_get(task, "tokens_in")), 300);
	assert_int_equal(json_integer_value(json_object_get(task, "tokens_out")), 60);
	assert_int_equal(json_integer_value(json_object_get(run, "tokens_in")), 800);
	json_decref(run);
	assert_int_equal(e2e_count(e, NULL, "usage", NULL), 0); /* agents and gateway agree */
}

/* No key is left: the task waits without its agent, and goes on in its session when there are other keys. */
static void
test_waiting_is_not_failing(void **state)
{
	static const char *const spent[] = {"one", NULL}, *const fresh[] = {"two", NULL};
	struct e2e *e = *state;
	char *file, *text;
	struct ctlrun shown;
	json_t *run, *task;

	e2e_api_script(&api, "one", "reply x2\ntext ok\n" SPENT);
	e2e_api_script(&api, "two", ANSWER);
	use_keys(spent);
	e2e_plan(e, "director", "ask 1\n", "a");
	e2e_plan(e, "em-a", "ask 1\n", "x");
	e2e_script(e, "worker-a.x.1", "write a/x.txt <<END\nhalf\nEND\nask 1\n");
	e2e_script(e, "worker-a.x.2", "expect_resumed\nask 1\nwrite a/x.txt <<END\nx\nEND\nsay done\n");
	e2e_begin(e, "--detach", NULL);
	e2e_await(e, "m1/em1/w1", "state", "waiting");
	assert_int_equal(e2e_ctl(e, &shown, "status", "m1", NULL), 0);
	if (strstr(shown.out, "\nwaiting until ") != strchr(shown.out, '\n'))
		fail_msg("%s", shown.out); /* before all else */
	ctlrun_clear(&shown);
	run = e2e_status(e, "m1");
	task = e2e_task(run, "m1/em1/w1");
	if (strstr(json_str(task, "reason"), "key one: quota of") == NULL)
		fail_msg("%s", json_str(task, "reason"));
	assert_int_equal(json_integer_value(json_object_get(task, "attempt")), 1);
	while (strcmp(json_str(task, "unit"), "none") != 0) { /* its process leaves once it is told so */
		json_decref(run);
		run = e2e_status(e, "m1");
		task = e2e_task(run, "m1/em1/w1");
	}
	json_decref(run);

	file = xasprintf("%s/keys.json", e->tmp);
	text = configs(fresh);
	assert_int_equal(fd_write_file(file, text, strlen(text), 0600), 0);
	e2e_ctl_ok(e, "keys", "--reload", file, NULL);
	e2e_await(e, "m1", "state", "complete");
	e2e_assert_shows(e, "m1", "a/x.txt", "x");
	run = e2e_status(e, "m1");
	assert_int_equal(json_integer_value(json_object_get(e2e_task(run, "m1/em1/w1"), "attempt")), 1);
	json_decref(run);
	unlink(file);
	free(file);
	free(text);
}

/* The next gateway serves the same port, with the same tokens, and does not try the spent key again. */
static void
test_a_gateway_that_dies_is_replaced(void **state)
{
	static const char *const names[] = {"one", "two", NULL};
	struct e2e *e = *state;
	pid_t gateway;

	e2e_api_script(&api, "one", SPENT ANSWER);
	e2e_api_script(&api, "two", ANSWER);
	use_keys(names);
	e2e_plan(e, "director", "ask 1\n", "a");
	e2e_plan(e, "em-a", "ask 1\n", "x");
	e2e_work(e, "a.x", "ask 1\ntouch @/asked\nwait_file @/go\nask 2\n");
	e2e_begin(e, "--detach", NULL);
	e2e_await_file(e, "asked");
	e2e_await(e, "m1", "key", NULL);
	gateway = gateway_pid(e);
	assert_true(gateway > 1);
	kill(gateway, SIGKILL);
	e2e_await_gone(e, gateway);
	e2e_touch(e, "go");
	e2e_await(e, "m1", "state", "complete");
	assert_int_equal(count_requests("one"), 1);
	assert_int_equal(count_requests("two"), 5);
	assert_int_equal(e2e_count(e, NULL, "retry", NULL), 0);
}

/* What was found out about keys is in orchd's store: when both have died and somebody brings the keys back,
 * the spent one is still spent, and its endpoint is not asked. */
static void
test_a_spent_key_is_remembered(void **state)
{
	static const char *const names[] = {"one", "two", NULL};
	struct e2e *e = *state;
	char *file = xasprintf("%s/keys.json", e->tmp), *text;
	pid_t orchd, gateway;

	e2e_api_script(&api, "one", SPENT ANSWER);
	e2e_api_script(&api, "two", ANSWER);
	use_keys(names);
	text = configs(names);
	assert_int_equal(fd_write_file(file, text, strlen(text), 0600), 0);
	e2e_plan(e, "director", "ask 1\n", "a");
	e2e_plan(e, "em-a", "", "x y:x");
	e2e_work(e, "a.x", "touch @/at-worker\nwait_file @/go\n");
	e2e_work(e, "a.y", "ask 2\n");
	e2e_begin(e, "--detach", NULL);
	unsetenv("CLAUDE_CONFIGS");
	e2e_await_file(e, "at-worker");
	assert_true(e2e_count(e, "m1", "key", NULL) == 1);
	orchd = e2e_pid(e, NULL);
	gateway = gateway_pid(e);
	kill(orchd, SIGKILL);
	kill(gateway, SIGKILL);
	e2e_await_gone(e, orchd);
	e2e_await_gone(e, gateway);
	json_decref(e2e_status(e, "m1")); /* starts the next one */
	e2e_follow(e);
	e2e_ctl_ok(e, "resume", "m1", "--keys", file, NULL);
	e2e_touch(e, "go");
	e2e_await(e, "m1", "state", "complete");
	assert_int_equal(count_requests("one"), 1);
	assert_int_equal(count_requests("two"), 1 + 2);
	unlink(file);
	free(file);
	free(text);
}

/*
 * Nobody notices that orchd died; that its gateway dies then, neither, once the next one has the port. That
 * was another port at times, and the API saw 5 requests instead of 3: a worker that came back later than the
 * gateway was sent its way to it, for which orchd bound a port of its own, as it held no socket. Its agent
 * asked at the old one until it gave up, and another attempt began anew.
 */
static void
test_a_gateway_survives_its_orchd(void **state)
{
	static const char *const names[] = {"one", NULL};
	struct e2e *e = *state;
	pid_t orchd, gateway;
	json_t *run;

	e2e_api_script(&api, "one", ANSWER);
	use_keys(names);
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "x");
	e2e_work(e, "a.x",
	    "ask 1\ntouch @/asked\nwait_file @/go\nask 1\ntouch @/again\nwait_file @/gone\nask 1\n");
	e2e_begin(e, "--detach", NULL);
	e2e_await_file(e, "asked");
	unsetenv("CLAUDE_CONFIGS");
	orchd = e2e_pid(e, NULL);
	gateway = gateway_pid(e);
	kill(orchd, SIGKILL);
	e2e_await_gone(e, orchd);
	e2e_touch(e, "go"); /* nobody but the gateway is there */
	e2e_await_file(e, "again");
	json_decref(e2e_status(e, "m1")); /* starts the next orchd */
	e2e_follow(e);
	await_keys(e);          /* it has them back */
	kill(gateway, SIGKILL); /* nobody's child */
	e2e_await_gone(e, gateway);
	while (gateway_pid(e) == 0) /* the next one is started when its port is bound */
		json_decref(e2e_status(e, "m1"));
	e2e_touch(e, "gone");
	e2e_await(e, "m1", "state", "complete");
	assert_int_equal(count_requests("one"), 3);
	run = e2e_status(e, "m1");
	assert_int_equal(json_integer_value(json_object_get(e2e_task(run, "m1/em1/w1"), "attempt")), 1);
	json_decref(run);
}

/* The gateway counts, and lets nothing through that is not paid for. */
static void
test_a_budget_ends_the_run(void **state)
{
	static const char *const names[] = {"one", NULL};
	struct e2e *e = *state;
	json_t *run;

	e2e_api_script(&api, "one", "reply forever\ntext ok\nusage 300 100\n");
	use_keys(names);
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "x y:x");
	e2e_work(e, "a.x", "ask 1\n");
	e2e_script(e, "worker-a.y", "ask 9\nsay never\n");
	e2e_begin(e, "--max-run-tokens", "1000", NULL);
	assert_int_equal(e2e_end(e), 1);
	e2e_assert_state(e, "m1", "partial");
	assert_int_equal(count_requests("one"), 3);
	run = e2e_status(e, "m1");
	assert_non_null(strstr(json_str(run, "reason"), "of the run's budget of 1000 tokens are used"));
	json_decref(run);
}

static void
kill_and_wait(struct e2e *e, pid_t pid)
{
	assert_true(pid > 1);
	kill(pid, SIGKILL);
	e2e_await_gone(e, pid);
}

/* A task has a budget too: it ends with the reason, its sibling goes on, and neither the gateway's death nor
 * orchd's gives it more. */
static void
test_a_budget_of_a_task(void **state)
{
	static const char *const names[] = {"one", NULL};
	struct e2e *e = *state;
	const char *reason;
	pid_t orchd;
	json_t *run;

	e2e_api_script(&api, "one", "reply forever\ntext ok\nusage 300 100\n");
	use_keys(names);
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "ask 1\n", "x y");
	e2e_work(e, "a.x", "wait_file @/ended\nask 2\n");
	e2e_script(e, "worker-a.y",
	    "write a/y-half.txt <<END\nhalf\nEND\nask 1\ntouch @/one\nwait_file @/go\nask 1\ntouch @/two\n"
	    "wait_file @/on\nask 9\nsay never\n");
	e2e_begin(e, "--max-task-tokens", "1000", "--detach", NULL);
	unsetenv("CLAUDE_CONFIGS");
	e2e_await_file(e, "one");
	kill_and_wait(e, gateway_pid(e));
	e2e_touch(e, "go");
	e2e_await_file(e, "two");
	orchd = e2e_pid(e, NULL);
	kill_and_wait(e, orchd);
	json_decref(e2e_status(e, "m1")); /* starts the next orchd */
	e2e_follow(e);
	await_keys(e);
	e2e_touch(e, "on");
	e2e_await(e, "m1/em1/w2", "state", "failed");
	e2e_touch(e, "ended");
	e2e_await(e, "m1", "state", "partial");
	assert_int_equal(count_requests("one"), 1 + 2 + 3);
	assert_int_equal(e2e_count(e, "m1/em1/w2", "budget", NULL), 1);
	assert_int_equal(e2e_count(e, NULL, "retry", NULL), 0);
	run = e2e_status(e, "m1");
	reason = json_str(e2e_task(run, "m1/em1/w2"), "reason");
	if (strstr(reason, "nothing is left of the budget of m1/em1/w2: 1200 of 1000 tokens") == NULL)
		fail_msg("%s", reason);
	assert_int_equal(json_integer_value(json_object_get(e2e_task(run, "m1/em1/w2"), "attempt")), 1);
	assert_int_equal(json_integer_value(json_object_get(e2e_task(run, "m1/em1/w2"), "tokens_in")), 900);
	json_decref(run);
	e2e_assert_state(e, "m1/em1/w1", "integrated");
}

/* What an attempt may spend the gateway sees to as well, by its own prices; the next one has as much again.
 */
static void
test_a_budget_of_an_attempt(void **state)
{
	static const char *const names[] = {"one", NULL};
	struct e2e *e = *state;
	static const char prices[] =
	    "{\"date\":\"2026-12-24\",\"models\":{\"claude-sonnet-5-5\":{\"input\":8,\"output\":1}}}";
	char *file = xasprintf("%s/prices.json", e->tmp);
	const char *reason;
	json_t *run, *keys;

	assert_int_equal(fd_write_file(file, prices, strlen(prices), 0600), 0);
	e2e_api_script(&api, "one", "reply forever\ntext ok\nusage 10000 0\n"); /* 0.08 USD */
	use_keys(names);
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "x");
	e2e_script(e, "worker-a.x.1", "ask 2\ntouch @/asked\nwait_file @/go\nerror It broke\n");
	e2e_script(e, "worker-a.x.2", "ask 9\nsay never\n");
	e2e_begin(e, "--max-usd-worker", "0.2", "--prices", file, NULL);
	e2e_await_file(e, "asked");
	await_keys(e);
	keys = list_keys(e);
	assert_string_equal(json_str(json_array_get(keys, 0), "prices"), "2026-12-24");
	json_decref(keys);
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 1);
	assert_int_equal(count_requests("one"), 2 + 3);
	run = e2e_status(e, "m1");
	reason = json_str(e2e_task(run, "m1/em1/w1"), "reason");
	if (strstr(reason, "nothing is left of the budget of m1/em1/w1: 0.4000 of 0.3600 USD") == NULL)
		fail_msg("%s", reason);
	assert_string_equal(json_str(run, "prices"), "2026-12-24");
	json_decref(run);
	unlink(file);
	free(file);
}

/* Three areas with three tasks each; every worker asks four times. Returns how long the run took. */
static int64_t
run_team(struct e2e *e)
{
	int64_t begin = clock_now_ms();

	e2e_plan(e, "director", "ask 1\n", "a b c");
	for (char area = 'a'; area <= 'c'; area++) {
		char name[16];

		snprintf(name, sizeof(name), "em-%c", area);
		e2e_plan(e, name, "ask 1\n", "x y z");
		for (char task = 'x'; task <= 'z'; task++) {
			snprintf(name, sizeof(name), "%c.%c", area, task);
			e2e_work(e, name, "ask 4\n");
		}
	}
	e2e_begin(e, NULL);
	assert_int_equal(e2e_end(e), 0);
	e2e_assert_state(e, "m1", "complete");
	assert_int_equal(e2e_count(e, NULL, "retry", NULL), 0);
	return clock_now_ms() - begin;
}

/* Two keys, of which one is benched twice while nine workers ask: no agent has to ask again. */
static void
test_nine_workers_and_two_keys(void **state)
{
	static const char *const names[] = {"one", "two", NULL};
	struct e2e *e = *state;

	e2e_api_script(&api, "one",
	    "reply x2\ntext ok\nhttp 429 x1\nheader retry-after: 1\n"
	    "reply x2\ntext ok\nhttp 429 x1\nheader retry-after: 1\n" ANSWER);
	e2e_api_script(&api, "two", ANSWER);
	use_keys(names);
	print_message("two keys, one benched twice: %lld ms\n", (long long)run_team(e));
	assert_int_equal(e2e_count(e, "m1", "key", NULL), 2);
	assert_int_equal(count_requests("one") + count_requests("two"), 1 + 3 + 9 * 4 + 2);
}

/* By hand, with ORCH_BENCH set: what the run above is measured against. */
static void
test_nine_workers_and_one_key(void **state)
{
	static const char *const names[] = {"one", NULL};
	struct e2e *e = *state;

	if (getenv("ORCH_BENCH") == NULL)
		skip();
	e2e_api_script(&api, "one", ANSWER);
	use_keys(names);
	print_message("one unlimited key: %lld ms\n", (long long)run_team(e));
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_a_spent_key_is_nobodys_affair),
	    T(test_waiting_is_not_failing),
	    T(test_a_gateway_that_dies_is_replaced),
	    T(test_a_spent_key_is_remembered),
	    T(test_a_gateway_survives_its_orchd),
	    T(test_a_budget_ends_the_run),
	    T(test_a_budget_of_a_task),
	    T(test_a_budget_of_an_attempt),
	    T(test_nine_workers_and_two_keys),
	    T(test_nine_workers_and_one_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
