/* conf: three sources, one table; every refusal is one sentence with the name that the user gave. */
#include "common/conf.h"
#include "common/conf_check.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "common/json.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tmp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int
from_file(struct conf *c, const char *text, struct err *e)
{
	return conf_from_file(c, "orchestrator.json", text, strlen(text), e);
}

static void
defaults_are_the_tables(void **state)
{
	struct conf c;

	(void)state;
	conf_init(&c);
	assert_int_equal(c.max_ems, 3);
	assert_int_equal(c.max_workers_per_em, 3);
	assert_string_equal(c.agent, "claude");
	assert_string_equal(c.log, "info");
	assert_int_equal(c.linger_ms, 60000);
	assert_null(c.verify);
	assert_null(c.base);
	conf_clear(&c);
}

static void
file_is_read(void **state)
{
	struct conf c;
	struct err e = {""};
	int rc;

	(void)state;
	conf_init(&c);
	rc = from_file(&c,
	    "{\"max_ems\": 64, \"agent\": \"./a\", \"verify\": [\"make\", \"test\"], \"agent_timeout_s\": "
	    "12.5, "
	    "\"gate_timeout_s\": 7, \"api_timeout_ms\": 1500, \"agent_env\": {\"FOO\": \"\", "
	    "\"ORCH_AGENT_X\": \"y\"}}",
	    &e);
	assert_int_equal(rc, 0);
	assert_int_equal(c.max_ems, 64);
	assert_string_equal(c.agent, "./a");
	assert_int_equal(json_array_size(c.verify), 2);
	assert_int_equal(c.agent_timeout_ms, 12500);
	assert_int_equal(c.gate_timeout_ms, 7000);
	assert_int_equal(c.api_timeout_ms, 1500);
	assert_string_equal(json_str(c.agent_env, "ORCH_AGENT_X"), "y");
	conf_clear(&c);
}

static const struct {
	const char *text, *sentence;
} file_faults[] = {
    {"{\n  \"max_ems\": 3,\n}", "line 3, column 1: string or '}' expected near '}'"},
    {"{\"max_em\": 3}", "unknown key \"max_em\" (did you mean \"max_ems\"?)"},
    {"{\"MAX_EMS\": 3}", "unknown key \"MAX_EMS\" (did you mean \"max_ems\"?)"},
    {"{\"zebra\": 3}", "unknown key \"zebra\""},
    {"{\"ze\\n\\u001b[1mbra\": 3}", "unknown key \"ze bra\""},
    {"{\"GITHUB_TOKEN\": \"sk-test-dummy\"}", "GITHUB_TOKEN is a secret and does not belong in a file of the "
					      "repository: set it in the environment"},
    {"[]", "must hold one JSON object"},
    {"{\"max_ems\": 0}", "max_ems must be a whole number from 1 to 64, not 0"},
    {"{\"max_ems\": 65}", "max_ems must be a whole number from 1 to 64, not 65"},
    {"{\"max_ems\": -1}", "max_ems must be a whole number from 1 to 64, not -1"},
    {"{\"max_ems\": \"3\"}", "max_ems must be a whole number from 1 to 64, not \"3\""},
    {"{\"max_ems\": 3.0}", "max_ems must be a whole number from 1 to 64, not 3.0"},
    {"{\"max_ems\": null}", "max_ems must be a whole number from 1 to 64, not null"},
    {"{\"gate_timeout_s\": 0}", "gate_timeout_s must be a number of seconds from 0.1 to 604800, not 0"},
    {"{\"gate_timeout_s\": 1e30}", "gate_timeout_s must be a number of seconds from 0.1 to 604800, not 1e30"},
    {"{\"agent_args\": [\"--output-format=text\"]}",
	"agent_args must not hold --output-format=text: orch sets it itself, or has an option for it"},
    {"{\"agent_args_em\": \"-x\"}", "agent_args_em must be an array of strings"},
    {"{\"max_usd\": -1}", "max_usd must be a number of USD from 0 to 1000000, not -1"},
    {"{\"api_timeout_ms\": 0.5}",
	"api_timeout_ms must be a whole number of milliseconds from 0 to 604800000, not 0.5"},
    {"{\"agent\": 1}", "agent must be a string"},
    {"{\"agent\": \" \"}", "agent must not be empty"},
    {"{\"base\": \"a\\nb\"}", "base must be one line of UTF-8 text"},
    {"{\"log\": \"loud\"}", "log must be error, warn, info or debug, not \"loud\""},
    {"{\"verify\": []}", "verify must not be empty"},
    {"{\"verify\": \"\"}", "verify must not be empty"},
    {"{\"verify\": [\"\"]}", "verify must not be empty"},
    {"{\"verify\": [\"a\", 1]}", "verify must be a string or an array of strings"},
    {"{\"verify\": true}", "verify must be a string or an array of strings"},
    {"{\"prices\": 3}", "prices: lacks its \"date\", as 2026-11-22"},
    {"{\"prices\": {\"date\": \"2026-12-24\"}}", "prices: \"models\" must be an object of models"},
    {"{\"prices\": {\"date\": \"2026-12-24\", \"models\": {\"glm\": {\"input\": 1}}}}",
	"prices: models.glm: input and output must be there, and all prices numbers from 0 to 1000000"},
    {"{\"agent_env\": []}", "agent_env must be an object of strings"},
    {"{\"agent_env\": {\"A\": 1}}", "agent_env: the value of A must be a string"},
    {"{\"agent_env\": {\"1A\": \"\"}}", "agent_env: \"1A\" is not a variable's name"},
    {"{\"agent_env\": {\"\": \"\"}}", "agent_env: \"\" is not a variable's name"},
    {"{\"agent_env\": {\"A=B\": \"\"}}", "agent_env: \"A=B\" is not a variable's name"},
    {"{\"agent_env\": {\"ORCH_TOKEN\": \"\"}}",
	"agent_env: ORCH_TOKEN is orch's own; only names that begin with ORCH_AGENT_ are free"},
    {"{\"agent_env\": {\"ANTHROPIC_API_KEY\": \"sk-test-dummy\"}}",
	"agent_env: ANTHROPIC_API_KEY is a secret, and options are kept on disk: set it in orch's own "
	"environment"},
};

