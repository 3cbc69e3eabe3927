/*
 * stream: lines out of bytes, events out of lines (see stream.h). The shapes are those that the claude CLI
 * 2.1.330 was seen to write; every field may be missing or of another kind.
 */
#include "common/stream.h"

#include "common/alloc.h"
#include "common/json.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 200
#define ROOM_FIRST 4096u
#define ROOM_KEPT (256u << 10) /* what one long line took is given back */

static void
give(struct stream *s, const struct stream_event *ev)
{
	if (s->fn != NULL)
		s->fn(s->arg, ev);
}

static void
give_garbage(struct stream *s, const char *what, const char *line)
{
	char *shown = text_line(line, 100),
	     *text = xasprintf("%s%s%s", what, line[0] != '\0' ? ": " : "", shown);
	struct stream_event ev = {.kind = STREAM_GARBAGE, .text = text};

	s->garbage++;
	give(s, &ev);
	free(text);
	free(shown);
}

/* Numbers of a line: never negative, never over what the field can hold. */

static uint64_t
get_u64(const json_t *object, const char *key)
{
	const json_t *j = json_object_get(object, key);
	double real;

	if (json_is_integer(j))
		return json_integer_value(j) > 0 ? (uint64_t)json_integer_value(j) : 0;
	real = json_real_value(j);
	if (!(real > 0))
		return 0;
	return real < 9e15 ? (uint64_t)real : (uint64_t)9e15;
}

static int
get_status(const json_t *object, const char *key)
{
	uint64_t status = get_u64(object, key);

	return status < 1000 ? (int)status : 0;
}

static unsigned
get_unsigned(const json_t *object, const char *key)
{
	uint64_t n = get_u64(object, key);

	return n < 1000000000 ? (unsigned)n : 1000000000;
}

