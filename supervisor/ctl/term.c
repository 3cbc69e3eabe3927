/* term: see term.h. Control sequences are ECMA-48: CSI n A (up), CSI K (clear to the end of the line), CSI J
 * (clear to the end of the screen). */
#include "supervisor/ctl/term.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool
is_dumb(void)
{
	const char *term = getenv("TERM");

	return term == NULL || term[0] == '\0' || strcmp(term, "dumb") == 0;
}

bool
term_colour(FILE *f)
{
	const char *no = getenv("NO_COLOR");

	return isatty(fileno(f)) && !is_dumb() && (no == NULL || no[0] == '\0');
}

bool
term_can_redraw(FILE *f)
{
	return isatty(fileno(f)) && !is_dumb();
}

void
term_size(FILE *f, size_t *width, size_t *height)
{
	struct winsize ws;

	*width = 80;
	*height = 24;
	if (ioctl(fileno(f), TIOCGWINSZ, &ws) < 0)
		return;
	if (ws.ws_col > 0)
		*width = ws.ws_col;
	if (ws.ws_row > 0)
		*height = ws.ws_row;
}

size_t
term_text_width(FILE *f)
{
	size_t width, height;

	if (!isatty(fileno(f)))
		return 0;
	term_size(f, &width, &height);
	return width;
}

bool
term_redraw(struct term_picture *p, FILE *f, const struct lines *l)
{
	if (p->drawn > 0)
		fprintf(f, "\033[%zuA\r", p->drawn);
	for (size_t i = 0; i < l->count; i++)
		fprintf(f, "%s\033[K\n", l->line[i]);
	fputs("\033[J", f);
	p->drawn = l->count;
	p->columns = l->width;
	return fflush(f) == 0;
}

void
term_resized(struct term_picture *p, FILE *f)
{
	size_t width, height;

	term_size(f, &width, &height);
	if (width < p->columns || height <= p->drawn)
		p->drawn = 0;
}

void
term_leave(struct term_picture *p)
{
	p->drawn = 0;
}

bool
term_print(FILE *f, struct lines *l)
{
	size_t width = l->width;
	bool colour = l->colour;

	for (size_t i = 0; i < l->count; i++) {
		fputs(l->line[i], f);
		fputc('\n', f);
	}
	lines_clear(l);
	lines_init(l, width, colour);
	return fflush(f) == 0;
}
