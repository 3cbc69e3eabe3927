/*
 * faults: every way in which the real CLI can fail, and what orch makes of it: the attempt ends within its
 * own limits, as what it is, and its reason names the cause. Prints a table with the time from the attempt's
 * start to its explained end, and the reason's beginning.
 *
 * Each row is a process of its own, several at once: most of the time is the CLI's waiting. Arguments are
 * names of rows: only those are run then.
 */
#include "common/agent.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/fd.h"
#include "common/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/helper/lib/realagent.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tmp.h"

#define AT_ONCE 6
#define SHOWN 160 /* bytes of a reason, behind what was tried */
#define SCHEMA                                                                                               \
	"{\"type\":\"object\",\"properties\":{\"summary\":{\"type\":\"string\"}},\"required\":[\"summary\"]" \
	"}"

/* How patient the CLI is in most rows; the limits of the attempt itself are far away. Silence in an answer is
 * never taken for shorter than ten seconds. */
static const struct agent_patience hasty = {.answer_ms = 2000, .idle_ms = 10000, .retries = 1};
static const struct agent_patience patient = {.answer_ms = 20000, .idle_ms = 10000, .retries = 3};

struct row {
	const char *name;
	const char *script;                    /* of the fake API; NULL: the endpoint is not ours */
	const char *env[2];                    /* "NAME=value"; "NAME=": not set */
	const struct agent_patience *patience; /* NULL: the CLI's own */
	void (*prepare)(struct real *f);
	enum agent_end end;
	const char *words[4]; /* what the reason must hold */
	int64_t within_ms;    /* the longest it may take */
};

static const char ok[] = "reply\ntext Well.\n";

/* What is particular to a row. */

/* The CLI with one thing about its call changed, which agent_run itself never does. */
static void
wrap(struct real *f, const char *before, const char *after)
{
	char *text = xasprintf("#!/bin/sh\nexec %s '%s' \"$@\" %s\n", before, real_program(), after);

	real_stand_in(f, text);
	free(text);
}

static void
as_root_without_sandbox(struct real *f)
{
	wrap(f, "env -u IS_SANDBOX", "");
}

/* With what the runner takes out of its log: pieces of messages. Only for the corpus. */
static void
raw(struct real *f)
{
	char *text = xasprintf("#!/bin/sh\n'%s' \"$@\" | tee '%s/raw'\n", real_program(), f->dir);

	real_stand_in(f, text);
	free(text);
}

static void
by_default_mode(struct real *f)
{
	f->spec.access = AGENT_READ_ONLY;
	wrap(f, "", "--tools Bash");
}

static void
two_turns(struct real *f)
{
	f->spec.options.max_turns = 2;
}

static void
small_budget(struct real *f)
{
	f->spec.options.max_musd = 1;
}

static void
unknown_model(struct real *f)
{
	f->spec.options.model = "bogus-model";
}

static void
with_schema(struct real *f)
{
	f->spec.access = AGENT_READ_ONLY;
	f->spec.json_schema = SCHEMA;
}

static void
missing(struct real *f)
{
	f->spec.program = "/nonexistent/claude";
}

static void
too_old(struct real *f)
{
	real_stand_in(f, "#!/bin/sh\ncase $1 in\n--version) echo '1.0.3 (Claude Code)' ;;\n"
			 "*) echo \"error: unknown option '--setting-sources'\" >&2; exit 1 ;;\nesac\n");
}

static void
corrupt_config(struct real *f)
{
	tmp_write(f->dir, "private/home/.claude.json", "{ \"numStartups\": 3,");
}

static void
impatient(struct real *f)
{
	f->spec.silence_ms = 3000;
}

/* Long enough for a busy machine to see the first retries, shorter than the later ones wait (8 s and more).
 */
static void
in_a_retry(struct real *f)
{
	f->spec.silence_ms = 6000;
}

static void
short_of_time(struct real *f)
{
	f->spec.timeout_ms = 3000;
}

/* What the roles do, for a user who wants no more than 45 s of silence; with fewer retries, to save time. */
static void
as_configured(struct real *f)
{
	struct conf c;

	conf_init(&c);
	c.agent_silence_ms = 45000;
	agent_patience(&c, 0, 0, &f->spec.patience);
	f->spec.patience.retries = 1;
	f->spec.silence_ms = f->spec.patience.silence_ms;
	conf_clear(&c);
}

