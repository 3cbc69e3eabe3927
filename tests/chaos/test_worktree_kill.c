/*
 * A role that makes, fills, commits and removes its worktree is killed at any moment, again and again.
 * Whatever it leaves, the next one gets a clean worktree on the right branch, and what had been committed
 * stays so. Prints its seed; ORCH_SEED repeats a run.
 */
#include "tests/helper/lib/testrepo.h"

#include "common/alloc.h"
#include "common/clock.h"

#include <event2/event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS 60
#define LIFE_MAX_US 60000
#define BRANCH "cco/1-em1-w1"

/* What the role does, over and over. Any error is its end: status 1. */
static void
role(struct testrepo *t, const char *path, const char *base, int round)
{
	char head[GIT_OID_HEX], *file = xasprintf("%s/file", path), text[32];
	bool saved;

	for (int n = 0;; n++) {
		if (git_worktree_add(&t->git, path, BRANCH, base, &t->e) < 0)
			break;
		snprintf(text, sizeof(text), "%d.%d\n", round, n);
		testrepo_write(t, file, text);
		if (git_commit_all(&t->git, path, BRANCH, base, text, head, NULL, &t->e) < 0 ||
		    git_save_wip(&t->git, path, "1-em1-w1", BRANCH, &saved, NULL, &t->e) < 0 ||
		    git_worktree_remove(&t->git, path, &t->e) < 0)
			break;
	}
	fprintf(stderr, "role: %s\n", t->e.msg);
	_exit(1);
}

static void
live_and_die(struct testrepo *t, const char *path, const char *base, int round)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		event_reinit(t->loop.base);
		role(t, path, base, round);
	}
	usleep((useconds_t)(rand() % LIFE_MAX_US));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status)); /* it had no error of its own */
}

static void
killed_at_any_moment(void **state)
{
	struct testrepo *t = *state;
	const char *given = getenv("ORCH_SEED");
	unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)clock_wall_ms();
	char *path = testrepo_path(t, "wt/a"), base[GIT_OID_HEX], before[GIT_OID_HEX], head[GIT_OID_HEX];
	char *text;

	fprintf(stderr, "ORCH_SEED=%u\n", seed);
	srand(seed);
	for (int i = 0; i < 30; i++) {
		text = xasprintf("dir%d/file%d", i % 5, i);
		testrepo_file(t, text, "text\n");
		free(text);
	}
	free(testrepo_commit(t, "files"));
	testrepo_ok(t, git_resolve(&t->git, "main", base, &t->e));
	strcpy(before, base);
	for (int round = 0; round < ROUNDS; round++) {
		live_and_die(t, path, base, round);
		testrepo_ok(t, git_worktree_add(&t->git, path, BRANCH, base, &t->e));
		testrepo_ok(t, git_commit_all(&t->git, path, BRANCH, base, "left\n", head, NULL, &t->e));
		testrepo_ok(t, git_resolve(&t->git, BRANCH, head, &t->e));
		assert_int_equal(git_is_ancestor(&t->git, before, head, &t->e), 1);
		strcpy(before, head);
		text = testrepo_git(t, "wt/a", "status", "--porcelain", "--branch", NULL);
		assert_string_equal(text, "## " BRANCH);
		free(text);
		/* Only the one file ever differs: no half-made checkout was taken for work. */
		text = testrepo_git(t, NULL, "diff", "--name-only", base, head, NULL);
		assert_true(strcmp(text, "file") == 0 || strcmp(text, "") == 0);
		free(text);
	}
	testrepo_ok(t, git_worktree_remove(&t->git, path, &t->e));
	assert_false(testrepo_exists(t, "repo/.git/worktrees"));
	text = testrepo_git(t, NULL, "fsck", "--no-dangling", NULL);
	assert_string_equal(text, "");
	free(text);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(killed_at_any_moment, testrepo_setup, testrepo_teardown),
	};

	return cmocka_run_group_tests_name("worktree_kill", tests, NULL, NULL);
}
