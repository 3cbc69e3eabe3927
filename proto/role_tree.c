/*
 * role_tree: what a fresh worktree needs beside what a commit holds: files copied from the user's checkout,
 * and a setup command. What is copied, and what the setup leaves, is kept out of commits.
 */
#include "proto/role.h"

#include "common/alloc.h"
#include "common/copy.h"
#include "common/fd.h"
#include "common/gate.h"
#include "common/json.h"
#include "common/log.h"
#include "common/taskid.h"
#include "common/text.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXCLUDES_MAX (1u << 20)
#define DONE_FILE "orch-furnished" /* in the worktree's administration: for which state it was */
#define TAIL_MAX 1500              /* bytes of a setup's output in a reason */
#define LEFT_MAX 2000              /* paths that a setup left, kept out of commits */

/* The patterns as a file that git reads; NULL: there are none. */
static char *
patterns_file(const struct role *r)
{
	return json_array_size(r->conf.copy_list) == 0 ? NULL : xasprintf("%s/copy", r->assign->log_dir);
}

static char *
patterns_text(const struct role *r)
{
	char *text = xstrdup("");
	json_t *line;
	size_t i;

	json_array_foreach(r->conf.copy_list, i, line)
	{
		char *longer = xasprintf("%s%s\n", text, json_string_value(line));

		free(text);
		text = longer;
	}
	return text;
}

/* What the user's git ignores in every repository: ours takes the place of that file. */
static char *
users_excludes(struct role *r)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	struct git_out out = {0};
	char *path = NULL, *text = NULL;

	if (git_run(&r->git, GIT_ANY_EXIT, &out, NULL, "config", "--type=path", "--get", "core.excludesFile",
		NULL) == 0 &&
	    out.code == 0)
		path = xstrndup(out.out, strcspn(out.out, "\n"));
	else if (xdg != NULL && *xdg != '\0')
		path = xasprintf("%s/git/ignore", xdg);
	else if (home != NULL)
		path = xasprintf("%s/.config/git/ignore", home);
	git_out_clear(&out);
	if (path == NULL || fd_read_file(path, EXCLUDES_MAX, &text, NULL) < 0)
		text = xstrdup("");
	free(path);
	return text;
}

static int
write_text(const char *path, const char *text, struct err *e)
{
	int rc = fd_write_file(path, text, strlen(text), 0600);

	return rc < 0 ? err_sys(e, rc, "cannot write %s", path) : 0;
}

int
role_furnish_open(struct role *r, struct err *e)
{
	char *list = patterns_file(r), *excludes, *patterns, *users, *all;
	int rc;

	if (list == NULL)
		return 0;
	excludes = xasprintf("%s.exclude", list);
	patterns = patterns_text(r);
	users = users_excludes(r);
	all = xasprintf("%s\n%s", users, patterns);
	rc = write_text(list, patterns, e);
	if (rc == 0)
		rc = write_text(excludes, all, e);
	if (rc == 0) {
		xreplace(&r->git.forbidden, list);
		xreplace(&r->git.excludes, excludes);
	}
	free(list);
	free(excludes);
	free(patterns);
	free(users);
	free(all);
	return rc;
}

/* The folder two above the run's logs: orchd's state, wherever it is. */
static char *
orchd_state(const struct role *r)
{
	char *path = xstrdup(r->assign->log_dir), *slash;

	for (int i = 0; i < 2; i++)
		if ((slash = strrchr(path, '/')) != NULL && slash != path)
			*slash = '\0';
	return path;
}

static int
copy_files(struct role *r, struct err *e)
{
	char *state = orchd_state(r), *home = taskid_home(r->assign->state_dir, r->assign->task);
	char *scratch = xasprintf("%s/copying", home);
	const char *const avoid[] = {state, r->assign->state_dir, NULL};
	const struct copy_spec s = {.git = &r->git,
	    .from = r->assign->checkout,
	    .to = r->worktree,
	    .patterns = r->git.forbidden,
	    .scratch = scratch,
	    .avoid = avoid,
	    .max_bytes = r->conf.copy_max_mb << 20};
	struct copy_result done = {0};
	int rc = fd_mkdirs(home, 0700);

	if (rc < 0)
		err_sys(e, rc, "cannot make %s", home);
	else
		rc = copy_run(&s, &done, e);
	if (rc == 0 && done.skipped > 0)
		link_event(r->link, "copy",
		    "%s was not copied%s: links that lead out of the checkout, pipes and repositories within "
		    "are not",
		    done.skipped_name, done.skipped > 1 ? ", and more" : "");
	if (rc == 0)
		log_info("copied %llu files, %llu bytes into %s", (unsigned long long)done.files,
		    (unsigned long long)done.bytes, r->worktree);
	free(state);
	free(home);
	free(scratch);
	return rc;
}

int
role_furnish_lead(void *role, struct err *e)
{
	struct role *r = role;

	if (r->git.forbidden == NULL || r->assign->checkout == NULL)
		return 0;
	return copy_files(r, e);
}

/* Is anything in the worktree other than its commit has it? 1, 0, -errno. */
static int
is_changed(struct git *wt, struct err *e)
{
	struct git_out out = {0};
	int rc = git_run(wt, 0, &out, e, "status", "--porcelain", "-z", NULL);

	if (rc == 0)
		rc = out.size > 0;
	git_out_clear(&out);
	return rc;
}

/* A path as a pattern that names it alone. */
static char *
literal_pattern(const char *path)
{
	char *text = xmalloc(2 * strlen(path) + 3), *p = text;

	*p++ = '/';
	for (; *path != '\0'; path++) {
		if (strchr("\\*?[ ", *path) != NULL)
			*p++ = '\\';
		*p++ = *path;
	}
	strcpy(p, "\n");
	return text;
}

