/*
 * Every payload that octokit has recorded of GitHub's events, of github.com and of its servers: each means
 * something or is passed over with a sentence, and none is taken for what it is not.
 */
#include "supervisor/ctl/event.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "common/json.h"
#include "tests/helper/lib/test.h"

#include <stdlib.h>
#include <string.h>

#define ACTS 8

static json_t *events; /* of one edition at a time: [{"name", "examples"}] */

static json_t *
load(const char *edition)
{
	char *path = xasprintf("%s/node_modules/@octokit/webhooks-examples/%s/index.json",
	    getenv("ORCH_GITHUB_STANDINS"), edition);
	json_t *j = json_load_file(path, 0, NULL);

	if (j == NULL)
		fail_msg("%s cannot be read", path);
	free(path);
	return j;
}

/* Reads payload as an event of that name; what it means. */
static enum event_act
judge(const char *name, const json_t *payload, struct event *ev)
{
	char *text = json_text(payload);
	struct err e = {""};

	if (event_read(ev, name, "bug", text, strlen(text), &e) < 0)
		fail_msg("%s: %s: %.300s", name, e.msg, text);
	assert_non_null(ev->why);
	assert_true(strlen(ev->why) > 10 && strchr(ev->why, '\n') == NULL);
	free(text);
	return ev->act;
}

static void
test_all_of_them(void **state)
{
	static const char *const editions[] = {
	    "api.github.com", "ghes-31", "ghes-32", "ghes-33", "ghes-34", "ghes-35"};
	unsigned counts[ACTS] = {0}, all = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(editions) / sizeof(editions[0]); i++) {
		json_t *one, *payload;
		size_t k, n;

		events = load(editions[i]);
		json_array_foreach (events, k, one) {
			json_array_foreach (json_object_get(one, "examples"), n, payload) {
				struct event ev;

				counts[judge(json_str(one, "name"), payload, &ev)]++;
				all++;
				event_clear(&ev);
			}
		}
		json_decref(events);
	}
	print_message("%u payloads: %u mean nothing, %u run, %u cancel, %u landed, %u address, %u command\n",
	    all, counts[EVENT_NOTHING], counts[EVENT_RUN], counts[EVENT_CANCEL], counts[EVENT_LANDED],
	    counts[EVENT_ADDRESS], counts[EVENT_COMMAND]);
	assert_true(all > 500);
	assert_true(counts[EVENT_RUN] > 0); /* their label is the one that we gave */
	assert_int_equal(counts[EVENT_COMMAND], 0);
}

/* The first example of an event with that action; json_decref. */
static json_t *
example(const char *name, const char *action)
{
	json_t *all = load("api.github.com"), *one, *payload, *found = NULL;
	size_t k, n;

	json_array_foreach (all, k, one) {
		if (strcmp(json_str(one, "name"), name) != 0)
			continue;
		json_array_foreach (json_object_get(one, "examples"), n, payload) {
			const char *is = json_str(payload, "action");

			if (found == NULL && is != NULL && strcmp(is, action) == 0)
				found = json_deep_copy(payload);
		}
	}
	json_decref(all);
	if (found == NULL)
		fail_msg("there is no example of %s %s", name, action);
	return found;
}

/* What the recordings lack is one field away. */
static void
test_one_field_away(void **state)
{
	json_t *j = example("pull_request", "closed");
	struct event ev;

	(void)state;
	json_object_set_new(json_object_get(j, "pull_request"), "merged", json_false());
	assert_int_equal(judge("pull_request", j, &ev), EVENT_NOTHING);
	event_clear(&ev);
	json_object_set_new(json_object_get(j, "pull_request"), "merged", json_true());
	assert_int_equal(judge("pull_request", j, &ev), EVENT_LANDED);
	assert_non_null(ev.branch);
	event_clear(&ev);
	json_decref(j);

	j = example("pull_request_review", "submitted");
	json_object_set_new(json_object_get(j, "review"), "state", json_string("approved"));
	assert_int_equal(judge("pull_request_review", j, &ev), EVENT_NOTHING);
	event_clear(&ev);
	json_object_set_new(json_object_get(j, "review"), "state", json_string("changes_requested"));
	assert_int_equal(judge("pull_request_review", j, &ev), EVENT_ADDRESS);
	assert_true(ev.issue > 0 && ev.actor != NULL);
	event_clear(&ev);
	json_decref(j);

	j = example("issue_comment", "created");
	json_object_set_new(json_object_get(j, "comment"), "body", json_string("/orch answer in C"));
	assert_int_equal(judge("issue_comment", j, &ev), EVENT_COMMAND);
	assert_int_equal(ev.command, EVENT_CMD_ANSWER);
	assert_string_equal(ev.text, "in C");
	event_clear(&ev);
	json_decref(j);

	j = example("issues", "labeled");
	assert_int_equal(judge("issues", j, &ev), EVENT_RUN); /* by the label bug, as we were told */
	assert_true(ev.issue > 0 && ev.actor != NULL && ev.repository != NULL);
	event_clear(&ev);
	json_decref(j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all_of_them),
	    cmocka_unit_test(test_one_field_away),
	};

	if (getenv("ORCH_GITHUB_STANDINS") == NULL) {
		fprintf(stderr, "skipped: script/test --github installs the recorded payloads\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
