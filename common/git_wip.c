/*
 * git_wip: saves what a worktree holds and nothing else does, before the worktree goes: uncommitted files by
 * way of an index of its own, commits that no other ref reaches by naming them. The folder's files stay as
 * they are.
 */
#include "common/git_impl.h"

#include "common/alloc.h"
#include "common/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INDEX_MAX (256u << 20) /* a larger one is made afresh */

struct wip {
	struct git *repo;
	struct git wt;
	bool has_folder;
	const char *branch;
	char *ref;                                                  /* refs/orch/wip/NAME */
	char head[GIT_OID_HEX], tip[GIT_OID_HEX], old[GIT_OID_HEX]; /* "": none; old: what ref says now */
	char tree[GIT_OID_HEX];                                     /* "": the folder has nothing to add */
};

/* Finds the worktree. A folder whose administration is gone gets a new one: its files may be all there is. */
static int
find_folder(struct wip *w, const char *path, struct err *e)
{
	char *real = NULL, *admin = NULL, any[GIT_OID_HEX];
	int rc = git_real_path(path, &real, e);

	if (rc == 0)
		rc = git_admin_find(w->repo, real, &admin, e);
	/* An empty one without administration is what a git leaves that was killed at its very beginning. */
	if (rc == 0 && git_is_folder(real) && (admin != NULL || !git_is_empty(real))) {
		w->has_folder = true;
		if (admin == NULL) {
			strcpy(any, w->tip);
			rc = any[0] != '\0' ? 0 : git_resolve(w->repo, "HEAD", any, e);
			if (rc == 0)
				rc = git_admin_make(w->repo, real, NULL, any, true, &admin, e);
		}
	}
	if (rc == 0 && w->has_folder) {
		if (git_admin_complete(admin))
			rc = git_init_worktree(&w->wt, w->repo, real, e);
		else
			w->has_folder = false; /* nobody has worked in it */
	}
	free(real);
	free(admin);
	return rc;
}

static void
copy_index(const char *from_dir, const char *to)
{
	char *from = xasprintf("%s/index", from_dir), *data = NULL;
	size_t size;

	if (fd_read_file(from, INDEX_MAX, &data, &size) == 0)
		fd_write_file(to, data, size, 0600);
	free(data);
	free(from);
}

/* The tree of the folder, when it differs from the commit that the folder is at. */
static int
save_folder(struct wip *w, struct err *e)
{
	char *index = xasprintf("%s/orch-wip-index", w->wt.work_git_dir), at[GIT_OID_HEX] = "";
	char *head = git_admin_head(w->wt.work_git_dir);
	const char *start;
	int rc = 0;

	if (head != NULL) {
		rc = git_resolve_if_any(&w->wt, "HEAD", w->head, e);
	} else { /* git would refuse to work there, but the files are worth saving */
		rc = git_write_line(w->wt.work_git_dir, "HEAD", "ref: refs/heads/orch-broken", e);
	}
	free(head);
	start = w->head[0] != '\0' ? w->head : w->tip[0] != '\0' ? w->tip : NULL;
	if (rc == 0) {
		unlink(index);
		copy_index(w->wt.work_git_dir, index);
		rc = git_content_tree(&w->wt, index, start, start, w->tree, NULL, e);
		unlink(index);
	}
	free(index);
	if (rc == 0 && start != NULL)
		rc = git_tree(w->repo, start, at, e);
	if (rc == 0 && strcmp(at, w->tree) == 0)
		w->tree[0] = '\0';
	return rc;
}

/* 1 when head or tip is reached by no ref but the branch and our own. The user's HEAD counts as a ref. */
static int
is_unreachable(struct wip *w, struct err *e)
{
	char *ours = xasprintf("--exclude=refs/heads/%s", w->branch != NULL ? w->branch : "?");
	const char *argv[] = {"rev-list", "--max-count=1", "--single-worktree", "--not", ours,
	    "--exclude=refs/orch/*", "--all", "--not", NULL, NULL, NULL};
	struct git_out out = {0};
	size_t n = 8;
	int rc;

	if (w->head[0] != '\0')
		argv[n++] = w->head;
	if (w->tip[0] != '\0')
		argv[n++] = w->tip;
	rc = n == 8 ? 0 : git_runv(w->repo, 0, &out, e, argv, NULL, NULL, 0);
	if (rc == 0)
		rc = out.size > 0;
	git_out_clear(&out);
	free(ours);
	return rc;
}

/* Adds oid to parents unless one of them holds it already. */
static int
add_parent(struct wip *w, const char **parents, const char *oid, struct err *e)
{
	size_t n = 0;
	int rc = 0;

	if (oid[0] == '\0')
		return 0;
	for (; rc == 0 && parents[n] != NULL; n++)
		rc = git_is_ancestor(w->repo, oid, parents[n], e);
	if (rc == 0)
		parents[n] = oid;
	return rc < 0 ? rc : 0;
}

