/* issue_text: see issue_text.h. */
#include "director/issue_text.h"

#include "common/alloc.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define OUR_MARK "<!-- orch:"

bool
issue_text_says_something(const char *body)
{
	while (*body != '\0') {
		const char *end;

		body += strspn(body, " \t\r\n\v\f");
		if (strncmp(body, "<!--", 4) != 0)
			return *body != '\0';
		end = strstr(body, "-->");
		if (end == NULL)
			return false;
		body = end + 3;
	}
	return false;
}

static void
drop_oldest(struct issue_text *t)
{
	t->size -= strlen(t->comments[0]);
	free(t->comments[0]);
	memmove(t->comments, t->comments + 1, --t->count * sizeof(*t->comments));
	t->left_out++;
}

void
issue_text_add(struct issue_text *t, const struct github_comment *c)
{
	char *body, *who, *when;

	if (c->author.bot || strstr(c->body, OUR_MARK) != NULL || !issue_text_says_something(c->body))
		return;
	if (t->known_only && !github_is_insider(c->association) &&
	    strcasecmp(c->author.login, t->author) != 0) {
		t->left_out++;
		return;
	}
	body = text_utf8(c->body, strlen(c->body), ISSUE_COMMENT_MAX);
	who = text_line(c->author.login[0] != '\0' ? c->author.login : "somebody", 100);
	when = text_line(c->created_at, 30);
	if (t->count == t->room) {
		t->room = t->room * 2 + 16;
		t->comments = xrealloc(t->comments, t->room * sizeof(*t->comments));
	}
	t->comments[t->count] = xasprintf("### %s, %s\n\n%s\n", who, when, body);
	t->size += strlen(t->comments[t->count++]);
	free(body);
	free(who);
	free(when);
	while (t->size > ISSUE_COMMENTS_MAX && t->count > 1)
		drop_oldest(t);
}

char *
issue_text_make(const struct issue_text *t, const char *body)
{
	char *first = text_utf8(body, strlen(body), ISSUE_TEXT_MAX - ISSUE_COMMENTS_MAX), *all, *p;

	if (t->count == 0)
		return first;
	all = xmalloc(strlen(first) + t->size + t->count + 128);
	p = stpcpy(all, first);
	free(first);
	p = stpcpy(p, "\n\n## Comments on the issue");
	if (t->left_out > 0)
		p = stpcpy(p, " (some are left out)");
	for (size_t i = 0; i < t->count; i++) {
		p = stpcpy(p, i == 0 ? "\n\n" : "\n");
		p = stpcpy(p, t->comments[i]);
	}
	return all;
}

void
issue_text_clear(struct issue_text *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->comments[i]);
	free(t->comments);
	memset(t, 0, sizeof(*t));
}
