/*
 * orchctl address with the real programs: what people say of a pull request is done by the worker whose files
 * it is about, in its session, gated, pushed, and answered once, whoever is killed on the way.
 */
#include "common/alloc.h"
#include "common/clock.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/fakegithub.h"
#include "tests/helper/lib/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PULL "101"
#define STATE "refs/orch/state/25"

static struct fakegithub hub;

static int
set_up(void **state)
{
	int rc = e2e_setup(state);
	struct e2e *e = *state;
	char *folder;

	if (rc != 0)
		return rc;
	fakegithub_start(&hub, &e->repo->loop);
	folder = testrepo_path(e->repo, "github");
	fakegithub_serve_git(&hub, folder, e->repo->top);
	free(folder);
	json_object_set_new(hub.permissions, "ada", json_string("write"));
	fakegithub_issue(&hub, "25", "ada", "Build it", "All of it.");
	e2e_plan(e, "director", "", "a b");
	e2e_plan(e, "em-a", "", "one");
	e2e_plan(e, "em-b", "", "two");
	e2e_work(e, "a.one", "");
	e2e_work(e, "b.two", "");
	return 0;
}

static int
tear_down(void **state)
{
	static const char *const names[] = {"ORCH_VERIFY", "ORCH_MAX_REWORK", "ORCH_REVIEW_ROUNDS",
	    "GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH", "GITHUB_ACTIONS"};
	int rc;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	rc = e2e_teardown(state);
	fakegithub_stop(&hub);
	return rc;
}

static void
build(struct e2e *e)
{
	e2e_remember(e);
	e2e_ctl_ok(e, "run", "25", "--detach", NULL);
	e2e_follow(e);
	e2e_await(e, "25", "state", "complete");
	assert_int_equal(json_array_size(hub.pulls), 1);
}

/* On the one file of area a, by somebody who belongs here. */
static uint64_t
say(const char *body, uint64_t review)
{
	const struct fakegithub_remark r = {.pull = 101,
	    .review = review,
	    .line = 1,
	    .author = "ada",
	    .association = "COLLABORATOR",
	    .path = "a/one.txt",
	    .body = body};

	return fakegithub_remark(&hub, &r);
}

/* orchctl address, to the end of what it starts. */
static void
address(struct e2e *e, int status, const char *words)
{
	struct ctlrun r;
	int got = e2e_ctl(e, &r, "address", PULL, NULL);

	if (got != status || (strstr(r.out, words) == NULL && strstr(r.err, words) == NULL)) {
		e2e_tell(e);
		fail_msg("exit %d, \"%s\" is not in:\n%s%s", got, words, r.err, r.out);
	}
	ctlrun_clear(&r);
}

static void
assert_reply(uint64_t comment, const char *words)
{
	const char *text = fakegithub_reply(&hub, comment, 0);

	if (text == NULL || strstr(text, words) == NULL)
		fail_msg("\"%s\" is not in: %s", words, text == NULL ? "no answer" : text);
	assert_null(fakegithub_reply(&hub, comment, 1));
}

static void
assert_pushed(const char *path, const char *text)
{
	char *spec = xasprintf("refs/heads/cco/25-build-it:%s", path),
	     *got = fakegithub_git(&hub, "show", spec, NULL);

	assert_non_null(got);
	assert_string_equal(got, text);
	free(got);
	free(spec);
}

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

#define BY_ADA "\"user\":{\"login\":\"ada\",\"type\":\"User\"},\"author_association\":\"OWNER\""

#define REVIEWED                                                                                             \
	"{\"action\":\"submitted\",\"review\":{\"state\":\"changes_requested\",\"body\":null," BY_ADA        \
	"},\"pull_request\":{\"number\":101,\"head\":{\"ref\":\"cco/25-build-it\"}}}"

/* What a person wants is asked for by GitHub's events, too; without anything new, and for somebody else's
 * pull request, it is no failure. */
static void
events(struct e2e *e, const char *name, const char *json, const char *words)
{
	struct ctlrun r;

	set_event(e, name, json);
	if (e2e_ctl(e, &r, "run", "--event", "--detach", NULL) != 0 ||
	    (strstr(r.out, words) == NULL && strstr(r.err, words) == NULL))
		fail_msg("exit %d: %s%s", r.status, r.out, r.err);
	ctlrun_clear(&r);
}

