/*
 * owns_decide: the two questions about patterns that owns.h answers exactly. Two patterns overlap when the
 * product of their automata reaches an end of both; one is contained in others when no path leads its
 * automaton to an end and theirs, as sets of states, to none. A third small automaton walks along and admits
 * only what can be a path in a git tree.
 */
#include "common/owns.h"

#include "common/alloc.h"
#include "common/owns_nfa.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Paths: parts that are not empty, ".", ".." or ".git" in any case, with single slashes between them. */
enum path_state { AT_START, AT_DOT, AT_DOTDOT, AT_G, AT_GI, AT_GIT, IN_NAME, PATH_STATES, NO_PATH };
enum path_class { C_SLASH, C_DOT, C_G, C_I, C_T, C_OTHER, PATH_CLASSES };

static const unsigned char path_next[PATH_STATES][PATH_CLASSES] = {
    [AT_START] = {NO_PATH, AT_DOT, IN_NAME, IN_NAME, IN_NAME, IN_NAME},
    [AT_DOT] = {NO_PATH, AT_DOTDOT, AT_G, IN_NAME, IN_NAME, IN_NAME},
    [AT_DOTDOT] = {NO_PATH, IN_NAME, IN_NAME, IN_NAME, IN_NAME, IN_NAME},
    [AT_G] = {AT_START, IN_NAME, IN_NAME, AT_GI, IN_NAME, IN_NAME},
    [AT_GI] = {AT_START, IN_NAME, IN_NAME, IN_NAME, AT_GIT, IN_NAME},
    [AT_GIT] = {NO_PATH, IN_NAME, IN_NAME, IN_NAME, IN_NAME, IN_NAME},
    [IN_NAME] = {AT_START, IN_NAME, IN_NAME, IN_NAME, IN_NAME, IN_NAME},
};

static bool
path_may_end(unsigned state)
{
	return state == AT_G || state == AT_GI || state == IN_NAME;
}

static enum path_class
path_class_of(unsigned char c)
{
	switch (c) {
	case '/':
		return C_SLASH;
	case '.':
		return C_DOT;
	case 'g':
	case 'G':
		return C_G;
	case 'i':
	case 'I':
		return C_I;
	case 't':
	case 'T':
		return C_T;
	default:
		return C_OTHER;
	}
}

/* The product of two automata and the paths: triples of states, numbered, each visited once. */
struct product {
	const struct owns_nfa *a, *b;
	uint64_t *seen;
	size_t *todo, count, room;
};

static void
product_add(struct product *p, size_t i, size_t j, unsigned at)
{
	size_t id = (i * p->b->count + j) * PATH_STATES + at;

	if ((p->seen[id >> 6] >> (id & 63)) & 1)
		return;
	p->seen[id >> 6] |= (uint64_t)1 << (id & 63);
	if (p->count == p->room) {
		p->room = p->room * 2 + 64;
		p->todo = xrealloc(p->todo, p->room * sizeof(*p->todo));
	}
	p->todo[p->count++] = id;
}

/* The states that state i goes to when it consumes a byte; slash: that byte is one. Returns how many. */
static size_t
consumed(const struct owns_nfa *n, size_t i, bool slash, size_t to[2])
{
	size_t count = 0;

	if (n->states[i].kind != OWNS_STEP)
		to[count++] = i;
	if (n->states[i].kind == OWNS_STEP || (n->states[i].kind == OWNS_DIRS && slash))
		to[count++] = i + 1;
	return count;
}

/* The states that state i goes to for nothing. */
static size_t
moved(const struct owns_nfa *n, size_t i, size_t to[2])
{
	size_t count = 0;

	if (n->states[i].kind == OWNS_FORK || n->states[i].kind == OWNS_LOOP)
		to[count++] = i + 1;
	if (n->states[i].kind == OWNS_FORK)
		to[count++] = i + 2;
	return count;
}

static bool
sets_meet(const struct byteset *a, const struct byteset *b, const struct byteset *c)
{
	return ((a->w[0] & b->w[0] & c->w[0]) | (a->w[1] & b->w[1] & c->w[1]) |
		   (a->w[2] & b->w[2] & c->w[2]) | (a->w[3] & b->w[3] & c->w[3])) != 0;
}

static void
path_class_sets(struct byteset sets[PATH_CLASSES])
{
	memset(sets, 0, PATH_CLASSES * sizeof(*sets));
	for (unsigned c = 1; c < 256; c++)
		sets[path_class_of((unsigned char)c)].w[c >> 6] |= (uint64_t)1 << (c & 63);
}

