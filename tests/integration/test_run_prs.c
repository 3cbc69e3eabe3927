/*
 * Branches and pull requests of whole runs: one for each part with prs=all, merged by pushes alone; a base
 * that has moved meanwhile; names on GitHub that are somebody else's. The real git pushes to a fake GitHub.
 */
#include "common/alloc.h"
#include "common/json.h"
#include "tests/helper/lib/githubrun.h"
#include "tests/helper/lib/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define WORK "cco/25-build-it"

static int
set_up(void **state)
{
	int rc = githubrun_setup(state);

	if (rc == 0) {
		githubrun_serve_git(*state);
		e2e_work(*state, "a.one", "");
	}
	return rc;
}

static int
tear_down(void **state)
{
	unsetenv("ORCH_PRS");
	return githubrun_teardown(state);
}

static void
assert_says(const char *text, const char *words)
{
	if (text == NULL || strstr(text, words) == NULL)
		fail_msg("\"%s\" is not in:\n%s", words, text == NULL ? "(nothing)" : text);
}

/* The newest pull request from head into base; json_decref. */
static json_t *
find_pull(const char *head, const char *base)
{
	json_t *found = NULL, *p;

	for (size_t i = 0; (p = fakegithub_pull(&hub, i)) != NULL; i++) {
		const char *from = json_str(json_object_get(p, "head"), "ref"),
			   *into = json_str(json_object_get(p, "base"), "ref");

		if (strcmp(from, head) == 0 && strcmp(into, base) == 0) {
			json_decref(found);
			found = p;
		} else {
			json_decref(p);
		}
	}
	return found;
}

static void
assert_pull(const char *head, const char *base, const char *state, bool merged)
{
	json_t *p = find_pull(head, base);

	if (p == NULL)
		fail_msg("no pull request from %s into %s", head, base);
	assert_string_equal(json_str(p, "state"), state);
	assert_int_equal(json_is_true(json_object_get(p, "merged")), merged);
	assert_int_equal(strstr(json_str(p, "body"), "Closes #25") != NULL, strcmp(base, "main") == 0);
	assert_says(json_str(p, "body"), "#25");
	json_decref(p);
}

static char *
hub_tip(const char *branch)
{
	char *ref = xasprintf("refs/heads/%s", branch),
	     *oid = fakegithub_git(&hub, "rev-parse", "-q", "--verify", ref, NULL);

	free(ref);
	return oid;
}

/* Somebody pushes a file to a branch of the fake GitHub's, on top of main as it is there. The commit. */
static char *
push_there(struct e2e *e, const char *branch, const char *path, const char *text)
{
	char *dir = testrepo_path(e->repo, "somebody"), *file = xasprintf("somebody/%s", path), *oid;
	char *from = testrepo_path(e->repo, "github/octo/hello.git"),
	     *ref = xasprintf("HEAD:refs/heads/%s", branch);

	if (!testrepo_exists(e->repo, "somebody"))
		testrepo_do(e->repo, NULL, "clone", "-q", from, dir, NULL);
	testrepo_do(e->repo, dir, "checkout", "-q", "--detach", "origin/main", NULL);
	testrepo_write(e->repo, file, text);
	testrepo_do(e->repo, dir, "add", "-A", NULL);
	testrepo_do(e->repo, dir, "-c", "user.name=Bob", "-c", "user.email=bob@example.test", "commit", "-qm",
	    "Bob's", NULL);
	testrepo_do(e->repo, dir, "push", "-q", "origin", ref, NULL);
	oid = testrepo_git(e->repo, dir, "rev-parse", "HEAD", NULL);
	free(dir);
	free(file);
	free(from);
	free(ref);
	return oid;
}

