/*
 * cmd_clean: orchctl clean: forgets ended runs. What their tasks left in the file system is saved to
 * refs/orch/wip first and removed then; saved work goes only with --all, a work branch never.
 */
#include "supervisor/ctl/cmds.h"

#include "common/agent.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/git.h"
#include "common/taskid.h"
#include "supervisor/ctl/ctl.h"
#include "proto/view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEAVING_MS 30000
#define LOOK_MS 50

struct cleaner {
	struct ctl *ctl;
	struct git git;
	bool drop_saved;
};

static void
on_item(void *arg, const struct msg *m)
{
	view_put(arg, m, NULL);
}

static bool
exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static int
clean_worktree(struct cleaner *k, const struct msg_task_info *t, struct err *e)
{
	char *path = taskid_worktree(k->ctl->repo.worktrees, t->task), name[TASKID_MAX];
	bool saved = false;
	int rc = 0;

	if (exists(path)) {
		taskid_flat(name, t->task);
		rc = git_save_wip(&k->git, path, name, NULL, &saved, NULL, e);
		if (rc == 0 && saved && !k->drop_saved)
			printf("  saved unfinished work of %s as refs/orch/wip/%s\n", t->task, name);
		if (rc == 0)
			rc = git_worktree_remove(&k->git, path, e);
		if (rc == 0)
			printf("  removed the worktree of %s\n", t->task);
	}
	free(path);
	return rc;
}

static int
drop_saved(struct cleaner *k, const struct msg_task_info *t, struct err *e)
{
	char *ref = taskid_wip_ref(t->task), oid[GIT_OID_HEX];
	int rc = git_resolve(&k->git, ref, oid, e);

	if (rc == 0) {
		rc = git_update_ref(&k->git, ref, NULL, oid, "orchctl clean --all", e);
		if (rc == 0)
			printf("  dropped %s (it was %.12s)\n", ref, oid);
	} else if (rc == -ENOENT) {
		rc = 0;
	}
	free(ref);
	return rc;
}

static int
clean_task(struct cleaner *k, const struct msg_task_info *t, struct err *e)
{
	char *home = taskid_home(k->ctl->repo.worktrees, t->task), *tmp = agent_tmpdir(home);
	int rc = clean_worktree(k, t, e);

	if (rc == 0 && ((rc = fd_remove_tree(home)) < 0 || (rc = fd_remove_tree(tmp)) < 0))
		err_sys(e, rc, "cannot remove all of %s and %s", home, tmp);
	if (rc == 0 && k->drop_saved)
		rc = drop_saved(k, t, e);
	free(home);
	free(tmp);
	return rc;
}

static bool
is_leaving(const struct view_run *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->tasks[i].info->unit != NULL && strcmp(r->tasks[i].info->unit, "none") != 0)
			return true;
	return false;
}

/* What orchd says of an ended run; its last processes may still save their work and leave. */
static int
ask_for_run(struct cleaner *k, const char *id, struct view *v, const struct view_run **r)
{
	int64_t deadline = clock_now_ms() + LEAVING_MS;
	const bool never = false;

	for (;;) {
		struct msg ask = {.id = MSG_STATUS, .status = {.run = id}};
		int rc;

		view_init(v);
		rc = ctl_ask(k->ctl, &ask, on_item, v);
		*r = rc == CTL_OK ? view_run(v, id) : NULL;
		if (*r == NULL || !is_leaving(*r) || clock_now_ms() >= deadline ||
		    loop_wait(&k->ctl->loop, &never, clock_now_ms() + LOOK_MS) != -ETIMEDOUT)
			return rc;
		view_clear(v);
	}
}

/* A run is forgotten last: when something stays, the next clean finds it again. */
static int
clean_run(struct cleaner *k, const char *id)
{
	struct msg forget = {.id = MSG_FORGET};
	const struct view_run *r;
	struct err e = {""};
	struct view v;
	int rc = ask_for_run(k, id, &v, &r);

	if (r != NULL && r->msg != NULL) {
		printf("%s (%s): %s\n", id, r->info->state,
		    r->info->branch != NULL ? r->info->branch : "no branch");
		for (size_t i = 0; i < r->count && rc == CTL_OK; i++) {
			int err = clean_task(k, r->tasks[i].info, &e);

			if (err < 0)
				rc = ctl_fail(err, &e);
		}
		forget.forget.run = id;
		if (rc == CTL_OK)
			rc = ctl_ask(k->ctl, &forget, NULL, NULL);
	}
	view_clear(&v);
	return rc;
}

static int
clean_all(struct ctl *c, const struct view *v)
{
	struct cleaner k = {.ctl = c, .drop_saved = c->args.all};
	size_t ended = 0, kept = 0;
	int rc = CTL_OK;

	git_init(&k.git, &c->loop, c->repo.git_dir);
	for (size_t i = 0; i < v->run_count && rc == CTL_OK; i++) {
		if (!view_run_ended(v->runs[i])) {
			kept++;
			continue;
		}
		ended++;
		rc = clean_run(&k, v->runs[i]->id);
	}
	git_clear(&k.git);
	if (rc == CTL_OK && ended == 0)
		puts("nothing to clean");
	else if (rc == CTL_OK)
		printf("cleaned %zu run%s; their branches are kept\n", ended, ended == 1 ? "" : "s");
	if (kept > 0)
		ctl_say("%zu unfinished run%s kept", kept, kept == 1 ? " is" : "s are");
	return rc;
}

int
cmd_clean(struct ctl *c)
{
	struct msg m = {.id = MSG_STATUS};
	struct view v;
	int rc;

	if (ctl_never_ran(c)) {
		puts("nothing to clean");
		return CTL_OK;
	}
	view_init(&v);
	m.status.all = true;
	rc = ctl_connect(c);
	if (rc == CTL_OK)
		rc = ctl_ask(c, &m, on_item, &v);
	if (rc == CTL_OK)
		rc = clean_all(c, &v);
	view_clear(&v);
	return rc;
}
