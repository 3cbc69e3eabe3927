/*
 * agent_judge: what an attempt that is over amounts to, and, when it ended badly, the paragraph that explains
 * it. Decides by the result's is_error and the exit status; the result's subtype says "success" of failures
 * too. Pure.
 */
#include "common/agent_impl.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define TEXT_MAX (64u << 10)
#define QUOTE_MAX 1200

const char *
agent_end_name(enum agent_end end)
{
	switch (end) {
	case AGENT_OK:
		return "ok";
	case AGENT_FAILED:
		return "failed";
	case AGENT_NO_RESULT:
		return "no-result";
	case AGENT_NO_STRUCTURE:
		return "no-structure";
	case AGENT_SESSION_GONE:
		return "session-gone";
	case AGENT_SILENT:
		return "silent";
	case AGENT_TIMEOUT:
		return "timeout";
	case AGENT_NOT_STARTED:
		return "not-started";
	}
	return "unknown";
}

static bool
session_gone(const struct agent_spec *s, const struct agent_record *r)
{
	const struct stream_result *result = &r->stream.result;

	if (!s->resume || r->stopped != AGENT_STOP_NONE || r->status == 0)
		return false;
	return (result->errors != NULL && strstr(result->errors, agent_gone_text()) != NULL) ||
	       strstr(r->err, agent_gone_text()) != NULL;
}

static enum agent_end
judge(const struct agent_spec *s, const struct agent_record *r)
{
	const struct stream_result *result = &r->stream.result;

	if (session_gone(s, r))
		return AGENT_SESSION_GONE;
	if (!result->present) {
		if (r->stopped == AGENT_STOP_SILENT)
			return AGENT_SILENT;
		return r->stopped == AGENT_STOP_TIMEOUT ? AGENT_TIMEOUT : AGENT_NO_RESULT;
	}
	/* A result is the end of the work: how a process that lingers after it dies says nothing. */
	if (result->is_error || (r->stopped == AGENT_STOP_NONE && r->status != 0))
		return AGENT_FAILED;
	return s->json_schema != NULL && result->structured == NULL ? AGENT_NO_STRUCTURE : AGENT_OK;
}

/* The status that tells most: the result's, else that of the last retry, when the end came in a retry. */
static int
http_status(const struct agent_record *r)
{
	if (r->stream.result.http_status != 0 || r->stream.result.present)
		return r->stream.result.http_status;
	return r->stream.retries > 0 ? r->stream.last_retry_status : 0;
}

static bool
endpoint_trouble(const struct agent_record *r)
{
	const struct stream_result *result = &r->stream.result;

	return result->present
		   ? result->api_error != NULL && strcmp(result->api_error, "connection_failed") == 0
		   : r->stream.last_attempt > 0;
}

static const char *
advice_for_status(int status)
{
	switch (status) {
	case 401:
	case 403:
		return "The endpoint refuses the agent's login or key: log the agent in, or check the "
		       "configured key.";
	case 404:
		return "The endpoint does not know the model: check the configured model and base URL.";
	case 400:
	case 413:
		return "The endpoint refuses the request itself: make the task smaller, or check model and "
		       "base URL.";
	case 429:
		return "The key has reached its rate limit: wait until it resets, run fewer agents, or add a "
		       "key.";
	}
	if (status >= 500)
		return "The endpoint is overloaded or broken: try again later, or check its status page or "
		       "gateway.";
	return "The endpoint refuses the request: check the configured key, model and base URL.";
}

static const char *
advice(enum agent_end end, const struct agent_record *r)
{
	int status = http_status(r);

	if (end == AGENT_SESSION_GONE)
		return "It has to start afresh.";
	if (status != 0)
		return advice_for_status(status);
	if (endpoint_trouble(r))
		return "The endpoint could not be reached: check network, DNS, proxy and ANTHROPIC_BASE_URL.";
	switch (end) {
	case AGENT_SILENT:
		return "Its endpoint may accept requests and never answer: check it, or raise "
		       "agent_silence_s.";
	case AGENT_TIMEOUT:
		return "Raise agent_timeout_s, or make the task smaller.";
	case AGENT_NO_RESULT:
		return "Run the agent by hand with a short prompt to see why it stops.";
	case AGENT_NO_STRUCTURE:
		return "Ask again; a model that never answers in the wanted form needs a clearer task.";
	case AGENT_OK:
	case AGENT_FAILED:
	case AGENT_SESSION_GONE:
	case AGENT_NOT_STARTED:
		break;
	}
	return "See what it said, and retry the task.";
}

