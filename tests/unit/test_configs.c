/* configs: the array is good as a whole or refused with index and field, and no refusal holds a value. */
#include "common/configs.h"

#include "common/alloc.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tmp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define KEY "sk-test-dummy-0123456789"

static int
parse(struct configs *c, const char *text, struct err *e)
{
	return configs_parse(c, "CLAUDE_CONFIGS", text, strlen(text), e);
}

static void
a_good_array_is_taken(void **state)
{
	struct configs c;
	struct err e = {""};

	(void)state;
	assert_int_equal(
	    parse(&c,
		"[{\"name\": \"work\", \"apiKey\": \"" KEY "\", \"model\": \"opus\"},"
		" {\"env\": {\"ANTHROPIC_AUTH_TOKEN\": \"" KEY "\", \"ANTHROPIC_BASE_URL\":"
		" \"https://[::1]:8443/w/7\", \"API_TIMEOUT_MS\": 90000, \"MAX_THINKING_TOKENS\": \"0\"}}]",
		&e),
	    0);
	assert_int_equal(c.count, 2);
	assert_string_equal(c.v[0].name, "work");
	assert_string_equal(c.v[0].env[0], "ANTHROPIC_API_KEY=" KEY);
	assert_string_equal(c.v[0].env[1], "ANTHROPIC_MODEL=opus");
	assert_null(c.v[0].env[2]);
	assert_string_equal(c.v[1].name, "key2");
	assert_string_equal(c.v[1].env[2], "API_TIMEOUT_MS=90000");
	configs_clear(&c);
	configs_clear(&c);
}

static const struct {
	const char *text, *says;
} faults[] = {
    {"", "CLAUDE_CONFIGS: is not valid JSON at line 1"},
    {"[{\"apiKey\": sk-test-dummy-0123}]", "CLAUDE_CONFIGS: is not valid JSON at line 1, column 14"},
    {"{}", "CLAUDE_CONFIGS: must be a JSON array"},
    {"[]", "CLAUDE_CONFIGS: must hold 1 to 64 configurations, not 0"},
    {"[\"sk-test-dummy-0123\"]", "CLAUDE_CONFIGS[0]: must be an object"},
    {"[{\"apikey\": \"" KEY "\"}]", "CLAUDE_CONFIGS[0].apikey: unknown field (did you mean apiKey?)"},
    {"[{\"sk-test-dummy-0123\": 1}]", "CLAUDE_CONFIGS[0]: has a field whose name is no name"},
    {"[{\"apiKey\": \"" KEY "\"}, {\"apiKey\": 5}]", "CLAUDE_CONFIGS[1].apiKey: must be a string"},
    {"[{\"apiKey\": \"sk-1234\"}]", "CLAUDE_CONFIGS[0].apiKey: too short"},
    {"[{\"apiKey\": \"sk-test-dummy 0123\"}]", "CLAUDE_CONFIGS[0].apiKey: not a key"},
    {"[{\"apiKey\": \"sk-test-dummy-0123\\n\"}]", "CLAUDE_CONFIGS[0].apiKey: not a key"},
    {"[{\"name\": \"a b\", \"apiKey\": \"" KEY "\"}]", "CLAUDE_CONFIGS[0].name: must be made of"},
    {"[{\"name\": \"a\", \"apiKey\": \"" KEY "\"}, {\"name\": \"a\", \"apiKey\": \"" KEY "\"}]",
	"CLAUDE_CONFIGS[1].name: is the name of CLAUDE_CONFIGS[0] too"},
    {"[{\"model\": \"opus\"}]", "CLAUDE_CONFIGS[0]: holds no key"},
    {"[{\"env\": []}]", "CLAUDE_CONFIGS[0].env: must be an object"},
    {"[{\"apiKey\": \"" KEY "\", \"env\": {\"ANTHROPIC_BASE_URL\": \"sk-test-dummy-0123\"}}]",
	"CLAUDE_CONFIGS[0].env.ANTHROPIC_BASE_URL: not a URL"},
    {"[{\"apiKey\": \"" KEY "\", \"env\": {\"ANTHROPIC_BASE_URL\": \"https://u:sk-test-dummy@h/\"}}]",
	"CLAUDE_CONFIGS[0].env.ANTHROPIC_BASE_URL: must not hold a user"},
    {"[{\"apiKey\": \"" KEY "\", \"env\": {\"ANTHROPIC_BASE_URL\": \"http://h:99999\"}}]",
	"env.ANTHROPIC_BASE_URL: not a URL: its port"},
    {"[{\"apiKey\": \"" KEY "\", \"env\": {\"ANTHROPIC_BASE_URL\": \"http://:80/\"}}]",
	"env.ANTHROPIC_BASE_URL: not a URL"},
    {"[{\"apiKey\": \"" KEY "\", \"env\": {\"ANTHROPIC_BASE_URL\": \"http://h?k=1\"}}]",
	"env.ANTHROPIC_BASE_URL: not a URL"},
    {"[{\"apiKey\": \"" KEY "\", \"env\": {\"API_TIMEOUT_MS\": \"5s\"}}]",
	"CLAUDE_CONFIGS[0].env.API_TIMEOUT_MS: must be a whole number"},
    {"[{\"apiKey\": \"" KEY "\", \"env\": {\"API_TIMEOUT_MS\": -1}}]", "env.API_TIMEOUT_MS: must be"},
    {"[{\"apiKey\": \"" KEY "\", \"env\": {\"X\": true}}]", "CLAUDE_CONFIGS[0].env.X: must be a string"},
    {"[{\"apiKey\": \"" KEY "\", \"env\": {\"LD_PRELOAD\": \"x\"}}]", "env.LD_PRELOAD: cannot be set here"},
    {"[{\"apiKey\": \"" KEY "\", \"env\": {\"ORCH_X\": \"x\"}}]", "env.ORCH_X: cannot be set here"},
    {"[{\"apiKey\": \"" KEY "\", \"env\": {\"ANTHROPIC_API_KEY\": \"sk-test-dummy-other\"}}]",
	"CLAUDE_CONFIGS[0].apiKey: differs from env.ANTHROPIC_API_KEY"},
    {"[{\"apiKey\": \"" KEY "\", \"apiKey\": \"" KEY "\"}]", "CLAUDE_CONFIGS: is not valid JSON"},
};

