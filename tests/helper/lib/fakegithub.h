/*
 * fakegithub: as much of GitHub as a whole run meets, with state, on a port of the test's own loop: one
 * repository, its issues' comments and labels, its pull requests. It answers as GitHub does where that
 * matters, and counts. What a real API makes of our requests is tests/github's affair.
 */
#ifndef ORCH_TESTS_FAKEGITHUB_H
#define ORCH_TESTS_FAKEGITHUB_H

#include "common/loop.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define FAKEGITHUB_TOKEN "sk-test-dummy-github"

struct fakegithub {
	struct evhttp *http;
	uint16_t port;
	json_t *issues;      /* "25" -> {title, body, user, state, labels: []} */
	json_t *comments;    /* array of {id, issue, body, user} */
	json_t *labels;      /* of the repository: array of names */
	json_t *pulls;       /* array, as answered */
	json_t *permissions; /* login -> admin, write, read; others: none */
	unsigned requests, writes, unauthorized;
	unsigned lose;   /* so many POSTs are carried out and then not answered */
	unsigned refuse; /* so many requests are answered 503 */
	uint64_t next_id;
};

/* http://127.0.0.1:PORT is put into GITHUB_API_URL, octo/hello into REPO_OWNER and REPO_NAME, the token into
 * GITHUB_TOKEN; stop takes them out again. */
void fakegithub_start(struct fakegithub *g, struct loop *l);
void fakegithub_stop(struct fakegithub *g);

void fakegithub_issue(
    struct fakegithub *g, const char *number, const char *author, const char *title, const char *body);
/* By somebody else than the token's user. */
void fakegithub_comment(struct fakegithub *g, const char *number, const char *author, const char *body);
/* The n-th comment of the issue that the token's user wrote; NULL when there are fewer. Borrowed. */
const char *fakegithub_ours(struct fakegithub *g, const char *number, size_t n);
bool fakegithub_has_label(struct fakegithub *g, const char *number, const char *label);

#endif
