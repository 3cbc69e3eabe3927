/*
 * calculator: the demo's task (tests/demo/calculator) for tests with whole runs: the repository it begins in,
 * what its scripted agents do as scripts of the fake Messages API, for the real CLI, and a user of the
 * result. Everything asserts.
 */
#ifndef ORCH_TESTS_CALCULATOR_H
#define ORCH_TESTS_CALCULATOR_H

#include "tests/helper/lib/e2e.h"

#include <stddef.h>

#define CALCULATOR_GATE "if [ -f Makefile ]; then make -s check; fi"

/* The first commit of a repository in which nothing is built yet. */
void calculator_repository(struct e2e *e);
/* Below real_enter(): writes the scripts of all agents for its API; returns how many agents there are. */
size_t calculator_api_scripts(void);
/* Afterwards: every request was known, had the dummy key and found its script long enough. Returns how many
 * sessions asked. */
size_t calculator_api_sessions(void);
/* Clones the branch of the repository "from", builds it, runs its tests and calculates. */
void calculator_use(struct e2e *e, const char *from, const char *branch);

#endif
