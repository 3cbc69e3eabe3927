/* stream: every kind of line, in pieces of any size, whole or cut, and what must never hide or break one. */
#include "common/stream.h"

#include "common/alloc.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* All events as text, one a line. */
struct seen {
	char text[16384];
};

static void
on_event(void *arg, const struct stream_event *ev)
{
	static const char *const names[] = {
	    "started", "text", "tool", "tool-end", "retrying", "result", "limited", "other", "garbage"};
	struct seen *s = arg;
	size_t n = strlen(s->text);

	n += (size_t)snprintf(
	    s->text + n, sizeof(s->text) - n, "%s%s", names[ev->kind], ev->subagent ? "*" : "");
	if (ev->kind == STREAM_RETRYING)
		n += (size_t)snprintf(s->text + n, sizeof(s->text) - n, " %d/%d %dms %d", (int)ev->attempt,
		    (int)ev->max, (int)ev->delay_ms, ev->http_status);
	for (int i = 0; i < 4; i++) {
		const char *field = (const char *[]){ev->session, ev->tool, ev->text, ev->error}[i];

		if (field != NULL)
			n += (size_t)snprintf(s->text + n, sizeof(s->text) - n, " [%s]", field);
	}
	snprintf(s->text + n, sizeof(s->text) - n, "\n");
}

#define INIT "{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"s-1\",\"tools\":[]}\n"
#define SAY                                                                                                  \
	"{\"message\":{\"id\":\"m1\",\"content\":[{\"type\":\"text\",\"text\":\"a\\nb\"}]},\"type\":"        \
	"\"assistant\"}\n"
#define TOOL(message, id)                                                                                    \
	"{\"type\":\"assistant\",\"message\":{\"id\":\"" message "\",\"content\":[{\"type\":\"tool_use\","   \
	"\"id\":\"" id "\",\"name\":\"Bash\",\"input\":{\"command\":\"make\\ttest\"}}]},"                    \
	"\"parent_tool_use_id\":null}\n"
#define TOOL_END(id)                                                                                         \
	"{\"type\":\"user\",\"message\":{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","          \
	"\"content\":\"ok\",\"tool_use_id\":\"" id "\"}]}}\n"
#define RETRY                                                                                                \
	"{\"type\":\"system\",\"subtype\":\"api_retry\",\"attempt\":2,\"max_retries\":10,"                   \
	"\"retry_delay_ms\":516,\"error_status\":429,\"error\":\"rate_limit\"}\n"
#define RESULT                                                                                               \
	"{\"subtype\":\"success\",\"is_error\":false,\"result\":\"done\",\"num_turns\":3,"                   \
	"\"session_id\":\"s-1\",\"total_cost_usd\":0.0008,\"modelUsage\":{\"a\":{\"inputTokens\":100,"       \
	"\"outputTokens\":20,\"cacheReadInputTokens\":7,\"cacheCreationInputTokens\":3},\"b\":{"             \
	"\"inputTokens\":1,\"outputTokens\":2}},\"permission_denials\":[{},{}],\"type\":\"result\","         \
	"\"api_error_status\":null,\"structured_output\":{\"x\":[1]},\"terminal_reason\":\"completed\"}\n"

static const char whole[] = INIT SAY TOOL("m1", "t1") TOOL_END("t1") RETRY "not json\n" RESULT;
static const char whole_seen[] = "started [s-1]\n"
				 "text [a b]\n"
				 "tool [Bash] [make test]\n"
				 "tool-end [Bash]\n"
				 "retrying 2/10 516ms 429 [rate_limit]\n"
				 "garbage [not JSON: not json]\n"
				 "result [s-1] [done]\n";

