/* prompt: see prompt.h. */
#include "common/prompt.h"

#include "common/alloc.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
prompt_init(struct prompt *p)
{
	memset(p, 0, sizeof(*p));
	prompt_add(p, "%s", "");
}

void
prompt_add(struct prompt *p, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	if (p->size + (size_t)n + 1 > p->room) {
		p->room = (p->size + (size_t)n + 1) * 2;
		p->text = xrealloc(p->text, p->room);
	}
	va_start(ap, fmt);
	vsnprintf(p->text + p->size, p->room - p->size, fmt, ap);
	va_end(ap);
	p->size += (size_t)n;
}

void
prompt_block(struct prompt *p, const char *name, const char *text)
{
	char *tag;

	if (text == NULL || *text == '\0')
		return;
	tag = xstrdup(name);
	for (unsigned k = 2;; k++) {
		char *begin = xasprintf("----- begin %s -----", tag),
		     *end = xasprintf("----- end %s -----", tag);
		bool free_of_both = strstr(text, begin) == NULL && strstr(text, end) == NULL;

		if (free_of_both)
			prompt_add(
			    p, "%s\n%s%s%s\n", begin, text, text[strlen(text) - 1] == '\n' ? "" : "\n", end);
		free(begin);
		free(end);
		free(tag);
		if (free_of_both)
			return;
		tag = xasprintf("%s %u", name, k);
	}
}

void
prompt_list(struct prompt *p, const char *const *v)
{
	for (; v != NULL && *v != NULL; v++)
		prompt_add(p, "- %s\n", *v);
}

char *
prompt_take(struct prompt *p)
{
	char *text = p->text;

	memset(p, 0, sizeof(*p));
	return text;
}
