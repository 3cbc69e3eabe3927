/*
 * calculator: a whole run with the real CLI in every place: director, two EMs, seven workers, a task that is
 * sent back, merges and gates. The model is the fake API, which says what the demo's scripted agents would
 * do (tests/demo/calculator), translated here.
 */
#include "common/alloc.h"
#include "common/fd.h"
#include "common/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/realagent.h"
#include "tests/helper/lib/test.h"

#define SCRIPTS ORCH_SOURCE_DIR "/tests/demo/calculator"
#define GATE "if [ -f Makefile ]; then make -s check; fi"

/* Translation. */

static char *
demo_text(const char *name)
{
	char *path = xasprintf(SCRIPTS "/%s", name), *text = NULL;
	int rc = fd_read_file(path, 1 << 20, &text, NULL);

	free(path);
	return rc == 0 ? text : NULL;
}

/* Copies the block that ends at a line "EOF" and returns what follows it. */
static char *
copy_block(FILE *to, char *rest)
{
	char *line;

	while ((line = strsep(&rest, "\n")) != NULL && strcmp(line, "EOF") != 0)
		fprintf(to, "%s\n", line);
	assert_non_null(line);
	fputs("EOF\n", to);
	return rest;
}

/*
 * A scripted agent's start as steps of the API: each tool is a message of its own. A file that an earlier
 * start wrote is read first: the CLI insists.
 */
static void
translate(FILE *to, const char *name, bool again)
{
	char *text = demo_text(name), *rest = text, *line;

	assert_non_null(text);
	while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
		char path[256];

		if (strncmp(line, "write ", 6) == 0) {
			assert_int_equal(sscanf(line, "write %255s <<EOF", path), 1);
			if (again)
				fprintf(to, "reply\ntool Read <<EOF\n{\"file_path\":\"%s\"}\nEOF\n", path);
			fprintf(to, "reply\n%s\n", line);
			rest = copy_block(to, rest);
		} else if (strncmp(line, "plan ", 5) == 0) {
			fputs("reply\nstructured <<EOF\n", to);
			rest = copy_block(to, rest);
		} else if (strncmp(line, "run ", 4) == 0) {
			fprintf(to, "reply\nbash %s\n", line + 4);
		}
	}
	if (strncmp(name, "worker", 6) == 0)
		fputs("reply\ntext It is done.\n", to);
	free(text);
}

/* Writes a script of the API: who it is for, then the demo's scripts in their order. */
static void
write_script(const char *name, const char *who, const char *title)
{
	char *first = xasprintf("%s.1", name), *path, *text = NULL, *demo = demo_text(first);
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f, "match You are %s\n", who);
	if (title != NULL)
		fprintf(f, "line %s\n", title);
	if (demo != NULL)
		translate(f, first, false);
	translate(f, name, demo != NULL);
	fclose(f);
	path = xasprintf("%s/scripts/%s", getenv("ORCH_FAKEAPI_DIR"), name);
	assert_int_equal(fd_write_file(path, text, size, 0600), 0);
	free(path);
	free(demo);
	free(text);
	free(first);
}

/* The plan in a demo's script. */
static json_t *
plan_of(const char *name)
{
	char *text = demo_text(name), *from, *to;
	json_t *plan;

	assert_non_null(text);
	from = strstr(text, "plan <<EOF\n");
	assert_non_null(from);
	from += strlen("plan <<EOF\n");
	to = strstr(from, "\nEOF");
	assert_non_null(to);
	plan = json_loadb(from, (size_t)(to - from), 0, NULL);
	assert_non_null(plan);
	free(text);
	return plan;
}

static size_t
write_scripts(void)
{
	json_t *areas = plan_of("director"), *area, *task;
	size_t i, k, agents = 1;

	write_script("director", "the director", NULL);
	json_array_foreach (json_object_get(areas, "areas"), i, area) {
		char *em = xasprintf("em-%s", json_str(area, "id"));
		json_t *tasks = plan_of(em);

		write_script(em, "an engineering manager", json_str(area, "title"));
		json_array_foreach (json_object_get(tasks, "tasks"), k, task) {
			char *worker = xasprintf("worker-%s.%s", json_str(area, "id"), json_str(task, "id"));

			write_script(worker, "a worker", json_str(task, "title"));
			free(worker);
			agents++;
		}
		json_decref(tasks);
		free(em);
		agents++;
	}
	json_decref(areas);
	return agents;
}

/* The run. */

static void
set_up_repository(struct e2e *e)
{
	char *head;

	testrepo_file(e->repo, ".gitignore", "build/\n");
	testrepo_file(e->repo, "README.md", "# calc\n");
	testrepo_file(e->repo, "PROJECT_DIRECTION.md", "Small, plain C. Every module has a test.\n");
	head = testrepo_commit(e->repo, "Begin");
	free(head);
}

/* Every agent asked, was known, and found its script long enough. Returns how many sessions there were. */
static size_t
check_requests(void)
{
	char *path = xasprintf("%s/log", getenv("ORCH_FAKEAPI_DIR")), *text = NULL, *rest, *line;
	json_t *sessions = json_object();
	size_t count;

	assert_int_equal(fd_read_file(path, 64u << 20, &text, NULL), 0);
	rest = text;
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		json_t *j = json_loads(line, 0, NULL);

		if (strcmp(json_str(j, "method"), "HEAD") == 0) { /* the gateway looks whether it is there */
			json_decref(j);
			continue;
		}
		if (json_str(j, "fault") != NULL)
			fail_msg("%s: %s",
			    json_str(j, "script") != NULL ? json_str(j, "script") : "a request",
			    json_str(j, "fault"));
		assert_string_equal(json_str(j, "key"), REAL_KEY);
		json_object_set_new(sessions, json_str(j, "session"), json_true());
		json_decref(j);
	}
	count = json_object_size(sessions);
	json_decref(sessions);
	free(text);
	free(path);
	return count;
}

static void
use_calculator(struct e2e *e)
{
	char *branch = e2e_branch(e, "m1"), *clone = testrepo_path(e->repo, "clone"), *command;

	testrepo_do(e->repo, NULL, "clone", "-q", "--branch", branch, e->repo->top, clone, NULL);
	command = xasprintf("cd '%s' && make -s check && test \"$(build/calc '2*(3+4)')\" = 14", clone);
	assert_int_equal(system(command), 0);
	free(command);
	free(clone);
	free(branch);
}

static void
test_calculator(void **state)
{
	struct e2e *e = *state;
	size_t agents;

	setenv("ORCH_AGENT", real_program(), 1);
	setenv("ANTHROPIC_API_KEY", REAL_KEY, 1);
	setenv("ANTHROPIC_BASE_URL", getenv("ORCH_FAKEAPI_URL"), 1);
	agents = write_scripts();
	set_up_repository(e);
	e2e_begin(e, "--verify", GATE, NULL);
	if (e2e_end(e) != 0)
		fail_msg("orchctl run: exit %d\n%s%s", e->run.status, e->run.out, e->run.err);
	e2e_assert_state(e, "m1", "complete");
	assert_int_equal(e2e_count(e, NULL, "state", "rework"), 1);
	assert_int_equal(check_requests(), agents);
	use_calculator(e);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_calculator, e2e_setup, e2e_teardown),
	};

	(void)argc;
	real_enter(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
