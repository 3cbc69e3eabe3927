/* GitHub's events as orders: a label starts a run, commands steer it, and what means nothing is no failure.
 */
#include "common/alloc.h"
#include "common/fd.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BY(login, association)                                                                               \
	"\"user\":{\"login\":\"" login "\",\"type\":\"User\"},\"author_association\":\"" association "\""
#define LABELED(association)                                                                                 \
	"{\"action\":\"labeled\",\"label\":{\"name\":\"orchestrator\"},\"issue\":{\"number\":25,"            \
	"\"title\":\"Build it\",\"body\":\"All of it.\"," BY("eve", association) "}}"
#define COMMENT(text, association)                                                                           \
	"{\"action\":\"created\",\"issue\":{\"number\":25,\"title\":\"Build it\"," BY(                       \
	    "eve", "NONE") "},\"comment\":{\"body\":\"" text "\"," BY("bob", association) "}}"
#define CLOSED "{\"action\":\"closed\",\"issue\":{\"number\":25,\"title\":\"Build it\"}}"

static void
set_event(struct e2e *e, const char *name, const char *json)
{
	char *path = xasprintf("%s/event.json", e->scripts);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(json, f);
	assert_int_equal(fclose(f), 0);
	setenv("GITHUB_EVENT_NAME", name, 1);
	setenv("GITHUB_EVENT_PATH", path, 1);
	free(path);
}

static int
tear_down(void **state)
{
	unsetenv("GITHUB_EVENT_NAME");
	unsetenv("GITHUB_EVENT_PATH");
	return e2e_teardown(state);
}

/* run --event, which must exit 0 and say words (on either stream). */
static void
expect(struct e2e *e, const char *name, const char *json, const char *words)
{
	struct ctlrun r;

	set_event(e, name, json);
	if (e2e_ctl(e, &r, "run", "--event", "--detach", NULL) != 0)
		fail_msg("exit %d: %s", r.status, r.err);
	if (strstr(r.err, words) == NULL && strstr(r.out, words) == NULL)
		fail_msg("\"%s\" is not in: %s%s", words, r.out, r.err);
	ctlrun_clear(&r);
}

static void
test_what_means_nothing(void **state)
{
	struct e2e *e = *state;
	struct ctlrun r;

	e2e_remember(e);
	expect(e, "push", "{\"ref\":\"refs/heads/main\"}", "means nothing");
	expect(e, "issue_comment", COMMENT("thanks", "OWNER"), "does not begin with /orch");
	expect(e, "issue_comment", COMMENT("/orch retry", "OWNER"), "no run of issue 25 is here");
	expect(e, "issues", CLOSED, "no run of issue 25 is here");
	expect(e, "issues", LABELED("NONE"), "eve is no collaborator");
	expect(e, "issue_comment", COMMENT("/orch run", "CONTRIBUTOR"), "bob is no collaborator");
	setenv("ORCH_TRIGGER_LABEL", "team", 1);
	expect(e, "issues", LABELED("OWNER"), "that is what team is for");
	unsetenv("ORCH_TRIGGER_LABEL");
	set_event(e, "issues", "{\"action\":\"closed\"}");
	assert_int_equal(e2e_ctl(e, &r, "run", "--event", NULL), 2);
	assert_non_null(strstr(r.err, "GITHUB_EVENT_PATH"));
	ctlrun_clear(&r);
	unsetenv("GITHUB_EVENT_PATH");
	assert_int_equal(e2e_ctl(e, &r, "run", "--event", NULL), 2);
	ctlrun_clear(&r);
	e2e_ctl(e, &r, "status", NULL);
	assert_true(strstr(r.err, "no runs yet") != NULL || strstr(r.out, "no runs yet") != NULL);
	ctlrun_clear(&r);
}

static void
write_scripts(struct e2e *e)
{
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", "touch @/at-one\nwait_file @/go\n");
}

