/*
 * lead_sweep: what an ended child leaves behind, and its own children with it when it did not live to clean
 * up: worktrees, homes stay (a run is cleaned as a whole), branches. Nothing that no branch holds is thrown
 * away.
 */
#include "proto/lead.h"

#include "common/alloc.h"
#include "common/json.h"
#include "common/log.h"
#include "common/taskid.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The child as it was at first: the team's own list moves while the loop runs. */
struct swept {
	char *task;
	char flat[TASKID_MAX];
	bool integrated;
};

/* "25-em1-w2" is 25-em1 or below it; 25-em10 is not. */
static bool
is_below(const char *name, const char *flat)
{
	size_t n = strlen(flat);

	return strncmp(name, flat, n) == 0 && (name[n] == '\0' || name[n] == '-');
}

/* Fresh names that belong to the child or below it. */
struct names {
	const char *flat;
	char **list;
	size_t count;
};

static void
add_name(struct names *v, const char *name)
{
	if (!is_below(name, v->flat))
		return;
	for (size_t i = 0; i < v->count; i++)
		if (strcmp(v->list[i], name) == 0)
			return;
	v->list = xrealloc(v->list, (v->count + 2) * sizeof(*v->list));
	v->list[v->count++] = xstrdup(name);
	v->list[v->count] = NULL;
}

/* A removal that was cut short (the lead was killed in it) has left git's record and no folder. */
static int
add_recorded(struct role *r, const char *dir, struct names *v, struct err *e)
{
	char *real = realpath(dir, NULL), **paths = NULL;
	int rc = real == NULL ? 0 : git_worktrees_below(&r->git, real, &paths, e);

	for (size_t i = 0; rc == 0 && paths != NULL && paths[i] != NULL; i++) {
		const char *name = paths[i] + strlen(real) + 1;

		if (strchr(name, '/') == NULL)
			add_name(v, name);
	}
	git_free_paths(paths);
	free(real);
	return rc;
}

/* Names of worktrees that belong to the child or below it, by their folders and by git's records. strv_free.
 */
static int
find_worktrees(struct role *r, const char *flat, char ***names, struct err *e)
{
	char *dir = xasprintf("%s/wt", r->assign->state_dir);
	struct names v = {.flat = flat, .list = xcalloc(1, sizeof(*v.list))};
	DIR *d = opendir(dir);
	struct dirent *entry;
	int rc;

	while (d != NULL && (entry = readdir(d)) != NULL)
		add_name(&v, entry->d_name);
	if (d != NULL)
		closedir(d);
	rc = add_recorded(r, dir, &v, e);
	if (rc == 0)
		*names = v.list;
	else
		strv_free(v.list);
	free(dir);
	return rc;
}

/*
 * The task of a flat name that is the child's or below it: "25-em1-w2" is 25/em1/w2. What is no task's name,
 * something left beside a worktree, is the child's. Caller frees.
 */
static char *
task_of(const struct swept *c, const char *name)
{
	size_t n = strlen(c->flat);
	char *task = name[n] == '\0' ? xstrdup(c->task) : xasprintf("%s/%s", c->task, name + n + 1);

	if (!taskid_valid(task))
		xreplace(&task, c->task);
	return task;
}

static int
tell_saved(struct role *r, const char *task, const char *name, const char *what, struct err *e)
{
	char *ref = xasprintf("refs/orch/wip/%s", name), *text = xasprintf("%s kept in %s", what, ref);
	int rc = role_saved(r, task, ref, text, e);

	free(ref);
	free(text);
	return rc;
}

/* Work saved when the task was once stopped went on from there: with the task integrated nothing of it is
 * missing. */
static int
drop_saved(struct role *r, const char *task, const char *name, struct err *e)
{
	char *ref = xasprintf("refs/orch/wip/%s", name);
	char oid[GIT_OID_HEX];
	int rc = git_resolve(&r->git, ref, oid, e);

	if (rc == 0)
		rc = git_update_ref(&r->git, ref, NULL, oid, "integrated", e);
	if (rc == 0)
		rc = role_saved(r, task, "", "the work that was saved meanwhile is part of the result", e);
	free(ref);
	return rc == -ENOENT ? 0 : rc;
}

/* What is in it and in no commit is saved first. */
static int
sweep_worktree(struct role *r, const struct swept *c, const char *name, struct err *e)
{
	char *path = xasprintf("%s/wt/%s", r->assign->state_dir, name), *task = task_of(c, name);
	bool saved = false;
	int rc = git_save_wip(&r->git, path, name, NULL, &saved, NULL, e);

	if (rc == 0 && saved)
		rc = tell_saved(r, task, name, "its uncommitted work is", e);
	else if (rc == 0 && c->integrated)
		rc = drop_saved(r, task, name, e);
	if (rc == 0)
		rc = git_worktree_remove(&r->git, path, e);
	free(path);
	free(task);
	return rc;
}

/* A lead's own worktree, where it planned and merged, holds nobody's work. The child's own is removed in any
 * case: of one that was hardly begun there may be neither a folder nor a record that names it. */