static void
every_fault_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct configs c;
		struct err e = {""};

		assert_int_equal(parse(&c, faults[i].text, &e), -EINVAL);
		if (strstr(e.msg, faults[i].says) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", e.msg, faults[i].says);
		assert_null(strstr(e.msg, "sk-"));
		assert_null(c.v);
	}
}

static void
it_is_bounded(void **state)
{
	char *big = xmalloc(CONFIGS_BYTES_MAX + 2);
	struct configs c;
	struct err e = {""};
	size_t n = 1;

	(void)state;
	memset(big, ' ', CONFIGS_BYTES_MAX + 1);
	big[CONFIGS_BYTES_MAX + 1] = '\0';
	assert_int_equal(parse(&c, big, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "at most 64 KiB"));
	big[0] = '[';
	for (int i = 0; i < 65; i++)
		n += (size_t)sprintf(big + n, "%s{\"apiKey\":\"" KEY "\"}", i == 0 ? "" : ",");
	strcpy(big + n, "]");
	assert_int_equal(parse(&c, big, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "not 65"));
	free(big);
}

static void
names_tell_secrets(void **state)
{
	(void)state;
	assert_true(configs_is_secret("ANTHROPIC_API_KEY", 17));
	assert_true(configs_is_secret("AWS_BEARER_TOKEN_BEDROCK", 24));
	assert_true(configs_is_secret("ANTHROPIC_CUSTOM_HEADERS", 24));
	assert_true(configs_is_secret("my_secret", 9));
	assert_false(configs_is_secret("CLAUDE_CODE_MAX_OUTPUT_TOKENS", 29));
	assert_false(configs_is_secret("ANTHROPIC_BASE_URL", 18));
	assert_false(configs_is_secret("KEYBOARD", 8));
	assert_true(configs_travels_by_message("ANTHROPIC_BASE_URL=x"));
	assert_false(configs_travels_by_message("ANTHROPIC_BASE_URLS=x"));
}