/* In the file it is the table itself, in a flag the name of a file; it travels with the frozen options. */
static void
test_prices(void **state)
{
	static const char table[] =
	    "{\"date\":\"2026-12-24\",\"models\":{\"glm\":{\"input\":1,\"output\":2}}}";
	char *dir = tmp_make(), *path = tmp_path(dir, "prices"), *text = xasprintf("{\"prices\": %s}", table);
	char flag[] = "--prices", *argv[] = {flag, path}, *want;
	struct err e = {""};
	struct conf c, d;
	int i = 0;

	(void)state;
	conf_init(&c);
	conf_init(&d);
	assert_int_equal(from_file(&c, text, &e), 0);
	assert_string_equal(json_string_value(json_object_get(c.prices, "date")), "2026-12-24");
	conf_clear(&c);
	conf_init(&c);
	assert_int_equal(conf_from_flag(&c, 2, argv, &i, &e), -EINVAL);
	want = xasprintf("--prices: cannot read %s: No such file or directory", path);
	assert_string_equal(e.msg, want);
	free(want);
	assert_int_equal(fd_write_file(path, "{]", 2, 0600), 0);
	i = 0;
	assert_int_equal(conf_from_flag(&c, 2, argv, &i, &e), -EINVAL);
	want = xasprintf("--prices: %s: line 1, ", path);
	assert_ptr_equal(strstr(e.msg, want), e.msg);
	free(want);
	assert_int_equal(fd_write_file(path, table, strlen(table), 0600), 0);
	i = 0;
	assert_int_equal(conf_from_flag(&c, 2, argv, &i, &e), 1);
	want = conf_freeze(&c);
	assert_int_equal(conf_thaw(&d, want, &e), 0);
	assert_true(json_equal(c.prices, d.prices));
	free(want);
	free(text);
	free(path);
	tmp_remove(dir);
	conf_clear(&c);
	conf_clear(&d);
}