static int
sweep_worktrees(struct role *r, const struct swept *c, struct err *e)
{
	bool lead = taskid_level(c->task) < 2;
	char **names = NULL, *own;
	int rc = find_worktrees(r, c->flat, &names, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && names[i] != NULL; i++)
		if (!lead || strcmp(names[i], c->flat) != 0)
			rc = sweep_worktree(r, c, names[i], e);
	strv_free(names);
	if (rc < 0)
		return rc;
	own = xasprintf("%s/wt/%s", r->assign->state_dir, c->flat);
	rc = git_worktree_remove(&r->git, own, e);
	free(own);
	return rc;
}

/* The branches of the child and below it as "<tip> <full name>", children before parents; strv_free. */
static int
find_branches(struct role *r, const char *branch, char ***refs, struct err *e)
{
	char *own = xasprintf("refs/heads/%s", branch), *below = xasprintf("refs/heads/%s-w*", branch), *save,
	     *line;
	struct git_out out = {0};
	char **list = xcalloc(1, sizeof(*list));
	size_t n = 0;
	int rc = git_run(&r->git, 0, &out, e, "for-each-ref", "--sort=-refname",
	    "--format=%(objectname) %(refname)", own, below, NULL);

	if (rc == 0) {
		for (line = strtok_r(out.out, "\n", &save); line != NULL;
		     line = strtok_r(NULL, "\n", &save)) {
			list = xrealloc(list, (n + 2) * sizeof(*list));
			list[n++] = xstrdup(line);
			list[n] = NULL;
		}
		git_out_clear(&out);
	}
	free(own);
	free(below);
	if (rc < 0)
		strv_free(list);
	else
		*refs = list;
	return rc;
}

/* Does a branch or a saved ref other than this one hold the commit? 1, 0 or -errno. */
static int
is_held(struct role *r, const char *ref, const char *tip, struct err *e)
{
	struct git_out out = {0};
	char *save, *line;
	int rc = git_run(&r->git, 0, &out, e, "for-each-ref", "--contains", tip, "--format=%(refname)",
	    "refs/heads/", "refs/orch/wip/", NULL);

	if (rc < 0)
		return rc;
	for (line = strtok_r(out.out, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		if (strcmp(line, ref) != 0)
			rc = 1;
	git_out_clear(&out);
	return rc;
}

/* flat: the task's name for the saved ref. */
static int
sweep_branch(
    struct role *r, const struct swept *c, const char *ref, const char *tip, const char *flat, struct err *e)
{
	const char *branch = ref + strlen("refs/heads/");
	int rc = is_held(r, ref, tip, e);

	if (rc == 0) {
		char *wip = xasprintf("refs/orch/wip/%s", flat);

		rc = git_update_ref(&r->git, wip, tip, NULL, "work of a task that has ended", e);
		free(wip);
		if (rc == 0) {
			char *task = task_of(c, flat), *what = xasprintf("the commits of %s are", branch);

			rc = tell_saved(r, task, flat, what, e);
			free(task);
			free(what);
		}
	}
	return rc < 0 ? rc : git_update_branch(&r->git, branch, NULL, tip, e);
}

static int
sweep_branches(struct role *r, const struct swept *c, const char *branch, struct err *e)
{
	char **refs;
	int rc = find_branches(r, branch, &refs, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && refs[i] != NULL; i++) {
		char *tip = refs[i], *ref = strchr(tip, ' '), *name;

		*ref++ = '\0';
		/* What follows the child's branch name is what follows its task's: "-w2". */
		name = xasprintf("%s%s", c->flat, ref + strlen("refs/heads/") + strlen(branch));
		rc = sweep_branch(r, c, ref, tip, name, e);
		free(name);
	}
	strv_free(refs);
	return rc;
}

int
lead_sweep(struct role *r, const struct team_child *child, struct err *e)
{
	struct swept c = {.task = xstrdup(child->task), .integrated = child->state == TEAM_INTEGRATED};
	char *branch = xstrdup(child->branch);
	int rc;

	taskid_flat(c.flat, c.task);
	role_remove_tmp(r, c.task);
	rc = sweep_worktrees(r, &c, e);
	if (rc == 0 && branch != NULL && *branch != '\0')
		rc = sweep_branches(r, &c, branch, e);
	if (rc < 0 && rc != -ECANCELED)
		err_prefix(e, rc, "cleaning up behind %s", c.task);
	free(c.task);
	free(branch);
	return rc;
}

/* One that is a worker's: "25-em1-w2"; what is left of others is nobody's work. */
static int
save_worktree(struct role *r, const char *run, const char *name, struct err *e)
{
	const char *rest = name + strlen(run);
	char *path, *task;
	unsigned em, w;
	bool saved = false;
	int n = 0, rc;

	if (sscanf(rest, "-em%4u-w%4u%n", &em, &w, &n) != 2 || rest[n] != '\0')
		return 0;
	path = xasprintf("%s/wt/%s", r->assign->state_dir, name);
	task = xasprintf("%s/em%u/w%u", run, em, w);
	rc = git_save_wip(&r->git, path, name, NULL, &saved, NULL, e);
	if (rc == 0 && saved)
		rc = tell_saved(r, task, name, "its uncommitted work is", e);
	free(path);
	free(task);
	return rc;
}

int
lead_save_worktrees(struct role *r, struct err *e)
{
	const char *run = r->assign->run;
	char **names = NULL;
	int rc = find_worktrees(r, run, &names, e);

	for (size_t i = 0; rc == 0 && names[i] != NULL; i++)
		rc = save_worktree(r, run, names[i], e);
	if (names != NULL)
		strv_free(names);
	return rc;
}
