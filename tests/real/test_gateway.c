/*
 * gateway: the real CLI behind the real orch-gateway, whose endpoint fails in every way of test_faults: what
 * the CLI notices of it, what its user is told, and how long it took. A row has one key, whose endpoint
 * fails, or two, of which the second one's is well: then nothing may be noticed. Prints a table; arguments
 * are names of rows. After --alone the CLI asks the first key's endpoint itself, as patiently; nothing is
 * checked then.
 *
 * Each row is a process of its own, several at once. The gateways are this program's, not the rows': an
 * attempt ends whatever lives below its own process.
 */
#include "common/agent.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/helper/lib/gatewayproc.h"
#include "tests/helper/lib/realagent.h"
#include "tests/helper/lib/test.h"

#define AT_ONCE 6
#define SHOWN 120
#define ANY 99
#define WELL "reply forever\ntext Well.\n"

/* The limits of the gateway; those of the CLI are larger, so that it is the gateway that acts. */
#define FIRST_BYTE "2000"
#define SILENCE "2500"
static const struct agent_patience patient = {.answer_ms = 25000, .idle_ms = 15000, .retries = 1};
/* For those that the gateway lets wait: once is enough to see it. */
static const struct agent_patience once = {.answer_ms = 25000, .idle_ms = 15000};
static const struct agent_patience hasty = {.answer_ms = 5000, .idle_ms = 15000};

struct row {
	const char *name;
	const char *script; /* of the first key's endpoint; NULL: nobody listens there */
	const char *second; /* of the second key's; NULL: there is one key */
	enum agent_end end;
	const char *words[3]; /* that the reason must hold */
	unsigned retries;     /* that the CLI may see; ANY */
	const char *option[2];
	const struct agent_patience *patience; /* NULL: patient */
};

