/* check_repo: what a run must find in its repository (see check.h). */
#include "director/check.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/cmd.h"
#include "common/json.h"
#include "common/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define GIT_TIMEOUT_MS 60000

/*
 * git as the user runs it in the checkout, with his configuration and the ownership check that an explicit
 * GIT_DIR would skip. *out gets the first line; the exit status is returned, or -errno.
 */
static int
plain_git(struct check *c, char **out, struct err *e, const char *const *args)
{
	const char *argv[8] = {"git", "-C", c->top};
	struct cmd_spec s = {.argv = argv, .out_max = 65536, .err_max = 65536, .timeout_ms = GIT_TIMEOUT_MS};
	struct cmd_result r;
	size_t n = 3;
	int rc;

	while (*args != NULL && n < 7)
		argv[n++] = *args++;
	rc = cmd_run(&c->loop, &s, &r, e);
	if (rc < 0)
		return rc;
	rc = r.timed_out || !WIFEXITED(r.status) ? 128 : WEXITSTATUS(r.status);
	if (rc != 0) {
		char *words = check_git_words(r.err);

		err_set(e, 0, "%s", words);
		free(words);
	}
	*out = xstrndup(r.out, strcspn(r.out, "\n"));
	cmd_result_clear(&r);
	return rc;
}

/* Variables of the caller's that would send git somewhere else than to the checkout. */
static void
forget_git_variables(void)
{
	static const char *const names[] = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR",
	    "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE", "GIT_PREFIX"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	setenv("LC_ALL", "C", 1);
}

static int
check_is_usable(struct check *c, struct err *e)
{
	static const char *const args[] = {"rev-parse", "--is-bare-repository", NULL};
	struct err why = {{0}};
	char *said = NULL;
	int rc;

	if (c->top == NULL || *c->top == '\0')
		return err_set(e, -EINVAL,
		    "%s is a bare repository: run orch in a checkout of it (git clone)", c->git_dir);
	rc = plain_git(c, &said, &why, args);
	if (rc != 0)
		rc = err_set(e, rc < 0 ? rc : -EPERM, "git does not work in %s: %s", c->top, why.msg);
	else if (strcmp(said, "true") == 0)
		rc = err_set(
		    e, -EINVAL, "%s is a bare repository: run orch in a checkout of it (git clone)", c->top);
	free(said);
	return rc;
}

static char **
branch_names(struct check *c)
{
	struct git_out out = {0};
	char **names = xcalloc(1, sizeof(*names)), *save;
	size_t n = 0;

	if (git_run(&c->git, 0, &out, NULL, "for-each-ref", "--count=1000", "--format=%(refname:lstrip=2)",
		"refs/heads/", NULL) == 0) {
		for (char *s = strtok_r(out.out, "\n", &save); s != NULL; s = strtok_r(NULL, "\n", &save)) {
			names = xrealloc(names, (n + 2) * sizeof(*names));
			names[n++] = xstrdup(s);
			names[n] = NULL;
		}
	}
	git_out_clear(&out);
	return names;
}

static int
no_such_branch(struct check *c, struct err *e)
{
	char **names = branch_names(c);
	const char *near = text_nearest(c->conf.base, (const char *const *)names);

	if (near != NULL)
		err_set(e, 0, "there is no branch %s to start from; did you mean %s?", c->conf.base, near);
	else
		err_set(e, 0, "there is no branch %s to start from: name one that git branch lists",
		    c->conf.base);
	strv_free(names);
	return -ENOENT;
}

/* Of options: a branch here, or what origin has under that name (a CI checkout has no other). */
static int
base_from_option(struct check *c, struct err *e)
{
	static const char *const where[] = {"refs/heads/", "refs/remotes/origin/"};

	for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
		char *ref = xasprintf("%s%s", where[i], c->conf.base);
		int rc = git_resolve(&c->git, ref, c->base, e);

		free(ref);
		if (rc == 0)
			c->base_branch = xstrdup(c->conf.base);
		if (rc != -ENOENT)
			return rc;
	}
	return no_such_branch(c, e);
}

/* What is checked out in the user's checkout, which may be a linked worktree with a HEAD of its own. */
static int
base_from_head(struct check *c, struct err *e)
{
	static const char *const commit[] = {"rev-parse", "--verify", "--quiet", "HEAD^{commit}", NULL};
	static const char *const branch[] = {"symbolic-ref", "--quiet", "--short", "HEAD", NULL};
	char *said = NULL;
	struct err why = {{0}};
	int rc = plain_git(c, &said, &why, commit);

	if (rc == 0)
		snprintf(c->base, sizeof(c->base), "%s", said);
	free(said);
	if (rc < 0)
		return err_set(e, rc, "%s", why.msg);
	if (rc > 0)
		return err_set(e, -ENOENT, "the repository %s has no commits yet: make a first one", c->top);
	rc = plain_git(c, &c->base_branch, &why, branch);
	if (rc < 0)
		return err_set(e, rc, "%s", why.msg);
	if (rc > 0) {
		xreplace(&c->base_branch, "");
		check_note(c, "HEAD is detached: the run starts from commit %.7s", c->base);
	}
	return 0;
}

