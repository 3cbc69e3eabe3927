/* owns_nfa: see owns_nfa.h. The reading of "[...]" follows git's wildmatch.c case by case. */
#include "common/owns_nfa.h"

#include "common/alloc.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
set_add(struct byteset *s, unsigned char c)
{
	s->w[c >> 6] |= (uint64_t)1 << (c & 63);
}

static void
set_del(struct byteset *s, unsigned char c)
{
	s->w[c >> 6] &= ~((uint64_t)1 << (c & 63));
}

static struct byteset
set_all(bool slash)
{
	struct byteset s;

	memset(&s, 0xff, sizeof(s));
	set_del(&s, '\0');
	if (!slash)
		set_del(&s, '/');
	return s;
}

static struct byteset
set_one(unsigned char c)
{
	struct byteset s = {{0}};

	set_add(&s, c);
	return s;
}

/* The members of [:name:], ASCII only as in git. */
static bool
set_add_class(struct byteset *s, const char *name, size_t n)
{
	static const struct {
		const char *name;
		int (*is)(int c);
	} classes[] = {
	    {"alnum", isalnum},
	    {"alpha", isalpha},
	    {"blank", isblank},
	    {"cntrl", iscntrl},
	    {"digit", isdigit},
	    {"graph", isgraph},
	    {"lower", islower},
	    {"print", isprint},
	    {"punct", ispunct},
	    {"space", isspace},
	    {"upper", isupper},
	    {"xdigit", isxdigit},
	};

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (strlen(classes[i].name) != n || memcmp(classes[i].name, name, n) != 0)
			continue;
		for (int c = 1; c < 128; c++)
			if (classes[i].is(c))
				set_add(s, (unsigned char)c);
		return true;
	}
	return false;
}

/*
 * One member of a bracket expression at p: a byte, a range's end (*prev is its beginning, 0 when none), or a
 * named class. Moves past it and sets *prev for the next. NULL when the pattern ends inside.
 */
static const char *
parse_member(const char *p, struct byteset *s, unsigned char *prev, struct err *e)
{
	const char *end;
	unsigned char c = (unsigned char)*p;

	if (c == '-' && *prev != 0 && p[1] != '\0' && p[1] != ']') {
		p++;
		if (*p == '\\' && *++p == '\0')
			return NULL;
		for (int k = *prev; k <= (unsigned char)*p; k++)
			set_add(s, (unsigned char)k);
		*prev = 0;
		return p + 1;
	}
	if (c == '[' && p[1] == ':') {
		end = strchr(p + 2, ']');
		if (end == NULL)
			return NULL;
		if (end > p + 2 && end[-1] == ':') {
			if (!set_add_class(s, p + 2, (size_t)(end - 1 - (p + 2)))) {
				err_set(e, -EINVAL, "unknown class %.*s", (int)(end + 1 - p), p);
				return NULL;
			}
			*prev = 0;
			return end + 1;
		}
	}
	if (c == '\\' && (c = (unsigned char)*++p) == '\0')
		return NULL;
	set_add(s, c);
	*prev = c;
	return p + 1;
}

/* "[...]" at p (which is at the "["): what follows it, or NULL with e. */
static const char *
parse_bracket(const char *p, struct byteset *s, struct err *e)
{
	bool negated = p[1] == '!' || p[1] == '^';
	unsigned char prev = 0;

	err_set(e, -EINVAL, "unclosed \"[\" (write \\[ for the character itself)");
	p += negated ? 2 : 1;
	do {
		if (*p == '\0' || (p = parse_member(p, s, &prev, e)) == NULL)
			return NULL;
	} while (*p != ']');
	if (negated)
		for (size_t i = 0; i < 4; i++)
			s->w[i] = ~s->w[i];
	set_del(s, '\0');
	set_del(s, '/');
	return p + 1;
}

static void
push(struct owns_nfa *n, enum owns_kind kind, struct byteset set)
{
	n->states[n->count++] = (struct owns_state){kind, set};
}

/*
 * A run of stars at p. Two or more that fill their part are a "**": before a slash any number of folders,
 * none too, and then the slash belongs to them; at the end anything.
 */
static const char *
parse_stars(struct owns_nfa *n, const char *pattern, const char *p)
{
	const struct byteset none = {{0}};
	const char *end = p + strspn(p, "*");
	bool fills = (p == pattern || p[-1] == '/') && (*end == '\0' || *end == '/');

	if (end - p >= 2 && fills && *end == '/') {
		push(n, OWNS_FORK, none);
		push(n, OWNS_DIRS, set_all(true));
		return end + 1;
	}
	push(n, OWNS_LOOP, set_all(end - p >= 2 && fills));
	return end;
}

