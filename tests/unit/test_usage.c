/* usage: the numbers of whole, cut and odd answers, in pieces of any size. */
#include "supervisor/gateway/usage.h"

#include "common/alloc.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START                                                                                                \
	"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"model\":"      \
	"\"claude-x\",\"content\":[],\"usage\":{\"input_tokens\":11,\"cache_read_input_tokens\":300,"        \
	"\"cache_creation_input_tokens\":50,\"cache_creation\":{\"ephemeral_5m_input_tokens\":30,"           \
	"\"ephemeral_1h_input_tokens\":20},\"output_tokens\":1}}}\n\n"
#define PING "event: ping\ndata: {\"type\":\"ping\"}\n\n"
#define TEXT                                                                                                 \
	"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":"           \
	"\"message_delta usage output_tokens 999\"}}\n\n"
#define DELTA(out)                                                                                           \
	"event: message_delta\ndata: "                                                                       \
	"{\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":" #out "}}\n\n"
#define LAST(out)                                                                                            \
	"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"  \
	"\"usage\":{\"output_tokens\":" #out ",\"server_tool_use\":{\"web_search_requests\":2}}}\n\n"
#define STOP "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"

static void
show(char *buf, size_t size, const struct usage *u)
{
	snprintf(buf, size, "in %d out %d read %d write %d (1h %d) search %d [%s]%s%s%s%s", (int)u->input,
	    (int)u->output, (int)u->cache_read, (int)u->cache_write, (int)u->cache_write_1h, (int)u->searches,
	    u->model, u->known ? " known" : "", u->floor ? " floor" : "",
	    u->error[0] != '\0' ? " error " : "", u->error);
}

static void
read_in_steps(enum usage_form form, const char *text, size_t size, size_t step, struct usage *u)
{
	struct usage_reader r;

	usage_reader_init(&r, form);
	while (size > 0) {
		size_t n = step < size ? step : size;

		usage_reader_feed(&r, text, n);
		text += n;
		size -= n;
	}
	usage_reader_end(&r, u);
	usage_reader_clear(&r);
}

static void
check(enum usage_form form, const char *text, const char *expected)
{
	static const size_t steps[] = {SIZE_MAX, 1, 2, 3, 5, 64};
	struct usage u;
	char shown[256];

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		read_in_steps(form, text, strlen(text), steps[i], &u);
		show(shown, sizeof(shown), &u);
		assert_string_equal(shown, expected);
	}
}

static void
test_whole_stream(void **state)
{
	(void)state;
	check(USAGE_SSE, START PING TEXT DELTA(5) TEXT DELTA(9) LAST(20) STOP,
	    "in 11 out 20 read 300 write 50 (1h 20) search 2 [claude-x] known");
	/* Cumulative: never added up. What a delta says about the input replaces the start's. */
	check(USAGE_SSE,
	    START "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"x\"},"
		  "\"usage\":{\"input_tokens\":12,\"output_tokens\":7,\"cache_read_input_tokens\":null}}\n\n",
	    "in 12 out 7 read 300 write 50 (1h 20) search 0 [claude-x] known");
}

static void
test_cut_stream_is_floor(void **state)
{
	(void)state;
	check(USAGE_SSE, START TEXT, "in 11 out 1 read 300 write 50 (1h 20) search 0 [claude-x] known floor");
	check(USAGE_SSE, START DELTA(5),
	    "in 11 out 5 read 300 write 50 (1h 20) search 0 [claude-x] known floor");
	/* An event counts when its empty line has come, not before. */
	check(USAGE_SSE, START "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{}}\n",
	    "in 11 out 1 read 300 write 50 (1h 20) search 0 [claude-x] known floor");
	check(USAGE_SSE, "", "in 0 out 0 read 0 write 0 (1h 0) search 0 [] floor");
	check(USAGE_SSE,
	    START "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
	    "in 11 out 1 read 300 write 50 (1h 20) search 0 [claude-x] known floor error overloaded_error");
}

/* Every way to write the same events that the specification allows. */
static void
test_forms_of_lines(void **state)
{
	const char *expected = "in 3 out 4 read 0 write 0 (1h 0) search 0 [] known";

	(void)state;
	check(USAGE_SSE,
	    "data:{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3}}}\r\n\r\n"
	    "data:{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"x\"},\"usage\":{\"output_tokens\":"
	    "4}}"
	    "\r\n\r\n",
	    expected);
	check(USAGE_SSE,
	    ": a comment\rid: 7\revent: message_start\rdata: {\"type\":\"message_start\",\rdata: "
	    "\"message\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}}\r\r"
	    "event:message_stop\rdata:{\"type\":\"message_stop\"}\r\r",
	    expected);
}