static void
file_faults_are_sentences(void **state)
{
	struct conf c;

	(void)state;
	conf_init(&c);
	for (size_t i = 0; i < sizeof(file_faults) / sizeof(file_faults[0]); i++) {
		char *want = xasprintf("orchestrator.json: %s", file_faults[i].sentence);
		struct err e = {""};

		assert_int_equal(from_file(&c, file_faults[i].text, &e), -EINVAL);
		assert_string_equal(e.msg, want);
		free(want);
	}
	conf_clear(&c);
}

static void
bad_file_changes_nothing(void **state)
{
	struct conf c;

	(void)state;
	conf_init(&c);
	assert_int_equal(
	    from_file(&c, "{\"max_ems\": 9, \"agent\": \"x\", \"log\": \"loud\"}", NULL), -EINVAL);
	assert_int_equal(c.max_ems, 3);
	assert_string_equal(c.agent, "claude");
	conf_clear(&c);
}

static int
give_flag(struct conf *c, const char *flag, const char *value, struct err *e)
{
	char *argv[] = {(char *)flag, (char *)value, NULL};
	int at = 0, rc = conf_from_flag(c, value == NULL ? 1 : 2, argv, &at, e);

	assert_int_equal(at, rc != 1 ? 0 : strchr(flag, '=') != NULL ? 1 : 2);
	return rc;
}

static void
numbers_are_strict(void **state)
{
	static const char *const bad[] = {"abc", "", " 3", "3 ", "+3", "-3", "0x3", "3.0", "3e0", "0", "65",
	    "18446744073709551619", "99999999999999999999999", "3\n", "\u0663"};
	struct err e = {""};
	struct conf c;

	(void)state;
	conf_init(&c);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(give_flag(&c, "--max-ems", bad[i], &e), -EINVAL);
		assert_int_equal(c.max_ems, 3);
	}
	setenv("MAX_EMS", "abc", 1);
	assert_int_equal(conf_from_env(&c, &e), -EINVAL);
	assert_string_equal(e.msg, "MAX_EMS must be a whole number from 1 to 64, not \"abc\"");
	unsetenv("MAX_EMS");
	conf_clear(&c);
}

static void
flags_take_values(void **state)
{
	struct err e = {""};
	struct conf c;

	(void)state;
	conf_init(&c);
	assert_int_equal(give_flag(&c, "--max-ems", "7", &e), 1);
	assert_int_equal(c.max_ems, 7);
	assert_int_equal(give_flag(&c, "--max-ems=8", "9", &e), 1);
	assert_int_equal(c.max_ems, 8);
	assert_int_equal(give_flag(&c, "--verify", "make test", &e), 1);
	assert_string_equal(json_string_value(c.verify), "make test");
	assert_int_equal(give_flag(&c, "--verify=--odd", NULL, &e), 1);
	assert_int_equal(give_flag(&c, "--detach", "x", &e), 0);
	assert_int_equal(give_flag(&c, "--max-emsx", "7", &e), 0);
	assert_int_equal(give_flag(&c, "word", NULL, &e), 0);
	assert_int_equal(give_flag(&c, "--base", NULL, &e), -EINVAL);
	assert_string_equal(e.msg, "--base needs a value");
	assert_int_equal(give_flag(&c, "--base", "--max-ems", &e), -EINVAL);
	assert_int_equal(give_flag(&c, "--base=", NULL, &e), -EINVAL);
	assert_string_equal(e.msg, "--base must not be empty");
	conf_clear(&c);
}

