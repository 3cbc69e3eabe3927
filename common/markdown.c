/* markdown: see markdown.h. */
#include "common/markdown.h"

#include "common/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NOTHING_WIDE "\xe2\x80\x8b" /* U+200B */

/* Where something that GitHub makes a link or a mention of goes on: after "@", "#", "GH-", "http:", "www". */
static bool
is_hook(const char *line, const char *p)
{
	size_t before = (size_t)(p - line);

	switch (*p) {
	case '@':
	case '#':
		return true;
	case ':':
		return p[1] == '/' && p[2] == '/';
	case '-':
		return before >= 2 && strncasecmp(p - 2, "GH", 2) == 0;
	case '.':
		return before >= 3 && strncasecmp(p - 3, "www", 3) == 0;
	default:
		return false;
	}
}

void
markdown_text(FILE *f, const char *text, size_t max)
{
	char *line = text_line(text == NULL ? "" : text, max);

	for (const char *p = line; *p != '\0'; p++) {
		if (strchr("\\`*_{}[]<>()#|!~&$", *p) != NULL)
			fputc('\\', f);
		fputc(*p, f);
		if (is_hook(line, p))
			fputs(NOTHING_WIDE, f);
	}
	free(line);
}

/* The longest run of backticks: the span's own are one more. */
static size_t
longest_run(const char *s)
{
	size_t longest = 0;

	while (*s != '\0') {
		size_t n = strspn(s, "`");

		longest = n > longest ? n : longest;
		s += n == 0 ? strcspn(s, "`") : n;
	}
	return longest;
}

void
markdown_code(FILE *f, const char *text, size_t max)
{
	char *line = text_line(text == NULL ? "" : text, max);
	size_t ticks = longest_run(line) + 1;
	const char *pad = line[0] == '`' || line[0] == '\0' || line[strlen(line) - 1] == '`' ? " " : "";

	for (size_t i = 0; i < ticks; i++)
		fputc('`', f);
	fputs(pad, f);
	for (const char *p = line; *p != '\0'; p++) {
		if (*p == '|') /* in a table's cell even within code */
			fputc('\\', f);
		fputc(*p, f);
	}
	fputs(pad, f);
	for (size_t i = 0; i < ticks; i++)
		fputc('`', f);
	free(line);
}
