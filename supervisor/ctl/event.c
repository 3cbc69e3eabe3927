/* event: see event.h. A row per event and action; each row's function reads what it needs of the payload. */
#include "supervisor/ctl/event.h"

#include "common/alloc.h"
#include "common/json.h"
#include "common/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BLANKS " \t\r\n"
#define COMMAND_WORD "/orch"
#define TEXT_KEPT 4096

struct source {
	const json_t *payload;
	const char *trigger;
};

static int
no_payload(struct err *e, const char *what)
{
	return err_set(
	    e, -EINVAL, "the event's payload has no %s: is GITHUB_EVENT_PATH of this event?", what);
}

static void
keep(char **to, const char *text)
{
	free(*to);
	*to = text == NULL ? NULL : xstrdup(text);
}

static int
nothing(struct event *ev, const char *why)
{
	ev->act = EVENT_NOTHING;
	keep(&ev->why, why);
	return 0;
}

static const json_t *
at(const json_t *object, const char *key)
{
	return json_object_get(object, key);
}

/* Who wrote the text that we are to act on, and what GitHub says that person is here. */
static void
read_author(struct event *ev, const json_t *written)
{
	static const char *const ours[] = {"OWNER", "MEMBER", "COLLABORATOR"};
	const char *association = json_str(written, "author_association");

	keep(&ev->author, json_str(at(written, "user"), "login"));
	ev->trusted = false;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (association != NULL && strcmp(association, ours[i]) == 0)
			ev->trusted = true;
}

/* An issue or a pull request: number, title and body. */
static int
read_subject(struct event *ev, const struct source *s, const char *key, struct err *e)
{
	const json_t *subject = at(s->payload, key);
	const json_t *number = at(subject, "number");

	if (!json_is_integer(number) || json_integer_value(number) <= 0 ||
	    json_integer_value(number) > 999999999)
		return no_payload(e, key);
	ev->issue = (uint64_t)json_integer_value(number);
	read_author(ev, subject);
	keep(&ev->title, json_str(subject, "title"));
	keep(&ev->body, json_str(subject, "body"));
	return 0;
}

/* A bot's word starts nothing: what we or others write by program must not come back as a command. */
static bool
is_bot(const json_t *user)
{
	const char *type = json_str(user, "type"), *login = json_str(user, "login");
	size_t n = login == NULL ? 0 : strlen(login);

	return (type != NULL && strcmp(type, "Bot") == 0) || (n > 5 && strcmp(login + n - 5, "[bot]") == 0);
}

static int
on_labeled(struct event *ev, const struct source *s, struct err *e)
{
	const char *label = json_str(at(s->payload, "label"), "name");
	int rc = read_subject(ev, s, "issue", e);

	if (rc < 0)
		return rc;
	if (label == NULL)
		return no_payload(e, "label");
	if (strcasecmp(label, s->trigger) != 0) {
		char *line = text_line(label, 100);

		free(ev->why);
		ev->why = xasprintf("the label %s starts nothing: that is what %s is for", line, s->trigger);
		free(line);
		return 0;
	}
	ev->act = EVENT_RUN;
	keep(&ev->why, "the issue was given the label that starts a run");
	return 0;
}

static int
on_issue_closed(struct event *ev, const struct source *s, struct err *e)
{
	int rc = read_subject(ev, s, "issue", e);

	if (rc < 0)
		return rc;
	ev->act = EVENT_CANCEL;
	keep(&ev->why, "the issue was closed");
	return 0;
}

static const struct {
	const char *word;
	enum event_command command;
	enum { ALONE, MAY_HAVE_TEXT, NEEDS_TEXT } text;
} commands[] = {
    {"run", EVENT_CMD_RUN, ALONE},
    {"cancel", EVENT_CMD_CANCEL, ALONE},
    {"retry", EVENT_CMD_RETRY, MAY_HAVE_TEXT},
    {"resume", EVENT_CMD_RESUME, ALONE},
    {"stop", EVENT_CMD_STOP, ALONE},
    {"answer", EVENT_CMD_ANSWER, NEEDS_TEXT},
    {"status", EVENT_CMD_STATUS, ALONE},
    {"address", EVENT_CMD_ADDRESS, ALONE},
};

#define COMMAND_HELP                                                                                         \
	"commands are /orch run, cancel, retry [TASK], resume, stop, answer TEXT, status, address"

/* body is what was written; a command is the first thing in it. */
static int
read_command(struct event *ev, const char *body)
{
	const char *word = body + strspn(body, BLANKS);
	size_t n = strcspn(word, BLANKS);

	if (n != strlen(COMMAND_WORD) || memcmp(word, COMMAND_WORD, n) != 0)
		return nothing(ev, "the comment does not begin with " COMMAND_WORD);
	word += n + strspn(word + n, BLANKS);
	n = strcspn(word, BLANKS);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const char *text = word + n + strspn(word + n, BLANKS);
		size_t size = strlen(text);

		if (n != strlen(commands[i].word) || memcmp(word, commands[i].word, n) != 0)
			continue;
		while (size > 0 && strchr(BLANKS, text[size - 1]) != NULL)
			size--;
		if (commands[i].text == ALONE && size > 0)
			return nothing(ev, "that command takes no text: " COMMAND_HELP);
		if (commands[i].text == NEEDS_TEXT && size == 0)
			return nothing(ev, "that command needs a text: " COMMAND_HELP);
		if (commands[i].command == EVENT_CMD_ADDRESS && !ev->pull_request)
			return nothing(ev, "/orch address is for pull requests");
		ev->act = EVENT_COMMAND;
		ev->command = commands[i].command;
		ev->text = text_utf8(text, size, TEXT_KEPT);
		keep(&ev->why, "a comment asked for it");
		return 0;
	}
	return nothing(ev, n == 0 ? COMMAND_HELP : "no such command: " COMMAND_HELP);
}

