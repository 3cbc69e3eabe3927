/*
 * agent_judge: what an attempt that is over amounts to. Decided by fields, never by searching text: is_error
 * and the exit status first (a result's subtype says "success" of failures too), then startup_failure_reason,
 * terminal_reason, the API's error in the agent's own words, and api_error_status. Pure.
 */
#include "common/agent_impl.h"

#include "common/alloc.h"
#include "common/text.h"

#include <ctype.h>
#include <string.h>

#define TEXT_MAX (64u << 10)

struct row {
	const char *word;
	enum agent_end end;
};

/* terminal_reason, and the subtype of a version that does not give it. */
static const struct row reasons[] = {
    {"max_turns", AGENT_MAX_TURNS},
    {"error_max_turns", AGENT_MAX_TURNS},
    {"budget_exhausted", AGENT_BUDGET},
    {"error_max_budget_usd", AGENT_BUDGET},
    {"prompt_too_long", AGENT_TOO_LONG},
    {"blocking_limit", AGENT_TOO_LONG}, /* the context window is full and cannot be made smaller */
    {"structured_output_retry_exhausted", AGENT_NO_STRUCTURE},
    {"error_max_structured_output_retries", AGENT_NO_STRUCTURE},
    {NULL, AGENT_FAILED},
};

/* The API's error in the words of the agent's SDK (SDKAssistantMessageError), or api_error of a result. */
static const struct row words[] = {
    {"authentication_failed", AGENT_AUTH},
    {"oauth_org_not_allowed", AGENT_AUTH},
    {"account_on_hold", AGENT_AUTH},
    {"verification_required", AGENT_AUTH},
    {"billing_error", AGENT_AUTH},
    {"cloud_credential_error", AGENT_AUTH},
    {"rate_limit", AGENT_LIMITED},
    {"overloaded", AGENT_ENDPOINT},
    {"server_error", AGENT_ENDPOINT},
    {"connection_failed", AGENT_ENDPOINT},
    {"stream_idle_timeout", AGENT_ENDPOINT},
    {"model_not_found", AGENT_CONFIG},
    {NULL, AGENT_FAILED},
};

/* The type of an error, as the endpoint wrote it. */
static const struct row types[] = {
    {AGENT_BUDGET_TYPE, AGENT_BUDGET},
    {NULL, AGENT_FAILED},
};

static const char *const end_names[] = {
#define E(NAME, name, next) name,
    AGENT_ENDS(E)
#undef E
};

static const unsigned char end_next[] = {
#define E(NAME, name, next) AGENT_##next,
    AGENT_ENDS(E)
#undef E
};

const char *
agent_end_name(enum agent_end end)
{
	return end_names[end];
}

enum agent_next
agent_end_next(enum agent_end end)
{
	return (enum agent_next)end_next[end];
}

static enum agent_end
look_up(const struct row *rows, const char *word)
{
	for (; word != NULL && rows->word != NULL; rows++)
		if (strcmp(rows->word, word) == 0)
			return rows->end;
	return AGENT_FAILED;
}

static enum agent_end
of_status(int status)
{
	switch (status) {
	case 401:
	case 402:
	case 403:
		return AGENT_AUTH;
	case 404:
		return AGENT_CONFIG;
	case 413:
		return AGENT_TOO_LONG;
	case 429:
		return AGENT_LIMITED;
	case 408:
	case 409:
		return AGENT_ENDPOINT;
	}
	return status >= 500 ? AGENT_ENDPOINT : AGENT_FAILED;
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

/* A result that is an error: the most particular of what it says decides. */
static enum agent_end
judge_error(const struct agent_record *r)
{
	const struct stream_result *result = &r->stream.result;
	enum agent_end end;

	if (result->startup_failure != NULL)
		return AGENT_CONFIG;
	if ((end = look_up(reasons, result->terminal_reason)) != AGENT_FAILED ||
	    (end = look_up(reasons, result->subtype)) != AGENT_FAILED)
		return end;
	if ((end = look_up(types, result->api_error_type)) != AGENT_FAILED)
		return end;
	if ((end = look_up(words, r->stream.api_word)) != AGENT_FAILED ||
	    (end = look_up(words, result->api_error)) != AGENT_FAILED)
		return end;
	return of_status(result->http_status);
}

/* Ended in the middle of something. */
static enum agent_end
judge_no_result(const struct agent_record *r)
{
	enum agent_end end = AGENT_FAILED;

	if (r->stream.last_attempt > 0 && (end = look_up(words, r->retry_error)) == AGENT_FAILED)
		end = of_status(r->stream.last_retry_status);
	if (end == AGENT_LIMITED || end == AGENT_AUTH) /* time would not have changed it */
		return end;
	if (r->stopped == AGENT_STOP_CEILING)
		return AGENT_CEILING;
	if (r->stopped == AGENT_STOP_SILENT)
		return AGENT_SILENT;
	return r->stopped == AGENT_STOP_TIMEOUT ? AGENT_TIMEOUT : AGENT_NO_RESULT;
}

static enum agent_end
judge(const struct agent_spec *s, const struct agent_record *r)
{
	const struct stream_result *result = &r->stream.result;

	if (session_gone(s, r))
		return AGENT_SESSION_GONE;
	if (!result->present)
		return judge_no_result(r);
	/* A result is the end of the work: how a process that lingers after it dies says nothing. */
	if (result->is_error)
		return judge_error(r);
	if (r->stopped == AGENT_STOP_NONE && r->status != 0)
		return AGENT_FAILED;
	return s->json_schema != NULL && result->structured == NULL ? AGENT_NO_STRUCTURE : AGENT_OK;
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
	o->until_ms = o->end == AGENT_LIMITED ? r->stream.limited_until_ms : 0;
	if (result->text != NULL)
		o->text = text_utf8(result->text, strlen(result->text), TEXT_MAX);
	o->structured = xstrdup(result->structured);
	o->denied = xstrdup(result->denied);
	copy_session(o->session, r->stream.session);
	o->cost_uusd = result->cost_uusd;
	o->tokens_in = result->tokens_in;
	o->tokens_out = result->tokens_out;
	o->has_usage = result->has_usage;
}
