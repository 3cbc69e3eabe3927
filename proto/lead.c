/* lead: the loop that takes submissions in and cleans up (see lead.h; the plan is in lead_plan.c). */
#include "proto/lead.h"

#include "common/alloc.h"
#include "common/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void
lead_clear(struct lead *ld)
{
	plan_clear(&ld->plan);
	free(ld->plan_json);
	memset(ld, 0, sizeof(*ld));
}

/* Marks the child whose task it was, if it still is as dead as it was. */
static int
clean_child(struct lead *ld, struct team_child *c, struct err *e)
{
	char *key = xstrdup(c->key);
	int rc;

	/* A CHILD that comes while we sweep unmarks it again when it has come back to life (a retry). */
	c->cleaned = true;
	rc = lead_sweep(ld->role, c, e);
	if (rc < 0 && (c = team_find(&ld->role->team, key)) != NULL)
		c->cleaned = false;
	free(key);
	return rc;
}

/* Until a child changes, with whoever has something to do meanwhile. */
static int
wait_for_children(struct lead *ld)
{
	struct role *r = ld->role;
	int64_t until = ld->spare == NULL ? -1 : ld->spare(ld->spare_arg);
	int rc;

	link_doing(r->link, "waiting for %zu of %zu tasks", team_count(&r->team).open, r->team.count);
	rc = loop_wait(&r->loop, &r->team.changed, until);
	return rc == -ETIMEDOUT ? 0 : rc;
}

int
lead_serve(struct lead *ld, struct err *e)
{
	struct role *r = ld->role;

	for (;;) {
		struct team_child *c;
		int rc = 0;

		r->team.changed = false;
		switch (team_next(&r->team, ld->cancelled, &c)) {
		case TEAM_INTEGRATE:
			rc = lead_merge(ld, e);
			break;
		case TEAM_CLEAN:
			rc = clean_child(ld, c, e);
			break;
		case TEAM_WAIT:
			rc = wait_for_children(ld);
			break;
		case TEAM_DONE:
			return lead_remove_worktree(ld, e);
		}
		if (rc < 0)
			return rc;
	}
}

int
lead_remove_worktree(struct lead *ld, struct err *e)
{
	role_remove_tmp(ld->role, ld->role->assign->task);
	return git_worktree_remove(&ld->role->git, ld->role->worktree, e);
}
