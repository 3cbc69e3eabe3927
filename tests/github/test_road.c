/*
 * The whole road, as a repository's users walk it: the payload that GitHub documents for a label set on an
 * issue (octokit's, with our label and the calculator's words), `orchd run --event` in a workflow, the
 * scripted team of the demo, a comment, labels, a branch pushed by git over HTTP and a pull request that
 * closes the issue; a person merges it, and the event of that cleans up.
 */
#include "common/alloc.h"
#include "common/fd.h"
#include "common/json.h"
#include "tests/helper/lib/githubrun.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEMO ORCH_SOURCE_DIR "/tests/demo/calculator"
#define TITLE "Build a functional calculator"
#define BODY                                                                                                 \
	"A calculator for the command line in C11. \"make\" builds build/calc, \"make check\" runs all "     \
	"tests."
#define BRANCH "cco/25-build-a-functional-calculator"

static const char *const ours[] = {"GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH", "GITHUB_ACTIONS", "ORCH_VERIFY"};

static int
tear_down(void **state)
{
	int rc = githubrun_teardown(state);

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		unsetenv(ours[i]);
	return rc;
}

/* The documented example of an event with that action, a new reference. */
static json_t *
example(const char *name, const char *action)
{
	char *path = xasprintf("%s/node_modules/@octokit/webhooks-examples/api.github.com/index.json",
	    getenv("ORCH_GITHUB_STANDINS"));
	json_t *all = json_load_file(path, 0, NULL), *kind, *one, *found = NULL;
	size_t i, k;

	assert_non_null(all);
	json_array_foreach (all, i, kind)
		if (strcmp(json_str(kind, "name"), name) == 0)
			json_array_foreach (json_object_get(kind, "examples"), k, one)
				if (found == NULL && strcmp(json_str(one, "action"), action) == 0)
					found = json_deep_copy(one);
	assert_non_null(found);
	json_object_set_new(json_object_get(found, "repository"), "full_name", json_string("octo/hello"));
	json_decref(all);
	free(path);
	return found;
}

static void
labeled(json_t *ev)
{
	json_t *issue = json_object_get(ev, "issue");

	json_object_set_new(json_object_get(ev, "label"), "name", json_string("orchestrator"));
	json_object_set_new(issue, "number", json_integer(25));
	json_object_set_new(issue, "title", json_string(TITLE));
	json_object_set_new(issue, "body", json_string(BODY));
}

static void
merged(json_t *ev)
{
	json_t *pull = json_object_get(ev, "pull_request");

	json_object_set_new(pull, "merged", json_true());
	json_object_set_new(json_object_get(pull, "head"), "ref", json_string(BRANCH));
}

/* orchd run --event, as the workflow's step does it; what it said must hold words. */
static void
take_event(struct e2e *e, const char *name, json_t *ev, const char *words)
{
	static const char *const argv[] = {"run", "--event", NULL};
	char *path = xasprintf("%s/event.json", e->scripts), *program = testrepo_path(e->repo, "bin/orchd");
	struct ctlrun r;

	assert_int_equal(json_dump_file(ev, path, 0), 0);
	setenv("GITHUB_EVENT_NAME", name, 1);
	setenv("GITHUB_EVENT_PATH", path, 1);
	ctlrun_program(&r, e->repo, program, e->repo->top, false, argv, NULL, NULL);
	ctlrun_wait(&r);
	if (r.status != 0 || (strstr(r.out, words) == NULL && strstr(r.err, words) == NULL))
		fail_msg("exit %d: %s%s", r.status, r.out + (strlen(r.out) > 1500 ? strlen(r.out) - 1500 : 0),
		    r.err);
	ctlrun_clear(&r);
	json_decref(ev);
	free(path);
	free(program);
}

static void
make_calculator(struct e2e *e)
{
	static const char *const argv[] = {"-R", DEMO "/.", NULL, NULL};
	const char *copy[] = {argv[0], argv[1], e->scripts, NULL};
	struct ctlrun r;

	ctlrun_program(&r, e->repo, "cp", e->repo->top, false, copy, NULL, NULL);
	ctlrun_wait(&r);
	assert_int_equal(r.status, 0);
	ctlrun_clear(&r);
	testrepo_file(e->repo, ".gitignore", "build/\n");
	testrepo_file(e->repo, "README.md", "# calc\n");
	free(testrepo_commit(e->repo, "Begin"));
}

/* What people get: a clone of what the pull request was merged into. */
static void
use_calculator(struct e2e *e)
{
	char *from = xasprintf("%s/octo/hello.git", hub.git), *to = testrepo_path(e->repo, "clone");
	char *calc = testrepo_path(e->repo, "clone/build/calc");
	const char *make[] = {"-s", "check", "all", NULL}, *sum[] = {"2*(3+4)", NULL};
	struct ctlrun r;

	testrepo_do(e->repo, NULL, "clone", "-q", "--branch", "main", from, to, NULL);
	ctlrun_program(&r, e->repo, "make", to, false, make, NULL, NULL);
	ctlrun_wait(&r);
	if (r.status != 0)
		fail_msg("%s%s", r.out, r.err);
	ctlrun_clear(&r);
	ctlrun_program(&r, e->repo, calc, to, false, sum, NULL, NULL);
	ctlrun_wait(&r);
	assert_string_equal(r.out, "14\n");
	ctlrun_clear(&r);
	free(from);
	free(to);
	free(calc);
}

static void
test_from_label_to_merged(void **state)
{
	struct e2e *e = *state;
	json_t *ev = example("issues", "labeled"), *pull;

	make_calculator(e);
	githubrun_serve_git(e);
	fakegithub_issue(&hub, "25", "Codertocat", TITLE, BODY);
	fakegithub_set_label(&hub, "25", "orchestrator", true);
	json_object_set_new(hub.permissions, "Codertocat", json_string("admin"));
	setenv("ORCH_VERIFY", "if [ -f Makefile ]; then make -s check; fi", 1);
	setenv("GITHUB_ACTIONS", "true", 1);
	e2e_remember(e);
	labeled(ev);
	take_event(e, "issues", ev, "complete");
	fakegithub_set_label(&hub, "25", "orchestrator", false);
	githubrun_assert_end("### orch: complete", "orch:complete");
	pull = fakegithub_pull(&hub, 0);
	assert_null(fakegithub_pull(&hub, 1));
	assert_string_equal(json_str(json_object_get(pull, "head"), "ref"), BRANCH);
	assert_ptr_equal(strstr(json_str(pull, "body"), "Closes #25."), json_str(pull, "body"));
	githubrun_assert_says(json_str(pull, "html_url"));
	json_decref(pull);

	assert_true(fakegithub_merge(&hub, 101));
	use_calculator(e);
	ev = example("pull_request", "closed");
	merged(ev);
	take_event(e, "pull_request", ev, "");
	/* The run is forgotten; its branch is the repository's, as those that people made. */
	testrepo_do(e->repo, NULL, "branch", "-D", BRANCH, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_from_label_to_merged, githubrun_setup, tear_down),
	};

	if (getenv("ORCH_GITHUB_STANDINS") == NULL) {
		fprintf(stderr, "skipped: script/test --github installs GitHub's documented payloads\n");
		return 77;
	}
	return cmocka_run_group_tests_name("test_road", tests, NULL, NULL);
}
