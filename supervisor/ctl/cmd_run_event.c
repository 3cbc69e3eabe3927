/*
 * cmd_run_event: orchctl run --event: turns a GitHub event into the command that it stands for. What means
 * nothing, or is about a run that is not here, is said in a sentence and is no failure: a workflow must not
 * turn red for a comment.
 */
#include "supervisor/ctl/cmds.h"

#include "common/fd.h"
#include "common/taskid.h"
#include "common/text.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/event.h"
#include "supervisor/ctl/preflight.h"
#include "supervisor/ctl/token.h"
#include "proto/view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
read_event(struct event *ev, const struct ctl *c, struct err *e)
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
	rc = event_read(ev, name, c->conf.trigger_label, json, size, e);
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
    {EVENT_CMD_ANSWER, cmd_answer, true},
};

/* In a workflow each job is another machine: a run that is not here may have been saved by the last one. */
static const struct {
	enum event_command command;
	int then;
} elsewhere[] = {
    {EVENT_CMD_CANCEL, THEN_CANCEL},
    {EVENT_CMD_RESUME, THEN_RESUME},
    {EVENT_CMD_ANSWER, THEN_ANSWER},
};

static int start_run(struct ctl *c, const struct event *ev);

static int
do_elsewhere(struct ctl *c, const struct event *ev, enum event_command command)
{
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		if (elsewhere[i].command != command)
			continue;
		c->then = elsewhere[i].then;
		c->answer = ev->text;
		return start_run(c, ev);
	}
	ctl_say("%s, but no run of issue %" PRIu64 " is here: nothing to do", ev->why, ev->issue);
	return CTL_OK;
}

/* A task is named as people do it, within the issue's run; an answer is a text beside the run. */
static void
name_target(struct ctl *c, const struct event *ev, enum event_command command, const char *run, char *target,
    size_t size)
{
	bool text = ev->text != NULL && *ev->text != '\0' && command != EVENT_CMD_ANSWER;

	if (text && strncmp(ev->text, run, strlen(run)) != 0)
		snprintf(target, size, "%s/%.120s", run, ev->text);
	else
		snprintf(target, size, "%.120s", text ? ev->text : run);
	c->args.words[0] = target;
	c->args.words[1] = ev->text;
	c->args.word_count = command == EVENT_CMD_STOP ? 0 : command == EVENT_CMD_ANSWER ? 2 : 1;
}

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
		if (run[0] == '\0')
			return do_elsewhere(c, ev, command);
		if (commands[i].unended && ended) {
			ctl_say("%s, but no run of issue %s goes on here: nothing to do", ev->why, issue);
			return CTL_OK;
		}
		name_target(c, ev, command, run, target, sizeof(target));
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
	bool known = ev->branch == NULL || taskid_branch_issue(ev->branch, c->conf.branch_prefix) != 0;
	struct err e = {""};

	if (ctl_never_ran(c) && (!known || token_read(c, false, &e) < 0 || c->token == NULL)) {
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

/* What GitHub says that whoever did it may do; the event itself only says what its author is called. */
static int
ask_permission(struct ctl *c, const struct event *ev, bool *may)
{
	const char *login = ev->actor != NULL ? ev->actor : ev->author;
	struct err e = {""};
	char level[16], *who;

	if (preflight_actor(c, login, level, &e) < 0) {
		ctl_say("%s, but whether that was allowed is not known: %s", ev->why, e.msg);
		return CTL_FAILED;
	}
	*may = strcmp(level, "admin") == 0 || strcmp(level, "write") == 0;
	if (!*may) {
		who = text_line(login, 100);
		ctl_say("%s, but %s may not write to this repository (permission: %s): nothing is done "
			"(--trust overrides)",
		    ev->why, who, level);
		free(who);
	}
	return CTL_OK;
}

/*
 * May who did it make us work? GitHub is asked where there is a token; else it is what the event says of the
 * author. CTL_OK with *may, or an exit code.
 */
static int
judge_actor(struct ctl *c, const struct event *ev, bool *may)
{
	struct err e = {""};
	char *who;

	*may = c->args.trust;
	if (*may)
		return CTL_OK;
	if (token_read(c, false, &e) < 0) {
		ctl_say("%s", e.msg);
		return CTL_USAGE;
	}
	if (c->token != NULL && (ev->actor != NULL || ev->author != NULL))
		return ask_permission(c, ev, may);
	*may = ev->trusted || ev->author == NULL;
	if (*may)
		return CTL_OK;
	who = text_line(ev->author, 100);
	ctl_say("%s, but %s is no collaborator of this repository: nothing is done (--trust overrides)",
	    ev->why, who);
	free(who);
	return CTL_OK;
}

static int
do_event(struct ctl *c, const struct event *ev)
{
	bool may = false;
	int rc = judge_actor(c, ev, &may);

	if (rc != CTL_OK || !may)
		return rc;
	if (ev->act == EVENT_RUN || (ev->act == EVENT_COMMAND && ev->command == EVENT_CMD_RUN))
		return start_run(c, ev);
	if (ev->act == EVENT_ADDRESS || ev->command == EVENT_CMD_ADDRESS)
		return address(c, ev);
	return do_command(c, ev, ev->command);
}

/* What a workflow kept for reviews of it is of no use any more. */
static int
landed_elsewhere(struct ctl *c, struct event *ev)
{
	struct err e = {""};

	ctl_say("%s: nothing of its run is here, so there is nothing to clean up", ev->why);
	ev->issue = taskid_branch_issue(ev->branch, c->conf.branch_prefix);
	if (ev->issue == 0 || token_read(c, false, &e) < 0 || c->token == NULL)
		return CTL_OK;
	c->then = THEN_FORGET;
	start_run(c, ev); /* which says what is wrong: nobody waits for it */
	return CTL_OK;
}

int
cmd_run_event(struct ctl *c)
{
	struct event ev;
	struct err e = {""};
	int rc = CTL_OK;

	if (read_event(&ev, c, &e) < 0) {
		ctl_say("%s", e.msg);
		return CTL_USAGE;
	}
	switch (ev.act) {
	case EVENT_NOTHING:
		ctl_say("nothing to do: %s", ev.why);
		break;
	case EVENT_CANCEL:
		rc = do_command(c, &ev, EVENT_CMD_CANCEL);
		break;
	case EVENT_LANDED:
		rc = ctl_never_ran(c) ? landed_elsewhere(c, &ev) : cmd_clean(c);
		break;
	case EVENT_RUN:
	case EVENT_ADDRESS:
	case EVENT_COMMAND:
		rc = do_event(c, &ev);
		break;
	}
	event_clear(&ev);
	return rc;
}