static const struct row rows[] = {
    {"well", WELL, NULL, AGENT_OK, {NULL}, 0, {NULL}, NULL},
    {"401", "http 401 forever\nmessage invalid x-api-key\n", NULL, AGENT_AUTH, {"401", "key"}, ANY, {NULL},
	NULL},
    {"401, second key", "http 401 forever\n", WELL, AGENT_OK, {NULL}, 0, {NULL}, NULL},
    {"403", "http 403 forever\nmessage this key may not do that\n", NULL, AGENT_AUTH, {"403", "may not"}, ANY,
	{NULL}, NULL},
    {"403, second key", "http 403 forever\n", WELL, AGENT_OK, {NULL}, 0, {NULL}, NULL},
    {"unknown-model", "http 404 forever\nmessage model: bogus-model\n", NULL, AGENT_CONFIG, {"404", "model"},
	ANY, {NULL}, NULL},
    {"429-short", "http 429 forever\nheader retry-after: 1\nmessage slow down\n", NULL, AGENT_ENDPOINT,
	{"timed out"}, ANY, {NULL}, &hasty},
    {"429-short-then-ok", "http 429 x3\nheader retry-after: 1\nreply\ntext Well.\n", NULL, AGENT_OK, {NULL},
	0, {NULL}, NULL},
    {"429-long", "http 429 forever\nheader retry-after: 3600\nmessage come back later\n", NULL, AGENT_LIMITED,
	{"429", "come back later"}, ANY, {NULL}, NULL},
    {"429-long, second key", "http 429 forever\nheader retry-after: 3600\n", WELL, AGENT_OK, {NULL}, 0,
	{NULL}, NULL},
    {"429-without-retry-after", "http 429 forever\nmessage no date\n", NULL, AGENT_LIMITED,
	{"429", "no date"}, ANY, {NULL}, NULL},
    {"429-without-retry-after-then-ok", "http 429\nreply\ntext Well.\n", NULL, AGENT_OK, {NULL}, 0, {NULL},
	NULL},
    {"529", "http 529 forever\nmessage Overloaded\n", NULL, AGENT_ENDPOINT, {"529"}, ANY, {NULL}, NULL},
    {"529, second key", "http 529 forever\n", WELL, AGENT_OK, {NULL}, 0, {NULL}, NULL},
    {"500", "http 500 forever\nmessage boom\n", NULL, AGENT_ENDPOINT, {"500", "boom"}, ANY, {NULL}, NULL},
    {"500, second key", "http 500 forever\n", WELL, AGENT_OK, {NULL}, 0, {NULL}, NULL},
    {"502-html", "http 502 forever\nbody text/html <<END\n<html>Bad Gateway</html>\nEND\n", NULL,
	AGENT_ENDPOINT, {"502"}, ANY, {NULL}, NULL},
    {"refused", NULL, NULL, AGENT_ENDPOINT, {"key a", "Failed to connect"}, 0, {NULL}, &once},
    {"refused, second key", NULL, WELL, AGENT_OK, {NULL}, 0, {NULL}, NULL},
    {"reset", "fault reset forever\n", NULL, AGENT_ENDPOINT, {"50"}, ANY, {NULL}, NULL},
    {"reset, second key", "fault reset forever\n", WELL, AGENT_OK, {NULL}, 0, {NULL}, NULL},
    {"closed, second key", "fault close forever\n", WELL, AGENT_OK, {NULL}, 0, {NULL}, NULL},
    {"hang", "fault hang forever\n", NULL, AGENT_ENDPOINT, {"no answer within 2000 ms", "504"}, ANY, {NULL},
	NULL},
    {"hang, second key", "fault hang forever\n", WELL, AGENT_OK, {NULL}, 0, {NULL}, NULL},
    {"stall", "fault stall forever\n", NULL, AGENT_ENDPOINT, {"silent for 2500 ms"}, ANY, {NULL}, NULL},
    {"stall, second key", "fault stall forever\n", WELL, AGENT_OK, {NULL}, 0, {NULL}, NULL},
    {"stall-mid", "fault stall-mid\nreply\ntext Well.\n", NULL, AGENT_OK, {NULL}, ANY, {NULL}, NULL},
    {"cut", "fault cut\nreply\ntext Well.\n", NULL, AGENT_OK, {NULL}, ANY, {NULL}, NULL},
    {"no-stop", "fault no-stop forever\n", NULL, AGENT_ENDPOINT, {"mid-response"}, ANY, {NULL}, NULL},
    {"bad-sse", "fault bad-sse\nreply\ntext Well.\n", NULL, AGENT_OK, {NULL}, ANY, {NULL}, NULL},
    {"bad-json", "fault bad-json forever\n", NULL, AGENT_FAILED, {"JSON"}, ANY, {NULL}, NULL},
    {"empty", "fault empty forever\n", NULL, AGENT_FAILED, {"empty or malformed"}, ANY, {NULL}, NULL},
    {"slow", "reply\nslow 2\ntext Well.\n", NULL, AGENT_OK, {NULL}, 0, {NULL}, NULL},
    {"prompt-too-long", "http 400 forever\nmessage prompt is too long: 250000 tokens > 200000 maximum\n",
	NULL, AGENT_TOO_LONG, {"rompt is too long"}, ANY, {NULL}, NULL},
    {"over-budget", "reply\nusage 100000 20\nbash true\nreply forever\ntext Never.\n", NULL, AGENT_BUDGET,
	{"402", "nothing is left of the budget"}, 0, {"--budget", "1"}, NULL},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

struct job {
	pid_t pid;
	FILE *out;
	struct gatewayproc gateway;
};

/* The script of a row's key, and its configuration. */
static char *
make_key(size_t row, char key, const char *script)
{
	char *path = xasprintf("%s/scripts/gw%zu%c", getenv("ORCH_FAKEAPI_DIR"), row, key), *url, *text;

	if (script != NULL && fd_write_file(path, script, strlen(script), 0600) < 0)
		abort();
	url = script == NULL ? xstrdup("http://127.0.0.1:1")
			     : xasprintf("%s/w/gw%zu%c", getenv("ORCH_FAKEAPI_URL"), row, key);
	text = xasprintf(
	    "{\"name\":\"%c\",\"apiKey\":\"sk-test-dummy-%c\",\"env\":{\"ANTHROPIC_BASE_URL\":\"%s\","
	    "\"API_TIMEOUT_MS\":\"" FIRST_BYTE "\"}}",
	    key, key, url);
	free(path);
	free(url);
	return text;
}

static void
start_gateway(struct gatewayproc *p, size_t row)
{
	const struct row *r = &rows[row];
	const char *extra[] = {"--silence", SILENCE, r->option[0], r->option[1], NULL};
	char *a = make_key(row, 'a', r->script),
	     *b = r->second == NULL ? NULL : make_key(row, 'b', r->second);
	char *text = xasprintf("[%s%s%s]", a, b == NULL ? "" : ",", b == NULL ? "" : b);

	gatewayproc_start(p, text, 1, extra);
	free(text);
	free(a);
	free(b);
}

static const char *
complaint(const struct row *row, const struct real *f)
{
	static char text[256];

	if (f->o.end != row->end) {
		snprintf(text, sizeof(text), "it ended as %s, not %s", agent_end_name(f->o.end),
		    agent_end_name(row->end));
		return text;
	}
	for (size_t i = 0; i < 3 && row->words[i] != NULL; i++) {
		if (f->o.reason == NULL || strstr(f->o.reason, row->words[i]) == NULL) {
			snprintf(text, sizeof(text), "its reason lacks '%s'", row->words[i]);
			return text;
		}
	}
	if (f->retries > row->retries) {
		snprintf(text, sizeof(text), "the CLI saw %u retries, not %u", f->retries, row->retries);
		return text;
	}
	return NULL;
}

/* What the gateway said last that was no request's line: that is an event of the run for the user. */
static char *
last_note(const struct gatewayproc *p)
{
	char *log = gatewayproc_read(p->log), *rest = log, *line, *found = NULL;

	while ((line = strsep(&rest, "\n")) != NULL) {
		char *text = strstr(line, "]: ");

		if (text == NULL || strstr(text, " POST ") != NULL || strstr(text, " GET ") != NULL)
			continue;
		free(found);
		found = xstrdup(text + strlen("]: "));
	}
	free(log);
	return found != NULL ? found : xstrdup("");
}

static bool alone;

/* Where the CLI asks. */
static char *
make_url(const struct row *row, const struct gatewayproc *p)
{
	if (!alone)
		return xasprintf("ANTHROPIC_BASE_URL=http://127.0.0.1:%u", p->port);
	if (row->script == NULL)
		return xstrdup("ANTHROPIC_BASE_URL=http://127.0.0.1:1");
	return xasprintf("ANTHROPIC_BASE_URL=%s/w/gw%zua", getenv("ORCH_FAKEAPI_URL"), (size_t)(row - rows));
}

static int
run_row(const struct row *row, const struct gatewayproc *p, FILE *out)
{
	struct real *f = real_new();
	char *url = make_url(row, p);
	char *token = xasprintf("ANTHROPIC_AUTH_TOKEN=%s", p->tokens[0]), *note, *shown;
	const char *wrong, *reason;
	int64_t began;

	real_env(f, "ANTHROPIC_API_KEY=");
	real_env(f, url);
	real_env(f, token);
	f->spec.patience = row->patience != NULL ? *row->patience : patient;
	began = clock_now_ms();
	real_run(f);
	began = clock_now_ms() - began;
	wrong = alone ? NULL : complaint(row, f);
	note = last_note(p);
	reason = f->o.reason != NULL ? f->o.reason : "";
	if (wrong == NULL && strstr(reason, ": ") != NULL)
		reason = strstr(reason, ": ") + 2;
	shown = text_utf8(reason, strlen(reason), wrong != NULL ? 4000 : SHOWN);
	fprintf(out, "| %s | %.1f s | %u | %s | %s | %.160s |\n", row->name, (double)began / 1000, f->retries,
	    agent_end_name(f->o.end), shown, note);
	if (wrong != NULL) {
		char *log = gatewayproc_read(p->log);

		fprintf(out, "FAILED: %s: %s\n%s", row->name, wrong, log);
		free(log);
	}
	real_free(f);
	free(shown);
	free(note);
	free(token);
	free(url);
	return wrong != NULL;
}

static void
start(struct job *j, size_t row)
{
	start_gateway(&j->gateway, row);
	j->out = tmpfile();
	if (j->out == NULL)
		abort();
	fflush(stdout);
	j->pid = fork();
	if (j->pid == 0) {
		int rc = run_row(&rows[row], &j->gateway, j->out);

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
		if (gatewayproc_stop(&jobs[i].gateway) != 0) {
			printf("FAILED: %s: its gateway did not end well\n", rows[i].name);
			(*failed)++;
		}
	}
	return true;
}

static bool
wanted(const struct row *row, char **names)
{
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

	real_enter(argv);
	if (argc > 1 && strcmp(argv[1], "--alone") == 0) {
		alone = true;
		argv++;
	}
	puts("| endpoint of the key | ended after | retries seen | end | the user is told | last event |\n"
	     "|---|---|---|---|---|---|");
	for (size_t i = 0; i < ROWS; i++) {
		if (!wanted(&rows[i], argv + 1))
			continue;
		for (; running >= AT_ONCE && finish_one(jobs, &failed); running--)
			continue;
		start(&jobs[i], i);
		running++;
		all++;
	}
	while (finish_one(jobs, &failed))
		continue;
	printf("%u of %u rows as wanted\n", all - failed, all);
	return failed > 0 || all == 0;
}
