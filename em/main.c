/* orch-em: an engineering manager: divides an area into tasks and integrates what its workers submit. */
#include "em/em.h"

static const struct role_kind kind = {
    .program = "orch-em",
    .who = WHO_EM,
    .usage =
	"usage: orch-em\n"
	"\n"
	"Serves one area of a run. orchd starts it, with a socket on fd 3; by hand there is nothing to do\n"
	"with it: see orchctl --help.\n"
	"\n"
	"  --help       this text\n"
	"  --version    the version\n",
    .run = em_run,
};

int
main(int argc, char **argv)
{
	return role_main(argc, argv, &kind);
}
