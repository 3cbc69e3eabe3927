/* orch-director: divides an issue into areas and integrates what their EMs submit; --check looks before a
 * run. */
#include "director/check.h"
#include "director/director.h"
#include "director/save.h"

#include <string.h>

static const struct role_kind kind = {
    .program = "orch-director",
    .who = WHO_DIRECTOR,
    .usage =
	"usage: orch-director [--check | --epilogue | --save]\n"
	"\n"
	"Serves a run. orchd starts it, with a socket on fd 3; by hand there is little to do with it: see\n"
	"orchctl --help.\n"
	"\n"
	"  --check      reads {\"top\",\"git_dir\",\"state\",\"worktrees\",\"options\"} as JSON from stdin "
	"and says\n"
	"               whether a run can start there: a JSON line {\"base\",\"base_branch\",\"notes\"} on\n"
	"               stdout, or one sentence on stderr and exit status 2\n"
	"  --epilogue   (for orchd) only tidies up and tells the result of a run whose director kept dying\n"
	"  --save       (for orchd) only pushes what a stopped run has, for another machine to go on from\n"
	"  --help       this text\n"
	"  --version    the version\n",
    .run = director_run,
};

int
main(int argc, char **argv)
{
	struct role_kind other = kind;

	if (argc == 2 && strcmp(argv[1], "--check") == 0)
		return check_main();
	other.run = argc == 2 && strcmp(argv[1], "--epilogue") == 0 ? director_epilogue
		    : argc == 2 && strcmp(argv[1], "--save") == 0   ? director_save
								    : NULL;
	if (other.run != NULL)
		return role_main(1, argv, &other);
	return role_main(argc, argv, &kind);
}
