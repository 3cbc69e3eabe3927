/* prompt: writes prompts for agents. Text of others goes in between fences that it cannot contain. Pure. */
#ifndef ORCH_COMMON_PROMPT_H
#define ORCH_COMMON_PROMPT_H

#include <stddef.h>

struct prompt {
	char *text; /* NUL-terminated */
	size_t size, room;
};

void prompt_init(struct prompt *p);
void prompt_add(struct prompt *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * text as a block of data: a line "----- begin NAME -----", the text, a line "----- end NAME -----", with a
 * number behind the name where the text holds such a line. Nothing at all when text is NULL or empty.
 */
void prompt_block(struct prompt *p, const char *name, const char *text);

/* One "- item" line for each; v may be NULL. */
void prompt_list(struct prompt *p, const char *const *v);

/* The finished text; the caller frees it. p is used up. */
char *prompt_take(struct prompt *p);

#endif
