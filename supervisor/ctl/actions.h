/*
 * actions: what a program in a GitHub Actions workflow owes its runner: secrets masked before anything else,
 * a log in which no line of somebody else's is taken for a command, annotations, a step summary, and outputs.
 * Nothing of it happens elsewhere.
 */
#ifndef ORCH_CTL_ACTIONS_H
#define ORCH_CTL_ACTIONS_H

#include "supervisor/ctl/ctl.h"
#include "proto/view.h"

#include <stdio.h>

#define ACTIONS_SUMMARY_MAX (1u << 20) /* bytes of a step's summary that GitHub takes */
#define ACTIONS_JOB_MINUTES 345        /* of the 360 that a hosted job may take: the rest is for saving */
#define ACTIONS_NOTES_MAX 10           /* errors, and as many warnings, of one step */
#define ACTIONS_TOKEN 33               /* hexadecimal digits and NUL */

/* Are we in a workflow (GITHUB_ACTIONS)? */
bool actions_on(void);

/*
 * Around everything that a run prints. begin: stdout and stderr become one stream, so that order is kept;
 * each secret of the API configurations (NULL: none) is masked; workflow commands are off from there on. end:
 * they are on again, and what is wrong with the run is annotated, its report added to the step's summary, and
 * the step's outputs set: result, branch, pr-url, cost-usd. run NULL or "": there was no run.
 */
struct actions {
	bool on;
	char token[ACTIONS_TOKEN];
};
void actions_begin(struct actions *a, const char *keys);
void actions_end(struct actions *a, struct ctl *c, const char *run);
/* In place of end, for a run that goes on in another job: the result is "stopped", or, when it waits for a
 * person's answer, "needs-human". orchd has gone. */
void actions_end_stopped(struct actions *a, bool asked);

/* The pieces, for actions_end and its tests. */

/* "::error title=TITLE::TEXT", with everything escaped that would end it early. */
void actions_note(FILE *f, const char *command, const char *title, const char *text);
/* What a person must know of a run's tasks, as errors and warnings. */
void actions_notes(FILE *f, const struct view_run *r);
/* "NAME<<TOKEN", the value, and the token again: whatever value holds, it ends there. */
void actions_output(FILE *f, const char *name, const char *value, const char *token);
/* Where a summary is cut, at the end of a line, so that with a sentence about it max bytes suffice; size when
 * nothing is cut. */
size_t actions_cut(const char *text, size_t size, size_t max);

#endif