static int
on_comment(struct event *ev, const struct source *s, struct err *e)
{
	const json_t *comment = at(s->payload, "comment");
	const char *body = json_str(comment, "body");
	int rc = read_subject(ev, s, "issue", e);

	if (rc < 0)
		return rc;
	if (body == NULL)
		return no_payload(e, "comment");
	ev->pull_request = json_is_object(at(at(s->payload, "issue"), "pull_request"));
	read_author(ev, comment);
	if (is_bot(at(comment, "user")))
		return nothing(ev, "the comment is a bot's");
	return read_command(ev, body);
}

static int
read_pull_request(struct event *ev, const struct source *s, struct err *e)
{
	int rc = read_subject(ev, s, "pull_request", e);

	ev->pull_request = true;
	if (rc < 0)
		return rc;
	keep(&ev->branch, json_str(at(at(s->payload, "pull_request"), "head"), "ref"));
	return ev->branch == NULL ? no_payload(e, "head of the pull request") : 0;
}

static int
on_review(struct event *ev, const struct source *s, struct err *e)
{
	const json_t *review = at(s->payload, "review");
	const char *state = json_str(review, "state"), *body = json_str(review, "body");
	int rc = read_pull_request(ev, s, e);

	if (rc < 0)
		return rc;
	if (state == NULL)
		return no_payload(e, "review");
	read_author(ev, review);
	if (is_bot(at(review, "user")))
		return nothing(ev, "the review is a bot's");
	if (strcasecmp(state, "changes_requested") != 0 &&
	    (strcasecmp(state, "commented") != 0 || body == NULL || body[strspn(body, BLANKS)] == '\0'))
		return nothing(ev, "the review asks for no change");
	ev->act = EVENT_ADDRESS;
	keep(&ev->why, "a review asks for changes");
	return 0;
}

static int
on_pull_request_closed(struct event *ev, const struct source *s, struct err *e)
{
	int rc = read_pull_request(ev, s, e);

	if (rc < 0)
		return rc;
	if (!json_is_true(at(at(s->payload, "pull_request"), "merged")))
		return nothing(ev, "the pull request was closed without being merged: its branch is kept");
	ev->act = EVENT_LANDED;
	keep(&ev->why, "the pull request was merged");
	return 0;
}

static int
on_dispatch(struct event *ev, const struct source *s, struct err *e)
{
	static const char *const names[] = {"issue-number", "issue_number", "issue"};
	const json_t *inputs = at(s->payload, "inputs");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const json_t *value = at(inputs, names[i]);
		const char *text = json_string_value(value);
		char *end = NULL;
		long long n = json_is_integer(value) ? json_integer_value(value) : 0;

		if (text != NULL) {
			text += text[0] == '#';
			n = strtoll(text, &end, 10);
			if (end == text || *end != '\0')
				n = 0;
		}
		if (value == NULL || (text != NULL && *text == '\0'))
			continue;
		if (n <= 0 || n > 999999999)
			return err_set(e, -EINVAL, "the input %s is not an issue number", names[i]);
		ev->issue = (uint64_t)n;
		ev->act = EVENT_RUN;
		keep(&ev->actor,
		    NULL); /* who may start a workflow may write, a workflow with its own token too */
		keep(&ev->why, "the workflow was started by hand");
		return 0;
	}
	return nothing(ev, "the workflow was started without the input issue-number");
}

static const struct {
	const char *name, *action; /* NULL: whatever it is */
	int (*read)(struct event *ev, const struct source *s, struct err *e);
} rows[] = {
    {"issues", "labeled", on_labeled},
    {"issues", "closed", on_issue_closed},
    {"issue_comment", "created", on_comment},
    {"pull_request_review", "submitted", on_review},
    {"pull_request", "closed", on_pull_request_closed},
    {"workflow_dispatch", NULL, on_dispatch},
};

static int
read_payload(struct event *ev, const char *name, const struct source *s, struct err *e)
{
	const char *action = json_str(s->payload, "action");
	char *shown;

	keep(&ev->repository, json_str(at(s->payload, "repository"), "full_name"));
	keep(&ev->actor, json_str(at(s->payload, "sender"), "login"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].name, name) != 0)
			continue;
		if (rows[i].action == NULL || (action != NULL && strcmp(rows[i].action, action) == 0))
			return rows[i].read(ev, s, e);
	}
	shown = xasprintf("%s%s%s", name, action == NULL ? "" : " ", action == NULL ? "" : action);
	free(ev->why);
	ev->why = text_line(shown, 200);
	free(shown);
	shown = xasprintf("the event %s means nothing to orch", ev->why);
	free(ev->why);
	ev->why = shown;
	return 0;
}

int
event_read(
    struct event *ev, const char *name, const char *trigger, const char *json, size_t size, struct err *e)
{
	struct source s = {.trigger = trigger};
	json_t *payload;
	int rc;

	memset(ev, 0, sizeof(*ev));
	payload = json_parse("the event's payload", json, size, e);
	if (payload == NULL)
		return -EINVAL;
	s.payload = payload;
	rc = json_is_object(payload) ? read_payload(ev, name, &s, e)
				     : err_set(e, -EINVAL, "the event's payload is not a JSON object");
	json_decref(payload);
	if (rc < 0)
		event_clear(ev);
	return rc;
}

void
event_clear(struct event *ev)
{
	free(ev->repository);
	free(ev->actor);
	free(ev->author);
	free(ev->title);
	free(ev->body);
	free(ev->branch);
	free(ev->text);
	free(ev->why);
	memset(ev, 0, sizeof(*ev));
}
