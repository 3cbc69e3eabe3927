/*
 * check_github: of a run for an issue: which repository on GitHub it is about, fixed before any agent could
 * change a remote; the issue's text; and whether who wrote it may make us work (see check.h).
 */
#include "director/check.h"

#include "common/alloc.h"
#include "common/proc.h"
#include "common/text.h"
#include "director/github_api.h"
#include "director/issue_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 60000
#define TITLE_BYTES 480
#define REFUSED_MARK "<!-- orch:refused -->"

static int
remote_name(struct check *c, struct github_name *n, struct err *e)
{
	struct git_out out = {0};
	int rc = git_run(&c->git, 0, &out, NULL, "remote", "get-url", "origin", NULL);

	if (rc < 0)
		return err_set(e, -ENOENT,
		    "the repository has no remote called origin that would name it on GitHub: set REPO_OWNER "
		    "and "
		    "REPO_NAME");
	out.out[strcspn(out.out, "\n")] = '\0';
	rc = github_name_from_remote(n, out.out, e);
	git_out_clear(&out);
	return rc;
}

/* A remote is easily changed, by an agent of an earlier run too: it may name a repository, but no server that
 * would then be sent the token. */
static int
check_host(const struct check *c, const struct github_name *n, struct err *e)
{
	if (c->conf.github_api_url != NULL || n->host == NULL || strcmp(n->host, "github.com") == 0)
		return 0;
	return err_set(e, -EINVAL,
	    "the remote origin is at %s: if that is your GitHub, say so with "
	    "GITHUB_API_URL=https://%s/api/v3",
	    n->host, n->host);
}

static int
find_repository(struct check *c, struct err *e)
{
	struct github_name n = {0};
	char *base = NULL;
	int rc;

	if (c->conf.repo_owner != NULL || c->conf.repo_name != NULL)
		rc = github_name_from_parts(&n, c->conf.repo_owner, c->conf.repo_name, e);
	else
		rc = remote_name(c, &n, e);
	if (rc == 0)
		rc = check_host(c, &n, e);
	if (rc == 0)
		rc = github_api_base(&base, c->conf.github_api_url, n.host, e);
	if (rc == 0) {
		xreplace(&c->conf.repo_owner, n.owner);
		xreplace(&c->conf.repo_name, n.repo);
		xreplace(&c->conf.github_api_url, base);
	}
	free(base);
	github_name_clear(&n);
	return rc;
}

static int
on_comment(void *arg, const struct github_comment *comment, struct err *e)
{
	(void)e;
	issue_text_add(arg, comment);
	return 0;
}

/* What login may do with the repository; "none" for who is unknown there. */
static int
permission_of(struct github *gh, const char *login, char level[16], struct err *e)
{
	int rc = *login == '\0' ? -ENOENT : github_permission(gh, login, level, e);

	if (rc == -ENOENT)
		strcpy(level, "none");
	return rc == -ENOENT ? 0 : rc;
}

static int
check_author(struct github *gh, const struct github_issue *i, struct err *e)
{
	char level[16];
	int rc = permission_of(gh, i->author.login, level, e);

	if (rc < 0)
		return rc;
	if (strcmp(level, "admin") == 0 || strcmp(level, "write") == 0)
		return 0;
	return err_set(e, -EPERM,
	    "issue %" PRIu64
	    " was written by %s, who may not write to the repository (permission: %s): read it, "
	    "and start it with --trust if you want it done",
	    i->number, i->author.login[0] != '\0' ? i->author.login : "a deleted user", level);
}

/* Whoever set the label looks at the issue and not at our log. */
static int
refuse_empty(struct check *c, struct github *gh, const struct github_issue *i, struct err *e)
{
	uint64_t id = 0;
	struct err why = {""};

	if (github_comment_put(gh, i->number, REFUSED_MARK,
		REFUSED_MARK
		"\nThis issue has no description, so there is nothing to work on yet. Say in it what is "
		"to be done, and start again.",
		&id, &why) < 0)
		check_note(c, "the refusal could not be said on the issue: %s", why.msg);
	return err_set(e, -EINVAL, "issue %" PRIu64 " is empty: say in it what is to be done", i->number);
}

