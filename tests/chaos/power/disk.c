/*
 * disk: see disk.h. First it is decided, from the end backwards, which operations are sure, and of the others
 * which came to the disk; then those are applied to a tree in memory, and the tree is written. An operation
 * whose folder or file did not come to the disk does nothing.
 */
#include "tests/chaos/power/disk.h"

#include "common/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 512

struct file {
	char *data;
	size_t size, room;
	uint32_t mode;
	int64_t when_ms;
	char *written; /* where it was written last: other names become links */
};

enum node_kind { NODE_FOLDER, NODE_FILE, NODE_SYMLINK };

struct node {
	enum node_kind kind;
	char *name;
	uint32_t file, mode;
	char *target;
	struct node *first, *next; /* a folder's entries; its siblings */
};

struct disk {
	struct node root;
	struct file *files;
	uint32_t file_count;
};

/* The tree. */

static void
node_free(struct node *n)
{
	struct node *child;

	while ((child = n->first) != NULL) {
		n->first = child->next;
		node_free(child);
		free(child);
	}
	free(n->name);
	free(n->target);
}

/* The link in the list of the entry called name, or the list's end. */
static struct node **
entry_of(struct node *folder, const char *name, size_t len)
{
	struct node **at = &folder->first;

	while (*at != NULL && (strncmp((*at)->name, name, len) != 0 || (*at)->name[len] != '\0'))
		at = &(*at)->next;
	return at;
}

/* The folder in which path is, with its last part in *name; NULL when there is none. */
static struct node *
folder_of(struct disk *d, const char *path, const char **name)
{
	struct node *at = &d->root;
	const char *slash;

	for (; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
		at = *entry_of(at, path, (size_t)(slash - path));
		if (at == NULL || at->kind != NODE_FOLDER)
			return NULL;
	}
	*name = path;
	return at;
}

static struct node **
find(struct disk *d, const char *path)
{
	const char *name;
	struct node *folder = folder_of(d, path, &name);

	return folder == NULL ? NULL : entry_of(folder, name, strlen(name));
}

static void
drop(struct node **at)
{
	struct node *n = *at;

	if (n == NULL)
		return;
	*at = n->next;
	node_free(n);
	free(n);
}

/* In place of what has that name. NULL: there is no such folder. */
static struct node *
put(struct disk *d, const char *path, enum node_kind kind)
{
	const char *name;
	struct node *folder = folder_of(d, path, &name), **at, *n;

	if (folder == NULL)
		return NULL;
	at = entry_of(folder, name, strlen(name));
	if (kind == NODE_FOLDER && *at != NULL && (*at)->kind == NODE_FOLDER)
		return *at;
	drop(at);
	n = xcalloc(1, sizeof(*n));
	n->kind = kind;
	n->name = xstrdup(name);
	n->next = folder->first;
	folder->first = n;
	return n;
}

static void
move(struct disk *d, const char *from, const char *to)
{
	struct node **at = find(d, from), *n, *folder;
	const char *name;

	if (at == NULL || *at == NULL || (folder = folder_of(d, to, &name)) == NULL)
		return;
	n = *at;
	*at = n->next;
	drop(entry_of(folder, name, strlen(name)));
	free(n->name);
	n->name = xstrdup(name);
	n->next = folder->first;
	folder->first = n;
}

/* Files. */

static void
file_resize(struct file *f, size_t size)
{
	if (size > f->room) {
		f->room = size * 2;
		f->data = xrealloc(f->data, f->room);
	}
	if (size > f->size)
		memset(f->data + f->size, 0, size - f->size);
	f->size = size;
}

static void
file_write(struct file *f, uint64_t at, const char *data, size_t size)
{
	if (at + size > f->size)
		file_resize(f, at + size);
	memcpy(f->data + at, data, size);
}

