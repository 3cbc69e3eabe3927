/* github_impl: what the files of the GitHub client share with one another. Nobody else includes it. */
#ifndef ORCH_DIRECTOR_GITHUB_IMPL_H
#define ORCH_DIRECTOR_GITHUB_IMPL_H

#include "director/github.h"

/* Who the token is, as GitHub's JSON, once it is known; owned by gh. */
json_t **github_me(struct github *gh);
void github_set_kind(struct github *gh, enum github_kind kind);
/* Of the statistics. */
void github_count_comment(struct github *gh);
/* -EPROTO: an answer that lacks what GitHub's have. */
int github_strange(struct github *gh, const char *what, struct err *e);
/* Waits, by GitHub's seconds; -ECANCELED when a stop was asked for. */
int github_sleep(struct github *gh, int64_t ms, struct err *e);

#endif
