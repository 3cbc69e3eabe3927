/* orch-director --check, the program: what a run can start from, and one sentence for everything it cannot.
 */
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/testrepo.h"

#include "common/alloc.h"
#include "common/cmd.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define AGENT ORCH_BIN_DIR "/orch-test-agent"

struct answer {
	int status;
	json_t *json; /* NULL when it refused */
	char *sentence;
};

static struct answer
ask_raw(struct testrepo *t, const char *question)
{
	static const char *const argv[] = {ORCH_BIN_DIR "/orch-director", "--check", NULL};
	struct cmd_spec s = {.argv = argv,
	    .cwd = t->root,
	    .in = question,
	    .in_size = strlen(question),
	    .out_max = 65536,
	    .err_max = 65536,
	    .timeout_ms = 60000};
	struct cmd_result r;
	struct err e = {{0}};
	struct answer a = {0};

	assert_int_equal(cmd_run(&t->loop, &s, &r, &e), 0);
	a.status = WIFEXITED(r.status) ? WEXITSTATUS(r.status) : -1;
	a.json = json_loads(r.out, 0, NULL);
	a.sentence = xstrdup(r.err);
	cmd_result_clear(&r);
	return a;
}

/* options: a JSON object. */
static struct answer
ask(struct testrepo *t, const char *top, const char *options)
{
	json_t *q = json_pack("{s:s*, s:s, s:s+, s:s+, s:o}", "top", top, "git_dir", t->git_dir, "state",
	    t->git_dir, "/orch", "worktrees", t->root, "/work", "options", json_loads(options, 0, NULL));
	char *text = json_dumps(q, 0);
	struct answer a = ask_raw(t, text);

	json_decref(q);
	free(text);
	return a;
}

static void
forget(struct answer *a)
{
	json_decref(a->json);
	free(a->sentence);
}

static void
expect_refusal(struct answer a, const char *part)
{
	if (a.status != 2 || strstr(a.sentence, part) == NULL)
		fail_msg("status %d: %s (wanted: %s)", a.status, a.sentence, part);
	assert_null(a.json);
	/* one sentence, one line */
	assert_ptr_equal(strchr(a.sentence, '\n'), a.sentence + strlen(a.sentence) - 1);
	forget(&a);
}

static const char *
note_with(const struct answer *a, const char *part)
{
	json_t *notes = json_object_get(a->json, "notes");

	for (size_t i = 0; i < json_array_size(notes); i++)
		if (strstr(json_string_value(json_array_get(notes, i)), part) != NULL)
			return json_string_value(json_array_get(notes, i));
	return NULL;
}

static void
expect_base(const struct answer *a, const char *commit, const char *branch)
{
	if (a->status != 0)
		fail_msg("refused: %s", a->sentence);
	assert_string_equal(json_string_value(json_object_get(a->json, "base")), commit);
	assert_string_equal(json_string_value(json_object_get(a->json, "base_branch")), branch);
}

static void
expect_acceptance(struct answer a)
{
	if (a.status != 0)
		fail_msg("refused: %s", a.sentence);
	forget(&a);
}

static int
setup(void **state)
{
	*state = testrepo_new();
	return 0;
}

static int
teardown(void **state)
{
	testrepo_free(*state);
	return 0;
}

static void
test_checked_out_branch(void **state)
{
	struct testrepo *t = *state;
	char *main_tip = testrepo_git(t, NULL, "rev-parse", "main", NULL);
	struct answer a = ask(t, t->top, "{\"agent\":\"" AGENT "\"}");

	expect_base(&a, main_tip, "main");
	assert_int_equal(json_array_size(json_object_get(a.json, "notes")), 0);
	assert_true(testrepo_exists(t, "work"));
	forget(&a);
	free(main_tip);
}

static void
test_base_by_option(void **state)
{
	struct testrepo *t = *state;
	char *tip;
	struct answer a;

	testrepo_do(t, NULL, "switch", "-q", "-c", "develop", NULL);
	testrepo_file(t, "more", "x");
	tip = testrepo_commit(t, "More");
	testrepo_do(t, NULL, "switch", "-q", "main", NULL);
	a = ask(t, t->top, "{\"agent\":\"" AGENT "\",\"base\":\"develop\"}");
	expect_base(&a, tip, "develop");
	forget(&a);
	expect_refusal(
	    ask(t, t->top, "{\"agent\":\"" AGENT "\",\"base\":\"develp\"}"), "did you mean develop?");
	expect_refusal(ask(t, t->top, "{\"agent\":\"" AGENT "\",\"base\":\"--all\"}"), "no branch --all");
	/* A CI checkout has the branch only as origin's. */
	testrepo_do(t, NULL, "update-ref", "refs/remotes/origin/release", tip, NULL);
	a = ask(t, t->top, "{\"agent\":\"" AGENT "\",\"base\":\"release\"}");
	expect_base(&a, tip, "release");
	forget(&a);
	free(tip);
}

