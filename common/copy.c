/* copy: see copy.h. */
#include "common/copy.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (4u << 20)
#define TURN_MS 20 /* of copying between two looks at the loop */
#define FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct copier {
	const struct copy_spec *s;
	struct copy_result *r;
	char *real; /* the checkout without symbolic links */
	int from, to;
	char *folder; /* of the last file, and what is open of it */
	int from_in, to_in;
	int64_t turn_ms;
};

bool
copy_link_strays(const char *path, const char *target, const char *checkout)
{
	size_t n = strlen(checkout);
	int depth = 0;

	if (target[0] == '/')
		return strncmp(target, checkout, n) == 0 && (target[n] == '/' || target[n] == '\0');
	for (const char *p = path; (p = strchr(p, '/')) != NULL; p++)
		depth++;
	for (const char *p = target; *p != '\0'; p += strspn(p, "/")) {
		size_t len = strcspn(p, "/");

		if (len == 2 && p[0] == '.' && p[1] == '.')
			depth--;
		else if (len != 1 || p[0] != '.')
			depth++;
		if (depth < 0)
			return true;
		p += len;
	}
	return false;
}

static int
breathe(struct copier *c)
{
	bool never = false;
	int rc;

	if (clock_now_ms() - c->turn_ms < TURN_MS)
		return 0;
	rc = loop_wait(c->s->git->loop, &never, clock_now_ms());
	c->turn_ms = clock_now_ms();
	return rc == -ETIMEDOUT ? 0 : rc;
}

static void
skip(struct copier *c, const char *path)
{
	char *line;

	if (c->r->skipped++ > 0)
		return;
	line = text_line(path, sizeof(c->r->skipped_name) - 1);
	snprintf(c->r->skipped_name, sizeof(c->r->skipped_name), "%s", line);
	free(line);
}

static void
leave_folder(struct copier *c)
{
	fd_close(&c->from_in);
	fd_close(&c->to_in);
	free(c->folder);
	c->folder = NULL;
}

/* One component down on both sides. -ENOTDIR, -ELOOP: there is something else on one of them. */
static int
step_into(int *from, int *to, const char *name)
{
	int next_from = openat(*from, name, FOLDER), next_to = -1, rc = 0;
	struct stat st;

	if (next_from < 0 || fstat(next_from, &st) < 0)
		rc = -errno;
	if (rc == 0 && mkdirat(*to, name, (st.st_mode & 0777) | 0700) < 0 && errno != EEXIST)
		rc = -errno;
	if (rc == 0 && (next_to = openat(*to, name, FOLDER)) < 0)
		rc = -errno;
	fd_close(from);
	fd_close(to);
	*from = next_from;
	*to = next_to;
	return rc;
}

/* Opens the folder of path on both sides; files of one folder come one after the other. */
static int
enter_folder(struct copier *c, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = xstrndup(path, slash == NULL ? 0 : (size_t)(slash - path)), *copy, *save;
	int rc = 0;

	if (c->folder != NULL && strcmp(c->folder, folder) == 0) {
		free(folder);
		return 0;
	}
	leave_folder(c);
	c->from_in = fcntl(c->from, F_DUPFD_CLOEXEC, 3);
	c->to_in = fcntl(c->to, F_DUPFD_CLOEXEC, 3);
	if (c->from_in < 0 || c->to_in < 0)
		rc = -errno;
	copy = xstrdup(folder);
	for (char *name = strtok_r(copy, "/", &save); rc == 0 && name != NULL;
	     name = strtok_r(NULL, "/", &save))
		rc = strcmp(name, "..") == 0 || strcmp(name, ".git") == 0
			 ? -EINVAL
			 : step_into(&c->from_in, &c->to_in, name);
	free(copy);
	c->folder = folder;
	if (rc < 0)
		leave_folder(c);
	return rc;
}

/* The content, by sharing blocks where the file system can. */
static int
fill(struct copier *c, int in, int out)
{
	char *buf = NULL;
	int rc = 0;
	ssize_t n = 1;

	if (ioctl(out, FICLONE, in) == 0)
		return 0;
	while (rc == 0 && n > 0) {
		n = buf == NULL ? copy_file_range(in, NULL, out, NULL, CHUNK, 0) : fd_read(in, buf, CHUNK);
		if (n < 0 && buf == NULL) { /* not on these file systems, and nothing was copied yet */
			buf = xmalloc(CHUNK);
			n = 1;
			continue;
		}
		if (n > 0 && buf != NULL)
			rc = fd_write_all(out, buf, (size_t)n);
		if (rc == 0)
			rc = n < 0 ? (int)n : breathe(c);
	}
	free(buf);
	return rc;
}

/* A finished file takes its place unless something is there. */
static int
put_in_place(struct copier *c, const char *name)
{
	int rc = 0;

	if (renameat2(AT_FDCWD, c->s->scratch, c->to_in, name, RENAME_NOREPLACE) == 0)
		return 0;
	rc = -errno;
	if (rc == -EINVAL || rc == -ENOSYS) { /* a file system without that flag */
		rc = linkat(AT_FDCWD, c->s->scratch, c->to_in, name, 0) < 0 ? -errno : 0;
		unlink(c->s->scratch);
	}
	if (rc < 0)
		unlink(c->s->scratch);
	return rc == -EEXIST ? 0 : rc;
}