/* size: how much of a write came to the disk. */
static void
apply(struct disk *d, const struct op *op, size_t size)
{
	struct node **at, *n;

	switch (op->kind) {
	case OP_CREATE:
		if ((n = put(d, op->path, NODE_FILE)) != NULL)
			n->file = op->file;
		d->files[op->file].mode = op->mode;
		break;
	case OP_MKDIR:
		if ((n = put(d, op->path, NODE_FOLDER)) != NULL)
			n->mode = op->mode;
		break;
	case OP_SYMLINK:
		if ((n = put(d, op->path, NODE_SYMLINK)) != NULL)
			n->target = xstrdup(op->to);
		break;
	case OP_LINK:
		at = find(d, op->path);
		if (at != NULL && *at != NULL && (*at)->kind == NODE_FILE) {
			uint32_t file = (*at)->file;

			if ((n = put(d, op->to, NODE_FILE)) != NULL)
				n->file = file;
		}
		break;
	case OP_RENAME:
		move(d, op->path, op->to);
		break;
	case OP_UNLINK:
	case OP_RMDIR:
		if ((at = find(d, op->path)) != NULL)
			drop(at);
		break;
	case OP_CHMOD:
		d->files[op->file].mode = op->mode;
		break;
	case OP_WRITE:
		file_write(&d->files[op->file], op->at, op->data, size);
		break;
	case OP_TRUNCATE:
		file_resize(&d->files[op->file], op->at);
		break;
	case OP_FSYNC:
	case OP_FSYNC_DIR:
	case OP_SYNC:
	case OP_COUNT:
		break;
	}
}

static void
disk_init(struct disk *d, const struct ops *o)
{
	memset(d, 0, sizeof(*d));
	d->file_count = o->files + 1;
	d->files = xcalloc(d->file_count, sizeof(*d->files));
}

static void
disk_clear(struct disk *d)
{
	node_free(&d->root);
	for (uint32_t i = 0; i < d->file_count; i++) {
		free(d->files[i].data);
		free(d->files[i].written);
	}
	free(d->files);
}

/* What is sure, and chance. */

static uint64_t
mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

struct synced {
	bool all, anything; /* sync; an fsync of whatever: a journal is written in its order */
	bool *files;
	char **folders;
	size_t folder_count;
};

static bool
has_folder(const struct synced *s, const char *path, size_t len)
{
	for (size_t i = 0; i < s->folder_count; i++)
		if (strncmp(s->folders[i], path, len) == 0 && s->folders[i][len] == '\0')
			return true;
	return false;
}

/* The folder that path is a name in. */
static bool
is_folder_synced(const struct synced *s, const char *path)
{
	const char *slash = strrchr(path, '/');

	return has_folder(s, path, slash == NULL ? 0 : (size_t)(slash - path));
}

static bool
is_sure(const struct synced *s, const struct op *op)
{
	switch (op->kind) {
	case OP_WRITE:
	case OP_TRUNCATE:
	case OP_CHMOD:
		return s->all || s->files[op->file];
	case OP_LINK:
		return s->all || is_folder_synced(s, op->to);
	case OP_RENAME: /* a half of it alone is not seen: rename is atomic everywhere */
		return s->all || is_folder_synced(s, op->to) || is_folder_synced(s, op->path);
	case OP_FSYNC:
	case OP_FSYNC_DIR:
	case OP_SYNC:
		return true;
	default:
		return s->all || is_folder_synced(s, op->path);
	}
}

static void
note_sync(struct synced *s, const struct op *op)
{
	if (op->kind == OP_SYNC)
		s->all = true;
	else if (op->kind == OP_FSYNC)
		s->files[op->file] = true;
	else if (op->kind == OP_FSYNC_DIR && !has_folder(s, op->path, strlen(op->path))) {
		s->folders = xrealloc(s->folders, (s->folder_count + 1) * sizeof(*s->folders));
		s->folders[s->folder_count++] = op->path;
	}
	s->anything = s->anything || op->kind >= OP_FSYNC;
}

/* For each of the first n operations, how sure it is: 1 in itself, 2 because a journal is written in its
 * order. */
static char *
find_sure(const struct ops *o, size_t n)
{
	struct synced s = {.files = xcalloc(o->files + 1, sizeof(*s.files))};
	char *sure = xcalloc(n + 1, 1);

	for (size_t i = n; i-- > 0;) {
		note_sync(&s, &o->v[i]);
		if (is_sure(&s, &o->v[i]))
			sure[i] |= 1;
		if (s.anything)
			sure[i] |= 2;
	}
	free(s.files);
	free(s.folders);
	return sure;
}