static void
check_whole(struct stream *s, const struct seen *seen)
{
	const struct stream_result *r = &s->result;

	assert_string_equal(seen->text, whole_seen);
	assert_string_equal(s->session, "s-1");
	assert_int_equal(s->lines, 7);
	assert_int_equal(s->garbage, 1);
	assert_int_equal(s->retries, 1);
	assert_int_equal(s->last_retry_status, 429);
	assert_int_equal(s->open_tools, 0);
	assert_string_equal(s->last_tool, "Bash");
	assert_true(r->present);
	assert_false(r->is_error);
	assert_int_equal(r->count, 1);
	assert_string_equal(r->text, "done");
	assert_string_equal(r->terminal_reason, "completed");
	assert_string_equal(r->structured, "{\"x\":[1]}");
	assert_int_equal(r->denials, 2);
	assert_int_equal(r->turns, 3);
	assert_int_equal(r->cost_uusd, 800);
	assert_int_equal(r->tokens_in, 111);
	assert_int_equal(r->tokens_out, 22);
	assert_true(r->has_usage);
}

static void
feed(struct stream *s, struct seen *seen, const char *data)
{
	memset(seen, 0, sizeof(*seen));
	stream_init(s, on_event, seen);
	stream_feed(s, data, strlen(data));
	stream_end(s);
}

static void
test_pieces(void **state)
{
	size_t size = strlen(whole);

	(void)state;
	for (size_t step = 1; step <= size; step = step < 64 ? step + 1 : step * 2) {
		struct seen seen = {""};
		struct stream s;

		stream_init(&s, on_event, &seen);
		for (size_t i = 0; i < size; i += step)
			stream_feed(&s, whole + i, step < size - i ? step : size - i);
		stream_end(&s);
		check_whole(&s, &seen);
		stream_clear(&s);
	}
	for (size_t cut = 0; cut <= size; cut++) {
		struct seen seen = {""};
		struct stream s;

		stream_init(&s, on_event, &seen);
		stream_feed(&s, whole, cut);
		stream_feed(&s, whole + cut, size - cut);
		stream_end(&s);
		check_whole(&s, &seen);
		stream_clear(&s);
	}
}

/* A process that was killed wrote any part of it: only the whole lines may count as what they are. */
static void
test_truncated(void **state)
{
	size_t size = strlen(whole);

	(void)state;
	for (size_t n = 0; n < size; n++) {
		struct seen seen = {""};
		struct stream s;

		stream_init(&s, on_event, &seen);
		stream_feed(&s, whole, n);
		stream_end(&s);
		assert_int_equal(s.result.present, n == size - 1); /* only the newline is missing there */
		stream_clear(&s);
	}
}

static void
test_alive(void **state)
{
	struct seen seen;
	struct stream s;

	(void)state;
	feed(&s, &seen,
	    "{\"type\":\"rate_limit_event\"}\r\n\n"
	    "{\"type\":\"system\",\"subtype\":\"hook_started\"}\n"
	    "{\"type\":\"user\",\"isSynthetic\":true,\"message\":{\"content\":\"go on\"}}\n"
	    "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"thinking\",\"thinking\":\"x\"}]}}"
	    "\n"
	    "{\"type\":\"assistant\"}\n"
	    "{\"type\":\"assistant\",\"message\":[1,{}]}\n");
	assert_string_equal(seen.text, "other\nother\nother\nother\nother\nother\n");
	assert_int_equal(s.lines, 6);
	assert_int_equal(s.garbage, 0);
	stream_clear(&s);
}

static void
test_garbage(void **state)
{
	char deep[1001];
	struct seen seen;
	struct stream s;

	(void)state;
	feed(&s, &seen, "[]\n42\n{}\n{\"type\":7}\n\x1b[31mError\x1b[0m: no\n{\"type\":\"result\"");
	assert_string_equal(seen.text,
	    "garbage [no type: []]\ngarbage [not JSON: 42]\ngarbage [no type: {}]\n"
	    "garbage [no type: {\"type\":7}]\ngarbage [not JSON: Error : no]\n"
	    "garbage [not JSON: {\"type\":\"result\"]\n");
	assert_int_equal(s.garbage, 6);
	stream_clear(&s);
	memset(deep, '[', 1000);
	deep[1000] = '\0';
	feed(&s, &seen, deep);
	assert_int_equal(s.garbage, 1);
	stream_clear(&s);
}

