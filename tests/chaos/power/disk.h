/*
 * disk: what a disk may hold after a power cut, made from recorded operations. What had been fsynced before
 * is there in every variant; of the rest
 *
 *     A  all of it: the disk had written everything
 *     B  changes of folders and sizes, in their order, but no content: a journal that orders metadata only
 *     C  changes of folders up to some moment after the last fsync of anything, and any part of the content;
 * a block of 512 bytes is the least that is written: ext4, xfs D  any part of either, in any combination:
 * what POSIX promises. A name is safe when its folder was fsynced.
 */
#ifndef ORCH_TESTS_POWER_DISK_H
#define ORCH_TESTS_POWER_DISK_H

#include "tests/chaos/power/ops.h"

/* Rebuilds the root as it may be after the first n operations. variant: 'A' to 'D'; seed: what is by chance.
 * The root must not exist. Aborts when it cannot be written. */
void disk_rebuild(const struct ops *o, size_t n, char variant, uint64_t seed);
/* A file as it was after the first n operations for those who lived then. Fresh, NUL-terminated; NULL: it was
 * not there. */
char *disk_read(const struct ops *o, size_t n, const char *path, size_t *size);

#endif