/* What is said of no task's file goes to the area, and what is said of the whole to an area of its own. */
static void
review_what_no_task_owns(struct e2e *e)
{
	const struct fakegithub_remark r = {.pull = 101,
	    .author = "ada",
	    .association = "MEMBER",
	    .path = "a/other.txt",
	    .body = "Add this one."};
	uint64_t other;

	other = fakegithub_remark(&hub, &r);
	fakegithub_review(&hub, 101, "ada", "MEMBER", "COMMENTED", "Where is the licence?");
	e2e_script(e, "worker-a.rework-2",
	    "expect_prompt Add this one.\nwrite a/other.txt <<EOF\nother\nEOF\nsay Added.\n");
	e2e_script(e, "em-rework-review-2",
	    "expect_prompt Where is the licence?\nplan <<EOF\n{\"summary\":\"It is missing.\",\"tasks\":[{"
	    "\"id\":\"all\",\"title\":\"Licence\",\"goal\":\"Write it.\",\"owns\":[\"b/LICENSE\"],"
	    "\"depends_on\":[]}]}\nEOF\n");
	e2e_script(e, "worker-rework-review-2.all", "write b/LICENSE <<EOF\nfree\nEOF\nsay Done.\n");
	address(e, 0, "complete");
	assert_reply(other, "Done in ");
	assert_non_null(strstr(fakegithub_ours(&hub, PULL, 1), "Done in "));
	assert_pushed("a/other.txt", "other");
	assert_pushed("b/LICENSE", "free");
}

static void
test_the_owner_does_it(void **state)
{
	struct e2e *e = *state;
	uint64_t review, first, stranger, bot, own, resolved;
	struct fakegithub_remark r = {.pull = 101, .line = 1, .path = "a/one.txt", .body = "Do as I say."};
	char *head, *done;

	build(e);
	review = fakegithub_review(&hub, 101, "ada", "COLLABORATOR", "CHANGES_REQUESTED", "Nearly there.");
	first = say("Say more than that.", review);
	r.author = "eve", r.association = "NONE";
	stranger = fakegithub_remark(&hub, &r);
	r.author = "lint[bot]", r.association = "COLLABORATOR";
	bot = fakegithub_remark(&hub, &r);
	r.author = FAKEGITHUB_US;
	own = fakegithub_remark(&hub, &r);
	json_array_append_new(hub.resolved, json_integer(999));
	resolved = say("Never mind.", 0);
	json_array_append_new(hub.resolved, json_integer((json_int_t)resolved));
	e2e_script(e, "worker-a.one.2",
	    "expect_resumed\nexpect_prompt Say more than that.\nexpect_prompt Nearly there.\n"
	    "expect_prompt a/one.txt, line 1\nrefuse_prompt Do as I say\nrefuse_prompt Never mind\n"
	    "write a/one.txt <<EOF\nmore\nEOF\nsay I said more.\n");
	address(e, 0, "complete");
	assert_pushed("a/one.txt", "more");
	head = fakegithub_git(&hub, "rev-parse", "refs/heads/cco/25-build-it", NULL);
	done = xasprintf("Done in %s. I said more.", head);
	assert_reply(first, done);
	assert_non_null(strstr(fakegithub_ours(&hub, PULL, 0), done));
	assert_null(fakegithub_ours(&hub, PULL, 1));
	assert_null(fakegithub_reply(&hub, stranger, 0));
	assert_null(fakegithub_reply(&hub, bot, 0));
	assert_null(fakegithub_reply(&hub, own, 0));
	assert_null(fakegithub_reply(&hub, resolved, 0));
	assert_true(fakegithub_has_label(&hub, "25", "orch:complete"));
	events(e, "issue_comment",
	    "{\"action\":\"created\",\"issue\":{\"number\":101,\"pull_request\":{}},"
	    "\"comment\":{\"body\":\"/orch address\"," BY_ADA "}}",
	    "nothing new on pull request 101");
	address(e, 0, "1 remark of the user whose token this is is left out: --trust takes it");
	assert_int_equal(e2e_count(e, "25", "review", NULL), 2);
	free(head);
	free(done);
	review_what_no_task_owns(e);
	assert_int_equal(json_array_size(hub.pulls), 1);
}

/* orchd run --event: the container's entrypoint, which is orchd itself for as long as that takes. */
static void
in_a_workflow(struct e2e *e)
{
	static const char *const argv[] = {"run", "--event", NULL};
	struct ctlrun r;

	set_event(e, "pull_request_review", REVIEWED);
	ctlrun_program(&r, e->repo, ORCH_BIN_DIR "/orchd", e->repo->top, false, argv, NULL, NULL);
	ctlrun_wait(&r);
	if (r.status != 0 || strstr(r.out, "complete") == NULL)
		fail_msg("exit %d: %s%s", r.status, r.err, r.out);
	ctlrun_clear(&r);
}

