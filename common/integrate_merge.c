/*
 * integrate_merge: two commits merged in memory, and what is done where git cannot (integrate_impl.h). A real
 * conflict is told with all that its solver needs: the files, both sides and the base of each place, and
 * whose work it is that was there first.
 */
#include "common/integrate_impl.h"

#include "common/alloc.h"
#include "common/git_impl.h"
#include "common/json.h"
#include "common/owns.h"
#include "common/text.h"
#include "common/unite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EVIDENCE_MAX (32 * 1024)
#define LIST_MAX (8 * 1024) /* of it, for the paths */
#define HUNKS_MAX (16 * 1024)
#define HUNKS_FILE_MAX (4 * 1024)
#define COMMITS_SHOWN "20"

/* Grows a text. */
static void
append(char **text, const char *more)
{
	char *all = xasprintf("%s%s", *text, more);

	free(*text);
	*text = all;
}

static struct merge_file *
find_file(struct merge_files *f, const char *path)
{
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->list[i].path, path) == 0)
			return &f->list[i];
	f->list = xrealloc(f->list, (f->count + 1) * sizeof(*f->list));
	f->list[f->count] = (struct merge_file){.path = xstrdup(path)};
	return &f->list[f->count++];
}

/*
 * `git merge-tree -z` prints the tree, "<mode> <oid> <stage>\t<path>" for each side of a conflict, an empty
 * one, then messages. Returns where these begin.
 */
static const char *
read_files(const struct git_out *out, struct merge_files *f)
{
	const char *end = out->out + out->size, *p = out->out + strlen(out->out) + 1;

	for (; p < end && *p != '\0'; p += strlen(p) + 1) {
		const char *tab = strchr(p, '\t');
		struct merge_file *file;

		if (tab == NULL || tab - p < 9 || tab[-1] < '1' || tab[-1] > '3')
			continue;
		file = find_file(f, tab + 1);
		if (file->stages == 0)
			memcpy(file->mode, p, 6);
		else if (memcmp(file->mode, p, 6) != 0)
			file->odd = true;
		file->stages |= 1u << (tab[-1] - '0');
	}
	return p < end ? p + 1 : end;
}

static void
files_clear(struct merge_files *f)
{
	for (size_t i = 0; i < f->count; i++)
		free(f->list[i].path);
	free(f->list);
}

/* Messages are count, paths, kind, text, each with its NUL. */
static void
add_messages(char **text, const char *p, const char *end)
{
	append(text, "\ngit says:\n");
	while (p < end && strlen(*text) < EVIDENCE_MAX) {
		size_t skip = strtoul(p, NULL, 10) + 2; /* the count itself, its paths, the kind */

		while (skip-- > 0 && p < end)
			p += strlen(p) + 1;
		if (p >= end)
			break;
		append(text, p);
		p += strlen(p) + 1;
	}
}

/* Those that the plan shares come first: they are to be resolved first. */
static void
add_paths(char **text, const struct integrate_spec *s, const struct merge_files *f)
{
	append(text, "Conflicting files:\n");
	for (int shared = 1; shared >= 0; shared--)
		for (size_t i = 0; i < f->count && strlen(*text) < LIST_MAX; i++) {
			bool is = s->shared != NULL && owns_match_any(s->shared, f->list[i].path);
			char *line;

			if (is != (shared == 1))
				continue;
			line = text_utf8(f->list[i].path, strlen(f->list[i].path), 1024);
			append(text, "- ");
			append(text, line);
			append(text, is ? " (shared: resolve it first)\n" : "\n");
			free(line);
		}
}

