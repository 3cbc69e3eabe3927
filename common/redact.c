/*
 * redact: see redact.h. Text is read through one decoder that skips blanks and undoes escapes, so that one
 * needle stands for every mixture of them; base64 and hex are needles of their own. A table of first pairs
 * keeps the needles out of the way of ordinary text.
 */
#include "common/redact.h"

#include "common/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NEEDLE_MIN 8
#define NEEDLES_MAX 8192
#define SECRET_MAX 65536

struct needle {
	char *text; /* decoded */
	size_t size;
	char *name;
};

struct redact {
	struct needle *v;
	size_t count;
	bool first[256];
	uint8_t pairs[65536 / 8];
	unsigned refs; /* besides the first owner's */
};

/* What read_char returns besides a byte. */
enum { CHAR_END = -1, CHAR_CUT = -2 };

static int
hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* n hex digits at i: their value, CHAR_CUT when the text ends in them, or -3. */
static int
read_hex(const unsigned char *s, size_t size, size_t i, size_t n)
{
	int value = 0;

	for (size_t k = 0; k < n; k++) {
		if (i + k >= size)
			return CHAR_CUT;
		if (hex_digit(s[i + k]) < 0)
			return -3;
		value = (value << 4 | hex_digit(s[i + k])) & 0xffff;
	}
	return value;
}

static bool
is_blank(int c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == 0;
}

/*
 * A run of backslashes is one escape, however often the text was quoted. Returns a byte, ' ' for an escaped
 * blank, or CHAR_CUT; *i moves behind it. An escape that is none is the backslash alone.
 */
static int
read_escape(const unsigned char *s, size_t size, size_t *i)
{
	size_t k = *i, digits;
	int c;

	while (k < size && s[k] == '\\')
		k++;
	if (k == size)
		return CHAR_CUT;
	if (s[k] == 'u' || s[k] == 'x') {
		digits = s[k] == 'u' ? 4 : 2;
		c = read_hex(s, size, k + 1, digits);
		if (c >= 0)
			*i = k + 1 + digits;
		else if (c != CHAR_CUT)
			*i = k;
		return c >= 0 ? (c < 256 ? c : '?') : c == CHAR_CUT ? c : '\\';
	}
	if (strchr("nrtbfv\n\r", s[k]) != NULL && s[k] != '\0') {
		*i = k + 1;
		return ' ';
	}
	if (strchr("/'\"", s[k]) != NULL && s[k] != '\0') {
		*i = k + 1;
		return s[k];
	}
	*i = k;
	return '\\';
}

/* The next byte that means something; *start is where it is written, *i is moved behind it. */
static int
read_char(const unsigned char *s, size_t size, size_t *i, size_t *start)
{
	while (*i < size) {
		int c = s[*i];

		*start = *i;
		if (c == '\\') {
			c = read_escape(s, size, i);
		} else if (c == '%') {
			int value = read_hex(s, size, *i + 1, 2);

			if (value == CHAR_CUT)
				return CHAR_CUT;
			*i += value >= 0 ? 3 : 1;
			c = value >= 0 ? value : c;
		} else {
			++*i;
		}
		if (c == CHAR_CUT || !is_blank(c))
			return c;
	}
	*start = size;
	return CHAR_END;
}

/* Needles. */

static void
add_needle(struct redact *r, const char *name, const char *text, size_t size)
{
	char *decoded = xmalloc(size + 1);
	size_t n = 0, i = 0, start;
	int c;

	while ((c = read_char((const unsigned char *)text, size, &i, &start)) >= 0)
		decoded[n++] = (char)c;
	for (; start < size; start++) /* it ends like the beginning of an escape */
		decoded[n++] = text[start];
	decoded[n] = '\0';
	for (i = 0; i < r->count; i++)
		if (r->v[i].size == n && memcmp(r->v[i].text, decoded, n) == 0)
			break;
	if (i < r->count || n < NEEDLE_MIN || r->count == NEEDLES_MAX) {
		explicit_bzero(decoded, n);
		free(decoded);
		return;
	}
	r->v = xrealloc(r->v, (r->count + 1) * sizeof(*r->v));
	r->v[r->count++] = (struct needle){decoded, n, xstrdup(name)};
	r->first[(unsigned char)decoded[0]] = true;
	i = (size_t)(unsigned char)decoded[0] << 8 | (unsigned char)decoded[1];
	r->pairs[i / 8] |= (uint8_t)(1u << i % 8);
}