/* A line over the limit is dropped, whatever the pieces, and the next one is read. */
static void
test_too_long(void **state)
{
	const size_t piece = 1 << 20;
	char *block = xmalloc(piece);
	struct seen seen = {""};
	struct stream s;

	(void)state;
	memset(block, 'x', piece);
	stream_init(&s, on_event, &seen);
	for (size_t i = 0; i < 20; i++) {
		stream_feed(&s, block, piece);
		assert_true(s.room <= 2 * (size_t)STREAM_LINE_MAX);
	}
	stream_feed(&s, "\n" SAY, strlen("\n" SAY));
	assert_string_equal(seen.text, "garbage [a line over 10 MiB]\ntext [a b]\n");
	assert_int_equal(s.too_long, 1);
	assert_true(s.room < 1 << 20);
	stream_clear(&s);
	free(block);
}

static void
test_long_result(void **state)
{
	size_t size = 9u << 20;
	char *text = xmalloc(size + 1), *line;
	struct seen seen = {""};
	struct stream s;

	(void)state;
	memset(text, 'x', size);
	text[size] = '\0';
	line = xasprintf("{\"type\":\"result\",\"is_error\":false,\"structured_output\":\"%s\"}", text);
	stream_init(&s, NULL, &seen);
	stream_feed(&s, line, strlen(line));
	stream_end(&s);
	assert_int_equal(strlen(s.result.structured), size + 2);
	stream_clear(&s);
	free(line);
	free(text);
}

/*
 * JavaScript writes lone surrogates and NUL as escapes, and a tool's output may hold any byte. A line lost to
 * that could be the result, or the end of a tool whose loss switches off the silence timeout.
 */
static void
test_repaired_text(void **state)
{
	struct seen seen;
	struct stream s;

	(void)state;
	feed(&s, &seen,
	    "{\"type\":\"result\",\"result\":\"a\\u0000b\\ud83dc\\udc00\\ud83d\\ude00 \\\\u0000 "
	    "\xff\xc3\xa4\xe2\x82"
	    "\"}\n");
	assert_true(s.result.present);
	assert_string_equal(s.result.text, "a\xef\xbf\xbd"
					   "b\xef\xbf\xbd"
					   "c\xef\xbf\xbd\xf0\x9f\x98\x80 \\u0000 ?\xc3\xa4??");
	stream_clear(&s);
	feed(&s, &seen, "{\"type\":\"result\",\"result\":\"\\ud83d");
	assert_false(s.result.present);
	stream_clear(&s);
}

static void
test_errors(void **state)
{
	struct seen seen;
	struct stream s;

	(void)state;
	feed(&s, &seen,
	    "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"api_error_status\":429,"
	    "\"api_error_type\":\"rate_limit_error\",\"terminal_reason\":\"api_error\",\"result\":\"API "
	    "Error\"}\n");
	assert_true(s.result.is_error);
	assert_int_equal(s.result.http_status, 429);
	assert_string_equal(s.result.api_error_type, "rate_limit_error");
	assert_false(s.result.has_usage);
	stream_clear(&s);
	feed(&s, &seen,
	    "{\"type\":\"result\",\"subtype\":\"error_max_turns\",\"is_error\":true,\"errors\":[\"one\",2,"
	    "\"two\"]}\n");
	assert_null(s.result.text);
	assert_string_equal(s.result.errors, "one; two");
	assert_string_equal(seen.text, "result [one; two]\n");
	stream_clear(&s);
}

/* The last result wins; but a turn after the answer does not take it back, usage is cumulative, and a failure
 * at start-up, which knows none, does not reset it. */
