/*
 * fakegithub: as much of GitHub as a whole run meets, with state, on a port of the test's own loop: one
 * repository, its issues' comments and labels, its branches (real git over HTTP, when asked for) and pull
 * requests. It answers as GitHub does where that matters (pages, ETags, 422s, merges that follow pushes),
 * fails as it is told, and notes every request. What a real API makes of our requests is tests/github's
 * affair.
 */
#ifndef ORCH_TESTS_FAKEGITHUB_H
#define ORCH_TESTS_FAKEGITHUB_H

#include "common/loop.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define FAKEGITHUB_TOKEN "sk-test-dummy-github"
#define FAKEGITHUB_US "orch-test" /* the token's user */
#define FAKEGITHUB_FAULTS_MAX 8
#define FAKEGITHUB_SECOND "50" /* ms of its limits and pauses: ORCH_GITHUB_SECOND */

enum fakegithub_fault_kind {
	FAKEGITHUB_LOST,   /* done, and the line is cut before the answer */
	FAKEGITHUB_RESET,  /* not done, and the connection reset */
	FAKEGITHUB_CUT,    /* done, and half of the answer comes */
	FAKEGITHUB_SLOW,   /* done, and the answer comes in small pieces */
	FAKEGITHUB_ANSWER, /* not done: this answer */
};

/* Of requests whose method is method (NULL: any) and whose path has path in it (NULL: any), the first skip
 * are well, and the next times are met by this. */
struct fakegithub_fault {
	enum fakegithub_fault_kind kind;
	const char *method, *path;
	unsigned skip, times;
	int status;          /* of an answer */
	const char *headers; /* "Name: value\n" lines; NULL: none */
	const char *message; /* of its JSON; NULL: none */
	unsigned met;        /* how often it happened */
};

struct fakegithub {
	struct evhttp *http;
	struct loop *loop;
	uint16_t port;
	json_t *issues;      /* "25" -> {title, body, user, state, labels: []} */
	json_t *comments;    /* array of {id, issue, body, user} */
	json_t *labels;      /* of the repository: array of names */
	json_t *pulls;       /* array of {number, title, body, head, base, state, merged, draft, user} */
	json_t *reviews;     /* array, as answered, with the pull request's number in "pull" */
	json_t *remarks;     /* the same of comments on changes */
	json_t *resolved;    /* of these, the ids of those whose thread is settled */
	json_t *permissions; /* login -> admin, write, read; others: none */
	json_t *log;         /* every request but git's: {ms, method, path, status} */
	char *git;           /* folder of octo/hello.git; NULL: no git is served */
	unsigned requests, writes, unauthorized, not_modified;
	unsigned lose;   /* so many POSTs are carried out and then not answered */
	unsigned refuse; /* so many requests are answered 503 */
	bool revoked;    /* the token is no good any more */
	bool bot;        /* it is an installation's: it may not ask /user */
	struct fakegithub_fault faults[FAKEGITHUB_FAULTS_MAX];
	size_t fault_count;
	/* Before each request, git's too: what somebody else does just then. */
	void (*before)(struct fakegithub *g, const char *method, const char *path, void *arg);
	void *arg;
	uint64_t next_id, next_number;
};

/* http://127.0.0.1:PORT is put into GITHUB_API_URL, octo/hello into REPO_OWNER and REPO_NAME, the token into
 * GITHUB_TOKEN; stop takes them out again. */
void fakegithub_start(struct fakegithub *g, struct loop *l);
void fakegithub_stop(struct fakegithub *g);
/* From here on branches can be pushed: folder/octo/hello.git is made as a bare clone of from. */
void fakegithub_serve_git(struct fakegithub *g, const char *folder, const char *from);
/* git in that repository: its stdout without the last newline, in fresh memory; NULL when it failed. */
char *fakegithub_git(struct fakegithub *g, const char *arg, ...) __attribute__((sentinel));

void fakegithub_issue(
    struct fakegithub *g, const char *number, const char *author, const char *title, const char *body);
/* By anybody. */
void fakegithub_comment(struct fakegithub *g, const char *number, const char *author, const char *body);
/* The n-th comment of the issue that the token's user wrote; NULL when there are fewer. Borrowed. */
const char *fakegithub_ours(struct fakegithub *g, const char *number, size_t n);
/* Somebody deletes it. */
void fakegithub_delete_ours(struct fakegithub *g, const char *number, size_t n);
bool fakegithub_has_label(struct fakegithub *g, const char *number, const char *label);
/* Somebody sets it, or takes it off. */
void fakegithub_set_label(struct fakegithub *g, const char *number, const char *label, bool on);

/* The pull request as the API shows it, json_decref; NULL: there is no n-th one. */
json_t *fakegithub_pull(struct fakegithub *g, size_t n);
/* Somebody merges it; false: it cannot be. */
bool fakegithub_merge(struct fakegithub *g, uint64_t number);

/* Somebody's review of a pull request, and a comment on its changes; their ids. association: OWNER ... NONE.
 */
uint64_t fakegithub_review(struct fakegithub *g, uint64_t pull, const char *author, const char *association,
    const char *state, const char *body);
struct fakegithub_remark {
	uint64_t pull, review, reply_to, line; /* but for pull: 0: none */
	const char *author, *association, *path, *body;
};
uint64_t fakegithub_remark(struct fakegithub *g, const struct fakegithub_remark *r);
/* What the token's user said, the n-th time, in the thread of a comment; NULL. Borrowed. */
const char *fakegithub_reply(struct fakegithub *g, uint64_t comment, size_t n);

void fakegithub_fault(struct fakegithub *g, const struct fakegithub_fault *f);
/* How many requests with that method and that in their path were answered with status (0: any). */
unsigned fakegithub_count(struct fakegithub *g, const char *method, const char *path, int status);

#endif
