/* message: the bodies of answers, as the Messages API writes them, streamed and not. */
#include "tests/helper/fakeapi/fakeapi.h"

#include "common/alloc.h"
#include "common/json.h"

#include <stdlib.h>
#include <string.h>

#define PIECE 4096 /* bytes of text or of a tool's input in one delta */

static bool
has_tool(const json_t *content)
{
	size_t i;
	json_t *block;

	json_array_foreach((json_t *)content, i, block)
	{
		const char *type = json_str(block, "type");

		if (type != NULL && strcmp(type, "tool_use") == 0)
			return true;
	}
	return false;
}

static const char *
stop_of(const struct reply *r)
{
	if (r->stop != NULL)
		return r->stop;
	return has_tool(r->content) ? "tool_use" : "end_turn";
}

static json_t *
usage_of(const struct reply *r, bool whole)
{
	return json_pack("{s:I,s:i,s:i,s:I}", "input_tokens", r->tokens_in, "cache_creation_input_tokens", 0,
	    "cache_read_input_tokens", 0, "output_tokens", whole ? r->tokens_out : (json_int_t)1);
}

static json_t *
message_of(const struct reply *r, const char *model, unsigned number, bool whole)
{
	char id[32];

	snprintf(id, sizeof(id), "msg_fake%06u", number);
	return json_pack("{s:s,s:s,s:s,s:s,s:o,s:s?,s:n,s:o}", "id", id, "type", "message", "role",
	    "assistant", "model", model, "content", whole ? json_incref(r->content) : json_array(),
	    "stop_reason", whole ? stop_of(r) : NULL, "stop_sequence", "usage", usage_of(r, whole));
}

/* Takes over data. */
static void
put_event(FILE *f, const char *name, json_t *data)
{
	char *text = json_text(data);

	fprintf(f, "event: %s\ndata: %s\n\n", name, text);
	free(text);
	json_decref(data);
}

/* The longest piece of s that is not over PIECE and ends between characters. */
static size_t
piece_of(const char *s)
{
	size_t n = strnlen(s, PIECE + 1);

	if (n <= PIECE)
		return n;
	for (n = PIECE; n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80; n--)
		continue;
	return n;
}

static void
put_deltas(FILE *f, size_t index, const char *type, const char *field, const char *text)
{
	for (size_t n; (n = piece_of(text)) > 0; text += n)
		put_event(f, "content_block_delta",
		    json_pack("{s:s,s:I,s:{s:s,s:s%}}", "type", "content_block_delta", "index",
			(json_int_t)index, "delta", "type", type, field, text, n));
}

static void
put_block(FILE *f, const struct reply *r, size_t index, json_t *block)
{
	bool tool = strcmp(json_str(block, "type"), "tool_use") == 0;
	json_t *empty = json_copy(block);

	if (r->fault == FAULT_BAD_SSE && index == 0)
		fputs("event: content_block_start\ndata: {\"type\":\"content_block_start\",\"ind\n\n", f);
	if (tool)
		json_object_set_new(empty, "input", json_object());
	else
		json_object_set_new(empty, "text", json_string(""));
	put_event(f, "content_block_start",
	    json_pack("{s:s,s:I,s:o}", "type", "content_block_start", "index", (json_int_t)index,
		"content_block", empty));
	if (tool) {
		char *input = json_text(json_object_get(block, "input"));

		put_deltas(f, index, "input_json_delta", "partial_json", input);
		free(input);
	} else {
		put_deltas(f, index, "text_delta", "text", json_str(block, "text"));
	}
	put_event(f, "content_block_stop",
	    json_pack("{s:s,s:I}", "type", "content_block_stop", "index", (json_int_t)index));
}

char *
message_stream(const struct reply *r, const char *model, unsigned number, size_t *half)
{
	char *text = NULL;
	size_t size, i;
	json_t *block;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		abort();
	put_event(f, "message_start",
	    json_pack("{s:s,s:o}", "type", "message_start", "message", message_of(r, model, number, false)));
	fputs("event: ping\ndata: {\"type\": \"ping\"}\n\n", f);
	json_array_foreach(r->content, i, block) put_block(f, r, i, block);
	fflush(f);
	*half = size - size / 4; /* within what the model says, not before */
	if (r->fault != FAULT_NO_STOP) {
		put_event(f, "message_delta",
		    json_pack("{s:s,s:{s:s,s:n},s:o}", "type", "message_delta", "delta", "stop_reason",
			stop_of(r), "stop_sequence", "usage", usage_of(r, true)));
		put_event(f, "message_stop", json_pack("{s:s}", "type", "message_stop"));
	}
	fclose(f);
	return text;
}

char *
message_json(const struct reply *r, const char *model, unsigned number)
{
	json_t *message = message_of(r, model, number, true);
	char *text = json_text(message);

	json_decref(message);
	return text;
}

char *
message_error(int status, const char *message)
{
	static const struct {
		int status;
		const char *type;
	} types[] = {{400, "invalid_request_error"}, {401, "authentication_error"}, {402, "billing_error"},
	    {403, "permission_error"}, {404, "not_found_error"}, {413, "request_too_large"},
	    {429, "rate_limit_error"}, {504, "timeout_error"}, {529, "overloaded_error"}};
	const char *type = "api_error";
	json_t *error;
	char *text;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].status == status)
			type = types[i].type;
	error = json_pack("{s:s,s:{s:s,s:s},s:s}", "type", "error", "error", "type", type, "message", message,
	    "request_id", "req_fake");
	text = json_text(error);
	json_decref(error);
	return text;
}