/* How much of an operation came to the disk: all of it is SIZE_MAX, nothing 0. journal: up to where a journal
 * was written. */
static size_t
kept_of(const struct op *op, size_t i, int sure, size_t journal, char variant, uint64_t seed)
{
	uint64_t chance = mix(seed ^ mix(i));

	if (variant == 'A' || (sure & 1) != 0)
		return SIZE_MAX;
	if (variant == 'B')
		return op_is_metadata(op) ? SIZE_MAX : 0;
	if (variant == 'C' && op_is_metadata(op))
		return (sure & 2) != 0 || i < journal ? SIZE_MAX : 0;
	if (op->kind != OP_WRITE || (chance & 3) != 0)
		return (chance & 4) != 0 ? SIZE_MAX : 0;
	return (chance >> 3) % (op->size / BLOCK + 1) * BLOCK; /* a torn one */
}

static void
play(struct disk *d, const struct ops *o, size_t n, char variant, uint64_t seed)
{
	char *sure = find_sure(o, n);
	size_t journal = n, first = n;

	while (first > 0 && (sure[first - 1] & 2) == 0)
		first--;
	if (variant == 'C')
		journal = first + mix(seed) % (n - first + 1);
	for (size_t i = 0; i < n; i++) {
		const struct op *op = &o->v[i];
		size_t kept = kept_of(op, i, sure[i], journal, variant, seed);

		if (op->kind == OP_WRITE || op->kind == OP_CREATE || op->kind == OP_TRUNCATE)
			d->files[op->file].when_ms = op->when_ms;
		if (kept > 0)
			apply(d, op, kept < op->size ? kept : op->size);
	}
	free(sure);
}

/* Writing it. */

static void
must(bool ok, const char *path)
{
	if (ok)
		return;
	fprintf(stderr, "power: cannot write %s: %s\n", path, strerror(errno));
	abort();
}

static void
write_file(struct file *f, const char *path)
{
	const struct timespec at = {f->when_ms / 1000, f->when_ms % 1000 * 1000000};
	const struct timespec times[2] = {at, at};
	int fd;

	if (f->written != NULL) {
		must(link(f->written, path) == 0, path);
		return;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	must(fd >= 0, path);
	must(f->size == 0 || write(fd, f->data, f->size) == (ssize_t)f->size, path);
	must(fchmod(fd, f->mode & 07777) == 0 && futimens(fd, times) == 0, path);
	close(fd);
	f->written = xstrdup(path);
}

static void
write_folder(struct disk *d, const struct node *folder, const char *path)
{
	for (const struct node *n = folder->first; n != NULL; n = n->next) {
		char *below = xasprintf("%s/%s", path, n->name);

		if (n->kind == NODE_FOLDER) {
			must(mkdir(below, 0700) == 0, below);
			write_folder(d, n, below);
			must(chmod(below, n->mode & 07777) == 0, below);
		} else if (n->kind == NODE_SYMLINK) {
			must(symlink(n->target, below) == 0, below);
		} else {
			write_file(&d->files[n->file], below);
		}
		free(below);
	}
}

void
disk_rebuild(const struct ops *o, size_t n, char variant, uint64_t seed)
{
	struct disk d;

	disk_init(&d, o);
	play(&d, o, n, variant, seed);
	must(mkdir(o->root, 0755) == 0, o->root);
	write_folder(&d, &d.root, o->root);
	disk_clear(&d);
}

char *
disk_read(const struct ops *o, size_t n, const char *path, size_t *size)
{
	struct node **at;
	struct disk d;
	char *text = NULL;

	disk_init(&d, o);
	play(&d, o, n, 'A', 0);
	at = find(&d, path);
	if (at != NULL && *at != NULL && (*at)->kind == NODE_FILE) {
		struct file *f = &d.files[(*at)->file];

		text = xmalloc(f->size + 1);
		if (f->size > 0)
			memcpy(text, f->data, f->size);
		text[f->size] = '\0';
		*size = f->size;
	}
	disk_clear(&d);
	return text;
}
