/* githubrun: see githubrun.h. */
#include "tests/helper/lib/githubrun.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/json.h"
#include "common/proc.h"
#include "tests/helper/lib/test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 60000
#define ARGS_MAX 16

struct fakegithub hub;

int
githubrun_setup(void **state)
{
	int rc = e2e_setup(state);
	struct e2e *e = *state;

	if (rc != 0)
		return rc;
	fakegithub_start(&hub, &e->repo->loop);
	json_object_set_new(hub.permissions, "ada", json_string("write"));
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	return 0;
}

int
githubrun_teardown(void **state)
{
	int rc;

	setenv("GITHUB_TOKEN", FAKEGITHUB_TOKEN, 1);
	hub.before = NULL;
	rc = e2e_teardown(state);
	fakegithub_stop(&hub);
	return rc;
}

void
githubrun_begin(struct e2e *e, const char *arg, ...)
{
	const char *argv[ARGS_MAX] = {"run", "25", "--detach"};
	struct ctlrun r;
	size_t n = 3;
	va_list ap;

	fakegithub_issue(&hub, "25", "ada", "Build it", "All of it.");
	e2e_remember(e);
	va_start(ap, arg);
	for (; arg != NULL && n < ARGS_MAX - 1; arg = va_arg(ap, const char *))
		argv[n++] = arg;
	va_end(ap);
	ctlrun_start(&r, e->repo, false, argv, NULL, NULL);
	ctlrun_wait(&r);
	if (r.status != 0)
		fail_msg("exit %d: %s", r.status, r.err);
	ctlrun_clear(&r);
	e2e_follow(e);
}

void
githubrun_serve_git(struct e2e *e)
{
	char *folder = testrepo_path(e->repo, "github");

	fakegithub_serve_git(&hub, folder, e->repo->top);
	free(folder);
}

static void
pump(struct e2e *e, int64_t deadline, const char *what)
{
	const bool never = false;
	const char *text = fakegithub_ours(&hub, "25", 0);

	if (clock_now_ms() > deadline) {
		e2e_tell(e);
		fail_msg("\"%s\" does not come; the comment is: %s", what, text == NULL ? "not there" : text);
	}
	loop_wait(&e->repo->loop, &never, clock_now_ms() + 20);
}

void
githubrun_await_comment(struct e2e *e, const char *words)
{
	int64_t deadline = clock_now_ms() + PATIENCE_MS;
	const char *text;

	while ((text = fakegithub_ours(&hub, "25", 0)) == NULL || strstr(text, words) == NULL)
		pump(e, deadline, words);
}

void
githubrun_await_label(struct e2e *e, const char *label)
{
	int64_t deadline = clock_now_ms() + PATIENCE_MS;

	while (!fakegithub_has_label(&hub, "25", label))
		pump(e, deadline, label);
}

void
githubrun_await_state(struct e2e *e, const char *state)
{
	int64_t deadline = clock_now_ms() + PATIENCE_MS;

	for (bool there = false; !there;) {
		json_t *run = e2e_status(e, "25");

		there = strcmp(json_str(run, "state"), state) == 0;
		json_decref(run);
		if (!there)
			pump(e, deadline, state);
	}
}

void
githubrun_assert_says(const char *words)
{
	const char *text = fakegithub_ours(&hub, "25", 0);

	assert_non_null(text);
	if (strstr(text, words) == NULL)
		fail_msg("\"%s\" is not in:\n%s", words, text);
}

void
githubrun_assert_end(const char *words, const char *label)
{
	json_t *labels = json_object_get(json_object_get(hub.issues, "25"), "labels");

	githubrun_assert_says(words);
	assert_null(fakegithub_ours(&hub, "25", 1));
	if (json_array_size(labels) != 1 || !fakegithub_has_label(&hub, "25", label))
		fail_msg("%zu labels, and %s is %s of them", json_array_size(labels), label,
		    fakegithub_has_label(&hub, "25", label) ? "one" : "none");
}

void
githubrun_assert_pull(struct e2e *e)
{
	json_t *pull = fakegithub_pull(&hub, 0), *run = e2e_status(e, "25");
	const char *head = json_str(json_object_get(pull, "head"), "sha");
	char *tip = fakegithub_git(&hub, "rev-parse", "refs/heads/cco/25-build-it", NULL);

	assert_non_null(pull);
	assert_null(fakegithub_pull(&hub, 1));
	assert_non_null(tip);
	assert_string_equal(json_str(run, "head"), tip);
	assert_string_equal(head, tip);
	assert_string_equal(json_str(pull, "state"), "open");
	assert_non_null(strstr(json_str(pull, "body"), "Closes #25."));
	githubrun_assert_says(json_str(pull, "html_url"));
	assert_string_equal(json_str(run, "pull_url"), json_str(pull, "html_url"));
	json_decref(pull);
	json_decref(run);
	free(tip);
}

pid_t
githubrun_director(pid_t orchd)
{
	DIR *d = opendir("/proc");
	struct dirent *de;
	pid_t found = 0;

	assert_non_null(d);
	while ((de = readdir(d)) != NULL) {
		pid_t pid = (pid_t)strtol(de->d_name, NULL, 10);
		char path[64], *comm = NULL;

		snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
		if (pid > 1 && proc_parent(pid) == orchd && fd_read_file(path, 64, &comm, NULL) == 0 &&
		    strncmp(comm, "orch-director", 13) == 0)
			found = pid;
		free(comm);
	}
	closedir(d);
	return found;
}
