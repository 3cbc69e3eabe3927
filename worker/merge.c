/* merge: see merge.h. */
#include "worker/merge.h"

#include "common/alloc.h"
#include "common/git_impl.h"
#include "common/json.h"
#include "common/log.h"
#include "worker/judge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MERGES_LOOKED_AT "64"

/* Merges two commits in memory. tree gets the result, markers and all; *conflicts the paths, NULL when none.
 */
static int
merge_trees(struct role *r, const char *ours, const char *theirs, char tree[GIT_OID_HEX], char ***conflicts,
    struct err *e)
{
	struct git_out out = {0};
	char **list = NULL;
	size_t n = 0;
	int rc = git_run(&r->git, GIT_ANY_EXIT, &out, e, "-c", "merge.conflictStyle=diff3", "merge-tree",
	    "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs, NULL);

	if (rc == 0 && out.code > 1)
		rc = -EIO; /* e has git's words */
	if (rc < 0) {
		git_out_clear(&out);
		return rc;
	}
	snprintf(tree, GIT_OID_HEX, "%s", out.out);
	for (const char *p = out.out + strlen(out.out) + 1; p < out.out + out.size && *p != '\0';
	     p += strlen(p) + 1) {
		list = xrealloc(list, (n + 2) * sizeof(*list));
		list[n++] = xstrdup(p);
		list[n] = NULL;
	}
	git_out_clear(&out);
	*conflicts = list;
	return 0;
}

static int
commit_tree(struct role *r, const char *tree, const char *first, const char *second, const char *message,
    char commit[GIT_OID_HEX], struct err *e)
{
	const char *const parents[] = {first, second, NULL};

	return git_make_commit(&r->git, tree, parents, message, commit, e);
}

static char *
merge_message(const struct role *r, const char *first_line)
{
	return xasprintf("%s\n\nOrch-Task: %s\n", first_line, r->assign->task);
}

/* Commits the merge onto the branch. What an interrupted attempt left uncommitted is ours, and goes before
 * it. */
static int
make_merge(struct role *r, const char *base, const char *from, struct err *e)
{
	const struct msg_assign *a = r->assign;
	char *message = merge_message(r, "Work before a merge");
	char tip[GIT_OID_HEX], tree[GIT_OID_HEX], commit[GIT_OID_HEX], **conflicts = NULL;
	int rc = git_commit_all(&r->git, r->worktree, a->branch, base, message, tip, NULL, e);

	free(message);
	if (rc == 0)
		rc = merge_trees(r, tip, from, tree, &conflicts, e);
	if (rc < 0)
		return rc;
	message = merge_message(r, "Merge the work of others");
	rc = commit_tree(r, tree, tip, from, message, commit, e);
	free(message);
	strv_free(conflicts);
	return rc == 0 ? git_update_branch(&r->git, a->branch, commit, tip, e) : rc;
}

static int
reset_worktree(struct role *r, struct err *e)
{
	char *ref = xasprintf("refs/heads/%s", r->assign->branch);
	struct git wt = {0};
	int rc = git_init_worktree(&wt, &r->git, r->worktree, e);

	if (rc == 0)
		rc = git_run(&wt, 0, NULL, e, "reset", "--hard", "--quiet", ref, NULL);
	git_clear(&wt);
	free(ref);
	return rc;
}

int
merge_begin(struct role *r, char base[GIT_OID_HEX], struct err *e)
{
	const struct msg_assign *a = r->assign;
	const struct msg_note note = {.base = a->merge_from, .merged = true};
	char tip[GIT_OID_HEX];
	int rc;

	if (a->merge_from == NULL || *a->merge_from == '\0')
		return 0;
	rc = role_branch_tip(r, a->branch, tip, e);
	if (rc == 0)
		rc = git_is_ancestor(&r->git, a->merge_from, tip, e);
	if (rc < 0)
		return rc;
	if (rc == 0)
		rc = make_merge(r, base, a->merge_from, e);
	/* Until the note is stored no agent has been here since: the files follow the branch, also after a
	 * crash. */
	if (rc >= 0)
		rc = reset_worktree(r, e);
	if (rc == 0)
		rc = role_note(r, &note, e);
	if (rc == 0)
		snprintf(base, GIT_OID_HEX, "%s", a->merge_from);
	return rc;
}

void
merge_clear(struct merge *m)
{
	strv_free(m->conflicts);
	memset(m, 0, sizeof(*m));
}

/* A line of rev-list --parents: a merge of two whose second parent is base. */
static bool
parse_merge(const char *line, const char *base, struct merge *m)
{
	char third[GIT_OID_HEX];

	if (sscanf(line, "%64s %64s %64s %64s", m->commit, m->first, m->second, third) != 3)
		return false;
	return strcmp(m->second, base) == 0;
}

int
merge_find(struct role *r, const char *base, const char *tip, struct merge *m, struct err *e)
{
	char *not_base = xasprintf("^%s", base), *save, tree[GIT_OID_HEX], found[GIT_OID_HEX];
	struct git_out out = {0};
	struct merge one = {0};
	int rc = git_run(&r->git, 0, &out, e, "rev-list", "--merges", "--parents",
	    "--max-count=" MERGES_LOOKED_AT, tip, not_base, NULL);

	memset(m, 0, sizeof(*m));
	free(not_base);
	if (rc < 0)
		return rc;
	for (char *line = strtok_r(out.out, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		if (parse_merge(line, base, &one))
			break;
		else
			memset(&one, 0, sizeof(one));
	git_out_clear(&out);
	if (one.commit[0] == '\0')
		return 0;
	rc = merge_trees(r, one.first, one.second, tree, &one.conflicts, e);
	if (rc == 0)
		rc = git_tree(&r->git, one.commit, found, e);
	if (rc < 0) {
		merge_clear(&one);
		return rc;
	}
	one.unresolved = one.conflicts != NULL && strcmp(tree, found) == 0;
	*m = one;
	return 0;
}

int
merge_close(struct role *r, const struct merge *m, char head[GIT_OID_HEX], struct err *e)
{
	char tree[GIT_OID_HEX], commit[GIT_OID_HEX], *message;
	int rc;

	if (!m->unresolved || strcmp(head, m->commit) == 0)
		return 0;
	message = merge_message(r, "Merge the work of others and resolve the conflicts");
	rc = git_tree(&r->git, head, tree, e);
	if (rc == 0)
		rc = commit_tree(r, tree, m->first, m->second, message, commit, e);
	if (rc == 0)
		rc = git_update_branch(&r->git, r->assign->branch, commit, head, e);
	free(message);
	if (rc == 0)
		snprintf(head, GIT_OID_HEX, "%s", commit);
	return rc;
}

static int
is_marked(struct role *r, const char *head, const char *path, struct err *e)
{
	char *spec = xasprintf("%s:%s", head, path);
	struct git_out out = {0};
	int rc = git_run(&r->git, GIT_ANY_EXIT, &out, e, "cat-file", "blob", spec, NULL);

	if (rc == 0) /* a file that is gone has no markers */
		rc = out.code == 0 && judge_has_marker(out.out, out.size);
	git_out_clear(&out);
	free(spec);
	return rc;
}

int
merge_marked(struct role *r, const struct merge *m, const char *head, char ***paths, struct err *e)
{
	char **list = xcalloc(1, sizeof(*list));
	size_t n = 0;

	for (char **p = m->conflicts; p != NULL && *p != NULL; p++) {
		int rc = is_marked(r, head, *p, e);

		if (rc < 0) {
			strv_free(list);
			return rc;
		}
		if (rc == 0)
			continue;
		list = xrealloc(list, (n + 2) * sizeof(*list));
		list[n++] = xstrdup(*p);
		list[n] = NULL;
	}
	*paths = list;
	return 0;
}
