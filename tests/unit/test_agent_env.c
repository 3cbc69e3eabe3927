/* agent_env: what an agent or a gate gets to see of our environment, and what it never does. */
#include "common/agent.h"

#include "common/alloc.h"
#include "common/conf.h"
#include "common/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The value of name; fails when it is there twice. */
static const char *
value_of(char *const *env, const char *name)
{
	const char *value = NULL;
	size_t n = strlen(name);

	for (size_t i = 0; env[i] != NULL; i++) {
		if (strncmp(env[i], name, n) != 0 || env[i][n] != '=')
			continue;
		assert_null(value);
		value = env[i] + n + 1;
	}
	return value;
}

static int
setup(void **state)
{
	(void)state;
	clearenv();
	setenv("PATH", "/opt/bin:/bin", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	setenv("https_proxy", "http://proxy.invalid:3128", 1);
	setenv("SSL_CERT_FILE", "/etc/ssl/own.pem", 1);
	setenv("ORCH_AGENT_SCRIPTS", "/scripts", 1);
	setenv("ORCH_INSTANCE", "i-1", 1);
	setenv("ORCH_TASK", "25/em1", 1);
	setenv("ORCH_STATE_DIR", "/state", 1);
	setenv("ORCH_AGENT", "claude", 1);
	setenv("ORCH_TASKS", "x", 1);
	setenv("GITHUB_TOKEN", "sk-test-dummy", 1);
	setenv("GH_TOKEN", "sk-test-dummy", 1);
	setenv("CLAUDE_CONFIGS", "sk-test-dummy", 1);
	setenv("CLAUDECODE", "1", 1);
	setenv("CLAUDE_CODE_SESSION_ID", "theirs", 1);
	setenv("ANTHROPIC_BASE_URL", "http://elsewhere.invalid", 1);
	setenv("LD_PRELOAD", "x.so", 1);
	setenv("HOME", "/root", 1);
	setenv("TMPDIR", "/var/tmp", 1);
	setenv("GIT_DIR", "/elsewhere", 1);
	return 0;
}

static void
test_inherited(void **state)
{
	static const char *const hidden[] = {"ORCH_STATE_DIR", "ORCH_AGENT", "ORCH_TASKS", "GITHUB_TOKEN",
	    "GH_TOKEN", "CLAUDE_CONFIGS", "CLAUDECODE", "CLAUDE_CODE_SESSION_ID", "ANTHROPIC_BASE_URL",
	    "LD_PRELOAD", "HOME", "TMPDIR", "GIT_DIR", "API_TIMEOUT_MS"};
	struct conf c;
	char **env;

	(void)state;
	conf_init(&c);
	env = agent_env(&c, "/state/wt", NULL, NULL);
	assert_string_equal(value_of(env, "PATH"), "/opt/bin:/bin");
	assert_string_equal(value_of(env, "LC_ALL"), "C.UTF-8");
	assert_string_equal(value_of(env, "https_proxy"), "http://proxy.invalid:3128");
	assert_string_equal(value_of(env, "SSL_CERT_FILE"), "/etc/ssl/own.pem");
	assert_string_equal(value_of(env, "ORCH_AGENT_SCRIPTS"), "/scripts");
	assert_string_equal(value_of(env, "ORCH_INSTANCE"), "i-1");
	assert_string_equal(value_of(env, "ORCH_TASK"), "25/em1");
	assert_string_equal(value_of(env, "GIT_CEILING_DIRECTORIES"), "/state/wt");
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		assert_null(value_of(env, hidden[i]));
	strv_free(env);
	conf_clear(&c);
}

static void
test_strength(void **state)
{
	static const char *const extra[] = {"ORCH_TASK=25/em1/w2", "ORCH_ROLE=worker",
	    "ORCH_TASK_KEY=core.parser", "ANTHROPIC_API_KEY=sk-test-dummy", "GH_TOKEN=sk-test-dummy", "WORD",
	    "=x", NULL};
	struct conf c;
	char **env;

	(void)state;
	conf_init(&c);
	c.agent_env = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "ANTHROPIC_API_KEY", "sk-test-dummy-2", "EMPTY",
	    "", "GITHUB_TOKEN", "sk-test-dummy", "ORCH_STATE_DIR", "/x", "ORCH_AGENT_X", "1", "HOME", "/x");
	env = agent_env(&c, "/c", extra, NULL);
	assert_string_equal(value_of(env, "ORCH_TASK"), "25/em1/w2");
	assert_string_equal(value_of(env, "ORCH_ROLE"), "worker");
	assert_string_equal(value_of(env, "ORCH_TASK_KEY"), "core.parser");
	assert_string_equal(value_of(env, "ANTHROPIC_API_KEY"), "sk-test-dummy-2");
	assert_string_equal(value_of(env, "EMPTY"), "");
	assert_string_equal(value_of(env, "ORCH_AGENT_X"), "1");
	assert_null(value_of(env, "GITHUB_TOKEN"));
	assert_null(value_of(env, "GH_TOKEN"));
	assert_null(value_of(env, "ORCH_STATE_DIR"));
	assert_null(value_of(env, "HOME"));
	for (size_t i = 0; env[i] != NULL; i++)
		assert_true(strchr(env[i], '=') > env[i]);
	strv_free(env);
	conf_clear(&c);
}

