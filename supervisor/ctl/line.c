/* line: see line.h. */
#include "supervisor/ctl/line.h"

#include "common/alloc.h"
#include "common/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_MAX 4096

static const char *const codes[] = {
    [LINE_PLAIN] = NULL,
    [LINE_BOLD] = "\033[1m",
    [LINE_DIM] = "\033[2m",
    [LINE_GOOD] = "\033[32m",
    [LINE_BUSY] = "\033[36m",
    [LINE_WARN] = "\033[33m",
    [LINE_BAD] = "\033[31m",
};

void
lines_init(struct lines *l, size_t width, bool colour)
{
	memset(l, 0, sizeof(*l));
	l->width = width;
	l->colour = colour;
}

void
lines_clear(struct lines *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->line[i]);
	free(l->line);
	free(l->buf);
	memset(l, 0, sizeof(*l));
}

static void
put(struct lines *l, const char *s, size_t n)
{
	if (l->size + n + 1 > l->buf_room) {
		l->buf_room = (l->size + n + 1) * 2;
		l->buf = xrealloc(l->buf, l->buf_room);
	}
	memcpy(l->buf + l->size, s, n);
	l->size += n;
	l->buf[l->size] = '\0';
}

/* Bytes of the valid UTF-8 text that fit into room columns; *columns gets what they take. */
static size_t
fitting(const char *s, size_t room, size_t *columns)
{
	size_t used = 0, taken = 0;
	char one[5];

	while (s[used] != '\0') {
		size_t n = 1, wide;

		if ((unsigned char)s[used] < 0x80) { /* clean text: a column each */
			if (taken == room)
				break;
			taken++;
			used++;
			continue;
		}
		while (n < 4 && ((unsigned char)s[used + n] & 0xc0) == 0x80)
			n++;
		memcpy(one, s + used, n);
		one[n] = '\0';
		wide = text_columns(one);
		if (taken + wide > room)
			break;
		taken += wide;
		used += n;
	}
	*columns = taken;
	return used;
}

/* text is clean. */
static void
put_styled(struct lines *l, enum line_style style, const char *text)
{
	size_t room = l->width == 0 ? SIZE_MAX : l->width - l->columns, columns, n;
	const char *code = l->colour ? codes[style] : NULL;

	if (l->full)
		return;
	n = fitting(text, room, &columns);
	l->full = text[n] != '\0';
	if (n == 0)
		return;
	if (code != NULL)
		put(l, code, strlen(code));
	put(l, text, n);
	if (code != NULL)
		put(l, "\033[0m", 4);
	l->columns += columns;
}

void
line_add(struct lines *l, enum line_style style, const char *text)
{
	char *clean;

	if (text == NULL || l->full)
		return;
	clean = text_line(text, PIECE_MAX);
	put_styled(l, style, clean);
	free(clean);
}

void
line_addf(struct lines *l, enum line_style style, const char *fmt, ...)
{
	char text[PIECE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	line_add(l, style, text);
}

void
line_wrap(struct lines *l, enum line_style style, const char *text, size_t indent)
{
	char *clean = text_line(text == NULL ? "" : text, PIECE_MAX), *next = clean, *word;

	for (bool first = true; (word = strsep(&next, " ")) != NULL; first = false) {
		size_t columns = text_columns(word) + (first ? 0 : 1);

		/* A word longer than a line is cut there: it has no better place below. */
		if (l->width != 0 && l->columns + columns > l->width && l->columns > indent) {
			line_end(l);
			line_gap(l, indent);
		} else if (!first) {
			line_gap(l, 1);
		}
		put_styled(l, style, word);
	}
	free(clean);
}

void
line_gap(struct lines *l, size_t spaces)
{
	while (spaces-- > 0)
		put_styled(l, LINE_PLAIN, " ");
}

void
line_to(struct lines *l, size_t column)
{
	if (l->columns >= column && l->columns > 0)
		line_gap(l, 1);
	else
		line_gap(l, column - l->columns);
}

void
line_end(struct lines *l)
{
	while (l->size > 0 && l->buf[l->size - 1] == ' ')
		l->size--;
	if (l->count == l->room) {
		l->room = l->room == 0 ? 32 : l->room * 2;
		l->line = xrealloc(l->line, l->room * sizeof(*l->line));
	}
	l->line[l->count++] = xstrndup(l->buf == NULL ? "" : l->buf, l->size);
	l->size = l->columns = 0;
	l->full = false;
}

const char *
line_count(char *buf, size_t size, uint64_t n)
{
	if (n < 1000)
		snprintf(buf, size, "%llu", (unsigned long long)n);
	else if (n < 1000000)
		snprintf(buf, size, "%.1fk", (double)n / 1e3);
	else
		snprintf(buf, size, "%.1fM", (double)n / 1e6);
	return buf;
}

const char *
line_money(char *buf, size_t size, uint64_t uusd)
{
	snprintf(buf, size, "$%.2f", (double)uusd / 1e6);
	return buf;
}
