/* pulls_text: what the pull requests of a run's parts say. Pure; callers free. What comes from tasks is made
 * harmless: it mentions nobody and closes no issue. */
#ifndef ORCH_DIRECTOR_PULLS_TEXT_H
#define ORCH_DIRECTOR_PULLS_TEXT_H

#include "director/pulls.h"

/* "25/em1/w2: Parser", one line. */
char *pulls_title(const struct pulls_part *part);
char *pulls_text(const struct pulls_part *part, const struct view_run *run, uint64_t issue);
char *pulls_why_dropped(const struct pulls_part *part);
/* oid: the commit that holds its work now; "": not known. */
char *pulls_why_remade(const struct pulls_part *part, const struct pulls_part *parent, const char *oid);

#endif
