/* upstream: see upstream.h. */
#include "director/upstream.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "director/push_role.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FETCH_TIMEOUT_MS 600000
#define FETCH_TRIES 3
#define FILES_SHOWN 3
#define FILE_MAX 120
#define EVIDENCE_SHOWN 3000

char *
upstream_files(const char *evidence)
{
	const char *line = strstr(evidence, "Conflicting files:\n");
	char *list = xstrdup("");
	size_t n = 0;

	if (line != NULL)
		line = strchr(line, '\n') + 1;
	for (; line != NULL && strncmp(line, "- ", 2) == 0;
	     line += strcspn(line, "\n"), line += *line == '\n') {
		char *raw = xstrndup(line + 2, strcspn(line + 2, "\n")), *name, *longer;

		if (n++ < FILES_SHOWN) {
			name = text_line(raw, FILE_MAX);
			longer = xasprintf("%s%s%s", list, *list == '\0' ? "" : ", ", name);
			free(name);
			free(list);
			list = longer;
		}
		free(raw);
	}
	if (n > FILES_SHOWN) {
		char *longer = xasprintf("%s and %zu more", list, n - FILES_SHOWN);

		free(list);
		list = longer;
	}
	return list;
}

/* 1 with its commit, which ref holds until the caller drops it; 0: it is not to be had; -errno. */
static int
fetch(struct role *r, const char *name, const char *ref, char tip[GIT_OID_HEX], struct err *e)
{
	const bool never = false;
	struct push p = {0};
	struct err why = {""};
	enum push_outcome o = PUSH_BROKEN;

	if (push_open_role(&p, r, PUSH_UPSTREAM, &why) == 0) {
		p.timeout_ms = FETCH_TIMEOUT_MS;
		o = push_fetch(&p, name, ref, tip, &why);
		for (unsigned i = 1; o == PUSH_NETWORK && i < FETCH_TRIES; i++)
			if (loop_wait(&r->loop, &never, clock_now_ms() + (p.pause_ms << i)) == -ETIMEDOUT)
				o = push_fetch(&p, name, ref, tip, &why);
	}
	push_close(&p);
	if (o == PUSH_STOPPED || (r->loop.stop && r->loop.stop_masked == 0))
		return err_set(e, -ECANCELED, "stopped");
	if (o == PUSH_DONE && tip[0] != '\0')
		return 1;
	if (o == PUSH_DONE)
		err_set(&why, -ENOENT, "there is no branch %s on GitHub", name);
	log_warn("GitHub: %s", why.msg);
	link_event(r->link, "github", "whether %s has moved there is not known: %s", name, why.msg);
	return 0;
}

static char *
describe(const char *name, const char *tip, const struct integrate_result *res)
{
	char *files, *text;

	if (res->verdict == INTEGRATE_RED)
		return xasprintf(
		    "%s has moved on GitHub (to %.7s), and together with it the gate is red, so it is "
		    "not merged in: %s",
		    name, tip, res->reason);
	files = upstream_files(res->evidence);
	text = xasprintf("%s has moved on GitHub (to %.7s) and conflicts with the work%s%s: merge it by hand",
	    name, tip, *files == '\0' ? "" : " in ", files);
	free(files);
	return text;
}

static void
tell(struct role *r, const struct upstream *u, const struct integrate_result *res)
{
	char *part = text_utf8(res->evidence, strlen(res->evidence), EVIDENCE_SHOWN);

	log_warn("%s", u->trouble);
	link_event(r->link, "merge", "%.900s\n\n%s", u->trouble, part);
	free(part);
}

static int
merge(struct lead *ld, const char *name, const char *tip, struct upstream *u, struct err *e)
{
	struct role *r = ld->role;
	char *message = xasprintf(
	    "Merge %s into %s\n\nIt has moved while run %s worked.\n", name, ld->branch, r->assign->run);
	struct integrate_result res = {0};
	int rc;

	link_doing(r->link, "merging what is new in %.300s", name);
	rc = lead_take_in(ld, tip, message, &res, e);
	if (rc == 0 && res.verdict == INTEGRATE_MERGED) {
		link_event(r->link, "merge", "%s has moved on GitHub to %.12s: it is merged into %s%s%s",
		    name, tip, ld->branch, res.note == NULL ? "" : "; ", res.note == NULL ? "" : res.note);
		snprintf(u->base, sizeof(u->base), "%s", tip);
	} else if (rc == 0) {
		u->trouble = describe(name, tip, &res);
		tell(r, u, &res);
	}
	integrate_result_clear(&res);
	if (rc == 0)
		rc = lead_remove_worktree(ld, e);
	free(message);
	return rc;
}

/* 1: new to the branch; 0: not (then u->base may be set: it was taken in before); -errno. */
static int
is_news(struct lead *ld, const char *tip, struct upstream *u, struct err *e)
{
	struct git *g = &ld->role->git;
	char *ref = xasprintf("refs/heads/%s", ld->branch);
	int rc = git_is_ancestor(g, tip, ref, e);

	free(ref);
	if (rc <= 0)
		return rc < 0 ? rc : 1;
	rc = git_is_ancestor(g, ld->base, tip, e);
	if (rc == 1)
		snprintf(u->base, sizeof(u->base), "%s", tip);
	return rc < 0 ? rc : 0;
}

int
upstream_take_in(struct lead *ld, const char *name, struct upstream *u, struct err *e)
{
	char *ref = xasprintf("refs/orch/upstream/%s", ld->role->assign->run), tip[GIT_OID_HEX];
	int rc, gone;

	memset(u, 0, sizeof(*u));
	link_doing(ld->role->link, "looking whether %.300s has moved", name);
	rc = fetch(ld->role, name, ref, tip, e);
	if (rc == 1)
		rc = is_news(ld, tip, u, e);
	if (rc == 1)
		rc = merge(ld, name, tip, u, e);
	gone = git_update_ref(&ld->role->git, ref, NULL, NULL, "looked at", NULL);
	if (rc == 0 && gone < 0)
		log_warn("%s could not be removed", ref);
	free(ref);
	return rc;
}

void
upstream_clear(struct upstream *u)
{
	free(u->trouble);
	memset(u, 0, sizeof(*u));
}
