/* road: see road.h. */
#include "tests/helper/lib/road.h"

#include "common/alloc.h"
#include "common/json.h"
#include "tests/helper/lib/calculator.h"
#include "tests/helper/lib/githubrun.h"
#include "tests/helper/lib/test.h"

#include <stdlib.h>
#include <string.h>

#define AUTHOR "Codertocat"
#define TITLE "Build a functional calculator"
#define BODY                                                                                                 \
	"A calculator for the command line in C11. \"make\" builds build/calc, \"make check\" runs all "     \
	"tests."
#define BRANCH "cco/25-build-a-functional-calculator"

static const char *const ours[] = {"GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH", "GITHUB_ACTIONS", "ORCH_VERIFY"};

int
road_teardown(void **state)
{
	int rc = githubrun_teardown(state);

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		unsetenv(ours[i]);
	return rc;
}

static void
set_labeled(json_t *ev)
{
	json_t *issue = json_object_get(ev, "issue");

	json_object_set_new(json_object_get(ev, "repository"), "full_name", json_string("octo/hello"));
	json_object_set_new(json_object_get(ev, "label"), "name", json_string("orchestrator"));
	json_object_set_new(issue, "number", json_integer(25));
	json_object_set_new(issue, "title", json_string(TITLE));
	json_object_set_new(issue, "body", json_string(BODY));
}

static void
set_merged(json_t *ev)
{
	json_t *pull = json_object_get(ev, "pull_request");

	json_object_set_new(json_object_get(ev, "repository"), "full_name", json_string("octo/hello"));
	json_object_set_new(pull, "number", json_integer(101));
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

void
road_walk(struct e2e *e, json_t *labeled, json_t *closed)
{
	char *upstream;
	json_t *pull;

	calculator_repository(e);
	githubrun_serve_git(e);
	fakegithub_issue(&hub, "25", AUTHOR, TITLE, BODY);
	fakegithub_set_label(&hub, "25", "orchestrator", true);
	json_object_set_new(hub.permissions, AUTHOR, json_string("admin"));
	setenv("ORCH_VERIFY", CALCULATOR_GATE, 1);
	setenv("GITHUB_ACTIONS", "true", 1);
	e2e_remember(e);
	set_labeled(labeled);
	take_event(e, "issues", labeled, "complete");
	fakegithub_set_label(&hub, "25", "orchestrator", false);
	githubrun_assert_end("### orch: complete", "orch:complete");
	pull = fakegithub_pull(&hub, 0);
	assert_null(fakegithub_pull(&hub, 1));
	assert_string_equal(json_str(json_object_get(pull, "head"), "ref"), BRANCH);
	assert_ptr_equal(strstr(json_str(pull, "body"), "Closes #25."), json_str(pull, "body"));
	githubrun_assert_says(json_str(pull, "html_url"));
	json_decref(pull);

	assert_true(fakegithub_merge(&hub, 101));
	upstream = xasprintf("%s/octo/hello.git", hub.git);
	calculator_use(e, upstream, "main");
	free(upstream);
	set_merged(closed);
	take_event(e, "pull_request", closed, "");
	/* The run is forgotten; its branch is the repository's, as those that people made. */
	testrepo_do(e->repo, NULL, "branch", "-D", BRANCH, NULL);
}
