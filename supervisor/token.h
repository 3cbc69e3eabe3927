/* token: the tokens for GitHub of runs; see token.c. */
#ifndef ORCH_SUPERVISOR_TOKEN_H
#define ORCH_SUPERVISOR_TOKEN_H

#include "supervisor/daemon.h"

/* It was given one, and that was in the memory of an orchd that ended. */
bool token_is_missing(const struct run *r);
/* It becomes r's, in place of what it had, and is sent to a living director. */
void token_give(struct daemon *d, struct run *r, const char *token);
/* What the director answered when it was asked; taken only where it is missing. */
void token_take_back(struct daemon *d, struct run *r, const char *token);
/* ROLE_TOKEN to the director, behind its ASSIGN: the token, or the question for it. */
void token_send(struct task *director);
/* Handles TOKEN. */
int token_request(struct client *c, const struct msg *m, struct err *e);
/* What a person can do about a missing one. Caller frees. */
char *token_why(const struct run *r);

#endif
