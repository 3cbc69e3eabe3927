/* fakegithub_impl: what the files of the fake GitHub share. A request is a call; its handler answers it once.
 */
#ifndef ORCH_TESTS_FAKEGITHUB_IMPL_H
#define ORCH_TESTS_FAKEGITHUB_IMPL_H

#include "tests/helper/lib/fakegithub.h"

struct evhttp_request;

struct fakegithub_call {
	struct fakegithub *g;
	struct evhttp_request *req;
	const char *method, *path;
	char *part[4];                        /* what the stars in its row's path stood for */
	json_t *body;                         /* NULL: none */
	const struct fakegithub_fault *fault; /* how its answer is spoilt; NULL: not at all */
};

/* j is stolen; NULL: no body. */
void fakegithub_answer(struct fakegithub_call *c, int status, json_t *j);
/* A page of the list, with a Link to the next; list is stolen. */
void fakegithub_answer_list(struct fakegithub_call *c, json_t *list);
/* text: borrowed; headers: "Name: value\n" lines, NULL: none. Everything else goes through this. */
void fakegithub_answer_text(struct fakegithub_call *c, int status, const char *headers, const char *type,
    const char *text, size_t size);
void fakegithub_not_found(struct fakegithub_call *c);
/* 422 with one error in it; message NULL: none. */
void fakegithub_invalid(struct fakegithub_call *c, const char *code, const char *message);
json_t *fakegithub_user(struct fakegithub *g, const char *login);
/* A parameter of the query, in fresh memory; NULL: not given. */
char *fakegithub_param(struct fakegithub_call *c, const char *name);

/* fakegithub_fault.c: what is wrong with this request; NULL: nothing. */
struct fakegithub_fault *fakegithub_fault_of(struct fakegithub_call *c);
/* Answers with its fault instead of doing it; true when it did. */
bool fakegithub_fault_instead(struct fakegithub_call *c);
/* Sends an answer as its fault has it; true when it did. */
bool fakegithub_fault_answer(struct fakegithub_call *c, int status, const char *headers, const char *type,
    const char *text, size_t size);

/* fakegithub_issue.c */
void fakegithub_get_user(struct fakegithub_call *c);
void fakegithub_post_graphql(struct fakegithub_call *c);
void fakegithub_get_repository(struct fakegithub_call *c);
void fakegithub_get_permission(struct fakegithub_call *c);
void fakegithub_get_issue(struct fakegithub_call *c);
void fakegithub_get_comments(struct fakegithub_call *c);
void fakegithub_post_comment(struct fakegithub_call *c);
void fakegithub_patch_comment(struct fakegithub_call *c);
void fakegithub_delete_comment(struct fakegithub_call *c);
void fakegithub_get_label(struct fakegithub_call *c);
void fakegithub_post_label(struct fakegithub_call *c);
void fakegithub_show_labels(struct fakegithub_call *c);
void fakegithub_add_labels(struct fakegithub_call *c);
void fakegithub_remove_label(struct fakegithub_call *c);

/* fakegithub_git.c */
bool fakegithub_is_git(const char *path);
void fakegithub_serve(struct fakegithub_call *c);
void fakegithub_get_ref(struct fakegithub_call *c);
void fakegithub_get_refs(struct fakegithub_call *c);
void fakegithub_delete_ref(struct fakegithub_call *c);

/* fakegithub_pull.c */
void fakegithub_get_pulls(struct fakegithub_call *c);
void fakegithub_get_pull(struct fakegithub_call *c);
void fakegithub_post_pull(struct fakegithub_call *c);
void fakegithub_patch_pull(struct fakegithub_call *c);
void fakegithub_put_merge(struct fakegithub_call *c);
bool fakegithub_is_pull(struct fakegithub *g, uint64_t number);

/* fakegithub_review.c */
void fakegithub_get_reviews(struct fakegithub_call *c);
void fakegithub_get_remarks(struct fakegithub_call *c);
void fakegithub_post_reply(struct fakegithub_call *c);
/* To GraphQL's question for a pull request's threads: one a page. */
void fakegithub_answer_threads(struct fakegithub_call *c);

#endif
