/* events: the lines of the real CLI, as far as orch reads them. */
#include "tests/helper/agent/agent.h"

#include "common/fd.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
put_line(const char *text, size_t size)
{
	/* A reader that is gone does not stop the real CLI either. */
	if (fd_write_all(1, text, size) == 0)
		fd_write_all(1, "\n", 1);
}

void
emit(struct agent *a, json_t *event)
{
	char *text;

	json_object_set_new(event, "session_id", json_string(a->session));
	json_object_set_new(event, "uuid", json_string("00000000-0000-4000-8000-000000000000"));
	text = json_dumps(event, JSON_COMPACT);
	put_line(text, strlen(text));
	free(text);
	json_decref(event);
}

void
save_session(const struct agent *a)
{
	json_t *j = json_pack("{s:i,s:I,s:I,s:f}", "turns", (int)a->turns_of_session, "in", a->tokens_in,
	    "out", a->tokens_out, "usd", a->usd);

	json_dump_file(j, a->session_file, JSON_COMPACT);
	json_decref(j);
}

void
emit_result(struct agent *a, bool is_error, int status, const char *text, const char *error)
{
	json_t *denials = json_array();
	json_t *usage = json_pack("{s:{s:I,s:I,s:i,s:i,s:f}}", "claude-scripted", "inputTokens", a->tokens_in,
	    "outputTokens", a->tokens_out, "cacheReadInputTokens", 0, "cacheCreationInputTokens", 0,
	    "costUSD", a->usd);
	json_t *r = json_pack("{s:i,s:b,s:i,s:f,s:o,s:s,s:s}", "duration_ms", 1, "is_error", (int)is_error,
	    "num_turns", (int)a->tools_used + 1, "total_cost_usd", a->usd, "modelUsage", usage, "type",
	    "result", "subtype", text != NULL ? "success" : "error_during_execution");

	for (unsigned i = 0; i < a->denials; i++)
		json_array_append_new(denials, json_pack("{s:s}", "tool_name", "Write"));
	json_object_set_new(r, "permission_denials", denials);
	json_object_set_new(r, "terminal_reason", json_string(status >= 0 ? "api_error" : "completed"));
	json_object_set_new(r, "api_error_status", status > 0 ? json_integer(status) : json_null());
	json_object_set_new(r, "result_index", json_integer(a->results++));
	if (text != NULL)
		json_object_set_new(r, "result", json_string(text));
	else
		json_object_set_new(r, "errors", json_pack("[s]", error));
	if (!is_error && a->structured != NULL)
		json_object_set(r, "structured_output", a->structured);
	save_session(a);
	emit(a, r);
}

void
fail(struct agent *a, const char *fmt, ...)
{
	va_list ap;
	char text[8192];

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "scripted agent: %s\n", text);
	emit_result(a, true, -1, NULL, text);
	exit(1);
}

void
emit_assistant(struct agent *a, json_t *block)
{
	char id[32];

	snprintf(id, sizeof(id), "msg_%u", ++a->messages);
	emit(a, json_pack("{s:s,s:{s:s,s:s,s:[o]},s:n}", "type", "assistant", "message", "id", id, "role",
		    "assistant", "content", block, "parent_tool_use_id"));
}

void
open_tool(struct agent *a, const char *name, const char *field, const char *value)
{
	char id[32];

	snprintf(id, sizeof(id), "toolu_%u", ++a->tools_used);
	emit_assistant(a, json_pack("{s:s,s:s,s:s,s:{s:s}}", "type", "tool_use", "id", id, "name", name,
			      "input", field, value));
}

void
close_tool(struct agent *a, bool failed, const char *output)
{
	char id[32];
	json_t *text = json_string(output);

	snprintf(id, sizeof(id), "toolu_%u", a->tools_used);
	if (text == NULL)
		text = json_string("(output that is not UTF-8)");
	emit(a, json_pack("{s:s,s:{s:s,s:[{s:s,s:s,s:o,s:b}]},s:n}", "type", "user", "message", "role",
		    "user", "content", "type", "tool_result", "tool_use_id", id, "content", text, "is_error",
		    (int)failed, "parent_tool_use_id"));
}
