/*
 * preflight: asks "orch-director --check" whether a run can start here: repository, base branch, options,
 * agent, disk. It knows git; we do not.
 */
#ifndef ORCH_CTL_PREFLIGHT_H
#define ORCH_CTL_PREFLIGHT_H

#include "supervisor/ctl/ctl.h"

struct preflight {
	char base[65];      /* the commit to start from */
	char *base_branch;  /* NULL: a detached HEAD */
	char **notes;       /* what the user should know; NULL-terminated */
	char *options;      /* frozen: those that were asked about, as the run is to have them */
	bool github;        /* the run's repository is known on GitHub: the token is of use */
	char *title, *text; /* of the issue; NULL: not fetched */
	char *head_branch;  /* of the pull request that was asked about; NULL */
	uint64_t remarks;   /* on it, which nobody has answered */
	char *issue;        /* the run's, which made that pull request, when restore is there; NULL */
	char *restore;      /* file with the rows of a run that another machine saved (MSG_RESTORE); NULL */
};

struct preflight_question {
	const char *options_json; /* frozen */
	const char *issue;        /* its number; NULL: a text without an issue */
	const char *token;        /* for GitHub; NULL: none */
	const char *actor;        /* of preflight_actor() */
	bool fetch;               /* title and text come from GitHub */
	bool check_author;        /* who wrote the issue must have write permission */
	uint64_t pull;            /* a pull request to look at, in place of an issue; 0 */
	bool trust;               /* what anybody says of it counts */
	bool look_for_saved;      /* another machine may have saved a run of it */
	bool forget_saved;        /* what one kept for reviews, of a run that ended, is removed on GitHub */
};

/*
 * 0 or -errno: -EINVAL with the check's own sentence when it refuses, another one when
 * it could not be run, -ECANCELED on a signal. Nothing in the repository changes.
 */
int preflight_run(struct preflight *p, struct ctl *c, const struct preflight_question *q, struct err *e);
/*
 * Asks GitHub what login may do with the repository ("admin", "write", "read", "none"), by c's token. 0 or
 * -errno with a sentence.
 */
int preflight_actor(struct ctl *c, const char *login, char level[16], struct err *e);
void preflight_clear(struct preflight *p);

#endif
