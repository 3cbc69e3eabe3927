/*
 * cmd_run_event: orchctl run --event: turns a GitHub event into the command that it stands for. What means
 * nothing, or is about a run that is not here, is said in a sentence and is no failure: a workflow must not
 * turn red for a comment.
 */
#include "supervisor/ctl/cmds.h"

#include "common/fd.h"
#include "common/text.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/event.h"
#include "proto/view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
read_event(struct event *ev, struct err *e)
{
	const char *name = getenv("GITHUB_EVENT_NAME"), *path = getenv("GITHUB_EVENT_PATH");
	char *json;
	size_t size;
	int rc;

	if (name == NULL || *name == '\0' || path == NULL || *path == '\0')
		return err_set(e, -EINVAL,
		    "--event needs GITHUB_EVENT_NAME and GITHUB_EVENT_PATH, which GitHub sets in a workflow");
	rc = fd_read_file(path, EVENT_PAYLOAD_MAX, &json, &size);
	if (rc == -EFBIG)
		return err_set(e, rc, "the event in %s is over %u MiB", path, EVENT_PAYLOAD_MAX >> 20);
	if (rc < 0)
		return err_sys(e, rc, "cannot read the event in %s", path);
	rc = event_read(ev, name, EVENT_TRIGGER, json, size, e);
	free(json);
	return rc;
}

static void
on_item(void *arg, const struct msg *m)
{
	view_put(arg, m, NULL);
}

/* The newest run of the issue; run "" when there is none here. */
static int
find_run(struct ctl *c, const char *issue, char *run, size_t size, bool *ended)
{
	struct msg m = {.id = MSG_STATUS};
	struct view v;
	int rc;

	run[0] = '\0';
	if (ctl_never_ran(c))
		return CTL_OK;
	rc = ctl_connect(c);
	if (rc != CTL_OK)
		return rc;
	view_init(&v);
	m.status.all = true;
	rc = ctl_ask(c, &m, on_item, &v);
	for (size_t i = 0; i < v.run_count && rc == CTL_OK; i++) {
		const struct msg_run_info *r = v.runs[i]->info;

		if (r == NULL || r->issue == NULL || strcmp(r->issue, issue) != 0)
			continue;
		snprintf(run, size, "%s", r->run);
		*ended = view_run_ended(v.runs[i]);
	}
	view_clear(&v);
	client_free(c->client);
	c->client = NULL;
	return rc;
}

static const struct {
	enum event_command command;
	int (*run)(struct ctl *c);
	bool unended; /* means something only while the run goes on */
} commands[] = {
    {EVENT_CMD_CANCEL, cmd_cancel, true},
    {EVENT_CMD_RETRY, cmd_retry, false},
    {EVENT_CMD_RESUME, cmd_resume, true},
    {EVENT_CMD_STOP, cmd_stop, true},
    {EVENT_CMD_STATUS, cmd_status, false},
};

static int
do_command(struct ctl *c, const struct event *ev, enum event_command command)
{
	char issue[32], run[NAME_MAX_BYTES], target[2 * NAME_MAX_BYTES];
	bool ended = false;
	int rc;

	snprintf(issue, sizeof(issue), "%" PRIu64, ev->issue);
	rc = find_run(c, issue, run, sizeof(run), &ended);
	if (rc != CTL_OK)
		return rc;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (commands[i].command != command)
			continue;
		if (run[0] == '\0' || (commands[i].unended && ended)) {
			ctl_say("%s, but no run of issue %s %s here: nothing to do", ev->why, issue,
			    run[0] == '\0' ? "is" : "goes on");
			return CTL_OK;
		}
		/* A task is named as people do it, within the issue's run. */
		if (ev->text != NULL && *ev->text != '\0' && strncmp(ev->text, run, strlen(run)) != 0)
			snprintf(target, sizeof(target), "%s/%.120s", run, ev->text);
		else
			snprintf(target, sizeof(target), "%.120s",
			    ev->text != NULL && *ev->text != '\0' ? ev->text : run);
		c->args.words[0] = target;
		c->args.word_count = commands[i].run == cmd_stop ? 0 : 1;
		return commands[i].run(c);
	}
	ctl_say("this command is not for workflows: type it at orchctl");
	return CTL_OK;
}

/* What is said of the pull request, whether or not it is this review that brings us here. */
static int
address(struct ctl *c, const struct event *ev)
{
	char pull[32];

	if (ctl_never_ran(c)) {
		ctl_say("%s, but no run is known here: nothing to do", ev->why);
		return CTL_OK;
	}
	snprintf(pull, sizeof(pull), "%" PRIu64, ev->issue);
	c->args.words[0] = pull;
	c->args.word_count = 1;
	return cmd_address(c);
}

static int
start_run(struct ctl *c, const struct event *ev)
{
	char issue[32];

	snprintf(issue, sizeof(issue), "%" PRIu64, ev->issue);
	c->args.event = false;
	c->args.words[0] = issue;
	c->args.word_count = 1;
	/* What the event tells of the issue is what ISSUE_TITLE and ISSUE_BODY would tell. */
	if (ev->title != NULL && getenv("ISSUE_TITLE") == NULL && getenv("ISSUE_BODY") == NULL) {
		setenv("ISSUE_NUMBER", issue, 1);
		setenv("ISSUE_TITLE", ev->title, 1);
		if (ev->body != NULL)
			setenv("ISSUE_BODY", ev->body, 1);
	}
	return cmd_run_main(c);
}

/* May who wrote it make us work? A label or a closed issue is proof of rights by itself, words are not. */
static bool
is_trusted(const struct ctl *c, const struct event *ev)
{
	char *who;

	if (c->args.trust || ev->trusted || ev->author == NULL)
		return true;
	who = text_line(ev->author, 100);
	ctl_say("%s, but %s is no collaborator of this repository: nothing is done (--trust overrides)",
	    ev->why, who);
	free(who);
	return false;
}

int
cmd_run_event(struct ctl *c)
{
	struct event ev;
	struct err e = {""};
	int rc = CTL_OK;

	if (read_event(&ev, &e) < 0) {
		ctl_say("%s", e.msg);
		return CTL_USAGE;
	}
	switch (ev.act) {
	case EVENT_NOTHING:
		ctl_say("nothing to do: %s", ev.why);
		break;
	case EVENT_RUN:
		rc = is_trusted(c, &ev) ? start_run(c, &ev) : CTL_OK;
		break;
	case EVENT_CANCEL:
		rc = do_command(c, &ev, EVENT_CMD_CANCEL);
		break;
	case EVENT_LANDED:
		rc = ctl_never_ran(c) ? CTL_OK : cmd_clean(c);
		break;
	case EVENT_ADDRESS:
		rc = is_trusted(c, &ev) ? address(c, &ev) : CTL_OK;
		break;
	case EVENT_COMMAND:
		if (!is_trusted(c, &ev))
			break;
		rc = ev.command == EVENT_CMD_RUN       ? start_run(c, &ev)
		     : ev.command == EVENT_CMD_ADDRESS ? address(c, &ev)
						       : do_command(c, &ev, ev.command);
		break;
	}
	event_clear(&ev);
	return rc;
}
