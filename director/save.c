/* save: see save.h. Everything else has ended: nobody moves a branch while it is looked at. */
#include "director/save.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "director/publish.h"
#include "director/push_role.h"
#include "director/saved.h"
#include "proto/lead.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PUSH_TIMEOUT_MS 240000
#define PUSH_TRIES 3
#define PUSH_PAUSE_MS 2000
#define WHO "orch"

static int
open_push(struct role *r, struct push *p, struct err *e)
{
	int rc = push_open_role(p, r, PUSH_STATE, e);

	p->timeout_ms = PUSH_TIMEOUT_MS;
	return rc;
}

static char *
state_ref(const struct role *r)
{
	char *issue = xasprintf("%" PRIu64, publish_issue(r->assign->run)), *ref = saved_ref(issue);

	free(issue);
	return ref;
}

static int
add_refs(struct role *r, json_t *refs, const char *pattern, struct err *e)
{
	struct git_out out = {0};
	char *save = NULL;
	int rc =
	    git_run(&r->git, 0, &out, e, "for-each-ref", "--format=%(objectname) %(refname)", pattern, NULL);

	if (rc == 0)
		for (char *s = strtok_r(out.out, "\n", &save); s != NULL; s = strtok_r(NULL, "\n", &save)) {
			char *name = strchr(s, ' ');

			*name++ = '\0';
			json_object_set_new(refs, name, json_string(s));
		}
	git_out_clear(&out);
	return rc;
}

/* The work branch, those of EMs and workers, and the work of tasks that no branch holds. */
static int
find_refs(struct role *r, const char *branch, json_t *refs, struct err *e)
{
	char *pattern = xasprintf("refs/orch/wip/%s-em*", r->assign->run);
	int rc = add_refs(r, refs, pattern, e);

	free(pattern);
	if (rc < 0 || branch == NULL || *branch == '\0')
		return rc;
	pattern = xasprintf("refs/heads/%s", branch);
	rc = add_refs(r, refs, pattern, e);
	free(pattern);
	pattern = xasprintf("refs/heads/%s-em*", branch);
	rc = rc == 0 ? add_refs(r, refs, pattern, e) : rc;
	free(pattern);
	if (rc == 0 && json_object_size(refs) > SAVED_REFS_MAX)
		rc = err_set(e, -EFBIG, "it has more than %d branches", SAVED_REFS_MAX);
	return rc;
}

static int
git_line(struct git *g, const char *const *argv, const char *const *env, const char *in,
    char oid[GIT_OID_HEX], struct err *e)
{
	struct git_out out = {0};
	int rc = git_runv(g, 0, &out, e, argv, env, in, strlen(in));

	if (rc == 0)
		snprintf(oid, GIT_OID_HEX, "%.*s", (int)strcspn(out.out, "\n"), out.out);
	git_out_clear(&out);
	return rc;
}

static int
make_tree(struct role *r, const char *text, char tree[GIT_OID_HEX], struct err *e)
{
	char blob[GIT_OID_HEX], *entry;
	int rc = git_line(
	    &r->git, (const char *const[]){"hash-object", "-w", "--stdin", NULL}, NULL, text, blob, e);

	if (rc < 0)
		return rc;
	entry = xasprintf("100644 blob %s\t" SAVED_FILE "\n", blob);
	rc = git_line(&r->git, (const char *const[]){"mktree", NULL}, NULL, entry, tree, e);
	free(entry);
	return rc;
}

/* Its parents bring along all that the refs name. */
static int
make_commit(struct role *r, const json_t *refs, const char *text, char commit[GIT_OID_HEX], struct err *e)
{
	static const char *const env[] = {"GIT_AUTHOR_NAME=" WHO, "GIT_AUTHOR_EMAIL=" WHO "@localhost",
	    "GIT_COMMITTER_NAME=" WHO, "GIT_COMMITTER_EMAIL=" WHO "@localhost", NULL};
	const char **argv = xcalloc(2 * json_object_size(refs) + 8, sizeof(*argv)), *name;
	char tree[GIT_OID_HEX];
	size_t n = 0;
	json_t *oid;
	int rc = make_tree(r, text, tree, e);

	argv[n++] = "commit-tree";
	argv[n++] = "-p";
	argv[n++] = r->assign->base;
	json_object_foreach ((json_t *)refs, name, oid) {
		argv[n++] = "-p";
		argv[n++] = json_string_value(oid);
	}
	argv[n++] = tree;
	if (rc == 0)
		rc = git_line(&r->git, argv, env, "The state of a run, for orch to go on from\n", commit, e);
	free(argv);
	return rc;
}