static void
add_hunks(char **text, const struct integrate_spec *s, const char *tree, const struct merge_files *f)
{
	size_t start = strlen(*text);

	append(text, "\nThe places, each as the branch has it, as both began, and as this work has it:\n");
	for (size_t i = 0; i < f->count && strlen(*text) - start < HUNKS_MAX; i++) {
		struct git_out blob = {0};
		char *hunks;

		if (integrate_blob(s, tree, f->list[i].path, &blob, NULL) == 1) {
			hunks = unite_hunks(blob.out, blob.size, HUNKS_FILE_MAX);
			if (*hunks != '\0') {
				char *path = text_utf8(f->list[i].path, strlen(f->list[i].path), 1024);
				char *part = xasprintf("\n%s:\n%s\n", path, hunks);

				append(text, part);
				free(part);
				free(path);
			}
			free(hunks);
		}
		git_out_clear(&blob);
	}
}

/* Whose work it was that came first. */
static void
add_commits(char **text, const struct integrate_spec *s, const char *tip, const char *head,
    const struct merge_files *f)
{
	const char **argv = xcalloc(f->count + 16, sizeof(*argv));
	struct git_out out = {0};
	size_t n = 0;

	argv[n++] = "--literal-pathspecs";
	argv[n++] = "log";
	argv[n++] = "--no-merges";
	argv[n++] = "--max-count=" COMMITS_SHOWN;
	argv[n++] = "--format=%h %s";
	argv[n++] = tip;
	argv[n++] = "--not";
	argv[n++] = head;
	argv[n++] = "--";
	for (size_t i = 0; i < f->count && i < 64; i++)
		argv[n++] = f->list[i].path;
	if (git_runv(s->git, 0, &out, NULL, argv, NULL, NULL, 0) == 0 && out.size > 0) {
		char *lines = text_utf8(out.out, out.size, 2048);

		append(text, "\nWhat changed them on the branch meanwhile:\n");
		append(text, lines);
		free(lines);
	}
	git_out_clear(&out);
	free(argv);
}

static void
fill_conflict(const struct integrate_spec *s, const char *tip, const char *head, const char *tree,
    const struct merge_files *f, const char *messages, const char *end, struct integrate_result *r)
{
	char *text = xstrdup("");

	add_paths(&text, s, f);
	add_commits(&text, s, tip, head, f);
	add_hunks(&text, s, tree, f);
	add_messages(&text, messages, end);
	r->verdict = INTEGRATE_CONFLICT;
	r->reason = xasprintf("%.12s conflicts with %s (now at %.12s) in %zu %s", head, s->branch, tip,
	    f->count, f->count == 1 ? "file" : "files");
	r->evidence = text_utf8(text, strlen(text), EVIDENCE_MAX);
	free(text);
}

/* What code can settle is no conflict: 1 with the tree, 0 with r filled, -errno. */
static int
on_conflict(const struct integrate_spec *s, const char *tip, const char *head, const struct git_out *out,
    char tree[GIT_OID_HEX], struct integrate_result *r, struct err *e)
{
	struct merge_files f = {0};
	const char *messages = read_files(out, &f);
	char merged[GIT_OID_HEX];
	int rc = git_take_oid(out, merged, e);

	if (rc == 0)
		rc = integrate_unite(s, merged, &f, tree, e);
	if (rc == 0)
		rc = integrate_rebase(s, tip, head, tree, e);
	if (rc == 0)
		fill_conflict(s, tip, head, merged, &f, messages, out->out + out->size, r);
	files_clear(&f);
	return rc;
}

int
integrate_merge(const struct integrate_spec *s, const char *tip, const char *head, char tree[GIT_OID_HEX],
    struct integrate_result *r, struct err *e)
{
	struct git_out out = {0};
	struct err why = {0};
	int rc = git_run(s->git, GIT_ANY_EXIT, &out, &why, "-c", "merge.conflictStyle=diff3", "merge-tree",
	    "--write-tree", "-z", "--messages", tip, head, NULL);

	if (rc == 0 && out.code > 1)
		rc = -EIO;
	if (rc < 0) {
		err_set(e, rc, "%s", why.msg);
	} else if (out.code == 0) {
		rc = git_take_oid(&out, tree, e);
		rc = rc < 0 ? rc : 1;
	} else {
		rc = on_conflict(s, tip, head, &out, tree, r, e);
	}
	git_out_clear(&out);
	return rc;
}
