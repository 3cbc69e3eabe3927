/*
 * Everything that can be wrong before a run is said in one sentence that names what, where and what to do,
 * with exit 2, and nothing has changed: the repository, the state folders and the process table are as they
 * were. One test a line of the issue's "Bad input".
 */
#include "common/alloc.h"
#include "common/fd.h"
#include "common/proc.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Every file below root with its type, mode, size and time of change; the program's own output is no file. */
static char *
listing(struct e2e *e)
{
	static const char *const argv[] = {
	    "-c", "find . -path ./tmp -prune -o -printf '%P %y %m %s %T@\\n' | LC_ALL=C sort", NULL};
	struct ctlrun r;
	char *text;

	ctlrun_program(&r, e->repo, "/bin/sh", e->repo->root, false, argv, NULL, NULL);
	ctlrun_wait(&r);
	assert_int_equal(r.status, 0);
	text = xstrdup(r.out);
	ctlrun_clear(&r);
	return text;
}

/* argv is orchctl's, in dir; the sentence must hold every one of words (separated by |). */
static void
refused_in(struct e2e *e, const char *dir, const char *words, const char *const *argv)
{
	char *program = testrepo_path(e->repo, "bin/orchctl"), *before = listing(e), *after, *copy, *save;
	struct ctlrun r;
	pid_t *children;

	ctlrun_program(&r, e->repo, program, dir, false, argv, NULL, NULL);
	ctlrun_wait(&r);
	after = listing(e);
	if (r.status != 2)
		fail_msg("exit %d, not 2: %s%s", r.status, r.out, r.err);
	assert_string_equal(r.out, "");
	if (strncmp(r.err, "orchctl: ", 9) != 0 || strchr(r.err, '\n') != r.err + strlen(r.err) - 1)
		fail_msg("not one sentence: %s", r.err);
	copy = xstrdup(words);
	for (char *w = strtok_r(copy, "|", &save); w != NULL; w = strtok_r(NULL, "|", &save))
		if (strstr(r.err, w) == NULL)
			fail_msg("\"%s\" is not in: %s", w, r.err);
	assert_string_equal(before, after);
	loop_reap(&e->repo->loop);
	assert_int_equal(proc_children(getpid(), &children), 0);
	free(children);
	ctlrun_clear(&r);
	free(copy);
	free(before);
	free(after);
	free(program);
}

#define refused(e, words, ...) refused_in(e, (e)->repo->top, words, (const char *const[]){__VA_ARGS__, NULL})

static void
test_command_and_option(void **state)
{
	struct e2e *e = *state;

	refused(e, "unknown command|statsu|orchctl status", "statsu");
	refused(e, "unknown command|frobnicate|--help", "frobnicate");
	refused(e, "--max-emus|--max-ems", "run", "-m", "x", "--max-emus", "3");
	refused(e, "--frob", "status", "--frob");
	refused(e, "-m", "run", "-m");
	refused(e, "--max-ems", "run", "-m", "x", "--max-ems");
	refused(e, "nothing to do|-m TEXT", "run");
	refused(e, "twelve|issue number", "run", "twelve");
	refused(e, "needs", "diff");
}

static void
test_repository(void **state)
{
	static const char *const run[] = {"run", "-m", "Build it", NULL};
	struct e2e *e = *state;
	char *home = testrepo_path(e->repo, "home"), *bare = testrepo_path(e->repo, "bare"),
	     *fresh = testrepo_path(e->repo, "fresh");

	refused_in(e, home, "not a git repository|git init", run);
	testrepo_do(e->repo, NULL, "clone", "-q", "--bare", ".", bare, NULL);
	refused_in(e, bare, "bare repository|clone", run);
	testrepo_do(e->repo, NULL, "init", "-q", fresh, NULL);
	refused_in(e, fresh, "no commits|first", run);
	refused(e, "mian|did you mean main", "run", "-m", "x", "--base", "mian");
	refused(e, "no branch|nowhere", "run", "-m", "x", "--base", "nowhere");
	testrepo_do(e->repo, NULL, "branch", "cco", NULL);
	refused(e, "cco|in the way|git branch -m", "run", "-m", "x");
	free(home);
	free(bare);
	free(fresh);
}

