/* testrepo: see testrepo.h. */
#include "tests/helper/lib/testrepo.h"

#include "common/alloc.h"
#include "common/cmd.h"
#include "common/fd.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* After the headers that it needs. */
#include <cmocka.h>

#define ARGS_MAX 40

static void
scrub_environment(const char *home)
{
	static const char *const gone[] = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR",
	    "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL",
	    "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"};

	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		unsetenv(gone[i]);
	setenv("HOME", home, 1);
	setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
	setenv("GIT_EDITOR", "true", 1);
	setenv("LC_ALL", "C", 1);
}

char *
testrepo_path(struct testrepo *t, const char *fmt, ...)
{
	char *tail, *path;
	va_list ap;

	va_start(ap, fmt);
	assert_true(vasprintf(&tail, fmt, ap) >= 0);
	va_end(ap);
	path = tail[0] == '/' ? xstrdup(tail) : xasprintf("%s/%s", t->root, tail);
	free(tail);
	return path;
}

static int
run(struct testrepo *t, const char *dir, const char *arg, va_list ap, char **output)
{
	const char *argv[ARGS_MAX + 2] = {"git", arg};
	char *cwd = testrepo_path(t, "%s", dir != NULL ? dir : t->top);
	struct cmd_spec s = {.argv = argv, .cwd = cwd, .out_max = 1 << 20, .err_max = 1 << 14};
	struct cmd_result r;
	struct err e = {0};
	size_t n = 2;
	int status;

	while (n <= ARGS_MAX && (argv[n] = va_arg(ap, const char *)) != NULL)
		n++;
	if (cmd_run(&t->loop, &s, &r, &e) < 0)
		fail_msg("git %s: %s", arg, e.msg);
	assert_true(WIFEXITED(r.status));
	status = WEXITSTATUS(r.status);
	if (output != NULL) {
		if (status != 0)
			fail_msg("git %s in %s: %s%s", arg, cwd, r.out, r.err);
		if (r.out_size > 0 && r.out[r.out_size - 1] == '\n')
			r.out[r.out_size - 1] = '\0';
		*output = xstrdup(r.out);
	}
	cmd_result_clear(&r);
	free(cwd);
	return status;
}

char *
testrepo_git(struct testrepo *t, const char *dir, const char *arg, ...)
{
	char *out = NULL;
	va_list ap;

	va_start(ap, arg);
	run(t, dir, arg, ap, &out);
	va_end(ap);
	return out;
}

void
testrepo_do(struct testrepo *t, const char *dir, const char *arg, ...)
{
	char *out = NULL;
	va_list ap;

	va_start(ap, arg);
	run(t, dir, arg, ap, &out);
	va_end(ap);
	free(out);
}

int
testrepo_try(struct testrepo *t, const char *dir, const char *arg, ...)
{
	va_list ap;
	int status;

	va_start(ap, arg);
	status = run(t, dir, arg, ap, NULL);
	va_end(ap);
	return status;
}

void
testrepo_write(struct testrepo *t, const char *path, const char *text)
{
	char *full = testrepo_path(t, "%s", path), *folder = xstrdup(full), *slash = strrchr(folder, '/');
	FILE *f;

	*slash = '\0';
	assert_int_equal(fd_mkdirs(folder, 0755), 0);
	f = fopen(full, "we");
	if (f == NULL)
		fail_msg("cannot write %s: %s", full, strerror(errno));
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
	free(folder);
	free(full);
}

char *
testrepo_read(struct testrepo *t, const char *path)
{
	char *full = testrepo_path(t, "%s", path), *text = NULL;

	if (fd_read_file(full, 1 << 20, &text, NULL) < 0)
		text = NULL;
	free(full);
	return text;
}

bool
testrepo_exists(struct testrepo *t, const char *path)
{
	char *full = testrepo_path(t, "%s", path);
	struct stat st;
	bool there = lstat(full, &st) == 0;

	free(full);
	return there;
}

