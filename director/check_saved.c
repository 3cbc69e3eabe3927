/*
 * check_saved: where nothing ran here yet: what another machine saved of a run of the issue (director/saved).
 * It is taken whole or not at all: refs that are here already are never moved, and a state that is no good is
 * said and passed over.
 */
#include "director/check.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "common/json.h"
#include "common/taskid.h"
#include "director/github_name.h"
#include "director/push.h"
#include "director/saved.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FETCH_TIMEOUT_MS 90000

static int
open_push(struct check *c, struct push *p, struct err *e)
{
	const struct github_name n = {.owner = c->conf.repo_owner, .repo = c->conf.repo_name};
	char *url = github_git_url(&n, c->conf.github_api_url, c->conf.github_server_url);
	char *dir = xasprintf("%s/check.git", c->worktrees);
	int rc = push_open(p, &c->git, dir, url, c->token, c->conf.github_ca, e);

	p->timeout_ms = FETCH_TIMEOUT_MS;
	free(url);
	free(dir);
	return rc;
}

/* 1 when there is one, and ref holds it; 0; -errno. */
static int
fetch(struct check *c, const char *ref, char oid[GIT_OID_HEX], struct err *e)
{
	struct push p = {0};
	int rc = open_push(c, &p, e);

	oid[0] = '\0';
	if (rc == 0)
		rc = push_fetch_ref(&p, ref, ref, oid, e) == PUSH_DONE ? oid[0] != '\0' : -EREMOTEIO;
	push_close(&p);
	return rc;
}

static int
forget(struct check *c, const char *ref, const char *oid, struct err *e)
{
	struct push p = {0};
	int rc = open_push(c, &p, e);

	if (rc == 0 && push_ref(&p, ref, "", oid, e) != PUSH_DONE)
		rc = -EREMOTEIO;
	push_close(&p);
	return rc;
}

static int
read_file(struct check *c, const char *ref, char **text, size_t *size, struct err *e)
{
	char *name = xasprintf("%s:" SAVED_FILE, ref);
	struct git_out out = {0};
	int rc = git_run(&c->git, 0, &out, e, "cat-file", "-s", name, NULL);

	if (rc == 0 && strtoull(out.out, NULL, 10) > SAVED_MAX)
		rc = err_set(e, -EFBIG, "it is over %u MiB", SAVED_MAX >> 20);
	git_out_clear(&out);
	if (rc == 0)
		rc = git_run(&c->git, 0, &out, e, "cat-file", "blob", name, NULL);
	if (rc == 0) {
		*text = out.out;
		*size = out.size;
	}
	free(name);
	return rc;
}

/* All commits that the rows and the refs speak of are here, or nothing can go on from them. */
static int
check_commits(struct check *c, const struct saved *s, struct err *e)
{
	static const char *const argv[] = {"cat-file", "--batch-check=%(objecttype)", NULL};
	struct git_out out = {0};
	char *list = NULL;
	const char *name;
	json_t *oid;
	size_t n;
	int rc = saved_commits(s, &list, e);

	if (rc < 0)
		return rc;
	n = strlen(list);
	json_object_foreach (s->refs, name, oid) {
		list = xrealloc(list, n + GIT_OID_HEX + 1);
		n += (size_t)sprintf(list + n, "%s\n", json_string_value(oid));
	}
	rc = n == 0 ? 0 : git_runv(&c->git, 0, &out, e, argv, NULL, list, n);
	for (const char *p = out.out; rc == 0 && p != NULL && *p != '\0'; p += strcspn(p, "\n") + 1)
		if (strncmp(p, "commit\n", 7) != 0)
			rc = err_set(e, -ENOENT, "it speaks of a commit that it did not bring along");
	git_out_clear(&out);
	free(list);
	return rc;
}

/* Is every ref free, or there already as it should be? */
static int
check_room(struct check *c, const struct saved *s, struct err *e)
{
	const char *name;
	json_t *oid;

	json_object_foreach (s->refs, name, oid) {
		char here[GIT_OID_HEX];
		int rc = git_resolve(&c->git, name, here, NULL);

		if (rc == 0 && strcmp(here, json_string_value(oid)) != 0)
			return err_set(e, -EEXIST, "%s is here already, and is something else", name);
		if (rc < 0 && rc != -ENOENT)
			return err_set(e, rc, "cannot look at %s", name);
	}
	return 0;
}

