/* autostart: starts orchd for a repository, and says why when it does not come up. */
#ifndef ORCH_CTL_AUTOSTART_H
#define ORCH_CTL_AUTOSTART_H

#include "common/err.h"
#include "common/loop.h"
#include "common/repo.h"

#include <stdbool.h>

struct autostart;

/*
 * Starts "orchd --daemon --repo TOP", in a session of its own and without the secrets of our environment:
 * those travel by message. 0 or -errno with a sentence.
 */
int autostart_begin(struct autostart **out, struct loop *l, const struct repo *r, struct err *e);
/* It, or what it left in the foreground, has exited with a status other than 0. */
bool autostart_failed(const struct autostart *d);
/* -ECONNREFUSED with a sentence that ends in what it said last: on its stderr, else in its log. */
int autostart_explain(const struct autostart *d, struct err *e);
void autostart_free(struct autostart *d); /* orchd itself stays */

#endif
