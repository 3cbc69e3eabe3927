/* e2e_user: what belongs to the user before and after a run, and what a run may leave (see e2e.h). */
#include "tests/helper/lib/e2e.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "common/json.h"
#include "common/proc.h"
#include "common/taskid.h"
#include "tests/helper/lib/test.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct e2e_before {
	char *index, *head, *status, *stash, *refs, *config, *files;
	size_t index_size;
};

void
e2e_faultf(char **faults, const char *fmt, ...)
{
	char *line, *longer;
	va_list ap;

	va_start(ap, fmt);
	assert_true(vasprintf(&line, fmt, ap) >= 0);
	va_end(ap);
	longer = xasprintf("%s%s\n", *faults, line);
	free(line);
	free(*faults);
	*faults = longer;
}

static char *
read_git_file(struct e2e *e, const char *name, size_t *size)
{
	char *path = xasprintf("%s/%s", e->repo->git_dir, name), *data = NULL;

	*size = 0;
	if (fd_read_file(path, 16 << 20, &data, size) < 0)
		data = xstrdup("");
	free(path);
	return data;
}

static char *
refs_now(struct e2e *e)
{
	return testrepo_git(e->repo, NULL, "for-each-ref", "--format=%(refname) %(objectname)", NULL);
}

/* The index is read before git status can refresh it. */
static struct e2e_before *
look(struct e2e *e)
{
	struct e2e_before *b = xcalloc(1, sizeof(*b));
	struct testrepo *t = e->repo;
	size_t size;

	b->index = read_git_file(e, "index", &b->index_size);
	b->head = read_git_file(e, "HEAD", &size);
	b->config = read_git_file(e, "config", &size);
	b->status = testrepo_git(t, NULL, "--no-optional-locks", "status", "--porcelain=v2", "--branch",
	    "--untracked-files=all", NULL);
	b->stash = testrepo_git(t, NULL, "stash", "list", NULL);
	b->refs = refs_now(e);
	b->files = testrepo_git(t, NULL, "ls-files", "-cdmos", NULL);
	return b;
}

struct e2e_before *
e2e_before_take(struct e2e *e)
{
	return look(e);
}

void
e2e_before_free(struct e2e_before *b)
{
	if (b == NULL)
		return;
	free(b->index);
	free(b->head);
	free(b->status);
	free(b->stash);
	free(b->refs);
	free(b->config);
	free(b->files);
	free(b);
}

static void
compare(const char *what, const char *was, const char *is, char **faults)
{
	if (strcmp(was, is) != 0)
		e2e_faultf(faults, "%s was\n%s\nand is\n%s", what, was, is);
}