/* What cannot be done is answered with why, and what was there stays. */
static void
test_what_is_not_done(void **state)
{
	struct e2e *e = *state;
	uint64_t bad, question;

	setenv("ORCH_VERIFY", "! grep -qs bad a/one.txt", 1);
	setenv("ORCH_MAX_REWORK", "1", 1);
	build(e);
	bad = say("Make it bad.", 0);
	e2e_script(e, "worker-a.one.2", "write a/one.txt <<EOF\nbad\nEOF\nsay It is bad now.\n");
	address(e, 0, "complete");
	assert_reply(bad, "Not done, because: ");
	assert_non_null(strstr(fakegithub_reply(&hub, bad, 0), "exit"));
	assert_pushed("a/one.txt", "one");
	question = say("Why so short?", 0);
	e2e_script(e, "worker-a.one.3", "expect_prompt Why so short\nsay Brevity was asked for.\n");
	e2e_ctl_ok(e, "stop", NULL);
	in_a_workflow(e);
	assert_reply(question, "changed nothing; it says: Brevity was asked for.");
}

static pid_t victim;

static void
kill_at_answer(struct fakegithub *g, const char *method, const char *path, void *arg)
{
	(void)g;
	(void)arg;
	if (victim == 0 || strcmp(method, "POST") != 0 || strstr(path, "/replies") == NULL)
		return;
	kill(victim, SIGKILL);
	victim = 0;
}

/* The director is killed when its first answer has arrived and it does not know yet. */
static void
answered_once(struct e2e *e, uint64_t first)
{
	const struct fakegithub_remark r = {.pull = 101,
	    .author = "ada",
	    .association = "OWNER",
	    .path = "b/two.txt",
	    .line = 1,
	    .body = "Say two."};
	uint64_t second = fakegithub_remark(&hub, &r);

	e2e_script(e, "worker-b.two.2", "expect_prompt Say two.\nwrite b/two.txt <<EOF\n2\nEOF\nsay 2.\n");
	e2e_ctl_ok(e, "address", PULL, "--rounds", "3", "--detach", NULL);
	e2e_await_file(e, "at-three");
	victim = e2e_pid(e, "25");
	hub.before = kill_at_answer;
	e2e_touch(e, "go-on");
	while (e2e_count(e, "25", "state", "complete") < 4)
		e2e_wait_news(e, "the end of the round");
	assert_int_equal(victim, 0);
	assert_reply(first, "Done in ");
	assert_reply(second, "Done in ");
	assert_pushed("a/one.txt", "C");
	assert_pushed("b/two.txt", "2");
}

/* What is said during a round is taken up before the run ends; after so many rounds a person must see to it.
 */
static void
test_rounds(void **state)
{
	struct e2e *e = *state;
	uint64_t first, second, third;
	struct ctlrun r;
	pid_t orchd;

	setenv("ORCH_REVIEW_ROUNDS", "2", 1);
	build(e);
	first = say("Say A.", 0);
	e2e_script(
	    e, "worker-a.one.2", "touch @/at-two\nwait_file @/go\nwrite a/one.txt <<EOF\nA\nEOF\nsay A.\n");
	e2e_script(e, "worker-a.one.3", "expect_prompt Say B.\nwrite a/one.txt <<EOF\nB\nEOF\nsay B.\n");
	e2e_script(e, "worker-a.one.4",
	    "expect_prompt Say C.\ntouch @/at-three\nwait_file @/go-on\nwrite a/one.txt <<EOF\nC\nEOF\nsay "
	    "C.\n");
	e2e_ctl_ok(e, "address", PULL, "--detach", NULL);
	e2e_await_file(e, "at-two");
	second = say("Say B.", 0);
	orchd = e2e_pid(e, NULL);
	kill(orchd, SIGKILL); /* the team works on, and the next one knows of the round */
	e2e_await_gone(e, orchd);
	assert_int_equal(e2e_ctl(e, &r, "address", "#" PULL, "--detach", NULL), 0);
	assert_non_null(strstr(r.out, "before it ends"));
	ctlrun_clear(&r);
	e2e_follow(e);
	e2e_touch(e, "go");
	while (e2e_count(e, "25", "state", "complete") < 2)
		e2e_wait_news(e, "the end of the rounds");
	assert_reply(first, "Done in ");
	assert_reply(second, "Done in ");
	assert_pushed("a/one.txt", "B");
	third = say("Say C.", 0);
	address(e, 1, "orchctl address 101 --rounds 3");
	assert_null(fakegithub_reply(&hub, third, 0));
	assert_true(fakegithub_has_label(&hub, "25", "orch:needs-human"));
	answered_once(e, third);
	assert_true(fakegithub_has_label(&hub, "25", "orch:complete"));
}

