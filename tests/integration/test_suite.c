/* The suite of generated repositories, for a while: tests/suite/suite_run does all of it. */
#include "tests/helper/lib/test.h"
#include "tests/suite/lib/suite.h"

/* Seeds that together have most kinds. */
#define FIRST 1
#define REPOS 5

int
main(void)
{
	return suite_runs(FIRST, REPOS);
}
