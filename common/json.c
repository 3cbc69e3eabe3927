/* json: see json.h. Depth is checked on the text, before jansson recurses into it and while there is a place
 * to name. */
#include "common/json.h"

#include "common/alloc.h"
#include "common/text.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64

/* Finds the first bracket that opens a level too many. Only brackets outside strings count. */
static int
check_depth(const char *name, const char *text, size_t size, struct err *e)
{
	size_t line = 1, start = 0, depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < size; i++) {
		char c = text[i];

		if (c == '\n') {
			line++;
			start = i + 1;
		} else if (in_string && c == '\\') {
			i++;
		} else if (c == '"') {
			in_string = !in_string;
		} else if (!in_string && (c == '{' || c == '[') && ++depth > DEPTH_MAX) {
			return err_set(e, -EINVAL, "%s: line %zu, column %zu: nested deeper than %d levels",
			    name, line, i - start + 1, DEPTH_MAX);
		} else if (!in_string && (c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	return 0;
}

json_t *
json_parse(const char *name, const char *text, size_t size, struct err *e)
{
	json_error_t fault;
	json_t *j;
	char *why;

	if (check_depth(name, text, size, e) < 0)
		return NULL;
	j = json_loadb(text, size, JSON_REJECT_DUPLICATES, &fault);
	if (j != NULL)
		return j;
	why = text_line(fault.text, 200); /* it quotes the input */
	if (fault.line > 0)
		err_set(e, -EINVAL, "%s: line %d, column %d: %s", name, fault.line, fault.column, why);
	else
		err_set(e, -EINVAL, "%s: %s", name, why);
	free(why);
	return NULL;
}

char *
json_text(const json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);

	assert(text != NULL);
	return text;
}

const char *
json_str(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

char *
json_from_strv(const char *const *v)
{
	json_t *array = json_array();
	char *text;

	for (; v != NULL && *v != NULL; v++) {
		char *clean = text_is_utf8(*v, strlen(*v)) ? NULL : text_utf8(*v, strlen(*v), SIZE_MAX);

		json_array_append_new(array, json_string(clean == NULL ? *v : clean));
		free(clean);
	}
	text = json_text(array);
	json_decref(array);
	return text;
}

int
json_to_strv(const char *text, char ***v_out, struct err *e)
{
	json_t *array = NULL, *item;
	char **v;
	size_t i;

	if (text != NULL) {
		array = json_parse("list", text, strlen(text), e);
		if (array == NULL)
			return -EINVAL;
	}
	v = xcalloc(json_array_size(array) + 1, sizeof(*v));
	if (array != NULL && !json_is_array(array))
		goto fail;
	json_array_foreach (array, i, item) {
		if (!json_is_string(item))
			goto fail;
		v[i] = xstrdup(json_string_value(item));
	}
	json_decref(array);
	*v_out = v;
	return 0;
fail:
	strv_free(v);
	json_decref(array);
	return err_set(e, -EINVAL, "list: must be an array of strings");
}

void
strv_free(char **v)
{
	if (v == NULL)
		return;
	for (char **p = v; *p != NULL; p++)
		free(*p);
	free(v);
}

size_t
strv_len(const char *const *v)
{
	size_t n = 0;

	while (v != NULL && v[n] != NULL)
		n++;
	return n;
}

char **
strv_dup(const char *const *v)
{
	size_t n = strv_len(v);
	char **copy = xcalloc(n + 1, sizeof(*copy));

	for (size_t i = 0; i < n; i++)
		copy[i] = xstrdup(v[i]);
	return copy;
}
