/* trespass: see trespass.h. */
#include "common/trespass.h"

#include "common/alloc.h"
#include "common/json.h"
#include "common/owns.h"

#include <stdlib.h>
#include <string.h>

#define PATHS_SHOWN 100
#define PATHS_IN_REASON 3

char *
trespass_list(char *const *paths, size_t shown, const char *before, const char *between)
{
	size_t count = strv_len((const char *const *)paths);
	char *text = xstrdup("");

	for (size_t i = 0; i < count && i < shown; i++) {
		char *longer = xasprintf("%s%s%s%s", text, i == 0 ? "" : between, before, paths[i]);

		free(text);
		text = longer;
	}
	if (count > shown) {
		char *longer = xasprintf("%s%s%sand %zu more", text, between, before, count - shown);

		free(text);
		text = longer;
	}
	return text;
}

/* The words for status, and the paths as a list for who is to put them right. */
static void
say(const char *head, char *const *paths, char **reason, char **list)
{
	char *brief = trespass_list(paths, PATHS_IN_REASON, "", ", ");

	*reason = xasprintf("%s: %s", head, brief);
	*list = trespass_list(paths, PATHS_SHOWN, "  ", "\n");
	free(brief);
}

static void
say_breached(const struct trespass_facts *f, char *const *paths, char **reason, char **evidence)
{
	char *owns = trespass_list((char *const *)f->owns, PATHS_SHOWN, "  ", "\n"), *list;

	say("changed what the task does not own", paths, reason, &list);
	*evidence =
	    xasprintf("These paths were changed, added or removed, but do not belong to this task:\n\n%s\n\n"
		      "The task owns only:\n\n%s\n\nPut them back as they were in commit %.12s (git "
		      "checkout %.12s -- PATH; remove what was not there), and do the task within what it "
		      "owns.",
		list, owns, f->base, f->base);
	free(list);
	free(owns);
}

static void
say_guarded(const struct trespass_facts *f, char *const *paths, char **reason, char **evidence)
{
	char *list;

	say("changed what is protected", paths, reason, &list);
	*evidence =
	    xasprintf("These paths were changed, added or removed, but they are protected: only a task that "
		      "owns the very file by its name, not by a wildcard, may touch them:\n\n%s\n\nPut them "
		      "back as they were in commit %.12s (git checkout %.12s -- PATH; remove what was not "
		      "there).",
		list, f->base, f->base);
	free(list);
}

static void
say_outside(char *const *paths, char **reason, char **evidence)
{
	char *list;

	say("left symbolic links that lead out of the repository", paths, reason, &list);
	*evidence = xasprintf("These symbolic links lead to an absolute path, above the root of the "
			      "repository, or into .git:\n\n%s\n\nNothing outside the repository is part of "
			      "the work. Remove them, or make them lead to a file of the repository.",
	    list);
	free(list);
}

/* Changed paths that are protected and that no pattern names; a fresh vector of borrowed paths, or NULL. */
static char **
find_guarded(const struct trespass_facts *f)
{
	char **found = NULL;
	size_t n = 0;

	for (size_t i = 0; f->guarded != NULL && f->changed[i] != NULL; i++) {
		if (!owns_match_any(f->guarded, f->changed[i]) || owns_name(f->owns, f->changed[i]))
			continue;
		found = xrealloc(found, (n + 2) * sizeof(*found));
		found[n++] = f->changed[i];
		found[n] = NULL;
	}
	return found;
}

bool
trespass_check(const struct trespass_facts *f, char **reason, char **evidence)
{
	char **paths = owns_breaches(f->owns, f->changed);

	if (paths != NULL) {
		say_breached(f, paths, reason, evidence);
	} else if ((paths = find_guarded(f)) != NULL) {
		say_guarded(f, paths, reason, evidence);
	} else if (f->outside != NULL && f->outside[0] != NULL) {
		say_outside(f->outside, reason, evidence);
		return false;
	} else {
		return true;
	}
	free(paths);
	return false;
}
