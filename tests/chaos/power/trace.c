/*
 * trace: the ptracer (see trace.h). A traced call stops its thread twice: before it, when the filter says so,
 * and after it. Before it what is needed of the past is looked at (did the file exist?); after it, if it went
 * well, what it did is added. Threads whose call is one of these wait while another's is under way.
 */
#include "tests/chaos/power/trace.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "tests/chaos/power/calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_MAX (64u << 20)
#define OPTIONS                                                                                              \
	(PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |               \
	    PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)

/* A call that is under way. */
struct pending {
	pid_t tid; /* 0: none */
	enum call_kind kind;
	uint64_t args[6];
	char *path, *to; /* below the root; NULL: outside, or none */
	bool existed;
};

struct inode {
	ino_t number;
	uint32_t file;
};

struct trace {
	struct ops *ops;
	size_t root_len;
	struct inode *inodes; /* the newest file of each number, hashed */
	size_t inode_room, inode_count;
	struct pending now;
	pid_t waiting[1024];
	size_t waiting_count;
	char *fault;
};

static void
note_fault(struct trace *t, const char *what, const char *path)
{
	if (t->fault == NULL)
		t->fault = xasprintf("%s: %s", what, path);
}

/* Files by their inode numbers, which are used again. */

static struct inode *
inode_slot(struct trace *t, ino_t number)
{
	size_t i = (size_t)(number * 0x9e3779b97f4a7c15u) % t->inode_room;

	while (t->inodes[i].file != 0 && t->inodes[i].number != number)
		i = (i + 1) % t->inode_room;
	return &t->inodes[i];
}

static void
inode_set(struct trace *t, ino_t number, uint32_t file)
{
	struct inode *old = t->inodes, *slot;
	size_t room = t->inode_room;

	if (t->inode_count * 2 >= room) {
		t->inode_room = room == 0 ? 4096 : room * 2;
		t->inodes = xcalloc(t->inode_room, sizeof(*t->inodes));
		for (size_t i = 0; i < room; i++)
			if (old[i].file != 0)
				*inode_slot(t, old[i].number) = old[i];
		free(old);
	}
	slot = inode_slot(t, number);
	t->inode_count += slot->file == 0;
	*slot = (struct inode){number, file};
}

/* Paths. */

/* What follows the root in an absolute path; NULL: it is elsewhere. */
static const char *
below(const struct trace *t, const char *path)
{
	if (strncmp(path, t->ops->root, t->root_len) != 0)
		return NULL;
	if (path[t->root_len] == '/')
		return path + t->root_len + 1;
	return path[t->root_len] == '\0' ? path + t->root_len : NULL;
}

/* Where a descriptor leads, or with AT_FDCWD the current folder. */
static bool
read_link(char *out, pid_t tid, int fd)
{
	char link[64];
	ssize_t n;

	if (fd == AT_FDCWD)
		snprintf(link, sizeof(link), "/proc/%d/cwd", (int)tid);
	else
		snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)tid, fd);
	n = readlink(link, out, PATH_MAX - 1);
	out[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static bool
read_string(pid_t tid, uint64_t at, char *out)
{
	size_t done = 0;

	while (done < PATH_MAX) {
		size_t chunk = 256 - (at + done) % 256; /* never across a page */
		struct iovec local = {out + done, chunk}, remote = {(void *)(uintptr_t)(at + done), chunk};

		if (done + chunk > PATH_MAX ||
		    process_vm_readv(tid, &local, 1, &remote, 1, 0) != (ssize_t)chunk)
			return false;
		if (memchr(out + done, '\0', chunk) != NULL)
			return true;
		done += chunk;
	}
	return false;
}

/* The path of an argument, with the links of its folder resolved, below the root. Fresh; NULL: it is
 * elsewhere. */
static char *
argument_path(const struct trace *t, pid_t tid, int dirfd, uint64_t at)
{
	char given[PATH_MAX], base[PATH_MAX], *full, *slash, *folder, *result = NULL;

	if (!read_string(tid, at, given))
		return NULL;
	if (given[0] == '/')
		full = strncmp(given, "/proc/self/", 11) == 0 ? xasprintf("/proc/%d/%s", (int)tid, given + 11)
							      : xstrdup(given);
	else if (read_link(base, tid, dirfd))
		full = xasprintf("%s/%s", base, given);
	else
		return NULL;
	while ((slash = strrchr(full, '/')) != NULL && slash != full && slash[1] == '\0')
		*slash = '\0';
	if (slash != NULL) {
		*slash = '\0';
		folder = realpath(full[0] == '\0' ? "/" : full, NULL);
		if (folder != NULL) {
			char *path = xasprintf("%s/%s", folder, slash + 1);
			const char *rest = below(t, path);

			result = rest == NULL ? NULL : xstrdup(rest);
			free(path);
		}
		free(folder);
	}
	free(full);
	return result;
}

/* The same of a descriptor. */
static char *
descriptor_path(const struct trace *t, pid_t tid, int fd)
{
	char path[PATH_MAX];
	const char *rest;

	if (!read_link(path, tid, fd) || (rest = below(t, path)) == NULL)
		return NULL;
	return xstrdup(rest);
}

static bool
stat_descriptor(pid_t tid, int fd, struct stat *st)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)tid, fd);
	return stat(path, st) == 0;
}