static void
say_end(FILE *f, const struct agent_record *r)
{
	char age[32], how[96];

	child_status_text(how, sizeof(how), r->status);
	clock_age(age, sizeof(age), r->end_ms - r->start_ms);
	switch (r->stopped) {
	case AGENT_STOP_NONE:
		fprintf(f, "The agent %s after %s", how, age);
		break;
	case AGENT_STOP_LINGER:
		fprintf(f, "The agent gave its result, did not leave, was ended by us and %s", how);
		break;
	case AGENT_STOP_SILENT:
		fprintf(f, "The agent was silent for too long and was ended after %s; it %s", age, how);
		break;
	case AGENT_STOP_TIMEOUT:
		fprintf(f, "The agent used up its time and was ended after %s; it %s", age, how);
		break;
	case AGENT_STOP_CANCEL:
		fprintf(f, "The agent was stopped after %s; it %s", age, how);
		break;
	}
	if (r->killed)
		fputs(" (it had ignored SIGTERM)", f);
	fputs(".", f);
}

/* "What: text." of a text by another party, as one line. */
static void
say_quote(FILE *f, const char *what, const char *text)
{
	char *line;

	if (text == NULL || text[0] == '\0')
		return;
	line = text_line(text, QUOTE_MAX);
	fprintf(f, " %s: %s", what, line);
	if (line[0] != '\0' && strchr(".!?", line[strlen(line) - 1]) == NULL)
		fputc('.', f);
	free(line);
}

static void
say_result(FILE *f, enum agent_end end, const struct stream_result *result)
{
	if (!result->present) {
		fputs(" It gave no result.", f);
		return;
	}
	if (end == AGENT_NO_STRUCTURE)
		fputs(" Its result lacks the structured answer that was asked for.", f);
	say_quote(f, "Its result", result->errors != NULL ? result->errors : result->text);
	if (result->http_status != 0)
		fprintf(f, " HTTP status %d%s%s.", result->http_status,
		    result->api_error_type != NULL ? ", " : "",
		    result->api_error_type != NULL ? result->api_error_type : "");
	if (result->terminal_reason != NULL && strcmp(result->terminal_reason, "completed") != 0)
		say_quote(f, "It ended for", result->terminal_reason);
	if (result->denials > 0)
		fprintf(f, " %u of its tool calls were denied.", result->denials);
}

static void
say_seen(FILE *f, const struct agent_record *r)
{
	const struct stream *s = &r->stream;
	char age[32];

	clock_age(age, sizeof(age), r->end_ms - r->last_ms);
	if (r->last[0] == '\0')
		fputs(" It had said nothing at all.", f);
	else
		fprintf(f, " Its last sign of life, %s before the end: %s.", age, r->last);
	if (s->open_tools > 0)
		fprintf(
		    f, " It was waiting for %u tool call%s.", s->open_tools, s->open_tools == 1 ? "" : "s");
	if (s->retries > 0) {
		fprintf(f, " It retried its endpoint %llu time%s, last attempt %llu of %llu",
		    (unsigned long long)s->retries, s->retries == 1 ? "" : "s",
		    (unsigned long long)r->retry_attempt, (unsigned long long)r->retry_max);
		if (s->last_retry_status != 0)
			fprintf(f, ", HTTP status %d", s->last_retry_status);
		else
			fputs(", no answer", f);
		fprintf(f, "%s%s.", r->retry_error[0] != '\0' ? ", " : "", r->retry_error);
	}
	if (s->garbage > 0)
		fprintf(f, " %llu of its %llu lines could not be read.", (unsigned long long)s->garbage,
		    (unsigned long long)s->lines);
}

static char *
explain(enum agent_end end, const struct agent_record *r)
{
	char *text = NULL, *tail = text_tail(r->err, r->err_size, QUOTE_MAX);
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		abort();
	say_end(f, r);
	say_result(f, end, &r->stream.result);
	say_seen(f, r);
	say_quote(f, "Its stderr ends in", tail);
	fprintf(f, " %s", advice(end, r));
	fclose(f);
	free(tail);
	return text;
}

/* It becomes an argument of the next call: what could be taken for an option is no session. */
static void
copy_session(char to[128], const char *session)
{
	size_t n = strlen(session);

	if (n >= 128 || !isalnum((unsigned char)session[0]))
		return;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)session[i]) && strchr("-_.", session[i]) == NULL)
			return;
	memcpy(to, session, n + 1);
}

void
agent_judge(const struct agent_spec *s, const struct agent_record *r, struct agent_outcome *o)
{
	const struct stream_result *result = &r->stream.result;

	o->end = judge(s, r);
	o->status = r->status;
	o->duration_ms = r->end_ms - r->start_ms;
	o->reason = o->end == AGENT_OK ? NULL : explain(o->end, r);
	if (result->text != NULL)
		o->text = text_utf8(result->text, strlen(result->text), TEXT_MAX);
	o->structured = xstrdup(result->structured);
	copy_session(o->session, r->stream.session);
	o->cost_uusd = result->cost_uusd;
	o->tokens_in = result->tokens_in;
	o->tokens_out = result->tokens_out;
	o->has_usage = result->has_usage;
}
