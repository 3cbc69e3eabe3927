/* Logs that have grown are kept as .1 and begun anew, whoever writes to them. */
#include "supervisor/logfile.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tmp.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
assert_holds(const char *path, const char *text)
{
	char *is = NULL;

	assert_int_equal(fd_read_file(path, 1 << 20, &is, NULL), 0);
	assert_string_equal(is, text);
	free(is);
}

static void
grown_before_it_is_opened(void **state)
{
	char *dir = tmp_make(), *path = xasprintf("%s/log", dir), *old = xasprintf("%s.1", path);
	int fd;

	(void)state;
	for (int i = 0; i < 3; i++) { /* the third finds 12 bytes */
		fd = logfile_open_path(path, 10, NULL, NULL);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, "sixsix", 6), 6);
		fd_close(&fd);
	}
	assert_holds(path, "sixsix");
	assert_holds(old, "sixsixsixsix");
	free(old);
	free(path);
	tmp_remove(dir);
}

/* Our stderr follows the new file; a file of another name stays as it is. */
static void
grown_while_we_write_to_it(void **state)
{
	char *dir = tmp_make(), *path = xasprintf("%s/log", dir), *old = xasprintf("%s.1", path);
	char *other = xasprintf("%s/other", dir);
	int out = dup(1), err = dup(2), fd = logfile_open_path(path, 10, NULL, NULL);

	(void)state;
	assert_int_equal(fd_write_file(other, "", 0, 0600), 0);
	dup2(fd, 2);
	fd_close(&fd);
	logfile_keep(path, 10);
	assert_int_equal(write(2, "0123456789", 10), 10);
	logfile_keep(path, 10);
	assert_int_equal(write(2, "a", 1), 1);
	logfile_keep(other, 10);
	logfile_keep(path, 10);
	assert_int_equal(write(2, "new", 3), 3);
	dup2(out, 1);
	dup2(err, 2);
	fd_close(&out);
	fd_close(&err);
	assert_holds(path, "new");
	assert_holds(old, "0123456789a");
	assert_holds(other, "");
	free(other);
	free(old);
	free(path);
	tmp_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(grown_before_it_is_opened),
	    cmocka_unit_test(grown_while_we_write_to_it),
	};

	return cmocka_run_group_tests_name("logfile", tests, NULL, NULL);
}
