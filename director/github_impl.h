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

/*
 * Makes of a list's items what github_api.h calls them, and passes over what is none of them: struct
 * github_KIND_list with the caller's fn and arg, and github_KIND_item(), the github_item_fn that takes it.
 */
#define GITHUB_LIST(KIND, TYPE)                                                                              \
	struct github_##KIND##_list {                                                                        \
		github_##KIND##_fn *fn;                                                                      \
		void *arg;                                                                                   \
	};                                                                                                   \
	static int github_##KIND##_item(void *arg, const json_t *item, struct err *e)                        \
	{                                                                                                    \
		const struct github_##KIND##_list *list = arg;                                               \
		TYPE one;                                                                                    \
		return github_read_##KIND(item, &one) ? list->fn(list->arg, &one, e) : 0;                    \
	}

#endif
