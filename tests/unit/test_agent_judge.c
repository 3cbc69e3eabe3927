/*
 * agent_judge, agent_explain: what an attempt's lines and exit amount to. The lines are those that the claude
 * CLI 2.1.330 was seen to write, cut down to the fields that decide.
 */
#include "common/agent_impl.h"

#include "common/conf.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EXIT(code) ((code) << 8) /* as waitpid gives it */
#define INIT                                                                                                 \
	"{\"type\":\"system\",\"subtype\":\"init\",\"model\":\"claude-opus-5-5\",\"claude_code_version\":"   \
	"\"2.1.330\"}\n"
#define SAID(word)                                                                                           \
	"{\"type\":\"assistant\",\"error\":\"" word "\",\"message\":{\"id\":\"m\",\"content\":[]}}\n"
#define API_ERROR(fields)                                                                                    \
	"{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"terminal_reason\":\"api_"          \
	"error\"," fields "}\n"
#define RETRY(fields)                                                                                        \
	"{\"type\":\"system\",\"subtype\":\"api_retry\",\"attempt\":2,\"max_retries\":4," fields "}\n"

struct row {
	const char *lines;
	int status;
	enum agent_stop stopped;
	bool resume, schema;
	const char *err;
	enum agent_end end;
	const char *words[4]; /* of the explanation */
};