/* Was just this saved before? 1, 0 or -errno. */
static int
is_saved(struct wip *w, struct err *e)
{
	char tree[GIT_OID_HEX], parent[GIT_OID_HEX], *first;
	int rc;

	if (w->old[0] == '\0')
		return 0;
	rc = git_tree(w->repo, w->old, tree, e);
	if (rc < 0 || w->tree[0] == '\0' || strcmp(tree, w->tree) != 0)
		return rc;
	first = xasprintf("%s^1", w->old);
	rc = git_resolve_if_any(w->repo, first, parent, e);
	free(first);
	return rc < 0 ? rc : strcmp(parent, w->head[0] != '\0' ? w->head : w->tip) == 0;
}

static int
save(struct wip *w, char oid[GIT_OID_HEX], struct err *e)
{
	const char *parents[4] = {NULL};
	char tree[GIT_OID_HEX];
	int rc = is_saved(w, e);

	if (rc == 1)
		strcpy(oid, w->old);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	/* What is newest first; where one holds the other, the holder is enough. */
	if (w->tree[0] == '\0')
		rc = add_parent(w, parents, w->old, e);
	if (rc == 0)
		rc = add_parent(w, parents, w->head, e);
	if (rc == 0)
		rc = add_parent(w, parents, w->tip, e);
	if (rc == 0)
		rc = add_parent(w, parents, w->old, e);
	if (rc < 0)
		return rc;
	if (w->tree[0] == '\0' && parents[1] == NULL) {
		strcpy(oid, parents[0]);
	} else {
		const char *of = w->head[0] != '\0' ? w->head : w->tip;

		rc = w->tree[0] == '\0' ? git_tree(w->repo, of, tree, e) : 0;
		if (rc == 0)
			rc = git_make_commit(w->repo, w->tree[0] == '\0' ? tree : w->tree, parents,
			    "work in progress, saved by orch\n", oid, e);
	}
	if (rc == 0 && strcmp(oid, w->old) != 0)
		rc = git_settle(w->repo, oid, NULL, e);
	if (rc == 0 && strcmp(oid, w->old) != 0)
		rc = git_move_ref(w->repo, w->ref, oid, w->old, "saved before its worktree goes", e);
	return rc;
}

/* One worktree, without those in it. done becomes "" when there was nothing. */
static int
save_one(struct git *g, const char *path, const char *name, const char *branch, char done[GIT_OID_HEX],
    struct err *e)
{
	struct wip w = {.repo = g, .branch = branch, .ref = xasprintf("refs/orch/wip/%s", name)};
	char *ref = branch != NULL ? xasprintf("refs/heads/%s", branch) : NULL;
	int rc = git_resolve_if_any(g, w.ref, w.old, e);

	done[0] = '\0';
	if (rc == 0 && ref != NULL)
		rc = git_resolve_if_any(g, ref, w.tip, e);
	if (rc == 0)
		rc = find_folder(&w, path, e);
	if (rc == 0 && w.has_folder)
		rc = save_folder(&w, e);
	if (rc == 0)
		rc = is_unreachable(&w, e);
	if (rc == 1 || (rc == 0 && w.tree[0] != '\0'))
		rc = save(&w, done, e);
	git_clear(&w.wt);
	free(w.ref);
	free(ref);
	return rc;
}

/* Worktrees that the agent made inside its own, ignored or not: each gets a ref NAME-in-<n>. */
static int
save_below(struct git *g, const char *path, const char *name, bool *any, struct err *e)
{
	char *real = NULL, **paths = NULL, done[GIT_OID_HEX];
	int rc = git_real_path(path, &real, e);

	if (rc == 0)
		rc = git_worktrees_below(g, real, &paths, e);
	for (size_t i = 0; rc == 0 && paths[i] != NULL; i++) {
		char *sub = xasprintf("%s-in-%zu", name, i + 1);

		if (git_is_folder(paths[i]))
			rc = save_one(g, paths[i], sub, NULL, done, e);
		else
			done[0] = '\0';
		*any |= rc == 0 && done[0] != '\0';
		free(sub);
	}
	git_free_paths(paths);
	free(real);
	return rc;
}

int
git_save_wip(struct git *g, const char *path, const char *name, const char *branch, bool *saved,
    char oid[GIT_OID_HEX], struct err *e)
{
	char done[GIT_OID_HEX];
	bool any = false;
	int rc = save_below(g, path, name, &any, e);

	if (rc == 0)
		rc = save_one(g, path, name, branch, done, e);
	if (rc < 0)
		return rc;
	*saved = any || done[0] != '\0';
	if (oid != NULL)
		strcpy(oid, done);
	return 0;
}
