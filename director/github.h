/*
 * github: GitHub's REST API as the director uses it: one request at a time, awaited on the loop, by the rules
 * of github_retry. What can be asked is in github_api.h.
 *
 * Every call returns 0 or -errno with a sentence, and github_kind() tells what kind of failure the last one
 * was. A call may take long: while a limit lasts, requests wait up to patience_ms, and fail with -EAGAIN
 * (GITHUB_LIMITED) without being sent where it lasts longer. What must be said at the end of a run is said
 * with more patience; what is only nice to have, with none.
 *
 * The token is in this struct's memory alone, and wiped with it.
 */
#ifndef ORCH_DIRECTOR_GITHUB_H
#define ORCH_DIRECTOR_GITHUB_H

#include "common/err.h"
#include "common/loop.h"
#include "director/github_name.h"
#include "director/github_retry.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define GITHUB_PAGES_MAX 100 /* of 100 items: a list of 10,000 is read, and no more */

struct github;

struct github_options {
	const char *base; /* github_api_base(); copied, as all here are */
	const char *owner, *repo;
	const char *token;
	const char *ca_file;  /* NULL: the system's certificates */
	int64_t write_gap_ms; /* < 0: GITHUB_WRITE_GAP_MS */
	int64_t patience_ms;  /* < 0: without end */
	int64_t second_ms;    /* how long a second of a limit or a pause is; 0: a second */
};

/* Since github_open. requests: all that were sent, repetitions and 304s (which cost nothing) with them. */
struct github_stats {
	uint64_t requests, writes, not_modified, repeated, limited, redirects;
	uint64_t comments; /* comments created and edited */
	int64_t waited_ms; /* for limits, gaps and repetitions */
	int64_t remaining; /* of the primary limit, as last told; -1: never */
};

int github_open(struct github **out, struct loop *l, const struct github_options *o, struct err *e);
void github_close(struct github *gh);

void github_set_patience(struct github *gh, int64_t patience_ms);
const struct github_stats *github_stats(const struct github *gh);
/* Of the last call. */
enum github_kind github_kind(const struct github *gh);

const char *github_owner(const struct github *gh);
const char *github_repo(const struct github *gh);
const char *github_base(const struct github *gh);

/*
 * The lower half, for github_api.c and whoever needs what is not there. what: the deed as an infinitive, for
 * the sentence ("read issue 25"). path begins with "/repos/..." (github_path makes it) or is a whole URL of
 * the API's own origin.
 */

/* "/repos/OWNER/REPO" and the rest, in fresh memory. */
char *github_path(const struct github *gh, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* *answer (may be NULL) is the body, a new reference; NULL for an empty one. GETs are conditional. */
int github_get(struct github *gh, const char *what, const char *path, json_t **answer, struct err *e);
/* body: stolen; NULL: none. On -EINVAL (422) *answer holds what GitHub said, where it is asked for. */
int github_send(struct github *gh, const char *what, const char *method, const char *path, json_t *body,
    json_t **answer, struct err *e);
/*
 * Every item of a list, page by page as Link says; key: where the items are in an object, NULL for a plain
 * list. fn returns 0 for the next one, 1 for enough, or -errno, which is returned. Items are borrowed.
 */
typedef int github_item_fn(void *arg, const json_t *item, struct err *e);
int github_each(struct github *gh, const char *what, const char *path, const char *key, github_item_fn *fn,
    void *arg, struct err *e);

#endif
