/*
 * A job that ends before its run: everything is pushed, and a fresh clone on another machine goes on. What
 * was done is not done again, what was begun goes on from its files, and a state that somebody has tampered
 * with is passed over.
 */
#include "tests/github/standins.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "common/json.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct standins s;
static struct github *gh;
static char number[32], *branch, *bare, *ref;

static int
set_up(void **state)
{
	int rc = e2e_setup(state);
	struct e2e *e = *state;

	if (rc != 0)
		return rc;
	unsetenv("GITHUB_ACTIONS"); /* whoever runs the tests may be a job himself */
	unsetenv("CI");
	setenv("GITHUB_TOKEN", STANDIN_TOKEN, 1);
	setenv("GITHUB_API_URL", s.api, 1);
	setenv("GITHUB_SERVER_URL", s.git, 1);
	setenv("REPO_OWNER", "octo", 1);
	setenv("REPO_NAME", "hello", 1);
	setenv("ORCH_GITHUB_WRITE_GAP", "0", 1);
	gh = standins_client(&s, &e->repo->loop, STANDIN_TOKEN);
	snprintf(number, sizeof(number), "%" PRIu64, standins_issue(gh, "Build it", "All of it."));
	branch = xasprintf("cco/%s-build-it", number);
	ref = xasprintf("refs/orch/state/%s", number);
	bare = standins_remote(&s, e->repo, gh, branch);
	e2e_forget(e); /* the clone is made anew */
	return 0;
}

static int
tear_down(void **state)
{
	static const char *const names[] = {"GITHUB_TOKEN", "GITHUB_API_URL", "GITHUB_SERVER_URL",
	    "REPO_OWNER", "REPO_NAME", "ORCH_GITHUB_WRITE_GAP", "ORCH_JOB_MS", "GITHUB_ACTIONS"};

	standins_count(&s, gh, "GET", "/");
	github_close(gh);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	free(branch);
	free(bare);
	free(ref);
	return e2e_teardown(state);
}

/* Area a has a task that ends and one that waits in the middle of its work for the file go. */
static void
write_scripts(struct e2e *e)
{
	e2e_plan(e, "director", "touch @/planned\n", "a");
	e2e_plan(e, "em-a", "", "one two");
	e2e_work(e, "a.one", "append @/ones <<END\nonce\nEND\n");
	e2e_work(e, "a.two",
	    "append @/twos <<END\nonce\nEND\nwrite a/two-half.txt <<END\nhalf\nEND\ntouch "
	    "@/at-two\nwait_file @/go\n");
}

static char *
file_text(struct e2e *e, const char *name)
{
	char *path = xasprintf("%s/%s", e->scripts, name), *text;

	assert_int_equal(fd_read_file(path, 4096, &text, NULL), 0);
	free(path);
	return text;
}

/* orchctl run to the middle, then orchctl stop --save. */
static void
run_to_the_middle(struct e2e *e)
{
	char *first = xasprintf("%s/em1/w1", number);
	struct ctlrun r;

	write_scripts(e);
	e2e_ctl_ok(e, "run", number, "--detach", NULL);
	e2e_follow(e);
	e2e_await_file(e, "at-two");
	e2e_await(e, first, "state", "integrated");
	free(first);
	if (e2e_ctl(e, &r, "stop", "--save", NULL) != 0)
		fail_msg("%s%s", r.out, r.err);
	ctlrun_clear(&r);
}

static void
test_goes_on_elsewhere(void **state)
{
	struct e2e *e = *state;
	struct ctlrun r;
	char *text;

	run_to_the_middle(e);
	testrepo_do(e->repo, bare, "rev-parse", ref, NULL);
	e2e_begin_anew(e);
	e2e_unlink(e, "planned");
	e2e_touch(e, "go");
	if (e2e_ctl(e, &r, "run", number, NULL) != 0)
		fail_msg("%s%s", r.out, r.err);
	if (strstr(r.err, "goes on from what another machine has saved") == NULL)
		fail_msg("%s%s", r.out, r.err);
	ctlrun_clear(&r);
	e2e_assert_state(e, number, "complete");
	assert_false(e2e_has_file(e, "planned"));
	text = file_text(e, "ones");
	assert_string_equal(text, "once\n");
	free(text);
	text = file_text(e, "twos");
	assert_string_equal(text, "once\nonce\n");
	free(text);
	e2e_assert_shows(e, number, "a/one.txt", "one");
	e2e_assert_shows(e, number, "a/two-half.txt", "half");
	assert_int_not_equal(testrepo_try(e->repo, bare, "rev-parse", "--verify", "-q", ref, NULL), 0);
}

