/*
 * An agent's own pushes and gh are off: whatever login the user, the caller's environment or the checkout of
 * a workflow has, none reaches an agent, and its push ends with a sentence that says what becomes of the
 * work.
 */
#include "common/alloc.h"
#include "common/fd.h"
#include "tests/helper/lib/githubrun.h"
#include "tests/helper/lib/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET "sk-test-dummy-of-the-user"
#define SENTENCE                                                                                             \
	"orch: agents do not push. What is left in the worktree is committed, checked, merged and pushed "   \
	"by orch."

static const char *const lent[] = {
    "GIT_ASKPASS", "SSH_ASKPASS", "SSH_AUTH_SOCK", "GH_CONFIG_DIR", "GH_TOKEN", "GITHUB_SERVER_URL"};

/* A program below root/bin that says the secret, as whoever asks a helper expects it. */
static char *
write_program(struct e2e *e, const char *name, const char *text)
{
	char *at = xasprintf("bin/%s", name), *path = testrepo_path(e->repo, "bin/%s", name);

	testrepo_write(e->repo, at, text);
	assert_int_equal(chmod(path, 0755), 0);
	free(at);
	return path;
}

/* Everything that could give a push a login. */
static void
lend_logins(struct e2e *e)
{
	char *helper = write_program(
	    e, "helper", "#!/bin/sh\necho username=x-access-token; echo password=" FAKEGITHUB_TOKEN "\n");
	char *askpass = write_program(e, "askpass", "#!/bin/sh\necho " FAKEGITHUB_TOKEN "\n");
	char *gh = write_program(e, "gh",
	    "#!/bin/sh\necho \"$GH_TOKEN$GITHUB_TOKEN\"; cat "
	    "\"${GH_CONFIG_DIR:-$HOME/.config/gh}/hosts.yml\"\n");
	char *config = testrepo_path(e->repo, "home/.config/gh");
	char *url = xasprintf("http://127.0.0.1:%u/octo/hello.git", hub.port);
	char *server = xasprintf("http://127.0.0.1:%u", hub.port);
	char *key = xasprintf("http.%s/.extraheader", server);

	/* There a checkout with such a header is refused. */
	unsetenv("GITHUB_ACTIONS");
	unsetenv("CI");
	testrepo_write(e->repo, "home/.config/gh/hosts.yml", "oauth_token: " SECRET "\n");
	testrepo_do(e->repo, NULL, "config", "--global", "credential.helper", helper, NULL);
	testrepo_do(e->repo, NULL, "config", "credential.helper", helper, NULL);
	testrepo_do(e->repo, NULL, "config", "core.askPass", askpass, NULL);
	testrepo_do(e->repo, NULL, "config", key,
	    "AUTHORIZATION: Basic eC1hY2Nlc3MtdG9rZW46c2stdGVzdC1kdW1teS1naXRodWI=", NULL);
	testrepo_do(e->repo, NULL, "remote", "add", "origin", url, NULL);
	/* They are good: the user can push. */
	testrepo_do(e->repo, NULL, "push", "-q", "origin", "HEAD:refs/heads/by-user", NULL);
	setenv("GIT_ASKPASS", askpass, 1);
	setenv("SSH_ASKPASS", askpass, 1);
	setenv("SSH_AUTH_SOCK", "/nowhere/" SECRET, 1);
	setenv("GH_CONFIG_DIR", config, 1);
	setenv("GH_TOKEN", SECRET, 1);
	setenv("GITHUB_SERVER_URL", server, 1);
	free(helper);
	free(askpass);
	free(gh);
	free(config);
	free(url);
	free(server);
	free(key);
}

static int
tear_down(void **state)
{
	for (size_t i = 0; i < sizeof(lent) / sizeof(lent[0]); i++)
		unsetenv(lent[i]);
	return githubrun_teardown(state);
}

/* A file that the agent left in the script folder. */
static char *
said(struct e2e *e, const char *name)
{
	char *path = xasprintf("%s/%s", e->scripts, name), *text = NULL;

	if (fd_read_file(path, 1 << 20, &text, NULL) < 0)
		fail_msg("the agent left no %s", name);
	free(path);
	return text;
}

static void
assert_without_login(struct e2e *e, const char *name)
{
	char *text = said(e, name);

	if (strstr(text, SECRET) != NULL || strstr(text, FAKEGITHUB_TOKEN) != NULL ||
	    strstr(text, "/askpass") != NULL)
		fail_msg("%s has a login in it: %s", name, text);
	free(text);
}

static size_t
count(const char *text, const char *words)
{
	size_t n = 0;

	while ((text = strstr(text, words)) != NULL) {
		text += strlen(words);
		n++;
	}
	return n;
}

/* A push to each kind of address; one into a folder is a test's of the project, and works. */
#define TRY                                                                                                  \
	"run cd \"$PWD\"; S=$ORCH_AGENT_SCRIPTS; { git push origin HEAD:refs/heads/by-agent; "               \
	"git push -f ssh://git@127.0.0.1:1/octo/hello HEAD:x; git push git@127.0.0.1:octo/hello HEAD:x; "    \
	"git push https://127.0.0.1:1/octo/hello.git HEAD:x; } >$S/push 2>&1; "                              \
	"git init -q --bare $TMPDIR/bare && git push -q $TMPDIR/bare HEAD:refs/heads/x && touch $S/folder; " \
	"env >$S/env; { gh auth token; git config --get-all http.extraheader; "                              \
	"printf 'protocol=http\\nhost=127.0.0.1\\n\\n' | git credential fill; } >$S/login 2>&1; true\n"

static void
test_an_agent_has_no_login(void **state)
{
	struct e2e *e = *state;
	char *text, *ref;

	githubrun_serve_git(e);
	lend_logins(e);
	e2e_work(e, "a.one", TRY);
	githubrun_begin(e, NULL);
	e2e_await(e, "25", "state", "complete");
	githubrun_assert_end("### orch: complete", "orch:complete");
	githubrun_assert_pull(e);
	text = said(e, "push");
	if (count(text, SENTENCE) != 4)
		fail_msg("four pushes said: %s", text);
	free(text);
	ref = fakegithub_git(&hub, "rev-parse", "-q", "--verify", "refs/heads/by-agent", NULL);
	assert_null(ref);
	assert_true(e2e_has_file(e, "folder"));
	assert_without_login(e, "env");
	assert_without_login(e, "login");
	text = said(e, "env");
	assert_null(strstr(text, "SSH_AUTH_SOCK="));
	assert_null(strstr(text, "GH_CONFIG_DIR="));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_an_agent_has_no_login, githubrun_setup, tear_down),
	};

	return cmocka_run_group_tests_name("test_run_no_push", tests, NULL, NULL);
}