static int
compile_glob(struct owns_nfa *n, const char *pattern, struct err *e)
{
	const char *p = pattern;
	struct byteset set;

	while (*p != '\0') {
		if (*p == '*') {
			p = parse_stars(n, pattern, p);
			continue;
		}
		set = set_one((unsigned char)*p);
		if (*p == '[') {
			set = (struct byteset){{0}};
			if ((p = parse_bracket(p, &set, e)) == NULL)
				return -EINVAL;
		} else if (*p == '?') {
			set = set_all(false);
			p++;
		} else if (*p == '\\') {
			if (p[1] == '\0' || p[1] == '/')
				return err_set(e, -EINVAL,
				    "a \"\\\" at the end of a part (it escapes the character after it)");
			set = set_one((unsigned char)p[1]);
			p += 2;
		} else {
			p++;
		}
		push(n, OWNS_STEP, set);
	}
	return 0;
}

/* What both spellings end with: a trailing slash means everything below. */
static void
compile_end(struct owns_nfa *n, const char *pattern)
{
	size_t len = strlen(pattern);

	if (len > 0 && pattern[len - 1] == '/')
		push(n, OWNS_LOOP, set_all(true));
	push(n, OWNS_END, (struct byteset){{0}});
}

int
owns_nfa_compile(struct owns_nfa *n, const char *pattern, struct err *e)
{
	int rc;

	memset(n, 0, sizeof(*n));
	/* at most one state for each byte, twice, and two at each end */
	n->states = xcalloc(2 * strlen(pattern) + 4, sizeof(*n->states));
	rc = compile_glob(n, pattern, e);
	if (rc < 0) {
		owns_nfa_clear(n);
		return rc;
	}
	compile_end(n, pattern);
	n->starts[n->start_count++] = 0;
	if (strpbrk(pattern, "[\\") != NULL) {
		n->starts[n->start_count++] = n->count;
		for (const char *p = pattern; *p != '\0'; p++)
			push(n, OWNS_STEP, set_one((unsigned char)*p));
		compile_end(n, pattern);
	}
	return 0;
}

void
owns_nfa_clear(struct owns_nfa *n)
{
	free(n->states);
	memset(n, 0, sizeof(*n));
}

static void
bit_add(const struct owns_nfa *n, uint64_t *bits, size_t base, size_t i)
{
	for (;;) {
		size_t at = base + i;

		bits[at >> 6] |= (uint64_t)1 << (at & 63);
		if (n->states[i].kind == OWNS_FORK) {
			at++; /* the inside of the "**", which moves nowhere for nothing */
			bits[at >> 6] |= (uint64_t)1 << (at & 63);
			i += 2;
		} else if (n->states[i].kind == OWNS_LOOP) {
			i++;
		} else {
			return;
		}
	}
}

static bool
bit_has(const uint64_t *bits, size_t at)
{
	return (bits[at >> 6] >> (at & 63)) & 1;
}

void
owns_nfa_begin(const struct owns_nfa *n, uint64_t *bits, size_t base)
{
	for (size_t i = 0; i < n->start_count; i++)
		bit_add(n, bits, base, n->starts[i]);
}

void
owns_nfa_step(const struct owns_nfa *n, const uint64_t *from, uint64_t *to, size_t base, unsigned char c)
{
	for (size_t i = 0; i < n->count; i++) {
		const struct owns_state *s = &n->states[i];

		if (((base + i) & 63) == 0 && from[(base + i) >> 6] == 0) {
			i += 63; /* a whole word without a state in it */
			continue;
		}
		if (!bit_has(from, base + i) || !byteset_has(&s->set, c))
			continue;
		if (s->kind != OWNS_STEP)
			bit_add(n, to, base, i);
		if (s->kind == OWNS_STEP || (s->kind == OWNS_DIRS && c == '/'))
			bit_add(n, to, base, i + 1);
	}
}

bool
owns_nfa_accepts(const struct owns_nfa *n, const uint64_t *bits, size_t base)
{
	for (size_t i = 0; i < n->count; i++)
		if (n->states[i].kind == OWNS_END && bit_has(bits, base + i))
			return true;
	return false;
}

bool
owns_nfa_match(const struct owns_nfa *n, const char *path)
{
	size_t words = n->count / 64 + 1;
	uint64_t *now = xcalloc(words * 2, sizeof(*now)), *next = now + words;
	uint64_t *memory = now, *swap;
	bool matched;

	owns_nfa_begin(n, now, 0);
	for (; *path != '\0'; path++) {
		memset(next, 0, words * sizeof(*next));
		owns_nfa_step(n, now, next, 0, (unsigned char)*path);
		swap = now;
		now = next;
		next = swap;
	}
	matched = owns_nfa_accepts(n, now, 0);
	free(memory);
	return matched;
}
