/*
 * deliver: what a run has made, brought to GitHub: the work branch pushed, and one pull request from it. Both
 * are found again and adopted: a director that was killed in between does it once more and makes nothing
 * twice.
 */
#ifndef ORCH_DIRECTOR_DELIVER_H
#define ORCH_DIRECTOR_DELIVER_H

#include "director/github_api.h"
#include "proto/role.h"
#include "proto/view.h"

struct delivery {
	char *branch_url; /* NULL: not pushed */
	char *pull_url;   /* NULL: no pull request */
};

/*
 * head: of the work branch that r names; base: the branch that the pull request is for. 0, also when there is
 * nothing to open a pull request for (prs none); -errno with a sentence, and *d with what was done until
 * then. Clear it in both cases.
 */
int deliver(struct role *r, struct github *gh, const struct view_run *run, uint64_t issue, const char *head,
    const char *base, struct delivery *d, struct err *e);
void delivery_clear(struct delivery *d);

#endif
