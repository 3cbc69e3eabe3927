/*
 * publish: a run's face on GitHub: the one comment of its issue, edited in place, and the label of its state.
 * Nothing of the run depends on it: what does not work is told once as an event, tried again later, and said
 * in the comment when that can be written again.
 */
#ifndef ORCH_DIRECTOR_PUBLISH_H
#define ORCH_DIRECTOR_PUBLISH_H

#include "proto/role.h"

#define PUBLISH_TICK_MS 1000
#define PUBLISH_GAP_MS 5000      /* between two edits; it grows with their number, to ... */
#define PUBLISH_GAP_MAX_MS 15000 /* ... which is 240 an hour; GitHub's limit is 500 */
#define PUBLISH_BACKOFF_MS 60000 /* after a failure, doubling to ten times that */

struct publish; /* all times here by github_second_ms */

/* NULL when the run is about no issue, or has no token. Otherwise what changes is told from now on, whenever
 * the top level waits. Close it before r goes. */
struct publish *publish_open(struct role *r);
void publish_close(struct publish *p);

/*
 * For lead's spare time: with prs=all, the pull requests of the run's parts (director/pulls). Returns when it
 * is to be called again. p NULL: never.
 */
int64_t publish_spare(void *p);

/* The branch that the work is for, asked for once; NULL when it cannot be told, and then that is said.
 * Borrowed from p. */
const char *publish_base(struct publish *p);

/* How a run ends, as its director sees it. */
struct publish_end {
	bool cancelled, failed;
	bool epilogue;        /* why is known to orchd already, and reason comes behind it */
	const char *reason;   /* NULL: none */
	const char *head;     /* of the work branch, when something was merged: it is pushed; NULL */
	const char *question; /* what a person must see to; NULL */
};

/*
 * The last words, before orchd is told that the run has ended; end NULL: orchd knows it already. Whatever
 * others made of comment and labels in between is looked at anew, and put right. Takes as long as GitHub's
 * limits and troubles ask for, five minutes at most (in an epilogue 90 s). p NULL: does nothing.
 * The URL of the pull request, NULL when there is none; borrowed from p.
 */
const char *publish_last(struct publish *p, const struct publish_end *end);
/* The same of a question that orchd is about to be told: it waits for a person then, and so does the run. */
void publish_question(struct publish *p, const char *question);
/* When this process is about to leave, and the run goes on without it or has been stopped: what orchd says of
 * it now, if that takes no more than a few seconds. */
void publish_leave(struct publish *p);

/*
 * Pushes the work and opens its pull request, ahead of publish_last, which then does not do it again for the
 * same head. From here on nothing is told of itself any more, until publish_resume. False: it is not on
 * GitHub.
 */
bool publish_hand_over(struct publish *p, const struct publish_end *end);
/* The run goes on after all. */
void publish_resume(struct publish *p);
/* What the director talks to GitHub with itself, between these two. */
struct github *publish_github(struct publish *p);
/* The run as orchd tells it now, borrowed until the next call; NULL: orchd does not answer. */
const struct view_run *publish_view(struct publish *p);
/* The number of the pull request that was handed over; 0: there is none. */
uint64_t publish_pull(const struct publish *p);
/* What did not work on GitHub. */
void publish_problem(struct publish *p, const struct err *e);

/* The state that orchd will give the run. Pure. */
const char *publish_verdict(const struct msg_run_info *r, const struct publish_end *end);

/* The reason that orchd will give it, in fresh memory; NULL: none. Pure. */
char *publish_reason(const struct msg_run_info *r, const struct publish_end *end);

/* When the next edit may be, now being the time of one that was made as the n-th or failed; failures: of
 * late. Pure. */
int64_t publish_next(int64_t now_ms, unsigned writes, unsigned failures);

/* The issue that a run id speaks of: 25 of "25" and "25-2"; 0 of "m1". Pure. */
uint64_t publish_issue(const char *run);

/* The number at the end of a pull request's page; 0: there is none. Pure. */
uint64_t publish_pull_number(const char *url);

#endif