/* Nothing here may be taken for numbers, or end in a crash; what may have been numbers marks a floor. */
static void
test_nonsense(void **state)
{
	(void)state;
	check(USAGE_SSE, START "event: message_delta\ndata: {not json}\n\n" STOP,
	    "in 11 out 1 read 300 write 50 (1h 20) search 0 [claude-x] known floor");
	check(USAGE_SSE, "event: content_block_delta\ndata: {not json}\n\n" START STOP,
	    "in 11 out 1 read 300 write 50 (1h 20) search 0 [claude-x] known");
	check(USAGE_SSE,
	    "data: {\"type\":\"message_start\",\"message\":{\"model\":7,\"usage\":{\"input_tokens\":-5,"
	    "\"output_tokens\":\"9\",\"cache_read_input_tokens\":1.5}}}\n\n" STOP,
	    "in 0 out 0 read 0 write 0 (1h 0) search 0 [] known");
	check(USAGE_SSE, "data: []\n\ndata: 7\n\nevent\ndata\n\n<html>\n\n" STOP,
	    "in 0 out 0 read 0 write 0 (1h 0) search 0 [] floor");
}

static void
test_long_events_are_bounded(void **state)
{
	static const char *const heads[] = {
	    "event: content_block_delta\ndata: ", "event: message_delta\ndata: "};
	size_t size = USAGE_EVENT_MAX * 2;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char *text = xmalloc(size + 4096);
		struct usage u[2];
		size_t n = (size_t)sprintf(text, "%s%s", START, heads[i]);

		memset(text + n, 'x', size);
		n += size;
		n += (size_t)sprintf(text + n, "\n\n%s%s", LAST(20), STOP);
		read_in_steps(USAGE_SSE, text, n, SIZE_MAX, &u[0]);
		read_in_steps(USAGE_SSE, text, n, 1000, &u[1]);
		assert_memory_equal(&u[0], &u[1], sizeof(u[0]));
		assert_int_equal(u[0].output, 20);
		assert_int_equal(u[0].floor, i == 1);
		free(text);
	}
}

static void
test_body(void **state)
{
	(void)state;
	check(USAGE_JSON,
	    "{\"id\":\"m\",\"model\":\"claude-x\",\"content\":[{\"text\":\"\\\"usage\\\":{}\"}],\"usage\":{"
	    "\"input_tokens\":5,\"output_tokens\":6,\"cache_read_input_tokens\":7}}",
	    "in 5 out 6 read 7 write 0 (1h 0) search 0 [claude-x] known");
	check(USAGE_JSON, "{\"usage\":{\"input_tokens\":5},\"content\":[{\"te",
	    "in 5 out 0 read 0 write 0 (1h 0) search 0 [] known floor");
	check(USAGE_JSON, "{\"type\":\"error\",\"error\":{\"usage\":{\"input_tokens\":5}}}",
	    "in 0 out 0 read 0 write 0 (1h 0) search 0 []");
	check(USAGE_JSON, "{\"usage\":[1,2],\"model\":\"\\ud800\"}",
	    "in 0 out 0 read 0 write 0 (1h 0) search 0 []");
	check(USAGE_NONE, START STOP, "in 0 out 0 read 0 write 0 (1h 0) search 0 []");
}

static void
test_huge_numbers_are_capped(void **state)
{
	struct usage u;
	static const char text[] = "{\"usage\":{\"input_tokens\":9223372036854775807}}";

	(void)state;
	read_in_steps(USAGE_JSON, text, strlen(text), 3, &u);
	assert_true(u.input == USAGE_TOKENS_MAX);
}

static void
test_form_of(void **state)
{
	(void)state;
	assert_int_equal(usage_form_of("text/event-stream; charset=utf-8"), USAGE_SSE);
	assert_int_equal(usage_form_of("Application/JSON"), USAGE_JSON);
	assert_int_equal(usage_form_of("text/html"), USAGE_NONE);
	assert_int_equal(usage_form_of(NULL), USAGE_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_whole_stream),
	    cmocka_unit_test(test_cut_stream_is_floor),
	    cmocka_unit_test(test_forms_of_lines),
	    cmocka_unit_test(test_nonsense),
	    cmocka_unit_test(test_long_events_are_bounded),
	    cmocka_unit_test(test_body),
	    cmocka_unit_test(test_huge_numbers_are_capped),
	    cmocka_unit_test(test_form_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
