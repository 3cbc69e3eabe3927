/*
 * git_content: from a folder that an agent has had its way with to a tree object. The agent's index is only a
 * cache: its flags that hide changes are cleared, and when it is broken a fresh one is made. What was begun
 * and not ended there (a merge, a rebase, a lock) is put away; content is what counts.
 */
#include "common/git_impl.h"

#include "common/alloc.h"
#include "common/fd.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EMBED_ROUNDS 64 /* repositories within repositories within ... */

static bool
exists(const char *folder, const char *name)
{
	char *path = xasprintf("%s/%s", folder, name);
	struct stat st;
	bool there = lstat(path, &st) == 0;

	free(path);
	return there;
}

/* Lock files in the administration that no process holds. */
static void
drop_locks(const char *admin)
{
	struct dirent *entry;
	DIR *d = opendir(admin);

	while (d != NULL && (entry = readdir(d)) != NULL) {
		size_t n = strlen(entry->d_name);
		char *path;

		if (n < 5 || strcmp(entry->d_name + n - 5, ".lock") != 0)
			continue;
		path = xasprintf("%s/%s", admin, entry->d_name);
		if (!git_lock_held(path))
			unlink(path);
		free(path);
	}
	if (d != NULL)
		closedir(d);
}

int
git_admin_settle(struct git *wt, struct git_notes *n, struct err *e)
{
	static const struct {
		const char *name, *what;
	} states[] = {
	    {"MERGE_HEAD", "a merge"},
	    {"CHERRY_PICK_HEAD", "a cherry-pick"},
	    {"REVERT_HEAD", "a revert"},
	    {"rebase-merge", "a rebase"},
	    {"rebase-apply", "a rebase"},
	    {"sequencer", NULL},
	    {"BISECT_LOG", "a bisect"},
	    {"BISECT_START", NULL},
	    {"MERGE_MSG", NULL},
	    {"MERGE_MODE", NULL},
	    {"AUTO_MERGE", NULL},
	    {"SQUASH_MSG", NULL},
	    {"REBASE_HEAD", NULL},
	};
	int rc = 0;

	drop_locks(wt->work_git_dir);
	for (size_t i = 0; rc == 0 && i < sizeof(states) / sizeof(states[0]); i++) {
		char *path = xasprintf("%s/%s", wt->work_git_dir, states[i].name);

		if (exists(wt->work_git_dir, states[i].name)) {
			if (states[i].what != NULL)
				git_note(n, "%s had been left unfinished", states[i].what);
			rc = git_is_folder(path) ? git_remove_tree(wt, path, e) : 0;
			if (rc == 0)
				unlink(path);
		}
		free(path);
	}
	return rc;
}

/* Paths, each with its NUL, as git's -z --stdin wants them. */
struct paths {
	char *data;
	size_t size;
};

static void
paths_add(struct paths *p, const char *path)
{
	size_t n = strlen(path) + 1;

	p->data = xrealloc(p->data, p->size + n);
	memcpy(p->data + p->size, path, n);
	p->size += n;
}

/* What the steps share. */
struct content {
	struct git *wt;
	const char *env[2]; /* GIT_INDEX_FILE=... when it is not the worktree's own */
	const char *index;  /* its path */
	const char *start, *base;
	struct git_notes *notes;
};

static int
run(struct content *c, struct git_out *out, struct err *e, const char *const *argv, const struct paths *in)
{
	return git_runv(
	    c->wt, 0, out, e, argv, c->env, in != NULL ? in->data : NULL, in != NULL ? in->size : 0);
}

static int
fresh_index(struct content *c, struct err *e)
{
	const char *argv[] = {"read-tree", c->start != NULL ? c->start : "--empty", NULL};

	if (unlink(c->index) < 0 && errno != ENOENT)
		return err_sys(e, -errno, "cannot remove %s", c->index);
	return run(c, NULL, e, argv, NULL);
}

