/*
 * git_heal: what a power cut leaves of work that was under way (see git.h). What had been told to anybody was
 * on the disk (git_settle.c); what had not may be there in part, and must not stand in the way of those who
 * do it again.
 */
#include "common/git_impl.h"

#include "common/alloc.h"
#include "common/cmd.h"
#include "common/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define REF_MAX 200
#define LOCK_AGE_S 2    /* a git of now may have closed it and still mean it */
#define ROUNDS_MAX 1000 /* torn objects: git names one at a time */

struct heal {
	struct git *g;
	time_t since; /* when the boot before began to work here */
	unsigned objects, refs, files;
};

/* Fresh; NULL: there is no such file. */
static char *
first_line(const char *path)
{
	char *text = NULL;

	if (fd_read_file(path, 256, &text, NULL) < 0)
		return NULL;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

/* Objects. */

static bool
is_hex(const char *text, size_t min)
{
	size_t n = strspn(text, "0123456789abcdef");

	return n >= min && text[n] == '\0';
}

/* Removes a loose object that cannot be read. */
static bool
drop_object(struct heal *h, const char *oid)
{
	char *path = xasprintf("%s/objects/%.2s/%s", h->g->git_dir, oid, oid + 2);
	bool gone = unlink(path) == 0;

	free(path);
	h->objects += gone;
	return gone;
}

/* The loose objects of one folder that were written since; empty ones go at once. */
static void
collect_folder(struct heal *h, const char *prefix, char **list, size_t *size)
{
	char *folder = xasprintf("%s/objects/%s", h->g->git_dir, prefix);
	DIR *d = opendir(folder);
	struct dirent *entry;
	struct stat st;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		char oid[GIT_OID_HEX + 8];

		if (!is_hex(entry->d_name, 38) ||
		    fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    st.st_mtime < h->since || strlen(entry->d_name) >= GIT_OID_HEX)
			continue;
		snprintf(oid, sizeof(oid), "%s%s\n", prefix, entry->d_name);
		if (st.st_size == 0) {
			oid[strlen(oid) - 1] = '\0';
			drop_object(h, oid);
			continue;
		}
		*list = xrealloc(*list, *size + strlen(oid) + 1);
		strcpy(*list + *size, oid);
		*size += strlen(oid);
	}
	if (d != NULL)
		closedir(d);
	free(folder);
}

/* cat-file says on stderr which object it cannot read, as "loose object OID (stored ..." or "unable to unpack
 * OID header", and what it does not take for one at all as "OID missing" on stdout. */
static bool
drop_named(struct heal *h, char *text)
{
	bool any = false;

	for (char *word = strtok(text, " \n\t'"); word != NULL; word = strtok(NULL, " \n\t'"))
		if (is_hex(word, 40) && strlen(word) < GIT_OID_HEX)
			any |= drop_object(h, word);
	return any;
}

/* Asks git to read them all. 1: one was bad and is gone; 0: all are good. */
static int
read_objects(struct heal *h, const char *how, const char *list, size_t size, struct err *e)
{
	const char *argv[] = {"git", "cat-file", how, "--buffer", NULL};
	char *env_dir = xasprintf("GIT_DIR=%s", h->g->git_dir), *path = xasprintf("PATH=%s", getenv("PATH"));
	const char *env[] = {env_dir, path, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", NULL};
	/* The content is not wanted: git_run() would refuse so much. */
	struct cmd_spec s = {.argv = argv,
	    .env = env,
	    .in = list,
	    .in_size = size,
	    .out_max = 0,
	    .err_max = 1 << 16,
	    .timeout_ms = h->g->timeout_ms};
	struct cmd_result r = {0};
	int rc;

	if (strcmp(how, "--batch-check") == 0)
		s.out_max = size * 2 + 4096;
	rc = cmd_run(h->g->loop, &s, &r, e);
	if (rc < 0)
		goto out;
	if (s.out_max > 0) {
		char *line = r.out, *end;

		for (; (end = strchr(line, '\n')) != NULL; line = end + 1)
			if (end - line > 8 && strncmp(end - 8, " missing", 8) == 0) {
				end[-8] = '\0';
				rc |= drop_object(h, line);
			}
	} else if (!cmd_ok(&r)) {
		rc = drop_named(h, r.err);
	}
	cmd_result_clear(&r);
out:
	free(env_dir);
	free(path);
	return rc;
}

static int
heal_objects(struct heal *h, struct err *e)
{
	int rc = 1;

	for (int round = 0; rc == 1 && round < ROUNDS_MAX; round++) {
		char *list = xstrdup(""), prefix[3];
		size_t size = 0;

		for (unsigned i = 0; i < 256; i++) {
			snprintf(prefix, sizeof(prefix), "%02x", i);
			collect_folder(h, prefix, &list, &size);
		}
		rc = size == 0 ? 0 : read_objects(h, "--batch-check", list, size, e);
		if (rc == 0 && size > 0)
			rc = read_objects(h, "--batch", list, size, e);
		free(list);
	}
	return rc < 0 ? rc : 0;
}

/* Refs. */

static bool
can_walk(struct heal *h, const char *const *argv)
{
	struct git_out out = {0};
	int rc = git_runv(h->g, GIT_ANY_EXIT, &out, NULL, argv, NULL, NULL, 0);
	bool ok = rc == 0 && out.code == 0;

	git_out_clear(&out);
	return ok;
}

/* Does it name a commit that is there with all that belongs to it? That some other ref is broken is not its
 * fault: then its whole history is looked at. */
static bool
is_whole(struct heal *h, const char *oid)
{
	const char *new[] = {"rev-list", "--objects", "--quiet", oid, "--single-worktree", "--not",
	    "--exclude=refs/heads/" GIT_BRANCH_DIR "/*", "--exclude=refs/orch/*", "--all", NULL};
	const char *all[] = {"rev-list", "--objects", "--quiet", oid, NULL};

	return can_walk(h, new) || can_walk(h, all);
}

static void
drop_ref(struct heal *h, const char *ref)
{
	char *path = xasprintf("%s/%s", h->g->git_dir, ref),
	     *log = xasprintf("%s/logs/%s", h->g->git_dir, ref);

	h->refs += unlink(path) == 0;
	unlink(log);
	free(path);
	free(log);
}

/* Loose refs below ref, a folder. */
static void
heal_refs(struct heal *h, const char *ref)
{
	char *folder = xasprintf("%s/%s", h->g->git_dir, ref);
	DIR *d = opendir(folder);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		char *below = xasprintf("%s/%s", ref, entry->d_name), *text = NULL;
		char *path = xasprintf("%s/%s", h->g->git_dir, below);
		size_t len = strlen(below);

		if (entry->d_name[0] == '.' || (len > 5 && strcmp(below + len - 5, ".lock") == 0)) {
			/* a lock is somebody else's affair (git_lock.c) */
		} else if (git_is_folder(path)) {
			heal_refs(h, below);
		} else if (fd_read_file(path, REF_MAX, &text, NULL) == 0) {
			text[strcspn(text, "\n")] = '\0';
			if (!is_hex(text, 40) || !is_whole(h, text))
				drop_ref(h, below);
		}
		free(text);
		free(path);
		free(below);
	}
	if (d != NULL)
		closedir(d);
	free(folder);
}

