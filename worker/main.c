/* orch-worker: one task, done by an agent in a worktree of its own. */
#include "worker/worker.h"

static const struct role_kind kind = {
    .program = "orch-worker",
    .who = WHO_WORKER,
    .usage = "usage: orch-worker\n"
	     "\n"
	     "Serves one task of a run: runs the agent, commits, checks, submits. orchd starts it, with a "
	     "socket on\n"
	     "fd 3; by hand there is nothing to do with it: see orchctl --help.\n"
	     "\n"
	     "  --help       this text\n"
	     "  --version    the version\n",
    .run = worker_run,
    .stopped = worker_stopped,
};

int
main(int argc, char **argv)
{
	return role_main(argc, argv, &kind);
}
