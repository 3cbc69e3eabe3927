/*
 * cmd: run one program to its end and keep what it said, while the loop goes
 * on. For git and gates; agents have a runner of their own (common/agent).
 *
 * The program leads a session of its own. When it ends, is late, or we are
 * stopped, its group is killed before cmd_run returns; where the loop owns its
 * descendants (role processes), so is everything else that it left behind.
 */
#ifndef ORCH_COMMON_CMD_H
#define ORCH_COMMON_CMD_H

#include "common/err.h"
#include "common/loop.h"
#include "common/ptree.h"

#include <stddef.h>
#include <stdint.h>

struct cmd_spec {
	const char *const *argv;
	const char *const *env; /* complete; NULL: ours */
	const char *cwd;
	const void *in; /* fed to stdin, then stdin is closed; NULL: /dev/null */
	size_t in_size;
	size_t out_max, err_max; /* bytes kept of each (the first of stdout, the last of stderr); the rest is
				    read and dropped */
	bool merge_err; /* stderr goes where stdout goes, and the last out_max bytes are kept: for gates */
	bool tree;      /* somebody else's program: kept as loop->trees says, below its ceilings */
	int give_fd;    /* becomes fd 3 of the program, and of what it starts; <= 0: none */
	int64_t timeout_ms;    /* 0: none */
	const char *lock_path; /* held exclusively (flock) while it runs; waiting for it counts in the
				  timeout; NULL: none */
	int death_signal;      /* sent to it when we die; 0: none */
};

struct cmd_result {
	int status;             /* as waitpid gives it */
	bool timed_out;         /* killed by us at the end of timeout_ms */
	struct ptree_over over; /* killed by us or the kernel for this */
	bool truncated;         /* stdout was longer than out_max */
	char *out, *err;        /* NUL-terminated, never NULL after success */
	size_t out_size, err_size;
	int64_t duration_ms;
};

/*
 * 0 when the program ran and ended, however it ended: look at r->status and
 * r->timed_out. -ECANCELED when a stop interrupted it; other -errno with a sentence
 * in e when it could not be started. Clear r after 0.
 */
int cmd_run(struct loop *l, const struct cmd_spec *s, struct cmd_result *r, struct err *e);
void cmd_result_clear(struct cmd_result *r);

/* True when it exited with 0, was not killed, and stayed below its ceilings. */
bool cmd_ok(const struct cmd_result *r);

/*
 * Kills every descendant of this process and reaps until none is left (bounded
 * by 5 s, then -ETIMEDOUT: something is stuck in the kernel). For a role between two
 * programs, when whatever still lives is a stray.
 */
int cmd_sweep(struct loop *l);

#endif
