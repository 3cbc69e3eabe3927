/*
 * power_run: power cuts by hand.
 *
 *     power_run [--seed S] [--looks N] [--resumes N] [--variants ABCD] [--quiet]
 *     power_run --trace FILE [--at N] ...
 *
 * Records a run and looks at N of its operations by chance, without --looks at all of them in all variants
 * (see power/disk.h); from some of them the run is gone on with. A point at which a law was broken is told
 * with the line that repeats it, by the recording that is kept beside the folder's name. Exit 0 when every
 * law held, 1 when not.
 */
#include "common/clock.h"
#include "tests/chaos/power/power.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t
number(const char *name, const char *text)
{
	char *end = NULL;
	uint64_t n = text == NULL ? 0 : strtoull(text, &end, 10);

	if (end != NULL && end != text && *end == '\0')
		return n;
	fprintf(stderr, "power_run: %s wants a number\n", name);
	exit(2);
}

int
main(int argc, char **argv)
{
	struct power p = {.seed = (uint64_t)clock_wall_ms(),
	    .variants = POWER_VARIANTS,
	    .resumes = 20,
	    .program = argv[0],
	    .at = -1,
	    .verbose = true};

	for (int i = 1; i < argc; i++) {
		const char *value = argv[i + 1];

		if (strcmp(argv[i], "--quiet") == 0) {
			p.verbose = false;
			continue;
		}
		if (strcmp(argv[i], "--seed") == 0)
			p.seed = number(argv[i], value);
		else if (strcmp(argv[i], "--looks") == 0)
			p.looks = (unsigned)number(argv[i], value);
		else if (strcmp(argv[i], "--resumes") == 0)
			p.resumes = (unsigned)number(argv[i], value);
		else if (strcmp(argv[i], "--at") == 0)
			p.at = (long)number(argv[i], value);
		else if (strcmp(argv[i], "--trace") == 0 && value != NULL)
			p.trace = value;
		else if (strcmp(argv[i], "--variants") == 0 && value != NULL && value[0] != '\0' &&
			 value[strspn(value, POWER_VARIANTS)] == '\0')
			p.variants = value;
		else {
			fprintf(stderr,
			    "usage: power_run [--trace FILE] [--at N] [--seed S] [--looks N] [--resumes N]"
			    " [--variants " POWER_VARIANTS "] [--quiet]\n");
			return 2;
		}
		i++;
	}
	printf("seed %" PRIu64 "\n", p.seed);
	return power_run(&p);
}
