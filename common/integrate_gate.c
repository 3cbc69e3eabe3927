/* integrate_gate: the gate on a commit that nobody has checked out (integrate_impl.h). */
#include "common/integrate_impl.h"

#include "common/alloc.h"
#include "common/git_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What cannot be put right is made again. */
int
integrate_checkout(const struct integrate_spec *s, const char *commit, struct err *e)
{
	int rc = -EIO;

	for (int round = 0; rc < 0 && rc != -ECANCELED && round < 2; round++) {
		struct git wt = {0};

		if (round > 0 && (rc = git_worktree_remove(s->git, s->worktree, e)) < 0)
			return rc;
		rc = git_worktree_add(s->git, s->worktree, NULL, commit, e);
		if (rc == 0)
			rc = git_init_worktree(&wt, s->git, s->worktree, e);
		if (rc == 0)
			rc = git_worktree_exact(&wt, commit, e);
		git_clear(&wt);
	}
	return rc;
}

/* What the gate built or changed does not stay: the next merge must not meet it. */
static void
tidy_worktree(const struct integrate_spec *s, const char *commit)
{
	struct git wt;

	if (git_init_worktree(&wt, s->git, s->worktree, NULL) < 0)
		return;
	git_worktree_exact(&wt, commit, NULL);
	git_clear(&wt);
}

struct tree {
	const struct integrate_spec *s;
	const char *commit;
};

static int
fresh_tree(void *arg, struct err *e)
{
	const struct tree *t = arg;

	int rc = integrate_checkout(t->s, t->commit, e);

	return rc == 0 && t->s->furnish != NULL ? t->s->furnish(t->s->arg, e) : rc;
}

static void
fill_red(const struct integrate_spec *s, const struct gate_result *g, struct integrate_result *r)
{
	char *summary = gate_summary(s->verify, g);

	r->verdict = INTEGRATE_RED;
	r->reason = xasprintf("merged into %s, %s", s->branch, summary);
	r->evidence = xstrdup(g->output);
	free(summary);
}

int
integrate_gate(const struct integrate_spec *s, const char *commit, int known, bool once,
    struct integrate_result *r, struct err *e)
{
	struct tree tree = {s, commit};
	struct gate_trial trial = {.verify = s->verify,
	    .setup = s->setup,
	    .setup_timeout_ms = s->setup_timeout_ms,
	    .dir = s->worktree,
	    .env = s->gate_env,
	    .timeout_ms = s->gate_timeout_ms,
	    .known = known,
	    .once = once,
	    .fresh = fresh_tree,
	    .arg = &tree};
	struct gate_result g = {0};
	enum gate_verdict verdict;
	json_t *areas = NULL;
	int rc = s->more == NULL ? 0 : s->more(s->arg, commit, &areas, e);

	trial.areas = areas;
	if (rc == 0 && s->verify == NULL && areas == NULL)
		return 1;
	if (rc == 0)
		rc = gate_judge(s->git->loop, &trial, &verdict, &g, &r->note, e);
	if (rc < 0) {
		json_decref(areas);
		return rc;
	}
	tidy_worktree(s, commit);
	r->gate_ms += g.duration_ms > 0 ? g.duration_ms : 1;
	r->green = verdict == GATE_GREEN || verdict == GATE_FLAKY;
	if (verdict == GATE_RED)
		fill_red(s, &g, r);
	gate_result_clear(&g);
	json_decref(areas);
	return verdict != GATE_RED;
}