static void
test_issue_text(void **state)
{
	struct e2e *e = *state;
	char *big = xmalloc(257 * 1024 + 1);

	refused(e, "empty", "run", "-m", "");
	refused(e, "empty", "run", "-m", " \n\t ");
	refused(e, "not UTF-8|iconv", "run", "-m", "caf\xe9");
	memset(big, 'x', 257 * 1024);
	big[257 * 1024] = '\0';
	testrepo_write(e->repo, "big", big);
	testrepo_write(e->repo, "blank", "\n \n");
	testrepo_write(e->repo, "latin", "caf\xe9\n");
	refused(e, "256 KiB|big", "run", "--task", "../big");
	refused(e, "empty", "run", "--task", "../blank");
	refused(e, "not UTF-8", "run", "--task", "../latin");
	refused(e, "nowhere", "run", "--task", "../nowhere");
	refused(e, "-m|--task", "run", "-m", "x", "--task", "../blank");
	free(big);
}

static void
test_limits(void **state)
{
	static const char *const bad[] = {
	    "0", "65", "-1", "1.5", "three", "", " 3", "3x", "99999999999999999999"};
	static const char *const bad_env[] = {"0", "65", "-1", "1.5", "three", "3x"};
	struct e2e *e = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		refused(e, "--max-ems|1|64", "run", "-m", "x", "--max-ems", bad[i]);
		refused(e, "--max-workers-per-em|1|64", "run", "-m", "x", "--max-workers-per-em", bad[i]);
	}
	for (size_t i = 0; i < sizeof(bad_env) / sizeof(bad_env[0]); i++) {
		setenv("MAX_EMS", bad_env[i], 1);
		refused(e, "MAX_EMS|1|64", "run", "-m", "x");
		unsetenv("MAX_EMS");
		setenv("MAX_WORKERS_PER_EM", bad_env[i], 1);
		refused(e, "MAX_WORKERS_PER_EM|1|64", "run", "-m", "x");
		unsetenv("MAX_WORKERS_PER_EM");
	}
}

static void
test_settings_file(void **state)
{
	struct e2e *e = *state;

	testrepo_file(e->repo, "orchestrator.json", "{\n  \"max_ems\": 2,\n  \"verify\" \"make\"\n}\n");
	refused(e, "orchestrator.json|line 3|column", "run", "-m", "x");
	testrepo_file(e->repo, "orchestrator.json", "{\"max_em\": 2}\n");
	refused(e, "orchestrator.json|max_em|did you mean|max_ems", "run", "-m", "x");
	testrepo_file(e->repo, "orchestrator.json", "{\"max_ems\": 65}\n");
	refused(e, "orchestrator.json|max_ems|64", "run", "-m", "x");
	testrepo_file(e->repo, "orchestrator.json", "{\"max_ems\": \"two\"}\n");
	refused(e, "orchestrator.json|max_ems", "run", "-m", "x");
	testrepo_file(e->repo, "orchestrator.json", "[]\n");
	refused(e, "orchestrator.json", "run", "-m", "x");
	testrepo_file(e->repo, "orchestrator.json", "");
	refused(e, "orchestrator.json", "run", "-m", "x");
	e2e_ctl_ok(e, "status", NULL); /* who spoils it while a run goes on must still be able to look ... */
	e2e_ctl_ok(e, "stop", NULL);   /* ... and to stop; both were refused once */
}

static void
test_agent_program(void **state)
{
	struct e2e *e = *state;

	refused(e, "no-such-agent", "run", "-m", "x", "--agent", "no-such-agent");
	refused(e, "/nowhere/agent", "run", "-m", "x", "--agent", "/nowhere/agent");
	testrepo_write(e->repo, "plain", "#!/bin/sh\n");
	refused(e, "plain|Permission denied|--agent", "run", "-m", "x", "--agent", "../plain");
	refused(e, "agent", "run", "-m", "x", "--agent", "");
}

