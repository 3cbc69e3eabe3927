/*
 * keylike: texts that look like a key that somebody pays for, by the form that its maker gives it: what
 * nobody told us of can be found too. A placeholder ("sk-ant-XXXX...", a short one) is none. Pure.
 */
#ifndef ORCH_COMMON_KEYLIKE_H
#define ORCH_COMMON_KEYLIKE_H

#include <stddef.h>

/* The first one in the text from *from on: its beginning, with *size bytes; *from is moved behind it. NULL
 * when there is none. */
const char *keylike_next(const char *text, size_t text_size, size_t *from, size_t *size);

#endif
