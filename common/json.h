/* json: jansson with our limits: strict parsing with line and column, bounded size and depth. Pure. */
#ifndef ORCH_COMMON_JSON_H
#define ORCH_COMMON_JSON_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>

/*
 * Parses text of size bytes. NULL with "NAME: line 3, column 7: sentence" in e; name says where the text came
 * from. Refuses duplicate keys, NUL in strings, and nesting over 64.
 */
json_t *json_parse(const char *name, const char *text, size_t size, struct err *e);

/* Compact text of j; caller frees. */
char *json_text(const json_t *j);

/* The string at key, or NULL when absent or of another kind. Borrowed. */
const char *json_str(const json_t *object, const char *key);
/* A JSON array of strings from a NULL-terminated vector, and back (fresh vector of fresh strings; NULL text
 * gives an empty one). */
char *json_from_strv(const char *const *v);
int json_to_strv(const char *text, char ***v, struct err *e);
void strv_free(char **v);
size_t strv_len(const char *const *v);
char **strv_dup(const char *const *v);

#endif