/* Every ref of before is there as it was; new ones are e2e_check_leftovers' affair. */
static void
compare_refs(const char *was, const char *is, char **faults)
{
	char *copy = xstrdup(was), *save;

	for (char *line = strtok_r(copy, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		if (strstr(is, line) == NULL)
			e2e_faultf(faults, "the ref %s has changed", line);
	free(copy);
}

void
e2e_before_compare(struct e2e *e, const struct e2e_before *was, char **faults)
{
	struct e2e_before *is = look(e);

	if (is->index_size != was->index_size || memcmp(is->index, was->index, was->index_size) != 0)
		e2e_faultf(faults, "the user's index has changed");
	compare("HEAD", was->head, is->head, faults);
	compare("git status", was->status, is->status, faults);
	compare("git stash list", was->stash, is->stash, faults);
	compare(".git/config", was->config, is->config, faults);
	compare("the checkout", was->files, is->files, faults);
	compare_refs(was->refs, is->refs, faults);
	e2e_before_free(is);
}

/* May a run leave this ref? Its work branch, and saved work of tasks that were not integrated. */
static bool
may_stay(json_t *runs, const char *ref)
{
	for (size_t i = 0; i < json_array_size(runs); i++) {
		json_t *run = json_array_get(runs, i), *tasks = json_object_get(run, "tasks");
		const char *branch = json_str(run, "branch");

		if (strncmp(ref, "refs/heads/", 11) == 0 && branch != NULL && strcmp(ref + 11, branch) == 0)
			return true;
		for (size_t k = 0; k < json_array_size(tasks); k++) {
			json_t *t = json_array_get(tasks, k);
			const char *state = json_str(t, "state");
			char *wip = taskid_wip_ref(json_str(t, "task"));
			bool ok = strcmp(wip, ref) == 0 && strcmp(state, "integrated") != 0;

			free(wip);
			if (ok)
				return true;
		}
	}
	return false;
}

static bool
all_ended(json_t *runs)
{
	for (size_t i = 0; i < json_array_size(runs); i++) {
		const char *state = json_str(json_array_get(runs, i), "state");

		if (strcmp(state, "complete") != 0 && strcmp(state, "partial") != 0 &&
		    strcmp(state, "failed") != 0 && strcmp(state, "cancelled") != 0)
			return false;
	}
	return true;
}

static void
check_refs(struct e2e *e, json_t *runs, char **faults)
{
	char *refs = testrepo_git(e->repo, NULL, "for-each-ref", "--format=%(refname)", NULL), *save;

	for (char *ref = strtok_r(refs, "\n", &save); ref != NULL; ref = strtok_r(NULL, "\n", &save)) {
		bool ours = strncmp(ref, "refs/heads/cco/", 15) == 0 || strncmp(ref, "refs/orch/", 10) == 0;

		if (ours && !may_stay(runs, ref))
			e2e_faultf(faults, "stray ref %s", ref);
		else if (!ours && e->before != NULL && strstr(e->before->refs, ref) == NULL)
			e2e_faultf(faults, "ref %s is new", ref);
	}
	free(refs);
}

/* How far something had come that is left: its files and what they say. */
static void
show_folder(const char *path, char **faults)
{
	DIR *d = opendir(path);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		char *file = xasprintf("%s/%s", path, entry->d_name), *text = NULL;

		if (entry->d_name[0] != '.')
			e2e_faultf(faults, "  with %s: %.200s", entry->d_name,
			    fd_read_file(file, 1 << 20, &text, NULL) < 0 ? "(no file)" : text);
		free(text);
		free(file);
	}
	if (d != NULL)
		closedir(d);
}

static void
check_empty(const char *what, const char *dir, char **faults)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			char *path = xasprintf("%s/%s", dir, entry->d_name);

			e2e_faultf(faults, "%s: %s is left", what, path);
			show_folder(path, faults);
			free(path);
		}
	if (d != NULL)
		closedir(d);
}

struct marked {
	struct e2e *e;
	char **faults;
};

static bool
on_process(void *arg, pid_t pid)
{
	struct marked *m = arg;

	if (proc_has_env(pid, "ORCH_INSTANCE", m->e->where.instance))
		e2e_faultf(m->faults, "process %d carries our mark", (int)pid);
	return true;
}

/* A run that was stopped and not resumed keeps its worktrees and branches: then only processes are looked
 * for. */
void
e2e_check_leftovers(struct e2e *e, json_t *runs, char **faults)
{
	struct marked m = {e, faults};
	char *wt = xasprintf("%s/wt", e->where.worktrees),
	     *admin = testrepo_path(e->repo, "repo/.git/worktrees");

	proc_each(on_process, &m);
	if (all_ended(runs)) {
		check_refs(e, runs, faults);
		check_empty("worktree", wt, faults);
		check_empty("worktree's administration", admin, faults);
		check_empty("agents' TMPDIR", e->tmp, faults);
	}
	free(wt);
	free(admin);
}

static void
check_log(const char *path, char **faults)
{
	static const char *const bad[] = {
	    "BUG:", "ERROR: AddressSanitizer", "runtime error:", "ERROR: LeakSanitizer", "Assertion"};
	char *text = NULL;

	if (fd_read_file(path, 64 << 20, &text, NULL) < 0)
		return;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *at = strstr(text, bad[i]);

		if (at != NULL)
			e2e_faultf(faults, "%s: %.2000s", path, at);
	}
	free(text);
}

/* What the programs found wrong with themselves. */
void
e2e_check_logs(struct e2e *e, char **faults)
{
	char *dir = xasprintf("%s/logs", e->where.state);
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		char *path = xasprintf("%s/%s", dir, entry->d_name);
		DIR *run = entry->d_name[0] == '.' ? NULL : opendir(path);
		struct dirent *log;

		check_log(path, faults);
		while (run != NULL && (log = readdir(run)) != NULL) {
			char *inner = xasprintf("%s/%s", path, log->d_name);

			if (strstr(log->d_name, ".agent.") == NULL)
				check_log(inner, faults);
			free(inner);
		}
		if (run != NULL)
			closedir(run);
		free(path);
	}
	if (d != NULL)
		closedir(d);
	free(dir);
}
