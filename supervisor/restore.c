/* restore: a run that another machine has saved, told by a client line by line, becomes a run of this orchd.
 */
#include "supervisor/daemon.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "supervisor/portable.h"

#include <errno.h>
#include <string.h>

int
restore_row(struct client *c, const char *row, struct err *e)
{
	int rc = portable_read(&c->restore, row, e);

	if (rc < 0) {
		run_free(c->restore);
		c->restore = NULL;
	}
	return rc;
}

/* What was a moment of the other machine's: its clock, its options. */
static void
settle_in(struct run *r, int64_t now)
{
	struct task *t;

	if (r->created_at > now)
		r->created_at = now;
	if (r->started_at > now || r->started_at == 0)
		r->started_at = now;
	if (r->asked_at > now)
		r->asked_at = now;
	TAILQ_FOREACH (t, &r->tasks, entry) {
		t->unit.grace_ms = (int64_t)r->conf.stop_grace_ms;
		t->unit.parked_retry_ms = (int64_t)r->conf.parked_retry_ms;
		t->unit.parked_give_up_ms = (int64_t)r->conf.parked_ms;
	}
}

int
restore_take(struct client *c, const struct msg_run_submit *m, struct run **out, struct err *e)
{
	struct run *r = c->restore;
	int rc = portable_check(r, e);

	if (rc < 0)
		return rc;
	if (m->issue == NULL || strcmp(r->issue, m->issue) != 0)
		return err_set(e, -EINVAL, "the saved state is of issue %s", r->issue);
	if (store_has_run(c->d->store, r->id) || runs_find(&c->d->runs, r->id) != NULL)
		return err_set(e, -EEXIST, "run %s is here already: nothing is taken from elsewhere", r->id);
	r->daemon = c->d;
	xreplace(&r->options, m->options_json);
	xreplace(&r->checkout, m->checkout);
	rc = run_thaw(r, e);
	if (rc == 0)
		rc = portable_check_branches(r, r->conf.branch_prefix, e);
	if (rc < 0)
		return rc;
	settle_in(r, clock_wall_ms());
	c->restore = NULL;
	*out = r;
	return 0;
}
