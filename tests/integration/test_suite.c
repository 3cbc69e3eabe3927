/* The suite of generated repositories, for a while: tests/suite/suite_run does all of it. */
#include "tests/helper/lib/test.h"
#include "tests/suite/lib/suite.h"

/* Seeds that together have conflicts of all kinds. */
#define FIRST 3
#define REPOS 3

int
main(void)
{
	return suite_runs(FIRST, REPOS);
}