static bool
stat_below(const struct trace *t, const char *path, struct stat *st)
{
	char *full = xasprintf("%s/%s", t->ops->root, path);
	bool there = lstat(full, st) == 0;

	free(full);
	return there;
}

/* What a call did. */

static uint32_t
file_of(struct trace *t, const struct stat *st, const char *path)
{
	uint32_t file = inode_slot(t, st->st_ino)->file;

	if (file == 0)
		note_fault(t, "a file that nobody has made", path);
	return file;
}

static uint32_t
add_file(struct trace *t, const char *path, const struct stat *st)
{
	uint32_t file = t->ops->files + 1;

	ops_add(t->ops, OP_CREATE, file, path, NULL)->mode = st->st_mode;
	inode_set(t, st->st_ino, file);
	return file;
}

/* size bytes of what is in fd now from at on. */
static void
add_write(struct trace *t, uint32_t file, int fd, uint64_t at, size_t size, const char *path)
{
	char *data = xmalloc(size + 1);
	ssize_t n = pread(fd, data, size, (off_t)at);

	if (n != (ssize_t)size) {
		note_fault(t, "what was written cannot be read", path);
	} else {
		struct op *op = ops_add(t->ops, OP_WRITE, file, NULL, NULL);

		op->at = at;
		ops_set_data(op, data, size);
	}
	free(data);
}

static int64_t
position_of(pid_t tid, int fd)
{
	char path[64], *text = NULL, *pos;
	int64_t at = -1;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)tid, fd);
	if (fd_read_file(path, 1 << 16, &text, NULL) == 0 && (pos = strstr(text, "pos:")) != NULL)
		at = strtoll(pos + 4, NULL, 10);
	free(text);
	return at;
}

static void
did_write(struct trace *t, const struct pending *p, int64_t wrote, const struct stat *st)
{
	int fd = (int)p->args[p->kind == CALL_COPY ? 2 : 0], ours;
	int64_t at = p->kind == CALL_CLONE    ? 0
		     : p->kind == CALL_PWRITE ? (int64_t)p->args[3]
					      : position_of(p->tid, fd) - wrote;
	uint32_t file = file_of(t, st, p->path);
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)p->tid, fd);
	ours = open(path, O_RDONLY | O_CLOEXEC);
	if (ours < 0 || at < 0)
		note_fault(t, "what was written cannot be read", p->path);
	else if (file != 0 && wrote > 0)
		add_write(t, file, ours, (uint64_t)at, (size_t)wrote, p->path);
	fd_close(&ours);
}

static void
did_truncate(struct trace *t, const struct pending *p, const struct stat *st)
{
	uint32_t file = file_of(t, st, p->path);

	if (file != 0)
		ops_add(t->ops, OP_TRUNCATE, file, NULL, NULL)->at = (uint64_t)st->st_size;
}

static void
did_open(struct trace *t, const struct pending *p, const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return;
	if (!p->existed)
		add_file(t, p->path, st);
	else if (p->args[2] & O_TRUNC)
		did_truncate(t, p, st);
}

