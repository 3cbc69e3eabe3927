/* saved: see saved.h. The first line is the header, the others are rows. */
#include "director/saved.h"

#include "common/alloc.h"
#include "common/json.h"
#include "common/taskid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1

char *
saved_ref(const char *issue)
{
	return xasprintf("refs/orch/state/%s", issue);
}

char *
saved_text(const char *run, bool ended, const json_t *refs, const char *rows)
{
	json_t *j = json_pack(
	    "{s:i, s:s, s:b, s:O}", "orch_state", VERSION, "run", run, "ended", ended, "refs", refs);
	char *head = json_text(j), *text = xasprintf("%s\n%s", head, rows);

	json_decref(j);
	free(head);
	return text;
}

static bool
is_commit(const char *s)
{
	size_t n = s == NULL ? 0 : strspn(s, "0123456789abcdef");

	return (n == 40 || n == 64) && s[n] == '\0';
}

/* A branch of the run's, or work saved of one of its tasks: what a ref of another name would replace is not
 * ours. */
static bool
is_ours(const char *name, const char *prefix, const char *run, const char *issue)
{
	char *branch = xasprintf("refs/heads/%s%s-", prefix, issue),
	     *work = xasprintf("refs/orch/wip/%s-em", run);
	bool ours = strncmp(name, branch, strlen(branch)) == 0 || strncmp(name, work, strlen(work)) == 0;

	for (const unsigned char *p = (const unsigned char *)name; *p != '\0'; p++)
		ours &= *p > ' ' && strchr("~^:?*[\\\177", *p) == NULL;
	free(branch);
	free(work);
	return ours && strstr(name, "..") == NULL && strstr(name, "//") == NULL && strstr(name, "@{") == NULL;
}

static int
check_refs(const json_t *refs, const char *prefix, const char *run, const char *issue, struct err *e)
{
	const char *name;
	json_t *oid;

	if (!json_is_object(refs) || json_object_size(refs) > SAVED_REFS_MAX)
		return err_set(e, -EINVAL, "it has no refs, or more than %d", SAVED_REFS_MAX);
	json_object_foreach ((json_t *)refs, name, oid)
		if (!is_ours(name, prefix, run, issue) || !is_commit(json_string_value(oid)))
			return err_set(
			    e, -EINVAL, "it speaks of a ref that is not of this run, or of no commit");
	return 0;
}

int
saved_parse(
    struct saved *s, const char *prefix, const char *issue, const char *text, size_t size, struct err *e)
{
	const char *end = size > SAVED_MAX ? NULL : memchr(text, '\n', size), *run;
	size_t n = strlen(issue);
	json_t *head;
	int rc = 0;

	memset(s, 0, sizeof(*s));
	if (end == NULL || strlen(text) != size)
		return err_set(e, -EINVAL, "it is empty, over %u MiB, or no text", SAVED_MAX >> 20);
	head = json_parse("its first line", text, (size_t)(end - text), e);
	if (head == NULL)
		return -EINVAL;
	run = json_str(head, "run");
	if (json_integer_value(json_object_get(head, "orch_state")) != VERSION)
		rc = err_set(e, -EINVAL, "it is not of version %d, the one that this orch knows", VERSION);
	else if (run == NULL || taskid_level(run) != 0 || strncmp(run, issue, n) != 0 ||
		 (run[n] != '\0' && run[n] != '-') || strlen(run) >= sizeof(s->run))
		rc = err_set(e, -EINVAL, "it is not of a run of issue %s", issue);
	if (rc == 0)
		rc = check_refs(json_object_get(head, "refs"), prefix, run, issue, e);
	if (rc == 0) {
		strcpy(s->run, run);
		s->refs = json_incref(json_object_get(head, "refs"));
		s->rows = end + 1;
		s->ended = json_is_true(json_object_get(head, "ended"));
	}
	json_decref(head);
	return rc;
}

void
saved_clear(struct saved *s)
{
	json_decref(s->refs);
	memset(s, 0, sizeof(*s));
}

static int
add_commits(const json_t *row, char **list, size_t *size, struct err *e)
{
	static const char *const keys[] = {"base", "head", "merge_from"};
	const json_t *of =
	    json_object_get(row, "run") != NULL ? json_object_get(row, "run") : json_object_get(row, "task");

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *oid = json_str(of, keys[i]);

		if (oid == NULL)
			continue;
		if (!is_commit(oid))
			return err_set(e, -EINVAL, "its \"%s\" is no commit", keys[i]);
		*list = xrealloc(*list, *size + GIT_OID_HEX + 1);
		*size += (size_t)sprintf(*list + *size, "%s\n", oid);
	}
	return 0;
}

int
saved_commits(const struct saved *s, char **list, struct err *e)
{
	size_t size = 0;
	int rc = 0;

	*list = xcalloc(1, 1);
	for (const char *line = s->rows; rc == 0 && *line != '\0';) {
		size_t n = strcspn(line, "\n");
		json_t *row = json_parse("a line of it", line, n, e);

		rc = row == NULL ? -EINVAL : add_commits(row, list, &size, e);
		json_decref(row);
		line += n + (line[n] == '\n');
	}
	if (rc < 0) {
		free(*list);
		*list = NULL;
	}
	return rc;
}
