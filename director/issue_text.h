/*
 * issue_text: the text of a run from an issue and its comments: the body, then what people said below it,
 * each with its name. All of it is data of strangers: it is made valid UTF-8 and bounded, and nothing in it
 * is ours. Pure.
 */
#ifndef ORCH_DIRECTOR_ISSUE_TEXT_H
#define ORCH_DIRECTOR_ISSUE_TEXT_H

#include "director/github_api.h"

#include <stdbool.h>
#include <stddef.h>

#define ISSUE_TEXT_MAX (200 * 1024)    /* bytes; a goal may have 256 KiB */
#define ISSUE_COMMENTS_MAX (96 * 1024) /* of these; the newest are kept */
#define ISSUE_COMMENT_MAX (16 * 1024)  /* of one comment */

struct issue_text {
	bool known_only; /* only comments of people who belong to the repository, and of the issue's author */
	const char *author; /* login of the issue's author */
	char **comments;    /* oldest first, as they will appear */
	size_t count, room, size, left_out;
};

/* Bots' comments, ours among them (by the marker "<!-- orch:"), and empty ones are passed over. */
void issue_text_add(struct issue_text *t, const struct github_comment *c);
/* The whole text, in fresh memory. */
char *issue_text_make(const struct issue_text *t, const char *body);
void issue_text_clear(struct issue_text *t);

/* Has it something to say but blanks and HTML comments (a template that nobody filled in)? */
bool issue_text_says_something(const char *body);

#endif
