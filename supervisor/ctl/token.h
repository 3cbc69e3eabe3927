/*
 * token: the token for GitHub of the person who calls: from --token-file, GITHUB_TOKEN, GH_TOKEN, or what
 * `gh auth token` says. It goes to orchd, and to orch-director --check, by message and pipe, never by
 * environment.
 */
#ifndef ORCH_CTL_TOKEN_H
#define ORCH_CTL_TOKEN_H

#include "supervisor/ctl/ctl.h"

/* Reads it into c->token, which stays NULL when there is none. ask_gh: also by gh(1). -errno with a sentence.
 */
int token_read(struct ctl *c, bool ask_gh, struct err *e);

#endif