void
testrepo_file(struct testrepo *t, const char *path, const char *text)
{
	char *full = xasprintf("%s/%s", t->top, path);

	testrepo_write(t, full, text);
	free(full);
}

char *
testrepo_commit(struct testrepo *t, const char *message)
{
	testrepo_do(t, NULL, "add", "-A", NULL);
	testrepo_do(t, NULL, "commit", "-q", "--allow-empty", "-m", message, NULL);
	return testrepo_git(t, NULL, "rev-parse", "HEAD", NULL);
}

struct testrepo *
testrepo_new(void)
{
	struct testrepo *t = xcalloc(1, sizeof(*t));
	const char *tmp = getenv("TMPDIR");
	char *template = xasprintf("%s/orch-test-XXXXXX", tmp != NULL && *tmp != '\0' ? tmp : "/tmp"), *home;

	assert_non_null(mkdtemp(template));
	t->root = realpath(template, NULL);
	assert_non_null(t->root);
	free(template);
	t->top = xasprintf("%s/repo", t->root);
	t->git_dir = xasprintf("%s/.git", t->top);
	t->wt = xasprintf("%s/wt", t->root);
	home = xasprintf("%s/home", t->root);
	assert_int_equal(mkdir(t->top, 0755), 0);
	assert_int_equal(mkdir(t->wt, 0755), 0);
	assert_int_equal(mkdir(home, 0755), 0);
	scrub_environment(home);
	free(home);
	assert_int_equal(loop_init(&t->loop), 0);
	git_init(&t->git, &t->loop, t->git_dir);
	testrepo_do(t, NULL, "init", "-q", "-b", "main", ".", NULL);
	testrepo_do(t, NULL, "config", "user.name", "Test User", NULL);
	testrepo_do(t, NULL, "config", "user.email", "user@test.invalid", NULL);
	testrepo_file(t, "README", "hello\n");
	free(testrepo_commit(t, "first"));
	return t;
}

void
testrepo_free(struct testrepo *t)
{
	const char *argv[] = {"rm", "-rf", "--", NULL, NULL};
	struct cmd_spec s = {.argv = argv, .out_max = 1024, .err_max = 1024};
	struct cmd_result r = {0};

	if (t == NULL)
		return;
	argv[3] = t->root;
	if (cmd_run(&t->loop, &s, &r, NULL) == 0)
		cmd_result_clear(&r);
	git_clear(&t->git);
	loop_clear(&t->loop);
	free(t->root);
	free(t->top);
	free(t->git_dir);
	free(t->wt);
	free(t);
}

void
testrepo_ok(struct testrepo *t, int rc)
{
	if (rc < 0)
		fail_msg("%s: %s", strerror(-rc), t->e.msg);
}

int
testrepo_setup(void **state)
{
	*state = testrepo_new();
	return 0;
}

int
testrepo_teardown(void **state)
{
	testrepo_free(*state);
	return 0;
}

void
testrepo_assert_file(struct testrepo *t, const char *path, const char *text)
{
	char *now = testrepo_read(t, path);

	if (text == NULL && testrepo_exists(t, path))
		fail_msg("%s is still there", path);
	if (text != NULL && now == NULL)
		fail_msg("%s is not there", path);
	if (text != NULL)
		assert_string_equal(now, text);
	free(now);
}

void
testrepo_program(const char *from_dir, const char *from, const char *to_dir, const char *to)
{
	char *src = xasprintf("%s/%s", from_dir, from), *dst = xasprintf("%s/%s", to_dir, to), *data;
	size_t size;

	/* A link shares the pages of a big sanitizer build; across file systems it has to be a copy. */
	if (link(src, dst) < 0) {
		assert_int_equal(fd_read_file(src, 256 << 20, &data, &size), 0);
		assert_int_equal(fd_write_file(dst, data, size, 0755), 0);
		free(data);
	}
	free(src);
	free(dst);
}
