/* issue: what a run is about, from the command line, a file or the environment, checked before anything
 * starts. */
#ifndef ORCH_CTL_ISSUE_H
#define ORCH_CTL_ISSUE_H

#include "common/err.h"
#include "supervisor/ctl/args.h"

#include <stddef.h>

#define ISSUE_TITLE_CHARS 120

struct issue {
	char *number; /* NULL: a text without an issue */
	char *title;  /* one line, never empty; NULL: to be read from GitHub */
	char *text;   /* never empty; NULL likewise */
};

/*
 * An issue number (the word, else ISSUE_NUMBER) takes its text from -m, --task, else ISSUE_TITLE and
 * ISSUE_BODY, else from GitHub (text is NULL then). Standard input is read for --task - only. -EINVAL with a
 * sentence that says what to do.
 */
int issue_read(struct issue *i, const struct args *a, struct err *e);
void issue_clear(struct issue *i);

/* The first line that says something, without leading # and blanks, cut to ISSUE_TITLE_CHARS. Caller frees.
 */
char *issue_title(const char *text);

#endif
