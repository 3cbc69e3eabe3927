/*
 * token: what an agent shows the gateway instead of a key: 128 random bits that belong to one attempt. Made
 * by orchd, known to the gateway, the attempt's worker and its agent.
 */
#ifndef ORCH_COMMON_TOKEN_H
#define ORCH_COMMON_TOKEN_H

#include <stdbool.h>

#define TOKEN_PREFIX "orch-" /* tells a person what it is, and a secret scanner that it is no key */
#define TOKEN_SIZE 38        /* with the prefix, 32 hex digits and the NUL */

/* A fresh one, from getrandom(2). 0 or -errno. */
int token_make(char token[TOKEN_SIZE]);
/* Has it the form of one? */
bool token_valid(const char *s);

#endif