static const struct row rows[] = {
    {INIT "{\"type\":\"result\",\"is_error\":false,\"result\":\"done\"}\n", .end = AGENT_OK},
    {INIT "{\"type\":\"result\",\"is_error\":false,\"result\":\"done\"}\n", EXIT(1), .end = AGENT_FAILED},
    {INIT "{\"type\":\"result\",\"is_error\":false,\"result\":\"done\"}\n", SIGKILL, AGENT_STOP_LINGER,
	.end = AGENT_OK},
    {INIT SAID("authentication_failed") API_ERROR("\"api_error_status\":null,\"result\":\"Not logged in\""),
	EXIT(1), .end = AGENT_AUTH,
	.words = {"claude 2.1.330, model claude-opus-5-5, new session 1-2, for 25/em1/w2, attempt 2: ",
	    "Not logged in", "Log the agent in"}},
    {INIT SAID("authentication_failed") API_ERROR("\"api_error_status\":401,\"result\":\"401\""), EXIT(1),
	.end = AGENT_AUTH, .words = {"HTTP status 401", "log the agent in again"}},
    {INIT SAID("authentication_failed") API_ERROR("\"api_error_status\":403"), EXIT(1), .end = AGENT_AUTH},
    {INIT SAID("unknown") API_ERROR("\"api_error_status\":402,\"api_error_type\":\"orch_budget\""), EXIT(1),
	.end = AGENT_BUDGET},
    {INIT SAID("unknown") API_ERROR("\"api_error_status\":402,\"api_error_type\":\"billing_error\""), EXIT(1),
	.end = AGENT_AUTH},
    {INIT SAID("billing_error") API_ERROR("\"api_error_status\":400"), EXIT(1), .end = AGENT_AUTH},
    {INIT SAID("model_not_found") API_ERROR("\"api_error_status\":404"), EXIT(1), .end = AGENT_CONFIG,
	.words = {"does not know the model"}},
    {INIT "{\"type\":\"rate_limit_event\",\"rate_limit_info\":{\"status\":\"rejected\",\"resetsAt\":"
	  "1795379086}}\n" SAID("rate_limit") API_ERROR("\"api_error_status\":429"),
	EXIT(1), .end = AGENT_LIMITED, .words = {"The limit resets at 2026-11-22T"}},
    {INIT API_ERROR("\"api_error_status\":529,\"result\":\"Repeated 529\""), EXIT(1), .end = AGENT_ENDPOINT},
    {INIT API_ERROR("\"api_error_status\":500"), EXIT(1), .end = AGENT_ENDPOINT},
    {INIT RETRY("\"error_status\":null,\"error\":\"unknown\"") SAID("server_error")
	    API_ERROR("\"api_error_status\":null,\"api_error\":\"connection_failed\""),
	EXIT(1), .end = AGENT_ENDPOINT, .words = {"attempt 2 of 4, no answer", "could not be reached"}},
    {INIT API_ERROR("\"api_error\":\"stream_idle_timeout\""), EXIT(1), .end = AGENT_ENDPOINT},
    {INIT SAID("invalid_request") API_ERROR("\"api_error_status\":400"), EXIT(1), .end = AGENT_FAILED,
	.words = {"refuses the request itself"}},
    {INIT API_ERROR("\"api_error_status\":413"), EXIT(1), .end = AGENT_TOO_LONG},
    {INIT SAID("invalid_request") "{\"type\":\"result\",\"is_error\":true,\"api_error_status\":400,"
				  "\"terminal_reason\":\"prompt_too_long\"}\n",
	EXIT(1), .end = AGENT_TOO_LONG, .words = {"prompt_too_long", "make the task smaller"}},
    {INIT "{\"type\":\"result\",\"subtype\":\"error_max_turns\",\"is_error\":true,\"errors\":[\"Reached "
	  "maximum "
	  "number of turns (2)\"],\"terminal_reason\":\"max_turns\"}\n",
	EXIT(1), .end = AGENT_MAX_TURNS, .words = {"number of turns (2)", "Raise max_turns"}},
    {INIT "{\"type\":\"result\",\"subtype\":\"error_max_budget_usd\",\"is_error\":true}\n", EXIT(1),
	.end = AGENT_BUDGET, .words = {"Raise max_usd"}},
    {INIT "{\"type\":\"result\",\"subtype\":\"error_max_structured_output_retries\",\"is_error\":true}\n",
	EXIT(1), .schema = true, .end = AGENT_NO_STRUCTURE},
    {INIT "{\"type\":\"result\",\"is_error\":false,\"result\":\"no\"}\n", .schema = true,
	.end = AGENT_NO_STRUCTURE},
    /* A turn more, after the answer: the answer stays. */
    {INIT "{\"type\":\"result\",\"is_error\":false,\"structured_output\":{}}\n"
	  "{\"type\":\"result\",\"is_error\":false,\"result\":\"bye\"}\n",
	.schema = true, .end = AGENT_OK},
    {"{\"type\":\"result\",\"subtype\":\"error_during_execution\",\"is_error\":true,\"errors\":[\"root\"],"
     "\"startup_failure_reason\":\"bypass_root\"}\n",
	EXIT(1), .end = AGENT_CONFIG, .words = {"bypass_root", "not root"}},
    {"{\"type\":\"result\",\"is_error\":true,\"startup_failure_reason\":\"config_file_invalid\"}\n", EXIT(1),
	.end = AGENT_CONFIG, .words = {"configuration file"}},
    {"{\"type\":\"result\",\"is_error\":true,\"errors\":[\"No conversation found with session ID: 1-2\"]}\n",
	EXIT(1), .resume = true, .end = AGENT_SESSION_GONE, .words = {"resumed session 1-2", "start afresh"}},
    {"", EXIT(1), .err = "No conversation found with session ID: 1-2", .resume = true,
	.end = AGENT_SESSION_GONE},
    {"", EXIT(1), .err = "error: unknown option '--x'", .end = AGENT_NO_RESULT,
	.words = {"unknown option", "not too old"}},
    {INIT, EXIT(143), .end = AGENT_NO_RESULT, .words = {"somebody else sent it SIGTERM"}},
    {INIT, EXIT(129), .end = AGENT_NO_RESULT, .words = {"somebody else sent it SIGHUP"}},
    {INIT, 0, .end = AGENT_NO_RESULT, .words = {"SIGINT"}},
    {INIT, SIGKILL, .end = AGENT_NO_RESULT, .words = {"killed by signal 9"}},
    {INIT, EXIT(143), AGENT_STOP_SILENT, .end = AGENT_SILENT, .words = {"agent_silence_s"}},
    {INIT RETRY("\"error_status\":503"), EXIT(143), AGENT_STOP_SILENT, .end = AGENT_SILENT,
	.words = {"HTTP status 503", "overloaded or broken"}},
    {INIT RETRY("\"error_status\":429"), EXIT(143), AGENT_STOP_TIMEOUT, .end = AGENT_LIMITED},
    {INIT RETRY("\"error_status\":401"), EXIT(143), AGENT_STOP_SILENT, .end = AGENT_AUTH,
	.words = {"configured key"}},
    {INIT, EXIT(143), AGENT_STOP_TIMEOUT, .end = AGENT_TIMEOUT, .words = {"agent_timeout_s"}},
};