static void
add_hex(struct redact *r, const char *name, const char *value, size_t size)
{
	static const char *const digits[] = {"0123456789abcdef", "0123456789ABCDEF"};
	char *text = xmalloc(2 * size + 1);

	for (size_t d = 0; d < 2; d++) {
		for (size_t i = 0; i < size; i++) {
			text[2 * i] = digits[d][(unsigned char)value[i] >> 4];
			text[2 * i + 1] = digits[d][(unsigned char)value[i] & 15];
		}
		add_needle(r, name, text, 2 * size);
	}
	explicit_bzero(text, 2 * size);
	free(text);
}

/*
 * The characters that depend on the value alone when it begins at byte `offset` of a group of three: those at
 * its edges are shared with what is before and behind it.
 */
static void
add_base64(
    struct redact *r, const char *name, const char *value, size_t size, size_t offset, const char *last)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t from = (offset * 8 + 5) / 6, to = (offset + size) * 8 / 6, n = 0;
	char *text = xmalloc(to + 1);

	for (size_t k = from; k < to; k++) {
		unsigned six = 0;

		for (size_t bit = k * 6; bit < k * 6 + 6; bit++) {
			unsigned char byte = (unsigned char)value[bit / 8 - offset];

			six = six << 1 | (byte >> (7 - bit % 8) & 1u);
		}
		text[n++] = six < 62 ? alphabet[six] : last[six - 62];
	}
	add_needle(r, name, text, n);
	explicit_bzero(text, n);
	free(text);
}

struct redact *
redact_new(void)
{
	return xcalloc(1, sizeof(struct redact));
}

struct redact *
redact_ref(const struct redact *r)
{
	struct redact *own = (struct redact *)r; /* only the count changes */

	if (own != NULL)
		own->refs++;
	return own;
}

void
redact_free(struct redact *r)
{
	if (r == NULL)
		return;
	if (r->refs > 0) {
		r->refs--;
		return;
	}
	for (size_t i = 0; i < r->count; i++) {
		explicit_bzero(r->v[i].text, r->v[i].size);
		free(r->v[i].text);
		free(r->v[i].name);
	}
	free(r->v);
	explicit_bzero(r, sizeof(*r));
	free(r);
}

void
redact_add(struct redact *r, const char *name, const char *value)
{
	size_t size = strlen(value);

	if (size < NEEDLE_MIN || size > SECRET_MAX)
		return;
	add_needle(r, name, value, size);
	add_hex(r, name, value, size);
	for (size_t offset = 0; offset < 3; offset++) {
		add_base64(r, name, value, size, offset, "+/");
		add_base64(r, name, value, size, offset, "-_");
	}
}

/* Finding. */

struct match {
	size_t start, end;
	const char *name;
};

/* Does n go on at i, where its first pair was read already? 1 with *end; 0; CHAR_CUT when the text ends
 * first.
 */
static int
match_rest(const struct needle *n, const unsigned char *s, size_t size, size_t i, size_t *end)
{
	for (size_t k = 2; k < n->size; k++) {
		size_t start;
		int c = read_char(s, size, &i, &start);

		if (c == CHAR_END || c == CHAR_CUT)
			return CHAR_CUT;
		if (c != (unsigned char)n->text[k])
			return 0;
	}
	*end = i;
	return 1;
}

/* The longest needle at the pair that was read; CHAR_CUT when one may be there but is cut. */
static int
match_pair(
    const struct redact *r, int a, int b, const unsigned char *s, size_t size, size_t i, struct match *m)
{
	int found = 0;

	for (size_t k = 0; k < r->count; k++) {
		const struct needle *n = &r->v[k];
		size_t end;
		int rc;

		if ((unsigned char)n->text[0] != a || (unsigned char)n->text[1] != b)
			continue;
		rc = match_rest(n, s, size, i, &end);
		if (rc == CHAR_CUT && found == 0)
			found = CHAR_CUT;
		if (rc != 1 || (found == 1 && end <= m->end))
			continue;
		found = 1;
		m->end = end;
		m->name = n->name;
	}
	return found;
}

