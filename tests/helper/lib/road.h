/*
 * road: the whole road of the calculator's issue, whoever the agents are: a person sets the label, `orchd run
 * --event` in a workflow makes a comment, labels, a branch pushed by git over HTTP and a pull request that
 * closes the issue; a person merges it, and the event of that cleans up. It stands on githubrun's hub, which
 * githubrun_setup() starts.
 */
#ifndef ORCH_TESTS_ROAD_H
#define ORCH_TESTS_ROAD_H

#include "tests/helper/lib/e2e.h"

#include <jansson.h>

/* For githubrun_teardown: takes out of the environment what road_walk put there, too. */
int road_teardown(void **state);
/*
 * Walks it. The payloads of issues/labeled and pull_request/closed are Codertocat's and taken over: what is
 * particular to this issue (repository, label, numbers, words, branch) is put into them. The agents are what
 * the environment says.
 */
void road_walk(struct e2e *e, json_t *labeled, json_t *closed);

#endif
