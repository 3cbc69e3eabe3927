/*
 * git_settle: what is told to the world is on the disk, whoever wrote it. git with core.fsync=committed
 * writes the files of objects and refs through, but not the names in their folders, and an agent's own git
 * writes nothing through; a machine that loses its power then has a ref to commits that are not there.
 */
#include "common/git_impl.h"

#include "common/alloc.h"
#include "common/cmd.h"
#include "common/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILES_PER_SYNC 400

struct batch_of_files {
	const char *argv[FILES_PER_SYNC + 4];
	size_t n;
};

/* By sync(1): an fsync may take seconds, and the loop must go on. */
static int
sync_files(struct git *g, struct batch_of_files *b, struct err *e)
{
	struct cmd_spec s = {.argv = b->argv, .out_max = 1024, .err_max = 1024, .timeout_ms = g->timeout_ms};
	struct cmd_result r = {0};
	int rc;

	if (b->n == 0)
		return 0;
	memmove(b->argv + 2, b->argv, b->n * sizeof(b->argv[0]));
	b->argv[0] = "sync";
	b->argv[1] = "--";
	b->argv[b->n + 2] = NULL;
	rc = cmd_run(g->loop, &s, &r, e);
	if (rc == 0 && !cmd_ok(&r)) {
		r.err[strcspn(r.err, "\n")] = '\0';
		rc = err_set(
		    e, -EIO, "cannot write commits to the disk: %s", r.timed_out ? "timed out" : r.err);
	}
	if (rc == 0 || r.err != NULL)
		cmd_result_clear(&r);
	for (size_t i = 0; i < b->n; i++)
		free((char *)b->argv[i + 2]);
	b->n = 0;
	return rc;
}

/* path is ours from here on. */
static int
add_file(struct git *g, struct batch_of_files *b, char *path, struct err *e)
{
	b->argv[b->n++] = path;
	return b->n == FILES_PER_SYNC ? sync_files(g, b, e) : 0;
}

/* The loose ones of the listed objects, and each folder of them once. Packs are written through by git
 * itself. */
static int
sync_objects(struct git *g, char *list, struct err *e)
{
	struct batch_of_files b = {.n = 0};
	bool folders[256] = {false}, any = false;
	int rc = 0;

	for (char *oid = strtok(list, "\n"); rc == 0 && oid != NULL; oid = strtok(NULL, "\n")) {
		char *path = xasprintf("%s/objects/%.2s/%s", g->git_dir, oid, oid + 2);
		unsigned folder = 0;

		if (sscanf(oid, "%2x", &folder) != 1 || access(path, F_OK) < 0) {
			free(path);
			continue;
		}
		rc = add_file(g, &b, path, e);
		if (rc == 0 && !folders[folder & 255])
			rc = add_file(g, &b, xasprintf("%s/objects/%.2s", g->git_dir, oid), e);
		folders[folder & 255] = any = true;
	}
	if (rc == 0 && any)
		rc = add_file(g, &b, xasprintf("%s/objects", g->git_dir), e);
	if (rc == 0)
		rc = sync_files(g, &b, e);
	for (size_t i = 0; i < b.n; i++)
		free((char *)b.argv[i]);
	return rc;
}

int
git_settle(struct git *g, const char *oid, const char *base, struct err *e)
{
	const char *since[] = {"rev-list", "--objects", "--no-object-names", oid, "--not", base, NULL};
	const char *all[] = {"rev-list", "--objects", "--no-object-names", oid, "--single-worktree", "--not",
	    "--exclude=refs/heads/" GIT_BRANCH_DIR "/*", "--exclude=refs/orch/*", "--all", NULL};
	struct git_out out = {0};
	int rc = git_runv(g, 0, &out, e, base != NULL ? since : all, NULL, NULL, 0);

	if (rc == 0)
		rc = sync_objects(g, out.out, e);
	git_out_clear(&out);
	return rc;
}

int
git_settle_ref(struct git *g, const char *ref, bool fresh, struct err *e)
{
	char *path = xasprintf("%s/%s", g->git_dir, ref), *slash;
	size_t top = strlen(g->git_dir);
	int rc = 0;

	/* A new ref may have made folders, each a name in the one above. */
	do {
		slash = strrchr(path, '/');
		*slash = '\0';
		rc = fd_sync_folder(path);
	} while (rc == 0 && fresh && (size_t)(slash - path) > top);
	if (rc == -ENOENT) /* a packed one whose folder is gone */
		rc = 0;
	if (rc < 0)
		err_sys(e, rc, "cannot write %s to the disk", ref);
	free(path);
	return rc;
}
