/*
 * git_sign: what our commits carry: whose task they are of (Orch-Task, Orch-Session), and who made them,
 * which is always the user. An agent's own commits are made again with it.
 */
#include "common/git_impl.h"

#include "common/alloc.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TASK_TRAILER "Orch-Task: "
#define COMMITS_MAX 1000 /* of an agent's; with more, its history stays as it is */

/* "Some-Key: value" lines alone? */
static bool
is_trailers(const char *paragraph)
{
	for (size_t n; *paragraph != '\0'; paragraph += n + (paragraph[n] == '\n')) {
		size_t key = 0;

		n = strcspn(paragraph, "\n");
		if (n == 0) /* at its end */
			continue;
		while (isalnum((unsigned char)paragraph[key]) || paragraph[key] == '-')
			key++;
		if (key == 0 || strncmp(paragraph + key, ": ", 2) != 0)
			return false;
	}
	return true;
}

/* After the last empty line; the whole text when there is none. */
static const char *
last_paragraph(const char *text)
{
	const char *last = text;

	for (const char *p = text; (p = strstr(p, "\n\n")) != NULL; p++)
		if (p[2] != '\0' && p[2] != '\n')
			last = p + 2;
	return last;
}

static bool
has_line(const char *text, const char *line, size_t size)
{
	for (const char *p = text; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n')
		if (strncmp(p, line, size) == 0 && (p[size] == '\n' || p[size] == '\0'))
			return true;
	return false;
}

char *
git_with_trailers(const char *message, const char *trailers)
{
	size_t n = strlen(message);
	const char *last;
	char *text, *longer;
	bool joins;

	while (n > 0 && isspace((unsigned char)message[n - 1]))
		n--;
	text = xasprintf("%.*s\n", (int)n, message);
	last = last_paragraph(text);
	joins = last != text && is_trailers(last);
	for (size_t len; *trailers != '\0'; trailers += len + (trailers[len] == '\n')) {
		len = strcspn(trailers, "\n");
		if (len == 0 || (joins && has_line(last_paragraph(text), trailers, len)))
			continue;
		longer = xasprintf("%s%s%.*s\n", text, joins ? "" : "\n", (int)len, trailers);
		free(text);
		text = longer;
		joins = true;
	}
	return text;
}

const char *
git_our_trailers(const char *message)
{
	const char *last = last_paragraph(message);

	if (last == message || !is_trailers(last))
		return NULL;
	return strncmp(last, TASK_TRAILER, strlen(TASK_TRAILER)) == 0 ||
		       strstr(last, "\n" TASK_TRAILER) != NULL
		   ? last
		   : NULL;
}

/* Which commit became which. */
struct made {
	char from[GIT_OID_HEX], to[GIT_OID_HEX];
};

struct signing {
	struct git *repo;
	const char *trailers;
	struct made *list;
	size_t count;
};

static const char *
made_of(const struct signing *s, const char *oid)
{
	for (size_t i = s->count; i > 0; i--)
		if (strcmp(s->list[i - 1].from, oid) == 0)
			return s->list[i - 1].to;
	return oid;
}

/* record: "<commit> <tree> <parent>...", a line, and its message after it. */
static int
sign_one(struct signing *s, char *record, struct err *e)
{
	const char *parents[9] = {NULL};
	char *message = strchr(record, '\n'), *save, *oid, *tree, *word, *text;
	struct made *m;
	bool same = true;
	size_t n = 0;
	int rc = 0;

	if (message == NULL)
		return err_set(e, -EPROTO, "git log said something else than commits");
	*message++ = '\0';
	oid = strtok_r(record, " ", &save);
	tree = strtok_r(NULL, " ", &save);
	if (oid == NULL || tree == NULL || strlen(oid) >= GIT_OID_HEX)
		return err_set(e, -EPROTO, "git log said something else than commits");
	/* Before anything points into it. */
	s->list = xrealloc(s->list, (s->count + 1) * sizeof(*s->list));
	m = &s->list[s->count];
	while ((word = strtok_r(NULL, " ", &save)) != NULL && n < 8) {
		parents[n] = made_of(s, word);
		same &= strcmp(parents[n], word) == 0;
		n++;
	}
	strcpy(m->from, oid);
	strcpy(m->to, oid);
	if (!same || git_our_trailers(message) == NULL) {
		text = git_our_trailers(message) != NULL ? xstrdup(message)
							 : git_with_trailers(message, s->trailers);
		rc = git_make_commit(s->repo, tree, parents, text, m->to, e);
		free(text);
	}
	s->count++;
	return rc;
}

int
git_sign_commits(struct git *repo, const char *base, const char *head, const char *trailers,
    char made[GIT_OID_HEX], struct err *e)
{
	struct signing s = {.repo = repo, .trailers = trailers};
	char *not_base = xasprintf("^%s", base);
	struct git_out out = {0};
	size_t count = 0;
	int rc = git_run(repo, 0, &out, e, "log", "-z", "--reverse", "--topo-order", "--no-show-signature",
	    "--format=%H %T %P%n%B", head, not_base, NULL);

	free(not_base);
	strcpy(made, head);
	for (size_t i = 0; rc == 0 && i < out.size; i++)
		count += out.out[i] == '\0';
	for (char *p = out.out; rc == 0 && count < COMMITS_MAX && p < out.out + out.size;) {
		char *next = p + strlen(p) + 1;

		if (*p != '\0')
			rc = sign_one(&s, p, e);
		p = next;
	}
	if (rc == 0)
		strcpy(made, made_of(&s, head));
	free(s.list);
	git_out_clear(&out);
	return rc;
}
