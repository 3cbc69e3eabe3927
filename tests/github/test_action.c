/*
 * action.yml and the workflows: valid in the eyes of three validators, each of which finds a fault in a
 * broken copy; and the action's steps done for real, as a runner does them, for an issue whose title wants to
 * be a command.
 */
#include "tests/github/standins.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "common/json.h"
#include "director/director.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOP ORCH_SOURCE_DIR
#define EVIL_TITLE                                                                                           \
	"Build $(touch pwned) `touch pwned` \"; touch pwned; #\n::set-output name=result::pwned\n"           \
	"::add-mask::result\n::error::pwned"
#define EVIL_BODY                                                                                            \
	"$(touch pwned)\n`touch pwned`\nEOF\nresult=pwned\n::set-output name=result::pwned\n${{ "            \
	"github.token }}"

static struct standins s;
static struct github *gh;

/* Runs node in the sources' folder; its exit status, with what it said in r. */
static int
node(struct testrepo *t, struct ctlrun *r, const char *script, const char *const *args)
{
	const char *argv[16], *modules = getenv("ORCH_GITHUB_STANDINS");
	char *path = xasprintf(TOP "/tests/github/%s", script);
	size_t n = 0;

	argv[n++] = path;
	argv[n++] = modules;
	while (*args != NULL)
		argv[n++] = *args++;
	argv[n] = NULL;
	ctlrun_program(r, t, "node", TOP, false, argv, NULL, NULL);
	ctlrun_wait(r);
	free(path);
	return r->status;
}

static int
lint(struct testrepo *t, struct ctlrun *r, const char *validator, const char *file)
{
	return node(t, r, "lint.mjs", (const char *const[]){validator, file, NULL});
}

static void
test_all_validators_are_content(void **state)
{
	static const char *const files[] = {"action.yml", ".github/workflows/ci.yml",
	    ".github/workflows/orch.yml", ".github/workflows/run.yml", "docs/github.md"};
	struct ctlrun r;

	if (node(*state, &r, "lint.mjs",
		(const char *const[]){"all", files[0], files[1], files[2], files[3], files[4], NULL}) != 0)
		fail_msg("%s%s", r.out, r.err);
	ctlrun_clear(&r);
}

/* A copy of a file with one text replaced in it, in a folder with the workflow that it may call. */
static char *
broken_copy(struct testrepo *t, const char *file, const char *from, const char *to)
{
	const char *slash = strrchr(file, '/');
	char *source = xasprintf(TOP "/%s", file), *text, *at, *name, *whole;
	char *called = NULL;
	size_t size;

	assert_int_equal(fd_read_file(source, 1 << 20, &text, &size), 0);
	at = strstr(text, from);
	if (at == NULL)
		fail_msg("%s has no \"%s\"", file, from);
	whole = xasprintf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	name = slash == NULL ? xstrdup(file) : xstrdup(slash + 1);
	testrepo_write(t, name, whole);
	free(source);
	source = xstrdup(TOP "/.github/workflows/run.yml");
	assert_int_equal(fd_read_file(source, 1 << 20, &called, &size), 0);
	if (strcmp(name, "run.yml") != 0)
		testrepo_write(t, "run.yml", called);
	at = testrepo_path(t, "%s", name);
	free(called);
	free(source);
	free(text);
	free(whole);
	free(name);
	return at;
}