static void
test_notes(void **state)
{
	struct testrepo *t = *state;
	char *tip = testrepo_git(t, NULL, "rev-parse", "main", NULL);
	struct answer a;

	testrepo_file(t, "README", "dirty");
	testrepo_do(t, NULL, "checkout", "-q", "--detach", NULL);
	testrepo_do(t, NULL, "config", "--unset", "user.name", NULL);
	a = ask(t, t->top, "{\"agent\":\"" AGENT "\"}");
	expect_base(&a, tip, "");
	assert_non_null(note_with(&a, "the checkout has uncommitted changes; the run starts from commit "));
	assert_non_null(note_with(&a, "HEAD is detached"));
	assert_non_null(note_with(&a, "user.name"));
	forget(&a);
	free(tip);
}

static void
test_repositories_that_cannot_be_used(void **state)
{
	struct testrepo *t = *state;
	char *empty = testrepo_path(t, "empty"), *git_dir = t->git_dir;

	expect_refusal(ask(t, NULL, "{}"), "bare repository");
	testrepo_do(t, NULL, "config", "core.bare", "true", NULL);
	expect_refusal(ask(t, t->git_dir, "{}"), "bare repository");
	testrepo_do(t, NULL, "config", "core.bare", "false", NULL);
	testrepo_do(t, NULL, "init", "-q", empty, NULL);
	t->git_dir = testrepo_path(t, "empty/.git");
	expect_refusal(ask(t, empty, "{}"), "has no commits yet");
	free(t->git_dir);
	t->git_dir = git_dir;
	testrepo_do(t, NULL, "branch", "cco", NULL);
	expect_refusal(ask(t, t->top, "{}"), "git branch -m cco NEW");
	free(empty);
}

/* git's own complaint about a foreign owner, with git's own advice. */
static void
test_foreign_owner(void **state)
{
	struct testrepo *t = *state;

	setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1", 1);
	expect_refusal(ask(t, t->top, "{}"), "git config --global --add safe.directory");
	unsetenv("GIT_TEST_ASSUME_DIFFERENT_OWNER");
}

static void
test_agent_and_disk(void **state)
{
	struct testrepo *t = *state;
	char *file = testrepo_path(t, "notes.txt");

	expect_refusal(ask(t, t->top, "{\"agent\":\"/nonexistent/agent\"}"), "/nonexistent/agent");
	testrepo_write(t, "notes.txt", "x");
	json_t *o = json_pack("{s:s}", "agent", file);
	char *options = json_dumps(o, 0);
	expect_refusal(ask(t, t->top, options), "notes.txt");
	setenv("ORCH_MIN_FREE_MB", "999999999999", 1);
	expect_refusal(ask(t, t->top, "{\"agent\":\"" AGENT "\"}"), "MiB left");
	unsetenv("ORCH_MIN_FREE_MB");
	assert_false(testrepo_exists(t, "work"));
	json_decref(o);
	free(options);
	free(file);
}

static void
test_folder_in_the_way(void **state)
{
	struct testrepo *t = *state;

	testrepo_write(t, "work", "a file where the worktrees should be");
	expect_refusal(ask(t, t->top, "{\"agent\":\"" AGENT "\"}"), "/work");
}

static void
test_bad_questions(void **state)
{
	struct testrepo *t = *state;

	expect_refusal(ask_raw(t, ""), "stdin");
	expect_refusal(ask_raw(t, "{\"top\": 1"), "line 1");
	expect_refusal(ask_raw(t, "{}"), "\"git_dir\"");
	expect_refusal(ask_raw(t, "[]"), "\"git_dir\"");
}

/* Is path among what the options that come back protect? */
static bool
guards(struct testrepo *t, const char *options, const char *path)
{
	struct answer a = ask(t, t->top, options);
	json_t *frozen, *list, *item;
	bool found = false;
	size_t i;

	assert_int_equal(a.status, 0);
	frozen = json_loads(json_string_value(json_object_get(a.json, "options")), 0, NULL);
	assert_non_null(frozen);
	list = json_object_get(frozen, "protected_paths");
	json_array_foreach (list, i, item)
		found |= strcmp(json_string_value(item), path) == 0;
	json_decref(frozen);
	forget(&a);
	return found;
}