/* A state folder that is a file, or below one, cannot be written by root either. */
static void
test_state_folder(void **state)
{
	struct e2e *e = *state;

	testrepo_write(e->repo, "file", "");
	refused(e, "file|ORCH_STATE_DIR", "run", "-m", "x", "--state-dir", "../file/state");
	refused(e, "file", "run", "-m", "x", "--state-dir", "../file");
	refused(e, "/proc", "run", "-m", "x", "--state-dir", "/proc/orch");
	setenv("ORCH_STATE_DIR", "/proc/orch", 1);
	refused(e, "/proc", "run", "-m", "x");
	unsetenv("ORCH_STATE_DIR");
	if (geteuid() != 0) {
		char *git = testrepo_path(e->repo, "repo/.git");

		assert_int_equal(chmod(git, 0500), 0);
		refused(e, ".git", "run", "-m", "x");
		assert_int_equal(chmod(git, 0700), 0);
		free(git);
	} else {
		print_message("[  SKIPPED ] a .git without write permission: root may write everywhere\n");
	}
}

static void
test_disk_nearly_full(void **state)
{
	struct e2e *e = *state;

	setenv("ORCH_MIN_FREE_MB", "999999999", 1);
	refused(e, "MiB|free|--state-dir", "run", "-m", "x");
	unsetenv("ORCH_MIN_FREE_MB");
}

static void
test_plan_file(void **state)
{
	struct e2e *e = *state;

	testrepo_write(e->repo, "plan", "{\"summary\":\"s\",\"areas\":[]}\n");
	refused(e, "plan", "run", "-m", "x", "--plan", "../plan");
	testrepo_write(e->repo, "plan", "{\"summary\":\"s\",\n\"areas\":}\n");
	refused(e, "plan|line 2", "run", "-m", "x", "--plan", "../plan");
	refused(e, "nowhere", "run", "-m", "x", "--plan", "../nowhere");
}

/* The same through orchd, which makes its folders when there is something to do. */
static void
test_foreground(void **state)
{
	static const char *const empty[] = {"run", "-m", "", NULL};
	static const char *const unknown[] = {"--frob", NULL};
	struct e2e *e = *state;
	char *program = testrepo_path(e->repo, "bin/orchd");
	struct ctlrun r;

	ctlrun_program(&r, e->repo, program, e->repo->top, false, empty, NULL, NULL);
	ctlrun_wait(&r);
	assert_int_equal(r.status, 2);
	assert_non_null(strstr(r.err, "empty"));
	assert_ptr_equal(strchr(r.err, '\n'), r.err + strlen(r.err) - 1);
	ctlrun_clear(&r);
	assert_true(access(e->where.state, F_OK) < 0);
	assert_true(access(e->where.worktrees, F_OK) < 0);
	ctlrun_program(&r, e->repo, program, e->repo->top, false, unknown, NULL, NULL);
	ctlrun_wait(&r);
	assert_int_equal(r.status, 2);
	assert_ptr_equal(strchr(r.err, '\n'), r.err + strlen(r.err) - 1);
	ctlrun_clear(&r);
	free(program);
}

int
main(void)
{
#define RUN_TEST(name) cmocka_unit_test_setup_teardown(name, e2e_setup, e2e_teardown)
	const struct CMUnitTest tests[] = {
	    RUN_TEST(test_command_and_option),
	    RUN_TEST(test_repository),
	    RUN_TEST(test_issue_text),
	    RUN_TEST(test_limits),
	    RUN_TEST(test_settings_file),
	    RUN_TEST(test_agent_program),
	    RUN_TEST(test_state_folder),
	    RUN_TEST(test_disk_nearly_full),
	    RUN_TEST(test_plan_file),
	    RUN_TEST(test_foreground),
	};

	return cmocka_run_group_tests_name("test_run_bad_input", tests, NULL, NULL);
}
