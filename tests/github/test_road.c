/*
 * The whole road (tests/helper/lib/road.h), as a repository's users walk it, with the payloads that GitHub
 * documents for its two events (octokit's, with our label and the calculator's words) and the scripted team
 * of the demo.
 */
#include "common/alloc.h"
#include "common/json.h"
#include "tests/helper/lib/githubrun.h"
#include "tests/helper/lib/road.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEMO ORCH_SOURCE_DIR "/tests/demo/calculator"

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
copy_scripts(struct e2e *e)
{
	const char *copy[] = {"-R", DEMO "/.", e->scripts, NULL};
	struct ctlrun r;

	ctlrun_program(&r, e->repo, "cp", e->repo->top, false, copy, NULL, NULL);
	ctlrun_wait(&r);
	assert_int_equal(r.status, 0);
	ctlrun_clear(&r);
}

static void
test_from_label_to_merged(void **state)
{
	copy_scripts(*state);
	road_walk(*state, example("issues", "labeled"), example("pull_request", "closed"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_from_label_to_merged, githubrun_setup, road_teardown),
	};

	if (getenv("ORCH_GITHUB_STANDINS") == NULL) {
		fprintf(stderr, "skipped: script/test --github installs GitHub's documented payloads\n");
		return 77;
	}
	return cmocka_run_group_tests_name("test_road", tests, NULL, NULL);
}
