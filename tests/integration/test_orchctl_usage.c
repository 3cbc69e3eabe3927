/*
 * orchctl, used wrongly: each mistake is one sentence on stderr, exit 2, nothing on stdout, and a repository
 * in which nothing has changed. No orchd and no check runs in these: the siblings are missing.
 */
#include "common/alloc.h"
#include "tests/helper/lib/ctlrun.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGS 8

static struct testrepo *repo;

static int
setup(void **state)
{
	(void)state;
	ctlrun_scrub_environment();
	repo = testrepo_new();
	ctlrun_install(repo, ORCH_BIN_DIR);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	testrepo_free(repo);
	return 0;
}

/* stderr is one line that begins with our name and holds want. */
static void
assert_refused(struct ctlrun *r, const char *const *argv, int status, const char *want)
{
	size_t n;

	ctlrun(r, repo, argv);
	n = strlen(r->err);
	if (r->status != status || strstr(r->err, want) == NULL || n == 0 ||
	    strchr(r->err, '\n') != r->err + n - 1 || strncmp(r->err, "orchctl: ", 9) != 0 ||
	    r->out[0] != '\0')
		fail_msg("orchctl %s %s: status %d (want %d), stdout \"%s\", stderr \"%s\" (want \"%s\")",
		    argv[0] == NULL ? "" : argv[0], argv[0] == NULL || argv[1] == NULL ? "" : argv[1],
		    r->status, status, r->out, r->err, want);
	ctlrun_clear(r);
}

static void
assert_untouched(void)
{
	char *status = testrepo_git(repo, NULL, "status", "--porcelain", "--ignored", NULL);

	assert_string_equal(status, "");
	free(status);
	assert_false(testrepo_exists(repo, "repo/.git/orch"));
	assert_false(testrepo_exists(repo, "home/.local"));
}

static const struct {
	const char *argv[ARGS];
	const char *want;
} wrong[] = {
    {{NULL}, "a command is missing"},
    {{"staus", NULL}, "unknown command \"staus\": did you mean orchctl status?"},
    {{"frobnicate", NULL}, "unknown command \"frobnicate\": orchctl --help lists them"},
    {{"--frob", NULL}, "unknown option --frob"},
    {{"run", "--mx-ems", "3", NULL}, "unknown option --mx-ems for orchctl run: did you mean --max-ems?"},
    {{"status", "--wach", NULL}, "did you mean --watch?"},
    {{"status", "--max-ems", "3", NULL}, "unknown option --max-ems for orchctl status"},
    {{"stop", "-x", NULL}, "unknown option -x for orchctl stop"},
    {{"status", "--watch=yes", NULL}, "--watch takes no value"},
    {{"run", "-m", NULL}, "--message needs a value"},
    {{"logs", "-n", "many", NULL}, "--lines many: give a whole number from 1"},
    {{"logs", "-n", "0", NULL}, "give a whole number from 1"},
    {{"stop", "now", NULL}, "unexpected argument \"now\""},
    {{"address", "build", NULL}, "\"build\" is no pull request: give its number"},
    {{"address", "7", "--verify", "make", NULL}, "unknown option --verify for orchctl address"},
    {{"cancel", NULL}, "orchctl cancel needs RUN|TASK"},
    {{"diff", NULL}, "orchctl diff needs TASK"},
    {{"status", "--watch", "--json", NULL}, "orchctl events -f --json"},
    {{"status", "--all", "25", NULL}, "leave \"25\" out"},
    {{"report", "--md", "--json", NULL}, "choose one"},
    {{"report", "--md", "--svg", NULL}, "choose one"},
    {{"run", NULL}, "nothing to do: give an issue number, -m TEXT or --task FILE"},
    {{"run", "add", NULL}, "\"add\" is not an issue number"},
    {{"run", "0", NULL}, "\"0\" is not an issue number"},
    {{"run", "25", NULL}, "cannot read issue 25 without a token for GitHub"},
    {{"run", "-m", "", NULL}, "the task given with -m is empty"},
    {{"run", "-m", " \n\t ", NULL}, "the task given with -m is empty"},
    {{"run", "-m", "caf\xe9", NULL}, "the task given with -m is not UTF-8 text"},
    {{"run", "-m", "x", "--task", "y", NULL}, "-m and --task both give the text"},
    {{"run", "--task", "nowhere.md", NULL}, "cannot read the task from nowhere.md: No such file"},
    {{"run", "-m", "x", "--plan", "nowhere.json", NULL}, "cannot read the plan nowhere.json"},
    {{"run", "-m", "x", "--max-ems", "0", NULL}, "1"},
    {{"run", "-m", "x", "--max-ems", "65", NULL}, "64"},
    {{"run", "-m", "x", "--max-workers-per-em=three", NULL}, "three"},
    {{"run", "-m", "x", "--repo", "/nowhere", NULL}, "/nowhere"},
    {{"cancel", "25", NULL}, "no runs yet"},
    {{"retry", "em1", NULL}, "no runs yet"},
    {{"resume", NULL}, "no runs yet"},
    {{"report", NULL}, "no runs yet"},
    {{"diff", "em1", NULL}, "no runs yet"},
};