static uint64_t
add_capped(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

static void
set_session(struct stream *s, const json_t *line)
{
	const char *session = json_str(line, "session_id");

	if (session != NULL)
		strlcpy(s->session, session, sizeof(s->session));
}

static void
read_usage(struct stream_result *r, const json_t *line)
{
	const json_t *models = json_object_get(line, "modelUsage"), *usage;
	uint64_t in = 0, out = 0;
	const char *model;
	double usd;

	if (json_object_size(models) == 0)
		return; /* a failure at start-up knows nothing of the session's cost: keep what is known */
	json_object_foreach((json_t *)models, model, usage)
	{
		in = add_capped(in, get_u64(usage, "inputTokens"));
		in = add_capped(in, get_u64(usage, "cacheReadInputTokens"));
		in = add_capped(in, get_u64(usage, "cacheCreationInputTokens"));
		out = add_capped(out, get_u64(usage, "outputTokens"));
	}
	r->tokens_in = in;
	r->tokens_out = out;
	usd = json_number_value(json_object_get(line, "total_cost_usd"));
	r->cost_uusd = usd > 0 && usd < 9e9 ? (uint64_t)(usd * 1e6 + 0.5) : 0;
	r->has_usage = true;
}

/* errors[] as one text; NULL when there are none. */
static char *
join_errors(const json_t *errors)
{
	char *all = NULL;
	size_t i;
	json_t *item;

	json_array_foreach((json_t *)errors, i, item)
	{
		const char *text = json_string_value(item);
		char *longer;

		if (text == NULL)
			continue;
		longer = all == NULL ? xstrdup(text) : xasprintf("%s; %s", all, text);
		free(all);
		all = longer;
		if (i == 15) /* a sentence for a person, not a log */
			break;
	}
	return all;
}

/* The tools that were denied, each once. */
static char *
join_denied(const json_t *denials)
{
	json_t *names = json_object(), *item;
	char *all = NULL;
	const char *key;
	size_t i;

	json_array_foreach((json_t *)denials, i, item)
	{
		char *name =
		    text_line(json_str(item, "tool_name") != NULL ? json_str(item, "tool_name") : "", 60);

		if (name[0] != '\0' && json_object_size(names) < 16)
			json_object_set_new(names, name, json_null());
		free(name);
	}
	json_object_foreach(names, key, item)
	{
		char *longer = xasprintf("%s%s%s", all != NULL ? all : "", all != NULL ? ", " : "", key);

		free(all);
		all = longer;
	}
	json_decref(names);
	return all;
}

static void
on_result(struct stream *s, const json_t *line)
{
	struct stream_result *r = &s->result;
	const json_t *structured = json_object_get(line, "structured_output");
	struct stream_event ev = {.kind = STREAM_RESULT};

	r->present = true;
	r->count++;
	r->is_error = json_is_true(json_object_get(line, "is_error"));
	xreplace(&r->subtype, json_str(line, "subtype"));
	xreplace(&r->text, json_str(line, "result"));
	xreplace(&r->session, json_str(line, "session_id"));
	xreplace(&r->terminal_reason, json_str(line, "terminal_reason"));
	xreplace(&r->api_error, json_str(line, "api_error"));
	xreplace(&r->api_error_type, json_str(line, "api_error_type"));
	xreplace(&r->startup_failure, json_str(line, "startup_failure_reason"));
	free(r->errors);
	r->errors = join_errors(json_object_get(line, "errors"));
	if (structured != NULL && !json_is_null(structured)) {
		free(r->structured);
		r->structured = json_text(structured);
	}
	r->http_status = get_status(line, "api_error_status");
	r->denials = (unsigned)json_array_size(json_object_get(line, "permission_denials"));
	free(r->denied);
	r->denied = join_denied(json_object_get(line, "permission_denials"));
	r->turns = get_unsigned(line, "num_turns");
	read_usage(r, line);
	s->open_tools = 0;

	ev.session = r->session;
	ev.text = r->text;
	ev.error = r->errors != NULL ? r->errors : r->api_error;
	ev.http_status = r->http_status;
	give(s, &ev);
}

/* What a tool works on, in the words of its input; NULL when it does not say. */
static const char *
tool_object(const json_t *input)
{
	static const char *const keys[] = {
	    "command", "file_path", "notebook_path", "path", "pattern", "url", "query", "description", NULL};

	for (size_t i = 0; keys[i] != NULL; i++)
		if (json_str(input, keys[i]) != NULL)
			return json_str(input, keys[i]);
	return NULL;
}

/* The tools that are for nothing else. What a shell command changes is not seen here. */
static bool
is_editing(const char *tool)
{
	static const char *const names[] = {"Write", "Edit", "MultiEdit", "NotebookEdit", NULL};

	for (size_t i = 0; names[i] != NULL; i++)
		if (strcmp(tool, names[i]) == 0)
			return true;
	return false;
}

static void
on_text(struct stream *s, const char *words, bool subagent)
{
	char *text = text_line(words, SHOWN_MAX);
	struct stream_event ev = {.kind = STREAM_TEXT, .text = text, .subagent = subagent};

	give(s, &ev);
	free(text);
}

static void
on_tool_use(struct stream *s, const json_t *block, bool subagent)
{
	const char *name = json_str(block, "name"), *object = tool_object(json_object_get(block, "input"));
	char *tool = text_line(name != NULL ? name : "tool", sizeof(s->last_tool) - 1);
	char *text = object != NULL ? text_line(object, SHOWN_MAX) : NULL;
	struct stream_event ev = {.kind = STREAM_TOOL,
	    .tool = tool,
	    .text = text,
	    .subagent = subagent,
	    .edits = text != NULL && is_editing(tool)};

	if (!subagent)
		s->open_tools++;
	strlcpy(s->last_tool, tool, sizeof(s->last_tool));
	give(s, &ev);
	free(tool);
	free(text);
}

static void
on_tool_result(struct stream *s, bool subagent)
{
	struct stream_event ev = {.kind = STREAM_TOOL_END, .tool = s->last_tool, .subagent = subagent};

	if (!subagent && s->open_tools > 0)
		s->open_tools--;
	give(s, &ev);
}

/*
 * The model speaks again only when all results are in, so a message of another id closes every tool: a lost
 * tool_result line must not switch off the silence timeout for good.
 */
static void
note_message(struct stream *s, const json_t *line)
{
	const char *id = json_str(json_object_get(line, "message"), "id"), *word = json_str(line, "error");

	s->last_attempt = 0;
	strlcpy(s->api_word, word != NULL ? word : "", sizeof(s->api_word));
	if (id == NULL || strncmp(id, s->message, sizeof(s->message) - 1) == 0)
		return;
	strlcpy(s->message, id, sizeof(s->message));
	s->open_tools = 0;
}

/* assistant and user lines: an event for each block that says something, else "alive". */
static void
on_message(struct stream *s, const json_t *line, bool assistant)
{
	const json_t *message = json_object_get(line, "message"),
		     *blocks = json_object_get(message, "content");
	bool subagent = json_is_string(json_object_get(line, "parent_tool_use_id"));
	struct stream_event alive = {.kind = STREAM_OTHER, .subagent = subagent};
	unsigned given = 0;
	size_t i;
	json_t *block;

	if (assistant && !subagent)
		note_message(s, line);
	json_array_foreach((json_t *)blocks, i, block)
	{
		const char *type = json_str(block, "type");

		given++;
		if (assistant && type != NULL && strcmp(type, "text") == 0 && json_str(block, "text") != NULL)
			on_text(s, json_str(block, "text"), subagent);
		else if (assistant && type != NULL && strcmp(type, "tool_use") == 0)
			on_tool_use(s, block, subagent);
		else if (!assistant && type != NULL && strcmp(type, "tool_result") == 0)
			on_tool_result(s, subagent);
		else
			given--;
	}
	if (given == 0)
		give(s, &alive);
}

/* For a sentence: one line. */
static void
copy_word(char *to, size_t size, const char *word)
{
	char *line = word != NULL ? text_line(word, size - 1) : NULL;

	if (line != NULL)
		strlcpy(to, line, size);
	free(line);
}

/* A limit of the agent's login; most of these events only say how much of it is used. */
static void
on_limit(struct stream *s, const json_t *line)
{
	const json_t *info = json_object_get(line, "rate_limit_info");
	const char *status = json_str(info, "status");
	uint64_t reset_s = get_u64(info, "resetsAt");
	struct stream_event ev = {.kind = STREAM_OTHER};

	if (status != NULL && strcmp(status, "rejected") == 0) {
		ev.kind = STREAM_LIMITED;
		ev.text = json_str(info, "rateLimitType");
		s->limited_until_ms = reset_s < 100000000000 ? (int64_t)reset_s * 1000 : 0;
	}
	give(s, &ev);
}

static void
on_system(struct stream *s, const json_t *line)
{
	const char *subtype = json_str(line, "subtype");
	struct stream_event ev = {.kind = STREAM_OTHER};

	if (subtype != NULL && strcmp(subtype, "init") == 0) {
		ev.kind = STREAM_STARTED;
		ev.session = s->session;
		copy_word(s->model, sizeof(s->model), json_str(line, "model"));
		copy_word(s->version, sizeof(s->version), json_str(line, "claude_code_version"));
	} else if (subtype != NULL && strcmp(subtype, "api_retry") == 0) {
		ev.kind = STREAM_RETRYING;
		ev.attempt = get_u64(line, "attempt");
		ev.max = get_u64(line, "max_retries");
		ev.delay_ms = get_u64(line, "retry_delay_ms");
		ev.http_status = get_status(line, "error_status");
		ev.error = json_str(line, "error");
		s->last_retry_status = ev.http_status;
		if (ev.attempt != s->last_attempt)
			s->retries++;
		s->last_attempt = ev.attempt;
	}
	give(s, &ev);
}

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* The value of \uXXXX at p; -1 when it is none. */
static int
escape_value(const char *p, size_t left)
{
	char hex[5] = "";

	if (left < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (int i = 0; i < 4; i++) {
		if (!is_hex(p[2 + i]))
			return -1;
		hex[i] = p[2 + i];
	}
	return (int)strtol(hex, NULL, 16);
}

/* Replaces an escape that is no character (NUL, half a pair) in place; returns how many bytes were dealt
 * with. */
static size_t
repair_escape(char *p, size_t left)
{
	int c = escape_value(p, left), low;

	if (c < 0)
		return left > 1 ? 2 : 1;
	if (c != 0 && (c < 0xd800 || c > 0xdfff))
		return 6;
	low = c >= 0xd800 && c < 0xdc00 ? escape_value(p + 6, left - 6) : -1;
	if (low >= 0xdc00 && low <= 0xdfff)
		return 12;
	memcpy(p + 2, "fffd", 4);
	return 6;
}

static void
repair(char *line, size_t size)
{
	bool utf8 = text_is_utf8(line, size);

	for (size_t i = 0; i < size;) {
		size_t n = 1;

		if (line[i] == '\\') {
			n = repair_escape(line + i, size - i);
		} else if (!utf8 && (unsigned char)line[i] >= 0x80) {
			for (n = 2; n <= 4 && !(i + n <= size && text_is_utf8(line + i, n));)
				n++;
			if (n > 4) {
				line[i] = '?';
				n = 1;
			}
		}
		i += n;
	}
}

static void
on_line(struct stream *s, char *text, size_t size)
{
	struct stream_event alive = {.kind = STREAM_OTHER};
	const char *type;
	json_t *line;

	if (size > 0 && text[size - 1] == '\r')
		size--;
	text[size] = '\0';
	if (size == 0)
		return;
	s->lines++;
	repair(text, size);
	line = json_parse("line", text, size, NULL);
	type = json_str(line, "type");
	if (type == NULL) {
		give_garbage(s, line == NULL ? "not JSON" : "no type", text);
		if (s->line_fn != NULL)
			s->line_fn(s->arg, text, size);
		json_decref(line);
		return;
	}
	set_session(s, line);
	if (strcmp(type, "result") == 0)
		on_result(s, line);
	else if (strcmp(type, "assistant") == 0 || strcmp(type, "user") == 0)
		on_message(s, line, type[0] == 'a');
	else if (strcmp(type, "system") == 0)
		on_system(s, line);
	else if (strcmp(type, "rate_limit_event") == 0)
		on_limit(s, line);
	else
		give(s, &alive);
	if (s->line_fn != NULL && strcmp(type, "stream_event") != 0)
		s->line_fn(s->arg, text, size);
	json_decref(line);
}

/* Keeps a piece of a line; once it is over the limit, nothing of it. */
static void
keep(struct stream *s, const char *data, size_t size)
{
	if (s->dropping || size > STREAM_LINE_MAX - s->used) {
		s->dropping = true;
		s->used = 0;
		return;
	}
	if (s->used + size + 1 > s->room) {
		size_t room = s->room == 0 ? ROOM_FIRST : s->room;

		while (room < s->used + size + 1)
			room *= 2;
		s->line = xrealloc(s->line, room);
		s->room = room;
	}
	memcpy(s->line + s->used, data, size);
	s->used += size;
}

static void
finish_line(struct stream *s)
{
	if (s->dropping) {
		s->lines++;
		s->too_long++;
		give_garbage(s, "a line over 10 MiB", "");
	} else if (s->used > 0) {
		on_line(s, s->line, s->used);
	}
	s->dropping = false;
	s->used = 0;
	if (s->room > ROOM_KEPT) {
		free(s->line);
		s->line = NULL;
		s->room = 0;
	}
}

void
stream_init(struct stream *s, void (*fn)(void *arg, const struct stream_event *ev), void *arg)
{
	memset(s, 0, sizeof(*s));
	s->fn = fn;
	s->arg = arg;
}

void
stream_feed(struct stream *s, const char *data, size_t size)
{
	while (size > 0) {
		const char *end = memchr(data, '\n', size);
		size_t n = end != NULL ? (size_t)(end - data) : size;

		keep(s, data, n);
		if (end == NULL)
			return;
		finish_line(s);
		data += n + 1;
		size -= n + 1;
	}
}

void
stream_end(struct stream *s)
{
	finish_line(s);
}

void
stream_clear(struct stream *s)
{
	struct stream_result *r = &s->result;

	free(r->subtype);
	free(r->text);
	free(r->session);
	free(r->terminal_reason);
	free(r->api_error);
	free(r->api_error_type);
	free(r->startup_failure);
	free(r->errors);
	free(r->structured);
	free(r->denied);
	free(s->line);
	memset(s, 0, sizeof(*s));
}
