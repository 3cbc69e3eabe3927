/* cmd_diff: orchctl diff: becomes git diff between where a task began and what it has, with the user's own
 * pager and configuration. */
#include "supervisor/ctl/cmds.h"

#include "common/alloc.h"
#include "supervisor/ctl/target.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What has been committed: a fixed commit, or the branch while it moves. */
static char *
range_of(const struct target *t)
{
	const char *base = t->task != NULL ? t->task->info->base : NULL;
	const char *head = t->task != NULL ? t->task->info->head : t->run->info->head;
	const char *branch = t->task != NULL ? t->task->info->branch : t->run->info->branch;

	if (base == NULL && (t->task == NULL || t->task->em == 0))
		base = t->run->info->base;
	if (base == NULL || base[0] == '-' || (head == NULL && branch == NULL))
		return NULL;
	if (head != NULL)
		return xasprintf("%s..%s", base, head);
	return xasprintf("%s..refs/heads/%s", base, branch);
}

/* What else was typed: options for git (after a --) before the range, paths behind it. */
static int
run_git_diff(struct ctl *c, const char *range)
{
	const char *argv[ARGS_WORDS_MAX + 8] = {"git", "-C", c->repo.top, "diff"};
	size_t n = 4;

	for (int i = 1; i < c->args.word_count; i++)
		if (c->args.words[i][0] == '-')
			argv[n++] = c->args.words[i];
	argv[n++] = range;
	argv[n++] = "--";
	for (int i = 1; i < c->args.word_count; i++)
		if (c->args.words[i][0] != '-')
			argv[n++] = c->args.words[i];
	argv[n] = NULL;
	signal(SIGPIPE, SIG_DFL); /* ignored for our socket; git and its pager count on it */
	execvp("git", (char *const *)argv);
	ctl_say("cannot run git: %s", strerror(errno));
	return CTL_FAILED;
}

int
cmd_diff(struct ctl *c)
{
	char *range = NULL;
	struct target t;
	int rc;

	rc = ctl_connect_ran(c);
	if (rc != CTL_OK)
		return rc;
	rc = target_find(&t, c, c->args.words[0]);
	if (rc == CTL_OK && (range = range_of(&t)) == NULL) {
		ctl_say("%s has committed nothing yet", t.id);
		rc = CTL_FAILED;
	}
	target_clear(&t);
	if (rc == CTL_OK)
		rc = run_git_diff(c, range);
	free(range);
	return rc;
}
