/*
 * trespass: is what was changed within what its owner may change? Asked by the worker of its own commit, and
 * by the lead of whatever is handed to it; a check that the changed one makes of itself is not enough. Pure.
 */
#ifndef ORCH_COMMON_TRESPASS_H
#define ORCH_COMMON_TRESPASS_H

#include <stdbool.h>
#include <stddef.h>

struct trespass_facts {
	const char *base;     /* the commit that changes are counted from */
	char *const *changed; /* paths: added, changed in content or mode, removed; both ends of a rename */
	char *const *outside; /* of these, symbolic links that lead out of the repository; NULL: none */
	const char *const *owns;    /* patterns */
	const char *const *guarded; /* patterns of what only an owner by name may change; NULL: nothing */
};

/* True when all is well; else *reason (a sentence for status) and *evidence (for who is to put it right), the
 * caller's to free. */
bool trespass_check(const struct trespass_facts *f, char **reason, char **evidence);

/* "a, b, and 3 more" of paths. Caller frees. */
char *trespass_list(char *const *paths, size_t shown, const char *before, const char *between);

#endif
