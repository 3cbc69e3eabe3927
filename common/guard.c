/* guard: see guard.h. A command is read as words, not as a shell would: a word too many is asked for in vain.
 */
#include "common/guard.h"

#include "common/alloc.h"
#include "common/owns.h"

#include <stdlib.h>
#include <string.h>

/* What parts one word of a shell's line from the next; quotes too, for what is within them may be a line. */
#define BETWEEN " \t\r\n;|&()<>\"'`${}=,!"

/* Where a tool that is named alone finds what it is to do. */
static const struct {
	const char *tool, *files[4];
} tools[] = {
    {"make", {"GNUmakefile", "makefile", "Makefile"}},
    {"gmake", {"GNUmakefile", "makefile", "Makefile"}},
    {"npm", {"package.json"}},
    {"yarn", {"package.json"}},
    {"pnpm", {"package.json"}},
    {"just", {"justfile", "Justfile", ".justfile"}},
    {"rake", {"Rakefile", "rakefile"}},
    {"tox", {"tox.ini"}},
};

struct words {
	char **list;
	size_t count;
};

static void
add(struct words *w, const char *word, size_t n)
{
	char *path = xstrndup(word, n);

	for (size_t i = 0; i < w->count; i++)
		if (strcmp(w->list[i], path) == 0)
			n = 0;
	/* A wildcard would guard more than the command names. */
	if (n == 0 || w->count == GUARD_MAX || path[0] == '-' || strpbrk(path, "*?[\\") != NULL ||
	    path[n - 1] == '/' || owns_check(path, NULL) < 0) {
		free(path);
		return;
	}
	w->list[w->count++] = path;
	w->list[w->count] = NULL;
}

static void
add_word(struct words *w, const char *word, size_t n)
{
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
		if (strlen(tools[i].tool) == n && strncmp(tools[i].tool, word, n) == 0)
			for (const char *const *f = tools[i].files; *f != NULL; f++)
				add(w, *f, strlen(*f));
	while (n > 2 && word[0] == '.' && word[1] == '/') {
		word += 2;
		n -= 2;
	}
	add(w, word, n);
}

static void
add_line(struct words *w, const char *line)
{
	for (line += strspn(line, BETWEEN); *line != '\0'; line += strspn(line, BETWEEN)) {
		size_t n = strcspn(line, BETWEEN);

		add_word(w, line, n);
		line += n;
	}
}

char **
guard_candidates(const json_t *verify)
{
	struct words w = {.list = xcalloc(GUARD_MAX + 1, sizeof(*w.list))};

	if (json_is_string(verify))
		add_line(&w, json_string_value(verify));
	for (size_t i = 0; i < json_array_size(verify); i++) {
		const char *word = json_string_value(json_array_get(verify, i));

		if (word != NULL)
			add_line(&w, word);
	}
	return w.list;
}
