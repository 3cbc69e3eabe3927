/* disk: see disk.h. */
#include "common/disk.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

bool
disk_is_full(const char *path, struct err *why)
{
	struct statvfs fs;
	unsigned long long kib;

	if (path == NULL || statvfs(path, &fs) < 0)
		return false;
	kib = (unsigned long long)fs.f_bavail * fs.f_frsize >> 10;
	if (fs.f_blocks > 0 && kib < DISK_FULL_KIB)
		err_set(why, -ENOSPC, "the disk of %s is full: %llu KiB are free", path, kib);
	else if (fs.f_files > 0 && fs.f_favail == 0)
		err_set(why, -ENOSPC, "the disk of %s is full: it has no inode left", path);
	else
		return false;
	return true;
}

/* git runs with LC_ALL=C: its words are these, too. */
bool
disk_is_blamed(int rc, const char *words)
{
	return rc == -ENOSPC || rc == -EDQUOT || strstr(words, "No space left on device") != NULL ||
	       strstr(words, "Disk quota exceeded") != NULL;
}
