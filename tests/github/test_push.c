/* push: the real git over HTTP with a token: what is pushed, what is refused, and what no planted
 * configuration can turn to another place. */
#include "director/push.h"
#include "tests/github/standins.h"

#include "common/alloc.h"
#include "common/cmd.h"
#include "common/fd.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/testrepo.h"
#include "tests/helper/lib/tmp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct standins s;
static struct testrepo *repo;
static struct push push;
static struct err e;
static char *bare, *url, *dir;

static char *
there(const char *ref)
{
	return testrepo_git(repo, bare, "rev-parse", "--verify", "-q", ref, NULL);
}

/* A commit on top of the branch that is checked out. */
static char *
commit(const char *name)
{
	testrepo_file(repo, name, name);
	return testrepo_commit(repo, name);
}

static int
set_up(void **state)
{
	(void)state;
	repo = testrepo_new();
	bare = xasprintf("%s/git/octo/hello.git", s.folder);
	url = xasprintf("%s/octo/hello.git", s.git);
	dir = xasprintf("%s/push", s.folder);
	fd_remove_tree(bare);
	fd_mkdirs(bare, 0755);
	testrepo_do(repo, NULL, "init", "-q", "--bare", bare, NULL);
	if (push_open(&push, &repo->git, dir, url, STANDIN_TOKEN, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	push_close(&push);
	assert_int_equal(access(dir, F_OK), -1);
	testrepo_free(repo);
	free(bare);
	free(url);
	free(dir);
	return 0;
}

#define PUSH(outcome, call)                                                                                  \
	do {                                                                                                 \
		enum push_outcome o_ = (call);                                                               \
		if (o_ != (outcome))                                                                         \
			fail_msg("%s: %s: %s", #call, push_outcome_name(o_), e.msg);                         \
	} while (0)

static void
pushes_and_moves_forward(void **state)
{
	char *one = commit("one"), *two = commit("two"), *tip, oid[GIT_OID_HEX];

	(void)state;
	PUSH(PUSH_DONE, push_remote_tip(&push, "cco/25-x", oid, &e));
	assert_string_equal(oid, "");
	PUSH(PUSH_DONE, push_branch(&push, "cco/25-x", one, NULL, &e));
	PUSH(PUSH_DONE, push_branch(&push, "cco/25-x", two, NULL, &e));
	PUSH(PUSH_DONE, push_branch(&push, "cco/25-x", two, NULL, &e));
	tip = there("refs/heads/cco/25-x");
	assert_string_equal(tip, two);
	PUSH(PUSH_DONE, push_delete(&push, "cco/25-x", two, &e));
	PUSH(PUSH_DONE, push_delete(&push, "cco/25-x", two, &e));
	free(tip);
	free(one);
	free(two);
}

/* Somebody pushed to our branch: their commit stays, whatever we have. */
static void
leaves_foreign_work_alone(void **state)
{
	char *one = commit("one"), *ours, *theirs, *tip;

	(void)state;
	PUSH(PUSH_DONE, push_branch(&push, "cco/25-x", one, NULL, &e));
	theirs = testrepo_git(repo, bare, "-c", "user.name=x", "-c", "user.email=x@x.test", "commit-tree",
	    "-p", one, "-m", "theirs", "refs/heads/cco/25-x^{tree}", NULL);
	testrepo_do(repo, bare, "update-ref", "refs/heads/cco/25-x", theirs, NULL);
	ours = commit("ours");
	PUSH(PUSH_FOREIGN, push_branch(&push, "cco/25-x", ours, one, &e));
	assert_non_null(strstr(e.msg, "remove it there, and resume"));
	PUSH(PUSH_FOREIGN, push_delete(&push, "cco/25-x", one, &e));
	tip = there("refs/heads/cco/25-x");
	assert_string_equal(tip, theirs);
	free(tip);
	free(one);
	free(ours);
	free(theirs);
}

/* What is known to be ours may be replaced: a rebuilt branch of the same run. */
static void
replaces_what_is_its_own(void **state)
{
	char *one = commit("one"), *other, *tip;

	(void)state;
	PUSH(PUSH_DONE, push_branch(&push, "cco/25-x", one, NULL, &e));
	testrepo_do(repo, NULL, "reset", "-q", "--hard", "HEAD^", NULL);
	other = commit("other");
	PUSH(PUSH_FOREIGN, push_branch(&push, "cco/25-x", other, NULL, &e));
	PUSH(PUSH_DONE, push_branch(&push, "cco/25-x", other, one, &e));
	tip = there("refs/heads/cco/25-x");
	assert_string_equal(tip, other);
	free(tip);
	free(one);
	free(other);
}

static void
fetches_what_moved(void **state)
{
	char *one = commit("one"), *two = commit("two"), *tip, oid[GIT_OID_HEX];

	(void)state;
	PUSH(PUSH_DONE, push_fetch(&push, "main", "refs/orch/base", oid, &e));
	assert_string_equal(oid, "");
	PUSH(PUSH_DONE, push_branch(&push, "main", one, NULL, &e));
	tip = testrepo_git(repo, bare, "-c", "user.name=x", "-c", "user.email=x@x.test", "commit-tree", "-p",
	    one, "-m", "moved", "refs/heads/main^{tree}", NULL);
	testrepo_do(repo, bare, "update-ref", "refs/heads/main", tip, NULL);
	PUSH(PUSH_DONE, push_fetch(&push, "main", "refs/orch/base", oid, &e));
	assert_string_equal(oid, tip);
	assert_int_equal(git_is_ancestor(&repo->git, one, oid, &e), 1);
	free(one);
	free(two);
	free(tip);
}

static void
says_what_is_wrong(void **state)
{
	struct push wrong;
	char oid[GIT_OID_HEX], *one = commit("one"), *hook = xasprintf("%s/hooks/pre-receive", bare);
	char *missing = xasprintf("%s/octo/nothing.git", s.git);

	(void)state;
	push_close(&push); /* they share its folder */
	assert_int_equal(push_open(&wrong, &repo->git, dir, url, "sk-test-wrong", NULL, &e), 0);
	PUSH(PUSH_DENIED, push_remote_tip(&wrong, "main", oid, &e));
	assert_null(strstr(e.msg, "sk-test-wrong"));
	push_close(&wrong);
	assert_int_equal(push_open(&wrong, &repo->git, dir, missing, STANDIN_TOKEN, NULL, &e), 0);
	PUSH(PUSH_MISSING, push_remote_tip(&wrong, "main", oid, &e));
	push_close(&wrong);
	assert_int_equal(
	    push_open(&wrong, &repo->git, dir, "http://127.0.0.1:1/x.git", STANDIN_TOKEN, NULL, &e), 0);
	PUSH(PUSH_NETWORK, push_remote_tip(&wrong, "main", oid, &e));
	push_close(&wrong);
	assert_int_equal(push_open(&push, &repo->git, dir, url, STANDIN_TOKEN, NULL, &e), 0);
	tmp_write(bare, "hooks/pre-receive",
	    "#!/bin/sh\necho 'error: GH006: Protected branch update failed for refs/heads/x.'\nexit 1\n");
	PUSH(PUSH_PROTECTED, push_branch(&push, "cco/25-x", one, NULL, &e));
	tmp_write(bare, "hooks/pre-receive",
	    "#!/bin/sh\necho 'refusing to allow a Personal Access Token to create or update workflow "
	    "`.github/workflows/a.yml` without `workflow` scope'\nexit 1\n");
	PUSH(PUSH_WORKFLOW, push_branch(&push, "cco/25-x", one, NULL, &e));
	free(hook);
	free(missing);
	free(one);
}

/* Whatever an agent plants in the user's or the repository's configuration: no hook runs, no helper is asked,
 * and nothing goes elsewhere. */
static void
is_not_turned_aside(void **state)
{
	char *one = commit("one"), *tip, *trap = xasprintf("%s/trap", s.folder),
	     *other = xasprintf("%s/other.git", s.folder);
	char *hooks = xasprintf("%s/hooks", repo->git_dir), *home = tmp_make(),
	     *old = xstrdup(getenv("HOME"));
	char *line = xasprintf("#!/bin/sh\ntouch %s\n", trap), *helper = xasprintf("!touch %s", trap);
	char *key = xasprintf("url.%s.insteadOf", other);

	(void)state;
	testrepo_do(repo, NULL, "init", "-q", "--bare", other, NULL);
	tmp_write(hooks, "pre-push", line);
	testrepo_do(repo, NULL, "config", key, url, NULL);
	testrepo_do(repo, NULL, "config", "core.hooksPath", hooks, NULL);
	testrepo_do(repo, NULL, "config", "credential.helper", helper, NULL);
	testrepo_do(repo, NULL, "config", "core.sshCommand", helper, NULL);
	testrepo_do(repo, NULL, "config", "http.proxy", "http://127.0.0.1:1", NULL);
	tmp_write(home, ".gitconfig",
	    "[http]\n\tproxy = http://127.0.0.1:1\n[url \"/nowhere\"]\n\tinsteadOf = http:\n");
	setenv("HOME", home, 1);
	setenv("GIT_CONFIG_COUNT", "1", 1);
	setenv("GIT_CONFIG_KEY_0", "http.proxy", 1);
	setenv("GIT_CONFIG_VALUE_0", "http://127.0.0.1:1", 1);
	setenv("GIT_ASKPASS", trap, 1);
	PUSH(PUSH_DONE, push_branch(&push, "cco/25-x", one, NULL, &e));
	unsetenv("GIT_CONFIG_COUNT");
	unsetenv("GIT_ASKPASS");
	setenv("HOME", old, 1);
	tip = there("refs/heads/cco/25-x");
	assert_string_equal(tip, one);
	assert_int_equal(access(trap, F_OK), -1);
	tmp_remove(home);
	free(tip);
	free(one);
	free(old);
	free(trap);
	free(other);
	free(hooks);
	free(line);
	free(helper);
	free(key);
}

/* The token is in no file of the repository that git works in. */
static void
keeps_the_token_off_the_disk(void **state)
{
	char *one = commit("one");
	const char *argv[] = {"grep", "-r", "-l", "-a", STANDIN_TOKEN, dir, repo->git_dir, NULL};
	struct cmd_spec spec = {.argv = argv, .out_max = 4096, .err_max = 4096};
	struct cmd_result r;

	(void)state;
	PUSH(PUSH_DONE, push_branch(&push, "cco/25-x", one, NULL, &e));
	assert_int_equal(cmd_run(&repo->loop, &spec, &r, &e), 0);
	assert_string_equal(r.out, "");
	cmd_result_clear(&r);
	free(one);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(pushes_and_moves_forward, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(leaves_foreign_work_alone, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(replaces_what_is_its_own, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(fetches_what_moved, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(says_what_is_wrong, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(is_not_turned_aside, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(keeps_the_token_off_the_disk, set_up, tear_down),
	};
	int rc;

	standins_start(&s);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	standins_stop(&s);
	return rc;
}
