/* deliver: see deliver.h. */
#include "director/deliver.h"

#include "common/alloc.h"
#include "director/comment.h"
#include "director/push_role.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PUSH_TIMEOUT_MS 600000

static int
push_work(struct role *r, const char *branch, const char *head, struct err *e)
{
	struct push p = {0};
	int rc = push_open_role(&p, r, PUSH_WORK, e);

	if (rc == 0) {
		enum push_outcome o;

		p.timeout_ms = PUSH_TIMEOUT_MS;
		o = push_branch(&p, branch, head, NULL, e);
		rc = o == PUSH_DONE ? 0 : o == PUSH_STOPPED ? -ECANCELED : -EREMOTEIO;
	}
	push_close(&p);
	return rc;
}

/* Where people see the branch; its name is ours, and holds nothing that a URL would have to hide. */
static char *
branch_page(const struct role *r, const struct github_name *n, const char *branch)
{
	struct github_name none = *n;
	char *git = github_git_url(&none, r->conf.github_api_url, r->conf.github_server_url), *page;
	size_t size = strlen(git);

	if (size > 4 && strcmp(git + size - 4, ".git") == 0)
		git[size - 4] = '\0';
	page = xasprintf("%s/tree/%s", git, branch);
	free(git);
	return page;
}

static int
open_pull(struct github *gh, const struct view_run *run, uint64_t issue, const char *base, struct delivery *d,
    struct err *e)
{
	const struct comment_facts facts = {.branch_url = d->branch_url};
	char *text = comment_pull_text(run, &facts, issue, COMMENT_MAX);
	struct github_pull pull = {0};
	bool made = false;
	int rc =
	    github_pull_open(gh, run->info->branch, base, run->info->title, text, false, &pull, &made, e);

	if (rc == 0 && !made && strcmp(pull.body, text) != 0)
		rc = github_pull_update(gh, pull.number, NULL, text, NULL, NULL, e);
	if (rc == 0)
		d->pull_url = xstrdup(pull.url);
	github_pull_clear(&pull);
	free(text);
	return rc;
}

int
deliver(struct role *r, struct github *gh, const struct view_run *run, uint64_t issue, const char *head,
    const char *base, struct delivery *d, struct err *e)
{
	struct github_name n = {.owner = r->conf.repo_owner, .repo = r->conf.repo_name};
	int rc;

	memset(d, 0, sizeof(*d));
	if (run->info->branch == NULL)
		return 0;
	rc = push_work(r, run->info->branch, head, e);
	if (rc < 0)
		return rc;
	d->branch_url = branch_page(r, &n, run->info->branch);
	return strcmp(r->conf.prs, "none") == 0 ? 0 : open_pull(gh, run, issue, base, d, e);
}

void
delivery_clear(struct delivery *d)
{
	free(d->branch_url);
	free(d->pull_url);
	memset(d, 0, sizeof(*d));
}