/*
 * The first secret at or after from: 1 with m. Otherwise 0, and m->start is where a secret may begin that the
 * text does not hold to its end: the text's size when there is none.
 */
static int
find(const struct redact *r, const unsigned char *s, size_t size, size_t from, struct match *m)
{
	size_t open = size;

	for (size_t i = from; i < size;) {
		size_t next = i, start, second;
		int a = read_char(s, size, &next, &start), b, rc;

		if (a == CHAR_END)
			break;
		if (a == CHAR_CUT) {
			open = start < open ? start : open;
			break;
		}
		i = start + 1;
		if (!r->first[a])
			continue;
		b = read_char(s, size, &next, &second);
		if (b < 0) {
			open = start < open ? start : open;
			continue;
		}
		if ((r->pairs[(a << 8 | b) / 8] & 1u << (a << 8 | b) % 8) == 0)
			continue;
		rc = match_pair(r, a, b, s, size, next, m);
		if (rc == 1) {
			m->start = start;
			return 1;
		}
		if (rc == CHAR_CUT && start < open)
			open = start;
	}
	m->start = open;
	return 0;
}

bool
redact_finds(const struct redact *r, const char *text, size_t size, const char **name)
{
	struct match m;

	if (r == NULL || r->count == 0 || find(r, (const unsigned char *)text, size, 0, &m) == 0)
		return false;
	if (name != NULL)
		*name = m.name;
	return true;
}

struct growing {
	char *text;
	size_t size, room;
};

static void
append(struct growing *g, const char *data, size_t size)
{
	if (g->room - g->size < size + 1) {
		g->room = 2 * (g->size + size + 1);
		g->text = xrealloc(g->text, g->room);
	}
	memcpy(g->text + g->size, data, size);
	g->size += size;
	g->text[g->size] = '\0';
}

static void
append_label(struct growing *g, const char *name)
{
	append(g, "[redacted:", 10);
	append(g, name, strlen(name));
	append(g, "]", 1);
}

char *
redact_text(const struct redact *r, const char *text, size_t size, size_t *out)
{
	struct growing g = {0};
	struct match m;
	size_t at = 0;

	if (r == NULL || r->count == 0)
		return NULL;
	while (find(r, (const unsigned char *)text, size, at, &m) == 1) {
		append(&g, text + at, m.start - at);
		append_label(&g, m.name);
		at = m.end;
	}
	if (g.text == NULL)
		return NULL;
	append(&g, text + at, size - at);
	if (out != NULL)
		*out = g.size;
	return g.text;
}

/* Streams. */

static void
hold(struct redact_stream *s, const char *data, size_t size)
{
	if (size == 0)
		return;
	if (s->room - s->size < size) {
		s->room = s->size + size + 4096;
		s->held = xrealloc(s->held, s->room);
	}
	memcpy(s->held + s->size, data, size);
	s->size += size;
}

/* Passes on what is decided: all, but for a secret that may have begun. */
static void
pass(struct redact_stream *s, bool last)
{
	const unsigned char *text = (const unsigned char *)s->held;
	struct growing label = {0};
	struct match m;
	size_t at = 0;

	if (s->size == 0)
		return;
	while (find(s->r, text, s->size, at, &m) == 1) {
		if (m.start > at)
			s->sink(s->arg, s->held + at, m.start - at);
		label.size = 0;
		append_label(&label, m.name);
		s->sink(s->arg, label.text, label.size);
		at = m.end;
	}
	free(label.text);
	if (last || s->size - m.start > REDACT_HOLD_MAX)
		m.start = s->size;
	if (m.start > at)
		s->sink(s->arg, s->held + at, m.start - at);
	s->size -= m.start;
	memmove(s->held, s->held + m.start, s->size);
}

void
redact_stream_feed(struct redact_stream *s, const char *data, size_t size)
{
	if (s->r == NULL || s->r->count == 0) {
		s->sink(s->arg, data, size);
		return;
	}
	hold(s, data, size);
	pass(s, false);
}

void
redact_stream_end(struct redact_stream *s)
{
	if (s->size > 0)
		pass(s, true);
	if (s->held != NULL)
		explicit_bzero(s->held, s->room);
	free(s->held);
	s->held = NULL;
	s->size = s->room = 0;
}
