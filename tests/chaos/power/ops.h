/*
 * ops: what programs did to a folder, in one order: every write, truncation, fsync and change of a directory.
 * A file is known by a number that its creation gives it, as an inode is; a folder by its path. The content
 * that the folder had at the beginning is a prefix of such operations too, ended by a sync.
 */
#ifndef ORCH_TESTS_POWER_OPS_H
#define ORCH_TESTS_POWER_OPS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* O(NAME, name): what is used of struct op, behind it. Paths are below the root, without a leading slash. */
#define OP_KINDS(O)                                                                                          \
	O(CREATE, "create")               /* path, file, mode */                                             \
	O(MKDIR, "mkdir")                 /* path, mode */                                                   \
	O(SYMLINK, "symlink")             /* path, to: what it says */                                       \
	O(LINK, "link")                   /* path, to: the new name */                                       \
	O(RENAME, "rename")               /* path, to */                                                     \
	O(UNLINK, "unlink")               /* path */                                                         \
	O(RMDIR, "rmdir")                 /* path */                                                         \
	O(CHMOD, "chmod")                 /* file, mode */                                                   \
	O(WRITE, "write")                 /* file, at, data, size */                                         \
	O(TRUNCATE, "truncate")           /* file, at: its new size */                                       \
	O(FSYNC, "fsync")                 /* file */                                                         \
	O(FSYNC_DIR, "fsync of a folder") /* path */                                                         \
	O(SYNC, "sync")                   /* all of the disk */

enum op_kind {
#define O(NAME, name) OP_##NAME,
	OP_KINDS(O)
#undef O
	    OP_COUNT
};

struct op {
	enum op_kind kind;
	uint32_t file; /* from 1 */
	uint32_t mode;
	uint64_t at;
	int64_t when_ms; /* of the wall clock: files keep the time of their last change */
	size_t size;
	char *path, *to, *data;
};

struct ops {
	char *root; /* absolute: the folder can be rebuilt only there, for git writes down where it is */
	struct op *v;
	size_t n, room;
	size_t start;   /* so many are the folder's content at the beginning */
	uint32_t files; /* the last number given */
};

void ops_init(struct ops *o, const char *root);
void ops_clear(struct ops *o);
/* Adds an operation and returns it; the strings are copied. */
struct op *ops_add(struct ops *o, enum op_kind kind, uint32_t file, const char *path, const char *to);
void ops_set_data(struct op *op, const void *data, size_t size);
/* Does it change a directory, or what a file is without its content? */
int op_is_metadata(const struct op *op);
void op_print(FILE *f, const struct ops *o, size_t i);
/* To and from a file. 0 or -errno; a file that is none of ours is -EINVAL. */
int ops_save(const struct ops *o, const char *path);
int ops_load(struct ops *o, const char *path);

#endif
