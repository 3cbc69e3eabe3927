/* leak: see leak.h. git lists what is new, tells its sizes, and prints it in portions that fit in memory. */
#include "worker/leak.h"

#include "common/alloc.h"
#include "common/keylike.h"
#include "common/redact.h"
#include "common/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OBJECT_MAX (16u << 20)
#define PORTION_MAX (32u << 20)
#define LIST_FILTER "--filter=blob:limit=16m"

struct search {
	struct role *role;
	const char *from;
	char *list; /* "oid path" lines */
	char *where;
	bool in_file; /* the best that can be said: nothing more is looked for */
};

/* The path that the list has for an object; a commit has none. */
static const char *
path_of(const struct search *s, const char *oid, size_t *size)
{
	size_t n = strlen(oid);

	for (const char *p = s->list; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n')
		if (strncmp(p, oid, n) == 0 && p[n] == ' ') {
			*size = strcspn(p + n + 1, "\n");
			return p + n + 1;
		}
	return NULL;
}

static void
found(struct search *s, const char *oid, const char *name)
{
	size_t size = 0;
	const char *path = path_of(s, oid, &size);

	if (s->where != NULL && path == NULL)
		return;
	free(s->where);
	s->in_file = path != NULL;
	s->where = xasprintf("%.*s holds %s%s%s", s->in_file ? (int)size : 23,
	    s->in_file ? path : "the message of a commit",
	    name == NULL ? "what looks like a key" : "the key \"", name == NULL ? "" : name,
	    name == NULL ? "" : "\"");
}

/* The file as it was before, whatever it held: "" when there was none. */
static int
read_before(struct search *s, const char *path, size_t size, struct git_out *o, struct err *e)
{
	static const char *const argv[] = {"cat-file", "--batch", NULL};
	char *ask = xasprintf("%s:%.*s\n", s->from, (int)size, path);
	int rc = git_runv(&s->role->git, 0, o, e, argv, NULL, ask, strlen(ask));

	free(ask);
	return rc;
}

/* Nobody told us of it, but it has the form of one. What the file held before is the user's own affair. */
static int
search_forms(struct search *s, const char *oid, const char *text, size_t size, struct err *e)
{
	size_t from = 0, key_size, path_size = 0;
	const char *key = keylike_next(text, size, &from, &key_size), *path = path_of(s, oid, &path_size);
	struct git_out before = {0};
	int rc = 0;

	if (key != NULL && path != NULL)
		rc = read_before(s, path, path_size, &before, e);
	while (rc == 0 && key != NULL) {
		if (before.size == 0 || memmem(before.out, before.size, key, key_size) == NULL) {
			found(s, oid, NULL);
			break;
		}
		key = keylike_next(text, size, &from, &key_size);
	}
	git_out_clear(&before);
	return rc;
}

/* "oid type size" of the header at p: its length with the newline, or 0. */
static size_t
read_header(const char *p, size_t left, char oid[GIT_OID_HEX], char type[16], size_t *size)
{
	const char *end = memchr(p, '\n', left);
	char line[256];

	if (end == NULL || (size_t)(end - p) >= sizeof(line))
		return 0;
	memcpy(line, p, (size_t)(end - p));
	line[end - p] = '\0';
	if (sscanf(line, "%64s %15s %zu", oid, type, size) != 3)
		return 0;
	return (size_t)(end - p) + 1;
}

/* What "cat-file --batch" printed. */
static int
search_objects(struct search *s, const struct git_out *o, struct err *e)
{
	const char *p = o->out, *end = o->out + o->size, *name;
	char oid[GIT_OID_HEX], type[16];

	while (p < end && !s->in_file) {
		size_t size, head = read_header(p, (size_t)(end - p), oid, type, &size);

		if (head == 0 || size >= (size_t)(end - p) - head)
			return err_set(e, -EPROTO, "git cat-file said something else than objects");
		if (strcmp(type, "tree") != 0 && redact_finds(s->role->redact, p + head, size, &name))
			found(s, oid, name);
		else if (strcmp(type, "tree") != 0 && search_forms(s, oid, p + head, size, e) < 0)
			return -EPROTO;
		p += head + size + 1;
	}
	return 0;
}

static int
search_portion(struct search *s, const char *oids, size_t size, struct err *e)
{
	static const char *const argv[] = {"cat-file", "--batch", NULL};
	struct git_out o = {0};
	int rc = size == 0 ? 0 : git_runv(&s->role->git, 0, &o, e, argv, NULL, oids, size);

	if (rc == 0 && size > 0)
		rc = search_objects(s, &o, e);
	git_out_clear(&o);
	return rc;
}

/* checked: "oid type size" lines of all of them. */
static int
search_all(struct search *s, const char *checked, struct err *e)
{
	char *oids = xmalloc(strlen(checked) + 1), oid[GIT_OID_HEX], type[16];
	size_t n = 0, bytes = 0, size;
	int rc = 0;

	for (const char *p = checked; *p != '\0' && rc == 0 && !s->in_file;) {
		size_t head = read_header(p, strlen(p), oid, type, &size);

		if (head == 0)
			break;
		p += head;
		if (size > OBJECT_MAX || strcmp(type, "tree") == 0)
			continue;
		if (bytes + size > PORTION_MAX) {
			rc = search_portion(s, oids, n, e);
			n = bytes = 0;
		}
		n += (size_t)sprintf(oids + n, "%s\n", oid); /* shorter than the line that it came from */
		bytes += size + sizeof(oid) + 32;
	}
	if (rc == 0 && !s->in_file)
		rc = search_portion(s, oids, n, e);
	free(oids);
	return rc;
}

/* The first word of every line, which is what git wants to be asked by. */
static char *
oids_of(const char *list)
{
	char *oids = xmalloc(strlen(list) + 2);
	size_t n = 0;

	for (const char *p = list; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n') {
		size_t word = strcspn(p, " \n");

		memcpy(oids + n, p, word);
		n += word;
		oids[n++] = '\n';
	}
	oids[n] = '\0';
	return oids;
}

int
leak_find(struct role *r, const char *from, const char *head, char **where, struct err *e)
{
	static const char *const argv[] = {"cat-file", "--batch-check", NULL};
	struct search s = {.role = r, .from = from};
	struct git_out list = {0}, checked = {0};
	char *oids;
	int rc;

	*where = NULL;
	rc = git_run(&r->git, 0, &list, e, "rev-list", "--objects", LIST_FILTER, head, "--not", from, NULL);
	if (rc == 0 && list.size > 0) {
		oids = oids_of(list.out);
		rc = git_runv(&r->git, 0, &checked, e, argv, NULL, oids, strlen(oids));
		free(oids);
		s.list = list.out;
		if (rc == 0)
			rc = search_all(&s, checked.out, e);
	}
	git_out_clear(&list);
	git_out_clear(&checked);
	if (rc == 0)
		*where = s.where;
	else
		free(s.where);
	return rc;
}

int
leak_undo(struct role *r, const char *from, struct err *e)
{
	struct git wt = {0};
	int rc = git_init_worktree(&wt, &r->git, r->worktree, e);

	if (rc == 0)
		rc = git_run(&wt, 0, NULL, e, "reset", "--mixed", "--quiet", from, NULL);
	git_clear(&wt);
	return rc;
}
