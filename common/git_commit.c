/*
 * git_commit: whatever an agent did in its worktree becomes one commit on its branch. The folder's content is
 * what counts; history that still descends from the base is kept as parents, so that nothing committed is
 * lost.
 */
#include "common/git_impl.h"

#include "common/alloc.h"
#include "common/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_LOG_MAX (4u << 20)
#define REF_PREFIX "ref: refs/heads/"

struct work {
	struct git *repo;
	struct git wt;
	const char *branch, *base;
	char head[GIT_OID_HEX], tip[GIT_OID_HEX]; /* of the worktree, of the branch; "" when there is none */
	bool head_ok, tip_ok;                     /* descend from base */
	char *was_on;                             /* the branch that HEAD named, or NULL */
	/* What same_tree asked last: a commit and its tree. */
	char seen[GIT_OID_HEX], seen_tree[GIT_OID_HEX];
	struct git_notes notes;
};

/* Learns where HEAD was. One that is no HEAD at all is put on the branch, for git would refuse to work there.
 */
static int
read_head(struct work *w, struct err *e)
{
	char *text = git_admin_head(w->wt.work_git_dir), *line;
	int rc = 0;

	if (text == NULL) {
		git_note(&w->notes, "the worktree's HEAD was broken");
		line = xasprintf(REF_PREFIX "%s", w->branch);
		rc = git_write_line(w->wt.work_git_dir, "HEAD", line, e);
		free(line);
	} else if (strncmp(text, REF_PREFIX, strlen(REF_PREFIX)) == 0) {
		w->was_on = xstrdup(text + strlen(REF_PREFIX));
		if (strcmp(w->was_on, w->branch) != 0)
			git_note(&w->notes, "the agent had switched to the branch %s", w->was_on);
	} else {
		git_note(&w->notes, "the agent had left its branch");
	}
	free(text);
	return rc;
}

static int
open_worktree(struct work *w, const char *path, struct err *e)
{
	char *real = NULL, *admin = NULL;
	int rc = git_real_path(path, &real, e);

	if (rc == 0 && !git_is_folder(real))
		rc = err_set(e, -ENOENT, "the worktree %s is gone", real);
	if (rc == 0)
		rc = git_admin_find(w->repo, real, &admin, e);
	if (rc == 0 && admin == NULL) {
		git_note(&w->notes, "git's record of the worktree was gone");
		rc = git_admin_make(w->repo, real, w->branch, w->base, true, &admin, e);
	}
	if (rc == 0)
		rc = git_admin_repair(real, admin, &w->notes, e);
	if (rc == 0)
		rc = git_init_worktree(&w->wt, w->repo, real, e);
	free(real);
	free(admin);
	return rc;
}

static int
look(struct work *w, struct err *e)
{
	char *ref = xasprintf("refs/heads/%s", w->branch);
	int rc = git_resolve_if_any(&w->wt, "HEAD", w->head, e);

	if (rc == 0)
		rc = git_resolve_if_any(w->repo, ref, w->tip, e);
	free(ref);
	if (rc == 0 && w->head[0] != '\0') {
		rc = git_is_ancestor(w->repo, w->base, w->head, e);
		w->head_ok = rc == 1;
	}
	if (rc >= 0 && w->tip[0] != '\0') {
		rc = git_is_ancestor(w->repo, w->base, w->tip, e);
		w->tip_ok = rc == 1;
	}
	return rc < 0 ? rc : 0;
}

/* 1 when the trees of two revisions (or a tree id) are the same. */
static int
same_tree(struct work *w, const char *commit, const char *tree, struct err *e)
{
	if (strcmp(commit, w->seen) != 0) {
		int rc = git_tree(w->repo, commit, w->seen_tree, e);

		if (rc < 0)
			return rc;
		strcpy(w->seen, commit);
	}
	return strcmp(w->seen_tree, tree) == 0;
}

/* Did the agent do its work on the branch, and then only look at something older? 1, 0 or -errno. */
static int
only_switched_away(struct work *w, const char *tree, struct err *e)
{
	int rc;

	if (!w->tip_ok || w->head[0] == '\0' || strcmp(w->head, w->tip) == 0)
		return 0;
	rc = git_is_ancestor(w->repo, w->head, w->tip, e);
	return rc == 1 ? same_tree(w, w->head, tree, e) : rc;
}

/*
 * Which of these paths do the forbidden patterns name? 1, 0, -errno. Asked where there is no .gitignore: with
 * one, git would not say whose pattern it was.
 */
static int
any_forbidden(struct work *w, const struct git_out *paths, struct err *e)
{
	const char *argv[] = {"check-ignore", "--no-index", "-z", "--stdin", NULL};
	struct git nowhere = {0};
	struct git_out out = {0};
	int rc;

	git_init(&nowhere, w->repo->loop, w->repo->git_dir);
	nowhere.timeout_ms = w->repo->timeout_ms;
	nowhere.work_tree = xstrdup(w->wt.work_git_dir);
	nowhere.excludes = xstrdup(w->wt.forbidden);
	rc = git_runv(&nowhere, GIT_ANY_EXIT, &out, e, argv, NULL, paths->out, paths->size);
	if (rc == 0 && out.code > 1)
		rc = -EIO;
	if (rc == 0)
		rc = out.size > 0;
	git_out_clear(&out);
	git_clear(&nowhere);
	return rc;
}