static void
test_each_validator_finds_a_fault(void **state)
{
	static const struct {
		const char *validator, *file, *from, *to, *words;
	} rows[] = {
	    {"schema", "action.yml", "shell: sh", "shel: sh", "schema: "},
	    {"schema", ".github/workflows/orch.yml", "issues: write", "isues: write", "schema: "},
	    {"actionlint", ".github/workflows/run.yml", "steps.orch.outputs.result",
		"steps.nope.outputs.result", "property \"nope\" is not defined"},
	    {"actionlint", ".github/workflows/ci.yml", "github.ref }}", "github.reff }}", "reff"},
	    {"service", "action.yml", "steps.run.outputs.result", "nonsense(steps)", "nonsense"},
	    {"service", ".github/workflows/orch.yml",
		"claude-configs: ", "claude-konfigs: ", "claude-konfigs"},
	    {"keys", ".github/workflows/run.yml", "max-ems: ${{", "max-em: ${{", "max-em"},
	    {"keys", "docs/github.md", "claude-configs: ${{", "keys: ${{", "keys"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *copy = broken_copy(*state, rows[i].file, rows[i].from, rows[i].to);
		struct ctlrun r;

		if (lint(*state, &r, rows[i].validator, copy) != 1 || strstr(r.out, rows[i].words) == NULL)
			fail_msg(
			    "%s does not say \"%s\": %s%s", rows[i].validator, rows[i].words, r.out, r.err);
		ctlrun_clear(&r);
		free(copy);
	}
}

static int
set_up(void **state)
{
	static const char *const values[][2] = {{"CI", "true"}, {"GITHUB_TOKEN", STANDIN_TOKEN},
	    {"ORCH_GITHUB_WRITE_GAP", "0"}, {"GITHUB_REPOSITORY", "octo/hello"}, {"ORCH_AGENT", NULL}};
	int rc = e2e_setup(state);
	struct e2e *e = *state;
	char *temp = testrepo_path(e->repo, "runner"), *bin = xasprintf("%s/orch", temp);

	if (rc != 0)
		return rc;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (values[i][1] != NULL)
			setenv(values[i][0], values[i][1], 1);
	setenv("GITHUB_API_URL", s.api, 1);
	setenv("GITHUB_SERVER_URL", s.git, 1);
	setenv("RUNNER_TEMP", temp, 1);
	setenv("GITHUB_WORKSPACE", e->repo->top, 1);
	/* As a cache that was hit has it. */
	assert_int_equal(fd_mkdirs(bin, 0755), 0);
	free(bin);
	bin = xasprintf("%s/orch/bin", temp);
	assert_int_equal(symlink(ORCH_BIN_DIR, bin), 0);
	gh = standins_client(&s, &e->repo->loop, STANDIN_TOKEN);
	free(bin);
	free(temp);
	return 0;
}

static int
tear_down(void **state)
{
	static const char *const names[] = {"CI", "GITHUB_TOKEN", "GITHUB_API_URL", "GITHUB_SERVER_URL",
	    "GITHUB_REPOSITORY", "ORCH_GITHUB_WRITE_GAP", "RUNNER_TEMP", "GITHUB_WORKSPACE",
	    "GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH"};

	standins_count(&s, gh, "GET", "/");
	github_close(gh);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	return e2e_teardown(state);
}

/* What the runner's end says; r is cleared. */
static json_t *
run_action(struct e2e *e, const json_t *inputs)
{
	char *given = json_text(inputs);
	struct ctlrun r;
	json_t *end;

	node(e->repo, &r, "runner.mjs", (const char *const[]){TOP, given, NULL});
	end = json_loads(r.out, 0, NULL);
	if (end == NULL)
		fail_msg("%s%s", r.out, r.err);
	if (getenv("ORCH_TEST_VERBOSE") != NULL)
		fprintf(stderr, "%s%s", r.out, r.err);
	ctlrun_clear(&r);
	free(given);
	return end;
}

/* Only what orch itself may say to the runner was heeded, and nothing that a title can write. */
static void
assert_harmless(struct e2e *e, const json_t *end)
{
	static const char *const ours[] = {"add-mask", "stop-commands", "notice", "warning", "error"};
	json_t *pair;
	size_t i;

	assert_false(testrepo_exists(e->repo, "pwned"));
	assert_true(access("pwned", F_OK) != 0);
	json_array_foreach (json_object_get(end, "commands"), i, pair) {
		const char *name = json_string_value(json_array_get(pair, 0));
		const char *text = json_string_value(json_array_get(pair, 1));
		bool known = false;

		for (size_t k = 0; k < sizeof(ours) / sizeof(ours[0]); k++)
			known |= strcmp(name, ours[k]) == 0;
		if (!known || strcmp(text, "pwned") == 0 || strcmp(text, "result") == 0)
			fail_msg("the runner was told ::%s::%s", name, text);
	}
}

static void
assert_output(const json_t *end, const char *name, const char *want)
{
	assert_string_equal(json_str(json_object_get(end, "outputs"), name), want);
}

static void
write_scripts(struct e2e *e)
{
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one", "say ::set-output name=result::pwned\n");
	e2e_remember(e);
}

static void
test_the_steps_of_the_action(void **state)
{
	struct e2e *e = *state;
	uint64_t issue = standins_issue(gh, EVIL_TITLE, EVIL_BODY);
	char *number = xasprintf("%" PRIu64, issue), *branch, *bare, *pushed;
	json_t *inputs, *end, *run;

	write_scripts(e);
	branch = director_branch_name("cco/", number,
	    "Build $(touch pwned) `touch pwned` \"; touch pwned; # "
	    "::set-output name=result::pwned ::add-mask::result ::error::pwned",
	    1);
	bare = standins_remote(&s, e->repo, gh, branch);
	inputs = json_pack("{s:s, s:s, s:s}", "issue-number", number, "max-ems", "2", "claude-configs", "");
	end = run_action(e, inputs);
	assert_int_equal(json_integer_value(json_object_get(end, "status")), 0);
	assert_output(end, "result", "complete");
	assert_output(end, "branch", branch);
	assert_output(end, "cost-usd", "0.000000");
	assert_non_null(strstr(json_str(json_object_get(end, "outputs"), "pr-url"), "/pull/"));
	assert_non_null(strstr(json_str(end, "summary"), "Build"));
	assert_non_null(strstr(json_str(json_object_get(end, "cache"), "key"), "orch-"));
	assert_non_null(strstr(json_str(json_object_get(end, "cache"), "path"), "/runner/orch"));
	assert_harmless(e, end);
	pushed = testrepo_git(e->repo, bare, "rev-parse", branch, NULL);
	run = e2e_status(e, number);
	assert_string_equal(json_str(run, "head"), pushed);
	json_decref(run);
	json_decref(end);
	json_decref(inputs);
	free(pushed);
	free(bare);
	free(branch);
	free(number);
}

/* Without a number it is the event that says what is to be done; this one says it twice over. */
static void
test_an_event_of_the_action(void **state)
{
	struct e2e *e = *state;
	char *path = xasprintf("%s/event.json", e->scripts);
	json_t *payload = json_pack("{s:s, s:{s:s}, s:{s:i, s:s, s:s}, s:{s:s, s:s, s:{s:s, s:s}}, s:{s:s}}",
	    "action", "created", "repository", "full_name", "octo/hello", "issue", "number", 9999, "title",
	    EVIL_TITLE, "body", EVIL_BODY, "comment", "body", "/orch run\n" EVIL_BODY, "author_association",
	    "OWNER", "user", "login", "octo", "type", "User", "sender", "login", "octo");
	json_t *inputs = json_object(), *end;

	e2e_remember(e);
	assert_int_equal(json_dump_file(payload, path, 0), 0);
	setenv("GITHUB_EVENT_NAME", "issue_comment", 1);
	setenv("GITHUB_EVENT_PATH", path, 1);
	end = run_action(e, inputs);
	assert_int_equal(json_integer_value(json_object_get(end, "status")), 0); /* it takes no text */
	assert_output(end, "result", "");
	assert_harmless(e, end);
	json_decref(end);
	json_decref(payload);
	json_decref(inputs);
	free(path);
}

int
main(int argc, char **argv)
{
#define E2E_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		test_all_validators_are_content, testrepo_setup, testrepo_teardown),
	    cmocka_unit_test_setup_teardown(
		test_each_validator_finds_a_fault, testrepo_setup, testrepo_teardown),
	    E2E_TEST(test_the_steps_of_the_action),
	    E2E_TEST(test_an_event_of_the_action),
	};
	int rc = standins_above(&s, argv);

	(void)argc;
	return rc >= 0 ? rc : cmocka_run_group_tests(tests, NULL, NULL);
}
