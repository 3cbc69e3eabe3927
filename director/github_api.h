/*
 * github_api: what the director asks GitHub for, typed. All as github.h says: 0 or -errno with a sentence;
 * github_kind() for what an errno does not tell.
 *
 * A struct of an answer holds a reference on its JSON, and its strings are borrowed from that: x_clear drops
 * both. In callbacks of lists they live as long as the callback. Strings are never NULL but where it is said.
 */
#ifndef ORCH_DIRECTOR_GITHUB_API_H
#define ORCH_DIRECTOR_GITHUB_API_H

#include "director/github.h"

#include <stdbool.h>

#define GITHUB_TEXT_MAX 65536 /* characters of a comment, or the body of an issue or pull request */

/* login "" when GitHub names none (a deleted account). */
struct github_user {
	const char *login;
	uint64_t id;
	bool bot; /* type Bot; its login ends in [bot] */
};

struct github_issue {
	json_t *json;
	uint64_t number;
	const char *title, *body; /* body "" when there is none */
	const char *state;        /* open, closed */
	const char *url;          /* for people */
	const char *association;  /* of its author: OWNER, MEMBER, COLLABORATOR, CONTRIBUTOR, NONE ... */
	struct github_user author;
	bool is_pull;
	uint64_t comments;
};

struct github_comment {
	uint64_t id;
	const char *body, *url, *created_at, *association;
	struct github_user author;
};

struct github_ref_info {
	const char *name; /* "refs/heads/x" */
	const char *oid;
};

struct github_pull {
	json_t *json;
	uint64_t number;
	const char *state; /* open, closed */
	const char *title, *body, *url;
	const char *head_ref, *head_oid, *head_repo; /* head_repo: "owner/name", "" when it is gone */
	const char *base_ref, *base_oid;
	struct github_user author;
	bool merged, draft;
	int mergeable; /* 1, 0, or -1: being computed */
	const char *mergeable_state;
};

struct github_review {
	uint64_t id;
	const char *state; /* APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED, PENDING */
	const char *body, *oid, *submitted_at, *url, *association;
	struct github_user author;
};

/* A comment on a line of a pull request's changes. */
struct github_review_comment {
	uint64_t id, review, reply_to; /* 0: none */
	const char *path, *body, *oid, *url, *created_at, *association;
	uint64_t line; /* 0: outdated, or on the whole file */
	struct github_user author;
};

/* Does GitHub call the author of something owner, member or collaborator here (author_association)? */
bool github_is_insider(const char *association);

struct github_repository {
	json_t *json;
	const char *full_name, *default_branch, *url, *clone_url;
	bool archived, disabled, private, has_issues;
	bool may_push; /* as the answer says of the token; false when it does not say */
	bool says_permissions;
};

/* Who the token is. An installation's token (GITHUB_TOKEN in Actions) may not ask /user; GraphQL tells then.
 * login is "" with bot set when even that is not told. Asked once; borrowed from gh. */
int github_whoami(struct github *gh, struct github_user *me, struct err *e);
/* Is it us? By id where it is known, else by login; a bot whose login we do not know takes any bot for
 * itself. */
bool github_is_me(const struct github_user *me, const struct github_user *who);

int github_repository_get(struct github *gh, struct github_repository *r, struct err *e);
void github_repository_clear(struct github_repository *r);
/* admin, write, read or none: what a user may do here ("maintain" counts as write, "triage" as read). */
int github_permission(struct github *gh, const char *login, char level[16], struct err *e);

int github_issue_get(struct github *gh, uint64_t number, struct github_issue *i, struct err *e);
void github_issue_clear(struct github_issue *i);
int github_issue_set_state(struct github *gh, uint64_t number, const char *state, struct err *e);

/* Comments of an issue or pull request, oldest first. fn: as github_item_fn. */
typedef int github_comment_fn(void *arg, const struct github_comment *c, struct err *e);
int github_comments_each(struct github *gh, uint64_t issue, github_comment_fn *fn, void *arg, struct err *e);
/* -EINPROGRESS (GITHUB_LOST): it may be there: list before it is posted again. github_comment_put does. */
int github_comment_create(struct github *gh, uint64_t issue, const char *body, uint64_t *id, struct err *e);
int github_comment_update(struct github *gh, uint64_t id, const char *body, struct err *e);
/* 0 also when it is gone. */
int github_comment_delete(struct github *gh, uint64_t id, struct err *e);
/*
 * The one comment with a marker: of all comments that hold the marker and are ours the one with the lowest id
 * is edited, unless its body is the same already; later ones are deleted. Without one it is created, and
 * looked for again when the answer was lost. *id (may be 0: not known yet) makes it one request while that
 * comment is there. body holds the marker and at most GITHUB_TEXT_MAX characters.
 */
