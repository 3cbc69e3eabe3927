/* github_words: GitHub's answers and headers as values and sentences. Pure. */
#ifndef ORCH_DIRECTOR_GITHUB_WORDS_H
#define ORCH_DIRECTOR_GITHUB_WORDS_H

#include "common/err.h"
#include "director/github_retry.h"

#include <jansson.h>

/* The URL of rel="next" in a Link header (RFC 8288), in fresh memory; NULL: this page is the last. */
char *github_link_next(const char *header);

/*
 * The sentence for an answer that is an error, and its -errno. what: the deed as an infinitive ("read issue
 * 25"). body: NULL or GitHub's; accepted: X-Accepted-GitHub-Permissions or NULL; retry_ms: of a limit.
 */
int github_explain(struct err *e, enum github_kind kind, int status, const char *what, const json_t *body,
    const char *accepted, int64_t retry_ms);

/* Does one of a 422's errors say so? */
bool github_errors_say(const json_t *body, const char *words);

#endif