static void
test_the_gates_own_files_are_protected(void **state)
{
	struct testrepo *t = *state;

#define WITH(more) "{\"agent\":\"" AGENT "\"," more "}"
	testrepo_file(t, "ci/check.sh", "true\n");
	testrepo_file(t, "test/a", "x\n");
	testrepo_file(t, "Makefile", "test:\n");
	free(testrepo_commit(t, "with a gate"));
	assert_true(guards(t, WITH("\"verify\":\"./ci/check.sh && make test\""), "ci/check.sh"));
	assert_true(guards(t, WITH("\"verify\":\"./ci/check.sh && make test\""), "Makefile"));
	assert_true(guards(t, WITH("\"verify\":[\"make\",\"test\"]"), "orchestrator.json"));
	/* A folder is work; what is not in the tree, or not the default, is for the user to say. */
	assert_false(guards(t, WITH("\"verify\":\"make test\""), "test"));
	assert_false(guards(t, WITH("\"verify\":\"make test\""), "GNUmakefile"));
	assert_false(guards(t, WITH("\"verify\":\"make\",\"protected_paths\":[\"x\"]"), "Makefile"));
	assert_true(guards(t, WITH("\"verify\":\"make\",\"protected_paths\":[\"x\"]"), "x"));
}

/* What actions/checkout makes of a checkout by default, and what is to be done about it. */
static void
test_in_a_workflow(void **state)
{
	static const char *const options = "{\"agent\":\"" AGENT "\"}";
	struct testrepo *t = *state;
	char *shallow = xasprintf("%s/shallow", t->root), *from = xasprintf("file://%s", t->top);
	char *included = xasprintf("%s/credentials", t->root);

	setenv("GITHUB_ACTIONS", "true", 1);
	testrepo_file(t, "more.txt", "more\n");
	free(testrepo_commit(t, "More"));
	testrepo_do(t, NULL, "clone", "-q", "--depth=1", from, shallow, NULL);
	expect_refusal(ask(t, shallow, options), "\"fetch-depth: 0\" in the step that uses actions/checkout");
	expect_acceptance(ask(t, t->top, options));
	testrepo_do(t, NULL, "config", "http.proxy", "", NULL);
	testrepo_do(t, NULL, "config", "http.extraheader", "X-Trace: yes", NULL);
	testrepo_do(t, NULL, "remote", "add", "origin", "https://octo@github.test/octo/hello.git", NULL);
	expect_acceptance(ask(t, t->top, options));
	testrepo_do(t, NULL, "config", "http.https://github.test/.extraheader",
	    "AUTHORIZATION: basic c2stdGVzdC1kdW1teQ==", NULL);
	expect_refusal(ask(t, t->top, options), "(http.https://github.test/.extraheader in .git/config)");
	testrepo_do(t, NULL, "config", "--unset", "http.https://github.test/.extraheader", NULL);
	testrepo_do(t, NULL, "config", "--file", included, "http.https://github.test/.extraheader",
	    "Authorization: basic c2stdGVzdC1kdW1teQ==", NULL);
	testrepo_do(t, NULL, "config", "includeIf.gitdir:**/.git.path", included, NULL);
	expect_refusal(ask(t, t->top, options), included);
	expect_refusal(ask(t, t->top, options), "persist-credentials: false");
	unsetenv("GITHUB_ACTIONS");
	expect_acceptance(ask(t, t->top, options));
	setenv("GITHUB_ACTIONS", "true", 1);
	testrepo_do(t, NULL, "config", "--unset", "includeIf.gitdir:**/.git.path", NULL);
	testrepo_do(
	    t, NULL, "remote", "set-url", "origin", "https://x:sk-test-dummy@github.test/o/h.git", NULL);
	expect_refusal(ask(t, t->top, options), "(remote.origin.url in .git/config)");
	unsetenv("GITHUB_ACTIONS");
	free(shallow);
	free(from);
	free(included);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_checked_out_branch, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_base_by_option, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_notes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_repositories_that_cannot_be_used, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_foreign_owner, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_agent_and_disk, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_folder_in_the_way, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bad_questions, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_the_gates_own_files_are_protected, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_in_a_workflow, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