int github_comment_put(
    struct github *gh, uint64_t issue, const char *marker, const char *body, uint64_t *id, struct err *e);

/* Labels of the repository: made when it is not there; color "d4c5f9". */
int github_label_ensure(
    struct github *gh, const char *name, const char *color, const char *description, struct err *e);
/* Of an issue. Adding one that it has, and removing one that it has not, is fine. */
typedef int github_label_fn(void *arg, const char *name, struct err *e);
int github_issue_labels_each(
    struct github *gh, uint64_t issue, github_label_fn *fn, void *arg, struct err *e);
int github_issue_label_add(struct github *gh, uint64_t issue, const char *name, struct err *e);
int github_issue_label_remove(struct github *gh, uint64_t issue, const char *name, struct err *e);

/* The commit of a branch; -ENOENT when there is none. */
int github_branch_get(struct github *gh, const char *branch, char oid[65], struct err *e);
/* 0 also when it is gone. Only for branches of ours: git push deletes with a lease. */
int github_branch_delete(struct github *gh, const char *branch, struct err *e);
/* Refs that begin with prefix ("heads/cco/25-"). */
typedef int github_ref_fn(void *arg, const struct github_ref_info *r, struct err *e);
int github_refs_each(struct github *gh, const char *prefix, github_ref_fn *fn, void *arg, struct err *e);

/* Pull requests from a branch of this repository (not a fork's of the same name); base NULL: into any; state:
 * open, closed, all. */
typedef int github_pull_fn(void *arg, const struct github_pull *p, struct err *e);
int github_pulls_each(struct github *gh, const char *head, const char *base, const char *state,
    github_pull_fn *fn, void *arg, struct err *e);
int github_pull_get(struct github *gh, uint64_t number, struct github_pull *p, struct err *e);
void github_pull_clear(struct github_pull *p);
/*
 * The open pull request from head into base: found and adopted (*made false; it is as it is: update it), or
 * made. A lost answer, and 422 "already exists", are followed by looking again.
 */
int github_pull_open(struct github *gh, const char *head, const char *base, const char *title,
    const char *body, bool draft, struct github_pull *p, bool *made, struct err *e);
/* NULL: stays as it is. state: open, closed. */
int github_pull_update(struct github *gh, uint64_t number, const char *title, const char *body,
    const char *base, const char *state, struct err *e);
/* Waits until GitHub knows whether it can be merged: 1, 0, or -1 when it did not say within a minute. */
int github_pull_mergeable(struct github *gh, uint64_t number, int *mergeable, struct err *e);
/*
 * Merges it if its head is still oid. method: merge, squash, rebase. GITHUB_CONFLICT: the head moved;
 * GITHUB_NOT_ALLOWED: protected, not mergeable, or only by the merge queue. "Base branch was modified" is
 * tried again; after a lost answer the pull request is looked at.
 */
int github_pull_merge(struct github *gh, uint64_t number, const char *oid, const char *method, struct err *e);

typedef int github_review_fn(void *arg, const struct github_review *r, struct err *e);
int github_reviews_each(struct github *gh, uint64_t pull, github_review_fn *fn, void *arg, struct err *e);
typedef int github_review_comment_fn(void *arg, const struct github_review_comment *c, struct err *e);
int github_review_comments_each(
    struct github *gh, uint64_t pull, github_review_comment_fn *fn, void *arg, struct err *e);
/* First comments of the threads that people have resolved, which only GraphQL tells. */
typedef int github_resolved_fn(void *arg, uint64_t comment, struct err *e);
int github_resolved_each(struct github *gh, uint64_t pull, github_resolved_fn *fn, void *arg, struct err *e);
/* Answers the thread of a review comment. -EINPROGRESS: it may be there. */
int github_review_reply(
    struct github *gh, uint64_t pull, uint64_t comment, const char *body, uint64_t *id, struct err *e);

#endif
