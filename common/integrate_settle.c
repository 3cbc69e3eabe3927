/*
 * integrate_settle: conflicts that need nobody's judgement (integrate_impl.h): lines that both sides added to
 * a shared file, and work that applies commit by commit where the two ends as wholes do not merge (a change
 * that both sides have is then met once). Whatever comes of it is gated like any merge.
 */
#include "common/integrate_impl.h"

#include "common/alloc.h"
#include "common/git_impl.h"
#include "common/owns.h"
#include "common/unite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIDES (1u << 1 | 1u << 2 | 1u << 3)

int
integrate_blob(
    const struct integrate_spec *s, const char *tree, const char *path, struct git_out *out, struct err *e)
{
	char *spec = xasprintf("%s:%s", tree, path);
	int rc = git_run(s->git, GIT_ANY_EXIT, out, e, "cat-file", "blob", spec, NULL);

	free(spec);
	return rc < 0 ? rc : out->code == 0;
}

static int
write_blob(
    const struct integrate_spec *s, const char *text, size_t size, char oid[GIT_OID_HEX], struct err *e)
{
	static const char *const argv[] = {"hash-object", "-w", "--stdin", NULL};
	struct git_out out = {0};
	int rc = git_runv(s->git, 0, &out, e, argv, NULL, text, size);

	if (rc == 0)
		rc = git_take_oid(&out, oid, e);
	git_out_clear(&out);
	return rc;
}

/* One file: 1 with its line for update-index, 0 when it is not that simple. */
static int
unite_file(
    const struct integrate_spec *s, const char *tree, const struct merge_file *f, char **line, struct err *e)
{
	bool plain = !f->odd && f->stages == SIDES &&
		     (memcmp(f->mode, "100644", 6) == 0 || memcmp(f->mode, "100755", 6) == 0);
	struct git_out blob = {0};
	char oid[GIT_OID_HEX], *text = NULL;
	size_t size;
	int rc;

	if (!plain || s->shared == NULL || !owns_match_any(s->shared, f->path))
		return 0;
	rc = integrate_blob(s, tree, f->path, &blob, e);
	if (rc == 1)
		rc = unite_additions(blob.out, blob.size, &text, &size);
	git_out_clear(&blob);
	if (rc == 1)
		rc = write_blob(s, text, size, oid, e) < 0 ? -EIO : 1;
	if (rc == 1)
		*line = xasprintf("%.6s %s\t%s", f->mode, oid, f->path);
	free(text);
	return rc;
}

/* tree with some of its files replaced, by way of an index of our own. lines: each with its NUL. */
static int
replace_files(const struct integrate_spec *s, const char *from, const char *lines, size_t size,
    char tree[GIT_OID_HEX], struct err *e)
{
	const char *const read[] = {"read-tree", from, NULL}, *const write[] = {"write-tree", NULL};
	static const char *const update[] = {"update-index", "-z", "--index-info", NULL};
	char *index = xasprintf("%s/orch-index-%d", s->git->git_dir, (int)getpid());
	char *env = xasprintf("GIT_INDEX_FILE=%s", index);
	const char *const extra[] = {env, NULL};
	struct git_out out = {0};
	int rc = git_runv(s->git, 0, NULL, e, read, extra, NULL, 0);

	if (rc == 0)
		rc = git_runv(s->git, 0, NULL, e, update, extra, lines, size);
	if (rc == 0)
		rc = git_runv(s->git, 0, &out, e, write, extra, NULL, 0);
	if (rc == 0)
		rc = git_take_oid(&out, tree, e);
	unlink(index);
	git_out_clear(&out);
	free(env);
	free(index);
	return rc < 0 ? rc : 1;
}

int
integrate_unite(const struct integrate_spec *s, const char *merged, const struct merge_files *f,
    char tree[GIT_OID_HEX], struct err *e)
{
	char *lines = NULL;
	size_t size = 0;
	int rc = f->count > 0;

	for (size_t i = 0; rc == 1 && i < f->count; i++) {
		char *line = NULL;

		rc = unite_file(s, merged, &f->list[i], &line, e);
		if (rc == 1) {
			size_t n = strlen(line) + 1;

			lines = xrealloc(lines, size + n);
			memcpy(lines + size, line, n);
			size += n;
		}
		free(line);
	}
	if (rc == 1)
		rc = replace_files(s, merged, lines, size, tree, e);
	free(lines);
	return rc;
}

/* With one commit, or merges among them, a rebase is no other question than the merge was. */
static int
is_worth_rebasing(const struct integrate_spec *s, const char *tip, const char *head, struct err *e)
{
	char *range = xasprintf("%s..%s", tip, head);
	struct git_out out = {0};
	size_t count = 0;
	bool merges = false;
	int rc = git_run(s->git, 0, &out, e, "rev-list", "--parents", "--max-count=200", range, NULL);

	for (const char *p = out.out; rc == 0 && *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n') {
		size_t n = strcspn(p, "\n"), words = 1;

		for (size_t i = 0; i < n; i++)
			words += p[i] == ' ';
		merges |= words > 2;
		count++;
	}
	git_out_clear(&out);
	free(range);
	return rc < 0 ? rc : count > 1 && !merges;
}

/* In the detached worktree, which is made exact again before anything else is done in it. */
static int
rebase(const struct integrate_spec *s, struct git *wt, const char *tip, char tree[GIT_OID_HEX], struct err *e)
{
	const char *const argv[] = {"-c", "commit.gpgSign=false", "-c", "rebase.autoStash=false", "-c",
	    "rerere.enabled=false", "rebase", "--quiet", "--no-autosquash", "--empty=drop", tip, NULL};
	struct git_who who = {0};
	struct git_out out = {0};
	int rc = git_who_load(s->git, &who, e);

	if (rc == 0)
		rc = git_runv(wt, GIT_ANY_EXIT, &out, e, argv, (const char *const *)who.env, NULL, 0);
	git_who_clear(&who);
	if (rc == 0 && out.code == 0)
		rc = git_tree(wt, "HEAD", tree, e) < 0 ? -EIO : 1;
	else if (rc == 0)
		rc = git_run(wt, GIT_ANY_EXIT, NULL, e, "rebase", "--abort", NULL);
	git_out_clear(&out);
	return rc;
}

int
integrate_rebase(
    const struct integrate_spec *s, const char *tip, const char *head, char tree[GIT_OID_HEX], struct err *e)
{
	struct git wt = {0};
	int rc = is_worth_rebasing(s, tip, head, e);

	if (rc <= 0)
		return rc;
	rc = integrate_checkout(s, head, e);
	if (rc == 0)
		rc = git_init_worktree(&wt, s->git, s->worktree, e);
	if (rc == 0)
		rc = rebase(s, &wt, tip, tree, e);
	git_clear(&wt);
	return rc;
}