/* Is there a commit in base at path? */
static bool
link_in_base(struct content *c, const char *path)
{
	struct git_out out = {0};
	bool found = false;

	if (c->base != NULL && git_run(c->wt, 0, &out, NULL, "--literal-pathspecs", "ls-tree", "-z",
				   "--full-tree", c->base, "--", path, NULL) == 0)
		found = strncmp(out.out, "160000 ", 7) == 0;
	git_out_clear(&out);
	return found;
}

/* Does .gitmodules name path? Then it is a submodule that someone meant. */
static bool
is_declared(struct content *c, const char *path)
{
	char *file = xasprintf("%s/.gitmodules", c->wt->work_tree);
	struct git_out out = {0};
	struct stat st;
	bool found = false;

	if (lstat(file, &st) == 0 && S_ISREG(st.st_mode) &&
	    git_run(c->wt, GIT_ANY_EXIT, &out, NULL, "config", "-z", "--file", file, "--get-regexp",
		"^submodule\\..*\\.path$", NULL) == 0 &&
	    out.code == 0)
		for (const char *p = out.out; !found && p < out.out + out.size; p += strlen(p) + 1) {
			const char *value = strchr(p, '\n');

			found = value != NULL && strcmp(value + 1, path) == 0;
		}
	git_out_clear(&out);
	free(file);
	return found;
}

struct flags {
	struct paths assumed, skipped, links;
};

/* One entry of `ls-files -s -v -z`: "H 100644 <oid> 0\tpath". */
static void
read_entry(struct content *c, const char *entry, struct flags *f)
{
	const char *path = strchr(entry, '\t');

	if (path == NULL || strlen(entry) < 9)
		return;
	path++;
	if (islower((unsigned char)entry[0]))
		paths_add(&f->assumed, path);
	if (entry[0] == 'S' || entry[0] == 's')
		paths_add(&f->skipped, path);
	if (strncmp(entry + 2, "160000 ", 7) == 0 && !link_in_base(c, path) && !is_declared(c, path))
		paths_add(&f->links, path);
}

static int
update_index(struct content *c, const char *how, const struct paths *p, struct err *e)
{
	const char *argv[] = {"update-index", how, "-z", "--stdin", NULL};

	return p->size > 0 ? run(c, NULL, e, argv, p) : 0;
}

/* Moves the .git of the repository at path (relative, a slash at its end is fine) away. 1 when there was one.
 */
static int
unplant(struct content *c, const char *path, struct err *e)
{
	char *dotgit = xasprintf("%s/%s/.git", c->wt->work_tree, path);
	struct stat st;
	int rc = 0;

	if (lstat(dotgit, &st) == 0) {
		rc = git_move_aside(c->wt->work_tree, dotgit, e);
		if (rc == 0) {
			git_note(c->notes, "%s was a git repository of its own; its files were added", path);
			rc = 1;
		}
	}
	free(dotgit);
	return rc;
}

/* Clears hiding flags; takes links to repositories that only exist here out of the index. */
static int
clean_index(struct content *c, bool *changed, struct err *e)
{
	const char *argv[] = {"ls-files", "-s", "-v", "-z", NULL};
	struct flags f = {0};
	struct git_out out = {0};
	int rc = run(c, &out, e, argv, NULL);

	if (rc < 0)
		return rc;
	for (const char *p = out.out; p < out.out + out.size; p += strlen(p) + 1)
		read_entry(c, p, &f);
	rc = update_index(c, "--no-assume-unchanged", &f.assumed, e);
	if (rc == 0)
		rc = update_index(c, "--no-skip-worktree", &f.skipped, e);
	if (rc == 0)
		rc = update_index(c, "--force-remove", &f.links, e);
	for (size_t i = 0; rc >= 0 && i < f.links.size; i += strlen(f.links.data + i) + 1) {
		rc = unplant(c, f.links.data + i, e);
		*changed = true;
	}
	free(f.assumed.data);
	free(f.skipped.data);
	free(f.links.data);
	git_out_clear(&out);
	return rc < 0 ? rc : 0;
}