/* orchd run with these arguments, to its end: its exit status. */
static int
job(struct e2e *e, struct ctlrun *r, const char *first, const char *second)
{
	const char *argv[] = {"run", first, second, NULL};

	ctlrun_program(r, e->repo, ORCH_BIN_DIR "/orchd", e->repo->top, false, argv, NULL, NULL);
	ctlrun_wait(r);
	return r->status;
}

/* As in a workflow: the front stops itself, says so, and the step's result is "stopped". */
static void
test_stops_itself(void **state)
{
	struct e2e *e = *state;
	char *out = xasprintf("%s/output", e->scripts), *text;
	struct ctlrun r;

	write_scripts(e);
	e2e_work(e, "a.two", "touch @/at-two\nwait_file @/go\n");
	setenv("GITHUB_ACTIONS", "true", 1);
	setenv("GITHUB_OUTPUT", out, 1);
	setenv("ORCH_JOB_MS", "4000", 1);
	job(e, &r, number, "--trust");
	unsetenv("GITHUB_OUTPUT");
	unsetenv("ORCH_JOB_MS");
	if (r.status != 1 || strstr(r.out, "this job's time is over") == NULL)
		fail_msg("%d: %s%s", r.status, r.out, r.err);
	ctlrun_clear(&r);
	text = file_text(e, "output");
	assert_non_null(strstr(text, "\nstopped\n"));
	free(text);
	testrepo_do(e->repo, bare, "rev-parse", ref, NULL);
	e2e_begin_anew(e);
	e2e_touch(e, "go");
	if (job(e, &r, number, "--trust") != 0 ||
	    strstr(r.out, "goes on from what another machine has saved") == NULL)
		fail_msg("%d: %s%s", r.status, r.out, r.err);
	ctlrun_clear(&r);
	free(out);
}

/* An event that octo made happen; a job is started for it. */
static void
event_job(struct e2e *e, struct ctlrun *r, const char *name, const char *action, const char *comment)
{
	char *path = xasprintf("%s/event.json", e->scripts);
	json_t *j = json_pack("{s:s, s:{s:s}, s:{s:I, s:s, s:s}, s:{s:s, s:s, s:{s:s, s:s}}}", "action",
	    action, "sender", "login", "octo", "issue", "number", (json_int_t)atoi(number), "title",
	    "Build it", "body", "All of it.", "comment", "body", comment, "author_association", "NONE",
	    "user", "login", "octo", "type", "User");

	assert_int_equal(json_dump_file(j, path, 0), 0);
	setenv("GITHUB_EVENT_NAME", name, 1);
	setenv("GITHUB_EVENT_PATH", path, 1);
	if (job(e, r, "--event", NULL) != 0)
		fail_msg("%d: %s%s", r->status, r->out, r->err);
	unsetenv("GITHUB_EVENT_NAME");
	unsetenv("GITHUB_EVENT_PATH");
	json_decref(j);
	free(path);
}

/* A question ends the job; the comment that answers it starts the next one. */
static void
test_an_answer_starts_the_next_job(void **state)
{
	struct e2e *e = *state;
	char *out = xasprintf("%s/output", e->scripts), *text;
	struct ctlrun r;

	e2e_script(e, "director",
	    "plan <<END\n{\"summary\":\"s\",\"question\":\"In which "
	    "language?\",\"areas\":[{\"id\":\"a\",\"title\":\"A\",\"goal\":\"Do "
	    "a\",\"owns\":[\"a/\"],\"depends_on\":[]}]}\nEND\n");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", "");
	setenv("GITHUB_ACTIONS", "true", 1);
	setenv("GITHUB_OUTPUT", out, 1);
	if (job(e, &r, number, "--trust") != 1 || strstr(r.out, "In which language?") == NULL)
		fail_msg("%d: %s%s", r.status, r.out, r.err);
	ctlrun_clear(&r);
	unsetenv("GITHUB_OUTPUT");
	text = file_text(e, "output");
	assert_non_null(strstr(text, "\nneeds-human\n"));
	free(text);
	e2e_begin_anew(e);
	e2e_plan(e, "director", "expect_prompt in plain C\n", "a");
	event_job(e, &r, "issue_comment", "created", "/orch answer in plain C");
	if (strstr(r.out, "goes on from what another machine has saved") == NULL)
		fail_msg("%s%s", r.out, r.err);
	ctlrun_clear(&r);
	e2e_assert_state(e, number, "complete");
	e2e_ctl_ok(e, "stop", NULL); /* who only looked has started one */
	event_job(e, &r, "issue_comment", "created", "/orch answer in plain C");
	if (strstr(r.err, "goes on here: nothing to do") == NULL)
		fail_msg("%s%s", r.out, r.err);
	ctlrun_clear(&r);
	free(out);
}

