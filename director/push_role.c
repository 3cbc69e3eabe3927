/* push_role: see push_role.h. */
#include "director/push_role.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "director/github_name.h"

#include <errno.h>
#include <stdlib.h>

static char *
path_of(const struct role *r, const char *name)
{
	return xasprintf("%s/push-%s-%s.git", r->assign->state_dir, r->assign->run, name);
}

void
push_sweep_role(const struct role *r)
{
	static const char *const names[] = {PUSH_NAMES, PUSH_PARTS, PUSH_STATE, PUSH_UPSTREAM, PUSH_WORK};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *dir = path_of(r, names[i]);

		fd_remove_tree(dir);
		free(dir);
	}
}

int
push_open_role(struct push *p, struct role *r, const char *name, struct err *e)
{
	const struct github_name n = {.owner = r->conf.repo_owner, .repo = r->conf.repo_name};
	char *url, *dir;
	int rc;

	if (r->token == NULL || n.owner == NULL || n.repo == NULL || r->conf.github_api_url == NULL)
		return err_set(e, -ENOENT, "the run has no token for GitHub, or no repository there");
	url = github_git_url(&n, r->conf.github_api_url, r->conf.github_server_url);
	dir = path_of(r, name);
	rc = push_open(p, &r->git, dir, url, r->token, r->conf.github_ca, e);
	if (rc == 0)
		p->pause_ms = PUSH_PAUSE_MS * (int64_t)r->conf.github_second_ms / 1000;
	free(url);
	free(dir);
	return rc;
}
