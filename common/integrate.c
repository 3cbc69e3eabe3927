/* integrate: merge in memory, gate in a detached worktree, move the branch by compare-and-swap (integrate.h).
 */
#include "common/integrate.h"

#include "common/alloc.h"
#include "common/git_impl.h"
#include "common/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EVIDENCE_MAX (16 * 1024)
#define TRIES 2 /* of merging onto a branch that someone else moves */

/* Grows a text. */
static void
append(char **text, const char *more)
{
	char *all = xasprintf("%s%s", *text, more);

	free(*text);
	*text = all;
}

/*
 * `git merge-tree -z --name-only` prints the tree, then the conflicting paths, an empty one, then messages as
 * count, paths, kind, text. Fills in the evidence: paths, then what git says about them. Returns the paths.
 */
static size_t
read_conflict(const struct git_out *out, char **evidence)
{
	const char *end = out->out + out->size, *p = out->out + strlen(out->out) + 1;
	char *text = xstrdup("Conflicting files:\n");
	size_t count = 0;

	for (; p < end && *p != '\0'; p += strlen(p) + 1) {
		char *line = text_utf8(p, strlen(p), 1024);

		if (strlen(text) < EVIDENCE_MAX / 2) {
			append(&text, "- ");
			append(&text, line);
			append(&text, "\n");
		}
		free(line);
		count++;
	}
	append(&text, "\ngit says:\n");
	for (p++; p < end && strlen(text) < EVIDENCE_MAX;) {
		size_t skip = strtoul(p, NULL, 10) + 2; /* the count itself, its paths, the kind */

		while (skip-- > 0 && p < end)
			p += strlen(p) + 1;
		if (p >= end)
			break;
		append(&text, p);
		p += strlen(p) + 1;
	}
	*evidence = text_utf8(text, strlen(text), EVIDENCE_MAX);
	free(text);
	return count;
}

/* 1 with the tree of the merge, 0 with r filled for a conflict, -errno. */
static int
merge_tree(const struct integrate_spec *s, const char *tip, const char *head, char tree[GIT_OID_HEX],
    struct integrate_result *r, struct err *e)
{
	struct git_out out = {0};
	struct err why = {0};
	int rc = git_run(s->git, GIT_ANY_EXIT, &out, &why, "merge-tree", "--write-tree", "-z", "--name-only",
	    "--messages", tip, head, NULL);

	if (rc == 0 && out.code > 1)
		rc = -EIO;
	if (rc < 0) {
		err_set(e, rc, "%s", why.msg);
	} else if (out.code == 0) {
		rc = git_take_oid(&out, tree, e);
		rc = rc < 0 ? rc : 1;
	} else {
		size_t count = read_conflict(&out, &r->evidence);

		r->verdict = INTEGRATE_CONFLICT;
		r->reason = xasprintf("%.12s conflicts with %s (now at %.12s) in %zu %s", head, s->branch,
		    tip, count, count == 1 ? "file" : "files");
	}
	git_out_clear(&out);
	return rc;
}

/* A worktree with exactly commit in it; what cannot be put right is made again. */
static int
prepare_worktree(const struct integrate_spec *s, const char *commit, struct err *e)
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
	if (rc == 0 && s->furnish != NULL)
		rc = s->furnish(s->arg, e);
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

	return prepare_worktree(t->s, t->commit, e);
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

/* 1 when it may be kept, 0 red with r filled, -errno. */
static int
gate(const struct integrate_spec *s, const char *commit, struct integrate_result *r, struct err *e)
{
	struct tree tree = {s, commit};
	const struct gate_trial trial = {.verify = s->verify,
	    .setup = s->setup,
	    .setup_timeout_ms = s->setup_timeout_ms,
	    .dir = s->worktree,
	    .env = s->gate_env,
	    .timeout_ms = s->gate_timeout_ms,
	    .known = s->gate_known,
	    .fresh = fresh_tree,
	    .arg = &tree};
	struct gate_result g = {0};
	enum gate_verdict verdict;
	int rc;

	if (s->verify == NULL)
		return 1;
	free(r->note); /* of a try on a branch that has moved since */
	r->note = NULL;
	rc = gate_judge(s->git->loop, &trial, &verdict, &g, &r->note, e);
	if (rc < 0)
		return rc;
	tidy_worktree(s, commit);
	r->gate_ms += g.duration_ms > 0 ? g.duration_ms : 1;
	r->green = verdict == GATE_GREEN || verdict == GATE_FLAKY;
	if (verdict == GATE_RED)
		fill_red(s, &g, r);
	gate_result_clear(&g);
	return verdict != GATE_RED;
}

/* One try. 0 with r filled, -ESTALE when the branch moved meanwhile, other -errno. */
static int
merge_once(const struct integrate_spec *s, const char *head, struct integrate_result *r, struct err *e)
{
	char tip[GIT_OID_HEX], tree[GIT_OID_HEX], merged[GIT_OID_HEX];
	char *ref = xasprintf("refs/heads/%s", s->branch);
	const char *parents[] = {tip, head, NULL};
	int rc = git_resolve(s->git, ref, tip, e);

	free(ref);
	if (rc < 0)
		return rc;
	strcpy(r->head, tip);
	rc = git_is_ancestor(s->git, head, tip, e);
	if (rc != 0) {
		r->verdict = INTEGRATE_MERGED;
		return rc < 0 ? rc : 0;
	}
	rc = merge_tree(s, tip, head, tree, r, e);
	if (rc <= 0)
		return rc;
	rc = git_make_commit(s->git, tree, parents, s->message, merged, e);
	if (rc == 0)
		rc = gate(s, merged, r, e);
	if (rc <= 0)
		return rc;
	rc = git_update_branch(s->git, s->branch, merged, tip, e);
	if (rc < 0)
		return rc;
	strcpy(r->head, merged);
	r->verdict = INTEGRATE_MERGED;
	return 0;
}

int
integrate_run(const struct integrate_spec *s, struct integrate_result *r, struct err *e)
{
	struct integrate_result done = {0};
	char head[GIT_OID_HEX];
	int rc = git_resolve(s->git, s->head, head, e);

	for (int i = 0; rc == 0 && i < TRIES; i++) {
		rc = merge_once(s, head, &done, e);
		if (rc != -ESTALE)
			break;
		if (i + 1 < TRIES)
			rc = 0;
	}
	if (rc < 0)
		integrate_result_clear(&done);
	else
		*r = done;
	return rc;
}

void
integrate_result_clear(struct integrate_result *r)
{
	free(r->reason);
	free(r->evidence);
	free(r->note);
	memset(r, 0, sizeof(*r));
}
