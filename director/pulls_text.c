/* pulls_text: see pulls_text.h. */
#include "director/pulls_text.h"

#include "common/alloc.h"
#include "common/log.h"
#include "common/markdown.h"
#include "common/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TITLE_MAX 200
#define REASON_MAX 1000

char *
pulls_title(const struct pulls_part *part)
{
	char *title = text_line(part->title == NULL ? "" : part->title, TITLE_MAX);
	char *line = xasprintf("%s: %s", part->task, title);

	free(title);
	return line;
}

static FILE *
open_text(char **text, size_t *size)
{
	FILE *f = open_memstream(text, size);

	if (f == NULL)
		fatal("open_memstream: %s", strerror(errno));
	return f;
}

char *
pulls_text(const struct pulls_part *part, const struct view_run *run, uint64_t issue)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_text(&text, &size);

	fprintf(f, "Part of #%" PRIu64 ": ", issue);
	markdown_text(f, part->title, TITLE_MAX);
	fprintf(f, " (%s `%s`).\n\n", part->worker != 0 ? "task" : "area", part->task);
	fprintf(f,
	    "orch merges it into the branch of its %s when the gate has passed on the result, and pushes "
	    "that: then it is "
	    "shown as merged here. What is to be reviewed and merged by people is the pull request of the "
	    "whole "
	    "run.\n\n",
	    part->worker != 0 ? "area" : "run");
	fprintf(f, "<sub>Run %s of orch.</sub>\n", run->id);
	fclose(f);
	return text;
}

char *
pulls_why_dropped(const struct pulls_part *part)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_text(&text, &size);

	fprintf(f, "Closed: `%s` did not become a part of the run", part->task);
	if (part->reason != NULL) {
		fputs(": ", f);
		markdown_text(f, part->reason, REASON_MAX);
	}
	fputs("\n", f);
	fclose(f);
	return text;
}

char *
pulls_why_remade(const struct pulls_part *part, const struct pulls_part *parent, const char *oid)
{
	if (oid[0] == '\0')
		return xasprintf("Closed: the work of `%s` is in `%s`, by other commits than these.\n",
		    part->task, parent->branch);
	return xasprintf(
	    "Closed: the work of `%s` became %s on `%s`; its own commits are not there, so that GitHub "
	    "cannot see it as merged.\n",
	    part->task, oid, parent->branch);
}
