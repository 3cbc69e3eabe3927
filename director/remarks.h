/*
 * remarks: what people said of a pull request and nobody has answered yet, and who is to do it: from the
 * lists that GitHub gives to a round of work, and from what came of it to the answers. All of it is words of
 * others: made valid UTF-8, bounded, and handed on as data. Pure.
 *
 * A remark is a thread of comments on the changes, or the body of a review. Each of our answers says in a
 * hidden marker what it answers, so that GitHub itself knows what is done: whoever is started again answers
 * nothing twice, and what is said after an answer is a remark again.
 */
#ifndef ORCH_DIRECTOR_REMARKS_H
#define ORCH_DIRECTOR_REMARKS_H

#include "director/github_api.h"
#include "proto/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REMARKS_MAX 50            /* of one round; what is over waits for the next */
#define REMARK_BYTES (8 * 1024)   /* of one comment */
#define REMARK_THREAD (16 * 1024) /* of one thread: its end */
#define REMARKS_BYTES (40 * 1024) /* of one round's words */
#define REMARKS_READ (8u << 20)   /* bytes of words that are kept while reading */
#define REMARK_MARKER "<!-- orch: answer "
#define REMARKS_AREA "rework-review-" /* key of a round's own area; plans leave it free */

struct remark {
	bool review;       /* the body of a review; else a thread */
	uint64_t id, upto; /* the review, or the thread's first comment and the last one that is taken up */
	uint64_t of;       /* of a thread: the review that its last comment came with; 0 */
	uint64_t line;     /* 0: not on one */
	char *path;        /* NULL: none */
	char *text;        /* who said what, in order */
};

struct remarks {
	struct remark *list; /* as they were said */
	size_t count;
	size_t strangers, own; /* comments left out: of people who do not belong here, of the token's user */
};

struct said;
struct remarks_source {
	struct said *reviews, *comments;
	size_t review_count, comment_count;
	uint64_t *answered, *resolved; /* reviews; first comments of threads */
	size_t answered_count, resolved_count;
	size_t bytes;
};

/* What GitHub's lists hold, oldest first. me: written by the token's user. */
void remarks_add_review(struct remarks_source *s, const struct github_review *r, bool me);
void remarks_add_comment(struct remarks_source *s, const struct github_review_comment *c, bool me);
/* A comment below the pull request: it may answer reviews. */
void remarks_add_below(struct remarks_source *s, const struct github_comment *c, bool me);
/* The thread that begins with this comment is settled, people say. */
void remarks_add_resolved(struct remarks_source *s, uint64_t comment);
void remarks_source_clear(struct remarks_source *s);

/*
 * What is to be done. Left out: bots, ourselves, who does not belong to the repository (trust takes both in,
 * but never a bot), what was answered or resolved, dismissed reviews, and what somebody said before
 * approving.
 */
void remarks_pick(const struct remarks_source *s, bool trust, struct remarks *out);
void remarks_clear(struct remarks *r);
/* Has such a remark an answer of ours? */
bool remarks_is_answered(const struct remarks_source *s, bool review, uint64_t id, uint64_t upto);

/*
 * A round as JSON (json_decref): {"tasks": [{"task","text"}], "remarks": [{"review","id","upto","tasks":[]}],
 * "area": {"key","title","goal","owns"}}. A thread is for the task whose work its file is, else for the area,
 * else for an area of its own, which is also for what is said of no file when there are several areas. Takes
 * as many remarks as REVIEW_MAX holds; NULL: nothing was ever integrated.
 */
json_t *remarks_round(const struct remarks *r, const struct view_run *run, uint64_t round);

/* The answer to one of a round's remarks, with its marker, when head is what was pushed. Caller frees. */
char *remarks_answer(const json_t *remark, const struct view_run *run, uint64_t round, const char *head);

#endif
