/* command: the table of orchctl's commands, from which dispatch, help and suggestions come. */
#ifndef ORCH_CTL_COMMAND_H
#define ORCH_CTL_COMMAND_H

#include "supervisor/ctl/args.h"

struct ctl;

/* Exit codes, the same for every command. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1,      /* the run failed, is partial or was cancelled; or the request was refused */
	CTL_USAGE = 2,       /* wrong usage or configuration */
	CTL_UNREACHABLE = 3, /* orchd cannot be reached */
	CTL_INTERRUPTED = 130,
};

struct command {
	const char *name;
	const char *words; /* after the name: "[RUN]" */
	const char *summary;
	unsigned options; /* args bits */
	int min_words, max_words;
	int (*run)(struct ctl *); /* an exit code */
	const char *all_help;     /* what --all means here; NULL where it is not taken */
};

/* NULL when there is none; then *near is a similar name or NULL. */
const struct command *command_find(const char *name, const char **near);

/* To stdout. */
void command_help(const struct command *c);
void command_overview(void);

#endif