/* orchd run in a job, whose event this is, or for the issue. */
static void
job(struct e2e *e, int status, const char *event, const char *json, const char *words)
{
	const char *const argv[] = {"run", event == NULL ? "25" : "--event", "--trust", NULL};
	struct ctlrun r;

	if (event != NULL)
		set_event(e, event, json);
	ctlrun_program(&r, e->repo, ORCH_BIN_DIR "/orchd", e->repo->top, false, argv, NULL, NULL);
	ctlrun_wait(&r);
	if (r.status != status || (strstr(r.out, words) == NULL && strstr(r.err, words) == NULL))
		fail_msg("exit %d, \"%s\" is not in:\n%s%s", r.status, words, r.err, r.out);
	ctlrun_clear(&r);
}

static void
assert_kept(const char *oid)
{
	char *now = fakegithub_git(&hub, "for-each-ref", "--format=%(objectname)", STATE, NULL);

	assert_string_equal(now == NULL ? "" : now, oid);
	free(now);
}

/* In a workflow each job is an empty machine: the run comes along by what the one before it pushed, until
 * pull request or issue is closed; an issue that is closed cancels nothing that has ended. */
static void
test_another_machine_answers(void **state)
{
	struct e2e *e = *state;
	uint64_t review, first;
	char *kept;

	e2e_forget(e); /* the clone is made anew */
	setenv("GITHUB_ACTIONS", "true", 1);
	job(e, 0, NULL, NULL, "complete");
	e2e_begin_anew(e);
	review = fakegithub_review(&hub, 101, "ada", "COLLABORATOR", "CHANGES_REQUESTED", "Nearly there.");
	first = say("Say more than that.", review);
	e2e_script(e, "worker-a.one",
	    "expect_fresh\nexpect_prompt Say more than that.\nwrite a/one.txt <<EOF\nmore\nEOF\nsay More.\n");
	job(e, 0, "pull_request_review", REVIEWED, "goes on from what another machine has saved");
	assert_pushed("a/one.txt", "more");
	assert_pushed("b/two.txt", "two");
	assert_reply(first, "More.");
	assert_int_equal(json_array_size(hub.pulls), 1);
	assert_true(fakegithub_has_label(&hub, "25", "orch:complete"));
	e2e_begin_anew(e);
	first = say("Say most.", 0);
	e2e_script(
	    e, "worker-a.one", "expect_prompt Say most.\nwrite a/one.txt <<EOF\nmost\nEOF\nsay Most.\n");
	job(e, 0, "pull_request_review", REVIEWED, "complete");
	assert_pushed("a/one.txt", "most");
	assert_reply(first, "Most.");
	e2e_begin_anew(e);
	job(e, 0, "pull_request_review", REVIEWED, "nothing new on pull request 101");
	kept = fakegithub_git(&hub, "rev-parse", STATE, NULL);
	e2e_begin_anew(e);
	job(e, 0, "issues", "{\"action\":\"closed\",\"issue\":{\"number\":25}}", "nothing to do");
	assert_kept("");
	assert_true(fakegithub_has_label(&hub, "25", "orch:complete"));
	free(fakegithub_git(&hub, "update-ref", STATE, kept, NULL));
	e2e_begin_anew(e);
	job(e, 0, "pull_request",
	    "{\"action\":\"closed\",\"pull_request\":{\"number\":101,\"merged\":true,\"head\":{\"ref\":\"cco/"
	    "25-build-it\"}}}",
	    "nothing to clean up");
	assert_kept("");
	free(kept);
}

/* What failed did not stay behind either; it is left as it is. */
static void
test_partial_goes_elsewhere(void **state)
{
	struct e2e *e = *state;
	uint64_t first;

	e2e_forget(e);
	setenv("GITHUB_ACTIONS", "true", 1);
	setenv("ORCH_VERIFY", "! test -e b/two.txt", 1);
	setenv("ORCH_MAX_REWORK", "1", 1);
	job(e, 1, NULL, NULL, "partial");
	e2e_begin_anew(e);
	first = say("Say more than that.", 0);
	e2e_script(e, "worker-a.one", "write a/one.txt <<EOF\nmore\nEOF\nsay More.\n");
	job(e, 1, "pull_request_review", REVIEWED, "goes on from what another machine has saved");
	assert_pushed("a/one.txt", "more");
	assert_reply(first, "More.");
	assert_true(fakegithub_has_label(&hub, "25", "orch:partial"));
	e2e_begin_anew(e);
}

int
main(void)
{
#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    RUN_TEST(test_the_owner_does_it),
	    RUN_TEST(test_what_is_not_done),
	    RUN_TEST(test_rounds),
	    RUN_TEST(test_another_machine_answers),
	    RUN_TEST(test_partial_goes_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
