/* review_read: the lists of GitHub that say what people think of a pull request, and what was answered. */
#ifndef ORCH_DIRECTOR_REVIEW_READ_H
#define ORCH_DIRECTOR_REVIEW_READ_H

#include "director/remarks.h"

/* Adds all of it to s, a zeroed one (remarks_source_clear in any case). As github.h says. */
int review_read(struct github *gh, uint64_t pull, struct remarks_source *s, struct err *e);
/* The threads that are resolved, where there are any; not known where GraphQL is not to be had. 0,
 * -ECANCELED. */
int review_read_resolved(struct github *gh, uint64_t pull, struct remarks_source *s, struct err *e);

#endif
