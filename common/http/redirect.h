/* redirect: where an answer sends us, and what may go there. Pure. */
#ifndef ORCH_COMMON_HTTP_REDIRECT_H
#define ORCH_COMMON_HTTP_REDIRECT_H

#include "common/err.h"

#include <stdbool.h>

/* Is it a redirection that is followed with the same method and body? */
bool redirect_is(int status);
bool redirect_is_permanent(int status);

/*
 * The next URL, absolute, in fresh memory; *same_origin is false when scheme, host or port differ from those
 * of url. -EPROTO with a sentence when location is missing, no URL for HTTP, or leads from https to http.
 */
int redirect_next(const char *url, const char *location, char **next, bool *same_origin, struct err *e);

#endif
