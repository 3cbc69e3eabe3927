/* owns: see owns.h; what is asked about one pattern or path. The patterns' algebra is in owns_decide.c. */
#include "common/owns.h"

#include "common/alloc.h"
#include "common/owns_nfa.h"
#include "common/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int
check_part(const char *part, size_t n, struct err *e)
{
	if (n == 0)
		return err_set(e, -EINVAL, "an empty part (//)");
	if ((n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
		return err_set(
		    e, -EINVAL, "a \"%.*s\" part (write it from the repository's root)", (int)n, part);
	if (n == 4 && strncasecmp(part, ".git", 4) == 0)
		return err_set(e, -EINVAL, "it names git's own folder");
	return 0;
}

static int
check_pattern(const char *pattern, struct err *e)
{
	struct owns_nfa n;
	size_t len = strlen(pattern);
	int rc;

	if (len == 0)
		return err_set(e, -EINVAL, "it is empty");
	if (len > OWNS_PATTERN_BYTES)
		return err_set(e, -EINVAL, "it is longer than %d bytes", OWNS_PATTERN_BYTES);
	if (!text_is_utf8(pattern, len))
		return err_set(e, -EINVAL, "it is not UTF-8");
	if (strchr(":!/", pattern[0]) != NULL)
		return err_set(
		    e, -EINVAL, "it begins with \"%c\" (write it from the repository's root)", pattern[0]);
	for (const char *p = pattern; *p != '\0';) {
		size_t part = strcspn(p, "/");

		rc = check_part(p, part, e);
		if (rc < 0)
			return rc;
		p += part + (p[part] == '/');
	}
	rc = owns_nfa_compile(&n, pattern, e);
	if (rc == 0)
		owns_nfa_clear(&n);
	return rc;
}

int
owns_check(const char *pattern, struct err *e)
{
	int rc = check_pattern(pattern, e);
	char *shown;

	if (rc == 0)
		return 0;
	shown = text_line(pattern, 200);
	err_prefix(e, rc, "bad pattern \"%s\"", shown);
	free(shown);
	return rc;
}

bool
owns_match(const char *pattern, const char *path)
{
	struct owns_nfa n;
	bool matched;

	if (owns_nfa_compile(&n, pattern, NULL) < 0)
		return false;
	matched = owns_nfa_match(&n, path);
	owns_nfa_clear(&n);
	return matched;
}

bool
owns_match_any(const char *const *patterns, const char *path)
{
	for (; *patterns != NULL; patterns++)
		if (owns_match(*patterns, path))
			return true;
	return false;
}

/* No wildcard, and no trailing slash, which is one in disguise. */
static bool
is_literal(const char *pattern)
{
	size_t n = strlen(pattern);

	for (const char *p = pattern; *p != '\0'; p++) {
		if (strchr("*?[", *p) != NULL)
			return false;
		if (*p == '\\' && p[1] != '\0')
			p++;
	}
	return n > 0 && pattern[n - 1] != '/';
}

bool
owns_name(const char *const *patterns, const char *path)
{
	for (; *patterns != NULL; patterns++)
		if (strcmp(*patterns, path) == 0 || (is_literal(*patterns) && owns_match(*patterns, path)))
			return true;
	return false;
}

bool
owns_lists_overlap(const char *const *a, const char *const *b, size_t *ia, size_t *ib)
{
	for (size_t i = 0; a[i] != NULL; i++) {
		for (size_t j = 0; b[j] != NULL; j++) {
			if (!owns_overlap(a[i], b[j]))
				continue;
			if (ia != NULL)
				*ia = i;
			if (ib != NULL)
				*ib = j;
			return true;
		}
	}
	return false;
}

char **
owns_breaches(const char *const *patterns, char *const *paths)
{
	struct owns_nfa *nfas;
	char **breaches = NULL;
	size_t n = 0, npaths = 0, found = 0;

	while (patterns[n] != NULL)
		n++;
	while (paths[npaths] != NULL)
		npaths++;
	nfas = xcalloc(n + 1, sizeof(*nfas));
	for (size_t i = 0; i < n; i++)
		(void)owns_nfa_compile(
		    &nfas[i], patterns[i], NULL); /* one that fails has no states and matches nothing */
	for (size_t k = 0; k < npaths; k++) {
		bool owned = false;

		for (size_t i = 0; i < n && !owned; i++)
			owned = nfas[i].count > 0 && owns_nfa_match(&nfas[i], paths[k]);
		if (owned)
			continue;
		if (breaches == NULL)
			breaches = xcalloc(npaths + 1, sizeof(*breaches));
		breaches[found++] = paths[k];
	}
	for (size_t i = 0; i < n; i++)
		owns_nfa_clear(&nfas[i]);
	free(nfas);
	return breaches;
}