static void
did_fsync(struct trace *t, const struct pending *p, const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		ops_add(t->ops, OP_FSYNC_DIR, 0, p->path, NULL);
	else if (S_ISREG(st->st_mode))
		ops_add(t->ops, OP_FSYNC, file_of(t, st, p->path), NULL, NULL);
}

static void
did_chmod(struct trace *t, const struct pending *p, const struct stat *st)
{
	if (S_ISREG(st->st_mode))
		ops_add(t->ops, OP_CHMOD, file_of(t, st, p->path), NULL, NULL)->mode = st->st_mode;
}

static void
did_symlink(struct trace *t, const struct pending *p)
{
	char *full = xasprintf("%s/%s", t->ops->root, p->to), target[PATH_MAX];
	ssize_t n = readlink(full, target, sizeof(target) - 1);

	target[n > 0 ? n : 0] = '\0';
	ops_add(t->ops, OP_SYMLINK, 0, p->to, target);
	free(full);
}

/* What comes from elsewhere, or goes there, is made or removed. Nobody is known to do so with what matters.
 */
static void
did_move(struct trace *t, const struct pending *p)
{
	if (p->path == NULL || p->to == NULL)
		note_fault(
		    t, "a link or rename out of the folder or into it", p->to != NULL ? p->to : p->path);
	else if (p->kind == CALL_RENAME && (p->args[4] & RENAME_EXCHANGE))
		note_fault(t, "an exchange of two names", p->path);
	else
		ops_add(t->ops, p->kind == CALL_RENAME ? OP_RENAME : OP_LINK, 0, p->path, p->to);
}

static void
did(struct trace *t, const struct pending *p, int64_t result)
{
	struct stat st;
	int fd = (int)(p->kind == CALL_OPEN ? result : (int64_t)p->args[p->kind == CALL_COPY ? 2 : 0]);

	switch (p->kind) {
	case CALL_RENAME:
	case CALL_LINK:
		did_move(t, p);
		return;
	case CALL_SYMLINK:
		did_symlink(t, p);
		return;
	case CALL_UNLINK:
		ops_add(t->ops, p->args[2] & AT_REMOVEDIR ? OP_RMDIR : OP_UNLINK, 0, p->path, NULL);
		return;
	case CALL_MKDIR:
		if (stat_below(t, p->path, &st))
			ops_add(t->ops, OP_MKDIR, 0, p->path, NULL)->mode = st.st_mode;
		return;
	case CALL_SYNC:
		ops_add(t->ops, OP_SYNC, 0, NULL, NULL);
		return;
	case CALL_CHMOD:
		if (stat_below(t, p->path, &st))
			did_chmod(t, p, &st);
		return;
	case CALL_TRUNCATE:
		if (stat_below(t, p->path, &st))
			did_truncate(t, p, &st);
		return;
	default:
		break;
	}
	if (!stat_descriptor(p->tid, fd, &st))
		note_fault(t, "a descriptor that is not there", p->path);
	else if (p->kind == CALL_OPEN)
		did_open(t, p, &st);
	else if (p->kind == CALL_FSYNC)
		did_fsync(t, p, &st);
	else if (p->kind == CALL_FCHMOD)
		did_chmod(t, p, &st);
	else if (!S_ISREG(st.st_mode))
		return; /* a pipe or socket of ours by its name */
	else if (p->kind == CALL_FTRUNCATE)
		did_truncate(t, p, &st);
	else if (p->kind == CALL_MMAP && strstr(p->path, "-shm") == NULL)
		note_fault(t, "a file that is written as memory", p->path);
	else if (p->kind != CALL_MMAP)
		did_write(t, p, p->kind == CALL_CLONE ? st.st_size : result, &st);
}

/* Stops. */

static void
go_on(pid_t tid, int request, int sig)
{
	ptrace((enum __ptrace_request)request, tid, NULL, (void *)(intptr_t)sig);
}

