/* pulls_next: which branch is to be pushed next, and which pull request opened or closed (see pulls.h). */
#include "director/pulls.h"

#include <string.h>

static bool
is_handed_in(const struct pulls_part *p)
{
	return p->parent >= 0 && p->head[0] != '\0' && (p->state == PULLS_READY || p->state == PULLS_IN);
}

/* What was merged into a branch that is lost is lost with it, but for what GitHub shows as merged. */
static bool
is_lost(const struct pulls_part *parts, const struct pulls_part *p)
{
	if (p->parent < 0)
		return false;
	return p->state == PULLS_LOST || (parts[p->parent].state == PULLS_LOST && !p->in_there);
}

/* A branch is brought there when something is to come of it, and kept up with from then on. */
static bool
is_behind(const struct pulls_part *p)
{
	return p->head[0] != '\0' && strcmp(p->there, p->head) != 0 &&
	       (is_handed_in(p) || p->there[0] != '\0');
}

static enum pulls_deed
next_for(const struct pulls_part *parts, size_t i)
{
	const struct pulls_part *p = &parts[i], *parent = p->parent < 0 ? NULL : &parts[p->parent];

	if (p->over)
		return PULLS_NOTHING;
	if (is_lost(parts, p))
		return p->there[0] != '\0' ? PULLS_DROP : PULLS_NOTHING;
	if (is_handed_in(p)) {
		if (p->in_there || (parent->over && p->number == 0))
			return PULLS_NOTHING;
		if (parent->there[0] == '\0')
			return PULLS_MAKE;
	}
	if (is_behind(p))
		return PULLS_PUSH;
	if (!is_handed_in(p))
		return PULLS_NOTHING;
	if (p->number == 0)
		return PULLS_OPEN;
	return p->state == PULLS_IN && parent->head[0] != '\0' && !p->in_here ? PULLS_REMADE : PULLS_NOTHING;
}

/* In this order a parent is pushed when all that is in it has its pull request, or will never have one. */
enum pulls_deed
pulls_next(const struct pulls_part *parts, size_t count, size_t *which)
{
	for (size_t i = 0; i < count; i++) {
		enum pulls_deed deed = next_for(parts, i);

		*which = i;
		if (deed != PULLS_NOTHING)
			return deed;
	}
	return PULLS_NOTHING;
}