static void
test_several_results(void **state)
{
	struct seen seen;
	struct stream s;

	(void)state;
	feed(&s, &seen,
	    RESULT "{\"type\":\"result\",\"is_error\":true,\"errors\":[\"no\"],\"modelUsage\":{},\"total_"
		   "cost_usd\":0}\n");
	assert_int_equal(s.result.count, 2);
	assert_true(s.result.is_error);
	assert_null(s.result.text);
	assert_non_null(s.result.structured);
	assert_int_equal(s.result.denials, 0);
	assert_int_equal(s.result.tokens_in, 111);
	stream_clear(&s);
	feed(&s, &seen,
	    RESULT "{\"type\":\"result\",\"modelUsage\":{\"a\":{\"inputTokens\":500,\"outputTokens\":50}},"
		   "\"total_cost_usd\":0.5}\n");
	assert_int_equal(s.result.tokens_in, 500);
	assert_int_equal(s.result.tokens_out, 50);
	assert_int_equal(s.result.cost_uusd, 500000);
	stream_clear(&s);
}

static void
test_silly_numbers(void **state)
{
	struct seen seen;
	struct stream s;

	(void)state;
	feed(&s, &seen,
	    "{\"type\":\"result\",\"num_turns\":-3,\"api_error_status\":1e300,\"total_cost_usd\":-5,"
	    "\"modelUsage\":"
	    "{\"a\":{\"inputTokens\":-1,\"outputTokens\":1e300},\"b\":7,\"c\":{\"inputTokens\":"
	    "9223372036854775807,"
	    "\"cacheReadInputTokens\":9223372036854775807,\"cacheCreationInputTokens\":9223372036854775807}}}"
	    "\n");
	assert_int_equal(s.result.turns, 0);
	assert_int_equal(s.result.http_status, 0);
	assert_int_equal(s.result.cost_uusd, 0);
	assert_true(s.result.tokens_in == UINT64_MAX);
	assert_true(s.result.tokens_out == 9000000000000000u);
	stream_clear(&s);
}

/* Parallel tools of one message are open together; the model's next message closes those whose end got lost.
 */
static void
test_open_tools(void **state)
{
	struct seen seen;
	struct stream s;

	(void)state;
	feed(&s, &seen, TOOL("m1", "t1") TOOL("m1", "t2"));
	assert_int_equal(s.open_tools, 2);
	stream_feed(&s, TOOL_END("t2"), strlen(TOOL_END("t2")));
	assert_int_equal(s.open_tools, 1);
	stream_feed(&s, TOOL("m2", "t3"), strlen(TOOL("m2", "t3")));
	assert_int_equal(s.open_tools, 1);
	stream_feed(&s, TOOL_END("t3") TOOL_END("t1"), strlen(TOOL_END("t3") TOOL_END("t1")));
	assert_int_equal(s.open_tools, 0);
	stream_clear(&s);
}

static void
test_subagent(void **state)
{
	static const char tool[] =
	    "{\"type\":\"assistant\",\"parent_tool_use_id\":\"t1\",\"message\":{\"id\":\"x\","
	    "\"content\":[{\"type\":\"tool_use\",\"id\":\"y\",\"name\":\"Read\"}]}}\n";
	struct seen seen;
	struct stream s;

	(void)state;
	feed(&s, &seen, TOOL("m1", "t1"));
	stream_feed(&s, tool, strlen(tool));
	assert_int_equal(s.open_tools, 1);
	assert_string_equal(seen.text, "tool [Bash] [make test]\ntool* [Read]\n");
	stream_clear(&s);
}

/* In a long wait the CLI repeats the event of one retry. */
static void
test_repeated_retry(void **state)
{
	struct seen seen;
	struct stream s;

	(void)state;
	feed(&s, &seen, RETRY RETRY SAY RETRY);
	assert_int_equal(s.retries, 2);
	stream_clear(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pieces),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_alive),
	    cmocka_unit_test(test_garbage),
	    cmocka_unit_test(test_too_long),
	    cmocka_unit_test(test_long_result),
	    cmocka_unit_test(test_repaired_text),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_several_results),
	    cmocka_unit_test(test_silly_numbers),
	    cmocka_unit_test(test_open_tools),
	    cmocka_unit_test(test_subagent),
	    cmocka_unit_test(test_repeated_retry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