/* They win over all else, and nothing that a repository's own settings say tells where they go. */
static void
test_keys(void **state)
{
	static const char *const keys[] = {"ANTHROPIC_API_KEY=sk-test-dummy-3", "API_TIMEOUT_MS=5",
	    "GITHUB_TOKEN=sk-test-dummy", "LD_X=1", NULL};
	struct conf c;
	char **env;

	(void)state;
	conf_init(&c);
	c.agent_env = json_pack("{s:s,s:s,s:s}", "ANTHROPIC_BASE_URL", "http://evil.invalid",
	    "ANTHROPIC_CUSTOM_HEADERS", "X: 1", "FREE", "1");
	env = agent_env(&c, "/c", NULL, keys);
	assert_string_equal(value_of(env, "ANTHROPIC_API_KEY"), "sk-test-dummy-3");
	assert_string_equal(value_of(env, "API_TIMEOUT_MS"), "5");
	assert_string_equal(value_of(env, "FREE"), "1");
	assert_null(value_of(env, "ANTHROPIC_BASE_URL"));
	assert_null(value_of(env, "ANTHROPIC_CUSTOM_HEADERS"));
	assert_null(value_of(env, "GITHUB_TOKEN"));
	strv_free(env);
	env = agent_env(&c, "/c", NULL, NULL); /* without keys it is the user's own affair */
	assert_string_equal(value_of(env, "ANTHROPIC_BASE_URL"), "http://evil.invalid");
	strv_free(env);
	conf_clear(&c);
}

static void
test_no_path(void **state)
{
	struct conf c;
	char **env;

	(void)state;
	unsetenv("PATH");
	conf_init(&c);
	env = agent_env(&c, NULL, NULL, NULL);
	assert_non_null(value_of(env, "PATH"));
	assert_null(value_of(env, "GIT_CEILING_DIRECTORIES"));
	strv_free(env);
	conf_clear(&c);
}

static void
test_check(void **state)
{
	struct err e = {""};

	(void)state;
	setenv("PATH", "/bin", 1);
	assert_int_equal(agent_check("sh", &e), 0);
	assert_int_equal(agent_check("no-such-agent", &e), -ENOENT);
	assert_non_null(strstr(e.msg, "no-such-agent"));
	assert_non_null(strstr(e.msg, "--agent"));
	assert_int_equal(agent_check("/dev/null", &e), -EACCES);
	assert_int_equal(agent_check("", &e), -ENOENT);
}

static void
test_session(void **state)
{
	char a[37], b[37];

	(void)state;
	agent_new_session(a);
	agent_new_session(b);
	assert_int_equal(strlen(a), 36);
	assert_string_not_equal(a, b);
	for (size_t i = 0; i < 36; i++)
		assert_true(i == 8 || i == 13 || i == 18 || i == 23
				? a[i] == '-'
				: strchr("0123456789abcdef", a[i]) != NULL);
	assert_int_equal(a[14], '4');
	assert_non_null(strchr("89ab", a[19]));
}

/* Stable for one home, another for another, and short: a socket has to fit below it. */
static void
test_tmpdir(void **state)
{
	char *one, *same, *other, *plain;

	(void)state;
	setenv("TMPDIR", "/var/tmp", 1);
	one = agent_tmpdir("/state/home/25-em1-w1");
	same = agent_tmpdir("/state/home/25-em1-w1");
	other = agent_tmpdir("/state/home/25-em1-w2");
	assert_string_equal(one, same);
	assert_string_not_equal(one, other);
	assert_int_equal(strncmp(one, "/var/tmp/orch-", 14), 0);
	setenv("TMPDIR", "/a/folder/with/such/a/long/name/that/no/socket/fits/below/it", 1);
	plain = agent_tmpdir("/state/home/25-em1-w1");
	assert_int_equal(strncmp(plain, "/tmp/orch-", 10), 0);
	free(one);
	free(same);
	free(other);
	free(plain);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_inherited, setup),
	    cmocka_unit_test_setup(test_strength, setup),
	    cmocka_unit_test_setup(test_keys, setup),
	    cmocka_unit_test_setup(test_no_path, setup),
	    cmocka_unit_test_setup(test_check, setup),
	    cmocka_unit_test_setup(test_session, setup),
	    cmocka_unit_test_setup(test_tmpdir, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
