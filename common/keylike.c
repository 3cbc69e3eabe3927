/* keylike: a row for each maker's form (see keylike.h). */
#include "common/keylike.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define DISTINCT_MIN 12 /* characters: random text of this length has more, a placeholder fewer */

static const struct {
	const char *prefix;
	size_t least; /* bytes behind it */
} forms[] = {{"sk-ant-", 40}, {"github_pat_", 50}, {"ghp_", 36}, {"gho_", 36}, {"ghs_", 36}, {"ghu_", 36}};

static bool
is_of_key(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
	       c == '_';
}

static bool
is_varied(const char *s, size_t size)
{
	bool seen[256] = {false};
	unsigned distinct = 0;

	for (size_t i = 0; i < size; i++) {
		distinct += !seen[(unsigned char)s[i]];
		seen[(unsigned char)s[i]] = true;
	}
	return distinct >= DISTINCT_MIN;
}

/* How long the key is that begins here; 0: none does. */
static size_t
key_at(const char *p, size_t left)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		size_t n = strlen(forms[i].prefix), size = n;

		if (left < n + forms[i].least || memcmp(p, forms[i].prefix, n) != 0)
			continue;
		while (size < left && is_of_key(p[size]))
			size++;
		return size >= n + forms[i].least && is_varied(p + n, size - n) ? size : 0;
	}
	return 0;
}

const char *
keylike_next(const char *text, size_t text_size, size_t *from, size_t *size)
{
	for (size_t i = *from; i < text_size; i++) {
		if ((text[i] != 's' && text[i] != 'g') || (i > 0 && is_of_key(text[i - 1])))
			continue;
		*size = key_at(text + i, text_size - i);
		if (*size == 0)
			continue;
		*from = i + *size;
		return text + i;
	}
	*from = text_size;
	return NULL;
}
