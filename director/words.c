/* words: git's complaints made into one sentence. Pure. */
#include "director/check.h"

#include "common/alloc.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 900

char *
check_git_words(const char *text)
{
	static const char *const prefixes[] = {"fatal: ", "error: ", "hint: ", NULL};
	char *all = xstrdup(""), *line;

	while (*text != '\0') {
		size_t n = strcspn(text, "\n");
		const char *from = text + strspn(text, " \t");

		for (size_t i = 0; prefixes[i] != NULL; i++)
			if (strncmp(from, prefixes[i], strlen(prefixes[i])) == 0)
				from += strlen(prefixes[i]);
		if (from < text + n) {
			char *longer =
			    xasprintf("%s%s%.*s", all, *all == '\0' ? "" : " ", (int)(text + n - from), from);

			free(all);
			all = longer;
		}
		text += n + (text[n] == '\n');
	}
	line = text_line(all, WORDS_MAX);
	free(all);
	return line;
}
