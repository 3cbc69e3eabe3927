/* integrate_merge: two commits merged in memory, and what git says where it cannot (integrate_impl.h). */
#include "common/integrate_impl.h"

#include "common/alloc.h"
#include "common/git_impl.h"
#include "common/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EVIDENCE_MAX (16 * 1024)

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
int
integrate_merge(const struct integrate_spec *s, const char *tip, const char *head, char tree[GIT_OID_HEX],
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
