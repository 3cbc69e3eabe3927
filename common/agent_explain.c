/*
 * agent_explain: the paragraph about an attempt that ended badly: what was tried, how it ended, what was seen
 * last, what a look at the endpoint found, and what to do. Pure.
 */
#include "common/agent_impl.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/text.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define QUOTE_MAX 1200

/* The status that tells most: the result's, else that of the last retry, when the end came in a retry. */
static int
http_status(const struct agent_record *r)
{
	if (r->stream.result.http_status != 0 || r->stream.result.present)
		return r->stream.result.http_status;
	return r->stream.retries > 0 ? r->stream.last_retry_status : 0;
}

static const char *
advice_for_auth(int status)
{
	switch (status) {
	case 0:
		return "Log the agent in (run it once by hand, or claude setup-token), or configure a key "
		       "(CLAUDE_CONFIGS, --keys, or ANTHROPIC_API_KEY in orch's environment).";
	case 402:
		return "The endpoint wants to be paid first: see the account's billing, or use another key.";
	case 403:
		return "The endpoint knows the login or key but does not allow this: check what the key may "
		       "do, its organisation, and the model.";
	}
	return "The endpoint refuses the agent's login or key: log the agent in again, or check the "
	       "configured key.";
}

static const char *
advice_for_config(const struct agent_record *r)
{
	const char *reason = r->stream.result.startup_failure;

	if (reason != NULL && strcmp(reason, "bypass_root") == 0)
		return "Run orch as a user that is not root, or in a container with IS_SANDBOX=1.";
	if (reason != NULL && strcmp(reason, "config_file_invalid") == 0)
		return "Put the agent's configuration file right, or remove it, and retry the task.";
	if (reason != NULL)
		return "Put right what it names, and retry the task.";
	return "The endpoint does not know the model: check the option model and the base URL.";
}

/* No status and no failed connection: it was waited for in vain (claude 2.1.330 gives no word for that). */
static bool
timed_out(const struct stream_result *result)
{
	return result->present &&
	       (result->api_error == NULL || strcmp(result->api_error, "stream_idle_timeout") == 0);
}

static const char *
advice_for_endpoint(const struct agent_record *r)
{
	if (http_status(r) != 0)
		return "The endpoint is overloaded or broken: try again later, or check its status page or "
		       "gateway.";
	if (timed_out(&r->stream.result))
		return "The endpoint takes requests and does not answer them in time: check it, and any "
		       "gateway before it; where it is only slow, raise api_timeout_ms.";
	return "The endpoint could not be reached: check network, DNS, proxy and ANTHROPIC_BASE_URL.";
}

static const char *
advice(enum agent_end end, const struct agent_record *r)
{
	int status = http_status(r);

	switch (end) {
	case AGENT_AUTH:
		return advice_for_auth(status);
	case AGENT_CONFIG:
		return advice_for_config(r);
	case AGENT_LIMITED:
		return "The key or login has reached its rate limit: the task waits until it resets; fewer "
		       "agents at once (max_ems, max_workers_per_em) or another key make it shorter.";
	case AGENT_ENDPOINT:
		return advice_for_endpoint(r);
	case AGENT_TOO_LONG:
		return "The endpoint refuses the request for its size: make the task smaller, or choose a "
		       "model with a larger context.";
	case AGENT_MAX_TURNS:
		return "Raise max_turns, or make the task smaller.";
	case AGENT_BUDGET:
		return "Raise max_usd (or max_task_usd, max_run_usd, where it says so), or make the task "
		       "smaller, "
		       "and retry the task.";
	case AGENT_SESSION_GONE:
		return "It has to start afresh.";
	case AGENT_SILENT:
		if (r->stream.last_attempt > 0)
			return advice_for_endpoint(r);
		return "Its endpoint may accept requests and never answer: check it, or raise "
		       "agent_silence_s.";
	case AGENT_CEILING:
		return r->over.what == PTREE_OVER_TOTAL
			   ? "Raise total_memory_mb, or let fewer agents work at once (max_agents)."
		       : r->over.what == PTREE_OVER_MEMORY
			   ? "Raise agent_memory_mb, or make the task, or what its tools do at once, smaller."
			   : "Raise agent_max_processes, or look at what its tools start.";
	case AGENT_TIMEOUT:
		return "Raise agent_timeout_s, or make the task smaller.";
	case AGENT_NO_RESULT:
		return r->stream.lines == 0
			   ? "See what it wrote; is it a claude CLI that is not too old?"
			   : "Run the agent by hand with a short prompt to see why it stops.";
	case AGENT_NO_STRUCTURE:
		return "Ask again; a model that never answers in the wanted form needs a clearer task.";
	case AGENT_OK:
	case AGENT_FAILED:
	case AGENT_NOT_STARTED:
		break;
	}
	if (status == 400)
		return "The endpoint refuses the request itself: check the model and the base URL.";
	return "See what it said, and retry the task.";
}

