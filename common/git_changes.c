/* git_changes: what differs between two commits, and where new symbolic links lead. */
#include "common/git_impl.h"

#include "common/alloc.h"
#include "common/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINK_MODE "120000"

/* Changed links: their paths, and their blobs as "oid\n" for cat-file. */
struct links {
	char **paths, *oids;
	size_t count, size;
};

static void
push(char ***list, size_t *count, const char *text)
{
	*list = xrealloc(*list, (*count + 2) * sizeof(**list));
	(*list)[(*count)++] = xstrdup(text);
	(*list)[*count] = NULL;
}

static void
add_link(struct links *l, const char *oid, size_t n, const char *path)
{
	push(&l->paths, &l->count, path);
	l->oids = xrealloc(l->oids, l->size + n + 2);
	memcpy(l->oids + l->size, oid, n);
	l->oids[l->size + n] = '\n';
	l->size += n + 1;
	l->oids[l->size] = '\0';
}

/* ":<mode> <mode> <oid> <oid> <letter>", then the path, each with its NUL. */
static void
read_raw(const struct git_out *out, struct git_changes *c, struct links *l)
{
	const char *end = out->out + out->size;
	size_t count = 0;

	c->paths = xcalloc(1, sizeof(*c->paths));
	for (const char *p = out->out; p < end && *p == ':';) {
		const char *path = p + strlen(p) + 1, *mode = strchr(p, ' '), *oid;
		size_t n;

		if (path >= end || mode == NULL)
			return;
		push(&c->paths, &count, path);
		if (strncmp(mode + 1, LINK_MODE " ", 7) == 0) {
			oid = strchr(mode + 1 + 7, ' ');
			n = oid == NULL ? 0 : strspn(oid + 1, "0123456789abcdef");
			if (n > 0)
				add_link(l, oid + 1, n, path);
		}
		p = path + strlen(path) + 1;
	}
}

/* As text alone: what is at the places on the way is another link's matter. */
static bool
leads_out(const char *path, const char *target, size_t size)
{
	const char *end = target + size;
	long depth = 0;

	if (size == 0 || *target == '/')
		return true;
	for (; *path != '\0'; path++)
		depth += *path == '/';
	while (target < end) {
		const char *slash = memchr(target, '/', (size_t)(end - target));
		size_t n = (size_t)((slash == NULL ? end : slash) - target);

		if (n == 2 && memcmp(target, "..", 2) == 0)
			depth--;
		else if (n == 4 && memcmp(target, ".git", 4) == 0)
			return true;
		else if (n > 0 && !(n == 1 && *target == '.'))
			depth++;
		if (depth < 0)
			return true;
		target += n + 1;
	}
	return false;
}

/* What "cat-file --batch" prints: "<oid> blob <size>\n", the content, "\n", in the order of the question. */
static int
read_targets(const struct git_out *out, struct git_changes *c, const struct links *l, struct err *e)
{
	const char *p = out->out, *end = out->out + out->size;
	size_t count = 0;

	for (size_t i = 0; i < l->count; i++) {
		const char *line = memchr(p, '\n', (size_t)(end - p)), *kind;
		size_t size;

		if (line == NULL || (kind = strstr(p, " blob ")) == NULL || kind > line)
			return err_set(e, -EPROTO, "git cat-file said something else than a link");
		size = strtoul(kind + 6, NULL, 10);
		if (size > (size_t)(end - line - 1))
			return err_set(e, -EPROTO, "git cat-file said less than it promised");
		if (leads_out(l->paths[i], line + 1, size))
			push(&c->outside, &count, l->paths[i]);
		p = line + 1 + size + 1;
		if (p > end)
			p = end;
	}
	return 0;
}

int
git_changes(struct git *g, const char *from, const char *to, struct git_changes *c, struct err *e)
{
	static const char *const batch[] = {"cat-file", "--batch", NULL};
	struct git_out out = {0}, targets = {0};
	struct links l = {0};
	struct git_changes found = {0};
	int rc = git_run(g, 0, &out, e, "diff-tree", "-r", "-z", "--no-renames", "--raw", "--no-abbrev",
	    "--no-ext-diff", "--no-textconv", "--ignore-submodules=none", from, to, NULL);

	if (rc < 0)
		return rc;
	read_raw(&out, &found, &l);
	git_out_clear(&out);
	found.outside = xcalloc(1, sizeof(*found.outside));
	if (l.count > 0)
		rc = git_runv(g, 0, &targets, e, batch, NULL, l.oids, l.size);
	if (rc == 0 && l.count > 0)
		rc = read_targets(&targets, &found, &l, e);
	git_out_clear(&targets);
	strv_free(l.paths);
	free(l.oids);
	if (rc < 0)
		git_changes_clear(&found);
	else
		*c = found;
	return rc;
}

void
git_changes_clear(struct git_changes *c)
{
	strv_free(c->paths);
	strv_free(c->outside);
	memset(c, 0, sizeof(*c));
}

int
git_files(struct git *g, const char *commit, char *const *paths, char ***files, struct err *e)
{
	size_t n = strv_len((const char *const *)paths), count = 0;
	const char **argv = xcalloc(n + 7, sizeof(*argv));
	struct git_out out = {0};
	char **found = xcalloc(1, sizeof(*found));
	int rc = 0;

	argv[0] = "--literal-pathspecs";
	argv[1] = "ls-tree";
	argv[2] = "-z";
	argv[3] = "--full-tree";
	argv[4] = commit;
	argv[5] = "--";
	memcpy(argv + 6, paths, n * sizeof(*argv));
	if (n > 0)
		rc = git_runv(g, 0, &out, e, argv, NULL, NULL, 0);
	/* "100755 blob <oid>\t<path>", each with its NUL. */
	for (const char *p = out.out; p != NULL && p < out.out + out.size; p += strlen(p) + 1) {
		const char *path = strchr(p, '\t'), *kind = strstr(p, " blob ");

		if (path != NULL && kind != NULL && kind < path)
			push(&found, &count, path + 1);
	}
	git_out_clear(&out);
	free(argv);
	if (rc < 0)
		strv_free(found);
	else
		*files = found;
	return rc;
}