/* Does the call that tid is about to make matter? Then now is filled. */
static bool
matters(struct trace *t, pid_t tid)
{
	struct __ptrace_syscall_info info;
	struct pending p = {.tid = tid};
	struct stat st;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof(info), &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_SECCOMP ||
	    !call_of(info.seccomp.nr, info.seccomp.args, &p.kind, p.args))
		return false;
	switch (p.kind) {
	case CALL_OPEN:
	case CALL_UNLINK:
	case CALL_MKDIR:
	case CALL_CHMOD:
	case CALL_TRUNCATE:
		p.path = argument_path(t, tid, (int)p.args[0], p.args[1]);
		break;
	case CALL_RENAME:
	case CALL_LINK:
		p.path = argument_path(t, tid, (int)p.args[0], p.args[1]);
		p.to = argument_path(t, tid, (int)p.args[2], p.args[3]);
		break;
	case CALL_SYMLINK:
		p.to = argument_path(t, tid, (int)p.args[2], p.args[3]);
		break;
	case CALL_SYNC:
		p.path = xstrdup("");
		break;
	default:
		p.path = descriptor_path(t, tid,
		    (int)p.args[p.kind == CALL_COPY   ? 2
				: p.kind == CALL_MMAP ? 4
						      : 0]);
	}
	if (p.path == NULL && p.to == NULL)
		return false;
	if (p.kind == CALL_MMAP)
		p.args[0] = p.args[4];
	p.existed = p.path != NULL && stat_below(t, p.path, &st);
	t->now = p;
	return true;
}

static void
enter(struct trace *t, pid_t tid)
{
	if (t->now.tid != 0) {
		if (t->waiting_count == sizeof(t->waiting) / sizeof(t->waiting[0])) {
			note_fault(t, "too many threads", "");
			go_on(tid, PTRACE_CONT, 0);
			return;
		}
		t->waiting[t->waiting_count++] = tid;
		return;
	}
	go_on(tid, matters(t, tid) ? PTRACE_SYSCALL : PTRACE_CONT, 0);
}

static void
finish(struct trace *t)
{
	free(t->now.path);
	free(t->now.to);
	t->now = (struct pending){0};
	while (t->now.tid == 0 && t->waiting_count > 0) {
		pid_t tid = t->waiting[0];

		t->waiting_count--;
		memmove(t->waiting, t->waiting + 1, t->waiting_count * sizeof(t->waiting[0]));
		enter(t, tid);
	}
}

static void
leave(struct trace *t, pid_t tid)
{
	struct __ptrace_syscall_info info;

	if (tid == t->now.tid) {
		if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof(info), &info) > 0 &&
		    info.op == PTRACE_SYSCALL_INFO_EXIT && !info.exit.is_error)
			did(t, &t->now, info.exit.rval);
		go_on(tid, PTRACE_CONT, 0);
		finish(t);
	} else {
		go_on(tid, PTRACE_CONT, 0);
	}
}

static void
forget(struct trace *t, pid_t tid)
{
	for (size_t i = 0; i < t->waiting_count; i++)
		if (t->waiting[i] == tid)
			t->waiting[i] = t->waiting[--t->waiting_count];
	if (t->now.tid == tid)
		finish(t);
}

static void
stopped(struct trace *t, pid_t tid, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16;

	if (event == PTRACE_EVENT_SECCOMP)
		enter(t, tid);
	else if (sig == (SIGTRAP | 0x80))
		leave(t, tid);
	else if (event == PTRACE_EVENT_STOP && sig != SIGTRAP)
		go_on(tid, PTRACE_LISTEN, 0); /* SIGSTOP and the like: it is to stay so */
	else if (event != 0)
		go_on(tid, PTRACE_CONT, 0);
	else
		go_on(tid, tid == t->now.tid ? PTRACE_SYSCALL : PTRACE_CONT, sig);
}