static void
test_wrong(void **state)
{
	struct ctlrun r;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_refused(&r, wrong[i].argv, 2, wrong[i].want);
	assert_untouched();
}

static void
refuse_with_env(const char *name, const char *value, const char *const *argv, const char *want)
{
	struct ctlrun r;

	setenv(name, value, 1);
	assert_refused(&r, argv, 2, want);
	unsetenv(name);
}

static void
test_environment(void **state)
{
	static const char *const message[] = {"run", "-m", "x", NULL};
	static const char *const bare[] = {"run", NULL};
	static const char *const issue[] = {"run", "25", NULL};

	(void)state;
	refuse_with_env("MAX_EMS", "many", message, "MAX_EMS");
	refuse_with_env("MAX_WORKERS_PER_EM", "65", message, "MAX_WORKERS_PER_EM");
	refuse_with_env("ISSUE_NUMBER", "25", bare, "cannot read issue 25");
	refuse_with_env("ISSUE_NUMBER", "25; rm -rf /", bare, "is not an issue number");
	refuse_with_env("ISSUE_TITLE", "   ", issue, "ISSUE_TITLE is empty");
	/* What the environment says is about another issue. */
	setenv("ISSUE_NUMBER", "7", 1);
	refuse_with_env("ISSUE_TITLE", "Seven", issue, "cannot read issue 25");
	unsetenv("ISSUE_NUMBER");
	assert_untouched();
}

static void
refuse_settings(const char *text, const char *want)
{
	static const char *const argv[] = {"run", "-m", "x", NULL};
	struct ctlrun r;

	testrepo_file(repo, "orchestrator.json", text);
	assert_refused(&r, argv, 2, want);
}

static void
test_settings_file(void **state)
{
	(void)state;
	refuse_settings("{\"max_ems\": 2,\n  oops}", "line 2, column");
	refuse_settings("{\"max_em\": 2}", "did you mean \"max_ems\"?");
	refuse_settings("{\"max_ems\": 0}", "max_ems");
	refuse_settings("[]", "orchestrator.json");
	testrepo_do(repo, NULL, "clean", "-fdq", NULL);
	assert_untouched();
}

static void
test_large_and_odd_files(void **state)
{
	static const char *const argv[] = {"run", "--task", "../task", NULL};
	static const char *const plan[] = {"run", "-m", "x", "--plan", "../plan", NULL};
	size_t size = 256 * 1024 + 1;
	char *text = xmalloc(size + 1);
	struct ctlrun r;

	(void)state;
	memset(text, 'x', size);
	text[size] = '\0';
	testrepo_write(repo, "task", text);
	assert_refused(&r, argv, 2, "over 256 KiB");
	testrepo_write(repo, "task", "\n\n  \n");
	assert_refused(&r, argv, 2, "is empty");
	testrepo_write(repo, "task", "a \xc0\xaf b");
	assert_refused(&r, argv, 2, "not UTF-8");
	testrepo_write(repo, "plan", "{\"summary\": \"s\", \"areas\": []}");
	assert_refused(&r, plan, 2, "the plan ../plan: ");
	free(text);
	assert_untouched();
}

