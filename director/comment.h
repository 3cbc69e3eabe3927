/*
 * comment: the one status comment of an issue: a run's state for people who look at GitHub and at nothing
 * else. What waits for a person comes first, and the verdict survives every cut. Pure: the same view gives
 * the same text, so that an unchanged comment is not written again; no age is in it that grows by itself.
 */
#ifndef ORCH_DIRECTOR_COMMENT_H
#define ORCH_DIRECTOR_COMMENT_H

#include "proto/view.h"

#define COMMENT_MAX 65536 /* bytes; GitHub counts characters, of which there are no more than bytes */

struct comment_facts {
	const char *branch_url; /* of the work branch, once it is pushed; all here may be NULL */
	const char *pull_url;   /* of the pull request */
	const char *job_url;    /* of the workflow's run */
	const char *problem;    /* one sentence: what of GitHub itself did not work */
};

/* The hidden line by which we find our comment of an issue again; every run of the issue has the same. */
#define COMMENT_MARKER "<!-- orch: status -->"

/* The same for the body of a pull request, without the marker; a complete run's closes the issue (0: none).
 */
char *comment_pull_text(
    const struct view_run *r, const struct comment_facts *facts, uint64_t issue, size_t max);

/* At most max bytes (at least 50,000, so that the verdict fits), the marker first. Caller frees. */
char *comment_render(const struct view_run *r, const struct comment_facts *facts, size_t max);

/*
 * The label of a run's state, one of COMMENT_LABELS without its NULL. For GitHub's own list of what is going
 * on: running, needs-human, complete, partial, failed.
 */
extern const char *const comment_labels[]; /* "orch:running" ..., NULL at the end */
const char *comment_label(const struct view_run *r);

#endif
