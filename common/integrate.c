/* integrate: the row of merges, what of it is kept, and who is to blame (see integrate.h). */
#include "common/integrate_impl.h"

#include "common/alloc.h"
#include "common/git_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 3 /* in a row, of merging onto a branch that someone else moves */

enum fate {
	WAITS, /* neither in the branch nor answered for */
	KEPT,  /* in the branch; it is still to be said */
	OVER,
};

struct row {
	size_t item;
	char commit[GIT_OID_HEX]; /* the merge of it onto the one before */
};

struct integrate {
	struct integrate_spec s;
	const struct integrate_item *items;
	size_t count;
	enum fate *fates;
	char tip[GIT_OID_HEX]; /* of the branch */
	struct row *row;       /* what is tried together */
	size_t at, length;     /* of the row: the first that is not in the branch, and its end */
	struct batch batch;
	int known; /* of the gate on tip */
	unsigned stale;
	/* For the next result. */
	char *note;
	bool green;
	int64_t gate_ms;
};

struct integrate *
integrate_new(const struct integrate_spec *s, const struct integrate_item *items, size_t count)
{
	struct integrate *in = xcalloc(1, sizeof(*in));

	in->s = *s;
	in->items = items;
	in->count = count;
	in->known = s->gate_known;
	in->fates = xcalloc(count + 1, sizeof(*in->fates));
	in->row = xcalloc(count + 1, sizeof(*in->row));
	return in;
}

void
integrate_free(struct integrate *in)
{
	if (in == NULL)
		return;
	free(in->fates);
	free(in->row);
	free(in->note);
	free(in);
}

static int
read_tip(struct integrate *in, struct err *e)
{
	char *ref = xasprintf("refs/heads/%s", in->s.branch);
	int rc = git_resolve(in->s.git, ref, in->tip, e);

	free(ref);
	return rc;
}

/* Gives r what has come up since the last result. */
static int
say(struct integrate *in, size_t item, struct integrate_result *r)
{
	r->item = item;
	strcpy(r->head, in->tip);
	r->gate_ms = in->gate_ms;
	if (r->verdict == INTEGRATE_MERGED) {
		r->note = in->note;
		r->green = in->green;
		in->note = NULL;
	}
	in->gate_ms = 0;
	in->fates[item] = OVER;
	return 1;
}

/*
 * Merges one more on top of the row. 1 when it is in (or the branch had it already), 0 when it conflicts:
 * with the branch itself when the row is empty, and then r says how.
 */
static int
extend_row(struct integrate *in, size_t item, struct integrate_result *r, struct err *e)
{
	const struct integrate_item *it = &in->items[item];
	const char *top = in->length == 0 ? in->tip : in->row[in->length - 1].commit;
	const char *parents[] = {top, it->head, NULL};
	struct row *next = &in->row[in->length];
	char tree[GIT_OID_HEX];
	int rc = git_is_ancestor(in->s.git, it->head, top, e);

	if (rc < 0)
		return rc;
	if (rc == 1) {
		strcpy(next->commit, top);
	} else {
		rc = integrate_merge(&in->s, top, it->head, tree, r, e);
		if (rc <= 0)
			return rc;
		rc = git_make_commit(in->s.git, tree, parents, it->message, next->commit, e);
	}
	if (rc < 0)
		return rc;
	next->item = item;
	in->length++;
	return 1;
}

/* A fresh row of all that wait, but those that conflict with one before them: their turn comes when that is
 * in the branch, or is not. 1 with r when the first conflicts with the branch itself. */
static int
make_row(struct integrate *in, struct integrate_result *r, struct err *e)
{
	size_t most = in->known == 0 ? in->count : 1;
	int rc = read_tip(in, e);

	in->at = in->length = 0;
	for (size_t i = 0; rc >= 0 && i < in->count && in->length < most; i++) {
		if (in->fates[i] != WAITS)
			continue;
		rc = extend_row(in, i, r, e);
		if (rc == 0 && in->length == 0)
			return say(in, i, r);
		if (rc == 0)
			integrate_result_clear(r);
	}
	in->batch = (struct batch){.left = in->length};
	return rc < 0 ? rc : 0;
}

/* Drops what is not wanted any more. False when the row has to be made anew without it. */
static bool
still_wanted(struct integrate *in, size_t n)
{
	bool all = true;

	for (size_t i = in->at; in->s.wanted != NULL && i < in->at + n; i++)
		if (!in->s.wanted(in->s.arg, in->row[i].item)) {
			in->fates[in->row[i].item] = OVER;
			all = false;
		}
	return all;
}

/* Moves the branch to the n-th of what is left of the row. */
static int
keep(struct integrate *in, size_t n, struct err *e)
{
	const char *commit = in->row[in->at + n - 1].commit;
	int rc = 0;

	if (!still_wanted(in, n)) {
		in->length = in->at;
		return 0;
	}
	if (strcmp(commit, in->tip) != 0)
		rc = git_update_branch(in->s.git, in->s.branch, commit, in->tip, e);
	if (rc == -ESTALE && ++in->stale < TRIES) {
		in->length = in->at;
		return 0;
	}
	if (rc < 0)
		return rc;
	in->stale = 0;
	strcpy(in->tip, commit);
	for (size_t i = 0; i < n; i++)
		in->fates[in->row[in->at + i].item] = KEPT;
	in->at += n;
	batch_told(&in->batch, n, true);
	return 0;
}

/* One run of the gate on as many as are worth it. 1 with r when the first of them is to blame. */
static int
try_row(struct integrate *in, struct integrate_result *r, struct err *e)
{
	size_t n = batch_next(&in->batch);
	const char *commit = in->row[in->at + n - 1].commit;
	int rc = 1;

	/* What the branch held already, when we came, was gated then. */
	if (strcmp(commit, in->tip) != 0)
		rc = integrate_gate(&in->s, commit, in->known, !batch_tries_twice(&in->batch), r, e);
	if (rc < 0)
		return rc;
	in->gate_ms += r->gate_ms;
	free(in->note);
	in->note = r->note;
	r->note = NULL;
	in->green = r->green;
	if (rc == 1) {
		if (in->green)
			in->known = 0;
		rc = keep(in, n, e);
	} else if (batch_told(&in->batch, n, false)) {
		in->length = in->at; /* the others are merged anew, without it */
		return say(in, in->row[in->at].item, r);
	}
	integrate_result_clear(r);
	return rc;
}

int
integrate_next(struct integrate *in, struct integrate_result *r, struct err *e)
{
	for (;;) {
		bool waits = false;
		int rc;

		memset(r, 0, sizeof(*r));
		for (size_t i = 0; i < in->count; i++) {
			if (in->fates[i] == KEPT)
				return say(in, i, r);
			waits |= in->fates[i] == WAITS;
		}
		if (!waits)
			return 0;
		rc = in->at == in->length ? make_row(in, r, e) : try_row(in, r, e);
		if (rc != 0) {
			if (rc < 0)
				integrate_result_clear(r);
			return rc;
		}
	}
}

void
integrate_result_clear(struct integrate_result *r)
{
	free(r->reason);
	free(r->evidence);
	free(r->note);
	memset(r, 0, sizeof(*r));
}