static void
seconds_take_fractions(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {{"1", 1000}, {"0.1", 100}, {"2.50", 2500}, {"0.125", 125}, {"604800", 604800000}};
	static const char *const bad[] = {"0.09", "1.", ".5", "1.2345", "604800.001", "1s", "1,5"};
	struct err e = {""};
	struct conf c;

	(void)state;
	conf_init(&c);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(give_flag(&c, "--agent-timeout", good[i].text, &e), 1);
		assert_int_equal(c.agent_timeout_ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(give_flag(&c, "--agent-timeout", bad[i], &e), -EINVAL);
	assert_string_equal(
	    e.msg, "--agent-timeout must be a number of seconds from 0.1 to 604800, not \"1,5\"");
	conf_clear(&c);
}

static const char *const env_given[][2] = {
    {"MAX_EMS", ""},
    {"MAX_WORKERS_PER_EM", "5"},
    {"API_TIMEOUT_MS", "600000"},
    {"ORCH_STOP_GRACE", "1.5"},
    {"ORCH_AGENT", "./agent"},
    {"ORCH_AGENT_SILENCE", "9"},
    {"ORCH_AGENT_SCRIPTS", "/s"},
};

static void
environment_is_read(void **state)
{
	struct err e = {""};
	struct conf c;

	(void)state;
	for (size_t i = 0; i < sizeof(env_given) / sizeof(env_given[0]); i++)
		setenv(env_given[i][0], env_given[i][1], 1);
	conf_init(&c);
	assert_int_equal(
	    from_file(&c, "{\"agent_env\": {\"A\": \"b\", \"ORCH_AGENT_SCRIPTS\": \"old\"}}", &e), 0);
	assert_int_equal(conf_from_env(&c, &e), 0);
	assert_int_equal(c.max_ems, 3);
	assert_int_equal(c.max_workers_per_em, 5);
	assert_int_equal(c.api_timeout_ms, 600000);
	assert_int_equal(c.stop_grace_ms, 1500);
	assert_int_equal(c.agent_silence_ms, 9000);
	assert_string_equal(c.agent, "./agent");
	assert_int_equal(json_object_size(c.agent_env), 2);
	assert_string_equal(json_str(c.agent_env, "ORCH_AGENT_SCRIPTS"), "/s");
	assert_string_equal(json_str(c.agent_env, "A"), "b");
	conf_clear(&c);
	for (size_t i = 0; i < sizeof(env_given) / sizeof(env_given[0]); i++)
		unsetenv(env_given[i][0]);
}

static void
frozen_form_thaws(void **state)
{
	struct err e = {""};
	struct conf c, again;
	char *frozen;

	(void)state;
	conf_init(&c);
	frozen = conf_freeze(&c);
	assert_string_equal(frozen, "{}");
	free(frozen);
	assert_int_equal(give_flag(&c, "--verify", "make", &e), 1);
	assert_int_equal(give_flag(&c, "--agent-timeout", "0.5", &e), 1);
	assert_int_equal(give_flag(&c, "--base", "main", &e), 1);
	frozen = conf_freeze(&c);
	assert_string_equal(frozen, "{\"verify\":\"make\",\"base\":\"main\",\"agent_timeout_ms\":500}");

	conf_init(&again);
	assert_int_equal(give_flag(&again, "--max-ems", "9", &e), 1);
	assert_int_equal(conf_thaw(&again, frozen, &e), 0);
	assert_int_equal(again.max_ems, 3);
	assert_int_equal(again.agent_timeout_ms, 500);
	assert_string_equal(json_string_value(again.verify), "make");
	/* A newer version's field is passed over, a value out of bounds is not. */
	assert_int_equal(conf_thaw(&again, "{\"max_ems\": 4, \"of_tomorrow\": 1}", &e), 0);
	assert_int_equal(again.max_ems, 4);
	assert_int_equal(conf_thaw(&again, "{\"max_ems\": 65}", &e), -EINVAL);
	assert_int_equal(conf_thaw(&again, "{", &e), -EINVAL);
	assert_int_equal(conf_thaw(&again, "[]", &e), -EINVAL);
	assert_int_equal(again.max_ems, 4);
	free(frozen);
	conf_clear(&again);
	conf_clear(&c);
}

static void
count(void *arg, const char *flag, const char *env, const char *key, const char *help)
{
	(void)env;
	assert_non_null(key);
	if (help == NULL)
		assert_true(strstr(flag, "-director") || strstr(flag, "-em") || strstr(flag, "-worker"));
	else
		assert_true(strlen(help) > 0);
	++*(int *)arg;
}

static void
roles_go_before_all(void **state)
{
	static const char file[] = "{\"model\": \"opus\", \"model_em\": \"sonnet\", \"max_usd\": 2.5, "
				   "\"max_usd_worker\": 0.125, \"agent_args\": [\"--add-dir\", \"/a b\"]}";
	const char *const argv[] = {"--model-worker=haiku", "--agent-args-em=--effort high"};
	struct agent_options o;
	struct conf c, again;
	struct err e = {""};
	char *frozen;
	int i = 0;

	(void)state;
	conf_init(&c);
	assert_int_equal(from_file(&c, file, &e), 0);
	assert_int_equal(conf_from_flag(&c, 2, (char *const *)argv, &i, &e), 1);
	assert_int_equal(conf_from_flag(&c, 2, (char *const *)argv, &i, &e), 1);
	frozen = conf_freeze(&c);
	conf_init(&again);
	assert_int_equal(conf_thaw(&again, frozen, &e), 0);
	conf_agent_options(&again, CONF_DIRECTOR, &o);
	assert_string_equal(o.model, "opus");
	assert_int_equal(o.max_musd, 2500);
	assert_string_equal(json_string_value(json_array_get(o.args, 1)), "/a b");
	conf_agent_options(&again, CONF_EM, &o);
	assert_string_equal(o.model, "sonnet");
	assert_string_equal(json_string_value(json_array_get(o.args, 0)), "--effort");
	conf_agent_options(&again, CONF_WORKER, &o);
	assert_string_equal(o.model, "haiku");
	assert_int_equal(o.max_musd, 125);
	assert_null(o.allowed_tools);
	free(frozen);
	conf_clear(&again);
	conf_clear(&c);
}

static void
help_has_every_option(void **state)
{
	int n = 0, fields = 0;

	(void)state;
#define OPTION(kind, field, flag, env, key, def, min, max, help) fields++;
	CONF_OPTIONS(OPTION)
#undef OPTION
	conf_each(count, &n);
	assert_int_equal(n, fields);
}

static void
test_a_co_author(void **state)
{
	static const char *const good[] = {
	    "A <a@b>", "Ada Lovelace (bot) <ada+bot@example.org>", "\xc3\x84 B <x@y.z>"};
	static const char *const bad[] = {"A", "A <a>", "<a@b>", " A <a@b>", "A<a@b>", "A <a@b> x", "A <a@b",
	    "A <@b>", "A <a b@c>", "A <a@>", "A > <a@b>", "A\tB <a@b>", "A <a@b>\nSigned-off-by: x <x@y>",
	    ""};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(conf_check_person("co_author", good[i], &(struct err){""}), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(conf_check_person("co_author", bad[i], &(struct err){""}), -EINVAL);
}

static void
test_lists_of_patterns(void **state)
{
	const char *const argv[] = {"--protected", "ci/ , Makefile,"};
	struct err e = {{0}};
	struct conf c;
	int i = 0;
	char *frozen;

	(void)state;
	conf_init(&c);
	assert_int_equal(json_array_size(c.protected_paths), 4);
	frozen = conf_freeze(&c);
	assert_null(strstr(frozen, "protected"));
	free(frozen);
	assert_int_equal(conf_from_flag(&c, 2, (char *const *)argv, &i, &e), 1);
	frozen = conf_freeze(&c);
	assert_non_null(strstr(frozen, "[\"ci/\",\"Makefile\"]"));
	conf_clear(&c);
	assert_int_equal(conf_thaw(&c, frozen, &e), 0);
	assert_int_equal(json_array_size(c.protected_paths), 2);
	free(frozen);
	assert_int_equal(conf_from_file(&c, "f", "{\"protected\": [\"/x\"]}", 21, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "f: protected: bad pattern \"/x\""));
	assert_int_equal(conf_from_file(&c, "f", "{\"protected\": []}", 17, &e), 0);
	assert_int_equal(json_array_size(c.protected_paths), 0);
	conf_clear(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_prices),
	    cmocka_unit_test(defaults_are_the_tables),
	    cmocka_unit_test(file_is_read),
	    cmocka_unit_test(file_faults_are_sentences),
	    cmocka_unit_test(bad_file_changes_nothing),
	    cmocka_unit_test(numbers_are_strict),
	    cmocka_unit_test(flags_take_values),
	    cmocka_unit_test(seconds_take_fractions),
	    cmocka_unit_test(environment_is_read),
	    cmocka_unit_test(frozen_form_thaws),
	    cmocka_unit_test(roles_go_before_all),
	    cmocka_unit_test(help_has_every_option),
	    cmocka_unit_test(test_lists_of_patterns),
	    cmocka_unit_test(test_a_co_author),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