/* Everything that the triple leads to. */
static void
product_expand(struct product *p, const struct byteset *classes, size_t i, size_t j, unsigned at)
{
	size_t to_a[2], to_b[2], na, nb;

	na = moved(p->a, i, to_a);
	for (size_t x = 0; x < na; x++)
		product_add(p, to_a[x], j, at);
	nb = moved(p->b, j, to_b);
	for (size_t y = 0; y < nb; y++)
		product_add(p, i, to_b[y], at);
	for (unsigned k = 0; k < PATH_CLASSES; k++) {
		unsigned next = path_next[at][k];

		if (next == NO_PATH || !sets_meet(&p->a->states[i].set, &p->b->states[j].set, &classes[k]))
			continue;
		na = consumed(p->a, i, k == C_SLASH, to_a);
		nb = consumed(p->b, j, k == C_SLASH, to_b);
		for (size_t x = 0; x < na; x++)
			for (size_t y = 0; y < nb; y++)
				product_add(p, to_a[x], to_b[y], next);
	}
}

static bool
nfas_overlap(const struct owns_nfa *a, const struct owns_nfa *b)
{
	struct product p = {.a = a, .b = b};
	struct byteset classes[PATH_CLASSES];
	bool found = false;

	path_class_sets(classes);
	p.seen = xcalloc(a->count * b->count * PATH_STATES / 64 + 1, sizeof(*p.seen));
	for (size_t x = 0; x < a->start_count; x++)
		for (size_t y = 0; y < b->start_count; y++)
			product_add(&p, a->starts[x], b->starts[y], AT_START);
	while (p.count > 0 && !found) {
		size_t id = p.todo[--p.count], j = id / PATH_STATES % b->count;
		size_t i = id / PATH_STATES / b->count;
		unsigned at = id % PATH_STATES;

		found = path_may_end(at) && a->states[i].kind == OWNS_END && b->states[j].kind == OWNS_END;
		product_expand(&p, classes, i, j, at);
	}
	free(p.seen);
	free(p.todo);
	return found;
}

/* Most pairs differ before their first special character: then no path has both beginnings. */
static bool
beginnings_differ(const char *a, const char *b)
{
	size_t n = strcspn(a, "*?[\\"), m = strcspn(b, "*?[\\");

	return strncmp(a, b, n < m ? n : m) != 0;
}

bool
owns_overlap(const char *a, const char *b)
{
	struct owns_nfa na, nb;
	bool found;

	if (beginnings_differ(a, b) || owns_nfa_compile(&na, a, NULL) < 0)
		return false;
	if (owns_nfa_compile(&nb, b, NULL) < 0) {
		owns_nfa_clear(&na);
		return false;
	}
	found = nfas_overlap(&na, &nb);
	owns_nfa_clear(&na);
	owns_nfa_clear(&nb);
	return found;
}

/* One question "is inner inside outer": the automata, and the situations seen so far. */
struct contain {
	struct owns_nfa inner, *outer;
	size_t outer_count, words; /* words: of a set of states of all of outer */
	unsigned char bytes[256];
	size_t byte_count;
	uint64_t *seen; /* records of 1 + words: inner's state and the path's, the set of outer's states */
	size_t count, max, *slots, slot_count; /* slots: record number + 1, open addressing */
};

/* Splits every kind of bytes into those in set and those not; numbers them anew from 0 in byte order. */
static void
split_kinds(unsigned char kind[256], const struct byteset *set)
{
	int number[256][2], next = 0;

	memset(number, -1, sizeof(number));
	for (unsigned c = 1; c < 256; c++) {
		int *slot = &number[kind[c]][byteset_has(set, (unsigned char)c)];

		if (*slot < 0)
			*slot = next++;
		kind[c] = (unsigned char)*slot;
	}
}

/* One byte of each kind that neither the patterns nor the shape of paths tell apart. */
static void
contain_bytes(struct contain *q)
{
	struct byteset classes[PATH_CLASSES];
	unsigned char kind[256] = {0};

	path_class_sets(classes);
	for (unsigned k = 0; k < PATH_CLASSES; k++)
		split_kinds(kind, &classes[k]);
	for (size_t i = 0; i < q->inner.count; i++)
		split_kinds(kind, &q->inner.states[i].set);
	for (size_t o = 0; o < q->outer_count; o++)
		for (size_t i = 0; i < q->outer[o].count; i++)
			split_kinds(kind, &q->outer[o].states[i].set);
	for (unsigned c = 1; c < 256; c++)
		if (kind[c] == q->byte_count)
			q->bytes[q->byte_count++] = (unsigned char)c;
}

static uint64_t *
contain_record(struct contain *q, size_t r)
{
	return q->seen + r * (q->words + 1);
}