/*
 * The agent may have committed by itself what was copied into its worktree: then its commits do not become
 * part of the branch's history, only the files as they are.
 */
static int
forget_forbidden(struct work *w, struct err *e)
{
	char *not_base = xasprintf("^%s", w->base);
	struct git_out out = {0};
	int rc = 0;

	if (w->wt.forbidden != NULL && (w->head_ok || w->tip_ok))
		rc = git_run(w->repo, 0, &out, e, "log", "-z", "--format=", "--name-only", "--no-renames",
		    "-m", "--diff-filter=A", w->head_ok ? w->head : w->tip, not_base, NULL);
	if (rc == 0 && out.size > 0)
		rc = any_forbidden(w, &out, e);
	if (rc == 1) {
		git_note(&w->notes,
		    "the agent had committed what was copied into the worktree: its commits were "
		    "made into one without that");
		w->head_ok = w->tip_ok = false;
		strcpy(w->head, w->base);
		rc = 0;
	}
	git_out_clear(&out);
	free(not_base);
	return rc;
}

static int
commit_content(struct work *w, const char *tree, const char *message, char result[GIT_OID_HEX], struct err *e)
{
	const char *parents[3] = {w->head_ok ? w->head : w->tip_ok ? w->tip : w->base, NULL, NULL};
	int rc;

	if (w->head_ok && w->tip_ok) {
		rc = git_is_ancestor(w->repo, w->tip, w->head, e);
		if (rc < 0)
			return rc;
		if (rc == 0) {
			parents[1] = w->tip;
			git_note(&w->notes,
			    "what was on %s but not in the folder is kept only as history (%.12s)", w->branch,
			    w->tip);
		}
	}
	if (!w->head_ok && w->head[0] != '\0')
		git_note(&w->notes,
		    "the history had been rewritten and does not descend from its base any more; "
		    "the files as they are were committed");
	rc = same_tree(w, parents[0], tree, e);
	if (rc < 0)
		return rc;
	if (rc == 1 && parents[1] == NULL) {
		strcpy(result, parents[0]);
		return 0;
	}
	return git_make_commit(w->repo, tree, parents, message, result, e);
}

/* The agent's own git has moved the branch, perhaps in memory only: to write the same again would change
 * nothing. */
static int
settle_branch(struct work *w, const char *ref, struct err *e)
{
	char *path = xasprintf("%s/%s", w->repo->git_dir, ref);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc = 0;

	if (fd >= 0 && fsync(fd) < 0)
		rc = err_sys(e, -errno, "cannot write %s to the disk", path);
	fd_close(&fd);
	free(path);
	return rc < 0 ? rc : git_settle_ref(w->repo, ref, true, e);
}

static int
move_branch(struct work *w, const char *result, struct err *e)
{
	char *ref = xasprintf("refs/heads/%s", w->branch);
	int rc = 0;

	/* All of it: what is there already may be the agent's own. */
	if (strcmp(w->base, result) != 0)
		rc = git_settle(w->repo, result, w->base, e);
	if (rc == 0 && strcmp(w->tip, result) != 0)
		rc = git_move_ref(w->repo, ref, result, w->tip, "orch", e);
	else if (rc == 0)
		rc = settle_branch(w, ref, e);
	if (rc == 0 && (w->was_on == NULL || strcmp(w->was_on, w->branch) != 0))
		rc = git_run(&w->wt, 0, NULL, e, "symbolic-ref", "-m", "orch", "HEAD", ref, NULL);
	free(ref);
	return rc;
}

static bool
in_use(struct git *repo, const char *branch)
{
	char *where = git_branch_user(repo, branch);
	bool used = where != NULL;

	free(where);
	return used;
}

/* When the worktree was made, in seconds since the epoch. */
static int64_t
made_at(const struct work *w)
{
	char *path = xasprintf("%s/locked", w->wt.work_git_dir);
	struct stat st;
	int64_t at = stat(path, &st) == 0 ? st.st_mtime : INT64_MAX;

	free(path);
	return at;
}

/*
 * Was the branch born after the worktree? Its reflog begins with "000... <oid> Name <mail> <time> <zone>\t"
 * then; the log of an older branch, or no log, is no proof. -b makes the branch just before the worktree: 1 s
 * is given.
 */
static bool
born_here(const struct work *w, const char *branch)
{
	char *path = xasprintf("%s/logs/refs/heads/%s", w->repo->git_dir, branch), *text = NULL, *at;
	bool born = false;

	if (fd_read_file(path, HEAD_LOG_MAX, &text, NULL) == 0) {
		size_t zeros = strspn(text, "0");

		text[strcspn(text, "\n")] = '\0';
		at = strrchr(text, '>');
		born = (zeros == 40 || zeros == 64) && text[zeros] == ' ' && at != NULL &&
		       strtoll(at + 1, NULL, 10) >= made_at(w) - 1;
	}
	free(path);
	free(text);
	return born;
}