/* What the setup made and git does not ignore is not the agent's work. */
static int
hide_leftovers(struct role *r, struct git *wt, struct err *e)
{
	struct git_out out = {0};
	char *text = NULL, *path, *first = NULL;
	size_t n = 0;
	int rc = git_run(wt, 0, &out, e, "ls-files", "-z", "--others", "--exclude-standard", "--directory",
	    "--no-empty-directory", NULL);

	if (rc < 0 || out.size == 0) {
		git_out_clear(&out);
		return rc;
	}
	if (wt->excludes == NULL || fd_read_file(wt->excludes, EXCLUDES_MAX, &text, NULL) < 0)
		text = users_excludes(r);
	for (const char *p = out.out; p < out.out + out.size && n < LEFT_MAX; p += strlen(p) + 1, n++) {
		char *line = literal_pattern(p), *longer = xasprintf("%s\n%s", text, line);

		if (strchr(p, '\n') == NULL)
			xreplace(&text, longer);
		if (first == NULL)
			first = text_line(p, 200);
		free(line);
		free(longer);
	}
	path = xasprintf("%s/" GIT_EXCLUDE_FILE, wt->work_git_dir);
	rc = write_text(path, text, e);
	if (rc == 0)
		link_event(r->link, "setup", "it left %s%s, which git does not ignore: kept out of commits",
		    first, n > 1 ? " and more" : "");
	free(path);
	free(first);
	free(text);
	git_out_clear(&out);
	return rc;
}

/* All that it said, for whoever wants more than the reason holds. */
static char *
keep_output(const struct role *r, const struct gate_result *res)
{
	char flat[TASKID_MAX], *path;

	taskid_flat(flat, r->assign->task);
	path = xasprintf("%s/%s.setup", r->assign->log_dir, flat);
	if (fd_write_file(path, res->output, strlen(res->output), 0600) < 0)
		log_warn("cannot write %s", path);
	return path;
}

static int
report_failure(struct role *r, const struct gate_result *res, struct err *e)
{
	char *path = keep_output(r, res), *what = gate_summary(NULL, res);
	char *tail = text_tail(res->output, strlen(res->output), TAIL_MAX);
	char *why =
	    xasprintf("the worktree could not be set up: %s (all of its output: %s). The end of it:\n%s",
		what, path, tail);
	int rc = role_attempt_failed(r, why, false, e);

	free(path);
	free(what);
	free(tail);
	free(why);
	return rc < 0 ? rc : ROLE_OVER;
}

static int
set_up(struct role *r, struct git *wt, struct err *e)
{
	struct gate_result res = {0};
	int changed = is_changed(wt, e), rc = changed;
	char *what;

	if (rc < 0)
		return rc;
	link_doing(r->link, "setting up the worktree");
	rc = gate_run(&r->loop, r->conf.setup, r->worktree, (const char *const *)r->gate_env,
	    (int64_t)r->conf.setup_timeout_ms, &res, e);
	if (rc < 0)
		return rc;
	res.setup = r->conf.setup;
	if (!res.passed) {
		rc = report_failure(r, &res, e);
	} else {
		what = gate_summary(NULL, &res);
		link_event(r->link, "setup", "%s", what);
		free(what);
	}
	gate_result_clear(&res);
	if (rc == 0 && !changed) {
		rc = git_run(wt, 0, NULL, e, "reset", "--hard", "--quiet", NULL);
		if (rc == 0)
			rc = hide_leftovers(r, wt, e);
	}
	return rc;
}

static bool
is_done(const struct git *wt, const char *state)
{
	char *path = xasprintf("%s/" DONE_FILE, wt->work_git_dir), *text = NULL;
	bool done = fd_read_file(path, PATH_MAX, &text, NULL) == 0 &&
		    strncmp(text, state, strlen(state)) == 0 && strcmp(text + strlen(state), "\n") == 0;

	free(path);
	free(text);
	return done;
}

static int
mark_done(const struct git *wt, const char *state, struct err *e)
{
	char *path = xasprintf("%s/" DONE_FILE, wt->work_git_dir), *line = xasprintf("%s\n", state);
	int rc = write_text(path, line, e);

	free(path);
	free(line);
	return rc;
}

/* Too much, or a file that cannot be read: nothing that time would mend. */
static int
refuse_copy(struct role *r, int rc, struct err *e)
{
	char *why = xasprintf("files could not be copied into the worktree: %s", e->msg);

	if (rc == -EFBIG)
		rc = role_fail(r, r->assign->task, why, e);
	else
		rc = role_attempt_failed(r, why, false, e);
	free(why);
	return rc < 0 ? rc : ROLE_OVER;
}

int
role_furnish(struct role *r, const char *state, struct err *e)
{
	struct git wt = {0};
	int rc;

	if (r->conf.setup == NULL && r->git.forbidden == NULL)
		return 0;
	rc = git_init_worktree(&wt, &r->git, r->worktree, e);
	if (rc == 0 && !is_done(&wt, state)) {
		link_doing(r->link, "copying files into the worktree");
		rc = role_furnish_lead(r, e);
		if (rc < 0 && rc != -ECANCELED)
			rc = refuse_copy(r, rc, e);
		if (rc == 0 && r->conf.setup != NULL)
			rc = set_up(r, &wt, e);
		if (rc == 0)
			rc = mark_done(&wt, state, e);
	}
	git_clear(&wt);
	return rc;
}