int
trace_pump(struct trace *t, pid_t pid, bool (*until)(void *arg), void *arg)
{
	int status;

	while (until == NULL || !until(arg)) {
		pid_t tid = waitpid(-1, &status, __WALL);

		if (tid < 0 && errno == EINTR)
			continue;
		if (tid < 0)
			return pid == 0 ? 0 : -1;
		if (WIFSTOPPED(status)) {
			stopped(t, tid, status);
			continue;
		}
		forget(t, tid);
		if (tid == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	return 0;
}

/* Start. */

static bool
map_root(const char *path, unsigned id)
{
	char text[64];
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok;

	snprintf(text, sizeof(text), "0 %u 1", id);
	ok = fd >= 0 && fd_write_all(fd, text, strlen(text)) == 0;
	fd_close(&fd);
	return ok;
}

bool
trace_possible(void)
{
	unsigned uid = (unsigned)geteuid(), gid = (unsigned)getegid();
	int fd;

	if (uid == 0)
		return true;
	if (unshare(CLONE_NEWUSER) < 0)
		return false;
	fd = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		fd_write_all(fd, "deny", 4);
	fd_close(&fd);
	return map_root("/proc/self/uid_map", uid) && map_root("/proc/self/gid_map", gid);
}

static void
add_content(struct trace *t, const char *path, const struct stat *st)
{
	char *full = xasprintf("%s/%s", t->ops->root, path), *data = NULL;
	uint32_t file = inode_slot(t, st->st_ino)->file;
	size_t size;

	if (file == 0) {
		file = add_file(t, path, st);
		if (fd_read_file(full, FILE_MAX, &data, &size) < 0)
			note_fault(t, "cannot be read", path);
		else if (size > 0)
			ops_set_data(ops_add(t->ops, OP_WRITE, file, NULL, NULL), data, size);
		free(data);
	} else {
		for (size_t i = 0; i < t->ops->n; i++)
			if (t->ops->v[i].kind == OP_CREATE && t->ops->v[i].file == file) {
				ops_add(t->ops, OP_LINK, 0, t->ops->v[i].path, path);
				break;
			}
	}
	free(full);
}

static void
add_folder(struct trace *t, const char *path)
{
	char *full = xasprintf("%s/%s", t->ops->root, path);
	DIR *d = opendir(full);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		char *below_it = xasprintf("%s%s%s", path, path[0] == '\0' ? "" : "/", entry->d_name);
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    !stat_below(t, below_it, &st)) {
			free(below_it);
			continue;
		}
		if (S_ISDIR(st.st_mode)) {
			ops_add(t->ops, OP_MKDIR, 0, below_it, NULL)->mode = st.st_mode;
			add_folder(t, below_it);
		} else if (S_ISLNK(st.st_mode)) {
			did_symlink(t, &(struct pending){.to = below_it});
		} else if (S_ISREG(st.st_mode)) {
			add_content(t, below_it, &st);
		}
		free(below_it);
	}
	if (d != NULL)
		closedir(d);
	free(full);
}

struct trace *
trace_new(struct ops *o, const char *root)
{
	struct trace *t = xcalloc(1, sizeof(*t));

	ops_init(o, root);
	t->ops = o;
	t->root_len = strlen(root);
	inode_set(t, 0, UINT32_MAX); /* which no file has: the table is never empty */
	add_folder(t, "");
	ops_add(o, OP_SYNC, 0, NULL, NULL);
	o->start = o->n;
	return t;
}

void
trace_free(struct trace *t)
{
	free(t->inodes);
	free(t->fault);
	free(t);
}

const char *
trace_fault(const struct trace *t)
{
	return t->fault;
}

static void __attribute__((noreturn)) become(const char *dir, const char *out, const char *const *argv)
{
	int null = open("/dev/null", O_RDONLY), fd = open(out, O_WRONLY | O_CREAT | O_APPEND, 0600);

	raise(SIGSTOP); /* until it is traced */
	if (null < 0 || fd < 0 || dup2(null, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || chdir(dir) < 0)
		_exit(126);
	close(null);
	close(fd);
	if (!call_filter_install())
		_exit(125);
	execv(argv[0], (char *const *)argv);
	_exit(127);
}

pid_t
trace_start(struct trace *t, const char *dir, const char *out, const char *const *argv)
{
	pid_t pid;
	int status, fd = open(out, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	const char *path = below(t, out);
	struct stat st;

	if (fd < 0)
		return -1;
	if (path != NULL && fstat(fd, &st) == 0)
		add_file(t, path, &st);
	fd_close(&fd);
	pid = fork();
	if (pid == 0)
		become(dir, out, argv);
	if (pid < 0)
		return -1;
	if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SEIZE, pid, NULL, (void *)(intptr_t)OPTIONS) < 0) {
		kill(pid, SIGKILL);
		return -1;
	}
	kill(pid, SIGCONT);
	return pid;
}