static const struct row rows[] = {
    /* Those that end well, for the streams they give. */
    {"text", "reply\nusage 1200 34\ntext Hello.\n", {NULL}, NULL, NULL, AGENT_OK, {NULL}, 20000},
    {"tools",
	"reply\ntext Writing \xc3\xa9.\nwrite a.txt <<END\none\nEND\nbash cat a.txt; printf "
	"'\\000\\377\\033[1m'; false\n"
	"reply\ntool Read <<END\n{\"file_path\":\"none\"}\nEND\nreply\ntext Done.\n",
	{NULL}, NULL, NULL, AGENT_OK, {NULL}, 20000},
    {"plan",
	"reply\ntext Looking.\ntool Glob <<END\n{\"pattern\":\"*\"}\nEND\nbash true\n"
	"reply\nstructured <<END\n{\"summary\":\"It is all there.\"}\nEND\n",
	{NULL}, NULL, with_schema, AGENT_OK, {NULL}, 20000},
    {"subagent",
	"reply\ntool Agent <<END\n{\"description\":\"Look\",\"prompt\":\"Look around.\","
	"\"subagent_type\":\"general-purpose\"}\nEND\n"
	"reply\nbash true\nreply\ntext Nothing here.\nreply\ntext It found nothing.\n",
	{NULL}, NULL, NULL, AGENT_OK, {NULL}, 20000},
    {"partial", "reply\ntext Half of it, \xe2\x82\xac.\nbash echo x\nreply\ntext All.\n", {NULL}, NULL, raw,
	AGENT_OK, {NULL}, 20000},
    {"denied", "reply\nbash touch planted\nreply\ntext I may not.\n", {NULL}, NULL, by_default_mode, AGENT_OK,
	{NULL}, 20000},
    {"not-logged-in", ok, {"ANTHROPIC_API_KEY="}, NULL, NULL, AGENT_AUTH, {"Not logged in", NULL}, 20000},
    {"401", "http 401 forever\nmessage invalid x-api-key\n", {NULL}, &hasty, NULL, AGENT_AUTH,
	{"401", "Invalid API key", "key"}, 20000},
    {"403", "http 403 forever\nmessage this key may not do that\n", {NULL}, &hasty, NULL, AGENT_AUTH,
	{"403", "this key may not do that", "key"}, 20000},
    {"unknown-model", "http 404 forever\nmessage model: bogus-model\n", {NULL}, &hasty, unknown_model,
	AGENT_CONFIG, {"404", "bogus-model", "model"}, 20000},
    {"429-short", "http 429 forever\nheader retry-after: 1\nmessage slow down\n", {NULL}, &hasty, NULL,
	AGENT_LIMITED, {"429", "slow down", "rate limit"}, 20000},
    {"429-long", "http 429 forever\nheader retry-after: 3600\nmessage come back later\n", {NULL}, &hasty,
	NULL, AGENT_LIMITED, {"429", "come back later", "rate limit"}, 20000},
    {"429-without-retry-after", "http 429 forever\nmessage no date\n", {NULL}, &hasty, NULL, AGENT_LIMITED,
	{"429", "no date", "rate limit"}, 20000},
    {"429-then-ok", "http 429 x2\nheader retry-after: 1\nreply\ntext Well.\n", {NULL}, &patient, NULL,
	AGENT_OK, {NULL}, 20000},
    {"529", "http 529 forever\nmessage Overloaded\n", {NULL}, &patient, NULL, AGENT_ENDPOINT,
	{"529", "overloaded"}, 20000},
    {"500", "http 500 forever\nmessage boom\n", {NULL}, &hasty, NULL, AGENT_ENDPOINT, {"500", "boom"}, 20000},
    {"502-html", "http 502 forever\nbody text/html <<END\n<html><h1>Bad Gateway</h1></html>\nEND\n", {NULL},
	&hasty, NULL, AGENT_ENDPOINT, {"502", "Bad Gateway"}, 20000},
    {"refused", NULL, {"ANTHROPIC_BASE_URL=http://127.0.0.1:1"}, &hasty, NULL, AGENT_ENDPOINT,
	{"ECONNREFUSED", "could not connect", "could not be reached"}, 20000},
    {"unresolvable", NULL, {"ANTHROPIC_BASE_URL=http://api.orch.invalid"}, &hasty, NULL, AGENT_ENDPOINT,
	{"DNS", "no address", "could not be reached"}, 20000},
    {"reset", "fault reset forever\n", {NULL}, &hasty, NULL, AGENT_ENDPOINT,
	{"ECONNRESET", "could not be reached"}, 20000},
    {"closed", "fault close forever\n", {NULL}, &hasty, NULL, AGENT_ENDPOINT,
	{"dropped", "could not be reached"}, 20000},
    {"hang", "fault hang forever\n", {NULL}, &hasty, NULL, AGENT_ENDPOINT,
	{"timed out", "does not answer them in time"}, 20000},
    {"hang-until-silence", "fault hang forever\n", {NULL}, NULL, impatient, AGENT_SILENT,
	{"silent for too long", "never answer"}, 20000},
    {"hang-until-timeout", "fault hang forever\n", {NULL}, NULL, short_of_time, AGENT_TIMEOUT,
	{"used up its time", NULL}, 20000},
    {"401-until-silence", "http 401 forever\nmessage invalid x-api-key\n", {NULL}, NULL, in_a_retry,
	AGENT_AUTH, {"401", "key"}, 40000},
    {"500-until-silence", "http 500 forever\nmessage boom\n", {NULL}, NULL, in_a_retry, AGENT_SILENT,
	{"HTTP status 500", "overloaded or broken"}, 40000},
    {"hang-as-configured", "fault hang forever\n", {NULL}, NULL, as_configured, AGENT_ENDPOINT,
	{"timed out", "does not answer them in time"}, 100000},
    {"stall-as-configured", "fault stall forever\n", {NULL}, NULL, as_configured, AGENT_ENDPOINT,
	{"timed out", "does not answer them in time"}, 100000},
    {"stall-mid-as-configured", "fault stall-mid forever\n", {NULL}, NULL, as_configured, AGENT_ENDPOINT,
	{"timed out", "does not answer them in time"}, 100000},
    {"stall", "fault stall forever\n", {NULL}, &hasty, NULL, AGENT_ENDPOINT,
	{"timed out", "does not answer them in time"}, 40000},
    {"stall-until-silence", "fault stall forever\n", {NULL}, NULL, impatient, AGENT_SILENT, {"silent", NULL},
	20000},
    {"stall-mid", "fault stall-mid forever\n", {NULL}, &hasty, NULL, AGENT_ENDPOINT,
	{"timed out", "does not answer them in time"}, 40000},
    {"cut", "fault cut forever\n", {NULL}, &hasty, NULL, AGENT_ENDPOINT,
	{"onnection", "could not be reached"}, 20000},
    {"no-stop", "fault no-stop forever\n", {NULL}, &hasty, NULL, AGENT_ENDPOINT, {"mid-response", NULL},
	20000},
    {"bad-sse", "fault bad-sse\nreply\ntext Well.\n", {NULL}, &hasty, NULL, AGENT_OK, {NULL}, 20000},
    {"bad-json", "fault bad-json forever\n", {NULL}, &hasty, NULL, AGENT_FAILED, {"JSON", NULL}, 20000},
    {"empty", "fault empty forever\n", {NULL}, &hasty, NULL, AGENT_FAILED, {"empty or malformed", NULL},
	20000},
    {"slow", "reply\nslow 2\ntext Well.\n", {NULL}, &patient, NULL, AGENT_OK, {NULL}, 20000},
    {"prompt-too-long", "http 400 forever\nmessage prompt is too long: 250000 tokens > 200000 maximum\n",
	{NULL}, &hasty, NULL, AGENT_TOO_LONG, {"rompt is too long", NULL}, 20000},
    {"max-turns", "reply forever\nbash true\n", {NULL}, NULL, two_turns, AGENT_MAX_TURNS,
	{"Reached maximum number of turns (2)", "max_turns"}, 20000},
    {"budget", "reply forever\nbash true\n", {NULL}, NULL, small_budget, AGENT_BUDGET, {"budget", NULL},
	20000},
    {"schema-never-met", "reply forever\nstructured <<END\n{\"wrong\": 1}\nEND\n", {NULL}, NULL, with_schema,
	AGENT_NO_STRUCTURE, {"structured", NULL}, 20000},
    {"schema-ignored", "reply forever\ntext I would rather talk.\n", {NULL}, NULL, with_schema,
	AGENT_NO_STRUCTURE, {"lacks the structured answer", NULL}, 20000},
    {"root-refused", ok, {NULL}, NULL, as_root_without_sandbox, AGENT_CONFIG, {"root", NULL}, 20000},
    {"missing", ok, {NULL}, NULL, missing, AGENT_NOT_STARTED, {"/nonexistent/claude", "install the agent"},
	1000},
    {"too-old", ok, {NULL}, NULL, too_old, AGENT_NO_RESULT, {"unknown option", NULL}, 5000},
    {"corrupt-config", ok, {NULL}, NULL, corrupt_config, AGENT_CONFIG,
	{"Configuration error", ".claude.json"}, 20000},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const char *
complaint(const struct row *row, const struct real *f, int64_t took_ms)
{
	static char text[256];

	if (f->o.end != row->end) {
		snprintf(text, sizeof(text), "it ended as %s, not %s", agent_end_name(f->o.end),
		    agent_end_name(row->end));
		return text;
	}
	if (took_ms > row->within_ms)
		return "it took too long";
	if (row->end == AGENT_OK)
		return f->o.reason == NULL ? NULL : "it has a reason";
	for (size_t i = 0; i < 4 && row->words[i] != NULL; i++) {
		if (f->o.reason == NULL || strstr(f->o.reason, row->words[i]) == NULL) {
			snprintf(text, sizeof(text), "its reason lacks '%s'", row->words[i]);
			return text;
		}
	}
	return NULL;
}

/* For looking at what the CLI wrote, and to record it: $ORCH_REAL_KEEP is a folder for all streams. */
static void
keep_stream(const struct row *row, const struct real *f)
{
	const char *folder = getenv("ORCH_REAL_KEEP");
	char *data, *path, *other = tmp_path(f->dir, "raw");
	bool kept;
	size_t size;

	kept = folder != NULL && (fd_read_file(other, 64u << 20, &data, &size) == 0 ||
				     fd_read_file(f->log, 64u << 20, &data, &size) == 0);
	free(other);
	if (!kept)
		return;
	path = xasprintf("%s/%s", folder, row->name);
	fd_write_file(path, data, size, 0600);
	free(path);
	free(data);
}

static int
run_row(const struct row *row, FILE *out)
{
	struct real *f = real_new();
	const char *wrong, *reason;
	char *shown;
	int64_t began, took_ms;

	for (size_t i = 0; i < 2 && row->env[i] != NULL; i++)
		real_env(f, row->env[i]);
	if (row->patience != NULL)
		f->spec.patience = *row->patience;
	if (row->script != NULL)
		real_script(f, row->script);
	if (row->prepare != NULL)
		row->prepare(f);
	began = clock_now_ms();
	real_run(f);
	took_ms = clock_now_ms() - began;
	wrong = complaint(row, f, took_ms);
	reason = f->o.reason != NULL ? f->o.reason : "";
	if (wrong == NULL && strstr(reason, ": ") != NULL)
		reason = strstr(reason, ": ") + 2;
	shown = text_utf8(reason, strlen(reason), wrong != NULL ? 4000 : SHOWN);
	fprintf(out, "| %s | %.1f s | %s | %s |\n", row->name, (double)took_ms / 1000,
	    agent_end_name(f->o.end), shown);
	free(shown);
	if (wrong != NULL)
		fprintf(out, "FAILED: %s: %s\n", row->name, wrong);
	keep_stream(row, f);
	real_free(f);
	return wrong != NULL;
}

/* The processes of the rows. */

struct job {
	pid_t pid;
	FILE *out;
};

static void
start(struct job *j, const struct row *row)
{
	j->out = tmpfile();
	if (j->out == NULL)
		abort();
	fflush(stdout);
	j->pid = fork();
	if (j->pid == 0) {
		int rc = run_row(row, j->out);

		fflush(j->out);
		exit(rc);
	}
}

/* Waits for any of them; false when none is left. */
static bool
finish_one(struct job *jobs, unsigned *failed)
{
	int status;
	pid_t pid = wait(&status);

	if (pid < 0)
		return false;
	for (size_t i = 0; i < ROWS; i++) {
		char line[8192];

		if (jobs[i].pid != pid)
			continue;
		rewind(jobs[i].out);
		while (fgets(line, sizeof(line), jobs[i].out) != NULL)
			fputs(line, stdout);
		fclose(jobs[i].out);
		if (status != 0)
			(*failed)++;
		if (WIFSIGNALED(status))
			printf("FAILED: %s: killed by signal %d\n", rows[i].name, WTERMSIG(status));
	}
	return true;
}

static bool
wanted(const struct row *row, char **names)
{
	if (row->prepare == as_root_without_sandbox && geteuid() != 0)
		return false; /* others are not refused */
	for (char **name = names; *name != NULL; name++)
		if (strcmp(*name, row->name) == 0)
			return true;
	return *names == NULL;
}

int
main(int argc, char **argv)
{
	struct job jobs[ROWS] = {{0}};
	unsigned failed = 0, running = 0, all = 0;

	(void)argc;
	real_enter(argv);
	puts("| fault | explained after | end | reason |\n|---|---|---|---|");
	for (size_t i = 0; i < ROWS; i++) {
		if (!wanted(&rows[i], argv + 1))
			continue;
		for (; running >= AT_ONCE && finish_one(jobs, &failed); running--)
			continue;
		start(&jobs[i], &rows[i]);
		running++;
		all++;
	}
	while (finish_one(jobs, &failed))
		continue;
	printf("%u of %u rows passed\n", all - failed, all);
	return failed > 0 || all == 0;
}