/* Worktrees. */

/* When HEAD was committed; 0: it cannot be said. */
static time_t
head_time(struct git *wt)
{
	struct git_out out = {0};
	struct err e = {""};
	time_t at = 0;

	if (git_run(wt, 0, &out, &e, "rev-list", "--max-count=1", "--timestamp", "HEAD", NULL) == 0)
		at = (time_t)strtoll(out.out, NULL, 10);
	git_out_clear(&out);
	return at;
}

/* Is the file what the index has for it, but for an end that is not there or zeros in place of bytes? So a
 * disk leaves what was not written through. path: within the worktree; file: where it is. */
static bool
is_hollow(struct git *wt, const char *path, const char *file)
{
	char *name = xasprintf(":0:%s", path), *data = NULL;
	struct git_out whole = {0};
	struct err e = {""};
	size_t size = 0, holes = 0;
	bool hollow = git_run(wt, 0, &whole, &e, "cat-file", "--filters", name, NULL) == 0 &&
		      fd_read_file(file, whole.size, &data, &size) == 0;

	for (size_t i = 0; hollow && i < size; i++)
		if (data[i] != whole.out[i]) {
			hollow = data[i] == '\0';
			holes++;
		}
	hollow = hollow && (holes > 0 || size < whole.size);
	free(data);
	git_out_clear(&whole);
	free(name);
	return hollow;
}

/*
 * What differs from the index and has not been touched since the checkout was done was lost, not changed. So
 * was what an agent wrote before the commit that has it, and its git did not write through: told apart from
 * what the agent left out of that commit by being hollow.
 */
static char *
lost_files(struct git *wt, time_t done, const struct git_out *changed, size_t *size)
{
	char *list = xmalloc(changed->size + 1);
	time_t committed = head_time(wt);

	*size = 0;
	for (const char *p = changed->out; p < changed->out + changed->size; p += strlen(p) + 1) {
		char *path = xasprintf("%s/%s", wt->work_tree, p);
		struct stat st;

		if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
		    (st.st_mtime <= done || (st.st_mtime <= committed && is_hollow(wt, p, path)))) {
			strcpy(list + *size, p);
			*size += strlen(p) + 1;
		}
		free(path);
	}
	return list;
}

static void
heal_files(struct heal *h, struct git *wt, time_t done)
{
	const char *restore[] = {"checkout-index", "--force", "-z", "--stdin", NULL};
	struct git_out changed = {0};
	struct err e = {""};
	size_t size;
	char *list;

	/* A new index knows no file's times: without this all would differ. It exits with 1 when some do. */
	if (git_run(wt, GIT_ANY_EXIT, NULL, &e, "update-index", "-q", "--refresh", NULL) < 0 ||
	    git_run(wt, 0, &changed, &e, "diff-files", "--name-only", "-z", NULL) < 0)
		return;
	list = lost_files(wt, done, &changed, &size);
	if (size > 0 && git_runv(wt, 0, NULL, &e, restore, NULL, list, size) == 0)
		for (size_t i = 0; i < size; i++)
			h->files += list[i] == '\0';
	free(list);
	git_out_clear(&changed);
}