/* Repositories among the untracked folders: git lists them with a slash and would not look inside. */
static int
open_embedded(struct content *c, bool *changed, struct err *e)
{
	const char *argv[] = {"ls-files", "-o", "--exclude-standard", "-z", NULL};
	struct git_out out = {0};
	int rc = run(c, &out, e, argv, NULL);

	for (const char *p = out.out; rc >= 0 && p < out.out + out.size; p += strlen(p) + 1) {
		char *path = xstrdup(p);
		size_t n = strlen(path);

		if (n > 0 && path[n - 1] == '/') {
			path[n - 1] = '\0';
			if (!is_declared(c, path))
				rc = unplant(c, path, e);
			*changed |= rc == 1;
		}
		free(path);
	}
	git_out_clear(&out);
	return rc < 0 ? rc : 0;
}

/* Is there anything in base at path? */
static bool
is_in_base(struct content *c, const char *path)
{
	struct git_out out = {0};
	bool found = c->base != NULL &&
		     git_run(c->wt, 0, &out, NULL, "--literal-pathspecs", "ls-tree", "-z", "--full-tree",
			 c->base, "--", path, NULL) == 0 &&
		     out.size > 0;

	git_out_clear(&out);
	return found;
}

/* What must not become part of a commit may have been added all the same. */
static int
drop_forbidden(struct content *c, struct err *e)
{
	char *from = xasprintf("--exclude-from=%s", c->wt->forbidden == NULL ? "" : c->wt->forbidden);
	const char *argv[] = {"ls-files", "-z", "--cached", "--ignored", from, NULL};
	struct paths drop = {0};
	struct git_out out = {0};
	int rc = c->wt->forbidden == NULL ? 0 : run(c, &out, e, argv, NULL);

	for (const char *p = out.out; rc == 0 && p < out.out + out.size; p += strlen(p) + 1)
		if (!is_in_base(c, p))
			paths_add(&drop, p);
	if (rc == 0 && drop.size > 0) {
		git_note(c->notes, "%s had been copied into the worktree, and was left out of the commit",
		    drop.data);
		rc = update_index(c, "--force-remove", &drop, e);
	}
	free(drop.data);
	git_out_clear(&out);
	free(from);
	return rc;
}

static int
write_content(struct content *c, char tree[GIT_OID_HEX], struct err *e)
{
	const char *add[] = {"add", "-A", "--", ".", NULL}, *write[] = {"write-tree", NULL};
	struct git_out out = {0};
	bool changed = true;
	int rc = 0;

	for (int round = 0; rc == 0 && changed && round < EMBED_ROUNDS; round++) {
		changed = false;
		rc = clean_index(c, &changed, e);
		if (rc == 0)
			rc = open_embedded(c, &changed, e);
	}
	if (rc == 0)
		rc = run(c, NULL, e, add, NULL);
	if (rc == 0)
		rc = drop_forbidden(c, e);
	if (rc == 0)
		rc = run(c, &out, e, write, NULL);
	if (rc == 0)
		rc = git_take_oid(&out, tree, e);
	git_out_clear(&out);
	return rc;
}

int
git_content_tree(struct git *wt, const char *index, const char *start, const char *base,
    char tree[GIT_OID_HEX], struct git_notes *n, struct err *e)
{
	char *own = index != NULL ? xstrdup(index) : xasprintf("%s/index", wt->work_git_dir);
	char *env = xasprintf("GIT_INDEX_FILE=%s", own);
	struct content c = {
	    .wt = wt, .env = {env, NULL}, .index = own, .start = start, .base = base, .notes = n};
	struct stat st;
	bool fresh = lstat(own, &st) < 0 || !S_ISREG(st.st_mode);
	int rc = fresh ? fresh_index(&c, e) : 0;

	if (rc == 0)
		rc = write_content(&c, tree, e);
	if (rc == -EIO && !fresh) { /* its index, perhaps: once more without it */
		rc = fresh_index(&c, e);
		if (rc == 0)
			rc = write_content(&c, tree, e);
	}
	free(own);
	free(env);
	return rc;
}
