/* The parts of orch-test-agent: what it is and its script language are described in ../agent.c. */
#ifndef ORCH_TEST_AGENT_H
#define ORCH_TEST_AGENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct agent {
	const char *role, *key, *home, *scripts;
	const char *session, *schema, *tools;
	bool print, verbose, stream_json, skip_permissions, resume;
	char *prompt, *text, *session_file;
	char *arg, *block; /* of the command that runs */
	json_t *structured;
	unsigned turn, turns_of_session, messages, tools_used, denials, results;
	json_int_t tokens_in, tokens_out;
	double usd;
	bool linger, noresult;
};

struct command {
	const char *name;
	bool text, block; /* wanted on its line, and after it */
	void (*fn)(struct agent *a);
};

/* Ends with name NULL. */
extern const struct command agent_commands[];

/* events.c: what it writes on stdout. Takes over the event. */
void emit(struct agent *a, json_t *event);
void put_line(const char *text, size_t size);
void emit_assistant(struct agent *a, json_t *block);
void open_tool(struct agent *a, const char *name, const char *field, const char *value);
void close_tool(struct agent *a, bool failed, const char *output);
/* status: of the API's answer; < 0: it was no failure of the API. text NULL: a failure of the CLI itself, in
 * error. */
void emit_result(struct agent *a, bool is_error, int status, const char *text, const char *error);
void save_session(const struct agent *a);
/* An error result and exit 1: the script, or how we were called, is wrong. */
void __attribute__((noreturn, format(printf, 2, 3))) fail(struct agent *a, const char *fmt, ...);

/* ask.c: one request to the API; an error result and exit 1 when it fails for good. */
void ask(struct agent *a);

/* commands.c */
void __attribute__((noreturn)) stay(void);
void on_term(int sig);

#endif
