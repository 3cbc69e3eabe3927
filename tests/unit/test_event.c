/* event: what GitHub's events ask of us, and that nothing else does. */
#include "supervisor/ctl/event.h"

#include "common/alloc.h"
#include "tests/helper/lib/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REPO "\"repository\":{\"full_name\":\"ada/engine\"},\"sender\":{\"login\":\"ada\",\"type\":\"User\"}"
#define ISSUE                                                                                                \
	"\"issue\":{\"number\":25,\"title\":\"Build a calculator\",\"body\":\"It "                           \
	"adds.\",\"user\":{\"login\":\"eve\"},\"author_association\":\"NONE\"}"
#define PULL(merged)                                                                                         \
	"\"pull_request\":{\"number\":31,\"title\":\"t\",\"body\":null,\"merged\":" merged                   \
	",\"head\":{\"ref\":\"cco/25-x\"}}"

static struct event ev;

static void
read_event(const char *name, const char *json)
{
	struct err e = {""};

	event_clear(&ev);
	if (event_read(&ev, name, EVENT_TRIGGER, json, strlen(json), &e) < 0)
		fail_msg("%s", e.msg);
	assert_non_null(ev.why);
}

static void
assert_nothing(const char *name, const char *json, const char *why)
{
	read_event(name, json);
	assert_int_equal(ev.act, EVENT_NOTHING);
	if (strstr(ev.why, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", ev.why, why);
}

static int
tear_down(void **state)
{
	(void)state;
	event_clear(&ev);
	return 0;
}

static void
test_a_label_starts_a_run(void **state)
{
	(void)state;
	read_event(
	    "issues", "{\"action\":\"labeled\",\"label\":{\"name\":\"orchestrator\"}," ISSUE "," REPO "}");
	assert_int_equal(ev.act, EVENT_RUN);
	assert_int_equal(ev.issue, 25);
	assert_string_equal(ev.title, "Build a calculator");
	assert_string_equal(ev.body, "It adds.");
	assert_string_equal(ev.repository, "ada/engine");
	assert_string_equal(ev.actor, "ada");
	assert_string_equal(ev.author, "eve");
	assert_false(ev.trusted);
	assert_nothing(
	    "issues", "{\"action\":\"labeled\",\"label\":{\"name\":\"bug\"}," ISSUE "}", "label bug");
	assert_nothing("issues", "{\"action\":\"opened\"," ISSUE "}", "means nothing");
}

static void
test_a_closed_issue_cancels(void **state)
{
	(void)state;
	read_event("issues", "{\"action\":\"closed\"," ISSUE "," REPO "}");
	assert_int_equal(ev.act, EVENT_CANCEL);
	assert_int_equal(ev.issue, 25);
}

static char *
comment(const char *body, const char *type, const char *more)
{
	return xasprintf("{\"action\":\"created\",\"issue\":{\"number\":25%s},\"comment\":{\"author_"
			 "association\":\"MEMBER\",\"body\":\"%s\","
			 "\"user\":{\"login\":\"bob\",\"type\":\"%s\"}}," REPO "}",
	    more, body, type);
}

static void
read_comment(const char *body)
{
	char *json = comment(body, "User", "");

	read_event("issue_comment", json);
	free(json);
}

static void
assert_command(const char *body, enum event_command command, const char *text)
{
	read_comment(body);
	assert_int_equal(ev.act, EVENT_COMMAND);
	assert_int_equal(ev.command, command);
	assert_string_equal(ev.text, text);
	assert_string_equal(ev.actor, "ada");
	assert_string_equal(ev.author, "bob");
	assert_true(ev.trusted);
}

static void
assert_no_command(const char *body, const char *why)
{
	read_comment(body);
	assert_int_equal(ev.act, EVENT_NOTHING);
	if (strstr(ev.why, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", ev.why, why);
}

static void
test_commands(void **state)
{
	(void)state;
	assert_command("/orch run", EVENT_CMD_RUN, "");
	assert_command("  /orch\\tcancel \\r\\n", EVENT_CMD_CANCEL, "");
	assert_command("/orch retry em1/w2", EVENT_CMD_RETRY, "em1/w2");
	assert_command("/orch retry", EVENT_CMD_RETRY, "");
	assert_command("/orch answer yes, both\\nof them\\n", EVENT_CMD_ANSWER, "yes, both\nof them");
	assert_no_command("/orch answer  ", "needs a text");
	assert_no_command("/orch run 26", "takes no text");
	assert_no_command("/orch runs", "no such command");
	assert_no_command("/orch", "commands are");
	assert_no_command("/orchestrate run", "does not begin");
	assert_no_command("please /orch run", "does not begin");
	assert_no_command("", "does not begin");
	assert_no_command("/orch address", "pull requests");
}

static void
test_bots_start_nothing(void **state)
{
	char *json = comment("/orch run", "Bot", "");

	(void)state;
	assert_nothing("issue_comment", json, "bot");
	free(json);
	assert_nothing("pull_request_review",
	    "{\"action\":\"submitted\",\"review\":{\"state\":\"changes_requested\",\"user\":{\"login\":\"ci["
	    "bot]\"}}," PULL("false") "}",
	    "bot");
}

static void
test_address_belongs_to_a_pull_request(void **state)
{
	char *json = comment("/orch address", "User", ",\"pull_request\":{\"url\":\"x\"}");

	(void)state;
	read_event("issue_comment", json);
	free(json);
	assert_int_equal(ev.act, EVENT_COMMAND);
	assert_int_equal(ev.command, EVENT_CMD_ADDRESS);
	assert_true(ev.pull_request);
}

#define REVIEW(state, body)                                                                                  \
	"{\"action\":\"submitted\",\"review\":{\"state\":\"" state "\",\"body\":" body                       \
	",\"user\":{\"login\":\"bob\",\"type\":\"User\"}}," PULL("false") "," REPO "}"

static void
test_reviews(void **state)
{
	(void)state;
	read_event("pull_request_review", REVIEW("changes_requested", "null"));
	assert_int_equal(ev.act, EVENT_ADDRESS);
	assert_int_equal(ev.issue, 31);
	assert_string_equal(ev.branch, "cco/25-x");
	read_event("pull_request_review", REVIEW("commented", "\"a better name?\""));
	assert_int_equal(ev.act, EVENT_ADDRESS);
	assert_nothing("pull_request_review", REVIEW("approved", "\"fine\""), "no change");
	assert_nothing("pull_request_review", REVIEW("commented", "\" \""), "no change");
}

static void
test_closed_pull_requests(void **state)
{
	(void)state;
	read_event("pull_request", "{\"action\":\"closed\"," PULL("true") "," REPO "}");
	assert_int_equal(ev.act, EVENT_LANDED);
	assert_string_equal(ev.branch, "cco/25-x");
	assert_nothing("pull_request", "{\"action\":\"closed\"," PULL("false") "," REPO "}", "kept");
	assert_nothing("pull_request", "{\"action\":\"opened\"," PULL("false") "," REPO "}", "means nothing");
}

static void
test_dispatch(void **state)
{
	(void)state;
	read_event("workflow_dispatch", "{\"inputs\":{\"issue-number\":\"25\"}," REPO "}");
	assert_int_equal(ev.act, EVENT_RUN);
	assert_int_equal(ev.issue, 25);
	read_event("workflow_dispatch", "{\"inputs\":{\"issue\":\"#7\"},\"sender\":{\"login\":\"github-"
					"actions[bot]\",\"type\":\"Bot\"}}");
	assert_int_equal(ev.issue, 7);
	assert_null(ev.actor); /* nobody is asked about */
	assert_nothing("workflow_dispatch", "{\"inputs\":{\"issue-number\":\"\"}}", "without the input");
	assert_nothing("workflow_dispatch", "{\"inputs\":null}", "without the input");
}

static void
assert_refused(const char *name, const char *json, const char *why)
{
	struct event bad;
	struct err e = {""};

	assert_int_equal(event_read(&bad, name, EVENT_TRIGGER, json, strlen(json), &e), -EINVAL);
	if (strstr(e.msg, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", e.msg, why);
	assert_null(bad.why);
}

static void
test_what_is_no_payload(void **state)
{
	(void)state;
	assert_refused("issues", "[]", "not a JSON object");
	assert_refused("issues", "{", "line 1");
	assert_refused("issues", "{\"action\":\"closed\"}", "no issue");
	assert_refused("issues", "{\"action\":\"closed\",\"issue\":{\"number\":-1}}", "no issue");
	assert_refused("issues", "{\"action\":\"closed\",\"issue\":{\"number\":\"25\"}}", "no issue");
	assert_refused("issues", "{\"action\":\"labeled\"," ISSUE "}", "no label");
	assert_refused("pull_request_review", "{\"action\":\"submitted\"," PULL("false") "}", "no review");
	assert_refused("workflow_dispatch", "{\"inputs\":{\"issue\":\"25; rm\"}}", "not an issue number");
	assert_nothing("a\033]0;b", "{\"action\":\"x\\u001b[2Jy\"}", "means nothing");
	assert_null(strchr(ev.why, '\033'));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_a_label_starts_a_run, tear_down),
	    cmocka_unit_test_teardown(test_a_closed_issue_cancels, tear_down),
	    cmocka_unit_test_teardown(test_commands, tear_down),
	    cmocka_unit_test_teardown(test_bots_start_nothing, tear_down),
	    cmocka_unit_test_teardown(test_address_belongs_to_a_pull_request, tear_down),
	    cmocka_unit_test_teardown(test_reviews, tear_down),
	    cmocka_unit_test_teardown(test_closed_pull_requests, tear_down),
	    cmocka_unit_test_teardown(test_dispatch, tear_down),
	    cmocka_unit_test_teardown(test_what_is_no_payload, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