static int
copy_file(struct copier *c, const char *name, const struct stat *seen)
{
	int in = openat(c->from_in, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), out = -1, rc = 0;
	struct timespec times[2] = {seen->st_atim, seen->st_mtim};
	struct stat st;

	if (in < 0 || fstat(in, &st) < 0)
		rc = -errno;
	else if (!S_ISREG(st.st_mode))
		rc = -EAGAIN; /* it changes while we look */
	if (rc == 0) {
		unlink(c->s->scratch);
		out = open(c->s->scratch, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		rc = out < 0 ? -errno : fill(c, in, out);
	}
	if (rc == 0 && (fchmod(out, (st.st_mode & 0777) | 0600) < 0 || futimens(out, times) < 0))
		rc = -errno;
	fd_close(&in);
	fd_close(&out);
	if (rc < 0) {
		unlink(c->s->scratch);
		return rc;
	}
	c->r->files++;
	c->r->bytes += (uint64_t)st.st_size;
	return put_in_place(c, name);
}

static int
copy_link(struct copier *c, const char *path, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(c->from_in, name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (copy_link_strays(path, target, c->real) || copy_link_strays(path, target, c->s->from)) {
		skip(c, path);
		return 0;
	}
	if (symlinkat(target, c->to_in, name) < 0)
		return errno == EEXIST ? 0 : -errno;
	c->r->files++;
	return 0;
}

static bool
is_avoided(const struct copier *c, const char *path)
{
	size_t n = strlen(c->real);

	for (size_t i = 0; c->s->avoid != NULL && c->s->avoid[i] != NULL; i++) {
		const char *a = c->s->avoid[i];
		size_t len;

		if (strncmp(a, c->real, n) != 0 || a[n] != '/')
			continue;
		len = strlen(a + n + 1);
		if (strncmp(path, a + n + 1, len) == 0 && (path[len] == '/' || path[len] == '\0'))
			return true;
	}
	return false;
}

static int
copy_one(struct copier *c, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
	struct stat st, there;
	int rc;

	if (is_avoided(c, path))
		return 0;
	if (*name == '\0') { /* git lists repositories within with a slash */
		skip(c, path);
		return 0;
	}
	rc = enter_folder(c, path);
	if (rc == -ENOTDIR || rc == -ELOOP || rc == -EINVAL) { /* in that commit it is no folder */
		skip(c, path);
		return 0;
	}
	if (rc == 0 && fstatat(c->from_in, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		rc = -errno;
	if (rc == 0 && fstatat(c->to_in, name, &there, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (rc == 0 && S_ISREG(st.st_mode) && c->r->bytes + (uint64_t)st.st_size > c->s->max_bytes)
		return err_set(e, -EFBIG,
		    "what is to be copied from %s is over %llu MiB (option copy_max_mb)", c->s->from,
		    (unsigned long long)(c->s->max_bytes >> 20));
	if (rc == 0 && S_ISREG(st.st_mode))
		rc = copy_file(c, name, &st);
	else if (rc == 0 && S_ISLNK(st.st_mode))
		rc = copy_link(c, path, name);
	else if (rc == 0)
		skip(c, path);
	if (rc == -ENOENT || rc == -EAGAIN) /* it went while we looked */
		rc = 0;
	return rc < 0 && rc != -ECANCELED ? err_sys(e, rc, "cannot copy %s from %s", path, c->s->from) : rc;
}

/* A handle on the checkout, which is the main one or a linked worktree. */
static int
open_checkout(const struct copy_spec *s, struct git *g, struct err *e)
{
	struct err why = {{0}};
	int rc = git_init_worktree(g, s->git, s->from, &why);

	if (rc == -ENOENT) {
		git_init(g, s->git->loop, s->git->git_dir);
		g->work_tree = xstrdup(s->from);
		rc = 0;
	}
	return rc < 0 ? err_set(e, rc, "%s", why.msg) : 0;
}

static int
list(const struct copy_spec *s, struct git_out *out, struct err *e)
{
	char *from = xasprintf("--exclude-from=%s", s->patterns);
	struct git g = {0};
	int rc = open_checkout(s, &g, e);

	if (rc == 0)
		rc = git_run(&g, 0, out, e, "ls-files", "-z", "--others", "--ignored", from, NULL);
	git_clear(&g);
	free(from);
	return rc;
}

static int
open_both(struct copier *c, struct err *e)
{
	c->real = realpath(c->s->from, NULL);
	if (c->real == NULL)
		return err_sys(e, -errno, "cannot find the checkout %s", c->s->from);
	c->from = open(c->real, FOLDER);
	if (c->from < 0)
		return err_sys(e, -errno, "cannot open %s", c->real);
	c->to = open(c->s->to, FOLDER);
	return c->to < 0 ? err_sys(e, -errno, "cannot open %s", c->s->to) : 0;
}

int
copy_run(const struct copy_spec *s, struct copy_result *r, struct err *e)
{
	struct copier c = {.s = s, .r = r, .from = -1, .to = -1, .from_in = -1, .to_in = -1};
	struct git_out out = {0};
	uint64_t seen = 0;
	int rc;

	memset(r, 0, sizeof(*r));
	c.turn_ms = clock_now_ms();
	rc = list(s, &out, e);
	if (rc == 0)
		rc = open_both(&c, e);
	for (const char *p = out.out; rc == 0 && p < out.out + out.size; p += strlen(p) + 1) {
		if (++seen > COPY_FILES_MAX)
			rc = err_set(
			    e, -EFBIG, "over %d files of %s are to be copied", COPY_FILES_MAX, s->from);
		if (rc == 0)
			rc = copy_one(&c, p, e);
		if (rc == 0)
			rc = breathe(&c);
	}
	leave_folder(&c);
	fd_close(&c.from);
	fd_close(&c.to);
	git_out_clear(&out);
	free(c.real);
	return rc;
}
