/*
 * sibling: this program is copied into the layouts of a build and of an install, and started there to say
 * where it finds another.
 */
#include "common/sibling.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/fd.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tmp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the copy at dir/self says about program, as a path below dir. Caller frees. */
static char *
ask(const char *dir, const char *self, const char *program)
{
	char *path = tmp_path(dir, self), *answer, *below = NULL;
	const char *argv[] = {path, program, NULL};
	struct child_spec s;
	int out[2], status;
	pid_t pid;

	assert_int_equal(fd_pipe(out, false), 0);
	child_spec_init(&s);
	s.argv = argv;
	s.fd_out = out[1];
	assert_int_equal(child_spawn(&s, &pid, NULL, NULL), 0);
	fd_close(&out[1]);
	assert_int_equal(fd_read_all(out[0], 8192, &answer, NULL), 0);
	fd_close(&out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (strncmp(answer, dir, strlen(dir)) == 0)
		below = xstrdup(answer + strlen(dir) + 1);
	free(answer);
	free(path);
	return below;
}

static void
copy_self(const char *dir, const char *name)
{
	char *to = tmp_path(dir, name), *data;
	size_t size;

	tmp_write(dir, name, "");
	assert_int_equal(fd_read_file("/proc/self/exe", 256 << 20, &data, &size), 0);
	assert_int_equal(fd_write_file(to, data, size, 0755), 0);
	free(data);
	free(to);
}

static void
assert_finds(const char *self, const char *program, const char *want)
{
	char *dir = tmp_make(), *got;

	copy_self(dir, self);
	tmp_write(dir, want, "#!/bin/sh\n");
	got = ask(dir, self, program);
	assert_non_null(got);
	assert_string_equal(got, want);
	free(got);
	tmp_remove(dir);
}

static void
finds_in_build_and_install(void **state)
{
	(void)state;
	assert_finds("build/orchd", "orch-em", "build/orch-em");
	if (strcmp(ORCH_LIBEXEC_REL, "../libexec/orch") != 0)
		skip(); /* a distribution's own layout */
	assert_finds("usr/bin/orchd", "orch-em", "usr/libexec/orch/orch-em");
	assert_finds("usr/libexec/orch/orch-em", "orchd", "usr/bin/orchd");
}

static void
missing_is_a_sentence(void **state)
{
	struct err e = {""};
	char *path = NULL;

	(void)state;
	assert_int_equal(sibling_path("orch-none", &path, &e), -ENOENT);
	assert_null(path);
	assert_non_null(strstr(e.msg, "orch-none is missing: looked in /"));
}

/* With an argument this is the copy: it prints where it finds that program. */
int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finds_in_build_and_install),
	    cmocka_unit_test(missing_is_a_sentence),
	};
	char *path;

	if (argc == 1)
		return cmocka_run_group_tests(tests, NULL, NULL);
	if (sibling_path(argv[1], &path, NULL) < 0)
		return 1;
	fputs(path, stdout);
	free(path);
	return 0;
}
