/* verdict: the work branch's name and how a run ends. Pure. */
#include "director/director.h"

#include "common/alloc.h"
#include "common/text.h"

#include <stdlib.h>

char *
director_branch_name(const char *prefix, const char *run, const char *title, unsigned attempt)
{
	char slug[41];

	text_slug(slug, title);
	if (attempt <= 1)
		return xasprintf("%s%s-%s", prefix, run, slug);
	return xasprintf("%s%s-%s-%u", prefix, run, slug, attempt);
}

void
director_verdict(const struct team *t, bool cancelled, bool merged, struct director_end *end)
{
	struct team_tally n = team_count(t);
	char *losses = team_losses(t);

	end->keep = merged;
	end->failed = !cancelled && n.integrated == 0;
	if (cancelled)
		end->reason = xasprintf("cancelled with %zu of %zu areas merged", n.integrated, t->count);
	else if (end->failed)
		end->reason = xasprintf(
		    "no area was merged%s%s", losses == NULL ? "" : ": ", losses == NULL ? "" : losses);
	else if (losses != NULL)
		end->reason =
		    xasprintf("%zu of %zu areas are missing: %s", t->count - n.integrated, t->count, losses);
	else
		end->reason = NULL;
	free(losses);
}

void
director_add_words(struct director_end *end, const char *what)
{
	char *longer = xasprintf(
	    "%s%s%s", end->reason == NULL ? "" : end->reason, end->reason == NULL ? "" : "; ", what);

	free(end->reason);
	end->reason = longer;
}

void
director_add_gate(struct director_end *end, int base, int now)
{
	if (base == 0 || !end->keep)
		return;
	director_add_words(
	    end, now == 0 ? "the gate was red before the run already, and passes now"
			  : "the gate was red before the run already and still is: it could not tell "
			    "whether the work is good");
}
