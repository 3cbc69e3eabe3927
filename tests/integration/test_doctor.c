/* orchctl doctor on keys, endpoints and the agent: what it says, its exit code, and that no key comes out. */
#include "common/alloc.h"
#include "common/fd.h"
#include "tests/helper/lib/ctlrun.h"
#include "tests/helper/lib/test.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY "sk-test-dummy-0123456789"

static struct testrepo *repo;

static int
setup(void **state)
{
	(void)state;
	ctlrun_scrub_environment();
	repo = testrepo_new();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	testrepo_free(repo);
	return 0;
}

/* Runs doctor --json with two more arguments (or NULL); its checks, json_decref. */
static json_t *
doctor(int status, const char *option, const char *value)
{
	const char *argv[] = {
	    "doctor", "--json", "--agent", ORCH_BIN_DIR "/orch-test-agent", option, value, NULL};
	json_t *all, *checks;
	struct ctlrun r;

	ctlrun_program(&r, repo, ORCH_BIN_DIR "/orchctl", repo->top, false, argv, NULL, NULL);
	ctlrun_wait(&r);
	if (r.status != status)
		fail_msg("exit %d, not %d: %s%s", r.status, status, r.out, r.err);
	assert_null(strstr(r.out, "sk-"));
	assert_null(strstr(r.err, "sk-"));
	all = json_loads(r.out, 0, NULL);
	checks = json_incref(json_object_get(all, "checks"));
	json_decref(all);
	ctlrun_clear(&r);
	return checks;
}

static void
assert_check(json_t *checks, const char *name, const char *level, const char *words)
{
	json_t *one;
	size_t i;

	json_array_foreach(checks, i, one)
	{
		const char *text = json_string_value(json_object_get(one, "text"));

		if (strcmp(json_string_value(json_object_get(one, "name")), name) != 0)
			continue;
		if (strcmp(json_string_value(json_object_get(one, "level")), level) == 0 &&
		    strstr(text, words) != NULL)
			return;
		fail_msg("%s: %s, not %s with \"%s\"", name, text, level, words);
	}
	fail_msg("there is no line %s", name);
}

/* A port of ours that nobody listens on: connections are refused for as long as it is bound. */
static int
closed_port(int *fd)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);

	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(getsockname(*fd, (struct sockaddr *)&a, &n), 0);
	return ntohs(a.sin_port);
}

static void
test_endpoint_of_a_key(void **state)
{
	char *path = xasprintf("%s/keys.json", repo->root), *text;
	int fd, port = closed_port(&fd);
	json_t *checks;

	(void)state;
	text = xasprintf("[{\"name\": \"work\", \"apiKey\": \"" KEY
			 "\", \"env\": {\"ANTHROPIC_BASE_URL\": \"http://127.0.0.1:%d/sk-path\"}}]",
	    port);
	assert_int_equal(fd_write_file(path, text, strlen(text), 0600), 0);
	checks = doctor(1, "--keys", path);
	assert_check(checks, "keys", "ok", "1 configuration from ");
	assert_check(checks, "endpoint", "error", "work: ");
	json_decref(checks);
	assert_int_equal(chmod(path, 0644), 0);
	checks = doctor(1, "--keys", path);
	assert_check(checks, "keys", "error", "can be read by others (mode 644)");
	json_decref(checks);
	close(fd);
	free(text);
	free(path);
}

static void
test_faults_have_a_place(void **state)
{
	json_t *checks;

	(void)state;
	setenv("CLAUDE_CONFIGS",
	    "[{\"apiKey\": \"" KEY "\", \"env\": {\"ANTHROPIC_BASE_URL\": \"" KEY "\"}}]", 1);
	checks = doctor(1, NULL, NULL);
	assert_check(checks, "keys", "error", "CLAUDE_CONFIGS[0].env.ANTHROPIC_BASE_URL: not a URL");
	json_decref(checks);
	unsetenv("CLAUDE_CONFIGS");
}

static void
test_agent_and_machine(void **state)
{
	json_t *checks;

	(void)state;
	setenv("HTTPS_PROXY", "http://127.0.0.1:1", 1); /* the endpoint must not be somebody's real one */
	checks = doctor(0, NULL, NULL);
	assert_check(checks, "agent", "ok", "version 2.1.330");
	assert_check(checks, "keys", "ok", "none given: agents use your own login");
	assert_check(checks, "endpoint", "warning", "your own login: ");
	assert_check(checks, "pidfd", "ok", "");
	assert_check(checks, "trees", "ok", "agents' processes are kept by ");
	json_decref(checks);
	unsetenv("HTTPS_PROXY");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_endpoint_of_a_key, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_faults_have_a_place, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_agent_and_machine, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
