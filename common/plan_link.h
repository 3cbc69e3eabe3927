/* plan_link: what holds between a plan's items: dependencies, their order, and shared paths. Only plan.c uses
 * it. Pure. */
#ifndef ORCH_COMMON_PLAN_LINK_H
#define ORCH_COMMON_PLAN_LINK_H

#include "common/plan.h"

/* Checks needs (known, not itself, once, no cycle) and that areas are disjoint; computes after for tasks.
 * list is the place for messages ("areas", "areas[0].tasks"). 0 or -EINVAL with e. */
int plan_link(struct plan *p, const char *list, struct err *e);

#endif
