/*
 * push: commits to GitHub and back, by the real git over https, from a bare repository of our own that
 * borrows the user's objects. It has its own configuration and knows no other: a planted insteadOf, hook or
 * credential helper has nothing to say. The token goes to git through a pipe that only its credential helper
 * reads: it is in no URL, argument, variable or file.
 *
 * A branch on GitHub is never moved off work that is not in what we push.
 */
#ifndef ORCH_DIRECTOR_PUSH_H
#define ORCH_DIRECTOR_PUSH_H

#include "common/err.h"
#include "common/git.h"
#include "common/loop.h"

#include <stdbool.h>

enum push_outcome {
	PUSH_DONE,
	PUSH_FOREIGN,   /* the branch has commits that are not in ours */
	PUSH_PROTECTED, /* a protected branch or a rule of the repository */
	PUSH_WORKFLOW,  /* changes below .github/workflows, which this token may not push */
	PUSH_SECRET,    /* GitHub's push protection found a secret */
	PUSH_TOO_BIG,   /* a file over GitHub's limit */
	PUSH_DENIED,    /* the token is wrong, over, or may not push here */
	PUSH_MISSING,   /* no such repository, or the token may not see it */
	PUSH_REJECTED,  /* the server refused for another reason */
	PUSH_NETWORK,   /* it was not reached, or the connection broke: may be tried again */
	PUSH_STOPPED,   /* a stop was asked for */
	PUSH_BROKEN,    /* git itself failed */
};

#define PUSH_PAUSE_MS 2000

struct push {
	struct loop *loop;
	struct git *git; /* of the user's repository; borrowed */
	char *dir;       /* the bare repository; made anew by push_open, removed by push_close */
	char *url, *ca_file, *token;
	int64_t timeout_ms;
	int64_t pause_ms; /* before a push is tried again that broke off; doubles */
};

/* dir: a path of ours that nothing is at, or an earlier bare repository of ours. token is copied. 0 or
 * -errno. */
int push_open(struct push *p, struct git *git, const char *dir, const char *url, const char *token,
    const char *ca_file, struct err *e);
/* Wipes the token; a zeroed one is fine. */
void push_close(struct push *p);

struct push_refs {
	struct push_ref {
		char oid[GIT_OID_HEX], *branch;
	} * list;
	size_t count;
};
/* The branches on GitHub that match one of two patterns ("cco/25-x-em*", where * is anything; also may be
 * NULL), and none in *refs where it fails. Others whose names end so may be among them. */
enum push_outcome push_list(
    struct push *p, const char *pattern, const char *also, struct push_refs *refs, struct err *e);
/* Adds the branches of "<oid> TAB refs/heads/<branch>" lines; others are passed over. */
void push_refs_read(struct push_refs *refs, const char *lines);
/* The commit of a branch; "" when it is not among them. */
const char *push_refs_find(const struct push_refs *refs, const char *branch);
void push_refs_clear(struct push_refs *refs);

/* The commit that a branch has on GitHub; "" when there is no such branch. e has a sentence with advice. */
enum push_outcome push_remote_tip(struct push *p, const char *branch, char oid[GIT_OID_HEX], struct err *e);
/*
 * Makes the branch on GitHub be oid. It is made, or moved forward; with ours (a commit that we pushed there
 * before; NULL: none) it may also be moved from exactly that one. What somebody else pushed in the meantime
 * is PUSH_FOREIGN, also when that happens between our look and our push. PUSH_NETWORK only after four tries.
 */
enum push_outcome push_branch(
    struct push *p, const char *branch, const char *oid, const char *ours, struct err *e);
/* The same where it is known already what the branch is at ("": it is not there). */
enum push_outcome push_from(
    struct push *p, const char *branch, const char *oid, const char *tip, const char *ours, struct err *e);
/* Deletes it if it is still at oid. PUSH_DONE also when it is gone. */
enum push_outcome push_delete(struct push *p, const char *branch, const char *oid, struct err *e);
/* Brings a branch of GitHub's into the user's repository as ref, whatever ref was; oid gets its commit, ""
 * when there is no such branch. */
enum push_outcome push_fetch(
    struct push *p, const char *branch, const char *ref, char oid[GIT_OID_HEX], struct err *e);

const char *push_outcome_name(enum push_outcome o);

/* The same for any ref, by its full name. lease: what it must be at ("": not there); oid "": deletes. */
enum push_outcome push_ref_tip(struct push *p, const char *ref, char oid[GIT_OID_HEX], struct err *e);
enum push_outcome push_ref(struct push *p, const char *ref, const char *oid, const char *lease, struct err *e);
enum push_outcome push_fetch_ref(
    struct push *p, const char *from, const char *ref, char oid[GIT_OID_HEX], struct err *e);

#endif