/* branch NULL: it is there, and what somebody else pushed to it since is no failure. */
static int
push_state(struct role *r, const char *branch, const char *ref, const char *commit, const json_t *refs,
    struct err *e)
{
	char *work = branch == NULL ? NULL : xasprintf("refs/heads/%s", branch);
	const char *head = work == NULL ? NULL : json_str(refs, work);
	char there[GIT_OID_HEX];
	struct push p = {0};
	int rc = open_push(r, &p, e);
	enum push_outcome o = rc < 0 ? PUSH_BROKEN : push_ref_tip(&p, ref, there, e);

	for (unsigned i = 0; o == PUSH_DONE || o == PUSH_NETWORK; i++) {
		o = push_ref(&p, ref, commit, there, e);
		if (o != PUSH_NETWORK || i + 1 == PUSH_TRIES)
			break;
		loop_wait(&r->loop, &(bool){false}, clock_now_ms() + PUSH_PAUSE_MS);
	}
	if (o == PUSH_DONE && head != NULL && strcmp(head, r->assign->base) != 0)
		o = push_branch(&p, branch, head, NULL, e);
	push_close(&p);
	free(work);
	return o == PUSH_DONE ? 0 : rc < 0 ? rc : o == PUSH_STOPPED ? -ECANCELED : -EREMOTEIO;
}

static int
save(struct role *r, const char *branch, bool ended, struct err *e)
{
	const struct msg m = {.id = MSG_DUMP};
	char commit[GIT_OID_HEX], *text = NULL, *ref = state_ref(r);
	json_t *refs = json_object();
	int rc = lead_save_worktrees(r, e);

	free(r->dump); /* of an end that was none: a review came */
	r->dump = NULL;
	r->dump_size = 0;
	if (rc == 0)
		rc = link_call(r->link, &m, NULL, e);
	if (rc == 0)
		rc = find_refs(r, branch, refs, e);
	if (rc == 0) {
		text = saved_text(r->assign->run, ended, refs, r->dump == NULL ? "" : r->dump);
		rc = strlen(text) > SAVED_MAX
			 ? err_set(e, -EFBIG, "its state is over %u MiB", SAVED_MAX >> 20)
			 : make_commit(r, refs, text, commit, e);
	}
	if (rc == 0)
		rc = git_update_ref(&r->git, ref, commit, NULL, "saved for another machine", e);
	if (rc == 0)
		rc = push_state(r, ended ? NULL : branch, ref, commit, refs, e);
	if (rc == 0 && ended)
		rc = git_update_ref(&r->git, ref, NULL, commit, "it is on GitHub, for reviews", e);
	if (rc == 0)
		link_event(r->link, "save", "pushed as %s: %s goes on from it", ref,
		    ended ? "a review of the pull request" : "the next `orchctl run` of this issue");
	json_decref(refs);
	free(text);
	free(ref);
	return rc;
}

int
director_save(struct role *r, struct err *e)
{
	struct err why = {""};
	struct publish *p;
	int rc = role_await_team(r, e);

	if (rc < 0)
		return rc;
	rc = save(r, r->assign->branch, false, &why);
	if (rc < 0 && rc != -ECANCELED) {
		log_warn("not saved for another machine: %s", why.msg);
		link_event(r->link, "save", "not pushed, so that only this machine can go on: %s", why.msg);
	}
	p = publish_open(r);
	publish_last(p, NULL);
	publish_close(p);
	return ROLE_OVER;
}

bool
save_ended(struct role *r, const char *branch)
{
	const char *on = getenv("GITHUB_ACTIONS");
	struct err why = {""};
	int rc;

	if (branch == NULL || on == NULL || strcmp(on, "true") != 0)
		return false;
	rc = save(r, branch, true, &why);
	if (rc < 0 && rc != -ECANCELED) {
		log_warn("not saved for a review of the pull request: %s", why.msg);
		link_event(
		    r->link, "save", "not pushed, so that a later job cannot answer reviews: %s", why.msg);
	}
	return rc == 0;
}

static int
drop(struct role *r, const char *ref, const char *tip, struct err *e)
{
	struct push p = {0};
	int rc = open_push(r, &p, e);
	enum push_outcome o = rc < 0 ? PUSH_BROKEN : push_ref_tip(&p, ref, (char[GIT_OID_HEX]){0}, e);

	if (o == PUSH_DONE)
		o = push_ref(&p, ref, "", tip, e);
	push_close(&p);
	if (o != PUSH_DONE)
		return rc < 0 ? rc : -EREMOTEIO;
	return git_update_ref(&r->git, ref, NULL, tip, "its run has ended", e);
}

void
save_drop(struct role *r)
{
	char *ref = state_ref(r), tip[GIT_OID_HEX];
	struct err e = {""};
	int rc = git_resolve(&r->git, ref, tip, NULL);

	if (rc == 0)
		rc = drop(r, ref, tip, &e);
	if (rc < 0 && rc != -ENOENT && rc != -ECANCELED) {
		log_warn("%s", e.msg);
		link_event(r->link, "save", "%s stays on GitHub: %s", ref, e.msg);
	}
	free(ref);
}