static void
test_every_part_has_its_own(void **state)
{
	static const char *const workers[] = {"-em1-w1", "-em1-w2", "-em2-w1", "-em2-w2"};
	struct e2e *e = *state;

	setenv("ORCH_PRS", "all", 1);
	/* A leftover of that name that holds nothing that the base does not have can be taken. */
	free(fakegithub_git(&hub, "branch", WORK, "main", NULL));
	e2e_plan(e, "director", "", "a b:a");
	e2e_plan(e, "em-a", "", "one two:one");
	e2e_plan(e, "em-b", "", "one two");
	e2e_work(e, "a.two", "");
	e2e_work(e, "b.one", "");
	e2e_work(e, "b.two", "");
	githubrun_begin(e, NULL);
	e2e_await(e, "25", "state", "complete");
	assert_int_equal(json_array_size(hub.pulls), 7);
	for (size_t i = 0; i < 4; i++) {
		char *head = xasprintf(WORK "%s", workers[i]), *base = xasprintf(WORK "%.4s", workers[i]);

		assert_pull(head, base, "closed", true);
		free(head);
		free(base);
	}
	assert_pull(WORK "-em1", WORK, "closed", true);
	assert_pull(WORK "-em2", WORK, "closed", true);
	assert_pull(WORK, "main", "open", false);
	assert_null(strstr(fakegithub_ours(&hub, "25", 0), "**GitHub:**"));
	assert_int_equal(e2e_count(e, "25", "pull", NULL), 7);
}

/* A pull request that cannot be opened is said, and neither the run nor what lies above it is held up. */
static void
test_one_that_fails_sinks_nothing(void **state)
{
	struct e2e *e = *state;

	setenv("ORCH_PRS", "all", 1);
	fakegithub_fault(&hub, &(struct fakegithub_fault){.kind = FAKEGITHUB_ANSWER,
				   .method = "POST",
				   .path = "/pulls",
				   .times = 1,
				   .status = 403,
				   .message = "Resource not accessible by integration"});
	githubrun_begin(e, NULL);
	e2e_await(e, "25", "state", "complete");
	assert_null(find_pull(WORK "-em1-w1", WORK "-em1"));
	assert_pull(WORK "-em1", WORK, "closed", true);
	assert_pull(WORK, "main", "open", false);
	githubrun_assert_says("> **GitHub:** not all that prs=all asks for is there");
	assert_int_equal(e2e_count(e, "25", "github", NULL), 1);
}

/* The director dies between them: what is there is found again, and nothing is made twice. */
static void
test_a_killed_director_adopts_them(void **state)
{
	struct e2e *e = *state;
	pid_t director;

	setenv("ORCH_PRS", "all", 1);
	e2e_plan(e, "em-a", "", "one two:one");
	e2e_work(e, "a.two", "wait_file @/go\n");
	githubrun_begin(e, NULL);
	e2e_await(e, "25", "pull", NULL);
	director = e2e_pid(e, "25");
	kill(director, SIGKILL);
	e2e_await_gone(e, director);
	e2e_touch(e, "go");
	e2e_await(e, "25", "state", "complete");
	assert_int_equal(json_array_size(hub.pulls), 4);
	assert_pull(WORK "-em1-w1", WORK "-em1", "closed", true);
	assert_pull(WORK "-em1-w2", WORK "-em1", "closed", true);
	assert_pull(WORK "-em1", WORK, "closed", true);
	assert_pull(WORK, "main", "open", false);
	assert_null(strstr(fakegithub_ours(&hub, "25", 0), "**GitHub:**"));
}

static void
work_while_main_moves(struct e2e *e, const char *path, const char *text, char **moved)
{
	e2e_work(e, "a.one", "touch @/at-one\nwait_file @/go\n");
	githubrun_begin(e, NULL);
	e2e_await_file(e, "at-one");
	*moved = push_there(e, "main", path, text);
	e2e_touch(e, "go");
	e2e_await(e, "25", "state", "complete");
}

/* It is merged in, gated on exactly that tree, and only then pushed. */
static void
test_a_base_that_moved_is_merged(void **state)
{
	struct e2e *e = *state;
	char *moved, *tip, *main_tip;
	json_t *run;

	setenv("ORCH_VERIFY", "true", 1);
	work_while_main_moves(e, "theirs.txt", "theirs\n", &moved);
	run = e2e_status(e, "25");
	tip = hub_tip(WORK);
	main_tip = hub_tip("main");
	assert_string_equal(main_tip, moved);
	assert_string_equal(json_str(run, "head"), tip);
	free(testrepo_git(e->repo, NULL, "merge-base", "--is-ancestor", moved, tip, NULL));
	e2e_assert_shows(e, "25", "a/one.txt", "one");
	e2e_assert_shows(e, "25", "theirs.txt", "theirs");
	assert_pull(WORK, "main", "open", false);
	assert_null(json_str(run, "reason"));
	/* What the run did is what it did, and not what others did meanwhile. */
	assert_int_equal(json_integer_value(json_object_get(run, "files")), 1);
	assert_string_equal(json_str(run, "base"), moved);
	assert_int_equal(e2e_count(e, "25", "merge", NULL), 1);
	unsetenv("ORCH_VERIFY");
	json_decref(run);
	free(moved);
	free(tip);
	free(main_tip);
}