/* Shares our branches' folder, or is ours? Those have owners that decide about them. */
static bool
is_team_branch(const struct work *w, const char *branch)
{
	return strcmp(branch, w->branch) == 0 ||
	       strncmp(branch, GIT_BRANCH_DIR "/", strlen(GIT_BRANCH_DIR "/")) == 0;
}

/* Removes branch when the agent made it and its commits live on in result. Failing is no harm. */
static void
drop_branch(struct work *w, const char *branch, const char *result)
{
	char *ref = xasprintf("refs/heads/%s", branch), tip[GIT_OID_HEX];

	if (!is_team_branch(w, branch) && born_here(w, branch) && !in_use(w->repo, branch) &&
	    git_resolve(w->repo, ref, tip, NULL) == 0 && git_is_ancestor(w->repo, tip, result, NULL) == 1)
		git_update_branch(w->repo, branch, NULL, tip, NULL);
	free(ref);
}

/* The branches that HEAD has been on, from its reflog ("checkout: moving from A to B"). */
static void
drop_agents_branches(struct work *w, const char *result)
{
	static const char moved[] = "\tcheckout: moving from ";
	char *path = xasprintf("%s/logs/HEAD", w->wt.work_git_dir), *text = NULL, *line, *rest;

	if (w->was_on != NULL)
		drop_branch(w, w->was_on, result);
	if (fd_read_file(path, HEAD_LOG_MAX, &text, NULL) < 0)
		text = xstrdup("");
	for (rest = text; (line = strsep(&rest, "\n")) != NULL;) {
		char *to = strstr(line, moved);

		to = to != NULL ? strstr(to + strlen(moved), " to ") : NULL;
		if (to != NULL)
			drop_branch(w, to + 4, result);
	}
	free(text);
	free(path);
}

/* An agent's own commits become the user's, with whose task they are of. result is changed. */
static int
sign(struct work *w, const char *message, char result[GIT_OID_HEX], struct err *e)
{
	const char *trailers = git_our_trailers(message);
	char made[GIT_OID_HEX];
	int rc = trailers == NULL || strcmp(result, w->base) == 0
		     ? 1
		     : git_sign_commits(w->repo, w->base, result, trailers, made, e);

	if (rc == 0)
		strcpy(result, made);
	return rc < 0 ? rc : 0;
}

static int
commit_all(struct work *w, const char *message, char head[GIT_OID_HEX], struct err *e)
{
	char tree[GIT_OID_HEX], result[GIT_OID_HEX], agents[GIT_OID_HEX];
	const char *start;
	int rc = git_admin_settle(&w->wt, &w->notes, e);

	if (rc == 0)
		rc = read_head(w, e);
	if (rc == 0)
		rc = look(w, e);
	start = w->head[0] != '\0' ? w->head : w->tip_ok ? w->tip : w->base;
	if (rc == 0)
		rc = git_content_tree(&w->wt, NULL, start, w->base, tree, &w->notes, e);
	if (rc == 0)
		rc = only_switched_away(w, tree, e);
	if (rc == 0)
		rc = forget_forbidden(w, e);
	if (rc == 1) {
		strcpy(result, w->tip);
		strcpy(agents, result);
		rc = git_tree(w->repo, result, tree, e);
		if (rc == 0)
			rc = sign(w, message, result, e);
		if (rc == 0)
			rc = move_branch(w, result, e);
		if (rc == 0)
			rc = git_run(&w->wt, 0, NULL, e, "reset", "--hard", "--quiet", result, NULL);
	} else if (rc == 0) {
		rc = commit_content(w, tree, message, result, e);
		if (rc == 0) {
			strcpy(agents, result);
			rc = sign(w, message, result, e);
		}
		if (rc == 0)
			rc = move_branch(w, result, e);
	}
	if (rc < 0)
		return rc;
	drop_agents_branches(w, agents);
	rc = same_tree(w, w->base, tree, e);
	if (rc < 0)
		return rc;
	strcpy(head, rc == 1 ? w->base : result);
	return 0;
}

int
git_commit_all(struct git *repo, const char *path, const char *branch, const char *base, const char *message,
    char head[GIT_OID_HEX], char **notes, struct err *e)
{
	char base_oid[GIT_OID_HEX];
	struct work w = {.repo = repo, .branch = branch, .base = base_oid};
	int rc = git_resolve(repo, base, base_oid, e);

	if (rc == 0)
		rc = open_worktree(&w, path, e);
	if (rc == 0)
		rc = commit_all(&w, message, head, e);
	if (rc == 0 && notes != NULL) {
		*notes = w.notes.text;
		w.notes.text = NULL;
	}
	free(w.notes.text);
	free(w.was_on);
	git_clear(&w.wt);
	return rc;
}
