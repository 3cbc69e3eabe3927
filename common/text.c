/* text: see text.h. One strict UTF-8 decoder serves all; what it refuses becomes U+FFFD, byte by byte. */
#include "common/text.h"

#include "common/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"
#define DOTS "..."
#define SLUG_MAX 40
#define NEAREST_MAX 64 /* longer words have no near name worth the table */

/* Length of the character at s and its code point; 0 when it is not strict UTF-8 (RFC 3629) or NUL. */
static size_t
decode(const char *s, size_t size, uint32_t *point)
{
	static const uint32_t least[] = {0, 1, 0x80, 0x800, 0x10000};
	const unsigned char *u = (const unsigned char *)s;
	size_t n;
	uint32_t c;

	if (size == 0 || u[0] == 0)
		return 0;
	if (u[0] < 0x80)
		n = 1, c = u[0];
	else if ((u[0] & 0xe0) == 0xc0)
		n = 2, c = u[0] & 0x1f;
	else if ((u[0] & 0xf0) == 0xe0)
		n = 3, c = u[0] & 0x0f;
	else if ((u[0] & 0xf8) == 0xf0)
		n = 4, c = u[0] & 0x07;
	else
		return 0;
	if (n > size)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (u[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*point = c;
	return n;
}

/* How many of the first bytes, in steps of 8, are ASCII without NUL: of most texts nearly all. */
static size_t
ascii_run(const char *s, size_t size)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
	size_t i = 0;

	for (uint64_t w; size - i >= sizeof(w); i += sizeof(w)) {
		memcpy(&w, s + i, sizeof(w));
		if (((w | (w - ones)) & highs) != 0) /* a high bit, or the borrow of a zero */
			break;
	}
	return i;
}

bool
text_is_utf8(const char *s, size_t size)
{
	uint32_t c;

	for (size_t i = ascii_run(s, size); i < size;) {
		size_t n = decode(s + i, size - i, &c);

		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

static bool
is_control(uint32_t c)
{
	return c < ' ' || (c >= 0x7f && c < 0xa0);
}

/* What would move the cursor or turn the direction of the rest of a terminal's line. */
static bool
breaks_line(uint32_t c)
{
	return is_control(c) || c == 0x2028 || c == 0x2029 || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

/* A string that grows to at most max bytes; what does not fit marks it as cut. */
struct out {
	char *data;
	size_t size, room, max;
	bool cut;
};

static void
out_init(struct out *o, size_t size, size_t max)
{
	memset(o, 0, sizeof(*o));
	o->max = max;
	o->room = (size < max ? size : max) + sizeof(REPLACEMENT);
	o->data = xmalloc(o->room + 1);
}

static void
out_add(struct out *o, const char *s, size_t n)
{
	if (o->cut || n > o->max - o->size) {
		o->cut = true;
		return;
	}
	if (n > o->room - o->size) {
		o->room = o->room * 2 + n;
		o->data = xrealloc(o->data, o->room + 1);
	}
	memcpy(o->data + o->size, s, n);
	o->size += n;
}

/* Start of the character that holds byte i of valid UTF-8. */
static size_t
char_start(const char *s, size_t i)
{
	while (i > 0 && ((unsigned char)s[i] & 0xc0) == 0x80)
		i--;
	return i;
}

static char *
out_take(struct out *o)
{
	const size_t dots = strlen(DOTS);

	o->data[o->size] = '\0';
	if (o->cut && o->max >= dots) {
		size_t keep = o->max - dots;

		if (o->size > keep)
			o->size = char_start(o->data, keep);
		if (o->room - o->size < dots)
			o->data = xrealloc(o->data, o->size + dots + 1);
		memcpy(o->data + o->size, DOTS, dots + 1);
	}
	return o->data;
}

char *
text_utf8(const char *s, size_t size, size_t max)
{
	struct out o;
	uint32_t c;

	out_init(&o, size, max);
	for (size_t i = 0; i < size && !o.cut;) {
		size_t n = decode(s + i, size - i, &c);

		if (n == 0)
			out_add(&o, REPLACEMENT, strlen(REPLACEMENT));
		else if (!is_control(c) || c == '\n' || c == '\t')
			out_add(&o, s + i, n);
		i += n == 0 ? 1 : n;
	}
	return out_take(&o);
}

char *
text_tail(const char *s, size_t size, size_t max)
{
	char *all = text_utf8(s, size, SIZE_MAX), *line;
	size_t n = strlen(all), start;

	if (n <= max)
		return all;
	start = n - max;
	while (((unsigned char)all[start] & 0xc0) == 0x80)
		start++;
	if (all[start - 1] != '\n') {
		/* Half a line is left out, unless it is most of what we may keep: then it is the evidence. */
		line = memchr(all + start, '\n', max / 2 < n - start ? max / 2 : n - start);
		if (line != NULL && line[1] != '\0')
			start = (size_t)(line + 1 - all);
	}
	memmove(all, all + start, n - start + 1);
	return all;
}

/*
 * Length of the escape sequence at s (ECMA-48): CSI up to its final byte, a string (OSC, DCS ...) up to BEL
 * or ST, else ESC and one more byte. A sequence without an end takes only its ESC, so that it hides no text.
 */
static size_t
escape_length(const char *s)
{
	size_t i = 2;

	if (s[1] == '[') {
		i += strspn(s + i, "0123456789:;<=>? !\"#$%&'()*+,-./");
		return s[i] >= '@' && s[i] <= '~' ? i + 1 : 2;
	}
	if (s[1] != '\0' && strchr("]PX^_", s[1]) != NULL) {
		i += strcspn(s + i, "\a\x1b\n");
		if (s[i] == '\a')
			return i + 1;
		return s[i] == '\x1b' && s[i + 1] == '\\' ? i + 2 : 2;
	}
	return s[1] >= ' ' && s[1] <= '~' ? 2 : 1;
}

char *
text_line(const char *s, size_t max)
{
	size_t size = strlen(s);
	bool blank = false;
	struct out o;
	uint32_t c;

	out_init(&o, size, max);
	for (size_t i = 0; i < size && !o.cut;) {
		size_t n = s[i] == '\x1b' ? 1 : decode(s + i, size - i, &c);

		if (s[i] == '\x1b') {
			blank = true;
			n = escape_length(s + i);
		} else if (n > 0 && (c == ' ' || breaks_line(c))) {
			blank = true;
		} else {
			if (blank && o.size > 0)
				out_add(&o, " ", 1);
			blank = false;
			out_add(&o, n == 0 ? REPLACEMENT : s + i, n == 0 ? strlen(REPLACEMENT) : n);
		}
		i += n == 0 ? 1 : n;
	}
	return out_take(&o);
}

void
text_slug(char slug[41], const char *title)
{
	size_t n = 0, dash = 0;

	for (; *title != '\0'; title++) {
		char c = *title >= 'A' && *title <= 'Z' ? (char)(*title - 'A' + 'a') : *title;
		bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (n == SLUG_MAX) {
			/* In the middle of a word: end at the one before, unless that leaves little. */
			if (word && dash > SLUG_MAX / 2)
				n = dash;
			break;
		}
		if (word) {
			slug[n++] = c;
		} else if (n > 0 && slug[n - 1] != '-') {
			dash = n;
			slug[n++] = '-';
		}
	}
	while (n > 0 && slug[n - 1] == '-')
		n--;
	slug[n] = '\0';
	if (n == 0)
		strcpy(slug, "run");
}

struct range {
	uint32_t first, last;
};

static bool
in_ranges(uint32_t c, const struct range *r, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (c >= r[i].first && c <= r[i].last)
			return true;
	return false;
}

/* Unicode's East Asian Width W and F, and emoji, by block; combining marks and joiners. */
static size_t
char_columns(uint32_t c)
{
	static const struct range zero[] = {{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd},
	    {0x064b, 0x065f}, {0x0e34, 0x0e3a}, {0x0e47, 0x0e4e}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff},
	    {0x200b, 0x200f}, {0x202a, 0x202e}, {0x2060, 0x2069}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f},
	    {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0x1f3fb, 0x1f3ff}, {0xe0100, 0xe01ef}};
	static const struct range wide[] = {{0x1100, 0x115f}, {0x231a, 0x231b}, {0x23e9, 0x23ec},
	    {0x2614, 0x2615}, {0x26a1, 0x26a1}, {0x2705, 0x2705}, {0x270a, 0x270b}, {0x2728, 0x2728},
	    {0x274c, 0x274c}, {0x2e80, 0x303e}, {0x3041, 0xa4cf}, {0xa960, 0xa97c}, {0xac00, 0xd7a3},
	    {0xf900, 0xfaff}, {0xfe30, 0xfe6f}, {0xff01, 0xff60}, {0xffe0, 0xffe6}, {0x1f000, 0x1f02f},
	    {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1faff}, {0x20000, 0x3fffd}};

	if (c < 0x300)
		return is_control(c) ? 0 : 1;
	if (in_ranges(c, zero, sizeof(zero) / sizeof(zero[0])))
		return 0;
	return in_ranges(c, wide, sizeof(wide) / sizeof(wide[0])) ? 2 : 1;
}

size_t
text_columns(const char *s)
{
	size_t columns = 0, size = strlen(s);
	uint32_t c;

	for (size_t i = 0; i < size;) {
		size_t n = decode(s + i, size - i, &c);

		columns += n == 0 ? 1 : char_columns(c);
		i += n == 0 ? 1 : n;
	}
	return columns;
}

static size_t
min3(size_t a, size_t b, size_t c)
{
	if (b < a)
		a = b;
	return c < a ? c : a;
}

/* Edit distance in which two neighbours that changed places are one mistake, as typing makes it. */
static size_t
distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t d[3][NEAREST_MAX + 1];
	size_t *before = d[0], *last = d[1], *now = d[2], *swap;

	for (size_t j = 0; j <= nb; j++)
		last[j] = before[j] = j;
	for (size_t i = 1; i <= na; i++) {
		now[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		swap = before;
		before = last;
		last = now;
		now = swap;
	}
	return last[nb];
}

const char *
text_nearest(const char *word, const char *const *names)
{
	size_t n = strlen(word), best = 1 + n / 4;
	const char *found = NULL;

	if (n > NEAREST_MAX)
		return NULL;
	for (; *names != NULL; names++) {
		size_t m = strlen(*names), d;

		if (m > NEAREST_MAX)
			continue;
		d = distance(word, n, *names, m);
		/* With every letter changed nothing is left that is near. */
		if (d < n && d <= best && (found == NULL || d < best)) {
			best = d;
			found = *names;
		}
	}
	return found;
}

bool
text_is_plan_id(const char *id)
{
	size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n >= 1 && n <= 32 && id[n] == '\0';
}