/* What was tried. */
static void
say_attempt(FILE *f, const struct agent_spec *s, const struct agent_record *r)
{
	const char *slash = strrchr(s->program, '/');
	const char *model = r->stream.model[0] != '\0' ? r->stream.model : s->options.model;

	fprintf(f, "%s%s%s", slash != NULL ? slash + 1 : s->program, r->stream.version[0] != '\0' ? " " : "",
	    r->stream.version);
	if (model != NULL)
		fprintf(f, ", model %s", model);
	if (s->session != NULL)
		fprintf(f, ", %s session %s", s->resume ? "resumed" : "new", s->session);
	if (s->label != NULL)
		fprintf(f, ", for %s", s->label);
	fputs(": ", f);
}

/* The CLI ends by itself on these, with a status that names the signal. */
static const char *
asked_by(const struct agent_record *r)
{
	if (r->stopped != AGENT_STOP_NONE || !WIFEXITED(r->status))
		return "";
	switch (WEXITSTATUS(r->status)) {
	case 128 + SIGTERM:
		return " (somebody else sent it SIGTERM)";
	case 128 + SIGHUP:
		return " (somebody else sent it SIGHUP)";
	case 0:
		return r->stream.result.present ? "" : " (as it does when somebody sends it SIGINT)";
	}
	return "";
}

static void
say_end(FILE *f, const struct agent_record *r)
{
	char age[32], how[96], over[200];

	child_status_text(how, sizeof(how), r->status);
	clock_age(age, sizeof(age), r->end_ms - r->start_ms);
	switch (r->stopped) {
	case AGENT_STOP_NONE:
		fprintf(f, "The agent %s after %s%s", how, age, asked_by(r));
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
	case AGENT_STOP_CEILING:
		fprintf(f, "The agent was ended after %s: %s; it %s", age,
		    ptree_over_text(&r->over, over, sizeof(over)), how);
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
	if (result->startup_failure != NULL)
		say_quote(f, "It did not start for", result->startup_failure);
	if (result->denials > 0)
		fprintf(f, " %u of its tool calls were denied%s%s.", result->denials,
		    result->denied != NULL ? ": " : "", result->denied != NULL ? result->denied : "");
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

static void
say_limit(FILE *f, int64_t until_ms)
{
	char when[32];

	if (until_ms > 0)
		fprintf(f, " The limit resets at %s.", clock_iso(when, sizeof(when), until_ms));
}

char *
agent_explain(const struct agent_spec *s, const struct agent_record *r, enum agent_end end, const char *probe)
{
	char *text = NULL, *tail = text_tail(r->err, r->err_size, QUOTE_MAX);
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		abort();
	say_attempt(f, s, r);
	say_end(f, r);
	say_result(f, end, &r->stream.result);
	say_seen(f, r);
	say_quote(f, "Its stderr ends in", tail);
	say_limit(f, end == AGENT_LIMITED ? r->stream.limited_until_ms : 0);
	if (probe != NULL)
		fprintf(f, " %s", probe);
	fprintf(f, " %s", advice(end, r));
	fclose(f);
	free(tail);
	return text;
}
