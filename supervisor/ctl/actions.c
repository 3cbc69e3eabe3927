/* actions: see actions.h. The rules are GitHub's "Workflow commands": %, CR and LF are escaped in a message,
 * also : and , in a property; commands are off between ::stop-commands::TOKEN and ::TOKEN::. */
#include "supervisor/ctl/actions.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/configs.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/text.h"
#include "supervisor/ctl/out.h"
#include "supervisor/ctl/target.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CUT_WORDS "\n\n(The rest is cut: GitHub takes 1 MiB. `orchctl report --md` has all of it.)\n"
#define NOTE_MAX 2000

bool
actions_on(void)
{
	const char *on = getenv("GITHUB_ACTIONS");

	return on != NULL && strcmp(on, "true") == 0;
}

static void
escape(FILE *f, const char *text, const char *also)
{
	for (; *text != '\0'; text++) {
		if (*text == '%' || *text == '\r' || *text == '\n' || strchr(also, *text) != NULL)
			fprintf(f, "%%%02X", (unsigned char)*text);
		else
			fputc(*text, f);
	}
}

void
actions_note(FILE *f, const char *command, const char *title, const char *text)
{
	char *safe = text_utf8(text, strlen(text), NOTE_MAX);

	fprintf(f, "::%s title=", command);
	escape(f, title, ":,");
	fputs("::", f);
	escape(f, safe, "");
	fputc('\n', f);
	free(safe);
}

void
actions_notes(FILE *f, const struct view_run *r)
{
	unsigned errors = 0, warnings = 0;
	char *title = xasprintf("run %s: %s", r->id, r->info->state);

	if (view_run_ended(r) && strcmp(r->info->state, "complete") != 0) {
		actions_note(f, "error", title, r->info->reason == NULL ? r->info->state : r->info->reason);
		errors++;
	}
	if (r->info->question != NULL)
		actions_note(f, "warning", "a question waits for an answer", r->info->question), warnings++;
	free(title);
	for (size_t i = 0; i < r->count; i++) {
		const struct msg_task_info *t = r->tasks[i].info;
		bool failed = strcmp(t->state, "failed") == 0;

		if (t->reason == NULL || view_trouble(&r->tasks[i]) == VIEW_FINE ||
		    strcmp(t->task, r->id) == 0 || (failed ? errors : warnings) == ACTIONS_NOTES_MAX)
			continue;
		title = xasprintf("%s: %s", t->task, t->state);
		actions_note(f, failed ? "error" : "warning", title, t->reason);
		*(failed ? &errors : &warnings) += 1;
		free(title);
	}
}

void
actions_output(FILE *f, const char *name, const char *value, const char *token)
{
	fprintf(f, "%s<<%s\n%s\n%s\n", name, token, value, token);
}

size_t
actions_cut(const char *text, size_t size, size_t max)
{
	size_t n = max - strlen(CUT_WORDS);

	if (size <= max)
		return size;
	while (n > 0 && text[n - 1] != '\n')
		n--;
	return n;
}

