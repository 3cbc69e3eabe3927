/*
 * install: `cmake --install` into a folder of its own gives the layout that programs look for each other in,
 * and they run from there.
 */
#include "common/alloc.h"
#include "common/cmd.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tmp.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As for CMake, a program is what has a main.c. */
static const struct {
	const char *source, *folder, *program;
	bool says_version;
} programs[] = {
    {"supervisor", "bin", "orchd", true},
    {"supervisor/ctl", "bin", "orchctl", true},
    {"director", "bin/" ORCH_LIBEXEC_REL, "orch-director", false},
    {"em", "bin/" ORCH_LIBEXEC_REL, "orch-em", false},
    {"worker", "bin/" ORCH_LIBEXEC_REL, "orch-worker", false},
    {"common/probe", "bin/" ORCH_LIBEXEC_REL, "orch-probe", false},
};

static struct loop loop;

/* Runs argv; its stdout, which the caller frees. */
static char *
run(const char *const *argv)
{
	struct cmd_spec s = {.argv = argv, .out_max = 64 * 1024, .err_max = 4096, .timeout_ms = 120000};
	struct cmd_result r;
	struct err e = {""};

	if (cmd_run(&loop, &s, &r, &e) < 0)
		fail_msg("%s", e.msg);
	if (!cmd_ok(&r))
		fail_msg("%s failed: %s", argv[0], r.err);
	free(r.err);
	return r.out;
}

static bool
has_main(const char *source)
{
	char *path = xasprintf("%s/%s/main.c", ORCH_SOURCE_DIR, source);
	bool yes = access(path, F_OK) == 0;

	free(path);
	return yes;
}

static void
check_version(const char *path)
{
	const char *argv[] = {path, "--version", NULL};
	char *out = run(argv);

	if (strstr(out, ORCH_VERSION) == NULL)
		fail_msg("%s --version says \"%s\"", path, out);
	free(out);
}

static void
layout_works(void **state)
{
	char *dir = tmp_make(), *prefix = tmp_path(dir, "usr");
	const char *install[] = {"cmake", "--install", ORCH_BIN_DIR "/..", "--prefix", prefix, NULL};

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	free(run(install));
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		char *path = xasprintf("%s/%s/%s", prefix, programs[i].folder, programs[i].program);

		if (!has_main(programs[i].source)) {
			free(path);
			continue;
		}
		if (access(path, X_OK) < 0)
			fail_msg("%s was not installed", path);
		if (programs[i].says_version)
			check_version(path);
		free(path);
	}
	loop_clear(&loop);
	free(prefix);
	tmp_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(layout_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
