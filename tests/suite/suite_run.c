/*
 * suite_run: the suite of generated repositories by hand.
 *
 *     suite_run [--repos N] [--seed S]
 *
 * N runs (200) with the seeds S (1), S + 1 ... Exit 0 when every outcome was as foreseen.
 */
#include "tests/suite/lib/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned
number(const char *name, const char *text)
{
	char *end;
	unsigned long n = text == NULL ? 0 : strtoul(text, &end, 10);

	if (n > 0 && n <= 100000 && *end == '\0')
		return (unsigned)n;
	fprintf(stderr, "suite_run: %s wants a number\n", name);
	exit(2);
}

int
main(int argc, char **argv)
{
	unsigned repos = 200, seed = 1;

	for (int i = 1; i < argc; i += 2) {
		if (strcmp(argv[i], "--repos") == 0)
			repos = number(argv[i], argv[i + 1]);
		else if (strcmp(argv[i], "--seed") == 0)
			seed = number(argv[i], argv[i + 1]);
		else {
			fprintf(stderr, "usage: suite_run [--repos N] [--seed S]\n");
			return 2;
		}
	}
	return suite_runs(seed, repos) == 0 ? 0 : 1;
}