static void
fill_token(char token[ACTIONS_TOKEN])
{
	unsigned char bytes[(ACTIONS_TOKEN - 1) / 2];

	arc4random_buf(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(token + 2 * i, 3, "%02x", bytes[i]);
}

static void
mask(void *arg, const char *name, const char *value)
{
	(void)name;
	fputs("::add-mask::", arg);
	escape(arg, value, "");
	fputc('\n', arg);
}

void
actions_begin(struct actions *a, const char *keys)
{
	struct configs configs;
	struct err e;

	memset(a, 0, sizeof(*a));
	a->on = actions_on();
	if (!a->on)
		return;
	fflush(stderr);
	dup2(STDOUT_FILENO, STDERR_FILENO);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (keys != NULL && configs_parse(&configs, "keys", keys, strlen(keys), &e) == 0) {
		for (size_t i = 0; i < configs.count; i++)
			configs_each_secret(&configs.v[i], mask, stdout);
		configs_clear(&configs);
	}
	fill_token(a->token);
	printf("::stop-commands::%s\n", a->token);
	fflush(stdout);
}

/* Appends to the file that a variable names; the runner made it. */
static void
append(const char *variable, const char *data, size_t size)
{
	const char *path = getenv(variable);
	int fd, rc;

	if (path == NULL || *path == '\0')
		return;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	rc = fd < 0 ? -errno : fd_write_all(fd, data, size);
	if (rc < 0)
		ctl_say("cannot write %s (%s): %s", path, variable, strerror(-rc));
	fd_close(&fd);
}

static void
write_summary(const struct target *t)
{
	struct out o = {.now_ms = clock_wall_ms()};
	struct report r;
	char *text = NULL;
	size_t size = 0, kept;

	o.f = open_memstream(&text, &size);
	if (o.f == NULL)
		fatal("open_memstream: %s", strerror(errno));
	report_make(&r, &t->view, t->run, o.now_ms);
	out_markdown(&o, &t->view, &r);
	report_clear(&r);
	fclose(o.f);
	kept = actions_cut(text, size, ACTIONS_SUMMARY_MAX);
	append("GITHUB_STEP_SUMMARY", text, kept);
	if (kept < size)
		append("GITHUB_STEP_SUMMARY", CUT_WORDS, strlen(CUT_WORDS));
	free(text);
}

static void
write_outputs(const struct actions *a, const struct msg_run_info *r)
{
	char *text = NULL, cost[32];
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		fatal("open_memstream: %s", strerror(errno));
	snprintf(
	    cost, sizeof(cost), "%" PRIu64 ".%06" PRIu64, r->cost_uusd / 1000000, r->cost_uusd % 1000000);
	actions_output(f, "result", r->state, a->token);
	actions_output(f, "branch", r->branch == NULL ? "" : r->branch, a->token);
	actions_output(f, "pr-url", r->pull_url == NULL ? "" : r->pull_url, a->token);
	actions_output(f, "cost-usd", cost, a->token);
	fclose(f);
	append("GITHUB_OUTPUT", text, size);
	free(text);
}

/* Commands are heeded again; the next token is not in the log for all to read. */
static void
listen_again(struct actions *a)
{
	fflush(stdout);
	printf("\n::%s::\n", a->token);
	fill_token(a->token);
}

void
actions_end_stopped(struct actions *a, bool asked)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f;

	if (!a->on)
		return;
	listen_again(a);
	actions_note(stdout, asked ? "warning" : "notice",
	    asked ? "a question waits for an answer" : "the run is not done",
	    asked ? "answer with a comment, /orch answer TEXT: it is on the issue"
		  : "this job's time was over; the next one goes on");
	f = open_memstream(&text, &size);
	if (f == NULL)
		fatal("open_memstream: %s", strerror(errno));
	actions_output(f, "result", asked ? "needs-human" : "stopped", a->token);
	fclose(f);
	append("GITHUB_OUTPUT", text, size);
	free(text);
	fflush(stdout);
}

static void
on_item(void *arg, const struct msg *m)
{
	view_put(arg, m, NULL);
}

void
actions_end(struct actions *a, struct ctl *c, const char *run)
{
	struct msg m = {.id = MSG_EVENTS};
	struct target t;

	if (!a->on)
		return;
	listen_again(a);
	if (run == NULL || *run == '\0')
		return;
	/* The connection so far goes on telling what happens, to whoever watched it. */
	client_free(c->client);
	c->client = NULL;
	if (ctl_connect(c) != CTL_OK)
		return;
	if (target_find(&t, c, run) == CTL_OK) {
		m.events.run = t.run->id;
		ctl_ask(c, &m, on_item, &t.view);
		actions_notes(stdout, t.run);
		write_summary(&t);
		write_outputs(a, t.run->info);
	}
	target_clear(&t);
	fflush(stdout);
}