static void
test_a_label_starts_and_closing_cancels(void **state)
{
	struct e2e *e = *state;

	write_scripts(e);
	e2e_remember(e);
	expect(e, "issues", LABELED("MEMBER"), "25");
	e2e_follow(e);
	e2e_await_file(e, "at-one");
	expect(e, "issue_comment", COMMENT("/orch status", "OWNER"), "The one");
	expect(e, "issues", CLOSED, "cancelled 25");
	e2e_await(e, "25", "state", "cancelled");
	expect(e, "issues", CLOSED, "no run of issue 25 goes on");
	expect(e, "pull_request",
	    "{\"action\":\"closed\",\"pull_request\":{\"number\":31,\"merged\":true,\"head\":{\"ref\":\"cco/"
	    "25-build-it\"}}}",
	    "25");
}

static void
test_a_comment_starts_a_run(void **state)
{
	struct e2e *e = *state;

	write_scripts(e);
	e2e_touch(e, "go");
	e2e_remember(e);
	expect(e, "issue_comment", COMMENT("/orch run", "COLLABORATOR"), "25");
	e2e_follow(e);
	e2e_await(e, "25", "state", "complete");
	e2e_assert_state(e, "25/em1/w1", "integrated");
}

/* The file that the runner made for a step. */
static char *
read_back(struct e2e *e, const char *name)
{
	char *path = xasprintf("%s/%s", e->scripts, name), *text;
	size_t size;

	assert_int_equal(fd_read_file(path, 1 << 20, &text, &size), 0);
	free(path);
	return text;
}

/* A workflow's step: what agents say is no command, the key is masked first, and the step has its results. */
static void
test_in_a_workflow(void **state)
{
	static const char *const files[] = {"GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"};
	struct e2e *e = *state;
	const char *mask, *off, *on;
	char end[80], *text;
	struct ctlrun r;

	write_scripts(e);
	e2e_touch(e, "go");
	e2e_remember(e);
	set_event(e, "issues", LABELED("OWNER"));
	setenv("GITHUB_ACTIONS", "true", 1);
	setenv("ANTHROPIC_API_KEY", "sk-test-dummy-masked", 1);
	for (size_t i = 0; i < 2; i++) {
		text = xasprintf("%s/%s", e->scripts, files[i]);
		setenv(files[i], text, 1);
		free(text);
	}
	assert_int_equal(e2e_ctl(e, &r, "run", "--event", NULL), 0);
	for (size_t i = 0; i < 2; i++)
		unsetenv(files[i]);
	unsetenv("ANTHROPIC_API_KEY");
	unsetenv("GITHUB_ACTIONS");
	assert_string_equal(r.err, ""); /* one stream, so that order is kept */
	mask = strstr(r.out, "::add-mask::sk-test-dummy-masked\n");
	off = strstr(r.out, "::stop-commands::");
	assert_ptr_equal(mask, r.out);
	assert_true(off > mask && strstr(mask + 1, "sk-test-dummy-masked") == mask + strlen("::add-mask::"));
	snprintf(end, sizeof(end), "\n::%.32s::\n", off + strlen("::stop-commands::"));
	on = strstr(off, end);
	assert_non_null(on);
	assert_true(strstr(r.out, "run 25") > off && strstr(r.out, "run 25") < on);
	text = read_back(e, "GITHUB_STEP_SUMMARY");
	assert_ptr_equal(strstr(text, "# Run 25: Build it"), text);
	free(text);
	text = read_back(e, "GITHUB_OUTPUT");
	assert_non_null(strstr(text, "\ncomplete\n"));
	assert_non_null(strstr(text, "\ncco/25-build-it\n"));
	assert_non_null(strstr(text, "cost-usd<<"));
	assert_null(strstr(text, end + 1)); /* the token of the outputs is another one */
	free(text);
	ctlrun_clear(&r);
}

int
main(void)
{
#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, e2e_setup, tear_down)
	const struct CMUnitTest tests[] = {
	    RUN_TEST(test_what_means_nothing),
	    RUN_TEST(test_a_label_starts_and_closing_cancels),
	    RUN_TEST(test_a_comment_starts_a_run),
	    RUN_TEST(test_in_a_workflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
