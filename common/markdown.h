/*
 * markdown: text from elsewhere within Markdown of ours, for GitHub: it can end no cell, start no markup or
 * HTML, mention nobody, refer to no issue and link nowhere. Pure.
 */
#ifndef ORCH_COMMON_MARKDOWN_H
#define ORCH_COMMON_MARKDOWN_H

#include <stddef.h>
#include <stdio.h>

/*
 * text as one line of at most max bytes (before escaping). A backslash escapes markup (CommonMark 2.4), but
 * mentions, references and links are found after that, in what is shown: there a zero-width space follows the
 * @, # or : of one. NULL text: nothing.
 */
void markdown_text(FILE *f, const char *text, size_t max);

/* The same as a code span, for names of branches, files and commands: nothing in it is markup, whatever it
 * holds. */
void markdown_code(FILE *f, const char *text, size_t max);

#endif