/* refs/heads/cco would block every refs/heads/cco/... */
static int
check_name(struct check *c, const char *name, struct err *e)
{
	char oid[GIT_OID_HEX], *ref = xasprintf("refs/heads/%s", name);
	int rc = git_resolve(&c->git, ref, oid, e);

	free(ref);
	if (rc == 0)
		return err_set(e, -EEXIST,
		    "a branch named %s is in the way of the work branches %s/...: rename it (git branch -m "
		    "%s NEW)",
		    name, name, name);
	return rc == -ENOENT ? 0 : rc;
}

static int
check_names(struct check *c, struct err *e)
{
	char *name = xstrdup(c->conf.branch_prefix);
	int rc = 0;

	for (char *slash = strchr(name, '/'); rc == 0 && slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		rc = check_name(c, name, e);
		*slash = '/';
	}
	free(name);
	return rc;
}

/* A setting of a filter's as git reads it; "" when there is none. Caller frees. */
static char *
filter_setting(struct check *c, const char *name, const char *what)
{
	char *key = xasprintf("filter.%s.%s", name, what), *said = NULL;
	const char *const args[] = {"config", "--get", key, NULL};

	if (plain_git(c, &said, NULL, args) != 0)
		xreplace(&said, "");
	free(key);
	return said;
}

/*
 * The program without which git stops: a filter process always, a command for single files when the filter is
 * required. NULL: none, or only a shell could tell which. Caller frees.
 */
static char *
filter_program(struct check *c, const char *name)
{
	char *command = filter_setting(c, name, "process"), *required = filter_setting(c, name, "required");
	char *program = NULL;
	size_t n;

	if (command[0] == '\0' && strcmp(required, "true") == 0) {
		free(command);
		command = filter_setting(c, name, "smudge");
	}
	n = strcspn(command, " ");
	if (n > 0 && strcspn(command, "'\"\\$`=;&|<>(){}*?~") >= n)
		program = xstrndup(command, n);
	free(command);
	free(required);
	return program;
}

/* Does a file of the checkout go through the filter? */
static bool
filter_is_used(struct check *c, const char *name)
{
	char *pattern = xasprintf(":(attr:filter=%s)", name), *said = NULL;
	const char *const args[] = {"ls-files", "--", pattern, NULL};
	bool used = plain_git(c, &said, NULL, args) == 0 && said[0] != '\0';

	free(said);
	free(pattern);
	return used;
}

static int
check_filter(struct check *c, const char *name, struct err *e)
{
	char *program = filter_program(c, name), *path = NULL;
	int rc = program == NULL ? 0 : child_find_program(program, &path, NULL);

	if (rc < 0 && filter_is_used(c, name))
		err_set(e, rc,
		    "files here go through the git filter %s, and its program %s is not installed: install "
		    "it, or "
		    "remove filter.%s from git's configuration",
		    name, program, name);
	else
		rc = 0;
	free(program);
	free(path);
	return rc;
}

/* With a filter's program gone (git-lfs was set up once) git makes no worktree at all. */
static int
check_filters(struct check *c, struct err *e)
{
	struct git_out out = {0};
	char *save;
	int rc = 0;

	if (git_run(&c->git, 0, &out, NULL, "config", "--name-only", "--get-regexp",
		"^filter\\..+\\.(process|required)$", NULL) < 0)
		return 0; /* there is none */
	for (char *s = strtok_r(out.out, "\n", &save); rc == 0 && s != NULL;
	     s = strtok_r(NULL, "\n", &save)) {
		const char *first = strchr(s, '.'), *last = strrchr(s, '.');
		char *name = first == last ? NULL : xstrndup(first + 1, (size_t)(last - first) - 1);

		rc = name == NULL ? 0 : check_filter(c, name, e);
		free(name);
	}
	git_out_clear(&out);
	return rc;
}

static int
add_notes(struct check *c, struct err *e)
{
	static const char *const name[] = {"config", "user.name", NULL};
	char *said = NULL;
	struct err why = {{0}};
	int rc = git_is_dirty(&c->git, c->top, e);

	if (rc < 0)
		return rc;
	if (rc == 1)
		check_note(c,
		    "the checkout has uncommitted changes; the run starts from commit %.7s and leaves them "
		    "alone",
		    c->base);
	rc = plain_git(c, &said, &why, name);
	if (rc < 0)
		return err_set(e, rc, "%s", why.msg);
	if (rc > 0 && getenv("GIT_AUTHOR_NAME") == NULL)
		check_note(c, "git has no user.name: commits are made as orch <orch@localhost>");
	free(said);
	return 0;
}

int
check_repository(struct check *c, struct err *e)
{
	int rc;

	forget_git_variables();
	rc = check_is_usable(c, e);
	if (rc == 0)
		rc = c->conf.base != NULL && *c->conf.base != '\0' ? base_from_option(c, e)
								   : base_from_head(c, e);
	if (rc == 0)
		rc = check_names(c, e);
	if (rc == 0)
		rc = check_filters(c, e);
	return rc == 0 ? add_notes(c, e) : rc;
}