/* Adds the record that stands unused at the end of seen, if it is new. */
static void
contain_add(struct contain *q)
{
	const uint64_t *record = contain_record(q, q->count);
	uint64_t hash = 1469598103934665603u;
	size_t slot;

	for (size_t w = 0; w <= q->words; w++)
		hash = (hash ^ record[w] ^ (record[w] >> 29)) * 1099511628211u;
	slot = (hash ^ (hash >> 32)) % q->slot_count;
	for (; q->slots[slot] != 0; slot = (slot + 1) % q->slot_count)
		if (memcmp(contain_record(q, q->slots[slot] - 1), record, (q->words + 1) * 8) == 0)
			return;
	q->slots[slot] = ++q->count;
}

/* The record with inner in state i, the path in state at, and the set of outer's states. */
static void
contain_put(struct contain *q, size_t i, unsigned at, const uint64_t *set)
{
	uint64_t *record = contain_record(q, q->count);

	if (q->count == q->max)
		return;
	record[0] = i * PATH_STATES + at;
	memcpy(record + 1, set, q->words * sizeof(*set));
	contain_add(q);
}

/* Follows record r; false when it is a path of inner that outer has not. set: room for a set. */
static bool
contain_expand(struct contain *q, size_t r, uint64_t *set)
{
	const uint64_t *from = contain_record(q, r) + 1;
	size_t i = from[-1] / PATH_STATES, to[2], n, base = 0;
	unsigned at = from[-1] % PATH_STATES, next;
	bool covered = false;

	if (q->inner.states[i].kind == OWNS_END && path_may_end(at)) {
		for (size_t o = 0; o < q->outer_count && !covered; base += q->outer[o++].count)
			covered = owns_nfa_accepts(&q->outer[o], from, base);
		return covered;
	}
	n = moved(&q->inner, i, to);
	for (size_t x = 0; x < n; x++)
		contain_put(q, to[x], at, from);
	for (size_t b = 0; b < q->byte_count; b++) {
		unsigned char c = q->bytes[b];

		next = path_next[at][path_class_of(c)];
		if (next == NO_PATH || !byteset_has(&q->inner.states[i].set, c))
			continue;
		memset(set, 0, q->words * sizeof(*set));
		base = 0;
		for (size_t o = 0; o < q->outer_count; base += q->outer[o++].count)
			owns_nfa_step(&q->outer[o], from, set, base, c);
		n = consumed(&q->inner, i, c == '/', to);
		for (size_t x = 0; x < n; x++)
			contain_put(q, to[x], next, set);
	}
	return true;
}

static bool
contain_decide(struct contain *q)
{
	uint64_t *set;
	size_t base = 0, record_bytes;
	bool contained = true;

	for (size_t o = 0; o < q->outer_count; o++)
		base += q->outer[o].count;
	q->words = base / 64 + 1;
	record_bytes = (q->words + 1 + 2) * sizeof(uint64_t); /* with its two slots */
	q->max = OWNS_CONTAINED_BYTES / record_bytes;
	q->seen = xmalloc((q->max + 1) * (q->words + 1) * sizeof(uint64_t));
	q->slot_count = 2 * q->max + 1;
	q->slots = xcalloc(q->slot_count, sizeof(*q->slots));
	set = xcalloc(q->words, sizeof(*set));
	contain_bytes(q);

	base = 0;
	for (size_t o = 0; o < q->outer_count; base += q->outer[o++].count)
		owns_nfa_begin(&q->outer[o], set, base);
	for (size_t x = 0; x < q->inner.start_count; x++)
		contain_put(q, q->inner.starts[x], AT_START, set);
	for (size_t r = 0; r < q->count && contained; r++)
		contained = contain_expand(q, r, set);
	if (q->count == q->max)
		contained = false;
	free(set);
	free(q->seen);
	free(q->slots);
	return contained;
}

bool
owns_contained(const char *inner, const char *const *outer)
{
	struct contain q = {.outer_count = 0};
	size_t n = 0;
	bool contained;

	while (outer[n] != NULL)
		if (strcmp(outer[n++], inner) == 0)
			return owns_check(inner, NULL) == 0;
	if (owns_nfa_compile(&q.inner, inner, NULL) < 0)
		return false;
	q.outer = xcalloc(n + 1, sizeof(*q.outer));
	for (size_t o = 0; o < n; o++)
		if (owns_overlap(inner, outer[o]) &&
		    owns_nfa_compile(&q.outer[q.outer_count], outer[o], NULL) == 0)
			q.outer_count++;
	contained = q.outer_count > 0 && contain_decide(&q);
	for (size_t o = 0; o < q.outer_count; o++)
		owns_nfa_clear(&q.outer[o]);
	free(q.outer);
	owns_nfa_clear(&q.inner);
	return contained;
}
