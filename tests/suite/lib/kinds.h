/* kinds: what may happen in one area of a generated run, and what must come of it. */
#ifndef ORCH_TESTS_SUITE_KINDS_H
#define ORCH_TESTS_SUITE_KINDS_H

#include "tests/helper/lib/e2e.h"

#include <stdbool.h>
#include <stddef.h>

#define TASKS_MAX 8
#define FILES_MAX 12

/* The gate: the file check.sh of every repository. */
extern const char suite_gate[];

struct suite_task {
	char id[12], owns[48], needs[64]; /* owns, needs: the inside of a JSON array */
	int good;                         /* 1: it must be integrated; 0: failed; -1: see good_together */
	int rework;                       /* so often it must have been sent back; -1: see together */
};

struct suite_file {
	char path[48];
	const char *text; /* without the last newline; NULL: not there */
};

struct suite_area {
	const char *id; /* of one letter */
	char owns[64];  /* the inside of a JSON array */
	char shared[48];
	size_t kind;
	struct suite_task tasks[TASKS_MAX];
	size_t count;
	int good_together; /* so many of the tasks whose good is -1 must be integrated */
	int together;      /* all tasks whose rework is -1 were sent back so often, taken together */
	struct suite_file files[FILES_MAX];
	size_t file_count;
	/* When the first task is integrated, this file is made, for which others wait; "": nothing. */
	char release[24];
};

/* xorshift: the same suite on every machine. */
unsigned suite_pick(unsigned *state, unsigned below);

size_t suite_kind_count(void);
const char *suite_kind_name(size_t kind);
/* Fills a (its id and kind are set) and writes the scripts of its workers and files of the base. */
void suite_fill(struct e2e *e, struct suite_area *a, unsigned *state);

#endif