static void
test_places(void **state)
{
	static const char *const nowhere[] = {"run", "-m", "x", "--repo", "..", NULL};
	static const char *const bare[] = {"run", "-m", "x", "--repo", "../bare.git", NULL};
	static const char *const missing[] = {"run", "-m", "x", NULL};
	struct ctlrun r;

	(void)state;
	testrepo_do(repo, NULL, "init", "-q", "--bare", "../bare.git", NULL);
	assert_refused(&r, nowhere, 2, "not a git repository");
	assert_refused(&r, bare, 2, "is a bare repository");
	assert_refused(&r, missing, 2, "orch-director is missing");
	assert_untouched();
}

static void
test_refused_by_check(void **state)
{
	static const char *const argv[] = {"run", "-m", "x", NULL};
	struct ctlrun r;

	(void)state;
	ctlrun_sibling(repo, "orch-director",
	    "cat >/dev/null; echo 'a log line' >&2; echo 'orch-director: branch \"nope\" is missing' >&2; "
	    "exit 2");
	assert_refused(&r, argv, 2, "orchctl: branch \"nope\" is missing\n");
	ctlrun_sibling(repo, "orch-director", "exec kill -9 $$");
	assert_refused(&r, argv, 2, "(orch-director --check) was killed by signal 9");
	ctlrun_sibling(repo, "orch-director", "cat >/dev/null; echo '{\"base\": \"HEAD\"}'");
	assert_refused(&r, argv, 2, "named no base commit");
	assert_untouched();
}

/* What goes wrong after the check is not the user's mistake: exit 3, with what orchd said. */
static void
test_orchd_does_not_start(void **state)
{
	static const char *const argv[] = {"run", "-m", "x", NULL};
	struct ctlrun r;

	(void)state;
	ctlrun_accepting_check(repo);
	ctlrun_sibling(repo, "orchd", "echo 'the disk is on fire' >&2; exit 1");
	assert_refused(&r, argv, 3, "it exited with status 1; it said: the disk is on fire (log: ");
}

static void
assert_says(const char *const *argv, const char *want)
{
	struct ctlrun r;

	ctlrun(&r, repo, argv);
	if (r.status != 0 || strstr(r.out, want) == NULL || r.err[0] != '\0')
		fail_msg("orchctl %s: status %d, \"%s\", stderr \"%s\"", argv[0], r.status, r.out, r.err);
	ctlrun_clear(&r);
}

static void
test_help_and_looking(void **state)
{
	static const char *const commands[] = {"run", "status", "logs", "events", "report", "diff", "stop",
	    "restart", "cancel", "retry", "resume", "clean", "doctor"};
	static const char *const overview[] = {"--help", NULL}, *const version[] = {"--version", NULL};
	static const char *const status[] = {"status", NULL}, *const json[] = {"status", "--json", NULL};
	static const char *const watch[] = {"status", "--watch", NULL}, *const stop[] = {"stop", NULL};
	static const char *const logs[] = {"logs", NULL}, *const clean[] = {"clean", NULL};

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const char *const help[] = {commands[i], "--help", NULL};
		char *want = xasprintf("usage: orchctl %s", commands[i]);

		assert_says(overview, commands[i]);
		assert_says(help, want);
		free(want);
	}
	assert_says(version, "orchctl " ORCH_VERSION);
	assert_says(status, "no runs yet\n");
	assert_says(watch, "no runs yet\n");
	assert_says(json, "{\"daemon\":null,\"runs\":[]}\n");
	assert_says(logs, "no runs yet\n");
	assert_says(stop, "orchd is not running\n");
	assert_says(clean, "nothing to clean\n");
	assert_untouched();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_wrong, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_environment, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_settings_file, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_large_and_odd_files, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_places, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_refused_by_check, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_orchd_does_not_start, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_help_and_looking, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
