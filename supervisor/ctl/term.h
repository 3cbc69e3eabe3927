/*
 * term: the terminal, when there is one: its size, whether it wants colour, and a picture that is redrawn in
 * place (no alternate screen: what was shown last stays in the scrollback).
 */
#ifndef ORCH_CTL_TERM_H
#define ORCH_CTL_TERM_H

#include "supervisor/ctl/line.h"

#include <stdio.h>

/* Colour on f: a terminal, NO_COLOR not set (https://no-color.org), TERM not "dumb". */
bool term_colour(FILE *f);
/* f is a terminal that can move its cursor. */
bool term_can_redraw(FILE *f);
/* Columns and lines of f's terminal; 80 x 24 when it does not say. */
void term_size(FILE *f, size_t *width, size_t *height);

/* The width for text that is printed once: 0 (no limit) when f is no terminal. */
size_t term_text_width(FILE *f);

/* A picture on a terminal. Zeroed: nothing drawn yet. */
struct term_picture {
	size_t drawn;   /* lines of it above the cursor */
	size_t columns; /* that it may reach */
};

/* Replaces what is drawn by l. False when the terminal is gone. */
bool term_redraw(struct term_picture *p, FILE *f, const struct lines *l);
/* f has a new size. A picture that was wider has been rewrapped: its height is not known, so it stays. */
void term_resized(struct term_picture *p, FILE *f);
/* What is drawn stays; the next picture begins below it. */
void term_leave(struct term_picture *p);

/* Prints l and empties it. False when nobody reads f any more. */
bool term_print(FILE *f, struct lines *l);

#endif