static void
test_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *w = &rows[i];
		const struct agent_spec s = {.program = "/usr/bin/claude",
		    .session = "1-2",
		    .resume = w->resume,
		    .label = "25/em1/w2, attempt 2",
		    .json_schema = w->schema ? "{}" : NULL};
		struct agent_record r = {.status = w->status, .stopped = w->stopped, .end_ms = 5000};
		struct agent_outcome o = {0};
		char *why;

		stream_init(&r.stream, NULL, NULL);
		stream_feed(&r.stream, w->lines, strlen(w->lines));
		if (strstr(w->lines, "api_retry") != NULL)
			r.retry_attempt = 2, r.retry_max = 4;
		if (w->err != NULL) {
			strcpy(r.err, w->err);
			r.err_size = strlen(w->err);
		}
		agent_judge(&s, &r, &o);
		why = agent_explain(&s, &r, o.end, "The probe found it so.");
		if (o.end != w->end)
			print_error("row %zu: %s: %s\n", i, agent_end_name(o.end), why);
		assert_int_equal(o.end, w->end);
		assert_non_null(strstr(why, "The probe found it so."));
		for (size_t k = 0; k < 4 && w->words[k] != NULL; k++) {
			if (strstr(why, w->words[k]) == NULL)
				print_error("row %zu: no '%s' in: %s\n", i, w->words[k], why);
			assert_non_null(strstr(why, w->words[k]));
		}
		free(why);
		agent_outcome_clear(&o);
		stream_clear(&r.stream);
	}
}

static void
test_denied_tools_are_named(void **state)
{
	static const char line[] =
	    "{\"type\":\"result\",\"is_error\":false,\"permission_denials\":[{\"tool_name\":\"BashOutput\"},"
	    "{\"tool_name\":\"Bash\"},{\"tool_name\":\"Bash\"},{}]}\n";
	const struct agent_spec s = {.program = "claude"};
	struct agent_record r = {0};
	struct agent_outcome o = {0};

	(void)state;
	stream_init(&r.stream, NULL, NULL);
	stream_feed(&r.stream, line, sizeof(line) - 1);
	agent_judge(&s, &r, &o);
	assert_int_equal(o.end, AGENT_OK);
	assert_string_equal(o.denied, "BashOutput, Bash");
	agent_outcome_clear(&o);
	stream_clear(&r.stream);
}

/* The program's own waits end before our silence timeout, whatever was configured. */
static void
test_patience(void **state)
{
	static const struct {
		uint64_t silence_ms, api_timeout_ms;
		int64_t answer_ms, idle_ms, silent_ms, gateway_ms;
	} cases[] = {{300000, 0, 120000, 60000, 300000, 0}, {60000, 0, 24000, 12000, 60000, 0},
	    {10000, 0, 4000, 10000, 10000, 0}, {300000, 600000, 600000, 60000, 750000, 0},
	    {300000, 30000, 30000, 60000, 300000, 0},
	    /* The gateway gives up first, whatever a person set. */
	    {300000, 0, 380000, 110000, 630000, 360000}, {900000, 30000, 380000, 110000, 900000, 360000},
	    {300000, 600000, 600000, 110000, 850000, 360000}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct agent_patience p;
		struct conf c;

		conf_init(&c);
		c.agent_silence_ms = cases[i].silence_ms;
		c.api_timeout_ms = cases[i].api_timeout_ms;
		agent_patience(&c, cases[i].gateway_ms, cases[i].gateway_ms == 0 ? 0 : 90000, &p);
		assert_int_equal(p.answer_ms, cases[i].answer_ms);
		assert_int_equal(p.idle_ms, cases[i].idle_ms);
		assert_int_equal(p.silence_ms, cases[i].silent_ms);
		if (cases[i].silence_ms > 40000) /* below, the CLI's least idle time does not fit */
			assert_true(p.answer_ms + 2 * p.idle_ms < p.silence_ms);
		conf_clear(&c);
	}
}

static void
test_every_end_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(agent_end_name(AGENT_OK), "ok");
	assert_string_equal(agent_end_name(AGENT_NOT_STARTED), "not-started");
	assert_int_equal(agent_end_next(AGENT_SESSION_GONE), AGENT_AFRESH);
	assert_int_equal(agent_end_next(AGENT_AUTH), AGENT_GIVE_UP);
	assert_int_equal(agent_end_next(AGENT_ENDPOINT), AGENT_REPEAT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ends),
	    cmocka_unit_test(test_denied_tools_are_named),
	    cmocka_unit_test(test_patience),
	    cmocka_unit_test(test_every_end_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
