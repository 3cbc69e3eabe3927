/* judge: see judge.h. */
#include "worker/judge.h"

#include "common/alloc.h"
#include "common/json.h"
#include "common/owns.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>

#define PATHS_SHOWN 100
#define PATHS_IN_REASON 3
#define TITLE_MAX 160
#define SUMMARY_MAX 500

/* "a, b and 3 more" (brief), or a list with a line per path. */
static char *
list_paths(char *const *paths, size_t shown, const char *before, const char *between)
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

static void
unchanged(const struct judge_facts *f, struct judgement *j)
{
	bool denied = f->denied != NULL;

	j->reason = xasprintf("the agent changed nothing%s%s", denied ? ", and was not allowed to use " : "",
	    denied ? f->denied : "");
	j->evidence =
	    xasprintf("Nothing in the worktree differs from commit %.12s, where the task begins. What is "
		      "ignored by git does not count, and neither does what was done outside the "
		      "worktree.%s%s%s Do the task now; when it is impossible, say why as your last "
		      "words.",
		f->base, denied ? " You were not allowed to use: " : "", denied ? f->denied : "",
		denied ? ". Use other tools." : "");
}

static void
marked(const struct judge_facts *f, struct judgement *j)
{
	char *brief = list_paths(f->marked, PATHS_IN_REASON, "", ", ");
	char *list = list_paths(f->marked, PATHS_SHOWN, "  ", "\n");

	j->reason = xasprintf("conflict markers were left in %s", brief);
	j->evidence =
	    xasprintf("Your branch was merged with the work of others, and these files still have conflict "
		      "markers (lines that begin with <<<<<<<):\n\n%s\n\nResolve each conflict so that both "
		      "sides' intentions are kept, and remove the markers.",
		list);
	free(brief);
	free(list);
}

static void
breached(const struct judge_facts *f, char *const *paths, struct judgement *j)
{
	char *brief = list_paths(paths, PATHS_IN_REASON, "", ", ");
	char *list = list_paths(paths, PATHS_SHOWN, "  ", "\n");
	char *owns = list_paths((char *const *)f->owns, PATHS_SHOWN, "  ", "\n");

	j->reason = xasprintf("changed what the task does not own: %s", brief);
	j->evidence =
	    xasprintf("These paths were changed, added or removed, but do not belong to this task:\n\n%s\n\n"
		      "The task owns only:\n\n%s\n\nPut them back as they were in commit %.12s (git "
		      "checkout %.12s -- PATH; remove what was not there), and do the task within what it "
		      "owns.",
		list, owns, f->base, f->base);
	free(brief);
	free(list);
	free(owns);
}

static void
touched_guarded(const struct judge_facts *f, char *const *paths, struct judgement *j)
{
	char *brief = list_paths(paths, PATHS_IN_REASON, "", ", ");
	char *list = list_paths(paths, PATHS_SHOWN, "  ", "\n");

	j->reason = xasprintf("changed what is protected: %s", brief);
	j->evidence =
	    xasprintf("These paths were changed, added or removed, but they are protected: only a task that "
		      "owns the very file by its name, not by a wildcard, may touch them:\n\n%s\n\nPut them "
		      "back as they were in commit %.12s (git checkout %.12s -- PATH; remove what was not "
		      "there).",
		list, f->base, f->base);
	free(brief);
	free(list);
}

/* Changed paths that are protected and that no pattern names; a fresh vector of borrowed paths, or NULL. */
static char **
find_guarded(const struct judge_facts *f)
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
judge(const struct judge_facts *f, struct judgement *j)
{
	char **breaches;

	memset(j, 0, sizeof(*j));
	if (f->changed[0] == NULL) {
		unchanged(f, j);
		return false;
	}
	if (f->marked != NULL && f->marked[0] != NULL) {
		marked(f, j);
		return false;
	}
	breaches = owns_breaches(f->owns, f->changed);
	if (breaches != NULL) {
		breached(f, breaches, j);
	} else {
		breaches = find_guarded(f);
		if (breaches == NULL)
			return true;
		touched_guarded(f, breaches, j);
	}
	free(breaches);
	return false;
}

void
judgement_clear(struct judgement *j)
{
	free(j->reason);
	free(j->evidence);
	memset(j, 0, sizeof(*j));
}

bool
judge_has_marker(const char *text, size_t size)
{
	static const char marker[] = "<<<<<<< ";
	const size_t n = sizeof(marker) - 1;

	for (size_t at = 0; at + n <= size;) {
		const char *end;

		if (memcmp(text + at, marker, n) == 0)
			return true;
		end = memchr(text + at, '\n', size - at);
		if (end == NULL)
			return false;
		at = (size_t)(end - text) + 1;
	}
	return false;
}

char *
judge_commit_message(const char *title, const char *task, const char *session)
{
	char *line = text_line(title, TITLE_MAX);
	char *message = xasprintf("%s\n\nOrch-Task: %s\n%s%s%s", *line == '\0' ? task : line, task,
	    *session == '\0' ? "" : "Orch-Session: ", session, *session == '\0' ? "" : "\n");

	free(line);
	return message;
}

char *
judge_summary(const char *text)
{
	while (text != NULL && *text != '\0') {
		size_t n = strcspn(text, "\n");
		char *raw = xstrndup(text, n), *line = text_line(raw, SUMMARY_MAX);

		free(raw);
		if (line[strspn(line, " ")] != '\0')
			return line;
		free(line);
		text += n + (text[n] == '\n');
	}
	return NULL;
}
