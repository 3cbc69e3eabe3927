/*
 * review: rounds of reviews of a run's pull request, as orchd keeps them. What people said is read, sorted
 * and answered by the director; here is that a run that has ended is taken up again for it, that tasks whose
 * work was integrated go back to work once more, and that this work stands if the new one fails.
 */
#ifndef ORCH_SUPERVISOR_REVIEW_H
#define ORCH_SUPERVISOR_REVIEW_H

#include "supervisor/daemon.h"

/*
 * A person wants the reviews to be looked at: now when r has ended, else before it ends. *done says which; it
 * lives as long as the program. -errno with a sentence for a run that has nothing to do with GitHub, made no
 * plan, or never worked.
 */
int review_ask(
    struct daemon *d, struct run *r, const struct msg_address *m, const char **done, struct err *e);
/* Somebody asked since the director was started: it is to look before r ends. Says so once. */
bool review_goes_before_end(struct daemon *d, struct run *r);

/* The director begins a round (proto/messages.h says what json holds): all of it happens, or nothing. One
 * that began, or is over, is not begun again. */
int review_begin(struct daemon *d, struct run *r, uint64_t round, const char *json, struct err *e);
/* Everything of the round has been answered. */
void review_over(struct daemon *d, struct run *r, uint64_t round);

/* Is t done again for a review, so that its earlier work stands whatever comes of it? */
bool review_falls_back(const struct task *t);
/* It is what it was before. */
void review_fall_back(struct task *t);
/* What t is sent back for; what the review asks of it is not forgotten over that. */
void review_keep_evidence(struct task *t, const char *evidence);

/* The director's ASSIGN. Borrowed from r. */
void review_assign(const struct run *r, struct msg_assign *m);

#endif