static void
assert_told(struct e2e *e, const char *words)
{
	json_t *run = e2e_status(e, "25"), *p = find_pull(WORK, "main");
	char *tip = hub_tip(WORK);

	assert_non_null(p);
	assert_string_equal(json_str(run, "head"), tip);
	assert_says(json_str(run, "reason"), words);
	assert_says(json_str(p, "body"), words);
	githubrun_assert_says(words);
	assert_string_equal(json_str(p, "state"), "open");
	json_decref(run);
	json_decref(p);
	free(tip);
}

/* The work stays as it is, green, and everybody is told. */
static void
test_a_base_that_conflicts_is_told(void **state)
{
	struct e2e *e = *state;
	char *moved;

	work_while_main_moves(e, "a/one.txt", "somebody else's\n", &moved);
	assert_told(e, "conflicts with the work in a/one.txt");
	e2e_assert_shows(e, "25", "a/one.txt", "one");
	free(moved);
}

static void
test_a_base_that_is_red_together_is_told(void **state)
{
	struct e2e *e = *state;
	char *moved;

	setenv("ORCH_VERIFY", "test ! -e a/one.txt || test ! -e theirs.txt", 1);
	work_while_main_moves(e, "theirs.txt", "theirs\n", &moved);
	assert_told(e, "together with it the gate is red");
	unsetenv("ORCH_VERIFY");
	free(moved);
}

/*
 * A branch of our name on GitHub is somebody's: it stays, and the next name is taken. And without pull
 * requests nobody asks what became of the base.
 */
static void
test_a_foreign_branch_is_left_alone(void **state)
{
	struct e2e *e = *state;
	char *theirs = push_there(e, WORK, "theirs.txt", "theirs\n"), *moved, *tip;

	setenv("ORCH_PRS", "none", 1);
	work_while_main_moves(e, "theirs.txt", "theirs\n", &moved);
	tip = hub_tip(WORK);
	assert_string_equal(tip, theirs);
	free(tip);
	tip = hub_tip(WORK "-2");
	assert_non_null(tip);
	assert_int_equal(json_array_size(hub.pulls), 0);
	assert_true(testrepo_try(e->repo, NULL, "merge-base", "--is-ancestor", moved, tip, NULL) != 0);
	assert_int_equal(e2e_count(e, "25", "github", NULL), 1);
	free(theirs);
	free(moved);
	free(tip);
}

/* Pushed to while we work: what is there stays there, and that is said. */
static void
test_a_branch_that_became_foreign_is_not_forced(void **state)
{
	struct e2e *e = *state;
	char *theirs, *tip;

	e2e_work(e, "a.one", "touch @/at-one\nwait_file @/go\n");
	githubrun_begin(e, NULL);
	e2e_await_file(e, "at-one");
	theirs = push_there(e, WORK, "theirs.txt", "theirs\n");
	e2e_touch(e, "go");
	e2e_await(e, "25", "state", "complete");
	tip = hub_tip(WORK);
	assert_string_equal(tip, theirs);
	githubrun_assert_says("remove it there, and resume");
	free(theirs);
	free(tip);
}

int
main(void)
{
#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    RUN_TEST(test_every_part_has_its_own),
	    RUN_TEST(test_one_that_fails_sinks_nothing),
	    RUN_TEST(test_a_killed_director_adopts_them),
	    RUN_TEST(test_a_base_that_moved_is_merged),
	    RUN_TEST(test_a_base_that_conflicts_is_told),
	    RUN_TEST(test_a_base_that_is_red_together_is_told),
	    RUN_TEST(test_a_foreign_branch_is_left_alone),
	    RUN_TEST(test_a_branch_that_became_foreign_is_not_forced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