static int
make_ref(struct check *c, const char *name, const char *oid, struct err *e)
{
	char here[GIT_OID_HEX];
	int rc = git_resolve(&c->git, name, here, NULL);

	return rc == 0 ? 0 : git_update_ref(&c->git, name, oid, "", "from the state saved elsewhere", e);
}

/* A worker goes on from the work that was saved of its task: it is given a name that is gone when it has. */
static int
make_refs(struct check *c, const struct saved *s, struct err *e)
{
	static const char wip[] = "refs/orch/wip/";
	const char *name;
	json_t *oid;
	int rc = 0;

	json_object_foreach (s->refs, name, oid) {
		if (rc == 0)
			rc = make_ref(c, name, json_string_value(oid), e);
		if (rc == 0 && strncmp(name, wip, strlen(wip)) == 0) {
			char *resume = xasprintf(SAVED_RESUME "%s", name + strlen(wip));

			rc = make_ref(c, resume, json_string_value(oid), e);
			free(resume);
		}
	}
	return rc;
}

static int
hand_over(struct check *c, const struct saved *s, struct err *e)
{
	char *path = xasprintf("%s/restore.jsonl", c->state);
	int rc = fd_write_file(path, s->rows, strlen(s->rows), 0600);

	if (rc == 0)
		xreplace(&c->restore, path);
	free(path);
	return rc < 0 ? err_sys(e, rc, "cannot write in %s", c->state) : 0;
}

/* Is that pull request the run's own? */
static int
check_branch(const struct check *c, const struct saved *s, struct err *e)
{
	char *name = xasprintf("refs/heads/%s", c->head_branch);
	bool own = json_object_get(s->refs, name) != NULL;

	free(name);
	return own ? 0 : err_set(e, -ENOENT, "it is of another branch than %.200s", c->head_branch);
}

/* One that has ended goes on for its pull request alone. */
static int
take(struct check *c, const char *ref, const char *oid, struct err *e)
{
	struct saved s = {0};
	char *text = NULL;
	size_t size = 0;
	int rc = read_file(c, ref, &text, &size, e);

	if (rc == 0)
		rc = saved_parse(&s, c->conf.branch_prefix, c->issue, text, size, e);
	if (rc == 0 && c->pull == 0 && (s.ended || !c->look_for_saved)) {
		rc = git_update_ref(&c->git, ref, NULL, oid, "it is of a run that ended", e);
		if (rc == 0 && s.ended && c->forget_saved)
			rc = forget(c, ref, oid, e);
		goto out;
	}
	if (rc == 0 && c->pull != 0)
		rc = check_branch(c, &s, e);
	if (rc == 0)
		rc = check_commits(c, &s, e);
	if (rc == 0)
		rc = check_room(c, &s, e);
	if (rc == 0)
		rc = make_refs(c, &s, e);
	if (rc == 0)
		rc = hand_over(c, &s, e);
out:
	saved_clear(&s);
	free(text);
	return rc;
}

void
check_saved(struct check *c)
{
	char *ref, oid[GIT_OID_HEX];
	struct err why = {""};
	uint64_t issue;
	int rc;

	if ((!c->look_for_saved && !c->forget_saved) || c->token == NULL || c->conf.repo_owner == NULL ||
	    c->conf.repo_name == NULL)
		return;
	if (c->pull != 0) {
		issue = c->remarks == 0 ? 0 : taskid_branch_issue(c->head_branch, c->conf.branch_prefix);
		if (issue == 0)
			return;
		c->issue = xasprintf("%" PRIu64, issue);
	}
	ref = saved_ref(c->issue);
	rc = fetch(c, ref, oid, &why);
	if (rc < 0)
		check_note(c, "whether another machine has saved a run of issue %s is not known: %s",
		    c->issue, why.msg);
	if (rc == 1 && take(c, ref, oid, &why) < 0)
		check_note(
		    c, "the run of issue %s that another machine saved is not used: %s", c->issue, why.msg);
	free(ref);
}
