/* What blames a disk, and what does not. */
#include "common/disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
errors_and_words_blame_it(void **state)
{
	(void)state;
	assert_true(disk_is_blamed(-ENOSPC, ""));
	assert_true(disk_is_blamed(-EDQUOT, ""));
	assert_true(
	    disk_is_blamed(-EIO, "git hash-object: error: file write error: No space left on device"));
	assert_true(disk_is_blamed(-EIO, "write error: Disk quota exceeded"));
	assert_false(disk_is_blamed(-EIO, "git merge-tree: fatal: bad object"));
	assert_false(disk_is_blamed(-EPIPE, ""));
}

static void
what_cannot_be_looked_at_is_not_full(void **state)
{
	struct err why = {""};

	(void)state;
	assert_false(disk_is_full(NULL, &why));
	assert_false(disk_is_full("/nonexistent/folder", &why));
}

/* Some say of themselves that they have no blocks at all: that is no number of free ones. */
static void
what_counts_nothing_is_not_full(void **state)
{
	struct err why = {""};

	(void)state;
	assert_false(disk_is_full("/proc", &why));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(errors_and_words_blame_it),
	    cmocka_unit_test(what_cannot_be_looked_at_is_not_full),
	    cmocka_unit_test(what_counts_nothing_is_not_full),
	};

	return cmocka_run_group_tests_name("disk", tests, NULL, NULL);
}