static int
find_end(void *arg, const struct github_comment *c, struct err *why)
{
	(void)why;
	*(unsigned *)arg += strstr(c->body, "### orch: cancelled") != NULL;
	return 0;
}

/* The issue is closed while nobody works on it: the next machine tidies up and says so. */
static void
test_closing_cancels_what_was_saved(void **state)
{
	struct e2e *e = *state;
	unsigned said = 0;
	struct ctlrun r;
	struct err err;

	run_to_the_middle(e);
	e2e_begin_anew(e);
	event_job(e, &r, "issues", "closed", "");
	ctlrun_clear(&r);
	e2e_assert_state(e, number, "cancelled");
	assert_int_not_equal(testrepo_try(e->repo, bare, "rev-parse", "--verify", "-q", ref, NULL), 0);
	assert_int_equal(github_comments_each(gh, strtoull(number, NULL, 10), find_end, &said, &err), 0);
	assert_int_equal(said, 1);
	e2e_begin_anew(e);
	event_job(e, &r, "issues", "closed", "");
	assert_non_null(strstr(r.err, "none that another machine saved: nothing to do"));
	ctlrun_clear(&r);
}

/* A job that is cancelled has some seconds between the signals: enough to push what there is. */
static void
test_a_cancelled_job_is_saved(void **state)
{
	struct e2e *e = *state;
	const char *argv[] = {"run", number, "--trust", NULL};
	struct ctlrun r;

	write_scripts(e);
	setenv("GITHUB_ACTIONS", "true", 1);
	ctlrun_program(&r, e->repo, ORCH_BIN_DIR "/orchd", e->repo->top, false, argv, NULL, NULL);
	e2e_await_file(e, "at-two");
	assert_int_equal(kill(r.pid, SIGINT), 0);
	ctlrun_wait(&r);
	ctlrun_clear(&r);
	testrepo_do(e->repo, bare, "rev-parse", ref, NULL);
	e2e_begin_anew(e);
	e2e_touch(e, "go");
	if (job(e, &r, number, "--trust") != 0)
		fail_msg("%d: %s%s", r.status, r.out, r.err);
	ctlrun_clear(&r);
	e2e_assert_shows(e, number, "a/two-half.txt", "half");
}

/* A state that is no good costs a sentence, and the run begins anew. */
static void
test_a_bad_state_is_passed_over(void **state)
{
	struct e2e *e = *state;
	char *blob, *tree, *commit, *line;
	struct ctlrun r;

	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", "");
	line = xasprintf(
	    "{\"orch_state\":1,\"run\":\"%s\",\"refs\":{\"refs/heads/main\":\"%040d\"}}\n", number, 1);
	testrepo_write(e->repo, "state.jsonl", line);
	free(line);
	line = testrepo_path(e->repo, "state.jsonl");
	blob = testrepo_git(e->repo, bare, "hash-object", "-w", line, NULL);
	free(line);
	line = xasprintf("100644,%s,state.jsonl", blob);
	testrepo_do(e->repo, bare, "read-tree", "--empty", NULL);
	testrepo_do(e->repo, bare, "update-index", "--add", "--cacheinfo", line, NULL);
	tree = testrepo_git(e->repo, bare, "write-tree", NULL);
	commit = testrepo_git(
	    e->repo, bare, "-c", "user.name=x", "-c", "user.email=x@y", "commit-tree", "-m", "x", tree, NULL);
	testrepo_do(e->repo, bare, "update-ref", ref, commit, NULL);
	if (e2e_ctl(e, &r, "run", number, NULL) != 0)
		fail_msg("%s%s", r.out, r.err);
	if (strstr(r.err, "is not used: it speaks of a ref that is not of this run") == NULL)
		fail_msg("%s%s", r.out, r.err);
	ctlrun_clear(&r);
	e2e_assert_state(e, number, "complete");
	free(line);
	free(blob);
	free(tree);
	free(commit);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_goes_on_elsewhere, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_stops_itself, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_an_answer_starts_the_next_job, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_closing_cancels_what_was_saved, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_cancelled_job_is_saved, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_bad_state_is_passed_over, set_up, tear_down),
	};
	int rc = standins_above(&s, argv);

	(void)argc;
	return rc >= 0 ? rc : cmocka_run_group_tests(tests, NULL, NULL);
}
