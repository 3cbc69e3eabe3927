/*
 * agent_backend: how the claude CLI is called, and the figures by which it is waited for; measured with its
 * version 2.1.330.
 */
#include "common/agent_backend.h"

#include "common/agent.h"
#include "common/agent_impl.h"
#include "common/conf.h"

#include <string.h>

/* A repository's own settings, hooks and MCP servers stay out: they could send the key elsewhere. */
const struct agent_backend agent_backend = {
    .argv = {"-p", "--output-format", "stream-json", "--verbose", "--setting-sources", "user",
	"--strict-mcp-config",
	"--include-partial-messages"}, /* else a long answer is minutes without a sign of life */
    .full = {"--dangerously-skip-permissions"},
    .read_only = {"--tools", "Read,Grep,Glob", "--allowedTools", "Read,Grep,Glob", "--permission-mode",
	"default"}, /* unattended, the default mode denies whatever is not allowed */
    .session = "--session-id",
    .resume = "--resume",
    .schema = "--json-schema",
    .model = "--model",
    .max_turns = "--max-turns",
    .max_usd = "--max-budget-usd",
    .debug = "--debug-file",
    .allowed = {"--permission-mode", "default", "--allowedTools"},
    .refused = {"-p", "--print", "--output-format", "--input-format", "--verbose", "--setting-sources",
	"--strict-mcp-config", "--session-id", "-r", "--resume", "-c", "--continue", "--fork-session",
	"--no-session-persistence", "--json-schema", "--model", "--max-turns", "--max-budget-usd",
	"--debug-file", "--include-partial-messages", "--allowedTools", "--allowed-tools",
	"--permission-mode", "--dangerously-skip-permissions", "--bare", "--", "-v", "--version", "-h",
	"--help"},
    .env = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", "DISABLE_TELEMETRY=1", "DISABLE_ERROR_REPORTING=1",
	"DISABLE_AUTOUPDATER=1",
	"CLAUDE_CODE_DISABLE_BACKGROUND_TASKS=1", /* else it holds the process for up to 600 s */
	"CLAUDE_CODE_STARTUP_FAILURE_RESULTS=1"},
    .answer_ms = "API_TIMEOUT_MS",
    .idle_ms = "CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS",
    .retries = "CLAUDE_CODE_MAX_RETRIES",
    .root_env = "IS_SANDBOX=1",
    .url = "https://api.anthropic.com",
    .url_env = "ANTHROPIC_BASE_URL",
    .key_env = {"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"},
    .config_env = "CLAUDE_CONFIG_DIR",
    .config_dir = ".claude",
    .login_env = "CLAUDE_SECURESTORAGE_CONFIG_DIR", /* a token that it renews stays the user's */
    .config_files = {"settings.json"},              /* apiKeyHelper, env */
    .version_arg = "--version",
    .version_mark = " (Claude Code)",
    .version_min = {2, 1, 0}, /* before it, options that we cannot do without are missing */
    .gone = "No conversation found with session ID",
};

bool
agent_name_in(const char *const *list, const char *pair)
{
	size_t n = strcspn(pair, "=");

	for (size_t i = 0; list[i] != NULL; i++) {
		size_t len = strlen(list[i]);

		if (list[i][len - 1] == '*' ? n >= len - 1 && strncmp(list[i], pair, len - 1) == 0
					    : n == len && strncmp(list[i], pair, n) == 0)
			return true;
	}
	return false;
}

/*
 * Defaults: the CLI's own 10 retries take 200 s and more of mere waiting, its 360 s for an answer to begin
 * are longer than our silence timeout. 4 retries outlive a hiccup (8 s of backoff in all); a queue in front
 * of a busy model is passed well within 120 s; an answer under way pings every few seconds, so 60 s of
 * nothing are a dead connection. A server that takes requests and never answers then ends an attempt in 10
 * minutes, with a result that says so, and its retries are seen meanwhile.
 */
#define ANSWER_MS 120000
#define IDLE_MS 60000
#define IDLE_MIN_MS 10000 /* the CLI takes anything below as that */
#define RETRIES 4
#define MARGIN_MS 30000 /* for what is not waiting */
#define AFTER_MS 20000  /* how much later than the gateway it gives up */

/* The silence timeout is to be longer than what the program waits. */
static void
fit_silence(struct agent_patience *p)
{
	if (p->silence_ms < p->answer_ms + 2 * p->idle_ms + MARGIN_MS)
		p->silence_ms = p->answer_ms + 2 * p->idle_ms + MARGIN_MS;
}

void
agent_patience(const struct conf *c, int64_t answer_ms, int64_t idle_ms, struct agent_patience *p)
{
	int64_t silence = (int64_t)c->agent_silence_ms;

	p->retries = RETRIES;
	p->silence_ms = silence;
	if (answer_ms > 0) {
		p->answer_ms = answer_ms + AFTER_MS;
		if (p->answer_ms < (int64_t)c->api_timeout_ms)
			p->answer_ms = (int64_t)c->api_timeout_ms;
		p->idle_ms = idle_ms + AFTER_MS;
		fit_silence(p);
		return;
	}
	if (c->api_timeout_ms > 0) { /* what a person set is kept, and the silence made to fit */
		p->answer_ms = (int64_t)c->api_timeout_ms;
		p->idle_ms = IDLE_MS;
		fit_silence(p);
		return;
	}
	p->answer_ms = silence * 2 / 5 < ANSWER_MS ? silence * 2 / 5 : ANSWER_MS;
	p->idle_ms = silence / 5 < IDLE_MS ? silence / 5 : IDLE_MS;
	if (p->idle_ms < IDLE_MIN_MS)
		p->idle_ms = IDLE_MIN_MS;
}

const char *
agent_refused_arg(const json_t *args)
{
	size_t i;
	json_t *item;

	json_array_foreach ((json_t *)args, i, item)
		if (agent_name_in(agent_backend.refused, json_string_value(item)))
			return json_string_value(item);
	return NULL;
}

const char *
agent_gone_text(void)
{
	return agent_backend.gone;
}

const char *
agent_base_url(const char *const *env, bool *chosen)
{
	const char *name = agent_backend.url_env;
	size_t n = strlen(name);

	*chosen = true;
	for (size_t i = 0; env != NULL && env[i] != NULL; i++)
		if (strncmp(env[i], name, n) == 0 && env[i][n] == '=' && env[i][n + 1] != '\0')
			return env[i] + n + 1;
	*chosen = false;
	return agent_backend.url;
}