static int
read_text(struct check *c, struct github *gh, const struct github_issue *i, struct err *e)
{
	struct issue_text t = {.known_only = c->check_author, .author = i->author.login};
	int rc = github_comments_each(gh, i->number, on_comment, &t, e);

	if (rc == 0) {
		c->title = text_line(i->title, TITLE_BYTES);
		c->text = issue_text_make(&t, i->body);
	}
	if (rc == 0 && t.left_out > 0)
		check_note(c, "%zu comments on the issue are left out%s", t.left_out,
		    c->check_author ? ": they are of people who do not belong to the repository, or too long"
				    : ": they are too long");
	issue_text_clear(&t);
	return rc;
}

static int
check_issue(struct check *c, struct github *gh, struct err *e)
{
	struct github_issue i = {0};
	int rc = github_issue_get(gh, strtoull(c->issue, NULL, 10), &i, e);

	if (rc < 0)
		return rc;
	if (i.is_pull)
		rc = err_set(e, -EINVAL, "%s is a pull request, not an issue", c->issue);
	if (rc == 0 && strcmp(i.state, "closed") == 0)
		check_note(c, "issue %s is closed", c->issue);
	if (rc == 0 && c->check_author)
		rc = check_author(gh, &i, e);
	if (rc == 0 && c->fetch)
		rc = issue_text_says_something(i.body) ? read_text(c, gh, &i, e) : refuse_empty(c, gh, &i, e);
	github_issue_clear(&i);
	return rc;
}

static int
check_repository_there(struct check *c, struct github *gh, struct err *e)
{
	struct github_repository r;
	int rc = github_repository_get(gh, &r, e);

	if (rc < 0)
		return rc;
	if (r.archived || r.disabled)
		rc = err_set(e, -EROFS, "the repository %s is %s on GitHub: nothing can be pushed to it",
		    r.full_name, r.archived ? "archived" : "disabled");
	else if (r.says_permissions && !r.may_push)
		check_note(c, "the token may not push to %s: the work stays here", r.full_name);
	github_repository_clear(&r);
	return rc;
}

static int
open_github(struct check *c, struct github **gh, struct err *e)
{
	const struct github_options o = {
	    .patience_ms = PATIENCE_MS,
	    .base = c->conf.github_api_url,
	    .owner = c->conf.repo_owner,
	    .repo = c->conf.repo_name,
	    .token = c->token,
	    .ca_file = c->conf.github_ca,
	    .write_gap_ms = (int64_t)c->conf.github_write_gap_ms,
	    .second_ms = (int64_t)c->conf.github_second_ms,
	};

	return github_open(gh, &c->loop, &o, e);
}

int
check_actor(struct check *c, struct err *e)
{
	struct github *gh;
	int rc;

	proc_hide_memory();
	rc = c->token == NULL ? err_set(e, -EINVAL, "there is no token for GitHub") : find_repository(c, e);
	if (rc == 0)
		rc = open_github(c, &gh, e);
	if (rc < 0)
		return rc;
	rc = permission_of(gh, c->actor, c->permission, e);
	github_close(gh);
	return rc;
}

int
check_github(struct check *c, struct err *e)
{
	struct github *gh;
	struct err why = {""};
	int rc;

	if (c->token == NULL)
		return 0;
	proc_hide_memory();
	rc = find_repository(c, &why);
	if (rc < 0 && !c->fetch && !c->check_author && c->pull == 0) {
		check_note(c, "nothing is told to GitHub: %s", why.msg);
		return 0;
	}
	if (rc < 0)
		return err_set(e, rc, "%s", why.msg);
	if (!c->fetch && !c->check_author && c->pull == 0)
		return 0;
	rc = open_github(c, &gh, e);
	if (rc < 0)
		return rc;
	rc = check_repository_there(c, gh, e);
	if (rc == 0)
		rc = c->pull != 0 ? check_pull(c, gh, e) : check_issue(c, gh, e);
	github_close(gh);
	return rc;
}
