/*
 * saved: the state of a run as one commit that another machine can go on from, behind
 * refs/orch/state/<issue>. The commit's only file says which refs there were, and what orchd knew
 * (supervisor/portable, a line each); its parents are the tips of these refs, so that one ref brings all of
 * it, or nothing. It is never part of a work branch.
 */
#ifndef ORCH_DIRECTOR_SAVED_H
#define ORCH_DIRECTOR_SAVED_H

#include "common/err.h"
#include "common/git.h"

#include <jansson.h>

#define SAVED_MAX (16u << 20) /* bytes of the file */
#define SAVED_FILE "state.jsonl"
#define SAVED_REFS_MAX 1000
#define SAVED_RESUME "refs/orch/resume/" /* and a worker's flat id: what it goes on from, once */

/* refs/orch/state/25; caller frees. */
char *saved_ref(const char *issue);
/* The file: refs maps full names to commits, rows are lines. ended: only a review of its pull request makes
 * it go on. Caller frees. */
char *saved_text(const char *run, bool ended, const json_t *refs, const char *rows);

struct saved {
	json_t *refs;     /* checked: ours by name, commits by form */
	const char *rows; /* within the text that was read */
	char run[96];
	bool ended;
};
/* Somebody else's text: -EINVAL with a sentence for what is not a state of issue's run, or over a bound.
 * prefix: of its branches. */
int saved_parse(
    struct saved *s, const char *prefix, const char *issue, const char *text, size_t size, struct err *e);
void saved_clear(struct saved *s);

/* Commits that rows speak of, each on a line of its own, as git cat-file --batch-check asks for them. Caller
 * frees. */
int saved_commits(const struct saved *s, char **list, struct err *e);

#endif
