/*
 * ctl: what every command of orchctl works with: its arguments, the settings, the repository, the loop and
 * the connection to orchd. Made once in main(), passed down.
 */
#ifndef ORCH_CTL_CTL_H
#define ORCH_CTL_CTL_H

#include "common/conf.h"
#include "common/err.h"
#include "common/loop.h"
#include "common/repo.h"
#include "supervisor/ctl/args.h"
#include "supervisor/ctl/client.h"
#include "supervisor/ctl/command.h"

struct ctl {
	const struct command *cmd;
	struct args args;
	struct conf conf;
	struct repo repo;
	struct loop loop;
	struct client *client; /* NULL until ctl_connect */
	char *keys;            /* keys_read(): as JSON, wiped at the end; NULL: none */
	char *token;           /* token_read(): for GitHub, wiped at the end; NULL: none */
	bool awaited;          /* the orchd whose front we are serves */
	/* A run that another machine saved is all that this one is about, and what is done with it. */
	enum { THEN_ANYTHING, THEN_RESUME, THEN_ANSWER, THEN_CANCEL, THEN_FORGET } then;
	const char *answer; /* with THEN_ANSWER; borrowed */
};

/*
 * Parses the line, finds the repository and reads the settings: orchestrator.json, then environment, then
 * flags. CTL_OK, or an exit code after saying why on stderr.
 */
int ctl_open(struct ctl *c, const struct command *cmd, int argc, char *const *argv, int first);
void ctl_close(struct ctl *c);

/*
 * Connects to orchd, starting it when none runs. CTL_OK, or CTL_UNREACHABLE after saying why. Commands
 * that only look do not start it for a repository that never had a run: see ctl_never_ran.
 */
int ctl_connect(struct ctl *c);
/* The same for commands about a run: without any, CTL_USAGE after saying so. */
int ctl_connect_ran(struct ctl *c);
/* orchd run started us to show its one run: it is the only orchd there is for us. */
bool ctl_is_front(void);
/* True when neither a state folder nor a socket is there: nothing to ask orchd about. */
bool ctl_never_ran(const struct ctl *c);

/* One request; items of the answer go to fn (may be NULL). CTL_OK, or an exit code after saying why. */
int ctl_ask(struct ctl *c, struct msg *m, client_fn *fn, void *arg);

/* "orchctl: sentence" on stderr. */
void ctl_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* ctl_say(e->msg) and the exit code that belongs to rc (a negative errno of the client). */
int ctl_fail(int rc, const struct err *e);

/* The text of orchestrator.json. 0 (*text NULL when there is none) or -errno with a sentence. */
int ctl_read_settings(const struct repo *r, char **text, size_t *size, struct err *e);

#endif