static void
a_file_is_for_its_owner(void **state)
{
	char *dir = tmp_make(), *path = tmp_path(dir, "keys.json"), *text = NULL;
	struct err e = {""};
	size_t size = 0;

	(void)state;
	tmp_write(dir, "keys.json", "[{\"apiKey\": \"" KEY "\"}]");
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(configs_read_file(path, &text, &size, &e), -EPERM);
	assert_non_null(strstr(e.msg, "can be read by others (mode 640): chmod 600"));
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(configs_read_file(path, &text, &size, &e), 0);
	assert_int_equal(size, strlen(text));
	configs_wipe_free(text);
	assert_int_equal(configs_read_file(dir, &text, &size, &e), -EINVAL);
	assert_int_equal(configs_read_file("/nonexistent/keys", &text, &size, &e), -ENOENT);
	free(path);
	tmp_remove(dir);
}

static void
a_persons_own_key_is_a_configuration(void **state)
{
	struct configs c;
	struct err e = {""};
	char *text = NULL;

	(void)state;
	unsetenv("CLAUDE_CONFIGS");
	unsetenv("ANTHROPIC_API_KEY");
	unsetenv("ANTHROPIC_AUTH_TOKEN");
	setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1", 1);
	configs_from_env(&text);
	assert_null(text); /* an address alone logs nobody in */
	setenv("ANTHROPIC_API_KEY", KEY, 1);
	configs_from_env(&text);
	assert_int_equal(parse(&c, text, &e), 0);
	assert_string_equal(c.v[0].name, "environment");
	assert_string_equal(c.v[0].env[0], "ANTHROPIC_API_KEY=" KEY);
	assert_string_equal(c.v[0].env[1], "ANTHROPIC_BASE_URL=http://127.0.0.1:1");
	configs_clear(&c);
	configs_wipe_free(text);
	setenv("CLAUDE_CONFIGS", "[1]", 1);
	configs_from_env(&text);
	assert_string_equal(text, "[1]");
	configs_wipe_free(text);
}

static void
collect(void *arg, const char *name, const char *value)
{
	char *out = arg;

	strcat(out, name);
	strcat(out, "=");
	strcat(out, value);
	strcat(out, ";");
}

static void
secrets_are_told_apart(void **state)
{
	char got[256] = "", *json, **env = NULL;
	struct configs c;
	struct err e = {""};

	(void)state;
	assert_int_equal(parse(&c,
			     "[{\"apiKey\":\"" KEY "\",\"env\":{\"MY_TOKEN\":\"short\",\"A_SECRET\":"
			     "\"long enough\",\"B\":\"not one at all\"}}]",
			     &e),
	    0);
	configs_each_secret(&c.v[0], collect, got);
	assert_string_equal(got, "key1=long enough;key1=" KEY ";");
	json = configs_env_json(&c.v[0]);
	assert_int_equal(configs_env_parse(json, &env, &e), 0);
	for (size_t i = 0; c.v[0].env[i] != NULL; i++)
		assert_string_equal(env[i], c.v[0].env[i]);
	configs_wipe_free(json);
	configs_wipe_strv(env);
	assert_int_equal(configs_env_parse("[sk-test-dummy]", &env, &e), -EINVAL);
	assert_null(strstr(e.msg, "sk-"));
	configs_clear(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_good_array_is_taken),
	    cmocka_unit_test(every_fault_is_named),
	    cmocka_unit_test(it_is_bounded),
	    cmocka_unit_test(names_tell_secrets),
	    cmocka_unit_test(a_file_is_for_its_owner),
	    cmocka_unit_test(a_persons_own_key_is_a_configuration),
	    cmocka_unit_test(secrets_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
