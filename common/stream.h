/*
 * stream: reads an agent's stdout, newline-delimited JSON as "claude -p --output-format stream-json" writes
 * it, in pieces of any size, and gives events. Tolerant: what is not JSON or not known is counted and
 * skipped, a line over the limit is dropped and counted. What only JavaScript takes for text (bad UTF-8, NUL,
 * half a surrogate pair) is replaced, so that a tool's output cannot hide a line. Pure; no clock, no fds.
 */
#ifndef ORCH_COMMON_STREAM_H
#define ORCH_COMMON_STREAM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_LINE_MAX (10u << 20)

enum stream_kind {
	STREAM_STARTED,  /* system/init: session */
	STREAM_TEXT,     /* assistant text: text (its first 200 bytes as one line) */
	STREAM_TOOL,     /* assistant tool_use: tool, text (what it touches, in short) */
	STREAM_TOOL_END, /* tool_result */
	STREAM_RETRYING, /* system/api_retry: attempt, max, delay_ms, http_status (0: none), error */
	STREAM_RESULT,   /* result: see struct stream_result in the parser; may come more than once */
	STREAM_LIMITED,  /* rate_limit_event that says rejected: text; see limited_until_ms */
	STREAM_OTHER,    /* a known line that says nothing to us: the agent is alive */
	STREAM_GARBAGE,  /* a line that is not JSON, or too long: text says which */
};

struct stream_event {
	enum stream_kind kind;
	const char *session, *text, *tool, *error; /* borrowed for the callback; NULL when absent */
	uint64_t attempt, max, delay_ms;
	int http_status;
	bool subagent; /* parent_tool_use_id is set */
	bool edits;    /* STREAM_TOOL: it changes the file that text names */
};

/* The last result line, whole. Strings are owned by the parser. */
struct stream_result {
	bool present, is_error;
	unsigned count; /* result lines seen */
	char *subtype, *text, *session, *terminal_reason, *api_error, *api_error_type,
	    *startup_failure; /* startup_failure_reason */
	char *errors;         /* joined by "; " */
	int http_status;      /* api_error_status; 0: null */
	char *structured;     /* structured_output as JSON text, of the last result that had one; NULL */
	unsigned denials;     /* permission_denials */
	char *denied;         /* the names of the tools in them, each once: "Bash, Write"; NULL */
	unsigned turns;
	uint64_t cost_uusd;             /* total_cost_usd; cumulative over the session */
	uint64_t tokens_in, tokens_out; /* sums over modelUsage (input + cache reads + cache writes; output),
					   cumulative over the session */
	bool has_usage;
};

struct stream {
	struct stream_result result;
	char session[128];
	uint64_t lines, garbage, too_long, retries;
	unsigned open_tools; /* tool_use without its tool_result yet; tools of subagents do not count: the
				tool that started the subagent is open as long as they */
	int last_retry_status;
	char last_tool[64];
	char model[96], version[32]; /* as system/init gave them; "" */
	char api_word[48];        /* the API's error that the agent wrote an answer of its own about, in the
				     words of its SDK: "rate_limit", "authentication_failed" ...; "" */
	int64_t limited_until_ms; /* wall clock: when the limit that refused it resets; 0: not said */
	/* private */
	char *line;
	size_t used, room;
	bool dropping;
	char message[64];      /* id of the assistant's last message */
	uint64_t last_attempt; /* of the last retry: long waits repeat it */
	void (*fn)(void *arg, const struct stream_event *ev);
	void *arg;

	/*
	 * Set after stream_init, or NULL: each line without its newline, repaired where it was no text, after
	 * its events. Pieces of messages (stream_event) are left out: the whole message follows them.
	 */
	void (*line_fn)(void *arg, const char *line, size_t size);
};

void stream_init(struct stream *s, void (*fn)(void *arg, const struct stream_event *ev), void *arg);
void stream_feed(struct stream *s, const char *data, size_t size);
/* EOF: a last line without newline counts. */
void stream_end(struct stream *s);
void stream_clear(struct stream *s);

#endif
