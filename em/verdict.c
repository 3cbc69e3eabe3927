/* verdict: whether an area whose tasks have ended is submitted or has failed. Pure. */
#include "em/em.h"

#include "common/alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void
em_rework_key(char key[32], uint64_t attempt)
{
	snprintf(key, 32, "rework-%" PRIu64, attempt);
}

static char *
with_losses(const struct team *t, const char *what)
{
	char *losses = team_losses(t);
	char *text = losses == NULL ? xstrdup(what) : xasprintf("%s: %s", what, losses);

	free(losses);
	return text;
}

char *
em_failure(struct team *t, const char *rework_key)
{
	const struct team_child *again = rework_key == NULL ? NULL : team_find(t, rework_key);

	if (again != NULL && again->state != TEAM_INTEGRATED)
		return xasprintf("its rework did not come through: %s",
		    again->reason == NULL ? "no reason was given" : again->reason);
	if (team_count(t).integrated == 0)
		return with_losses(t, "none of its tasks was integrated");
	return NULL;
}