/* Where it was detached at a commit that is lost it goes back to that of its beginning, or the user's: every
 * git of the user's stops at such a HEAD. A branch that is lost is made again by its role. */
static void
heal_head(struct heal *h, const char *admin)
{
	char *head = git_admin_head(admin), *mark = xasprintf("%s/" GIT_READY_MARK, admin), *first;
	char oid[GIT_OID_HEX] = "";
	struct err e = {""};

	if (head == NULL || (strncmp(head, "ref: ", 5) != 0 && !is_whole(h, head))) {
		first = first_line(mark);
		if (first != NULL && is_hex(first, 40) && is_whole(h, first))
			snprintf(oid, sizeof(oid), "%s", first);
		else
			git_resolve(h->g, "HEAD", oid, &e);
		if (oid[0] != '\0' && git_write_line(admin, "HEAD", oid, &e) == 0)
			h->refs++;
		free(first);
	}
	free(head);
	free(mark);
}

/* One of ours, made before. What cannot be put right is met again by who works there, and said then. */
static void
heal_worktree(struct heal *h, const char *path)
{
	struct git wt = {0};
	struct err e = {""};
	struct stat st;
	char *mark, *index;

	if (!git_is_folder(path) || git_init_worktree(&wt, h->g, path, &e) < 0)
		return;
	mark = xasprintf("%s/" GIT_READY_MARK, wt.work_git_dir);
	index = xasprintf("%s/index", wt.work_git_dir);
	if (stat(mark, &st) == 0) {
		char *first = first_line(mark);

		/* The index is written through by nobody. It is made of what the branch holds, or, where
		 * that is lost, of what it began with. */
		unlink(index);
		if (git_run(&wt, 0, NULL, &e, "read-tree", "HEAD", NULL) == 0 ||
		    (first != NULL && is_hex(first, 40) &&
			git_run(&wt, 0, NULL, &e, "read-tree", first, NULL) == 0))
			heal_files(h, &wt, st.st_mtime);
		free(first);
	}
	free(mark);
	free(index);
	git_clear(&wt);
}

static int
heal_worktrees(struct heal *h, struct err *e)
{
	char **paths = NULL;
	int rc = git_worktrees_below(h->g, "", &paths, e);

	for (size_t i = 0; rc == 0 && paths[i] != NULL; i++) {
		char *admin = NULL, *reason, *text = NULL;

		if (git_admin_find(h->g, paths[i], &admin, NULL) == 0 && admin != NULL) {
			reason = xasprintf("%s/locked", admin);
			if (fd_read_file(reason, 256, &text, NULL) == 0 &&
			    strcmp(text, GIT_LOCK_REASON "\n") == 0) {
				heal_head(h, admin);
				heal_worktree(h, paths[i]);
			}
			free(text);
			free(reason);
		}
		free(admin);
	}
	git_free_paths(paths);
	return rc;
}

/* Who held it lived before; what git_delete_begin() wrote may be lost. */
static void
heal_lock(struct heal *h)
{
	char *path = xasprintf("%s/packed-refs.lock", h->g->git_dir);
	struct stat st;

	if (lstat(path, &st) == 0 && time(NULL) - st.st_mtime >= LOCK_AGE_S && !git_lock_held(path))
		unlink(path);
	free(path);
}

static int
heal(struct git *g, const char *file, char **found, struct err *e)
{
	struct heal h = {.g = g};
	struct stat st;
	int rc;

	if (stat(file, &st) < 0)
		return 0; /* the first time here */
	h.since = st.st_mtime;
	heal_lock(&h);
	rc = heal_objects(&h, e);
	if (rc == 0) {
		heal_refs(&h, "refs/heads/" GIT_BRANCH_DIR);
		heal_refs(&h, "refs/orch");
		rc = heal_worktrees(&h, e);
	}
	if (rc == 0 && h.objects + h.refs + h.files > 0)
		*found = xasprintf(
		    "%u objects and %u refs were not whole and are gone, %u files of worktrees are there "
		    "again",
		    h.objects, h.refs, h.files);
	return rc;
}

int
git_heal(struct git *g, char **found, struct err *e)
{
	char *file = xasprintf("%s/" GIT_BOOT_FILE, g->git_dir), *now = first_line(BOOT_ID),
	     *then = first_line(file);
	int fd = -1, rc = 0;

	*found = NULL;
	if (now != NULL && (then == NULL || strcmp(now, then) != 0))
		rc = git_lane_take(g, &fd, e);
	if (fd >= 0) {
		free(then);
		then = first_line(file); /* somebody else may have done it meanwhile */
		if (then == NULL || strcmp(now, then) != 0) {
			rc = heal(g, file, found, e);
			if (rc == 0)
				rc = git_write_line(g->git_dir, GIT_BOOT_FILE, now, e);
		}
	}
	fd_close(&fd);
	free(file);
	free(now);
	free(then);
	return rc;
}
