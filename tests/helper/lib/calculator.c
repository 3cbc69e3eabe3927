/* calculator: see calculator.h. */
#include "tests/helper/lib/calculator.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "common/json.h"
#include "tests/helper/lib/realagent.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCRIPTS ORCH_SOURCE_DIR "/tests/demo/calculator"

/* Translation: the demo's scripts as the fake API's. */

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

size_t
calculator_api_scripts(void)
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

size_t
calculator_api_sessions(void)
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

/* The repository. */

void
calculator_repository(struct e2e *e)
{
	testrepo_file(e->repo, ".gitignore", "build/\n");
	testrepo_file(e->repo, "README.md", "# calc\n");
	testrepo_file(e->repo, "PROJECT_DIRECTION.md", "Small, plain C. Every module has a test.\n");
	free(testrepo_commit(e->repo, "Begin"));
}

void
calculator_use(struct e2e *e, const char *from, const char *branch)
{
	char *to = testrepo_path(e->repo, "clone"), *calc = testrepo_path(e->repo, "clone/build/calc");
	const char *make[] = {"-s", "check", "all", NULL}, *sum[] = {"2*(3+4)", NULL};
	struct ctlrun r;

	testrepo_do(e->repo, NULL, "clone", "-q", "--branch", branch, from, to, NULL);
	ctlrun_program(&r, e->repo, "make", to, false, make, NULL, NULL);
	ctlrun_wait(&r);
	if (r.status != 0)
		fail_msg("%s%s", r.out, r.err);
	ctlrun_clear(&r);
	ctlrun_program(&r, e->repo, calc, to, false, sum, NULL, NULL);
	ctlrun_wait(&r);
	assert_string_equal(r.out, "14\n");
	ctlrun_clear(&r);
	free(to);
	free(calc);
}
