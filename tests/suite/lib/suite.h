/*
 * suite: small repositories, generated from a seed, each with a run whose right outcome is known beforehand:
 * clean work, conflicts, work that is red only together, breaches, empty work, chains of dependencies, a
 * culprit among many. Whole runs with the real programs and the scripted agent. Besides the outcome of every
 * task, the work branch must have been green wherever it has ever been.
 */
#ifndef ORCH_TESTS_SUITE_H
#define ORCH_TESTS_SUITE_H

#include <stddef.h>

/* Runs the repositories seed, seed + 1, ... as tests of cmocka; how many failed. Prints a tally by kind. */
int suite_runs(unsigned seed, size_t repos);

#endif
