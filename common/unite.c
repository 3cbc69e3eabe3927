/* unite: see unite.h. */
#include "common/unite.h"

#include "common/alloc.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>

#define MARKER 7

enum part { OUTSIDE, OURS, BASE, THEIRS };

struct reader {
	const char *at, *end;
	enum part part;
	bool sound;
};

struct buffer {
	char *data;
	size_t size;
};

static void
put(struct buffer *b, const char *data, size_t n)
{
	b->data = xrealloc(b->data, b->size + n + 1);
	memcpy(b->data + b->size, data, n);
	b->size += n;
	b->data[b->size] = '\0';
}

/* Which marker the line is; 0: none. "=======" stands alone, the others have a name behind them. */
static char
marker_of(const char *line, size_t n)
{
	char c = n > 0 ? *line : '\0';

	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		n--;
	if (n < MARKER || strchr("<|=>", c) == NULL || c == '\0')
		return 0;
	for (size_t i = 1; i < MARKER; i++)
		if (line[i] != c)
			return 0;
	return (c == '=' ? n == MARKER : n == MARKER || line[MARKER] == ' ') ? c : 0;
}

/* The next line; its part is that of the content, or OUTSIDE with *is_marker. False at the end. */
static bool
next_line(struct reader *r, const char **line, size_t *n, char *marker)
{
	static const char wanted[] = {[OUTSIDE] = '<', [OURS] = '|', [BASE] = '=', [THEIRS] = '>'};
	const char *stop;

	if (r->at == r->end)
		return false;
	stop = memchr(r->at, '\n', (size_t)(r->end - r->at));
	*line = r->at;
	*n = (size_t)((stop == NULL ? r->end : stop + 1) - r->at);
	r->at += *n;
	*marker = marker_of(*line, *n);
	/* Outside a conflict only its beginning matters: a line of "=" is a heading. */
	if (*marker != 0 && r->part == OUTSIDE && *marker == '=')
		*marker = 0;
	if (*marker == 0)
		return true;
	if (*marker != wanted[r->part])
		r->sound = false;
	else
		r->part = r->part == THEIRS ? OUTSIDE : (enum part)(r->part + 1);
	return true;
}

bool
unite_additions(const char *text, size_t length, char **out, size_t *size)
{
	struct reader r = {.at = text, .end = text + length, .sound = true};
	struct buffer b = {0};
	bool any = false, added = true;
	const char *line;
	char marker;
	size_t n;

	while (next_line(&r, &line, &n, &marker)) {
		any |= marker != 0;
		added &= marker != 0 || r.part != BASE;
		if (marker == 0)
			put(&b, line, n);
	}
	if (!any || !added || !r.sound || r.part != OUTSIDE) {
		free(b.data);
		return false;
	}
	*out = b.data == NULL ? xstrdup("") : b.data;
	*size = b.size;
	return true;
}

char *
unite_hunks(const char *text, size_t length, size_t max)
{
	struct reader r = {.at = text, .end = text + length, .sound = true};
	struct buffer b = {0};
	const char *line;
	char marker, *shown;
	size_t n;

	while (b.size < max && next_line(&r, &line, &n, &marker))
		if (marker != 0 || r.part != OUTSIDE)
			put(&b, line, n);
	shown = text_utf8(b.data == NULL ? "" : b.data, b.size, max);
	free(b.data);
	return shown;
}
