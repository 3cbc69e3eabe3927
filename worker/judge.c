/* judge: see judge.h. */
#include "worker/judge.h"

#include "common/alloc.h"
#include "common/json.h"
#include "common/text.h"
#include "common/trespass.h"

#include <stdlib.h>
#include <string.h>

#define PATHS_SHOWN 100
#define PATHS_IN_REASON 3
#define TITLE_MAX 160
#define SUMMARY_MAX 500

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
	char *brief = trespass_list(f->marked, PATHS_IN_REASON, "", ", ");
	char *list = trespass_list(f->marked, PATHS_SHOWN, "  ", "\n");

	j->reason = xasprintf("conflict markers were left in %s", brief);
	j->evidence =
	    xasprintf("Your branch was merged with the work of others, and these files still have conflict "
		      "markers (lines that begin with <<<<<<<):\n\n%s\n\nResolve each conflict so that both "
		      "sides' intentions are kept, and remove the markers.",
		list);
	free(brief);
	free(list);
}

bool
judge(const struct judge_facts *f, struct judgement *j)
{
	const struct trespass_facts t = {
	    .base = f->base,
	    .changed = f->changed,
	    .outside = f->outside,
	    .owns = f->owns,
	    .guarded = f->guarded,
	};

	memset(j, 0, sizeof(*j));
	if (f->changed[0] == NULL) {
		unchanged(f, j);
		return false;
	}
	if (f->marked != NULL && f->marked[0] != NULL) {
		marked(f, j);
		return false;
	}
	return trespass_check(&t, &j->reason, &j->evidence);
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
