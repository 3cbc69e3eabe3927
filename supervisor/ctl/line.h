/*
 * line: one line for a terminal or a pipe, built left to right, cut to a width in columns, with colour only
 * where it is wanted. Text from elsewhere is made one harmless line on its way in. Pure.
 */
#ifndef ORCH_CTL_LINE_H
#define ORCH_CTL_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum line_style { LINE_PLAIN, LINE_BOLD, LINE_DIM, LINE_GOOD, LINE_BUSY, LINE_WARN, LINE_BAD };

/* Finished lines. */
struct lines {
	char **line;
	size_t count, room;
	size_t width; /* columns a line may take; 0: no limit */
	bool colour;
	/* private: the line that is being built */
	char *buf;
	size_t size, buf_room, columns;
	bool full;
};

void lines_init(struct lines *l, size_t width, bool colour);
void lines_clear(struct lines *l);

/* Adds to the line being built; what does not fit is cut there. Blanks at the ends of text are lost: see
 * line_to and line_gap. */
void line_add(struct lines *l, enum line_style style, const char *text);
void line_addf(struct lines *l, enum line_style style, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Like line_add, but words that do not fit go on below, from column indent on: nothing is lost but blanks. */
void line_wrap(struct lines *l, enum line_style style, const char *text, size_t indent);
/* Spaces up to a column; one at least, unless the line is empty. */
void line_to(struct lines *l, size_t column);
void line_gap(struct lines *l, size_t spaces);
/* Ends the line. */
void line_end(struct lines *l);

/* "12", "3.4k", "1.2M". Returns buf. */
const char *line_count(char *buf, size_t size, uint64_t n);
/* "$0.42" of micro-USD. Returns buf. */
const char *line_money(char *buf, size_t size, uint64_t uusd);

#endif
