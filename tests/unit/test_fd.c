/* fd: whole files or a reason, bounds kept, nothing left open. */
#include "common/fd.h"

#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tmp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fds_before;

static int
setup(void **state)
{
	fds_before = tmp_open_fds();
	*state = tmp_make();
	return 0;
}

static int
teardown(void **state)
{
	tmp_remove(*state);
	return tmp_open_fds() == fds_before ? 0 : -1;
}

static void
files_are_bounded(void **state)
{
	char *path = tmp_path(*state, "f"), *data;
	size_t size;

	tmp_write(*state, "f", "0123456789");
	assert_int_equal(fd_read_file(path, 10, &data, &size), 0);
	assert_int_equal(size, 10);
	assert_string_equal(data, "0123456789");
	free(data);
	assert_int_equal(fd_read_file(path, 9, &data, &size), -EFBIG);
	assert_int_equal(fd_read_file("/dev/zero", 100000, &data, &size), -EFBIG);
	assert_int_equal(fd_read_file("/nowhere", 10, &data, &size), -ENOENT);
	assert_int_equal(fd_read_file(*state, 10, &data, &size), -EISDIR);
	free(path);
}

/* A repository may hold a FIFO where a file is expected: opening it used to wait for a writer, for ever. */
static void
fifo_does_not_hang(void **state)
{
	char *path = tmp_path(*state, "fifo"), *data;

	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(fd_read_file(path, 10, &data, NULL), 0);
	assert_string_equal(data, "");
	free(data);
	free(path);
}

static void
files_are_replaced_whole(void **state)
{
	char *path = tmp_path(*state, "f"), *link = tmp_path(*state, "link"),
	     *absent = tmp_path(*state, "no/f");
	char *data;
	struct stat st;

	assert_int_equal(fd_write_file(path, "one", 3, 0600), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* A symbolic link is replaced, not followed. */
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(fd_write_file(link, "two", 3, 0600), 0);
	assert_int_equal(fd_read_file(path, 10, &data, NULL), 0);
	assert_string_equal(data, "one");
	free(data);
	assert_int_equal(fd_write_file(absent, "x", 1, 0600), -ENOENT);
	free(path);
	free(link);
	free(absent);
}

static void
pipes_are_ours_alone(void **state)
{
	int fds[2];
	char c;

	(void)state;
	assert_int_equal(fd_pipe(fds, true), 0);
	assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fds[1], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fd_read(fds[0], &c, 1), -EAGAIN);
	assert_int_equal(fd_set_cloexec(fds[0], false), 0);
	assert_false(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	fd_close(&fds[1]);
	assert_int_equal(fds[1], -1);
	assert_int_equal(fd_read(fds[0], &c, 1), 0);
	errno = ENOTTY;
	fd_close(&fds[0]);
	fd_close(&fds[0]);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(fd_write_all(-1, "x", 1), -EBADF);
}

static void
folders_are_made_on_the_way(void **state)
{
	char *deep = tmp_path(*state, "a/b//c/"), *below_file = tmp_path(*state, "f/x"),
	     *file = tmp_path(*state, "f");
	struct stat st;

	assert_int_equal(fd_mkdirs(deep, 0700), 0);
	assert_int_equal(fd_mkdirs(deep, 0700), 0);
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	tmp_write(*state, "f", "");
	assert_int_equal(fd_mkdirs(file, 0700), -ENOTDIR);
	assert_int_equal(fd_mkdirs(below_file, 0700), -ENOTDIR);
	assert_int_equal(fd_mkdirs("", 0700), -ENOENT);
	assert_int_equal(fd_mkdirs("/", 0700), 0);
	free(deep);
	free(below_file);
	free(file);
}

#define FD_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    FD_TEST(files_are_bounded),
	    FD_TEST(fifo_does_not_hang),
	    FD_TEST(files_are_replaced_whole),
	    FD_TEST(pipes_are_ours_alone),
	    FD_TEST(folders_are_made_on_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
