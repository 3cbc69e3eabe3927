/* plan_link: see plan_link.h. Sets of items are bit masks: a plan has at most 64. */
#include "common/plan_link.h"

#include "common/alloc.h"
#include "common/json.h"
#include "common/owns.h"
#include "common/text.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(PLAN_ITEMS_MAX <= 64, "items are bits of a uint64_t");

static uint64_t
bit(size_t i)
{
	return (uint64_t)1 << i;
}

static const char *
noun(const struct plan *p)
{
	return p->level == PLAN_AREAS ? "area" : "task";
}

static int
find_id(const struct plan *p, const char *id)
{
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->items[i].id, id) == 0)
			return (int)i;
	return -1;
}

static int
unknown_need(const struct plan *p, const char *list, size_t i, size_t k, struct err *e)
{
	const char *ids[PLAN_ITEMS_MAX + 1] = {NULL}, *near;
	char *shown = text_line(p->items[i].needs[k], 64);

	for (size_t n = 0; n < p->count; n++)
		ids[n] = p->items[n].id;
	near = text_nearest(p->items[i].needs[k], ids);
	if (near != NULL)
		err_set(e, -EINVAL, "%s[%zu].depends_on[%zu]: there is no %s \"%s\" (did you mean \"%s\"?)",
		    list, i, k, noun(p), shown, near);
	else
		err_set(e, -EINVAL, "%s[%zu].depends_on[%zu]: there is no %s \"%s\" in this plan", list, i, k,
		    noun(p), shown);
	free(shown);
	return -EINVAL;
}

/* direct[i]: the items that item i names. */
static int
read_needs(const struct plan *p, const char *list, uint64_t *direct, struct err *e)
{
	for (size_t i = 0; i < p->count; i++) {
		for (size_t k = 0; p->items[i].needs[k] != NULL; k++) {
			const char *id = p->items[i].needs[k];
			int other = find_id(p, id);

			if (other < 0)
				return unknown_need(p, list, i, k, e);
			if ((size_t)other == i)
				return err_set(e, -EINVAL,
				    "%s[%zu].depends_on[%zu]: \"%s\" depends on itself", list, i, k, id);
			if (direct[i] & bit((size_t)other))
				return err_set(e, -EINVAL, "%s[%zu].depends_on[%zu]: \"%s\" is named twice",
				    list, i, k, id);
			direct[i] |= bit((size_t)other);
		}
	}
	return 0;
}

/* An order in which every item comes after what it needs; earlier items first. How many it could order. */
static size_t
order_items(const struct plan *p, const uint64_t *direct, size_t *order, uint64_t *done)
{
	size_t n = 0, before;

	*done = 0;
	do {
		before = n;
		for (size_t i = 0; i < p->count; i++) {
			if ((*done & bit(i)) || (direct[i] & ~*done))
				continue;
			order[n++] = i;
			*done |= bit(i);
			break; /* the first one that can, again from the start */
		}
	} while (n > before);
	return n;
}

/* Every item that is left needs one that is left: following those comes back to where one has been. */
static int
cycle_fault(const struct plan *p, const char *list, const uint64_t *direct, uint64_t done, struct err *e)
{
	size_t path[PLAN_ITEMS_MAX], n = 0, start, i = 0, used;
	uint64_t seen = 0;
	char text[768];

	while (done & bit(i))
		i++;
	while (!(seen & bit(i))) {
		seen |= bit(i);
		path[n++] = i;
		for (size_t k = 0; k < p->count; k++) {
			if ((direct[i] & ~done) & bit(k)) {
				i = k;
				break;
			}
		}
	}
	for (start = 0; path[start] != i;)
		start++;
	used = (size_t)snprintf(text, sizeof(text), "%s", p->items[i].id);
	for (size_t k = start + 1; k < n && used < sizeof(text) - 128; k++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, " -> %s", p->items[path[k]].id);
	snprintf(text + used, sizeof(text) - used, "%s -> %s", used < sizeof(text) - 128 ? "" : " -> ...",
	    p->items[i].id);
	return err_set(e, -EINVAL, "%s: depends_on goes in a circle: %s", list, text);
}

static bool
items_overlap(const struct plan_item *a, const struct plan_item *b, size_t *ia, size_t *ib)
{
	return owns_lists_overlap((const char *const *)a->owns, (const char *const *)b->owns, ia, ib);
}

static int
check_disjoint(const struct plan *p, const char *list, struct err *e)
{
	size_t ia, ib;

	for (size_t j = 1; j < p->count; j++) {
		for (size_t i = 0; i < j; i++) {
			char *a, *b;

			if (!items_overlap(&p->items[i], &p->items[j], &ia, &ib))
				continue;
			a = text_line(p->items[i].owns[ia], 200);
			b = text_line(p->items[j].owns[ib], 200);
			err_set(e, -EINVAL,
			    "%s[%zu].owns[%zu]: %s overlaps with %s of %s[%zu].owns[%zu]; areas must not "
			    "share "
			    "a path",
			    list, j, ib, b, a, list, i, ia);
			free(a);
			free(b);
			return -EINVAL;
		}
	}
	return 0;
}

static void
push(char ***v, char *text)
{
	size_t n = strv_len((const char *const *)*v);

	*v = xrealloc(*v, (n + 2) * sizeof(**v));
	(*v)[n] = text;
	(*v)[n + 1] = NULL;
}

/* Soft needs become items to come after; hard[i]: the items that item i cannot do without. */
static void
split_soft(struct plan *p, uint64_t *hard)
{
	for (size_t i = 0; i < p->count; i++) {
		struct plan_item *item = &p->items[i];
		size_t kept = 0;

		for (size_t k = 0; item->needs[k] != NULL; k++) {
			if (item->soft & bit(k)) {
				push(&item->after, item->needs[k]);
				continue;
			}
			hard[i] |= bit((size_t)find_id(p, item->needs[k]));
			item->needs[kept++] = item->needs[k];
		}
		item->needs[kept] = NULL;
		item->soft = 0;
	}
}

/* direct: all needs; hard: those without which an item fails, and so surely ended before it starts. */
static void
compute_after(struct plan *p, const uint64_t *direct, const uint64_t *hard, const size_t *order)
{
	uint64_t needs[PLAN_ITEMS_MAX] = {0}; /* hard ones, and what these need */

	for (size_t n = 0; n < p->count; n++) {
		struct plan_item *item = &p->items[order[n]];

		needs[order[n]] = hard[order[n]];
		for (size_t k = 0; k < p->count; k++)
			if (hard[order[n]] & bit(k))
				needs[order[n]] |= needs[k];
		for (size_t k = 0; k < n; k++) {
			if (((needs[order[n]] | direct[order[n]]) & bit(order[k])) ||
			    !items_overlap(&p->items[order[k]], item, NULL, NULL))
				continue;
			push(&item->after, xstrdup(p->items[order[k]].id));
		}
	}
}

int
plan_link(struct plan *p, const char *list, struct err *e)
{
	uint64_t direct[PLAN_ITEMS_MAX] = {0}, hard[PLAN_ITEMS_MAX] = {0}, done;
	size_t order[PLAN_ITEMS_MAX];
	int rc;

	rc = read_needs(p, list, direct, e);
	if (rc < 0)
		return rc;
	if (order_items(p, direct, order, &done) < p->count)
		return cycle_fault(p, list, direct, done, e);
	split_soft(p, hard);
	if (p->level == PLAN_AREAS)
		return check_disjoint(p, list, e);
	compute_after(p, direct, hard, order);
	return 0;
}
