/*
 * ctlrun: runs a copy of orchctl for a test, with siblings that the test writes, its output collected while
 * the test's loop (and a fakeorchd in it) goes on.
 */
#ifndef ORCH_TESTS_CTLRUN_H
#define ORCH_TESTS_CTLRUN_H

#include "tests/helper/lib/testrepo.h"

#include <stdbool.h>
#include <sys/types.h>

/* Takes out of our environment what would change what orchctl does: settings, issue, places, colour. */
void ctlrun_scrub_environment(void);
/* Copies the program orchctl from bin_dir to <root>/bin, alone. */
void ctlrun_install(struct testrepo *t, const char *bin_dir);
/* Writes <root>/bin/name, a shell script. */
void ctlrun_sibling(struct testrepo *t, const char *name, const char *script);
/* A sibling orch-director whose --check accepts everything, with the commit HEAD and one note. */
void ctlrun_accepting_check(struct testrepo *t);

struct ctlrun {
	pid_t pid;
	int status; /* of exit, or 128 + the signal */
	char *out, *err;
	/* private */
	struct testrepo *repo;
	struct ctlrun_pipe *pipes[2];
	bool ended, done;
	void (*on_text)(struct ctlrun *r, void *arg);
	void *arg;
};

/*
 * Starts orchctl in the checkout with the arguments up to NULL in argv (without its name). tty: its stdout is
 * a terminal of 60 x 20. on_text, which may be NULL, is called whenever out or err has grown, and at the end.
 */
void ctlrun_start(struct ctlrun *r, struct testrepo *t, bool tty, const char *const *argv,
    void (*on_text)(struct ctlrun *r, void *arg), void *arg);
/* The same for any program, in dir. */
void ctlrun_program(struct ctlrun *r, struct testrepo *t, const char *program, const char *dir, bool tty,
    const char *const *argv, void (*on_text)(struct ctlrun *r, void *arg), void *arg);
/* Pumps the loop until it has ended (120 s at most) and asserts that it did. */
void ctlrun_wait(struct ctlrun *r);
void ctlrun_clear(struct ctlrun *r);
/* All three. */
void ctlrun(struct ctlrun *r, struct testrepo *t, const char *const *argv);

#endif
